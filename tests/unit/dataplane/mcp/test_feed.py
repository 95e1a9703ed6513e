"""What a server says outside of any call passes guards too."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from heddle.backends.mcp.contract import Caller, Hear, Params, Wanted
from heddle.dataplane.mcp.feed import Feed
from heddle.model.mcp import McpCall


def log(said: str) -> Params:
    return {"level": msgspec.Raw(b'"info"'), "data": msgspec.Raw(json.dumps(said).encode())}


class Target:
    """Says two things and asks one, then is silent."""

    def __init__(self) -> None:
        self.answer = b""
        self.answered = asyncio.Event()

    async def listen(self, wanted: Wanted, caller: Caller, hear: Hear) -> None:
        for said in ("never", "now"):
            hear("notifications/message", log(said))
        self.answer = await caller.ask("elicitation/create", log("who"))
        self.answered.set()
        await asyncio.sleep(60)


class Guards:
    """Lets nothing pass that says `never`."""

    def said(self, method: str, params: Params) -> Params | None:
        return None if b"never" in bytes(params["data"]) else params

    async def asked(self, params: Params) -> Params:
        return log("who, politely")

    async def answered(self, result: bytes) -> bytes:
        return b"guarded " + result


class Front(Caller):
    """Answers what it was asked."""

    async def ask(self, method: str, params: Params) -> bytes:
        return bytes(params["data"])


@pytest.mark.parametrize("guarded", [True, False])
async def test_streams_of_servers_pass_guards(guarded: bool) -> None:
    calls: list[McpCall] = []

    def guarding(exchange: Any, call: McpCall) -> Any:
        calls.append(call)
        return Guards() if guarded else None

    policies = SimpleNamespace(guarding=guarding)
    server: Any = SimpleNamespace(spec=SimpleNamespace(name="default"), policies=policies, watchers=set())
    target, exchange = Target(), SimpleNamespace()
    feed = Feed(server, Front(), exchange)  # type: ignore[arg-type]
    feed.watch(SimpleNamespace(name="files", target=target), Wanted(), Front(), "")  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(5):
            await target.answered.wait()
        said = [json.loads(message)["params"]["data"] for message in feed.mail.take()]
    finally:
        feed.close()
    assert said == (["now"] if guarded else ["never", "now"])
    assert target.answer == (b'guarded "who, politely"' if guarded else b'"who"')
    # Of every tool of the server: it does not say what it speaks of.
    assert [(call.kind, call.server, call.target, call.name) for call in calls] == [("tool", "default", "files", "")]
