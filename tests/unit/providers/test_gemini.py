"""Gemini and Vertex AI as providers: addresses, credentials, and what their errors become."""

import base64
import json
from urllib.parse import parse_qs

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from heddle import plugins
from heddle.model.call import ModelCall
from heddle.model.provider import Adapting, HttpProvider, OptionError, Tokened
from heddle.model.snapshot import ProviderSpec
from heddle.providers.gemini import Gemini, Vertex, vertex
from heddle.wire.errors import ProtocolError

SECRET = "AIzaVerySecret"
KEY = rsa.generate_private_key(65537, 2048)


def pem(key=KEY):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def document(**fields):
    known = {
        "type": "service_account",
        "client_email": "me@p.iam.gserviceaccount.com",
        "private_key_id": "k1",
        "private_key": pem(),
        "token_uri": "https://oauth2.googleapis.com/token",
        "project_id": "from-key",
    }
    return json.dumps({**known, **fields})


def gemini(**fields):
    return Gemini(ProviderSpec(name="g", type="gemini", **{"credential": SECRET, **fields}))


def on_vertex(credential="ya29.token", base_url="", **options):
    return vertex(ProviderSpec(name="v", type="vertex", credential=credential, base_url=base_url, options=options))


def call(model="gemini-3-pro", dialect="gemini", stream=False):
    return ModelCall(operation="chat", dialect=dialect, model="x", upstream_model=model, body=b"{}", stream=stream)


def test_they_are_providers_over_http():
    assert isinstance(gemini(), HttpProvider)
    assert isinstance(on_vertex(project="p"), HttpProvider)
    assert not isinstance(on_vertex(project="p"), Tokened)
    assert plugins.load("providers", "gemini") is Gemini
    assert plugins.load("providers", "vertex") is vertex


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        (call(), b"/v1beta/models/gemini-3-pro:generateContent"),
        (call(stream=True), b"/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse"),
        (call(dialect="gemini_count"), b"/v1beta/models/gemini-3-pro:countTokens"),
        (call(dialect="gemini_embeddings"), b"/v1beta/models/gemini-3-pro:batchEmbedContents"),
        (call(dialect="gemini_embed_content"), b"/v1beta/models/gemini-3-pro:embedContent"),
        (call("tunedModels/mine"), b"/v1beta/tunedModels/mine:generateContent"),
        (call("models/x"), b"/v1beta/models/x:generateContent"),
        (call("../a?b#c:d/é"), b"/v1beta/models/..%2Fa%3Fb%23c%3Ad%2F%C3%A9:generateContent"),
        (call(""), b"/v1beta/models/x:generateContent"),
    ],
)
def test_the_model_is_in_the_path(asked, target):
    assert gemini().target(asked) == target


@pytest.mark.parametrize(
    ("provider", "model", "known"),
    [
        (gemini(), "models/g", "g"),
        (gemini(), "models/models/g", "g"),
        (gemini(), "google/g", "google/g"),
        (gemini(), "tunedModels/g", "tunedModels/g"),
        (gemini(), "models/", "models/"),
        (on_vertex(project="p"), "google/google/g", "g"),
        (on_vertex(project="p"), "meta/g", "meta/g"),
        (on_vertex(project="p"), "models/g", "models/g"),
    ],
)
def test_names_of_one_model_are_spelled_alike(provider, model, known):
    assert provider.spell(model) == known == provider.spell(known)


@pytest.mark.parametrize(
    ("options", "base_url", "model", "target"),
    [
        ({}, "https://aiplatform.googleapis.com/v1", "g", "/v1/projects/p/locations/global/publishers/google/models/g"),
        (
            {"location": "europe-west4"},
            "https://europe-west4-aiplatform.googleapis.com/v1",
            "meta/llama",
            "/v1/projects/p/locations/europe-west4/publishers/meta/models/llama",
        ),
        (
            {"location": "eu"},
            "https://aiplatform.eu.rep.googleapis.com/v1",
            "../g",
            "/v1/projects/p/locations/eu/publishers/google/models/..%2Fg",
        ),
    ],
)
def test_the_location_is_in_host_and_path(options, base_url, model, target):
    provider = on_vertex(project="p", **options)
    assert provider.base_url == base_url
    assert provider.target(call(model)).decode() == f"{target}:generateContent"


def test_another_address():
    assert gemini(base_url="http://127.0.0.1:1/x/").target(call()) == b"/x/models/gemini-3-pro:generateContent"
    target = on_vertex(base_url="http://127.0.0.1:1", project="p").target(call("g"))
    assert target == b"/projects/p/locations/global/publishers/google/models/g:generateContent"


