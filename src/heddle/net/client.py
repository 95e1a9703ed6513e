"""The HTTP/1.1 client: sends a request to an origin over a pooled or new connection, within deadlines.

Owns connecting (TLS and forward proxies included) and the one retry there is. It follows no redirect, adds no
header but `host` and framing, decodes no content.

**When it sends a request a second time.** Only when a *pooled* connection turns out closed before any byte of an
answer, once, on a new connection, and only if one of these holds: no byte of the request had left this process
(the end of the connection was noticed while all of it was still in the write buffer), or the method is idempotent
(RFC 9110 9.2.2) and the body can be sent again. A POST that may have reached the upstream is never repeated:
that would pay for a completion twice.

*Source:* RFC 9110 section 9.2.2; RFC 9112 sections 3.2.2 and 9.3.1.
"""

import asyncio
import base64
import math
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from heddle.model.snapshot import TimeoutSpec
from heddle.net.errors import ConnectFailed, UpstreamClosed, UpstreamTimeout
from heddle.net.origin import Address, Origin, Proxy
from heddle.net.outbound import OutboundConnection
from heddle.net.outbox import Outbox
from heddle.net.pool import Pool
from heddle.net.sweep import Sweep
from heddle.net.tls import HANDSHAKE_TIMEOUT_S, SHUTDOWN_TIMEOUT_S, client_context
from heddle.net.tunnel import Tunnel
from heddle.net.upstream import Inbound, OutboundRequest

__all__ = ["Client", "Inbound", "Origin", "OutboundRequest"]

SWEEP_PERIOD_S: Final = 0.1

_IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"))


_Made = tuple[str, bytes, str, int, str]
"""What an origin was made of: base URL, contents of the CA file, proxy, most connections, owner and address."""


class Client:
    """Shared by all routes of a worker; belongs to one event loop."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._origins: list[Origin] = []
        self._made: dict[_Made, Origin] = {}
        self._outbox = Outbox()
        self._sweep = Sweep(self.sweep, SWEEP_PERIOD_S)

    def origin(
        self,
        base_url: str,
        *,
        ca_file: str = "",
        proxy: str = "",
        max_connections: int = 1000,
        owner: str = "",
        address: str = "",
    ) -> Origin:
        """The origin of `base_url` (its path is not used), for whom it is `owner`. For building: it reads CA files.

        Who asks for the same again, contents of the file included, gets the same with its open connections; each
        must `discard` it in the end. With `address`, that one is connected to and nothing is resolved; the name still
        counts for TLS and `host`; an absolute path is the Unix socket to connect to. Raises ValueError for a URL that
        is not http(s) with a host, OSError or ssl.SSLError for a bad `ca_file`.
        """
        made = (base_url, Path(ca_file).read_bytes() if ca_file else b"", proxy, max_connections, f"{owner} {address}")
        origin = self._made.get(made)
        if origin is None:
            if address.startswith("/") and (proxy or not base_url.startswith("http://")):
                raise ValueError("a Unix socket is reached without TLS and without a proxy")
            origin = self._made[made] = self._make(base_url, ca_file, proxy, max_connections)
            origin.owner = owner
            origin.connect_host = address or origin.host
            origin.unix_path = address if address.startswith("/") else ""
            self._origins.append(origin)
        origin.users += 1
        return origin

    def _make(self, base_url: str, ca_file: str, proxy: str, max_connections: int) -> Origin:
        url = urlsplit(base_url)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise ValueError("a base URL must be http://host or https://host")
        secure = url.scheme == "https"
        host = url.hostname if url.hostname.isascii() else url.hostname.encode("idna").decode("ascii")
        address = Address(url.scheme, host, url.port or (443 if secure else 80))
        context = client_context(ca_file) if secure else None
        pool = Pool(max_connections, self._clock, self._sweep.start)
        origin = Origin(address, context, _proxy(proxy) if proxy else None, pool)
        origin.outbox = self._outbox
        return origin

    def discard(self, origin: Origin) -> None:
        """One user less, whose calls have ended. The last one's leaving closes its connections and forgets it."""
        origin.users -= 1
        if origin.users > 0 or origin not in self._origins:
            return
        origin.pool.close()
        self._origins.remove(origin)
        self._made = {made: other for made, other in self._made.items() if other is not origin}

    def connection_counts(self) -> dict[str, int]:
        """Connections that are open or being opened, by the owner of their origin."""
        counts: dict[str, int] = {}
        for origin in self._origins:
            counts[origin.owner] = counts.get(origin.owner, 0) + origin.connection_count
        return counts

    async def send(
        self, origin: Origin, request: OutboundRequest, timeouts: TimeoutSpec, deadline_s: float = 0.0
    ) -> Inbound:
        """Send `request` and return the answer's head; its body follows. Cancelling closes the connection.

        `deadline_s` is a second of the monotonic clock (as in `Exchange.deadline_s`), 0 for none; the total
        deadline is the earlier of it and `timeouts.total_s` from now. Raises ConnectFailed, UpstreamTimeout,
        UpstreamClosed or UpstreamProtocolError.
        """
        now = self._clock()
        total_at_s = now + timeouts.total_s if timeouts.total_s else math.inf
        if deadline_s and deadline_s < total_at_s:
            total_at_s = deadline_s
        connection = origin.pool.take()
        if connection is None:
            connection = await self._obtain(origin, timeouts, now, total_at_s)
            now = self._clock()
        reused = connection.used
        waiter = connection.begin(request, timeouts, now, total_at_s)
        try:
            inbound: Inbound = await waiter
        except BaseException as error:
            connection.give_up(waiter)
            if not (reused and isinstance(error, UpstreamClosed)):
                raise
            if connection.received_any or not _may_repeat(request, error):
                raise
        else:
            return inbound
        connection = await self._obtain(origin, timeouts, self._clock(), total_at_s, fresh=True)
        waiter = connection.begin(request, timeouts, self._clock(), total_at_s)
        try:
            inbound = await waiter
        except BaseException:
            connection.give_up(waiter)
            raise
        return inbound

    async def _obtain(
        self, origin: Origin, timeouts: TimeoutSpec, now: float, total_at_s: float, *, fresh: bool = False
    ) -> OutboundConnection:
        """A new connection, or one that is given back while the origin is at its maximum."""
        limit_s = min(timeouts.connect_s or math.inf, total_at_s - now)
        try:
            async with asyncio.timeout(None if limit_s == math.inf else limit_s):
                while not origin.pool.reserve():
                    connection = await origin.pool.wait()
                    if connection is None:
                        break
                    if connection.usable and not fresh:
                        return connection
                    connection.abort()
                return await self._connect(origin)
        except TimeoutError as error:
            raise UpstreamTimeout("connect" if limit_s < total_at_s - now else "total") from error

    async def _connect(self, origin: Origin) -> OutboundConnection:
        connection = OutboundConnection(origin)
        try:
            await _dial(origin, connection)
        except BaseException as error:
            origin.pool.give_up_reservation()
            if isinstance(error, ssl.SSLError):
                raise ConnectFailed(f"The TLS handshake with {origin.host} failed: {_reason(error)}.") from error
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                place = origin.unix_path or f"{origin.host}:{origin.port}"
                raise ConnectFailed(f"No connection to {place}: {_reason(error)}.") from error
            raise
        origin.pool.opened(connection)
        return connection

    def sweep(self) -> bool:
        """Enforce every deadline; runs by itself ten times a second while connections are open."""
        now = self._clock()
        alive = False
        for origin in self._origins:
            alive = origin.pool.sweep(now) or alive
        return alive

    async def close(self) -> None:
        """Close every connection of every origin."""
        for origin in self._origins:
            origin.pool.close()
        self._sweep.stop()
        await asyncio.sleep(0)


