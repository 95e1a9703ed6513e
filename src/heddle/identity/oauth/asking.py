"""Questions to authorization servers, and for documents that others name.

Owns what may be asked: https, to public addresses or listed networks; http only to listed loopback ones. A host is
resolved once, all of its addresses are judged, and one of those is connected to. Redirects are not followed, sizes and
times are bounded. Origins that the configuration itself names may be anywhere; others' choice never leads inside.
"""

import asyncio
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlencode, urlsplit

from heddle.identity.oauth.documents import MAX_URL_CHARS, origin_of
from heddle.identity.oauth.errors import OAuthError
from heddle.model.snapshot_mcp_auth import ReachSpec
from heddle.net.address import is_loopback, networks
from heddle.net.client import Client, Origin, OutboundRequest
from heddle.net.errors import NetError
from heddle.net.message import Headers
from heddle.net.screening import Resolve, is_listed, is_public, resolve
from heddle.wire.errors import ProtocolError
from heddle.wire.json import parse_strict

MAX_ANSWER_BYTES = 256 * 1024
_FORM = (b"content-type", b"application/x-www-form-urlencoded")
_JSON = (b"content-type", b"application/json")
_ACCEPT = (b"accept", b"application/json")
_AGENT = (b"user-agent", b"heddle")


class Answer(NamedTuple):
    """What came back. The body may hold tokens."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"Answer({self.status})"

    def json(self) -> Any:
        """The body as JSON. Raises OAuthError, which quotes nothing."""
        try:
            return parse_strict(self.body)
        except (ProtocolError, RecursionError):
            raise OAuthError("the authorization server answered with something that is not JSON") from None


class Asker:
    """Asks for one target. `configured` are URLs that the operator wrote."""

    __slots__ = ("_ca_file", "_client", "_configured", "_kept", "_loopback", "_networks", "_resolve", "_timeouts")

    def __init__(
        self, client: Client, reach: ReachSpec, configured: Iterable[str] = (), resolver: Resolve = resolve
    ) -> None:
        """ValueError when one of the configured URLs is none."""
        self._client = client
        self._ca_file = reach.ca_file
        self._timeouts = reach.timeouts
        self._networks = networks(reach.private_networks)
        self._loopback = any(network.is_loopback for network in self._networks)
        self._configured = frozenset(origin_of(url) for url in configured if url)
        self._resolve = resolver
        self._kept: dict[str, Origin] = {}

    def close(self) -> None:
        """Close the connections that were kept."""
        for origin in self._kept.values():
            self._client.discard(origin)
        self._kept.clear()

    async def get(self, url: str) -> Answer:
        """A document. Raises OAuthError."""
        return await self._ask("GET", url, [_ACCEPT, _AGENT], b"")

    async def post_form(self, url: str, form: Mapping[str, str], fields: Headers) -> Answer:
        """Send a form. Raises OAuthError."""
        return await self._ask("POST", url, [_FORM, _ACCEPT, _AGENT, *fields], urlencode(form).encode())

    async def post_json(self, url: str, body: bytes) -> Answer:
        """Send a JSON document. Raises OAuthError."""
        return await self._ask("POST", url, [_JSON, _ACCEPT, _AGENT], body)

    def check(self, url: str) -> SplitResult:
        """The parts of a URL that might be asked, without having looked up its host. Raises OAuthError."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError as exc:
            raise OAuthError("a URL that was named is none") from exc
        target = f"{parts.path}{parts.query}"
        printable = url.isascii() and url.isprintable() and not set(' "<>\\^`{|}') & set(target)
        if not host or len(url) > MAX_URL_CHARS or parts.username is not None or parts.fragment or not printable:
            raise OAuthError("a URL that was named has parts that it must not have")
        if parts.scheme != "https" and not (parts.scheme == "http" and self._plain(parts, host)):
            raise OAuthError("a URL that was named is not https")
        return parts

    def _plain(self, parts: SplitResult, host: str) -> bool:
        """Without TLS, whoever is on the way reads and writes: only this machine, or the target's own document."""
        return (self._loopback and is_loopback(host)) or origin_of(parts.geturl()) in self._configured

    async def _ask(self, method: str, url: str, fields: Headers, body: bytes) -> Answer:
        parts = self.check(url)
        if method == "POST" and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise OAuthError("a URL that secrets are sent to is not https")
        try:
            # The resolver's time counts too: it answers whenever it likes.
            async with asyncio.timeout(self._timeouts.total_s or None):
                origin, kept = await self._origin(parts)
                try:
                    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                    return await self._sent(origin, OutboundRequest(method, target.encode(), fields, body))
                finally:
                    if not kept:
                        self._client.discard(origin)
        except TimeoutError as exc:
            raise OAuthError("an authorization server did not answer in time") from exc

    async def _sent(self, origin: Origin, request: OutboundRequest) -> Answer:
        try:
            answer = await self._client.send(origin, request, self._timeouts)
            try:
                return Answer(answer.status, await answer.body.read(MAX_ANSWER_BYTES))
            finally:
                answer.close()
        except NetError as exc:
            raise OAuthError(f"an authorization server could not be asked ({type(exc).__name__})") from exc

    async def _origin(self, parts: SplitResult) -> tuple[Origin, bool]:
        """Where to connect, and whether the connection is kept."""
        name = origin_of(parts.geturl())
        try:
            if name not in self._configured:
                address = await self._screened(parts)
                return self._client.origin(name, ca_file=self._ca_file, address=address, max_connections=4), False
            if name not in self._kept:
                self._kept[name] = self._client.origin(name, ca_file=self._ca_file, max_connections=16)
            return self._kept[name], True
        except (OSError, ValueError) as exc:
            raise OAuthError("an authorization server cannot be reached with this configuration") from exc

    async def _screened(self, parts: SplitResult) -> str:
        """An address of the host, all of which may be asked. Raises OAuthError, which tells nothing of the inside."""
        host = parts.hostname or ""
        try:
            addresses = await self._resolve(host, parts.port or (443 if parts.scheme == "https" else 80))
        except (OSError, ValueError, UnicodeError) as exc:
            raise OAuthError("the host of a URL that was named was not found") from exc
        for address in addresses:
            if is_listed(address, self._networks):
                if parts.scheme == "https" or ipaddress.ip_address(address.partition("%")[0]).is_loopback:
                    continue
            elif parts.scheme == "https" and is_public(address):
                continue
            raise OAuthError("a URL that was named leads to an address that may not be asked")
        if not addresses:
            raise OAuthError("the host of a URL that was named was not found")
        return addresses[0]