def test_nothing_of_the_caller_passes():
    caller = [(b"x-goog-api-key", b"caller"), (b"authorization", b"Bearer caller"), (b"x-goog-user-project", b"theirs")]
    fields = gemini().headers(call(stream=True), caller)
    assert dict(fields)[b"x-goog-api-key"] == SECRET.encode()
    assert dict(fields)[b"accept"] == b"text/event-stream"
    fields += on_vertex(project="p").headers(call(), caller)
    assert [value for name, value in fields if name == b"authorization"] == [b"Bearer ya29.token"]
    assert not [field for field in fields if b"caller" in field[1] or field[0] == b"x-goog-user-project"]
    assert dict(gemini(credential="").headers(call(), caller)).get(b"x-goog-api-key") is None


def test_secrets_are_in_no_repr():
    for provider in (gemini(), on_vertex(project="p"), on_vertex(credential=document())):
        assert SECRET not in repr(provider)
        assert "ya29" not in repr(provider)
        assert "PRIVATE" not in repr(provider)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "options.project"),
        ({"project": "p/q"}, "options.project"),
        ({"project": "p", "location": "x/../y"}, "options.location"),
        ({"project": "p", "region": "x"}, "options.region"),
    ],
)
def test_options_that_cannot_be_used(options, name):
    with pytest.raises(OptionError, match=name):
        on_vertex(**options)
    with pytest.raises(OptionError, match=r"options\.x"):
        gemini(options={"x": 1})


@pytest.mark.parametrize("credential", ["a b", "a\nb", "é"])
def test_credentials_that_no_header_can_carry(credential):
    with pytest.raises(ValueError, match="no header"):
        gemini(credential=credential)


FLAT = b'{"requests":[{"model":"models/e","content":{"parts":[{"text":"\\u00e9"}]},"taskType":"X"},{"content":{}}]}'
NESTED = (
    b'{"requests":[{"content":{"parts":[{"text":"\\u00e9"}]},"embedContentConfig":{"taskType":"X"}},{"content":{}}]}'
)


@pytest.mark.parametrize(
    ("body", "at_google", "at_vertex"),
    [
        (FLAT, FLAT, NESTED),
        (NESTED, NESTED.replace(b'"embedContentConfig":{"taskType":"X"}', b'"taskType":"X"'), NESTED),
        (
            b'{"content":{},"output_dimensionality":8,"embed_content_config":{"title":"t"}}',
            b'{"content":{},"outputDimensionality":8,"title":"t"}',
            b'{"content":{},"embedContentConfig":{"outputDimensionality":8,"title":"t"}}',
        ),
        (b'{"content": {}}', b'{"content": {}}', b'{"content": {}}'),
        (b'{"embedContentConfig":3}', b'{"embedContentConfig":3}', b'{"embedContentConfig":3}'),
    ],
)
def test_the_settings_of_embeddings_stand_where_the_address_has_them(body, at_google, at_vertex):
    asked = call(dialect="gemini_embeddings")
    assert isinstance(gemini(), Adapting)
    assert gemini().adapt(body, asked, False) == (at_google, ())
    assert on_vertex(project="p").adapt(body, asked, True) == (at_vertex, ())
    assert on_vertex(project="p").adapt(FLAT, call(), False) == (FLAT, ())


# Service accounts


def decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))


def test_a_key_is_exchanged_for_tokens():
    provider = on_vertex(credential=document())
    assert isinstance(provider, Tokened)
    assert isinstance(provider, Vertex)
    assert b"authorization" not in dict(provider.headers(call(), []))
    assert b"/projects/from-key/" in provider.target(call())
    asked = provider.token_request(1000.9)
    assert asked.url == "https://oauth2.googleapis.com/token"
    assert asked.body.decode() not in repr(asked)
    form = parse_qs(asked.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    header, claims, signature = form["assertion"][0].encode().split(b".")
    assert decoded(header) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert decoded(claims) == {
        "iss": "me@p.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1000,
        "exp": 4600,
    }
    raw = base64.urlsafe_b64decode(signature + b"=" * (-len(signature) % 4))
    KEY.public_key().verify(raw, header + b"." + claims, PKCS1v15(), SHA256())


def test_a_stated_project_wins():
    assert b"/projects/mine/" in on_vertex(credential=document(), project="mine").target(call())


def test_a_key_that_is_not_at_hand_stops_nobody_else():
    spec = ProviderSpec(name="v", type="vertex", credential_error="the secret `x` is missing")
    assert b"authorization" not in dict(vertex(spec).headers(call(), []))


def test_tokens_are_read():
    provider = on_vertex(credential=document())
    body = b'{"access_token":"ya29.a","expires_in":3599,"token_type":"Bearer"}'
    assert provider.read_token(body, 100.0) == ("ya29.a", 3699.0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"access_token":""}',
        b'{"access_token":"a b"}',
        b'{"access_token":"a\\r\\nx: y"}',
        b'{"access_token":"ya29.secret","expires_in":0}',
        b'{"access_token":"ya29.secret","expires_in":"soon"}',
        b'{"access_token":"ya29.secret","expires_in":1e300}',
        b'{"access_token":"ya29.secret","token_type":"mac"}',
    ],
)
def test_what_is_no_token(body):
    with pytest.raises(ProtocolError) as caught:
        on_vertex(credential=document()).read_token(body, 0.0)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "credential",
    [
        "{",
        "{}",
        document(type="authorized_user"),
        document(private_key="secret"),
        document(private_key=pem(rsa.generate_private_key(65537, 1024))),
        document(private_key=pem(ec.generate_private_key(ec.SECP256R1()))),
    ],
)
def test_keys_that_cannot_be_used(credential):
    with pytest.raises(ValueError, match="the credential") as caught:
        on_vertex(credential=credential, project="p")
    assert "secret" not in str(caught.value)


