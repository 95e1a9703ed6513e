"""What an abuser, or a tired operator, would try: each is refused or said loudly."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from heddle.controlplane.load import load

OPEN = "listeners: [{name: llm, address: '0.0.0.0', port: 8080}]\n"
LOCAL = "listeners: [{name: llm, port: 8080}]\n"
PROVIDER = "llm: {providers: [{name: p, type: scripted}]}\n"
KEY = "security: {authentication: {type: api_key, keys: [{key_sha256: " + "a" * 64 + ", tenant: t}]}}\n"
NONE = "security: {authentication: {type: none}}\n"
ALLOW = "authorization: {policies: [{name: a, action: allow}]}\n"


def problems(folder: Path, text: str, severity: str = "error") -> str:
    (folder / "config.yaml").write_text(text)
    loaded = load([folder / "config.yaml"], environ={}, now_s=1_800_000_000)
    assert (loaded.snapshot is None) == any(one.severity == "error" for one in loaded.problems)
    return "\n".join(one.line_text() for one in loaded.problems if one.severity == severity)


def test_a_guarded_open_listener_is_fine(tmp_path: Path):
    assert problems(tmp_path, OPEN + PROVIDER + KEY + ALLOW) == ""


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1", "169.254.1.1"]
)
def test_nobody_is_let_in_beyond_loopback(tmp_path: Path, address: str):
    text = OPEN.replace("0.0.0.0", address) + PROVIDER + ALLOW
    assert "lets anybody use listener `llm`" in problems(tmp_path, text + NONE)
    mixed = KEY.replace("{type: api_key", "[{type: none}, {type: api_key").replace("}]}}", "}]}]}")
    assert "lets anybody use" in problems(tmp_path, text + mixed)
    assert "has no authentication" in problems(tmp_path, text)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_may_be_anonymous(tmp_path: Path, address: str):
    assert problems(tmp_path, OPEN.replace("0.0.0.0", address) + PROVIDER + NONE) == ""


@pytest.mark.parametrize(
    "address",
    ["127.1", "0x7f000001", "2130706433", "loopback", "localhost.", "LOCALHOST", "::1%lo", "", "*", "127.0.0.1 "],
)
def test_no_other_way_to_write_loopback(tmp_path: Path, address: str):
    assert "expected an" in problems(tmp_path, OPEN.replace("0.0.0.0", address) + PROVIDER + NONE)


@pytest.mark.parametrize(
    "policies",
    [
        "",
        "authorization: {policies: []}\n",
        "authorization: {policies: [{name: a, action: allow, mode: audit}]}\n",
        "authorization: {policies: [{name: a, action: allow, listener: other}]}\n",
    ],
)
def test_an_open_listener_needs_a_policy_that_is_enforced(tmp_path: Path, policies: str):
    listeners = "listeners: [{name: llm, address: '::', port: 8080}, {name: other, port: 8081}]\n"
    assert "has no authorization policy that is enforced" in problems(tmp_path, listeners + PROVIDER + KEY + policies)


def test_a_resource_of_another_kind_does_not_widen_a_rule(tmp_path: Path):
    """Left out, the rule would have no resources, and so be about every model."""
    text = LOCAL + PROVIDER + KEY + "authorization: {policies: [{name: a, action: allow, resources: ['agent:read']}]}\n"
    assert "not active yet" in problems(tmp_path, text)


@pytest.mark.parametrize("field", ["allowed_namespaces:", "allowed_namespaces: ~", "allowed_namespaces: null"])
def test_a_list_whose_lines_were_commented_out_does_not_mean_everybody(tmp_path: Path, field: str):
    text = f"security: {{authentication: {{type: kubernetes, {field} }}}}\n"
    assert "is empty, expected a list" in problems(tmp_path, LOCAL + PROVIDER + text)


def test_no_models_is_not_every_model(tmp_path: Path):
    text = LOCAL + PROVIDER + KEY.replace("tenant: t", "models: ")
    assert "is empty" in problems(tmp_path, text)


def test_only_denies_refuse_everything_and_say_so(tmp_path: Path):
    text = LOCAL + PROVIDER + KEY + "authorization: {policies: [{name: a, action: deny, match: {user: bob}}]}\n"
    assert "the global level holds only denies" in problems(tmp_path, text, "warning")


@pytest.mark.parametrize(
    "url", ["http://idp.example.com/jwks", "http://127.0.0.1.example.com/jwks", "http://localhost.example.com/jwks"]
)
def test_keys_are_not_fetched_in_the_clear(tmp_path: Path, url: str):
    issuer = f"{{issuer: i, audiences: [a], jwks: {{url: '{url}'}}}}"
    text = f"security: {{authentication: {{type: jwt, issuers: [{issuer}]}}}}\n"
    assert "must be https" in problems(tmp_path, LOCAL + PROVIDER + text)
    assert problems(tmp_path, LOCAL + PROVIDER + text.replace(url, "http://127.0.0.1:8000/jwks")) == ""


@pytest.mark.parametrize("algorithm", ["none", "HS256", "hs512", "RS1"])
def test_forgeable_algorithms_are_refused(tmp_path: Path, algorithm: str):
    issuer = f"{{issuer: i, audiences: [a], jwks: {{url: 'https://i/jwks'}}, algorithms: [{algorithm}]}}"
    text = f"security: {{authentication: {{type: jwt, issuers: [{issuer}]}}}}\n"
    assert "algorithms[0]: expected" in problems(tmp_path, LOCAL + PROVIDER + text)


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "a/b", "/etc", "A", ".ssh", "a\\0", "x" * 300])
def test_a_secret_name_is_no_path(tmp_path: Path, name: str):
    text = f'llm: {{providers: [{{name: p, type: openai, api_key_secret: "{name}"}}]}}\n'
    assert "api_key_secret: expected" in problems(tmp_path, LOCAL + text + NONE)


@pytest.mark.parametrize(
    "field", ["user: ' a'", 'user: "a\\nb"', "tenant: a/b", "tenant: ..", "agent: 'a b'", "tenant: ../x", "agent: ä"]
)
def test_names_that_no_identity_can_carry(tmp_path: Path, field: str):
    text = KEY.replace("tenant: t", field)
    assert "expected" in problems(tmp_path, LOCAL + PROVIDER + text)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "https://u:p@h/v1",
        "https://h/v1?key=1",
        "https://h/#x",
        "ftp://h",
        "h",
        "https://",
        "https://h:0/",
        "https://h:99999/",
        "https://h /",
        "https://a..b/",
    ],
)
def test_base_urls_that_cannot_be_meant(tmp_path: Path, url: str):
    text = f"llm: {{providers: [{{name: p, type: openai, base_url: '{url}'}}]}}\n"
    assert "base_url: expected a URL" in problems(tmp_path, LOCAL + text + NONE)


def test_believing_everybody_is_said_loudly(tmp_path: Path):
    text = LOCAL.replace("port: 8080", "port: 8080, trusted_proxies: ['0.0.0.0/0', '::/0']")
    assert problems(tmp_path, text + PROVIDER + NONE, "warning").count("believes everybody") == 2


def test_bounds_cannot_be_turned_off(tmp_path: Path):
    for bound in (
        "max_connections: 0",
        "head_timeout: 0s",
        "max_body_bytes: 0",
        "idle_timeout: '0'",
        "write_timeout: 0ms",
    ):
        text = LOCAL.replace("port: 8080", f"port: 8080, limits: {{{bound}}}")
        assert "limits." in problems(tmp_path, text + PROVIDER + NONE), bound


def test_a_private_key_that_is_not_there(tmp_path: Path):
    text = LOCAL.replace("port: 8080", "port: 8080, tls: {cert_file: c.pem, key_file: k.pem}")
    found = problems(tmp_path, text + PROVIDER + NONE)
    assert found.count("there is no file") == 2


def test_an_inline_key_set_must_hold_public_keys(tmp_path: Path):
    issuer = "{issuer: i, audiences: [a], jwks: {inline: {keys: [{kty: oct, k: c2VjcmV0}]}}}"
    text = f"security: {{authentication: {{type: jwt, issuers: [{issuer}]}}}}\n"
    found = problems(tmp_path, LOCAL + PROVIDER + text)
    assert "no usable key" in found
    assert "c2VjcmV0" not in found


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_the_digest_of_an_empty_key_is_refused(tmp_path: Path, spelled: Callable[[str], str]):
    """`printf %s "$KEY" | sha256sum` with KEY unset: it would let in whoever presents nothing."""
    digest = spelled(hashlib.sha256(b"").hexdigest())
    found = problems(tmp_path, LOCAL + PROVIDER + KEY.replace("a" * 64, f'"{digest}"'))
    assert "keys[0].key_sha256: is the digest of an empty key" in found
    assert digest not in found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "https://x.example/v1?api_key=planted"),
        ("base_url", "x.example/v1?api_key=planted"),
        ("base_url", "https://x.example/v1#planted"),
        ("proxy", "http://proxy.example:3128/?token=planted"),
    ],
)
def test_what_follows_the_question_mark_of_a_url_is_not_repeated(tmp_path: Path, field: str, value: str):
    provider = f"llm: {{providers: [{{name: p, type: openai, {field}: '{value}'}}]}}\n"
    found = problems(tmp_path, LOCAL + provider + KEY)
    assert "planted" not in found
    assert f"providers[0].{field}: expected a URL" in found
    assert "example" in found, "the rest of it helps to find the mistake"


def test_an_endpoint_is_not_repeated_beyond_its_question_mark_either(tmp_path: Path):
    tracing = "observability: {tracing: {endpoint: 'collector:4317?key=planted'}}\n"
    found = problems(tmp_path, LOCAL + PROVIDER + KEY + tracing)
    assert "planted" not in found
    assert 'got "collector:4317?..."' in found
