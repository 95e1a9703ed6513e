"""What a server over HTTP+SSE says without naming a request: who hears it, and by whom it asks."""

import asyncio
from typing import Any

import pytest

from heddle.backends.mcp.contract import Caller, Params, TargetRequest
from heddle.backends.mcp.sse import _Stream
from heddle.wire.jsonrpc import decode_light

LOG = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"x"}}'
UPDATED = b'{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b"}}'


class Nothing:
    """Stands where nothing is asked of it."""

    name = "t"

    def close(self) -> None:
        """See `Inbound`."""


class Asker(Caller):
    """A caller that answers questions when it is told to."""

    def __init__(self) -> None:
        self.capabilities = b'{"roots":{}}'
        self.heard: list[str] = []
        self.asked = 0
        self.answer = asyncio.Event()

    def notify(self, method: str, params: Params) -> None:
        self.heard.append(method)

    async def ask(self, method: str, params: Params) -> bytes:
        self.asked += 1
        await self.answer.wait()
        return b'{"roots":[]}'


class Server:
    """A stream whose posts are kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        nothing: Any = Nothing()
        self.stream = _Stream(nothing, nothing, nothing)
        self.posted: list[bytes] = []
        self.calls: list[asyncio.Task[bytes]] = []

        async def post(body: bytes, caller: Caller) -> None:
            self.posted.append(body)

        monkeypatch.setattr(self.stream, "post", post)

    async def call(self) -> Asker:
        """A call that is under way from now on."""
        caller = Asker()
        request = TargetRequest(method="tools/call", params={})
        self.calls.append(asyncio.ensure_future(self.stream.ask(request, caller, 5.0)))
        await asyncio.sleep(0)
        return caller

    async def say(self, message: bytes) -> None:
        """It says this, and everybody concerned has had a turn."""
        self.stream.take(decode_light(message))
        for _ in range(5):
            await asyncio.sleep(0)

    async def ask(self, ident: bytes) -> None:
        """It asks for roots."""
        await self.say(b'{"jsonrpc":"2.0","id":%b,"method":"roots/list"}' % ident)

    async def end(self) -> None:
        """Nothing is left."""
        for call in self.calls:
            call.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        self.stream.close()


async def test_a_line_of_log_is_heard_once_by_the_call_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    server, heard = Server(monkeypatch), []
    server.stream.hear = lambda method, params: heard.append(method)
    caller = await server.call()
    await server.say(LOG)
    await server.say(UPDATED)
    assert (caller.heard, heard) == (["notifications/message"], ["notifications/resources/updated"])
    await server.end()


async def test_without_a_call_the_listener_hears_it_and_without_a_listener_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, heard = Server(monkeypatch), []
    server.stream.hear = lambda method, params: heard.append(method)
    await server.say(LOG)
    server.stream.hear = None
    caller = await server.call()
    await server.say(UPDATED)
    assert (heard, caller.heard) == (["notifications/message"], ["notifications/resources/updated"])
    await server.end()


async def test_a_call_whose_question_nobody_answers_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    given_up = await server.call()
    await server.ask(b"1")
    current = await server.call()
    await server.ask(b"2")
    assert (given_up.asked, current.asked) == (1, 1)
    current.answer.set()
    await asyncio.sleep(0.01)
    assert b'"id":2' in server.posted[-1].replace(b" ", b"")
    await server.ask(b"3")
    assert (given_up.asked, current.asked) == (1, 2), "what was answered counts no more"
    await server.end()
