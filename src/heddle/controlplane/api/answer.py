"""What is sent back: one body with its headers, or a stream of them.

Owns warnings, `pretty`, gzip for large answers, and the one place where a failure becomes a Status.
*Source:* RFC 9110; RFC 7234 section 5.5 (Warning); Kubernetes API concepts.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import msgspec

from heddle.controlplane.api.request import Request, Send
from heddle.wire.kube.status import ApiError

JSON = "application/json"
GZIP_FROM_BYTES = 128 * 1024
"""Smaller answers are not worth the time, as in Kubernetes."""
_AWAY_FROM_LOOP_BYTES = 1024 * 1024
"""What is compressed in a thread, so that others do not wait for it."""
MAX_WARNINGS_BYTES = 4096
"""Of all together; kubectl prints them, proxies refuse longer headers."""

encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes
    content_type: str = JSON
    warnings: Sequence[str] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    version: int = 0
    """Of what a write made; 0 when nothing."""


class Stream(NamedTuple):
    """An answer that goes on."""

    chunks: AsyncIterator[bytes]
    content_type: str = JSON
    write_timeout_s: float = 30.0
    """How long a reader may not read before it is cut off."""
    warnings: Sequence[str] = ()


class ReaderTooSlowError(Exception):
    """A stream was ended because nobody read it."""


def of(value: Any, status: int = 200, warnings: Sequence[str] = ()) -> Answer:
    """An answer of plain data."""
    return Answer(status, encode(value), warnings=warnings)


def failure(error: ApiError) -> Answer:
    """The Status of a refusal."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    retry = (error.details or {}).get("retryAfterSeconds")
    if retry:
        headers = ((b"retry-after", str(retry).encode()),)
    if error.code == 401:
        headers = ((b"www-authenticate", b'Bearer realm="heddle"'),)
    return Answer(error.code, encode(error.status()), headers=headers)


NOT_FOUND = Answer(404, b"404 page not found\n", "text/plain; charset=utf-8")
"""Of a path under which nothing is served."""


async def send_answer(answer: Answer, request: Request, send: Send) -> None:
    """Send it whole."""
    body = answer.body
    headers = [(b"content-type", answer.content_type.encode()), *_warnings(answer.warnings), *answer.headers]
    headers.append((b"cache-control", b"no-cache, private"))
    if answer.content_type.startswith(JSON) and request.query_string and _wants_pretty(request):
        body = msgspec.json.format(body, indent=2) + b"\n"
    if len(body) >= GZIP_FROM_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        body = await _zipped(body)
        headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body if request.method != "HEAD" else b""})


async def _zipped(body: bytes) -> bytes:
    if len(body) < _AWAY_FROM_LOOP_BYTES:
        return gzip.compress(body, 1, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, 1, mtime=0)


def _wants_pretty(request: Request) -> bool:
    return "pretty" in request.query and request.option("pretty") not in {"false", "0"}


def _warnings(messages: Sequence[str]) -> list[tuple[bytes, bytes]]:
    sent, room = [], MAX_WARNINGS_BYTES
    for message in messages:
        quoted = message.replace("\\", "\\\\").replace('"', '\\"')
        line = f'299 - "{quoted}"'.encode("ascii", "backslashreplace")
        line = bytes(max(byte, 32) for byte in line)
        room -= len(line)
        if room < 0:
            break
        sent.append((b"warning", line))
    return sent


async def send_stream(stream: Stream, request: Request, send: Send) -> None:
    """Send chunks as they come. Raises ReaderTooSlowError; the caller cuts the connection."""
    connection = request.connection
    headers = [(b"content-type", stream.content_type.encode()), (b"cache-control", b"no-cache, private")]
    headers += _warnings(stream.warnings)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    # Headers and the answer's start are seen at once, also where nothing happens for an hour.
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    async for chunk in stream.chunks:
        message = {"type": "http.response.body", "body": chunk, "more_body": True}
        # A timer for each of a thousand watchers is a good part of telling them; it is needed only where one waits.
        if connection is not None and not connection.stalled:
            await send(message)
            continue
        try:
            async with asyncio.timeout(stream.write_timeout_s):
                await send(message)
        except TimeoutError as exc:
            raise ReaderTooSlowError from exc
    await send({"type": "http.response.body", "body": b"", "more_body": False})
