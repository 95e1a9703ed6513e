"""The OpenAI provider: what crosses, in which direction, and what its errors become."""

import json

import pytest

from heddle.model.call import ModelCall
from heddle.model.provider import HttpProvider, OptionError
from heddle.model.snapshot import ProviderSpec
from heddle.providers.openai import OpenAI

SECRET = "sk-very-secret"


def provider(**fields):
    return OpenAI(ProviderSpec(**{"name": "up", "type": "openai", "credential": SECRET, **fields}))


def call(stream=False, dialect="openai_chat", model="m"):
    return ModelCall(operation="chat", dialect=dialect, model=model, body=b"{}", stream=stream)


def test_it_is_a_provider_over_http():
    assert isinstance(provider(), HttpProvider)


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("", b"/v1/chat/completions"),
        ("http://127.0.0.1:9001/v1", b"/v1/chat/completions"),
        ("http://127.0.0.1:9001/v1/", b"/v1/chat/completions"),
        ("https://host", b"/chat/completions"),
        ("https://host/a/b/", b"/a/b/chat/completions"),
    ],
)
def test_the_target_is_under_the_base_url(base_url, target):
    assert provider(base_url=base_url).target(call()) == target


@pytest.mark.parametrize(
    ("dialect", "target"),
    [
        ("openai_embeddings", b"/v1/embeddings"),
        ("openai_completions", b"/v1/completions"),
        ("openai_responses", b"/v1/responses"),
        ("openai_responses_count", b"/v1/responses/input_tokens"),
    ],
)
def test_every_dialect_has_its_own_path(dialect, target):
    assert dialect in provider().dialects
    assert provider().target(call(dialect=dialect)) == target


@pytest.mark.parametrize(
    ("apis", "dialects", "speaks"),
    [
        (["chat"], {"openai_chat"}, "openai_chat"),
        (["responses"], {"openai_responses", "openai_responses_count"}, "openai_responses"),
        (["embeddings"], {"openai_embeddings"}, ""),
        (["responses", "chat"], {"openai_chat", "openai_responses", "openai_responses_count"}, "openai_chat"),
    ],
)
def test_some_interfaces_can_be_chosen(apis, dialects, speaks):
    chosen = provider(options={"apis": apis})
    assert (chosen.dialects, chosen.speaks) == (dialects, speaks)


def test_only_what_the_server_has_can_be_chosen():
    with pytest.raises(OptionError, match=r"options\.apis: expected some of chat, responses"):
        OpenAI(ProviderSpec(name="up", type="groq", credential=SECRET, options={"apis": ["embeddings"]}))
    with pytest.raises(OptionError, match=r"options\.apis: expected some of chat, completions"):
        provider(options={"apis": []})


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://host/v1",
        "host/v1",
        "https://",
        "https://user:pass@host/v1",
        "https://host/v1#x",
        "https://host/v1?api-version=2",
        "https://host/a b",
        "https://h/\n",
    ],
)
def test_base_urls_that_cannot_be_used(base_url):
    with pytest.raises(ValueError, match="base_url"):
        provider(base_url=base_url)


def test_only_listed_fields_of_the_caller_pass():
    caller = [
        (b"host", b"gateway"),
        (b"authorization", b"Bearer sk-caller"),
        (b"x-api-key", b"sk-caller"),
        (b"api-key", b"sk-caller"),
        (b"cookie", b"session=1"),
        (b"x-forwarded-for", b"1.2.3.4"),
        (b"x-heddle-user", b"root"),
        (b"openai-organization", b"org-other"),
        (b"openai-project", b"proj-other"),
        (b"idempotency-key", b"guessed"),
        (b"x-stainless-os", b"Linux"),
        (b"traceparent", b"00-1"),
        (b"accept-encoding", b"gzip"),
        (b"content-type", b"text/plain"),
        (b"openai-beta", b"assistants=v2"),
        (b"x-client-request-id", b"abc"),
    ]
    sent = provider().headers(call(), caller)
    names = [name for name, _ in sent]
    assert len(names) == len(set(names))
    assert dict(sent) == {
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"accept-encoding": b"identity",
        b"authorization": b"Bearer " + SECRET.encode(),
        b"user-agent": dict(sent)[b"user-agent"],
        b"openai-beta": b"assistants=v2",
        b"x-client-request-id": b"abc",
    }


def test_headers_are_a_new_list_each_time():
    one = provider()
    one.headers(call(), []).append((b"x", b"y"))
    assert (b"x", b"y") not in one.headers(call(), [])
    assert dict(one.headers(call(stream=True), []))[b"accept"] == b"text/event-stream"


def test_whose_account_pays_is_configured():
    sent = dict(provider(options={"organization": "org-1", "project": "proj-1"}).headers(call(), []))
    assert (sent[b"openai-organization"], sent[b"openai-project"]) == (b"org-1", b"proj-1")


