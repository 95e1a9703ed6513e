"""What error answers are about, and how long they ask to wait, in the forms of several servers."""

import json

import pytest

from heddle.model.snapshot import ProviderSpec
from heddle.providers.openai import OpenAI
from heddle.providers.openai.failures import read_wait

SECRET = "sk-very-secret"
PROVIDER = OpenAI(ProviderSpec(name="up", type="openai", credential=SECRET))


def fail(status, body=None, headers=()):
    return PROVIDER.read_failure(status, list(headers), json.dumps(body).encode() if body is not None else None)


def openai(message, code=None, kind="invalid_request_error"):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, openai("Rate limit reached", "rate_limit_exceeded", "tokens"), "rate_limit"),
        (429, openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), "quota"),
        (429, {"object": "error", "message": "Requests rate limit exceeded", "type": "rate_limited"}, "rate_limit"),
        (429, None, "rate_limit"),
        (402, {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "x"}}, "quota"),
        (401, openai("Incorrect API key provided", "invalid_api_key"), "credential"),
        (403, None, "credential"),
        (400, openai("too long", "context_length_exceeded"), "context_length"),
        (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens."}, "context_length"),
        (400, {"error": "the prompt is too long for the context window"}, "context_length"),
        (422, {"detail": [{"type": "extra_forbidden"}]}, "bad_request"),
        (400, openai("The response was filtered", "content_filter"), "content"),
        (404, openai("The model does not exist", "model_not_found"), "not_found"),
        (404, {"error": {"code": "DeploymentNotFound", "message": "no"}}, "not_found"),
        (400, openai("Unknown parameter"), "bad_request"),
        (500, openai("The server had an error", None, "server_error"), ""),
        (503, openai("Slow down", "slow_down"), "overloaded"),
        (529, None, "overloaded"),
    ],
)
def test_what_it_is_about(status, body, kind):
    assert fail(status, body).kind == kind


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (openai("no such thing"), "no such thing"),
        ({"error": "model not found"}, "model not found"),
        ({"object": "error", "message": "bad"}, "bad"),
        ({"error": {"message": {"detail": []}}}, ""),
        ({"error": None}, ""),
        ([], ""),
        (openai("x" * 5_000), "x" * 2_000),
    ],
)
def test_its_words_for_callers_of_another_dialect(body, message):
    assert fail(400, body).message == message


def test_words_are_not_shown_where_the_body_is_not():
    assert fail(500, openai("stack trace")).message == ""
    assert fail(401, openai("key")).message == ""
    escaped = b'{"error":{"message":"your key sk-very\\u002dsecret"}}'
    assert PROVIDER.read_failure(400, [], escaped).message == ""


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, {b"retry-after": b"20"}, 20),
        (503, {b"retry-after": b"1.5"}, 1.5),
        (429, {b"retry-after": b"20", b"retry-after-ms": b"1500"}, 1.5),
        (429, {b"x-ratelimit-remaining-requests": b"0", b"x-ratelimit-reset-requests": b"6m0s"}, 360),
        (429, {b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"120ms"}, 0.12),
        (429, {b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"1h2m3.5s"}, 3723.5),
        (429, {b"x-ratelimit-remaining-tokens": b"9", b"x-ratelimit-reset-tokens": b"6m0s"}, None),
        (500, {b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"6m0s"}, None),
        (
            429,
            {b"retry-after": b"Sat, 21 Nov 2026 12:00:30 GMT", b"date": b"Sat, 21 Nov 2026 12:00:00 GMT"},
            30,
        ),
        (429, {b"retry-after": b"Sat, 21 Nov 2026 12:00:30 GMT"}, None),
        (429, {b"retry-after": b"soon"}, None),
        (429, {b"retry-after": b"-1"}, None),
        (429, {b"retry-after": b"nan"}, None),
        (429, {b"retry-after": b"1e999"}, None),
        (429, {b"retry-after": b"\xff"}, None),
        (429, {b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"\xff"}, None),
        (429, {}, None),
    ],
)
def test_how_long_to_wait(status, headers, wait_s):
    assert read_wait(status, list(headers.items())) == wait_s


def test_callers_are_told_in_whole_seconds():
    failure = fail(429, openai("slow"), [(b"retry-after", b"1.5"), (b"x-ratelimit-limit-tokens", b"9")])
    assert (b"retry-after", b"2") in failure.headers
    assert (b"x-ratelimit-limit-tokens", b"9") in failure.headers
    assert failure.retry_after_s == 1.5
