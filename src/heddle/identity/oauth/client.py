"""The gateway as a client of one authorization server: its id, and how it proves itself at the token endpoint.

Owns the four methods. A secret goes to the token endpoint of the issuer it belongs to and nowhere else, which is why a
configured secret needs a configured issuer.

*Source:* RFC 6749 section 2.3.1 (each half of Basic is form-encoded first); RFC 7523 sections 2.2 and 3;
draft-ietf-oauth-rfc7523bis (the audience is the issuer).
"""

import base64
import importlib
import secrets
from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote_plus

import msgspec

from heddle.identity.oauth.documents import ServerDocument
from heddle.identity.oauth.errors import OAuthError
from heddle.model.config_base import Secret
from heddle.model.snapshot_mcp_auth import ClientMethod, OAuthClientSpec
from heddle.net.message import Headers

ASSERTION_S = 60.0
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

Form = dict[str, str]


class Signer(Protocol):
    """Signs assertions with one private key."""

    def __call__(self, claims: dict[str, object]) -> str:
        """A signed JWT with these claims."""
        ...


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Who the gateway is at one server."""

    client_id: str
    client_secret: Secret = ""
    method: ClientMethod = "auto"
    sign: Signer | None = None

    def __repr__(self) -> str:
        return f"Client({self.client_id!r}, {self.method})"


def configured_client(spec: OAuthClientSpec) -> Client | None:
    """The client that a configuration names; None when it has to register. ValueError when it cannot be used."""
    check_client(spec)
    if not spec.client_id:
        return None
    sign = _signer(spec) if spec.private_key else None
    return Client(client_id=spec.client_id, client_secret=spec.client_secret, method=spec.method, sign=sign)


def check_client(spec: OAuthClientSpec) -> None:
    """ValueError when a configuration says what does not fit together."""
    credential = bool(spec.client_secret or spec.private_key)
    if credential and not spec.client_id:
        raise ValueError("a client with a secret or key needs a client_id")
    if credential and not (spec.issuer or spec.token_endpoint):
        raise ValueError("a client with a secret or key needs an issuer: a target must not choose who gets it")
    if spec.method == "private_key_jwt" and not spec.private_key:
        raise ValueError("private_key_jwt needs a private key")
    if spec.method.startswith("client_secret") and not spec.client_secret:
        raise ValueError(f"{spec.method} needs a client secret")


def _signer(spec: OAuthClientSpec) -> Signer:
    # Imported here: without such a key a worker does not pay for the library behind it.
    module = importlib.import_module("heddle.identity.oauth.assertion")
    signer: Signer = module.Assertions(spec.private_key, spec.algorithm, spec.key_id)
    return signer


def prove(client: Client, server: ServerDocument, form: Form, now: Callable[[], float]) -> Headers:
    """Add to `form` what proves the client, and return the fields that do. Raises OAuthError."""
    method = _method(client, server)
    if method == "client_secret_basic":
        pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
        return [(b"authorization", b"Basic " + base64.b64encode(pair.encode()))]
    form["client_id"] = client.client_id
    if method == "client_secret_post":
        form["client_secret"] = client.client_secret
    elif method == "private_key_jwt":
        assert client.sign is not None
        form["client_assertion_type"] = _ASSERTION_TYPE
        form["client_assertion"] = client.sign(_claims(client.client_id, server, now()))
    return []


def _claims(client_id: str, server: ServerDocument, now_s: float) -> dict[str, object]:
    audience = server.issuer or server.token_endpoint
    issued = int(now_s)
    return {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": issued,
        "exp": issued + int(ASSERTION_S),
        "jti": secrets.token_urlsafe(16),
    }


def _method(client: Client, server: ServerDocument) -> str:
    if client.method != "auto":
        return client.method
    if client.sign is not None:
        return "private_key_jwt"
    if not client.client_secret:
        return "none"
    # RFC 8414 section 2: what a server does not say is client_secret_basic.
    taken = server.token_endpoint_auth_methods_supported or ("client_secret_basic",)
    for method in ("client_secret_basic", "client_secret_post"):
        if method in taken:
            return method
    raise OAuthError("the authorization server takes client secrets in no way that is known here")
