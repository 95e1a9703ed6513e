"""The Anthropic provider: what crosses, in which direction, and what its errors become."""

import json

import pytest

from heddle.model.call import ModelCall
from heddle.model.provider import HttpProvider, OptionError
from heddle.model.snapshot import ProviderSpec
from heddle.plugins import load
from heddle.providers.anthropic import Anthropic

SECRET = "sk-ant-very-secret"


def provider(**fields):
    return Anthropic(ProviderSpec(name="up", type="anthropic", **{"credential": SECRET, **fields}))


def call(stream=False, dialect="anthropic_messages"):
    return ModelCall(operation="chat", dialect=dialect, model="m", body=b"{}", stream=stream)


def test_it_is_a_provider_over_http():
    assert isinstance(provider(), HttpProvider)
    assert load("providers", "anthropic") is Anthropic
    assert provider().base_url == "https://api.anthropic.com"
    assert (provider().speaks, provider().stream_usage) == ("anthropic_messages", False)


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("", b"/v1/messages"),
        ("http://127.0.0.1:9001", b"/v1/messages"),
        ("http://127.0.0.1:9001/v1/", b"/v1/messages"),
        ("https://host/anthropic", b"/anthropic/v1/messages"),
    ],
)
def test_the_target_is_under_the_base_url(base_url, target):
    assert provider(base_url=base_url).target(call()) == target
    assert provider(base_url=base_url).target(call(dialect="anthropic_count")) == target + b"/count_tokens"


@pytest.mark.parametrize("base_url", ["ftp://host", "https://user:pass@host", "https://host?x=1", "https://"])
def test_base_urls_that_cannot_be_used(base_url):
    with pytest.raises(ValueError, match="base_url"):
        provider(base_url=base_url)


def test_only_listed_fields_of_the_caller_pass():
    caller = [
        (b"host", b"gateway"),
        (b"authorization", b"Bearer sk-caller"),
        (b"x-api-key", b"sk-caller"),
        (b"cookie", b"session=1"),
        (b"x-stainless-os", b"Linux"),
        (b"anthropic-workspace-id", b"wrkspc_other"),
        (b"anthropic-user-profile-id", b"uprof_other"),
        (b"anthropic-dangerous-direct-browser-access", b"true"),
        (b"anthropic-beta", b"a-2026-01-01"),
        (b"anthropic-beta", b"b-2026-01-01"),
        (b"anthropic-version", b"2026-01-01"),
    ]
    sent = provider().headers(call(), caller)
    assert [value for name, value in sent if name == b"anthropic-beta"] == [b"a-2026-01-01", b"b-2026-01-01"]
    assert dict(sent) == {
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"accept-encoding": b"identity",
        b"x-api-key": SECRET.encode(),
        b"user-agent": dict(sent)[b"user-agent"],
        b"anthropic-beta": b"b-2026-01-01",
        b"anthropic-version": b"2026-01-01",
    }


def test_without_the_callers_version_ours_is_sent():
    one = provider()
    assert [value for name, value in one.headers(call(), []) if name == b"anthropic-version"] == [b"2023-06-01"]
    one.headers(call(), []).append((b"x", b"y"))
    assert (b"x", b"y") not in one.headers(call(), [])
    assert dict(one.headers(call(stream=True), []))[b"accept"] == b"text/event-stream"
    assert one.from_caller == {b"anthropic-beta", b"anthropic-version"}


def test_the_credential_can_be_a_bearer_token():
    sent = dict(provider(options={"auth": "bearer"}).headers(call(), []))
    assert sent[b"authorization"] == b"Bearer " + SECRET.encode()
    assert b"x-api-key" not in sent
    assert not {b"authorization", b"x-api-key"} & dict(provider(credential="").headers(call(), [])).keys()


@pytest.mark.parametrize(
    ("options", "message"), [({"zzz": 1}, "known are auth"), ({"auth": "basic"}, r"options\.auth")]
)
def test_options_are_checked(options, message):
    with pytest.raises(OptionError, match=message):
        provider(options=options)


@pytest.mark.parametrize("credential", ["sk\r\nx: y", "sk x", "sk-é", "sk\0"])
def test_a_credential_cannot_smuggle_a_field_and_is_not_shown(credential):
    with pytest.raises(ValueError, match="credential") as caught:
        provider(credential=credential)
    assert credential not in repr(caught.value)


def test_no_representation_shows_the_credential():
    assert SECRET not in repr(provider())


def test_only_listed_fields_of_an_answer_pass():
    answer = [
        (b"content-type", b"application/json"),
        (b"set-cookie", b"__cf_bm=1"),
        (b"anthropic-organization-id", b"org-ours"),
        (b"anthropic-ratelimit-requests-remaining", b"1"),
        (b"request-id", b"req_1"),
    ]
    assert provider().answer_headers(answer) == [(b"request-id", b"req_1")]


def error(kind="invalid_request_error", message="no", **details):
    fields = {"type": kind, "message": message, **({"details": details} if details else {})}
    return json.dumps({"type": "error", "error": fields, "request_id": "req_1"}).encode()


