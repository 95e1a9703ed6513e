"""Pages that may call: what a browser needs in every answer, refusals included; and what nonsense gets."""

import http.client
from collections.abc import Iterator

import pytest
from tests.e2e.running import CONFIG, RunningMesh, running_mesh

APP = "https://app.example"
CHAT = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}'
LIMIT = "rate_limiting:\n  - {{name: two, key: [user], limit: 2, window: 24h, limit_by: requests}}\n"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    listening = "port: {port}, protocol: HTTP"
    text = CONFIG.replace(listening, f'{listening}, origins: ["{APP}"]') + LIMIT
    with running_mesh(tmp_path_factory.mktemp("pages"), text) as running:
        yield running


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, list[tuple[str, str]]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body or None, headers=sent)
        response = connection.getresponse()
        response.read()
        return response.status, [(name.lower(), value) for name, value in response.getheaders()]
    finally:
        connection.close()


def allowed(fields: list[tuple[str, str]]) -> list[str]:
    return [value for name, value in fields if name == "access-control-allow-origin"]


def test_a_page_may_read_what_it_is_told_good_or_bad(mesh: RunningMesh) -> None:
    json = "application/json"
    good = {"authorization": "Bearer sk-test-123", "content_type": json}
    stream = CHAT[:-1] + b', "stream": true}'
    asked = [
        (200, "POST", "/v1/chat/completions", CHAT, good),
        (200, "POST", "/v1/chat/completions", stream, good),
        (429, "POST", "/v1/chat/completions", CHAT, good),
        (200, "GET", "/v1/models", b"", good),
        (401, "POST", "/v1/chat/completions", CHAT, {"content_type": json}),
        (400, "POST", "/v1/chat/completions", b"{", good),
        (403, "POST", "/v1/chat/completions", CHAT, {**good, "authorization": "Bearer sk-other-000"}),
        (404, "GET", "/nowhere", b"", good),
        (405, "GET", "/v1/chat/completions", b"", good),
        (415, "POST", "/v1/chat/completions", CHAT, {**good, "content_type": "text/plain"}),
    ]
    for expected, method, path, body, headers in asked:
        status, fields = ask(mesh.port, method, path, body, origin=APP, **headers)
        assert (status, allowed(fields)) == (expected, [APP]), (method, path, fields)
        assert "origin" in dict(fields)["vary"]


def test_a_preflight_is_answered_once(mesh: RunningMesh) -> None:
    status, fields = ask(
        mesh.port,
        "OPTIONS",
        "/v1/chat/completions",
        origin=APP,
        access_control_request_method="POST",
        access_control_request_headers="authorization, content-type",
    )
    assert (status, allowed(fields)) == (204, [APP])
    assert dict(fields)["access-control-allow-headers"] == "authorization, content-type"


def test_a_foreign_page_and_a_malformed_origin_are_refused_without_a_word_in_the_log(mesh: RunningMesh) -> None:
    before = mesh.log
    for origin in ("https://evil.example", "http://[x", "null"):
        for port, path in ((mesh.port, "/v1/models"), (mesh.admin_port, "/healthz")):
            status, fields = ask(port, "GET", path, origin=origin)
            assert (status, allowed(fields)) == (403, []), (port, origin)
    assert mesh.log == before
