"""The two metadata documents, and where they are found: what a resource says of itself, and what a server does.

Owns their decoding, the order in which well-known URLs are tried, and the comparison of identifiers. Issuers are
compared byte by byte: a document that says it is another's is nobody's.

*Source:* RFC 9728 sections 2 and 3; RFC 8414 sections 2, 3.1 and 3.3; OpenID Connect Discovery 1.0 section 4;
MCP 2026-07-28, "Authorization Server Metadata Discovery" (the order) and "Canonical Server URI".
"""

from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from heddle.identity.oauth.errors import OAuthError
from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict

RESOURCE = "/.well-known/oauth-protected-resource"
SERVER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
MAX_LISTED = 1_000
MAX_URL_CHARS = 2_048
_DEFAULT_PORTS = {"https": 443, "http": 80}

Texts = tuple[str, ...]
T = TypeVar("T", bound=msgspec.Struct)


class ResourceDocument(msgspec.Struct, frozen=True):
    """What a protected resource says of itself."""

    resource: str
    authorization_servers: Texts = ()
    scopes_supported: Texts | None = None


class ServerDocument(msgspec.Struct, frozen=True):
    """What an authorization server says of itself; None is what it does not say."""

    issuer: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    registration_endpoint: str = ""
    scopes_supported: Texts | None = None
    code_challenge_methods_supported: Texts | None = None
    token_endpoint_auth_methods_supported: Texts | None = None
    authorization_response_iss_parameter_supported: bool = False
    client_id_metadata_document_supported: bool = False


def read_resource(body: bytes) -> ResourceDocument:
    """A protected resource's document. Raises OAuthError."""
    found = _read(body, ResourceDocument, "the target's protected-resource metadata")
    if not found.authorization_servers:
        raise OAuthError("the target's protected-resource metadata names no authorization server")
    return found


def read_server(body: bytes, issuer: str) -> ServerDocument:
    """The document of the server called `issuer`. Raises OAuthError, when it is another's too."""
    found = _read(body, ServerDocument, "the authorization server's metadata")
    # RFC 8414 section 3.3: identical; else whoever can put a file on one server could speak for another.
    if found.issuer != issuer:
        raise OAuthError("the authorization server's metadata is that of another issuer")
    return found


def _read(body: bytes, shape: type[T], what: str) -> T:
    try:
        found = convert(_without_nulls(parse_strict(body)), shape)
    except (ProtocolError, RecursionError) as exc:
        raise OAuthError(f"{what} cannot be read") from exc
    for value in msgspec.structs.astuple(found):
        texts = value if isinstance(value, tuple) else (value,)
        if len(texts) > MAX_LISTED or any(isinstance(text, str) and len(text) > MAX_URL_CHARS for text in texts):
            raise OAuthError(f"{what} is larger than any that is accepted")
    return found


def _without_nulls(value: object) -> object:
    """Some servers write null for what they leave out."""
    return {name: one for name, one in value.items() if one is not None} if isinstance(value, dict) else value


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL in one spelling. ValueError when it is none."""
    parts = urlsplit(url)
    host, port = (parts.hostname or "").lower(), parts.port
    if not host or parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("not an http or https URL")
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" + (f":{port}" if port and port != _DEFAULT_PORTS[parts.scheme] else "")


def canonical(url: str) -> str:
    """The canonical URI of a resource: no default port, no fragment, no slash at the end. ValueError."""
    parts = urlsplit(url)
    return origin_of(url) + parts.path.rstrip("/") + (f"?{parts.query}" if parts.query else "")


def covers(resource: str, url: str) -> bool:
    """Whether a resource that calls itself so is `url`, or lies above it on the same origin."""
    try:
        if origin_of(resource) != origin_of(url):
            return False
        above, below = urlsplit(resource), urlsplit(url)
    except ValueError:
        return False
    if above.query:
        return canonical(resource) == canonical(url)
    path = above.path.rstrip("/")
    return not above.fragment and (below.path.rstrip("/") == path or below.path.startswith(f"{path}/"))


def inserted(url: str, well_known: str) -> str:
    """The well-known URL of `url`: the name goes between host and path (RFC 8414 section 3.1, RFC 9728 section 3.1)."""
    parts = urlsplit(url)
    return origin_of(url) + well_known + parts.path.rstrip("/")


def resource_candidates(url: str, named: str = "") -> list[str]:
    """Where the document of the resource at `url` may be, in order; `named` is what its challenge said."""
    root = origin_of(url) + RESOURCE
    return list(dict.fromkeys([one for one in (named, inserted(url, RESOURCE), root) if one]))


def server_candidates(issuer: str) -> list[str]:
    """Where the document of an issuer may be, in the order that MCP fixes."""
    candidates = [inserted(issuer, SERVER), inserted(issuer, OPENID)]
    path = urlsplit(issuer).path.rstrip("/")
    return [*candidates, origin_of(issuer) + path + OPENID] if path else candidates