# Failures


def error(code, status, message="m", *details):
    return msgspec.json.encode({"error": {"code": code, "message": message, "status": status, "details": details}})


def exceeded(*quotas):
    violations = [{"quotaMetric": "x", "quotaId": quota} for quota in quotas]
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "10.68s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
TOO_LONG = "The input token count (1048580) exceeds the maximum number of tokens allowed (1048576)."


@pytest.mark.parametrize(
    ("status", "body", "kind", "delay"),
    [
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", "m", exceeded("GenerateRequestsPerMinutePerProject"), RETRY),
            "rate_limit",
            10.68,
        ),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", "m", exceeded("a", "GenerateRequestsPerDayPerProject"), RETRY),
            "quota",
            None,
        ),
        (429, error(429, "RESOURCE_EXHAUSTED", "Your project has exceeded its spending cap."), "quota", None),
        (429, b"[" + error(429, "RESOURCE_EXHAUSTED", "m", RETRY) + b"]", "rate_limit", 10.68),
        (429, b"nonsense", "rate_limit", None),
        (400, error(400, "INVALID_ARGUMENT", TOO_LONG), "context_length", None),
        (400, error(400, "INVALID_ARGUMENT", "Blocked for safety reasons."), "content", None),
        (400, error(400, "INVALID_ARGUMENT"), "bad_request", None),
        (404, error(404, "NOT_FOUND"), "not_found", None),
        (503, error(503, "UNAVAILABLE", "m", RETRY), "overloaded", 10.68),
        (500, error(500, "INTERNAL"), "", None),
    ],
)
def test_what_an_error_is_about(status, body, kind, delay):
    failure = gemini().read_failure(status, [], body)
    assert (failure.status, failure.kind, failure.retry_after_s) == (status, kind, delay)
    assert failure.headers == ([] if delay is None else [(b"retry-after", b"11")])


def test_the_callers_mistakes_in_the_providers_words():
    body = error(400, "INVALID_ARGUMENT", "contents is not specified")
    failure = gemini().read_failure(400, [], body)
    assert (failure.body, failure.message) == (body, "contents is not specified")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, error(401, "UNAUTHENTICATED", f"key {SECRET}")),
        (403, error(403, "PERMISSION_DENIED")),
        (400, error(400, "INVALID_ARGUMENT", "API key not valid.", BAD_KEY)),
    ],
)
def test_the_meshs_credential_is_not_the_callers_business(status, body):
    failure = gemini().read_failure(status, [], body)
    assert (failure.status, failure.body, failure.message, failure.kind) == (502, None, "", "credential")


def test_what_quotes_the_credential_is_not_shown():
    failure = gemini().read_failure(400, [], error(400, "INVALID_ARGUMENT", f"bad {SECRET}"))
    assert (failure.body, failure.message) == (None, "")


@pytest.mark.parametrize(
    "body", [None, b"", b"[]", b"[1]", b"{}", b'{"error":1}', b'{"error":{"details":[1,{"violations":[3]}]}}']
)
def test_error_bodies_of_any_shape(body):
    assert gemini().read_failure(503, [], body).kind == "overloaded"
    assert gemini().read_failure(302, [], body).status == 502


def test_what_of_an_answer_passes():
    headers = [(b"x-gemini-service-tier", b"flex"), (b"server", b"x"), (b"set-cookie", b"y")]
    assert gemini().answer_headers(headers) == headers[:1]


@pytest.mark.parametrize(
    ("said", "field", "wait_s"),
    [((), b"7", 7.0), ((RETRY,), b"7", 10.68), ((), b"soon", None), ((), b"-1", None), ((), b"9" * 400, None)],
)
def test_a_wait_that_only_a_field_names_counts_too(said, field, wait_s):
    failure = gemini().read_failure(503, [(b"retry-after", field)], error(503, "UNAVAILABLE", "m", *said))
    assert failure.retry_after_s == wait_s
    assert len(failure.headers) == (wait_s is not None)
