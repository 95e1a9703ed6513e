"""A stdio host's bridge in this process, real children included, and ways to talk to it."""

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path

from heddle.model.snapshot_mcp import StdioSpec
from heddle.net.body import Body
from heddle.net.message import Peer, Reply, Request
from heddle.stdio.bridge import Bridge
from heddle.stdio.target import Target

SERVER = Path(__file__).with_name("tool_server.py")
MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def spec(*arguments, command=None, **fields):
    fields = {"stop_grace_s": 0.5, "start_timeout_s": 10.0, **fields}
    return StdioSpec(command=command or (sys.executable, str(SERVER), *arguments), **fields)


def alive(pid):
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in {b"Z", b"X"}
    except OSError:
        return False


async def eventually(condition, within_s=5.0):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not so within {within_s} s"
        await asyncio.sleep(0.01)


class Caller:
    """Speaks HTTP with a bridge, without sockets."""

    def __init__(self, bridge, owner="alice", target="tools"):
        self.bridge = bridge
        self.owner = owner
        self.target = target
        self.session = ""
        self.numbers = 0

    async def http(self, method, body=b"", path=None, session=None):
        headers = [(b"x-heddle-owner", self.owner.encode())]
        session = self.session if session is None else session
        if session:
            headers.append((b"mcp-session-id", session.encode()))
        path = path or f"/t/{self.target}"
        return await self.bridge.handle(Request(method, path, "", headers, Body.of(body), Peer("unix", 0, False)))

    async def post(self, message):
        return await self.http("POST", json.dumps({"jsonrpc": "2.0", **message}).encode())

    async def ask(self, method, ident=None, **params):
        """The reply to a request."""
        self.numbers += 1
        return await self.post({"id": ident if ident is not None else self.numbers, "method": method, "params": params})

    async def tell(self, method, **params):
        reply = await self.post({"method": method, "params": params})
        assert (reply.status, reply.body) == (202, b"")

    async def initialize(self):
        """Begin a session; the result."""
        self.session = ""
        reply = await self.ask("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={})
        assert reply.status == 200, reply.body
        self.session = dict(reply.headers)[b"mcp-session-id"].decode()
        await self.tell("notifications/initialized")
        return json.loads(reply.body)["result"]

    async def call(self, name, meta=None, **arguments):
        """The value that a tool returns; every message of the answer if it streams."""
        reply = await self.tool(name, meta, **arguments)
        assert reply.status == 200, reply.body
        if isinstance(reply.body, bytes):
            return json.loads(reply.body)["result"]["value"]
        return await everything(reply)

    async def tool(self, name, meta=None, ident=None, **arguments):
        params = {"name": name, "arguments": arguments}
        if meta is not None:
            params["_meta"] = meta
        return await self.ask("tools/call", ident, **params)

    async def modern(self, name, **arguments):
        return await self.call(name, MODERN, **arguments)


async def events(reply: Reply):
    """The messages of a stream as they come."""
    assert dict(reply.headers)[b"content-type"] == b"text/event-stream"
    async for piece in reply.body:
        assert piece.endswith(b"\n\n")
        if not piece.startswith(b":"):
            assert piece.startswith(b"event: message\ndata: ")
            yield json.loads(piece[21:-2])


async def everything(reply: Reply):
    found = [event async for event in events(reply)]
    if reply.ended is not None:
        reply.ended(None, 0)
    return found


def close(reply: Reply):
    """The caller closes the stream."""
    if reply.ended is not None:
        reply.ended(ConnectionError("gone"), 0)


@contextlib.asynccontextmanager
async def serving(*arguments, environ=ENVIRON, state="/", **fields):
    """A bridge with one target, `tools`."""
    bridge = Bridge()
    target = bridge.targets["tools"] = Target("tools", spec(*arguments, **fields), environ, str(state))
    try:
        yield bridge
    finally:
        async with asyncio.timeout(20):
            await target.stop()
    assert not target._children
    assert not target._sessions
    assert not target._owned


def pids(bridge):
    return [child["pid"] for child in bridge.targets["tools"].status()["children"]]
