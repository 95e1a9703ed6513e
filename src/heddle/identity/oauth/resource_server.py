"""A virtual server as an OAuth protected resource: its document, its challenges, and which tokens are for it.

Owns three refusals: a token made for somebody else (audience), one that may too little (scopes), and none at all. What
a scope includes is declared, never guessed from its name.

*Source:* RFC 9728 sections 2, 3.1 and 5.1; RFC 6750 section 3; RFC 8707 section 2; MCP 2026-07-28, "Token Handling",
"Scope Selection Strategy" and "Runtime Insufficient Scope Errors".
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from heddle.identity.oauth.challenge import scopes_of, write_challenge
from heddle.identity.oauth.documents import RESOURCE, canonical
from heddle.model.principal import Principal
from heddle.model.snapshot_mcp import McpServerSpec, ResourceServerSpec
from heddle.pipeline.errors import CallError, Reason

_HIDDEN = frozenset({"offline_access", "openid", "profile", "email"})
"""Scopes between a client and its authorization server: no resource asks for them."""


class ResourceServer:
    """One virtual server that wants OAuth tokens."""

    __slots__ = ("_implied", "_path", "_resource", "_scopes", "_servers", "_supported", "_title")

    def __init__(self, server: McpServerSpec, spec: ResourceServerSpec) -> None:
        self._path = server.path
        self._title = server.title or server.name
        self._resource = spec.resource
        self._servers = spec.authorization_servers
        self._scopes = spec.scopes
        self._implied = spec.implied
        declared = [tool.scopes for target in server.targets for tool in target.tools or ()]
        listed = dict.fromkeys(scope for scopes in (spec.scopes, *declared) for scope in scopes)
        self._supported = tuple(scope for scope in listed if scope not in _HIDDEN)

    def resource(self, base_url: str) -> str:
        """The canonical URI of the server; `base_url` is how the caller reached this listener."""
        return self._resource or base_url.rstrip("/") + self._path

    def metadata_url(self, base_url: str) -> str:
        """Where its document is."""
        return base_url.rstrip("/") + RESOURCE + self._path

    def document(self, base_url: str) -> bytes:
        """The protected-resource metadata."""
        return protected_resource(self.resource(base_url), self._servers, self._supported, self._title)

    def required_scopes(self, tool_scopes: Iterable[str] = ()) -> tuple[str, ...]:
        """Everything that one operation needs: what all of the server's callers need, and what the tool adds."""
        return tuple(dict.fromkeys([*self._scopes, *tool_scopes]))

    def unauthenticated(self, base_url: str, *, invalid: bool = False) -> tuple[bytes, bytes]:
        """The field of a 401. RFC 6750 section 3.1: no error code where no token was sent."""
        error = "invalid_token" if invalid else ""
        return write_challenge(self.metadata_url(base_url), self._scopes, error)

    def check(self, principal: Principal, base_url: str, tool_scopes: Iterable[str] = ()) -> None:
        """Whether a caller's token is for this server and may do this. Raises CallError: 401 or 403.

        It judges tokens only: a key of the gateway has neither audience nor scopes, and its own rules.
        """
        if principal.method != "jwt":
            return
        if not accepts_audience(principal.claims, self.resource(base_url)):
            raise CallError(
                Reason.UNAUTHENTICATED,
                "The token was issued for another resource.",
                headers=[self.unauthenticated(base_url, invalid=True)],
            )
        needed = self.required_scopes(tool_scopes)
        if not covered(needed, granted_scopes(principal.claims), self._implied):
            challenge = write_challenge(self.metadata_url(base_url), needed, "insufficient_scope")
            detail = f"The token lacks scopes; this needs: {' '.join(needed)}."
            raise CallError(Reason.FORBIDDEN, detail, headers=[challenge])


def protected_resource(resource: str, issuers: Sequence[str], scopes: Sequence[str], title: str = "") -> bytes:
    """A protected-resource metadata document."""
    said: dict[str, object] = {"resource": resource, "authorization_servers": list(issuers)}
    if scopes:
        said["scopes_supported"] = list(scopes)
    if title:
        said["resource_name"] = title
    # Never in a query: logs and histories keep URLs.
    return msgspec.json.encode(said | {"bearer_methods_supported": ["header"]})


def accepts_audience(claims: Mapping[str, object], resource: str) -> bool:
    """Whether a token with these proven claims was issued for `resource`."""
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    wanted = _spelling(resource)
    return any(isinstance(one, str) and _spelling(one) == wanted for one in named)


def _spelling(uri: str) -> str:
    """URLs in their canonical spelling; other identifiers as they are."""
    try:
        return canonical(uri)
    except ValueError:
        return uri


def granted_scopes(claims: Mapping[str, object]) -> frozenset[str]:
    """The scopes of a token: `scope` (RFC 9068), or `scp` as text or list (Entra, Okta)."""
    found: set[str] = set()
    for name in ("scope", "scp"):
        value = claims.get(name)
        texts = value if isinstance(value, list) else [value]
        found.update(scope for text in texts if isinstance(text, str) for scope in scopes_of(text))
    return frozenset(found)


def covered(needed: Iterable[str], granted: Iterable[str], implied: Mapping[str, Sequence[str]]) -> bool:
    """Whether what was granted, with all that it includes, has everything that is needed."""
    held: set[str] = set()
    rest = list(granted)
    while rest:
        scope = rest.pop()
        if scope not in held:
            held.add(scope)
            rest.extend(implied.get(scope, ()))
    return held.issuperset(needed)
