"""OpenAPI documents: where they may come from, and what they may be."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from heddle.controlplane.api_documents import ApiFacts, DocumentError, api_facts, read_api_document
from heddle.controlplane.load import load
from heddle.controlplane.yamldoc import MAX_BYTES
from heddle.model.config_mcp_targets import ApiDocument, OpenApi

JSON = '{"openapi": "3.0.0", "info": {"title": "t", "version": "1"}, "paths": {}}'
ANSWERS: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "/openapi.json": (200, JSON.encode(), {}),
    "/openapi.yaml": (200, b"openapi: 3.1.0\npaths: {}\n", {}),
    "/gone": (404, b"{}", {}),
    "/moved": (302, b"", {"location": "/openapi.json"}),
    "/large": (200, b" " * (MAX_BYTES + 1), {}),
    "/short": (200, JSON[:20].encode(), {}),
    "/latin": (200, b"openapi: \xe9\n", {}),
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body, headers = ANSWERS[self.path]
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(timeout=5)


def fetch(url: str) -> dict[str, object]:
    return read_api_document(ApiDocument(url=url), ".")


def test_json_and_yaml_are_fetched(base: str):
    assert fetch(f"{base}/openapi.json")["openapi"] == "3.0.0"
    assert fetch(f"{base}/openapi.yaml") == {"openapi": "3.1.0", "paths": {}}


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/gone", "answered with status 404"),
        ("/moved", "answered with status 302"),
        ("/large", "is larger than 4 MiB"),
        ("/latin", "is not UTF-8 text"),
    ],
)
def test_what_is_fetched_may_be_refused(base: str, path: str, why: str):
    with pytest.raises(DocumentError, match=why):
        fetch(base + path)


def test_half_a_document_is_none(base: str):
    with pytest.raises(DocumentError, match="not valid JSON"):
        fetch(f"{base}/short")


def test_nobody_answers():
    with pytest.raises(DocumentError, match=r"127\.0\.0\.1:9 cannot be fetched"):
        fetch("http://127.0.0.1:9/openapi.json")


def test_a_document_that_drips_is_given_up(base: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("heddle.controlplane.api_documents.TOTAL_S", -1.0)
    with pytest.raises(DocumentError, match="cannot be fetched: not complete"):
        fetch(f"{base}/openapi.json")


def test_no_proxy_of_the_environment_is_asked(base: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert fetch(f"{base}/openapi.json")["openapi"] == "3.0.0"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[1]", "expected a mapping"),
        ("a: 1\n---\nb: 2\n", "expected one document, found 2"),
        ("", "expected one document, found 0"),
        ("a: *x", "aliases"),
        ("a: &x 1", "anchors"),
        ('{"a": 1, "a": 2}', "repeats a key"),
        ('{"a": ' + "[" * 300 + "]" * 300 + "}", "not valid JSON"),
        ("a: " + "[" * 100_000, "nested deeper"),
    ],
)
def test_a_document_is_plain_data(text: str, why: str, tmp_path: Path):
    (tmp_path / "api").write_text(text)
    with pytest.raises(DocumentError, match=why):
        read_api_document(ApiDocument(file="api"), str(tmp_path))


def test_a_file_that_is_gone(tmp_path: Path):
    with pytest.raises(DocumentError, match="cannot be read: No such file"):
        read_api_document(ApiDocument(file="api"), str(tmp_path))


OPERATION = {"responses": {"200": {"description": "fine"}}}


def document(**fields: object) -> dict[str, object]:
    paths = {f"/{name}": {"get": {"operationId": name, **OPERATION}} for name in ("get_a", "get_b", "put_a")}
    return {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths, **fields}


def test_operations_are_counted_as_they_are_chosen():
    url = "http://127.0.0.1:1/v1"
    assert api_facts(document(), OpenApi(base_url=url)) == ApiFacts(3, url)
    assert api_facts(document(), OpenApi(base_url=url, operations=("get_*",), exclude=("*_b",))) == ApiFacts(1, url)


def test_where_an_api_is_may_stand_in_its_document():
    variables = {"stage": {"default": "v2"}}
    servers = [{"url": "https://api.example/{stage}", "variables": variables}, {"url": "https://other.example"}]
    assert api_facts(document(servers=servers), OpenApi()).base_url == "https://api.example/v2"
    for given in ({}, {"servers": [{"url": "/v1"}]}):
        with pytest.raises(DocumentError, match="give `base_url`"):
            api_facts(document(**given), OpenApi())


@pytest.mark.parametrize("where", ["path", "operation"])
def test_paths_elsewhere_need_a_word_of_the_operator(where: str):
    here, there = [{"url": "https://api.example"}], [{"url": "https://api.example/other"}]
    operation = {"get": {"operationId": "a", **OPERATION, **({"servers": there} if where == "operation" else {})}}
    paths = {"/a": operation | ({"servers": there} if where == "path" else {})}
    with pytest.raises(DocumentError, match="give `base_url`"):
        api_facts(document(servers=here, paths=paths), OpenApi())
    url = "https://api.example/v9"
    assert api_facts(document(servers=here, paths=paths), OpenApi(base_url=url)) == ApiFacts(1, url)


def test_a_document_is_not_fetched_in_the_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Refused before anybody is asked."""
    monkeypatch.setattr("heddle.controlplane.api_documents._from_url", lambda *_: pytest.fail("asked"))
    path = tmp_path / "c.yaml"
    path.write_text("mcp: {targets: [{name: a, openapi: {schema: {url: 'http://docs.example/openapi.json'}}}]}\n")
    loaded = load([path], environ={})
    assert "must be https" in "\n".join(one.message for one in loaded.problems)
