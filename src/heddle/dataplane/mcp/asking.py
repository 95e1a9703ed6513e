"""Questions of servers under way to callers, and requests under way for them: found from any worker.

Owns the ids that callers see of questions (a server's own would collide with another's), and what happens when an
answer or a cancellation arrives at a worker that does not have what it is about: it is said on the bus. An answer
counts only from the session that was asked.
*Source:* Model Context Protocol 2025-11-25, "Cancellation", "Sampling", "Elicitation", "Roots".
"""

import asyncio
import itertools
import os
from collections.abc import Callable
from typing import Protocol

import msgspec

from heddle.backends.mcp.contract import Params
from heddle.dataplane.mcp.running import Running
from heddle.dataplane.mcp.sessions import Session
from heddle.drivers.bus import Bus
from heddle.pipeline.errors import CallError, Reason
from heddle.wire.jsonrpc import INTERNAL_ERROR, Message, RpcError, encode_members, encode_request

WAIT_S = 600.0
"""How long a question waits for its answer."""
MAX_ASKED = 10_000
MAX_UNDER_WAY = 500
"""Requests of one session in one worker."""
_ANSWER, _CANCEL, _NEWS = "mcp.answer", "mcp.cancel", "mcp.news"


class _Answered(msgspec.Struct, array_like=True):
    session: str
    id: str
    result: bytes = b""
    code: int = 0
    message: str = ""
    data: bytes = b""


class _Cancelled(msgspec.Struct, array_like=True):
    session: str
    request: bytes


_decode_answer = msgspec.msgpack.Decoder(_Answered).decode
_decode_cancelled = msgspec.msgpack.Decoder(_Cancelled).decode
_pack = msgspec.msgpack.Encoder().encode


class Follower(Protocol):
    """Who hears what targets say to a session by themselves."""

    def news(self, target: str) -> None:
        """The session has one with `target` from now on; its subscriptions changed where that is empty."""
        ...

    async def settled(self) -> None:
        """Wait until everything that the session has something with is listened to. It does not take long."""
        ...


class Asking:
    """Everything of one worker that waits for word of a caller."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._numbers = itertools.count(1)
        self._nonce = os.urandom(4).hex()
        self._asked: dict[str, tuple[str, asyncio.Future[bytes]]] = {}
        self._running: dict[tuple[str, bytes], Running] = {}
        self._under_way: dict[str, int] = {}
        self._followers: dict[str, list[Follower]] = {}
        self._undo = [
            bus.subscribe(_ANSWER, self._hear_answer),
            bus.subscribe(_CANCEL, self._hear_cancel),
            bus.subscribe(_NEWS, self._hear_news),
        ]

    def close(self) -> None:
        """Hear of nothing more."""
        for undo in self._undo:
            undo()

    async def ask(self, session: Session, running: Running, method: str, params: Params) -> bytes:
        """Ask the caller in the stream of a request: the result as raw JSON. Raises RpcError."""
        if len(self._asked) >= MAX_ASKED:
            raise RpcError(INTERNAL_ERROR, "Too many questions wait for their answers.")
        ident = f"h{self._nonce}-{next(self._numbers)}"
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if not running.say(encode_request(b'"%b"' % ident.encode(), method, encode_members(params))):
            raise RpcError(INTERNAL_ERROR, "The client does not read what it is asked.")
        self._asked[ident] = session.carried.id, answer
        try:
            async with asyncio.timeout(WAIT_S):
                return await answer
        except TimeoutError as exc:
            raise RpcError(INTERNAL_ERROR, "The client did not answer in time.") from exc
        finally:
            del self._asked[ident]

    def answered(self, session: Session, message: Message) -> None:
        """A caller answered something."""
        ident = message.id.decode("ascii", "replace").strip('"')
        answered = _Answered(session.carried.id, ident, message.result)
        if message.error is not None:
            error = message.error
            answered.code, answered.message, answered.data = error.code or INTERNAL_ERROR, error.message, error.data
        if not self._give(answered):
            self._bus.publish(_ANSWER, _pack(answered))

    def _hear_answer(self, payload: bytes) -> None:
        self._give(_decode_answer(payload))

    def _give(self, answered: _Answered) -> bool:
        session, answer = self._asked.get(answered.id, ("", None))
        if answer is None:
            return False
        if session != answered.session or answer.done():
            return True  # another session's word for it is none
        if answered.code:
            answer.set_exception(RpcError(answered.code, answered.message, answered.data))
        else:
            answer.set_result(answered.result)
        return True

    def follow(self, session: Session, follower: Follower) -> Callable[[], None]:
        """Tell `follower` what is new of a session, until the function that is returned is called."""
        followers = self._followers.setdefault(session.carried.id, [])
        followers.append(follower)

        def undo() -> None:
            followers.remove(follower)
            if not followers:
                self._followers.pop(session.carried.id, None)

        return undo

    def news(self, session: Session, target: str) -> None:
        """Something is new of a session: whoever follows it, in any worker, is told."""
        self._bus.publish(_NEWS, f"{session.carried.id} {target}".encode())

    async def settled(self, session: Session) -> None:
        """Wait until whoever follows a session in this worker has done so with all that is new."""
        for follower in list(self._followers.get(session.carried.id, ())):
            await follower.settled()

    def _hear_news(self, payload: bytes) -> None:
        session, _, target = payload.decode("utf-8", "replace").partition(" ")
        for follower in list(self._followers.get(session, ())):
            follower.news(target)

    def begin(self, session: Session, request: bytes, running: Running) -> None:
        """A request of a session is under way. Raises CallError when too many are: they go on without their callers."""
        ident = session.carried.id
        under_way = self._under_way.get(ident, 0)
        if under_way >= MAX_UNDER_WAY:
            raise CallError(Reason.OVERLOADED, "Too many requests of this session are under way.")
        self._under_way[ident] = under_way + 1
        self._running[ident, request] = running

    def end(self, session: Session, request: bytes) -> None:
        """It is over."""
        ident = session.carried.id
        self._running.pop((ident, request), None)
        self._under_way[ident] -= 1
        if not self._under_way[ident]:
            del self._under_way[ident]

    def cancel(self, session: Session, request: bytes) -> None:
        """A caller gives up one of its requests."""
        if not self._stop(session.carried.id, request):
            self._bus.publish(_CANCEL, _pack(_Cancelled(session.carried.id, request)))

    def _hear_cancel(self, payload: bytes) -> None:
        cancelled = _decode_cancelled(payload)
        self._stop(cancelled.session, cancelled.request)

    def _stop(self, session: str, request: bytes) -> bool:
        running = self._running.get((session, request))
        if running is None:
            return False
        running.cancel()
        return True
