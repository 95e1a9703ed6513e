"""Asking a forward proxy for a tunnel, before TLS begins inside it.

*Source:* RFC 9110 section 9.3.6 (CONNECT).
"""

import asyncio
from typing import cast

from heddle.net.head import ResponseHeadReader
from heddle.wire.http1 import MAX_HEAD_BYTES, ProtocolError


class Tunnel(asyncio.Protocol):
    """Sends CONNECT and waits for a 2xx; `established` fails with ConnectionError otherwise."""

    __slots__ = ("_authority", "_authorization", "_received", "established")

    def __init__(self, authority: bytes, authorization: bytes) -> None:
        self._authority = authority
        self._authorization = authorization
        self._received = b""
        self.established: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The proxy is there: ask it."""
        lines = [b"CONNECT %b HTTP/1.1" % self._authority, b"host: " + self._authority]
        if self._authorization:
            lines.append(b"proxy-authorization: " + self._authorization)
        cast("asyncio.Transport", transport).write(b"\r\n".join(lines) + b"\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        """The proxy's answer; nothing may follow it before we speak."""
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end == 3:
            if len(self._received) > MAX_HEAD_BYTES:
                self._settle("the proxy's answer is too large")
            return
        try:
            # To HEAD no body follows, as none follows a successful CONNECT.
            status = ResponseHeadReader().read(self._received[:end], "HEAD").status
        except ProtocolError:
            self._settle("the proxy did not answer in HTTP/1")
            return
        if not 200 <= status < 300:
            self._settle(f"the proxy refused the tunnel with {status}")
        elif end != len(self._received):
            self._settle("the proxy sent data before the tunnel was used")
        else:
            self._settle("")

    def connection_lost(self, _exc: Exception | None) -> None:
        """The proxy is gone."""
        self._settle("the proxy closed the connection")

    def _settle(self, failure: str) -> None:
        if not self.established.done():
            if failure:
                self.established.set_exception(ConnectionError(0, failure))
            else:
                self.established.set_result(None)
