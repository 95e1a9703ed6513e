"""What an MCP listener serves beside MCP: metadata of protected resources and of the gateway as a client, and the pages
on which people connect accounts.

Owns the way of a browser through them. A link says for whom it was made; who agrees shows that they are that caller,
by the caller's own key; the answer of the authorization server counts only in the browser that was sent there.
Otherwise one could send a link to somebody else and have *their* account connected to oneself.

*Source:* RFC 9728 section 3.1; draft-ietf-oauth-client-id-metadata-document section 3; MCP 2025-11-25, "URL Mode
Elicitation", "Phishing"; MCP, "Security Best Practices", "Confused Deputy Problem"; RFC 6749 section 10.12.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from urllib.parse import parse_qsl, urlsplit

from heddle.dataplane import mcp_consent as pages
from heddle.drivers.sealing import SealError
from heddle.drivers.vault import VaultError
from heddle.identity.oauth.connecting import (
    TICKET_S,
    Answered,
    Offer,
    Ticket,
    open_pending,
    open_ticket,
)
from heddle.identity.oauth.documents import RESOURCE
from heddle.identity.oauth.errors import OAuthError
from heddle.identity.oauth.registering import CALLBACK_PATH, DOCUMENT_PATH
from heddle.identity.oauth.resource_server import ResourceServer
from heddle.identity.oauth.setting import Shared
from heddle.identity.oauth.user import CONNECT_PATH, UserSecrets, UserTokens
from heddle.model.principal import Principal
from heddle.net.body import Body
from heddle.net.errors import BodyError
from heddle.net.message import Headers, Reply, Request
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Checker, Exchange

MAX_FORM_BYTES = 32 * 1024
_FORM = "mcp-form"
_HOST = re.compile(rb"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_JSON: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"max-age=300")]

Connectable = UserTokens | UserSecrets


class Pages:
    """Everything of one snapshot that is not MCP. A `Handler`."""

    def __init__(
        self,
        shared: Shared,
        servers: Mapping[str, ResourceServer],
        targets: Mapping[str, Connectable],
        proof: Checker | None,
        connected: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`servers` by their paths; `targets` by name, those whose callers connect by themselves.

        `proof` authenticates a caller; None asks people for nothing, where anybody may call. `connected` hears of each
        connection that was made, by its elicitation's id.
        """
        self._shared = shared
        self._servers = servers
        self._targets = targets
        self._proof = proof
        self._connected = connected
        public = shared.site.public_url
        self._origin = "{0.scheme}://{0.netloc}".format(urlsplit(public)).encode()
        self._secure = public.startswith("https://")
        # The prefix keeps other hosts of the domain from setting it.
        self._cookie = "__Host-heddle" if self._secure else "heddle-connect"

    def serves(self, path: str) -> bool:
        """Whether a path is answered here and not by a virtual server."""
        return path.startswith((CONNECT_PATH, RESOURCE)) or path in {CALLBACK_PATH, DOCUMENT_PATH}

    async def handle(self, exchange: Exchange) -> Reply:
        """Answer a request to one of the paths. Raises CallError (404, 405); what a person does gets a page."""
        request = exchange.request
        allowed = ("GET", "POST") if request.path.startswith(CONNECT_PATH) else ("GET",)
        if request.method not in allowed:
            allow = ", ".join(allowed)
            raise CallError(Reason.METHOD_NOT_ALLOWED, f"Use {allow} here.", headers=[(b"allow", allow.encode())])
        if request.path.startswith(RESOURCE):
            return self._resource(exchange)
        if request.path == DOCUMENT_PATH:
            return self._document()
        try:
            if request.path == CALLBACK_PATH:
                return await self._callback(request)
            return await self._connect(exchange)
        except OAuthError as exc:
            return pages.reply(400, pages.failed(exc.detail))
        except VaultError:
            return pages.reply(503, pages.failed("accounts cannot be kept at the moment"))

    def base_url(self, exchange: Exchange) -> str:
        """How callers reach this listener: as configured, else as this one did. Raises CallError for no such host."""
        if self._shared.site.public_url:
            return self._shared.site.public_url.rstrip("/")
        host = exchange.request.header(b"host") or b""
        if not _HOST.fullmatch(host):
            raise CallError(Reason.BAD_REQUEST, "The Host field is not one.")
        return f"{'https' if exchange.listener.tls is not None else 'http'}://{host.decode('ascii')}"

    def _resource(self, exchange: Exchange) -> Reply:
        path = exchange.request.path.removeprefix(RESOURCE)
        server = self._servers.get(path)
        if server is None and path in {"", "/"} and len(self._servers) == 1:
            # Where clients look that do not insert paths.
            server = next(iter(self._servers.values()))
        if server is None:
            raise CallError(Reason.NOT_FOUND, "There is no protected resource of this name.")
        return Reply(200, [*_JSON, (b"access-control-allow-origin", b"*")], server.document(self.base_url(exchange)))

    def _document(self) -> Reply:
        if not self._shared.site.client_id:
            raise CallError(Reason.NOT_FOUND, "This gateway has no client metadata document.")
        return Reply(200, list(_JSON), self._shared.site.document())

    async def _connect(self, exchange: Exchange) -> Reply:
        request = exchange.request
        ticket = open_ticket(self._shared, request.path.removeprefix(CONNECT_PATH))
        target = self._target(ticket.target)
        given = self._browser(request)
        browser = given or secrets.token_urlsafe(32)
        if request.method == "GET":
            offer = await _offered(target, ticket)
            origin = self._shared.sealing.seal(_FORM, b"", _bound(browser, ticket), TICKET_S)
            page = pages.consent(offer, origin, proof=self._proof is not None)
            return pages.reply(200, page, *([] if given else [self._set_cookie(browser)]))
        form = await self._checked_form(request, browser, ticket)
        await self._prove(exchange, target, ticket, form.get("proof", ""))
        if isinstance(target, UserSecrets):
            target.keep(ticket, form.get("secret", "").strip())
            self._connected(ticket.id)
            return pages.reply(200, pages.connected(ticket.target, ticket.label))
        url = await target.connecting.begin(ticket, _digest(browser))
        return pages.reply(200, pages.onward(ticket.target, url))

    async def _checked_form(self, request: Request, browser: str, ticket: Ticket) -> dict[str, str]:
        """The form's fields, when our own page sent it from this browser. Raises OAuthError."""
        origin, site = request.header(b"origin"), request.header(b"sec-fetch-site")
        if (origin is not None and origin != self._origin) or (site is not None and site != b"same-origin"):
            raise OAuthError("the form was sent from somewhere else")
        try:
            data = await request.body.read(MAX_FORM_BYTES)
            pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=8)
        except (ValueError, BodyError):
            raise OAuthError("the form cannot be read") from None
        form = dict(pairs)
        try:
            self._shared.sealing.open(_FORM, form.get("form", ""), _bound(browser, ticket))
        except SealError:
            raise OAuthError("the form is not of this browser, or too old; open the link again") from None
        return form

    async def _prove(self, exchange: Exchange, target: Connectable, ticket: Ticket, credential: str) -> None:
        """Raises OAuthError unless the credential is that of the caller whom the link was made for."""
        if self._proof is None:
            return
        try:
            principal = await proven(self._proof, exchange, credential.strip())
        except CallError:
            principal = None
        if principal is None or not target.belongs(ticket, principal):
            raise OAuthError("the key is not that of the caller whom this link was made for")

    async def _callback(self, request: Request) -> Reply:
        try:
            pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=16, errors="strict")
        except ValueError:
            raise OAuthError("the answer of the authorization server cannot be read") from None
        said = dict(pairs)
        if len(said) != len(pairs):
            # RFC 6749 section 3.1: parameters must not be included more than once.
            raise OAuthError("the answer of the authorization server says something twice")
        pending = open_pending(self._shared, said.get("state", ""), _digest(self._browser(request)))
        target = self._target(pending.target)
        if not isinstance(target, UserTokens):
            raise OAuthError("the target does not take accounts any more")
        answered = Answered(code=said.get("code", ""), error=said.get("error", ""), issuer=said.get("iss"))
        await target.connecting.finish(pending, answered)
        self._connected(pending.id)
        return pages.reply(200, pages.connected(pending.target, pending.label))

    def _target(self, name: str) -> Connectable:
        target = self._targets.get(name)
        if target is None:
            raise OAuthError("the target is not there any more")
        return target

    def _browser(self, request: Request) -> str:
        """The value of our cookie; empty without one."""
        for name, value in request.headers:
            if name == b"cookie":
                for pair in value.decode("latin-1").split(";"):
                    key, _, text = pair.strip().partition("=")
                    if key == self._cookie and 32 <= len(text) <= 64:
                        return text
        return ""

    def _set_cookie(self, browser: str) -> tuple[bytes, bytes]:
        secure = "; Secure" if self._secure else ""
        value = f"{self._cookie}={browser}; Path=/; Max-Age={int(2 * TICKET_S)}; HttpOnly; SameSite=Lax{secure}"
        return b"set-cookie", value.encode("ascii")


async def proven(check: Checker, exchange: Exchange, credential: str) -> Principal:
    """Who a credential belongs to, by the policy that judges callers. Raises CallError."""
    if not credential or not credential.isascii() or not credential.isprintable():
        raise CallError(Reason.UNAUTHENTICATED, "There is no key.")
    fields: Headers = [(b"authorization", b"Bearer " + credential.encode("ascii"))]
    request = Request("POST", exchange.request.path, "", fields, Body.of(b""), exchange.request.peer)
    asked = Exchange(request, exchange.listener, exchange.operation, exchange.trace, exchange.started_s)
    asked.source_address = exchange.source_address
    waiting = check(asked)
    if waiting is not None:
        await waiting
    return asked.principal


async def _offered(target: Connectable, ticket: Ticket) -> Offer:
    return target.offer(ticket) if isinstance(target, UserSecrets) else await target.connecting.offer(ticket)


def _bound(browser: str, ticket: Ticket) -> bytes:
    return _digest(browser) + ticket.id.encode()


def _digest(browser: str) -> bytes:
    return sha256(browser.encode()).digest()
