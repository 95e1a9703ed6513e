"""Streamable HTTP on one side, children on the other: the answers of the stdio host.

Owns paths, statuses and streams. `POST /t/<target>` passes a message on, `GET` opens the stream of a session, `DELETE`
ends it; `mcp-session-id` names a session and `x-heddle-owner` whose it is (an opaque key that only gateways of this
machine can send, as nobody else reaches the socket). `GET /status` tells what runs.

A session that is unknown, over, or another owner's is 404, so that whoever speaks for the client begins a new one; a
server that cannot be started is 503; one that ended in the middle of a request answers it with an error.

*Source:* Model Context Protocol 2025-11-25, "Streamable HTTP".
"""

import math
from collections.abc import AsyncIterator, Callable
from urllib.parse import unquote

import msgspec

from heddle.net.message import Reply, Request
from heddle.stdio import messages
from heddle.stdio.child import MAX_LINE_BYTES, BusyError, Call, Session
from heddle.stdio.messages import Id, Message
from heddle.stdio.stream import Stream, Told
from heddle.stdio.target import Target, UnavailableError
from heddle.wire.errors import ProtocolError

OWNER, SESSION = b"x-heddle-owner", b"mcp-session-id"
KEEP_ALIVE_S = 15.0
"""After so much silence a stream says that it lives, and learns whether its reader does."""

CUT = "The stream was not read in time, or its session ended."

_JSON = (b"content-type", b"application/json")
_EVENTS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
_COMMENT = b": \n\n"


class Bridge:
    """All targets behind their paths."""

    def __init__(self) -> None:
        self.targets: dict[str, Target] = {}

    async def handle(self, request: Request) -> Reply:
        """Answer one request."""
        if request.path == "/status" and request.method == "GET":
            shown = {"targets": {name: target.status() for name, target in sorted(self.targets.items())}}
            return Reply(200, [_JSON], msgspec.json.encode(shown))
        _, first, name, *rest = [*request.path.split("/"), "", ""]
        target = self.targets.get(unquote(name))
        if first != "t" or any(rest) or target is None:
            return answer_error(404, "There is no such target.")
        owner = (request.header(OWNER) or b"").decode("latin-1")
        ident = (request.header(SESSION) or b"").decode("latin-1")
        session = target.session(ident, owner) if ident else None
        if ident and session is None:
            return answer_error(404, "There is no such session.")
        if request.method == "POST":
            return await self._post(target, owner, session, await request.body.read(MAX_LINE_BYTES))
        if session is None or request.method not in {"GET", "DELETE"}:
            reply = answer_error(405, "Without a session there is only POST.")
            reply.headers.append((b"allow", b"POST"))
            return reply
        if request.method == "DELETE":
            target.end(session)
            return Reply(204, [])
        return _listen(session)

    async def _post(self, target: Target, owner: str, session: Session | None, body: bytes) -> Reply:
        try:
            message = messages.read(body)
        except ProtocolError as exc:
            return _refusal(400, None, exc.detail, messages.INVALID)
        if not message.asks:
            session = session or target.known(owner)
            if session is not None:
                await session.child.tell(message, session)
            return Reply(202, [])
        assert isinstance(message.id, int | str)
        ident = message.id
        try:
            if session is None and message.method == "initialize":
                return await _begin(target, owner, message)
            session = session or await target.sessionless(owner)
            return await _answer(await session.child.ask(message, session))
        except BusyError as exc:
            return _refusal(503, ident, str(exc))
        except UnavailableError as exc:
            reply = _refusal(503, ident, str(exc))
            if exc.retry_after_s:
                reply.headers.append((b"retry-after", b"%d" % math.ceil(exc.retry_after_s)))
            return reply


async def _begin(target: Target, owner: str, message: Message) -> Reply:
    """Answer `initialize`, with the id of the session that it began."""
    session, begun = await target.begin(owner, message)
    header = (SESSION, session.id.encode())

    def settle(last: bytes | None) -> None:
        if last is None or messages.read(last).error is not msgspec.UNSET:
            target.end(session)

    if isinstance(begun, bytes):
        settle(begun)
        return Reply(200, [_JSON, header] if target.session(session.id, owner) else [_JSON], begun)
    try:
        reply = await _answer(begun, settle)
    except BaseException:
        target.end(session)
        raise
    if not isinstance(reply.body, bytes) or target.session(session.id, owner):
        reply.headers = [*reply.headers, header]
    return reply


async def _answer(call: Call, settle: Callable[[bytes | None], None] = lambda _: None) -> Reply:
    """JSON when the first that is said is the response, else a stream; `settle` gets the response, or None."""
    child = call.session.child
    try:
        first = await call.stream.get()
    except BaseException:
        child.leave(call)
        raise
    if first is None or first.last:
        settle(first.data if first is not None else None)
        return Reply(200, [_JSON], first.data if first is not None else messages.failure(call.id, CUT))
    answered: list[bytes] = []

    def ended(_cut: BaseException | None, _size: int) -> None:
        child.leave(call)
        settle(answered[0] if answered else None)

    return Reply(200, _EVENTS, _follow(call, first, answered), ended)


async def _follow(call: Call, first: Told, answered: list[bytes]) -> AsyncIterator[bytes]:
    """A request's messages up to its response, which is also put into `answered`."""
    yield messages.event(first.data)
    async for told in _told(call.stream):
        if told is None:
            yield _COMMENT
            continue
        yield messages.event(told.data)
        if told.last:
            answered.append(told.data)
            return
    yield messages.event(messages.failure(call.id, CUT))


def _listen(session: Session) -> Reply:
    """What a session is told outside its requests, until it ends, or its next stream opens."""
    stream = session.attach()

    async def pieces() -> AsyncIterator[bytes]:
        yield _COMMENT
        async for told in _told(stream):
            yield _COMMENT if told is None else messages.event(told.data)

    return Reply(200, _EVENTS, pieces(), lambda _cut, _size: session.detach(stream))


async def _told(stream: Stream) -> AsyncIterator[Told | None]:
    """What a stream brings, and None when it is time to say that it lives."""
    while True:
        try:
            told = await stream.get(KEEP_ALIVE_S)
        except TimeoutError:
            yield None
            continue
        if told is None:
            return
        yield told


def _refusal(status: int, to: Id | None, detail: str, code: int = messages.INTERNAL) -> Reply:
    return Reply(status, [_JSON], messages.failure(to, detail, code))


def answer_error(status: int, detail: str) -> Reply:
    """What HTTP itself refuses."""
    return _refusal(status, None, detail, messages.INVALID)
