"""The caller that a target talks to while guards listen."""

from typing import Any

import msgspec
import pytest

from heddle.backends.mcp.contract import Caller, Params
from heddle.dataplane.mcp.guarding import GuardedCaller, guarded, hearing
from heddle.pipeline.errors import CallError, Reason
from heddle.wire.jsonrpc import RpcError

HELLO: Params = {"message": msgspec.Raw(b'"hello"')}


class Front(Caller):
    """Remembers what it heard, and answers."""

    def __init__(self) -> None:
        self.key, self.version, self.kept = "session-1", "2025-11-25", {"files": "s"}
        self.heard: list[tuple[str, Params]] = []

    def notify(self, method: str, params: Params) -> None:
        self.heard.append((method, params))

    async def ask(self, method: str, params: Params) -> bytes:
        self.heard.append((method, params))
        return b"answer"


class Guards:
    """Marks what passes; lets nothing pass that is called `never`."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def request(self) -> None:
        self.seen.append("request")

    async def result(self, result: bytes) -> bytes:
        return b"guarded " + result

    async def error(self, error: RpcError) -> RpcError:
        return RpcError(error.code, f"guarded {error.message}")

    def said(self, method: str, params: Params) -> Params | None:
        return None if method == "never" else {**params, "seen": msgspec.Raw(b"1")}

    async def asked(self, params: Params) -> Params:
        return {**params, "seen": msgspec.Raw(b"1")}

    async def answered(self, result: bytes) -> bytes:
        return b"guarded " + result


def test_it_is_the_same_caller() -> None:
    front = Front()
    caller = GuardedCaller(front, Guards())
    assert (caller.key, caller.version, caller.modern, caller.kept) == ("session-1", "2025-11-25", False, front.kept)
    assert caller.kept is front.kept


def test_what_must_not_pass_is_not_heard() -> None:
    front = Front()
    caller = GuardedCaller(front, Guards())
    caller.notify("never", HELLO)
    caller.notify("now", HELLO)
    heard: list[Any] = []
    hear = hearing(Guards(), lambda method, params: heard.append((method, params)))
    hear("never", HELLO)
    hear("now", HELLO)
    assert front.heard == heard == [("now", {**HELLO, "seen": msgspec.Raw(b"1")})]


async def test_questions_and_answers_pass_both() -> None:
    front = Front()
    assert await GuardedCaller(front, Guards()).ask("roots/list", {}) == b"guarded answer"
    assert front.heard == [("roots/list", {"seen": msgspec.Raw(b"1")})]


async def test_the_request_is_guarded_before_anybody_is_asked() -> None:
    guards = Guards()

    async def send(caller: Caller) -> bytes:
        assert guards.seen == ["request"]
        assert isinstance(caller, GuardedCaller)
        return b"result"

    assert await guarded(guards, Front(), send) == b"guarded result"


async def test_an_error_of_the_target_is_guarded_and_one_of_the_gateway_is_not() -> None:
    async def fails(caller: Caller) -> bytes:
        raise RpcError(-32000, "no")

    async def away(caller: Caller) -> bytes:
        raise CallError(Reason.UPSTREAM_UNREACHABLE, "away")

    with pytest.raises(RpcError) as failed:
        await guarded(Guards(), Front(), fails)
    assert (failed.value.code, failed.value.message) == (-32000, "guarded no")
    with pytest.raises(CallError, match="away"):
        await guarded(Guards(), Front(), away)
