"""A virtual server as a protected resource: whose tokens are refused, and how that is told."""

import json

import pytest

from heddle.identity.oauth.challenge import read_challenge
from heddle.identity.oauth.resource_server import ResourceServer, accepts_audience, covered, granted_scopes
from heddle.model.principal import ANONYMOUS, Principal
from heddle.model.snapshot_mcp import McpServerSpec, ResourceServerSpec, ServerTargetSpec, ToolSpec
from heddle.pipeline.errors import CallError, Reason

BASE = "https://mcp.example.com"
TOOLS = (ToolSpec(name="read", scopes=("tools:read",)), ToolSpec(name="rm", scopes=("tools:write", "offline_access")))
SPEC = ResourceServerSpec(
    authorization_servers=("https://as.example",), scopes=("mcp",), implied={"tools": ("tools:read", "tools:write")}
)
SERVER = McpServerSpec(name="team", path="/mcp/team", targets=(ServerTargetSpec(target="fs", tools=TOOLS),))
RESOURCE = ResourceServer(SERVER, SPEC)


def caller(**claims: object) -> Principal:
    return Principal(user="alice", method="jwt", claims={"aud": f"{BASE}/mcp/team", "scope": "mcp", **claims})


def refused(principal: Principal, *scopes: str) -> CallError:
    with pytest.raises(CallError) as caught:
        RESOURCE.check(principal, BASE, scopes)
    return caught.value


def test_the_document() -> None:
    assert json.loads(RESOURCE.document(BASE)) == {
        "resource": f"{BASE}/mcp/team",
        "authorization_servers": ["https://as.example"],
        "scopes_supported": ["mcp", "tools:read", "tools:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "team",
    }


def test_a_configured_resource_is_the_resource_whatever_the_host() -> None:
    spec = ResourceServerSpec(authorization_servers=("https://as.example",), resource="api://mesh")
    server = ResourceServer(SERVER, spec)
    assert json.loads(server.document("https://evil.example"))["resource"] == "api://mesh"
    server.check(caller(aud="api://mesh"), "https://evil.example")
    with pytest.raises(CallError):
        server.check(caller(aud="https://evil.example/mcp/team"), "https://evil.example")


def test_who_comes_without_a_token_is_told_where_to_get_one() -> None:
    name, value = RESOURCE.unauthenticated(BASE)
    found = read_challenge(value.decode())
    assert name == b"www-authenticate"
    assert found is not None
    assert found.error == ""
    assert found.scopes == ("mcp",)
    assert found.resource_metadata == f"{BASE}/.well-known/oauth-protected-resource/mcp/team"
    assert b"invalid_token" in RESOURCE.unauthenticated(BASE, invalid=True)[1]


@pytest.mark.parametrize(
    "audience",
    [
        f"{BASE}/mcp",
        f"{BASE}/mcp/team/x",
        f"{BASE}/mcp/other",
        BASE,
        "http://mcp.example.com/mcp/team",
        "heddle",
        "",
        None,
        5,
        [],
        [["https://mcp.example.com/mcp/team"]],
        {"https://mcp.example.com/mcp/team": 1},
        f"{BASE}/mcp/team/../other",
    ],
)
def test_a_token_for_somebody_else_is_refused(audience: object) -> None:
    """Another virtual server's token is somebody else's, too."""
    error = refused(caller(aud=audience))
    assert error.reason is Reason.UNAUTHENTICATED
    assert b'error="invalid_token"' in dict(error.headers)[b"www-authenticate"]


@pytest.mark.parametrize(
    "audience", [f"{BASE}/mcp/team", f"{BASE}/mcp/team/", f"{BASE}:443/mcp/team", ["other", f"{BASE}/mcp/team"]]
)
def test_a_token_for_this_server_is_taken(audience: object) -> None:
    RESOURCE.check(caller(aud=audience), BASE)


def test_missing_scopes_are_all_named() -> None:
    error = refused(caller(), "tools:read")
    assert error.reason is Reason.FORBIDDEN
    found = read_challenge(dict(error.headers)[b"www-authenticate"].decode())
    assert found is not None
    assert found.error == "insufficient_scope"
    assert found.scopes == ("mcp", "tools:read")
    assert found.resource_metadata


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "mcp tools:read"}, ("tools:read",)),
        ({"scope": "tools mcp"}, ("tools:read", "tools:write")),
        ({"scope": None, "scp": ["mcp", "tools"]}, ("tools:write",)),
        ({"scp": "tools:write"}, ("tools:write",)),
    ],
)
def test_scopes_in_every_spelling(claims: dict[str, object], scopes: tuple[str, ...]) -> None:
    RESOURCE.check(caller(**claims), BASE, scopes)


def test_a_name_that_looks_like_more_is_not_more() -> None:
    """Hierarchy is declared, never guessed."""
    spec = ResourceServerSpec(authorization_servers=("https://as.example",))
    with pytest.raises(CallError):
        ResourceServer(SERVER, spec).check(caller(scope="tools tools:* *"), BASE, ("tools:read",))


def test_keys_have_neither_audience_nor_scopes() -> None:
    RESOURCE.check(Principal(user="alice", method="api_key", claims={"aud": "x"}), BASE, ("tools:read",))
    RESOURCE.check(ANONYMOUS, BASE, ("tools:read",))


def test_circles_of_scopes_end() -> None:
    implied = {"a": ("b",), "b": ("a", "c")}
    assert covered(("c",), ("a",), implied)
    assert not covered(("d",), ("a",), implied)


def test_claims_that_are_none() -> None:
    assert granted_scopes({"scope": 5, "scp": {"a": 1}}) == frozenset()
    assert granted_scopes({"scp": ["a", 5, "b c"]}) == {"a", "b", "c"}
    assert not accepts_audience({}, "None")
