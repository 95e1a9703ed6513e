"""Guards where a call meets its target: around the request and its result, and around everything said in between.

Owns the caller that a target gets to talk to while guards listen: what it is told and asked passes them first, and so
do its answers. Owns the same for streams of what a server says by itself.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from heddle.backends.mcp.contract import Caller, Hear, Params
from heddle.wire.jsonrpc import RpcError


class GuardedCall(Protocol):
    """The guards of one call. All but `said` raise CallError for what must not pass."""

    async def request(self) -> None:
        """Treat what the caller sends, in place."""
        ...

    async def result(self, result: bytes) -> bytes:
        """What becomes of a result."""
        ...

    async def error(self, error: RpcError) -> RpcError:
        """What becomes of an error of the target."""
        ...

    def said(self, method: str, params: Params) -> Params | None:
        """What becomes of a notification; None is not passed on."""
        ...

    async def asked(self, params: Params) -> Params:
        """What becomes of a question of the target."""
        ...

    async def answered(self, result: bytes) -> bytes:
        """What becomes of the caller's answer to it."""
        ...


class GuardedCaller(Caller):
    """The same caller, behind guards."""

    def __init__(self, caller: Caller, guards: GuardedCall) -> None:
        vars(self).update(vars(caller))
        self._caller, self._guards = caller, guards

    def notify(self, method: str, params: Params) -> None:
        """Only what may pass."""
        passed = self._guards.said(method, params)
        if passed is not None:
            self._caller.notify(method, passed)

    async def ask(self, method: str, params: Params) -> bytes:
        """Question and answer as they may pass. Raises RpcError or CallError."""
        return await self._guards.answered(await self._caller.ask(method, await self._guards.asked(params)))


async def guarded(guards: GuardedCall, caller: Caller, send: Callable[[Caller], Awaitable[bytes]]) -> bytes:
    """The result of a call as it may pass; `send` asks the target, with what the request has become by then.

    Raises RpcError or CallError.
    """
    await guards.request()
    try:
        result = await send(GuardedCaller(caller, guards))
    except RpcError as error:
        raise await guards.error(error) from error
    return await guards.result(result)


def hearing(guards: GuardedCall, hear: Hear) -> Hear:
    """`hear`, for only what may pass."""

    def heard(method: str, params: Params) -> None:
        passed = guards.said(method, params)
        if passed is not None:
            hear(method, passed)

    return heard