LIMITS = [
    (b"date", b"Sat, 21 Nov 2026 10:00:00 GMT"),
    (b"retry-after", b"2.5"),
    (b"request-id", b"req_1"),
    (b"set-cookie", b"a"),
    (b"anthropic-organization-id", b"org-ours"),
    (b"anthropic-ratelimit-requests-limit", b"50"),
    (b"anthropic-ratelimit-requests-remaining", b"0"),
    (b"anthropic-ratelimit-requests-reset", b"2026-11-21T10:00:12Z"),
    (b"anthropic-ratelimit-tokens-remaining", b"7"),
    (b"anthropic-ratelimit-tokens-reset", b"2026-11-21T09:59:00Z"),
    (b"anthropic-ratelimit-input-tokens-remaining", b"7"),
]
KEPT = [(b"retry-after", b"2.5"), (b"request-id", b"req_1")]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "bad_request"), (404, "not_found"), (409, "bad_request"), (413, "bad_request"), (422, "bad_request")],
)
def test_the_callers_own_mistakes_come_in_the_providers_words(status, kind):
    failure = provider().read_failure(status, LIMITS, error())
    assert (failure.status, failure.body, failure.message, failure.kind) == (status, error(), "no", kind)
    assert (failure.headers, failure.retry_after_s) == (KEPT, 2.5)


def test_limits_are_told_in_the_normal_form():
    failure = provider().read_failure(429, LIMITS, error("rate_limit_error"))
    assert (failure.status, failure.kind, failure.retry_after_s) == (429, "rate_limit", 2.5)
    assert failure.headers == [
        *KEPT,
        (b"x-ratelimit-limit-requests", b"50"),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-reset-requests", b"12s"),
        (b"x-ratelimit-remaining-tokens", b"7"),
        (b"x-ratelimit-reset-tokens", b"0s"),
    ]


@pytest.mark.parametrize(
    ("date", "reset"),
    [
        (b"", b"2026-11-21T10:00:12Z"),
        (b"Sat, 21 Xxx 2026 10:00:00 GMT", b"2026-11-21T10:00:12Z"),
        (b"Sat, 31 Feb 2026 10:00:00 GMT", b"2026-11-21T10:00:12Z"),
        (b"\xff", b"2026-11-21T10:00:12Z"),
        (b"Sat, 21 Nov 2026 10:00:00 GMT", b"soon"),
        (b"Sat, 21 Nov 2026 10:00:00 GMT", b"\xff"),
        (b"Sat, 21 Nov 2026 10:00:00 GMT", b"2026-11-21T10:00:12"),
    ],
)
def test_a_reset_that_cannot_be_told_is_left_out(date, reset):
    headers = [(b"date", date), (b"anthropic-ratelimit-requests-reset", reset)]
    assert provider().read_failure(429, headers, error()).headers == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, error("rate_limit_error", SECRET, error_code="enforced_spend_limit_reached")),
        (429, error("rate_limit_error", "x", error_code="contract_spend_limit_reached")),
        (402, error("billing_error")),
        (402, None),
        (400, error(message="Your credit balance is too low to access the Anthropic API.")),
        (400, error(message="You have reached your specified API usage limits. You will regain access on 2026-12-01.")),
    ],
)
def test_money_that_is_spent_is_the_operators_and_waiting_does_not_help(status, body):
    failure = provider().read_failure(status, LIMITS, body)
    assert (failure.kind, failure.body, failure.message, failure.retry_after_s) == ("quota", None, "", None)
    assert failure.status == (429 if status == 429 else 502)
    assert failure.headers == [(b"x-should-retry", b"false")]
    assert SECRET not in failure.detail


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("prompt is too long: 210000 tokens > 200000 maximum", "context_length"),
        ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", "context_length"),
        ("Output blocked by content filtering policy", "content"),
        ("messages: text content blocks must be non-empty", "bad_request"),
    ],
)
def test_what_a_refusal_is_about(message, kind):
    failure = provider().read_failure(400, [], error(message=message))
    assert (failure.kind, failure.message) == (kind, message)


@pytest.mark.parametrize("status", [401, 403])
def test_trouble_with_our_credential_is_not_the_callers(status):
    failure = provider().read_failure(status, LIMITS, error("authentication_error", SECRET))
    assert (failure.status, failure.headers, failure.body, failure.kind) == (502, [], None, "credential")
    assert SECRET not in failure.detail


@pytest.mark.parametrize(
    ("status", "kind"), [(500, ""), (502, ""), (503, "overloaded"), (504, ""), (529, "overloaded"), (599, "")]
)
def test_a_failing_provider_keeps_its_status_and_loses_its_words(status, kind):
    failure = provider().read_failure(status, LIMITS, error("api_error", "stack trace at 10.0.0.7"))
    assert (failure.status, failure.body, failure.message, failure.kind) == (status, None, "", kind)
    assert (failure.headers, failure.retry_after_s) == (KEPT, 2.5)
    assert "10.0.0.7" not in failure.detail


@pytest.mark.parametrize("status", [201, 204, 301, 302, 304, 307, 405, 408, 418])
def test_answers_that_make_no_sense_here(status):
    failure = provider().read_failure(status, [(b"location", b"http://evil/")], b"{}")
    assert (failure.status, failure.headers, failure.body) == (502, [], None)


@pytest.mark.parametrize("body", [None, b"", b"<html>", b"[]", b"{", b"\xff", error(message="your key " + SECRET)])
def test_bodies_that_are_not_shown(body):
    failure = provider().read_failure(400, [], body)
    assert (failure.body, failure.message) == (None, "")


def test_a_long_message_is_shown_only_in_its_own_dialect():
    failure = provider().read_failure(400, [], error(message="x" * 3000))
    assert failure.body is not None
    assert failure.message == ""


@pytest.mark.parametrize("value", [b"soon", b"-1", b"inf", b"nan", b"Sat, 21 Nov 2026 10:00:00 GMT", b"\xff"])
def test_a_wait_that_cannot_be(value):
    assert provider().read_failure(429, [(b"retry-after", value)], error()).retry_after_s is None
