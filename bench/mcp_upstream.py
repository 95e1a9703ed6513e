"""The tool server of the question `mcp`: one tool, `echo`, answered from memory in both eras, as fast as can be.

`python -m bench.mcp_upstream PORT ERA`, where ERA is `modern` (2026-07-28), `legacy` (sessions) or `both`. It reads as
little of a call as it can: where the head ends, how long the body is, which method, which id. `GET /count` says how
many calls of the tool it answered, so that a gateway's answers can be held against calls that really arrived.
"""

import asyncio
import json
import re
import sys
from typing import NamedTuple, cast

import uvloop

MODERN = "2026-07-28"
TEXT = "hello from the other side"
SESSION = "s-0123456789abcdef"
INFO = {"name": "echo", "version": "1.0"}
TOOL = {
    "name": "echo",
    "description": "Says it back.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_VERSION = re.compile(rb"\r\nmcp-protocol-version: *([0-9-]+)", re.IGNORECASE)
_METHOD = re.compile(rb'"method" *: *"([^"]+)"')
_ID = re.compile(rb'"id" *: *("[^"]*"|\d+)')
_ASKED = re.compile(rb'"protocolVersion" *: *"([0-9-]+)"')
_HEAD = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n"


def _result(modern: bool, **members: object) -> bytes:
    """All of an answer that comes after its id."""
    if modern:
        members = {"resultType": "complete", **members, "_meta": {"io.modelcontextprotocol/serverInfo": INFO}}
    return b',"result":' + json.dumps(members, separators=(",", ":")).encode() + b"}"


def _error(code: int, message: str, **data: object) -> bytes:
    error = {"code": code, "message": message, **({"data": data} if data else {})}
    return b',"error":' + json.dumps(error, separators=(",", ":")).encode() + b"}"


CONTENT = [{"type": "text", "text": TEXT}]
CACHED = {"ttlMs": 60_000, "cacheScope": "public"}
CAPABILITIES: dict[str, object] = {"tools": {}}
RESULTS = {
    True: {
        b"server/discover": _result(True, supportedVersions=[MODERN], capabilities=CAPABILITIES, **CACHED),
        b"tools/list": _result(True, tools=[TOOL], **CACHED),
        b"tools/call": _result(True, content=CONTENT),
    },
    False: {
        b"ping": _result(False),
        b"tools/list": _result(False, tools=[TOOL]),
        b"tools/call": _result(False, content=CONTENT),
    },
}
"""Modern or not -> method -> the answer after its id."""
UNKNOWN = _error(-32601, "Method not found")
OTHER_ERA = _error(-32022, "Unsupported protocol version", supported=[MODERN])
OLD = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Bad Request: Unsupported protocol version"}}'


class Counter:
    """Calls of the tool, over all connections."""

    calls = 0


class Head(NamedTuple):
    """What a request's head says."""

    post: bool
    modern: bool
    length: int

    @classmethod
    def of(cls, head: bytes) -> "Head":
        """Reads it. Peers repeat their heads: those seen are remembered, as long as they are few."""
        found = _seen.get(head)
        if found is None:
            length, version = _LENGTH.search(head), _VERSION.search(head)
            modern = version is not None and version[1].decode() == MODERN
            found = cls(head.startswith(b"POST "), modern, int(length[1]) if length else 0)
            if len(_seen) < 256:
                _seen[head] = found
        return found


_seen: dict[bytes, Head] = {}


class Upstream(asyncio.Protocol):
    """One connection: requests one behind the other."""

    def __init__(self, era: str, counter: Counter) -> None:
        self._era, self._counter = era, counter
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        answers = []
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                break
            said = Head.of(data[: end + 2])
            size = end + 4 + said.length
            if len(data) < size:
                break
            answers.append(self._answer(said, data[end + 4 : size]) if said.post else self._bodiless(data[:end]))
            data = data[size:]
        self._buffer = data
        if answers:
            self._transport.write(b"".join(answers))

    def _answer(self, head: Head, body: bytes) -> bytes:
        modern = head.modern
        if self._era == ("legacy" if modern else "modern"):
            return self._refused(modern, body)
        method, identity = _METHOD.search(body), _ID.search(body)
        if method is None or identity is None:
            return _HEAD % (b"202 Accepted", b"", 0)
        if method[1] == b"tools/call":
            self._counter.calls += 1
        elif method[1] == b"initialize" and not modern:
            return self._hello(identity[1], body)
        tail = RESULTS[modern].get(method[1])
        status = b"200 OK" if tail is not None or not modern else b"404 Not Found"
        return self._whole(status, identity[1], tail or UNKNOWN)

    @staticmethod
    def _whole(status: bytes, identity: bytes, tail: bytes, fields: bytes = b"") -> bytes:
        # 22 bytes stand before the id.
        return b'%b{"jsonrpc":"2.0","id":%b%b' % (
            _HEAD % (status, fields, 22 + len(identity) + len(tail)),
            identity,
            tail,
        )

    def _hello(self, identity: bytes, body: bytes) -> bytes:
        asked = _ASKED.search(body)
        version = asked[1].decode() if asked else "2025-11-25"
        tail = _result(False, protocolVersion=version, capabilities=CAPABILITIES, serverInfo=INFO)
        return self._whole(b"200 OK", identity, tail, b"mcp-session-id: " + SESSION.encode() + b"\r\n")

    def _refused(self, modern: bool, body: bytes) -> bytes:
        if modern:
            return _HEAD % (b"400 Bad Request", b"", len(OLD)) + OLD
        identity = _ID.search(body)
        return self._whole(b"400 Bad Request", identity[1] if identity else b"null", OTHER_ERA)

    def _bodiless(self, head: bytes) -> bytes:
        if head.startswith(b"GET /count"):
            told = b"%d" % self._counter.calls
            return _HEAD % (b"200 OK", b"", len(told)) + told
        # No stream of its own to offer, and nothing to end.
        return _HEAD % (b"200 OK" if head.startswith(b"DELETE ") else b"405 Method Not Allowed", b"", 0)


async def serve(port: int, era: str) -> None:
    """Answers until the process is ended."""
    counter = Counter()
    server = await asyncio.get_running_loop().create_server(
        lambda: Upstream(era, counter), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "both"))
