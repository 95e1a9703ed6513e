"""Calls that wait for their caller: a server of the older era asked something, and the caller asks again to answer.

Owns the state that travels with `input_required`. It is sealed, for this caller, this server and this very request: a
state that somebody else shows, or that is shown with other arguments, is refused. A state that a modern server gave is
wrapped in the same way. The call itself waits in the worker that made it; another worker hands the answers over.
*Source:* Model Context Protocol 2026-07-28, "Multi round-trip requests" (request state is to be treated as hostile).
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from heddle.backends.mcp.contract import Params
from heddle.dataplane.mcp.running import Running
from heddle.drivers.bus import Bus
from heddle.drivers.sealing import SealError, Sealing
from heddle.identity.caller import caller_id
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.wire.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, Message, RpcError, encode_members
from heddle.wire.mcp.results import INPUT_REQUIRED, members, result_type

_log = logging.getLogger("heddle.mcp")

WAIT_S = 600.0
"""How long a call waits for its caller."""
MAX_PARKED = 10_000
MAX_PARKED_EACH = 200
"""Of one caller who is known."""
_PURPOSE = "mcp-request-state"
_RESUME, _RESUMED = "mcp.resume", "mcp.resumed"
_encode = msgspec.json.encode


class Asked(NamedTuple):
    """The request whose call has to wait."""

    message: Message
    exchange: Exchange
    server: str


class Questions:
    """What a server asked in one call, and has no answer to yet."""

    __slots__ = ("_answers", "_asked", "_number", "_running")

    def __init__(self, running: Running) -> None:
        self._running = running
        self._asked: dict[str, bytes] = {}
        self._answers: dict[str, asyncio.Future[bytes]] = {}
        self._number = 0

    @property
    def open(self) -> bool:
        """Something is asked."""
        return bool(self._asked)

    async def ask(self, method: str, params: Params) -> bytes:
        """Wait for the caller's answer. Raises RpcError when it does not come."""
        self._number += 1
        key = f"q{self._number}"
        self._asked[key] = b'{"method":%b,"params":%b}' % (_encode(method), encode_members(params))
        answer = self._answers[key] = asyncio.get_running_loop().create_future()
        self._running.wake()
        try:
            async with asyncio.timeout(WAIT_S):
                given: bytes = await answer
        except TimeoutError as exc:
            raise RpcError(INTERNAL_ERROR, "The client did not answer in time.") from exc
        finally:
            self._asked.pop(key, None)
            self._answers.pop(key, None)
        return given

    def requests(self) -> bytes:
        """`inputRequests`: everything that is asked."""
        return b"{%b}" % b",".join(b"%b:%b" % (_encode(key), asked) for key, asked in self._asked.items())

    def answer(self, responses: dict[str, bytes]) -> None:
        """Hand over answers, raw JSON by key; what was not answered stays asked."""
        for key, response in responses.items():
            answer = self._answers.get(key)
            if answer is not None and not answer.done():
                self._asked.pop(key, None)
                answer.set_result(response)


class Parked:
    """One call that waits."""

    __slots__ = ("_responses", "_resume", "questions", "running")

    def __init__(
        self,
        running: Running,
        questions: Questions,
        responses: dict[str, bytes],
        resume: "Callable[[dict[str, bytes]], None]",
    ) -> None:
        self.running, self.questions = running, questions
        self._responses, self._resume = responses, resume

    def resume(self) -> None:
        """Go on with the answers of the caller's next request."""
        self._resume(self._responses)


class _Waiting(NamedTuple):
    """A call that waits here, whose it is, and when it is forgotten."""

    running: Running
    questions: Questions
    who: str
    timer: asyncio.TimerHandle


class _State(msgspec.Struct, array_like=True):
    """What travels. `id` and `address` of a call that waits here; or `target` and the `state` that it gave."""

    digest: bytes
    id: str = ""
    address: str = ""
    target: str = ""
    state: bytes = b""


class _Frame(msgspec.Struct, array_like=True):
    """What the worker that has a call tells the one that has its caller."""

    ticket: str
    said: list[bytes]
    done: bool = False
    result: bytes = b""
    asked: bytes = b""
    code: int = 0
    message: str = ""


class _Resume(msgspec.Struct, array_like=True):
    id: str
    ticket: str
    address: str
    responses: dict[str, bytes]


_decode_state = msgspec.msgpack.Decoder(_State).decode
_decode_frame = msgspec.msgpack.Decoder(_Frame).decode
_decode_resume = msgspec.msgpack.Decoder(_Resume).decode
_pack = msgspec.msgpack.Encoder().encode