def _may_repeat(request: OutboundRequest, error: UpstreamClosed) -> bool:
    return isinstance(request.body, bytes) and (not error.sent or request.method in _IDEMPOTENT)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.strerror or type(error).__name__


def _proxy(url: str) -> Proxy:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("a proxy must be http://host:port")
    authorization = b""
    if parts.username is not None:
        userinfo = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + base64.b64encode(userinfo.encode())
    return Proxy(parts.hostname, parts.port or 80, authorization)


async def _dial(origin: Origin, connection: OutboundConnection) -> None:
    loop = asyncio.get_running_loop()
    tls = origin.ssl_context
    if origin.proxy is not None and tls is not None:
        transport = await _tunnel(origin, origin.proxy)
        upgraded = await loop.start_tls(
            transport,
            connection,
            tls,
            server_hostname=origin.host,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        )
        if upgraded is None:
            raise ConnectionError("the proxy closed the tunnel")
        connection.connection_made(upgraded)
        return
    if origin.unix_path:
        await loop.create_unix_connection(lambda: connection, origin.unix_path)
        return
    host, port = (origin.connect_host, origin.port)
    if origin.proxy is not None:
        host, port = origin.proxy.host, origin.proxy.port
    await loop.create_connection(
        lambda: connection,
        host,
        port,
        ssl=tls,
        server_hostname=origin.host if tls else None,
        ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if tls else None,
        ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S if tls else None,
    )


async def _tunnel(origin: Origin, proxy: Proxy) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    tunnel = Tunnel(f"{host}:{origin.port}".encode("ascii"), proxy.authorization)
    transport, _ = await loop.create_connection(lambda: tunnel, proxy.host, proxy.port)
    try:
        await tunnel.established
    except BaseException:
        transport.abort()
        raise
    return transport
