"""The authorization code flow, from the link that a caller is given to the token that is kept for them.

Owns what binds the ends together. A *ticket* is in the link: for whom, at which target, with which scopes. A *pending*
flow is in the `state` that the authorization server sends back: bound to the browser that began it by a cookie, to the
issuer it was sent to, and good for one redemption. Nothing of it is kept on the way, so any worker can finish.

*Source:* RFC 6749 sections 4.1 and 10.12; RFC 7636 (S256 only); RFC 8707 section 2; RFC 9207 section 2.4; RFC 9700
sections 2.1, 4.4 (mix-up) and 4.7 (CSRF); OpenID Connect Core 1.0 section 11 (`offline_access` wants a prompt).
"""

import base64
import secrets
from hashlib import sha256
from urllib.parse import urlencode, urlsplit

import msgspec

from heddle.drivers.sealing import SealError
from heddle.drivers.vault import Credential, Place
from heddle.identity.oauth.client import Client, Form, configured_client
from heddle.identity.oauth.documents import ServerDocument
from heddle.identity.oauth.errors import OAuthError
from heddle.identity.oauth.granting import Granter, error_code
from heddle.identity.oauth.registering import Registrar
from heddle.identity.oauth.setting import Setting, Shared
from heddle.identity.oauth.stepping import union
from heddle.model.config_base import Secret
from heddle.model.redact import hidden_repr
from heddle.model.snapshot_mcp_auth import OAuthCodeAuth

TICKET_S = 900.0
"""How long a link is good."""
FLOW_S = 600.0
"""How long a person may take at the authorization server."""
_TICKET = "mcp-connect"
_FLOW = "mcp-callback"
OFFLINE = "offline_access"


class Ticket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a link is about."""

    id: str
    owner: str
    label: str
    """Who it is for, for people."""
    target: str
    scopes: tuple[str, ...] = ()
    """Beyond those that are configured; empty asks for what the target names."""
    named: str = ""
    """Where the target's challenge said that its metadata is."""


class Pending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A flow that a browser has been sent on."""

    id: str
    owner: str
    label: str
    target: str
    issuer: str
    token_endpoint: str
    must_name_issuer: bool = False
    """The server said that its answers name it."""
    client_id: str
    verifier: Secret
    scopes: tuple[str, ...] = ()
    resource: str = ""
    auth_methods: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return hidden_repr(self)


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is asked."""

    target: str
    url: str
    label: str
    scopes: tuple[str, ...] = ()
    server: str = ""
    """Host of the authorization server; empty where a key is asked for instead."""
    asks: str = ""
    """Which key is asked for."""


_ticket_decoder = msgspec.json.Decoder(Ticket)
_pending_decoder = msgspec.json.Decoder(Pending)


def seal_ticket(shared: Shared, ticket: Ticket) -> str:
    """The part of a link that says what it is about."""
    return shared.sealing.seal(_TICKET, msgspec.json.encode(ticket), ttl_s=TICKET_S)


def open_ticket(shared: Shared, text: str) -> Ticket:
    """Raises OAuthError when it is none, or is over."""
    try:
        return _ticket_decoder.decode(shared.sealing.open(_TICKET, text))
    except (SealError, msgspec.DecodeError):
        raise OAuthError("this link is not valid any more; make the call again to get a new one") from None


def seal_pending(shared: Shared, pending: Pending, browser: bytes) -> str:
    """The `state` of a flow."""
    return shared.sealing.seal(_FLOW, msgspec.json.encode(pending), browser, FLOW_S)


