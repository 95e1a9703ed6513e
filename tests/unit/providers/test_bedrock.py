"""The Bedrock provider: where a model is, how the mesh proves itself, and what errors become."""

import json
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from heddle import plugins
from heddle.controlplane.prices import price_table
from heddle.model.call import ModelCall, Usage
from heddle.model.provider import HttpProvider, OptionError, Signing
from heddle.model.snapshot import ProviderSpec
from heddle.providers.bedrock import build
from heddle.telemetry.cost import Pricer
from heddle.wire.llm.codecs import CODECS, VENDORS

KEY = "bedrock-api-key-very-secret"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ID = "AKIDEXAMPLE12345"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
BASE = "https://bedrock-runtime.eu-west-1.amazonaws.com"
DOCUMENT = json.dumps({"Version": 1, "AccessKeyId": ID, "SecretAccessKey": SECRET, "SessionToken": "tok/en=="})


def provider(**fields):
    fields = {"credential": KEY, "options": {"region": "eu-west-1"}, **fields}
    return build(ProviderSpec(name="aws", type="bedrock", **fields))


def signed(**fields):
    options = {"region": "eu-west-1", "access_key_id": ID}
    return provider(**{"credential": SECRET, "options": options, **fields})


def call(model="m", stream=False):
    return ModelCall(
        operation="chat", dialect="bedrock_converse", model="asked", upstream_model=model, body=b"{}", stream=stream
    )


def test_it_is_a_provider_over_http_that_the_registries_know():
    one = provider()
    assert isinstance(one, HttpProvider)
    assert not isinstance(one, Signing)
    assert isinstance(signed(), HttpProvider)
    assert isinstance(signed(), Signing)
    assert plugins.load("providers", "bedrock") is build
    assert one.dialects <= set(CODECS)
    assert one.speaks in VENDORS


@pytest.mark.parametrize(
    ("model", "stream", "target"),
    [
        ("m", False, b"/model/m/converse"),
        ("m", True, b"/model/m/converse-stream"),
        ("", False, b"/model/asked/converse"),
        ("anthropic.claude-3:0", False, b"/model/anthropic.claude-3%3A0/converse"),
        ("arn:aws:bedrock:x:1:y/z", True, b"/model/arn%3Aaws%3Abedrock%3Ax%3A1%3Ay%2Fz/converse-stream"),
        ("a b?c#d%é", False, b"/model/a%20b%3Fc%23d%25%C3%A9/converse"),
    ],
)
def test_the_model_is_one_segment_of_the_path(model, stream, target):
    assert provider().target(call(model, stream)) == target
    under = provider(base_url="http://127.0.0.1:9/a/b/")
    assert under.target(call(model, stream)) == b"/a/b" + target


