"""A unary gRPC call over HTTP/2, as much of it as an exporter needs.

Owns one connection, one call at a time, its framing and its status. It refuses server push, streaming answers and
compressed answers (it advertises no `grpc-accept-encoding`), and answers larger than 1 MiB.
*Source:* gRPC over HTTP2 (grpc/doc/PROTOCOL-HTTP2.md), compression.md; RFC 9113 sections 5.2 and 6.9 (flow control).
"""

import asyncio
import contextlib
import gzip
import ssl
import struct
from typing import NamedTuple, Self
from urllib.parse import unquote, urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error

from heddle.drivers.sinks.retryinfo import retry_delay_s

_PREFIX = struct.Struct("!BI")
_MAX_ANSWER_BYTES = 1024 * 1024
_READ_BYTES = 65_536
_UNKNOWN = 2
# HTTP status -> gRPC code, when a proxy answers instead (http-grpc-status-mapping.md).
_FROM_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


class Target(NamedTuple):
    """Where a gRPC server is."""

    host: str
    port: int
    tls: bool

    @classmethod
    def parse(cls, endpoint: str, *, insecure: bool) -> Self:
        """Read `host:port`, where `insecure` decides on TLS, or a URL, whose scheme does. ValueError otherwise."""
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        if not parts.hostname or parts.scheme not in {"", "http", "https", "grpc", "grpcs"}:
            raise ValueError(f"{endpoint!r} is not host:port or a URL")
        tls = parts.scheme in {"https", "grpcs"} if parts.scheme else not insecure
        return cls(parts.hostname, parts.port or 4317, tls)


class GrpcAnswer(NamedTuple):
    """How a call ended; `code` is 0 when it succeeded."""

    code: int
    message: str
    body: bytes
    retry_after_s: float


class GrpcChannel:
    """One server. Connects when it is first called, and again when the connection was lost."""

    def __init__(self, target: Target, *, timeout_s: float = 10.0, context: ssl.SSLContext | None = None) -> None:
        self.target = target
        self._timeout_s = timeout_s
        self._context = context
        self._connection: _Connection | None = None

    async def unary(
        self, path: str, message: bytes, metadata: list[tuple[str, str]], *, compress: bool = False
    ) -> GrpcAnswer:
        """Call `path` with one message. ConnectionError or TimeoutError when the server gave no status."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._call(path, message, metadata, compress)
        except BaseException as exc:
            await self.close()
            if isinstance(exc, (H2Error, OSError, ValueError)) and not isinstance(exc, (ConnectionError, TimeoutError)):
                raise ConnectionError(f"{self.target.host}:{self.target.port}: {exc}") from exc
            raise

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _call(self, path: str, message: bytes, metadata: list[tuple[str, str]], compress: bool) -> GrpcAnswer:
        connection = self._connection
        if connection is None or connection.spent:
            await self.close()
            connection = self._connection = await _Connection.open(self.target, self._context)
        headers = [
            (":method", "POST"),
            (":scheme", "https" if self.target.tls else "http"),
            (":path", path),
            (":authority", f"{self.target.host}:{self.target.port}"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("grpc-timeout", f"{int(self._timeout_s * 1000)}m"),
            *([("grpc-encoding", "gzip")] if compress else []),
            *metadata,
        ]
        payload = gzip.compress(message, 1) if compress else message
        return await connection.call(headers, _PREFIX.pack(compress, len(payload)) + payload)


class _Connection:
    """An open connection and the one stream on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._leaving = False
        self._ended = False
        self._fields: dict[str, str] = {}
        self._body = bytearray()

    @classmethod
    async def open(cls, target: Target, context: ssl.SSLContext | None) -> Self:
        if target.tls and context is None:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        if context is not None:
            context.set_alpn_protocols(["h2"])
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context if target.tls else None)
        connection = cls(reader, writer)
        connection._h2.initiate_connection()
        await connection._flush()
        return connection

    @property
    def spent(self) -> bool:
        """True when the server has closed the connection, or said that it will."""
        return self._leaving or self._reader.at_eof() or self._writer.is_closing()

    def close(self) -> None:
        with contextlib.suppress(
            Exception
        ):  # the other end may be gone, or the state such that no farewell is possible
            self._h2.close_connection()
            self._writer.write(self._h2.data_to_send())
        self._writer.close()

    async def call(self, headers: list[tuple[str, str]], data: bytes) -> GrpcAnswer:
        stream = self._h2.get_next_available_stream_id()
        self._ended, self._fields = False, {}
        self._body.clear()
        self._h2.send_headers(stream, headers)
        await self._send(stream, memoryview(data))
        while not self._ended:
            await self._receive(stream)
        return self._answer()

    async def _send(self, stream: int, data: memoryview) -> None:
        while data and not self._ended:
            # RFC 9113 6.9.1: never more than the smaller of both windows; then wait for WINDOW_UPDATE.
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size, len(data))
            if room <= 0:
                await self._receive(stream)
                continue
            self._h2.send_data(stream, bytes(data[:room]), end_stream=room == len(data))
            data = data[room:]
            await self._flush()

    async def _receive(self, stream: int) -> None:
        await self._flush()
        data = await self._reader.read(_READ_BYTES)
        if not data:
            raise ConnectionResetError("the collector closed the connection")
        for event in self._h2.receive_data(data):
            self._note(event, stream)
        await self._flush()

    def _note(self, event: Event, stream: int) -> None:
        if isinstance(event, ConnectionTerminated):
            self._leaving = True
            # 6.8: streams above the last one named were not processed.
            if (event.last_stream_id or 0) < stream:
                raise ConnectionResetError("the collector is going away")
        elif getattr(event, "stream_id", None) != stream:
            return
        elif isinstance(event, (ResponseReceived, TrailersReceived)):
            self._fields.update((str(name), str(value)) for name, value in event.headers or ())
        elif isinstance(event, DataReceived):
            self._body += event.data or b""
            if len(self._body) > _MAX_ANSWER_BYTES:
                raise ConnectionAbortedError("the answer is too large")
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
        elif isinstance(event, StreamReset):
            if "grpc-status" not in self._fields:
                raise ConnectionResetError(f"the call was reset with code {int(event.error_code or 0)}")
            self._ended = True
        elif isinstance(event, StreamEnded):
            self._ended = True

    def _answer(self) -> GrpcAnswer:
        fields = self._fields
        status = fields.get(":status", "")
        code = fields.get("grpc-status", "")
        if not code.isdigit():
            http = int(status) if status.isdigit() else 0
            return GrpcAnswer(_FROM_HTTP.get(http, _UNKNOWN), f"HTTP status {status}", b"", 0.0)
        message = unquote(fields.get("grpc-message", ""))
        if len(self._body) < _PREFIX.size:
            return GrpcAnswer(int(code), message, b"", retry_delay_s(fields.get("grpc-status-details-bin", "")))
        compressed, length = _PREFIX.unpack_from(self._body)
        if compressed or length != len(self._body) - _PREFIX.size:
            raise ConnectionAbortedError("the answer is not one uncompressed message")
        return GrpcAnswer(
            int(code),
            message,
            bytes(self._body[_PREFIX.size :]),
            retry_delay_s(fields.get("grpc-status-details-bin", "")),
        )

    async def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._writer.write(data)
            await self._writer.drain()