def test_without_a_credential_none_is_sent():
    assert b"authorization" not in dict(provider(credential="").headers(call(), []))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"organisation": "x"}, "did you mean organization"),
        ({"zzz": 1}, "known are organization, project, stream_usage"),
        ({"stream_usage": "yes"}, r"options\.stream_usage: expected"),
        ({"project": "a\r\nx: y"}, "printable"),
    ],
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
        (b"openai-organization", b"org-ours"),
        (b"x-ratelimit-remaining-tokens", b"1"),
        (b"openai-processing-ms", b"5"),
        (b"x-request-id", b"req_1"),
    ]
    assert provider().answer_headers(answer) == [(b"openai-processing-ms", b"5"), (b"x-request-id", b"req_1")]


ERROR = json.dumps({"error": {"message": "no", "type": "t", "param": None, "code": None}}).encode()
LIMITS = [
    (b"retry-after", b"2"),
    (b"retry-after-ms", b"1500"),
    (b"x-ratelimit-reset-tokens", b"6m0s"),
    (b"set-cookie", b"a"),
]


@pytest.mark.parametrize("status", [400, 404, 409, 413, 415, 422, 429])
def test_the_callers_own_mistakes_come_in_the_providers_words(status):
    failure = provider().read_failure(status, LIMITS, ERROR)
    assert (failure.status, failure.body) == (status, ERROR)
    assert ((b"x-ratelimit-reset-tokens", b"6m0s") in failure.headers) == (status == 429)
    assert (b"retry-after", b"2") in failure.headers
    assert (b"set-cookie", b"a") not in failure.headers


@pytest.mark.parametrize("status", [401, 402, 403])
def test_trouble_with_our_credential_is_not_the_callers(status):
    failure = provider().read_failure(status, LIMITS, b'{"error":"Incorrect API key provided: sk-very-secret"}')
    assert (failure.status, failure.headers, failure.body) == (502, [], None)
    assert SECRET not in failure.detail


@pytest.mark.parametrize("status", [500, 502, 503, 529, 599])
def test_a_failing_provider_keeps_its_status_and_loses_its_words(status):
    failure = provider().read_failure(status, LIMITS, b'{"error":"stack trace at 10.0.0.7"}')
    assert (failure.status, failure.body) == (status, None)
    assert "10.0.0.7" not in failure.detail


@pytest.mark.parametrize("status", [201, 204, 301, 302, 304, 307, 405, 408, 418])
def test_answers_that_make_no_sense_here(status):
    failure = provider().read_failure(status, [(b"location", b"http://evil/")], b"{}")
    assert (failure.status, failure.headers, failure.body) == (502, [], None)


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"<html>",
        b"[]",
        b"{",
        b"\xff",
        b'{"a":"' + b"x" * 70_000 + b'"}',
        b'{"error":"your key sk-very-secret"}',
    ],
)
def test_bodies_that_are_not_shown(body):
    assert provider().read_failure(400, [], body).body is None


@pytest.mark.parametrize(
    ("type_", "fields", "target"),
    [
        ("cohere", {}, b"/v2/rerank"),
        ("cohere", {"base_url": "http://127.0.0.1:9/compatibility/v1"}, b"/v2/rerank"),
        ("cohere", {"base_url": "http://127.0.0.1:9/proxy/v1"}, b"/proxy/v1/rerank"),
        ("vllm", {}, b"/v1/rerank"),
        ("openai", {"base_url": "http://127.0.0.1:9/v1"}, b"/v1/rerank"),
    ],
)
def test_rankings_have_their_path(type_, fields, target):
    made = OpenAI(ProviderSpec(name="up", type=type_, **fields))
    assert "rerank" in made.dialects
    assert made.target(call(dialect="rerank")) == target


def test_openai_itself_does_not_rank():
    assert "rerank" not in provider().dialects
    assert "rerank" not in provider(base_url="https://eu.api.openai.com/v1").dialects


@pytest.mark.parametrize(
    ("dialect", "target"),
    [
        ("openai_speech", b"/v1/audio/speech"),
        ("openai_speech_events", b"/v1/audio/speech"),
        ("openai_transcriptions", b"/v1/audio/transcriptions"),
        ("openai_translations", b"/v1/audio/translations"),
        ("openai_images", b"/v1/images/generations"),
        ("openai_image_edits", b"/v1/images/edits"),
        ("openai_moderations", b"/v1/moderations"),
    ],
)
def test_sound_and_pictures_have_their_paths(dialect, target):
    assert dialect in provider().dialects
    assert provider().target(call(dialect=dialect)) == target


def test_a_form_goes_with_its_own_content_type():
    made = call(dialect="openai_transcriptions")
    made.content_type, made.accepts = b"multipart/form-data; boundary=x", b"*/*"
    fields = provider().headers(made, [])
    assert dict(fields)[b"content-type"] == b"multipart/form-data; boundary=x"
    assert dict(fields)[b"accept"] == b"*/*"
    assert len(dict(fields)) == len(fields)
    assert dict(provider().headers(call(), []))[b"content-type"] == b"application/json"


def test_an_older_azure_names_the_deployment_for_sound_too():
    made = provider(type="azure", base_url="https://x.openai.azure.com", options={"api_version": "2024-10-21"})
    expected = b"/openai/deployments/m/audio/speech?api-version=2024-10-21"
    assert made.target(call(dialect="openai_speech")) == expected