@pytest.mark.parametrize(
    ("region", "base_url"),
    [
        ("eu-west-1", BASE),
        ("us-gov-west-1", "https://bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("eusc-de-east-1", "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu"),
        ("cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_region_names_the_default_base_url(region, base_url):
    assert provider(options={"region": region}).base_url == base_url


def test_a_bearer_key():
    sent = dict(provider().headers(call(), [(b"authorization", b"AWS4-HMAC-SHA256 caller"), (b"cookie", b"a")]))
    assert sent.pop(b"user-agent").startswith(b"heddle/")
    assert sent == {
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"accept-encoding": b"identity",
        b"authorization": b"Bearer " + KEY.encode(),
    }
    assert dict(provider().headers(call(stream=True), []))[b"accept"] == b"application/vnd.amazon.eventstream"
    assert b"authorization" not in dict(provider(credential="").headers(call(), []))


def test_headers_are_a_new_list_each_time():
    one = provider()
    one.headers(call(), []).append((b"x", b"y"))
    assert (b"x", b"y") not in one.headers(call(), [])


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({}, None),
        ({"credential": DOCUMENT, "options": {"region": "eu-west-1"}}, "tok/en=="),
        ({"base_url": BASE, "options": {"access_key_id": ID}}, None),
    ],
)
def test_a_request_is_signed_as_botocore_signs_it(fields, token):
    one, body = signed(**fields), b'{"messages":[]}'
    target = one.target(call("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude:0", True))
    given = [*one.headers(call(), []), (b"traceparent", b"00-1")]
    sent = one.sign(target, given, body, NOW)
    assert sent[: len(given)] == given
    names = [name for name, _ in sent]
    assert b"host" not in names, "the client writes it"
    assert len(names) == len(set(names))
    request = AWSRequest("POST", BASE + target.decode(), {"content-type": "application/json"}, body)
    with patch("botocore.auth.get_current_datetime", return_value=datetime.fromtimestamp(NOW, UTC)):
        SigV4Auth(Credentials(ID, SECRET, token), "bedrock", "eu-west-1").add_auth(request)
    assert dict(sent)[b"authorization"].decode() == request.headers["Authorization"]
    assert dict(sent).get(b"x-amz-security-token", b"").decode() == (token or "")


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("http://127.0.0.1:8080/x", "127.0.0.1:8080"),
        ("https://Example.com:443", "example.com"),
        ("http://[::1]:80", "[::1]"),
        ("https://[::1]:80", "[::1]:80"),
    ],
)
def test_the_host_that_is_signed_is_the_one_that_is_sent(base_url, host):
    from heddle.net.origin import Address  # noqa: PLC0415

    one = signed(base_url=base_url)
    request = AWSRequest("POST", f"http://x{one.target(call()).decode()}", {"content-type": "a", "host": host}, b"")
    with patch("botocore.auth.get_current_datetime", return_value=datetime.fromtimestamp(NOW, UTC)):
        SigV4Auth(Credentials(ID, SECRET), "bedrock", "eu-west-1").add_auth(request)
    sent = dict(one.sign(one.target(call()), [(b"content-type", b"a")], b"", NOW))
    assert sent[b"authorization"].decode() == request.headers["Authorization"]
    scheme, _, rest = base_url.partition("://")
    bare, port = ("::1", 80) if "[" in rest else (host.partition(":")[0], int(host.partition(":")[2] or 443))
    assert Address(scheme, bare, port).authority == host


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"options": {}}, OptionError, "options.region: this is required"),
        ({"options": {"region": "Frankfurt"}}, OptionError, "options.region: expected the name"),
        ({"options": {"region": "a.evil.com/"}}, OptionError, "options.region: expected the name"),
        ({"options": {"regoin": "x"}}, OptionError, "did you mean region"),
        ({"options": {"region": "eu-west-1", "access_key_id": "short"}}, OptionError, "16 to 128"),
        ({"base_url": "https://proxy", "options": {"access_key_id": ID}}, OptionError, "required to sign"),
        ({"base_url": "ftp://x"}, ValueError, "base_url"),
        ({"credential": "a b"}, ValueError, "no header can carry"),
        ({"credential": '{"AccessKeyId": "very-secret"'}, ValueError, "no JSON with AccessKeyId"),
        ({"credential": '{"AccessKeyId": "very-secret"}'}, ValueError, "no JSON with AccessKeyId"),
    ],
)
def test_what_cannot_be_configured(fields, error, said):
    with pytest.raises(error, match=said) as caught:
        provider(**fields)
    assert "very-secret" not in str(caught.value)
    assert caught.value.__cause__ is None or "very-secret" not in str(caught.value.__cause__)


def test_options_are_checked_without_the_secret():
    assert isinstance(signed(credential=""), Signing)
    with pytest.raises(OptionError, match="access_key_id"):
        signed(credential="", options={"region": "eu-west-1", "access_key_id": "short"})


def test_no_representation_shows_a_secret():
    for one in (provider(), signed(), signed(credential=DOCUMENT)):
        assert repr(one) in (f"Bedrock({BASE})", f"SignedBedrock({BASE})")


def test_only_the_request_id_of_an_answer_passes():
    fields = [(b"x-amzn-requestid", b"r"), (b"date", b"d"), (b"x-amzn-bedrock-cache", b"c"), (b"set-cookie", b"s")]
    assert provider().answer_headers(fields) == [(b"x-amzn-requestid", b"r")]


# Errors


def failed(status, name="", message="words", headers=(), one=None):
    fields = [(b"x-amzn-errortype", name.encode()), (b"x-amzn-requestid", b"r"), *headers]
    return (one or provider()).read_failure(status, fields, json.dumps({"message": message}).encode())


