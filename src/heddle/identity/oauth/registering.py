"""Becoming a client of an authorization server that the configuration has no id for.

Owns the order: a metadata document of our own, whose URL is the id, before a dynamic registration. What was registered
belongs to the issuer it was registered with: another issuer means another registration. It is kept in the vault, and
one process at a time registers.

*Source:* MCP 2026-07-28, "Client Registration Approaches"; draft-ietf-oauth-client-id-metadata-document;
RFC 7591 sections 2 and 3; OpenID Connect Registration 1.0 section 2 (`application_type`).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from heddle.drivers.vault import CLIENT, Credential, Place, Vault
from heddle.identity.oauth.asking import Asker
from heddle.identity.oauth.client import Client
from heddle.identity.oauth.documents import ServerDocument
from heddle.identity.oauth.errors import OAuthError
from heddle.identity.oauth.granting import error_code
from heddle.model.snapshot_mcp_auth import ClientMethod

CALLBACK_PATH = "/.heddle/callback"
DOCUMENT_PATH = "/.heddle/client.json"
CLAIM_S = 30.0
POLL_S = 0.1
_METHODS: dict[str, ClientMethod] = {
    "none": "none",
    "client_secret_basic": "client_secret_basic",
    "client_secret_post": "client_secret_post",
}
"""Ways that a registration can end with."""
_USELESS = "the authorization server registered the gateway in a way that it cannot use"
_Text = Annotated[str, msgspec.Meta(max_length=2048)]


class _Registered(msgspec.Struct, frozen=True):
    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    client_secret: _Text = ""
    token_endpoint_auth_method: _Text = ""
    client_secret_expires_at: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    redirect_uris: tuple[str, ...] | None = None


class Site(msgspec.Struct, frozen=True):
    """Where people reach this gateway, and what it is called."""

    public_url: str
    client_name: str = "Heddle"

    @property
    def callback(self) -> str:
        """Where authorization servers send browsers back to."""
        return self.public_url.rstrip("/") + CALLBACK_PATH

    @property
    def client_id(self) -> str:
        """The URL of the gateway's own metadata document; empty where it cannot have one (https only)."""
        return self.public_url.rstrip("/") + DOCUMENT_PATH if self.public_url.startswith("https://") else ""

    def describe(self) -> dict[str, Any]:
        """What is said about the gateway in both kinds of registration."""
        return {
            "client_name": self.client_name,
            "client_uri": self.public_url,
            "redirect_uris": [self.callback],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }

    def document(self) -> bytes:
        """The client id metadata document."""
        return msgspec.json.encode({"client_id": self.client_id, **self.describe()})


class Registrar:
    """Registers one target's client, wherever that is needed."""

    __slots__ = ("_asker", "_now", "_site", "_target", "_vault", "_ways")

    def __init__(
        self, asker: Asker, vault: Vault, site: Site, target: str, now: Callable[[], float], ways: Sequence[str]
    ) -> None:
        self._asker = asker
        self._vault = vault
        self._site = site
        self._target = target
        self._now = now
        self._ways = ways

    async def client(self, server: ServerDocument) -> Client:
        """Who the gateway is there. Raises OAuthError, VaultError."""
        for way in self._ways:
            if way == "cimd" and server.client_id_metadata_document_supported and self._site.client_id:
                return Client(client_id=self._site.client_id, method="none")
            if way == "dcr" and server.registration_endpoint:
                return await self._registered(server)
        raise OAuthError("the authorization server does not let clients register; a client_id must be configured")

    def known(self, issuer: str) -> Client | None:
        """What was registered with an issuer, if it can still be used. Raises VaultError."""
        kept = self._usable(Place(CLIENT, self._target, issuer))
        return _client(kept) if kept is not None else None

    def forget(self, issuer: str) -> None:
        """The server does not know the client any more."""
        self._vault.delete(Place(CLIENT, self._target, issuer))

    async def _registered(self, server: ServerDocument) -> Client:
        place = Place(CLIENT, self._target, server.issuer)
        for _ in range(int(CLAIM_S / POLL_S) + 1):
            kept = self._usable(place)
            if kept is not None:
                return _client(kept)
            claimed = self._vault.claim(place, CLAIM_S)
            if claimed is None:
                await asyncio.sleep(POLL_S)
                continue
            try:
                # Another process may have been quicker, just before the claim.
                kept = self._usable(place) or await self._register(server, place)
                return _client(kept)
            finally:
                self._vault.release(place, claimed)
        raise OAuthError("the gateway is being registered at the authorization server; try again")

    def _usable(self, place: Place) -> Credential | None:
        kept = self._vault.get(place)
        if kept is None or kept.redirect_uri != self._site.callback or 0.0 < kept.expires_s <= self._now():
            return None
        return kept

    async def _register(self, server: ServerDocument, place: Place) -> Credential:
        loopback = self._site.public_url.startswith("http://")
        asked = self._site.describe() | {"application_type": "native" if loopback else "web"}
        taken = server.token_endpoint_auth_methods_supported
        if taken is not None and "none" not in taken:
            asked["token_endpoint_auth_method"] = next((one for one in _METHODS if one in taken), "client_secret_basic")
        answer = await self._asker.post_json(server.registration_endpoint, msgspec.json.encode(asked))
        value = answer.json() if answer.status in {200, 201, 400} else None
        if answer.status not in {200, 201} or not isinstance(value, dict):
            code = error_code(value.get("error")) if isinstance(value, dict) else ""
            why = code or f"status {answer.status}"
            raise OAuthError(f"the authorization server did not register the gateway ({why})", code)
        made = self._made(value, str(asked["token_endpoint_auth_method"]))
        self._vault.put(place, made)
        return made

    def _made(self, value: dict[str, Any], asked: str) -> Credential:
        try:
            given = msgspec.convert({name: one for name, one in value.items() if one is not None}, _Registered)
        except msgspec.ValidationError:
            raise OAuthError(_USELESS) from None
        secret, callback = given.client_secret, self._site.callback
        method = given.token_endpoint_auth_method or (asked if secret else "none")
        uris = (callback,) if given.redirect_uris is None else given.redirect_uris
        if method not in _METHODS or (method != "none" and not secret) or callback not in uris:
            raise OAuthError(_USELESS)
        return Credential(
            client_id=given.client_id,
            client_secret=secret if method != "none" else "",
            method=method,
            redirect_uri=callback,
            expires_s=given.client_secret_expires_at if secret else 0.0,
            created_s=self._now(),
        )


def _client(kept: Credential) -> Client:
    return Client(client_id=kept.client_id, client_secret=kept.client_secret, method=_METHODS.get(kept.method, "none"))


def check_public_url(url: str) -> None:
    """ValueError unless browsers can be sent there: https, or http on this machine, without query and fragment."""
    parts = urlsplit(url)
    from_here = parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if (
        not parts.hostname
        or parts.username
        or parts.query
        or parts.fragment
        or not (parts.scheme == "https" or from_here)
    ):
        raise ValueError("public_url must be https (http only on localhost), without query and fragment")