def open_pending(shared: Shared, text: str, browser: bytes) -> Pending:
    """Raises OAuthError when it is none, is over, or another browser began it."""
    try:
        return _pending_decoder.decode(shared.sealing.open(_FLOW, text, browser))
    except (SealError, msgspec.DecodeError):
        raise OAuthError("this answer belongs to no connection that this browser began, or came too late") from None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What an authorization server sends a browser back with."""

    code: Secret = ""
    error: str = ""
    issuer: str | None = None

    def __repr__(self) -> str:
        return hidden_repr(self)


class Connecting:
    """The flow at one target."""

    __slots__ = ("_client", "_registrar", "_setting", "_spec")

    def __init__(self, setting: Setting, spec: OAuthCodeAuth) -> None:
        """ValueError when the configured client is not usable."""
        self._setting = setting
        self._spec = spec
        self._client = None if spec.credential_error else configured_client(spec.client)
        shared = setting.shared
        self._registrar = Registrar(
            setting.asker, shared.vault, shared.site, setting.name, setting.now, spec.registration
        )

    async def offer(self, ticket: Ticket) -> Offer:
        """What to show. Raises OAuthError, VaultError."""
        server = await self._setting.server(self._spec.client, ticket.named)
        host = urlsplit(server.authorization_endpoint).netloc
        scopes = await self._scopes(ticket, server)
        return Offer(target=self._setting.name, url=self._setting.url, label=ticket.label, scopes=scopes, server=host)

    async def begin(self, ticket: Ticket, browser: bytes) -> str:
        """Where to send the browser. Raises OAuthError, VaultError."""
        server = await self._setting.server(self._spec.client, ticket.named)
        _check_server(server)
        self._setting.asker.check(server.authorization_endpoint)
        client = await self._client_at(server)
        verifier = secrets.token_urlsafe(48)
        pending = Pending(
            id=ticket.id,
            owner=ticket.owner,
            label=ticket.label,
            target=ticket.target,
            issuer=server.issuer,
            token_endpoint=server.token_endpoint,
            must_name_issuer=server.authorization_response_iss_parameter_supported,
            client_id=client.client_id,
            verifier=verifier,
            scopes=await self._scopes(ticket, server),
            resource=self._setting.discovery.known_resource(self._spec.resource),
            auth_methods=server.token_endpoint_auth_methods_supported,
        )
        return _authorization_url(server, self._parameters(pending, browser))

    def _parameters(self, pending: Pending, browser: bytes) -> Form:
        challenge = base64.urlsafe_b64encode(sha256(pending.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": pending.client_id,
            "redirect_uri": self._setting.shared.site.callback,
            "state": seal_pending(self._setting.shared, pending, browser),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "scope": " ".join(pending.scopes),
            "resource": pending.resource if self._spec.send_resource else "",
            "prompt": "consent" if OFFLINE in pending.scopes else "",
        }
        return {name: value for name, value in asked.items() if value}

    async def finish(self, pending: Pending, answered: Answered) -> None:
        """Redeem the code and keep the token for whoever the flow was begun for. Raises OAuthError, VaultError."""
        # RFC 9207 section 2.4: before anything else of the answer is looked at.
        if answered.issuer != pending.issuer and (answered.issuer is not None or pending.must_name_issuer):
            raise OAuthError("the answer does not come from the authorization server that was asked")
        if answered.error or not answered.code:
            code = error_code(answered.error)
            raise OAuthError(f"the authorization server did not agree ({code or 'no reason is known'})", code)
        await self._once(pending)
        server = ServerDocument(
            issuer=pending.issuer,
            token_endpoint=pending.token_endpoint,
            token_endpoint_auth_methods_supported=pending.auth_methods,
        )
        client = self.client_of(pending.client_id, pending.issuer)
        form = {
            "grant_type": "authorization_code",
            "code": answered.code,
            "redirect_uri": self._setting.shared.site.callback,
            "code_verifier": pending.verifier,
        }
        if self._spec.send_resource:
            form["resource"] = pending.resource
        granted = await Granter(self._setting.asker, server, client, self._setting.now).ask(form)
        self._keep(pending, granted.scopes or pending.scopes, granted.token, granted.refresh_token, granted.expires_s)

    def _keep(
        self, pending: Pending, scopes: tuple[str, ...], token: str, refresh_token: str, expires_s: float
    ) -> None:
        place = Place(pending.owner, pending.target, pending.issuer)
        vault = self._setting.shared.vault
        for kept in vault.list(pending.owner, pending.target):
            # Of one issuer only: when a target changes its server, what the former one gave is worth nothing.
            if kept.place != place:
                vault.delete(kept.place)
        made = Credential(
            access_token=token,
            refresh_token=refresh_token,
            expires_s=expires_s,
            scopes=scopes,
            resource=pending.resource,
            client_id=pending.client_id,
            label=pending.label,
            created_s=self._setting.now(),
        )
        vault.put(place, made)

    async def _once(self, pending: Pending) -> None:
        key = sha256(b"flow " + pending.verifier.encode()).digest()
        flows = self._setting.shared.flows
        if await flows.get(key) is not None:
            raise OAuthError("this answer was used already")
        writing = flows.put(key, b"1", FLOW_S + 60.0)
        if writing is not None:
            await writing

    async def _scopes(self, ticket: Ticket, server: ServerDocument) -> tuple[str, ...]:
        """Configured ones and those of the challenge; where neither says any, what the target lists."""
        wanted = union(self._spec.scopes, ticket.scopes)
        if not wanted and not (self._spec.client.issuer or self._spec.client.token_endpoint):
            wanted = union((await self._setting.discovery.resource(ticket.named)).scopes_supported or ())
        supported = server.scopes_supported or ()
        # Without it some servers give no refresh token, and the person would be asked again every hour.
        return union(wanted, (OFFLINE,)) if wanted and OFFLINE in supported else wanted

    async def _client_at(self, server: ServerDocument) -> Client:
        return self._client or await self._registrar.client(server)

    def client_of(self, client_id: str, issuer: str) -> Client:
        """The client that a code or token was issued to. Raises OAuthError when it was registered anew since."""
        found = self._client
        if found is None and client_id == self._setting.shared.site.client_id:
            found = Client(client_id=client_id, method="none")
        if found is None:
            found = self._registrar.known(issuer)
        if found is None or found.client_id != client_id:
            raise OAuthError("the gateway was registered anew at the authorization server meanwhile", "invalid_client")
        return found

    def forget_client(self, issuer: str) -> None:
        """The server does not know the client any more: register again next time."""
        self._registrar.forget(issuer)


def _check_server(server: ServerDocument) -> None:
    if not server.authorization_endpoint or not server.token_endpoint:
        raise OAuthError("the authorization server has no authorization or no token endpoint")
    # MCP, "Authorization Code Protection": absent means that PKCE is not supported.
    if "S256" not in (server.code_challenge_methods_supported or ()):
        raise OAuthError("the authorization server does not say that it supports PKCE with S256")


def _authorization_url(server: ServerDocument, parameters: Form) -> str:
    joint = "&" if urlsplit(server.authorization_endpoint).query else "?"
    return f"{server.authorization_endpoint}{joint}{urlencode(parameters)}"
