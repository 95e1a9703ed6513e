"""Where requests go: an upstream's address, its TLS context, the proxy before it, and its pool.

*Source:* RFC 9112 section 3.2.2 (absolute-form for proxies); RFC 9110 section 7.2 (`host`).
"""

import ssl
from typing import NamedTuple

from heddle.net.head import ResponseHeadReader
from heddle.net.outbox import Outbox
from heddle.net.pool import Pool


class Address(NamedTuple):
    """Scheme, host and port of an upstream; an IPv6 host has no brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """As in a Host header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.scheme == "https" else 80) else f"{name}:{self.port}"


class Proxy:
    """A forward proxy."""

    __slots__ = ("authorization", "host", "port")

    def __init__(self, host: str, port: int, authorization: bytes = b"") -> None:
        self.host = host
        self.port = port
        self.authorization = authorization
        """Value of `proxy-authorization`; a secret."""

    def __repr__(self) -> str:
        return f"Proxy({self.host!r}, {self.port})"


class Origin:
    """One upstream. Made once per provider, by `Client.origin`, and kept while any snapshot uses it."""

    __slots__ = (
        "connect_host",
        "host",
        "host_line",
        "outbox",
        "owner",
        "pool",
        "port",
        "proxy",
        "reader",
        "scheme",
        "ssl_context",
        "target_prefix",
        "unix_path",
        "users",
    )

    def __init__(self, address: Address, ssl_context: ssl.SSLContext | None, proxy: Proxy | None, pool: Pool) -> None:
        self.scheme, self.host, self.port = address
        self.connect_host = self.host
        """What is connected to: another one only where a name has been resolved and screened before."""
        self.unix_path = ""
        """Absolute path of the Unix socket to connect to instead."""
        self.ssl_context = ssl_context
        self.proxy = proxy
        self.pool = pool
        self.owner = ""
        """Name of the provider, for its metrics; empty for what is no provider."""
        self.users = 0
        """Who has it from `Client.origin` and has not discarded it."""
        self.reader = ResponseHeadReader()
        """Of all its connections: what they answer within a second mostly has the same head."""
        self.outbox = Outbox()
        """What goes out in this turn of the loop; all origins of a client share one."""
        authority = address.authority
        self.host_line = f"host: {authority}\r\n".encode("ascii")
        """Header lines that every request to this origin carries; may hold the proxy's credential."""
        self.target_prefix = b""
        """What turns a path into absolute-form for a proxy of plain HTTP."""
        if proxy is not None and ssl_context is None:
            self.target_prefix = f"http://{authority}".encode("ascii")
            if proxy.authorization:
                self.host_line += b"proxy-authorization: " + proxy.authorization + b"\r\n"

    def __repr__(self) -> str:
        return f"Origin({self.scheme}://{self.host}:{self.port})"

    @property
    def connection_count(self) -> int:
        """Connections that are open or being opened."""
        return self.pool.connection_count

    @property
    def idle_count(self) -> int:
        """Connections that rest in the pool."""
        return self.pool.idle_count