@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (429, "ThrottlingException", "Too many tokens, please wait before trying again.", "rate_limit"),
        (429, "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/", "slow", "rate_limit"),
        (429, "ThrottlingException", "Too many tokens per day, please wait before trying again.", "quota"),
        (429, "ModelNotReadyException", "m", "overloaded"),
        (429, "", "m", "rate_limit"),
        (400, "ServiceQuotaExceededException", "m", "quota"),
        (400, "ValidationException", "Input is too long for requested model.", "context_length"),
        (400, "com.amazon#ValidationException", "prompt is too long: 209303 tokens > 200000 maximum", "context_length"),
        (400, "ValidationException", "Too many input tokens. Max input tokens: 1", "context_length"),
        (400, "ValidationException", "input length and `max_tokens` exceed context limit: 1 + 2", "context_length"),
        (400, "ValidationException", "This model's maximum context length is 8192 tokens", "context_length"),
        (400, "ValidationException", "The provided model identifier is invalid.", "not_found"),
        (400, "ValidationException", "roles must alternate", "bad_request"),
        (404, "ResourceNotFoundException", "m", "not_found"),
    ],
)
def test_the_callers_own_mistakes_are_told_in_bedrocks_words(status, name, message, kind):
    read = failed(status, name, message)
    assert (read.status, read.kind, read.message) == (status, kind, message)
    assert json.loads(read.body) == {"message": message}
    plain = name.partition(":")[0].rpartition("#")[2]
    assert read.headers == [(b"x-amzn-requestid", b"r")] + ([(b"x-amzn-errortype", plain.encode())] if plain else [])


@pytest.mark.parametrize(
    ("status", "name", "told", "kind"),
    [
        (403, "AccessDeniedException", 502, "credential"),
        (403, "", 502, "credential"),
        (401, "", 502, "credential"),
        (400, "ExpiredTokenException", 502, "credential"),
        (400, "UnrecognizedClientException", 502, "credential"),
        (408, "ModelTimeoutException", 504, "overloaded"),
        (424, "ModelErrorException", 502, ""),
        (500, "InternalServerException", 500, ""),
        (503, "ServiceUnavailableException", 503, "overloaded"),
        (503, "", 503, "overloaded"),
        (302, "", 502, ""),
    ],
)
def test_anything_else_is_told_in_ours(status, name, told, kind):
    read = failed(status, name, "User: arn:aws:iam::123456789012:user/x is not authorized")
    assert (read.status, read.kind, read.body, read.message) == (told, kind, None, "")
    assert "arn" not in read.detail
    assert (b"x-amzn-errortype", name.encode()) not in read.headers


@pytest.mark.parametrize(
    ("message", "one"),
    [
        ("User arn:aws:sts::1:assumed-role/x may not", None),
        (f"bad key {KEY}", None),
        (f"bad key {SECRET}", signed()),
        ("bad token tok/en==", signed(credential=DOCUMENT)),
    ],
)
def test_what_quotes_accounts_or_secrets_is_not_shown(message, one):
    read = failed(400, "ValidationException", message, one=one)
    assert (read.status, read.body, read.message) == (400, None, "")


@pytest.mark.parametrize(
    ("value", "wait_s"), [(b"7", 7.0), (b"", None), (b"-1", None), (b"soon", None), (b"9" * 400, None), (b"\xb2", None)]
)
def test_how_long_to_wait(value, wait_s):
    read = failed(429, "ThrottlingException", headers=[(b"retry-after", value)])
    assert read.retry_after_s == wait_s
    assert ((b"retry-after", value) in read.headers) == (wait_s is not None)


@pytest.mark.parametrize("body", [None, b"", b"<html>", b"[]", b"\xff", b'{"message":5}', b"[" * 5000])
@pytest.mark.parametrize("status", [400, 429, 503, 599, 700])
def test_bodies_that_cannot_be_read(status, body):
    read = provider().read_failure(status, [(b"x-amzn-errortype", b"<b>\xff")], body)
    assert read.detail
    assert read.message == ""


def test_the_name_and_message_of_older_services_are_found():
    body = b'{"__type":"com.amazon.coral#ValidationException","Message":"Input is too long"}'
    read = provider().read_failure(400, [], body)
    assert (read.kind, read.message) == ("context_length", "Input is too long")
    assert (b"x-amzn-errortype", b"ValidationException") in read.headers


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "eu.amazon.nova-pro-v1:0",
    ],
)
def test_models_have_prices_whatever_stands_before_their_name(model):
    pricer = Pricer({"aws": price_table("bedrock")})
    assert pricer.cost("aws", model, Usage(input_tokens=1000, output_tokens=10))
