"""The two metadata documents: where they are, whose they are, and what is none."""

import json

import pytest

from heddle.identity.oauth.documents import (
    canonical,
    covers,
    origin_of,
    read_resource,
    read_server,
    resource_candidates,
    server_candidates,
)
from heddle.identity.oauth.errors import OAuthError

SERVER = {"issuer": "https://as.example", "token_endpoint": "https://as.example/token"}


def test_where_a_resource_is_described() -> None:
    named = "https://rs.example/meta"
    assert resource_candidates("https://rs.example/mcp/a", named) == [
        named,
        "https://rs.example/.well-known/oauth-protected-resource/mcp/a",
        "https://rs.example/.well-known/oauth-protected-resource",
    ]
    assert resource_candidates("https://rs.example/") == ["https://rs.example/.well-known/oauth-protected-resource"]


def test_where_a_server_is_described() -> None:
    assert server_candidates("https://as.example/t/1/") == [
        "https://as.example/.well-known/oauth-authorization-server/t/1",
        "https://as.example/.well-known/openid-configuration/t/1",
        "https://as.example/t/1/.well-known/openid-configuration",
    ]
    assert server_candidates("https://as.example") == [
        "https://as.example/.well-known/oauth-authorization-server",
        "https://as.example/.well-known/openid-configuration",
    ]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTPS://A.example:443/Mcp/", "https://a.example/Mcp"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:8080/x?y=1", "http://a.example:8080/x?y=1"),
        ("https://[::1]:8443/", "https://[::1]:8443"),
    ],
)
def test_canonical(url: str, expected: str) -> None:
    assert canonical(url) == expected


@pytest.mark.parametrize("url", ["", "x", "ftp://a/", "https://", "https://a:99999/", "api://abc"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError):
        origin_of(url)


@pytest.mark.parametrize(
    ("resource", "url", "expected"),
    [
        ("https://a/mcp", "https://a/mcp", True),
        ("https://a/mcp/", "https://a/mcp", True),
        ("https://a", "https://a/mcp", True),
        ("https://a/mcp", "https://a/mcp/x", True),
        ("https://A:443/mcp", "https://a/mcp", True),
        ("https://a/mc", "https://a/mcp", False),
        ("https://a/mcp/x", "https://a/mcp", False),
        ("http://a/mcp", "https://a/mcp", False),
        ("https://b/mcp", "https://a/mcp", False),
        ("https://a:8443/mcp", "https://a/mcp", False),
        ("https://a/mcp#x", "https://a/mcp", False),
        ("https://a/mcp?x=1", "https://a/mcp", False),
        ("https://a/mcp?x=1", "https://a/mcp?x=1", True),
        ("https://a/MCP", "https://a/mcp", False),
        ("nonsense", "https://a/mcp", False),
        ("https://[", "https://a/mcp", False),
    ],
)
def test_a_resource_covers_itself_and_what_is_below(resource: str, url: str, expected: bool) -> None:
    assert covers(resource, url) is expected


def test_a_good_document() -> None:
    body = json.dumps({**SERVER, "scopes_supported": None, "other": {"x": [1]}}).encode()
    found = read_server(body, "https://as.example")
    assert found.token_endpoint == "https://as.example/token"
    assert found.code_challenge_methods_supported is None


@pytest.mark.parametrize("issuer", ["https://as.example/", "https://AS.example", "http://as.example", ""])
def test_issuers_are_compared_byte_by_byte(issuer: str) -> None:
    with pytest.raises(OAuthError, match="another issuer"):
        read_server(json.dumps(SERVER).encode(), issuer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"issuer": 5}',
        b'{"issuer": "https://as.example", "issuer": "https://as.example"}',
        b'{"issuer": "https://as.example", "token_endpoint": []}',
        b'{"issuer": "https://as.example", "code_challenge_methods_supported": "S256"}',
        b'{"issuer": "https://as.example", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'\xff{"issuer": "https://as.example"}',
        json.dumps({**SERVER, "token_endpoint": "https://as.example/" + "x" * 3000}).encode(),
        json.dumps({**SERVER, "scopes_supported": ["x"] * 2000}).encode(),
    ],
)
def test_garbage_is_refused(body: bytes) -> None:
    with pytest.raises(OAuthError):
        read_server(body, "https://as.example")


def test_a_resource_names_its_servers() -> None:
    body = {"resource": "https://a/mcp", "authorization_servers": ["https://as.example"]}
    assert read_resource(json.dumps(body).encode()).scopes_supported is None
    for servers in ([], None):
        with pytest.raises(OAuthError, match="no authorization server"):
            read_resource(json.dumps({**body, "authorization_servers": servers}).encode())