class Parking:
    """All calls of one worker that wait for their callers."""

    def __init__(self, sealing: Sealing, bus: Bus) -> None:
        self._sealing, self._bus = sealing, bus
        self._parked: dict[str, _Waiting] = {}
        self._callers: Counter[str] = Counter()
        self._away: dict[str, _Away] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._undo = [bus.subscribe(_RESUME, self._asked), bus.subscribe(_RESUMED, self._told)]

    def close(self) -> None:
        """Give up what waits."""
        for undo in self._undo:
            undo()
        for ident in list(self._parked):
            if (waiting := self._take(ident)) is not None:
                waiting.running.cancel()

    def park(self, running: Running, questions: Questions, asked: Asked) -> bytes:
        """The result that asks the caller. Raises CallError when too many wait: the call is given up then."""
        message, exchange, server = asked
        if isinstance(questions, _AwayQuestions):
            state = questions.state  # what the other worker sealed, where the call still is
            running.cancel()
        else:
            who = caller_id(exchange.principal)
            most = MAX_PARKED_EACH if who else MAX_PARKED
            if len(self._parked) >= MAX_PARKED or self._callers[who] >= most:
                running.cancel()
                raise CallError(Reason.OVERLOADED, "Too many calls wait for their callers.")
            ident = os.urandom(12).hex()
            self._keep(ident, running, questions, who)
            digest = _digest(message)
            state = self._seal(_State(digest, id=ident, address=self._bus.address), exchange, server)
        return b'{"resultType":"input_required","inputRequests":%b,"requestState":%b}' % (
            questions.requests(),
            _encode(state),
        )

    def _keep(self, ident: str, running: Running, questions: Questions, who: str) -> None:
        """Have a call wait, for as long as its question does."""
        self._callers[who] += 1
        timer = asyncio.get_running_loop().call_later(WAIT_S, self._take, ident)
        self._parked[ident] = _Waiting(running, questions, who, timer)

    def _take(self, ident: str) -> "_Waiting | None":
        """A call that waits, which does so no more."""
        waiting = self._parked.pop(ident, None)
        if waiting is not None:
            waiting.timer.cancel()
            self._callers[waiting.who] -= 1
            if not self._callers[waiting.who]:
                del self._callers[waiting.who]
        return waiting

    def wrap(self, result: bytes, message: Message, exchange: Exchange, server: str) -> bytes:
        """A result with the state of a modern server made this caller's and this request's."""
        if result.find(b"requestState") < 0 or result_type(result) != INPUT_REQUIRED:
            return result
        call = exchange.mcp
        assert call is not None
        told = members(result)
        inner = bytes(told.get("requestState", b""))
        if not inner:
            return result
        digest = _digest(message)
        state = self._seal(_State(digest, target=call.target, state=inner), exchange, server)
        told["requestState"] = msgspec.Raw(_encode(state))
        return encode_members(told)

    def _seal(self, state: _State, exchange: Exchange, server: str) -> str:
        try:
            return self._sealing.seal(_PURPOSE, _pack(state), _bound(exchange, server), WAIT_S)
        except ValueError as exc:
            detail = f"The tool server `{state.target}` gives more state than can be carried."
            raise CallError(Reason.UPSTREAM_BROKEN, detail) from exc

    def find(self, message: Message, exchange: Exchange, server: str) -> Parked | None:
        """The call that a request goes on with; None when it begins one. Raises RpcError for a state that is not its.

        A wrapped state is put back into the request.
        """
        given = message.value.get("requestState")
        if given is None:
            return None
        state, responses = self._open(given, exchange, server), _responses(message)
        if state.digest != _digest(message):
            raise _refused()
        if state.target:
            message.params = {**message.params, "requestState": msgspec.Raw(state.state)}
            return None
        if state.address != self._bus.address:
            return self._elsewhere(state, given, responses)
        waiting = self._take(state.id)
        if waiting is None:
            raise _refused()
        return Parked(waiting.running, waiting.questions, responses, waiting.questions.answer)

    def _open(self, given: Any, exchange: Exchange, server: str) -> _State:
        if not isinstance(given, str):
            raise _refused()
        try:
            return _decode_state(self._sealing.open(_PURPOSE, given, _bound(exchange, server)))
        except (SealError, msgspec.DecodeError) as exc:
            raise _refused() from exc

    # Between workers.

    def _elsewhere(self, state: _State, given: str, responses: dict[str, bytes]) -> Parked:
        """A call that waits in another worker, as if it were here."""
        running, ticket = Running(), os.urandom(12).hex()
        away = self._away[ticket] = _Away(running)
        questions = _AwayQuestions(running, away, given)

        def resume(responses: dict[str, bytes]) -> None:
            running.start(away.work(lambda: self._away.pop(ticket, None)))
            sent = self._bus.send(
                state.address, _RESUME, _pack(_Resume(state.id, ticket, self._bus.address, responses))
            )
            if not sent:
                away.tell(_Frame(ticket, [], done=True, code=INVALID_PARAMS, message="The call waits no more."))

        return Parked(running, questions, responses, resume)

    def _asked(self, payload: bytes) -> None:
        asked = _decode_resume(payload)
        waiting = self._take(asked.id)
        if waiting is None:
            frame = _Frame(asked.ticket, [], done=True, code=INVALID_PARAMS, message="The call waits no more.")
            self._bus.send(asked.address, _RESUMED, _pack(frame))
            return
        task = asyncio.ensure_future(self._pump(asked, waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        waiting.questions.answer(asked.responses)

    async def _pump(self, asked: _Resume, waiting: "_Waiting") -> None:
        """Tell another worker what a call says, until its end or its next question."""
        running, questions = waiting.running, waiting.questions
        while True:
            await running.news()
            frame = _Frame(asked.ticket, running.take(), done=running.done)
            if running.error is not None:
                error = running.error
                frame.code = error.code if isinstance(error, RpcError) else INTERNAL_ERROR
                frame.message = error.message if isinstance(error, RpcError) else "The call failed."
                if isinstance(error, CallError):
                    frame.message = error.detail
            elif running.done:
                frame.result = running.result
            elif questions.open:
                self._keep(asked.id, running, questions, waiting.who)
                frame.asked = questions.requests()
            self._bus.send(asked.address, _RESUMED, _pack(frame))
            if frame.done or frame.asked:
                return

    def _told(self, payload: bytes) -> None:
        frame = _decode_frame(payload)
        away = self._away.get(frame.ticket)
        if away is not None:
            away.tell(frame)


class _Away:
    """A call in another worker."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._end: asyncio.Future[_Frame] = asyncio.get_running_loop().create_future()
        self.asked = b""

    def tell(self, frame: _Frame) -> None:
        """What the other worker says."""
        for said in frame.said:
            self._running.say(said)
        if frame.asked:
            self.asked = frame.asked
            self._running.wake()
        elif frame.done and not self._end.done():
            self._end.set_result(frame)

    async def work(self, over: Callable[[], object]) -> bytes:
        """Its result. Raises RpcError."""
        try:
            async with asyncio.timeout(WAIT_S):
                frame = await self._end
        except TimeoutError as exc:
            raise RpcError(INTERNAL_ERROR, "The call did not end in time.") from exc
        finally:
            over()
        if frame.code:
            raise RpcError(frame.code, frame.message)
        return frame.result


class _AwayQuestions(Questions):
    """What a call in another worker asks. Its state stays good: it names the call, not the question."""

    __slots__ = ("_away", "state")

    def __init__(self, running: Running, away: _Away, state: str) -> None:
        super().__init__(running)
        self._away, self.state = away, state

    @property
    def open(self) -> bool:
        """Something is asked."""
        return bool(self._away.asked)

    def requests(self) -> bytes:
        """As the other worker wrote them."""
        return self._away.asked


def _bound(exchange: Exchange, server: str) -> bytes:
    return f"{server}\0{caller_id(exchange.principal)}".encode()


def _digest(message: Message) -> bytes:
    """What makes two requests the same but for their round."""
    name = message.value.get("name", message.value.get("uri"))
    method, name = message.method, name if isinstance(name, str) else ""
    arguments = _encode(message.value.get("arguments"), order="sorted")
    return sha256(b"%b\0%b\0%b" % (method.encode(), name.encode("utf-8", "surrogatepass"), arguments)).digest()[:16]


def _responses(message: Message) -> dict[str, bytes]:
    raw = message.params.get("inputResponses")
    if raw is None:
        return {}
    try:
        return {key: bytes(value) for key, value in members(bytes(raw)).items()}
    except Exception as exc:
        raise RpcError(INVALID_PARAMS, "`inputResponses` must be an object.") from exc


def _refused() -> RpcError:
    return RpcError(INVALID_PARAMS, "`requestState` is none that was given for this request.")
