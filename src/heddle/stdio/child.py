"""The conversation with one tool server: who asked what, and whom an answer, a message or a question belongs to.

Owns ids and progress tokens. Many callers may share a server, so each request goes out under a number of its own and
its answer comes back under the caller's id. It owns, too, where a message goes that the server sends by itself:

- progress, and what names a subscription, to the request it names;
- what is about the whole server to every session, that a resource was updated to those that want to know;
- anything else (questions to the client, log messages) to the only request under way; else to its session, on the
  stream that session holds open, or by its likeliest request. When it cannot be told whose it is, because several
  callers share the server, a question is refused and a message dropped: it may hold what belongs to another.

*Source:* Model Context Protocol 2025-11-25, "Progress", "Cancellation", "Transports"; 2026-07-28, "Subscriptions".
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from heddle.stdio import messages
from heddle.stdio.lines import LineTooLongError
from heddle.stdio.messages import Id, Message
from heddle.stdio.process import ServerProcess
from heddle.stdio.stderr import Complaints
from heddle.stdio.stream import Stream, Told
from heddle.stdio.subscriptions import Subscriptions
from heddle.wire.errors import ProtocolError
from heddle.wire.mcp.placing import meant

MAX_LINE_BYTES = 16 * 1024 * 1024
MAX_CALLS = 1_024
"""Requests under way in one child; a server that answers none of them must not fill memory."""
MAX_QUESTIONS = 1_024
MAX_TOKENS = 4_096
MAX_UNSENT_BYTES = 32 * 1024 * 1024
"""What a child may leave unread before more is refused."""
ENDED = "The tool server ended."

_TOKEN = ("_meta", "progressToken")
_SUBSCRIPTION = ("_meta", messages.SUBSCRIPTION)


class BusyError(Exception):
    """The child takes no further request now. The text says why."""


class Session:
    """One caller of a child: a session of the older protocol versions, or whoever calls without one."""

    def __init__(self, ident: str, owner: str, child: "Child") -> None:
        self.id = ident
        """Empty for sessionless calls."""
        self.owner = owner
        self.child = child
        self.outbox = Stream(attached=False)
        """What its open stream is told; kept for the next one while none is open."""

    def attach(self) -> Stream:
        """Open its stream. An older one ends: the caller reconnected before the loss of that was noticed."""
        self.outbox = self.outbox.handed_on(attached=True)
        return self.outbox

    def detach(self, stream: Stream) -> None:
        """Its stream is closed; what comes now waits for the next, unless that is open already."""
        if stream is self.outbox:
            self.outbox = stream.handed_on(attached=False)


class Call:
    """A request under way."""

    __slots__ = ("id", "listens", "method", "modern", "number", "questions", "session", "stream", "token")

    def __init__(self, number: int, message: Message, session: Session) -> None:
        assert isinstance(message.id, int | str)
        meta = messages.fields(messages.fields(message.params).get("_meta", msgspec.UNSET))
        self.number = number
        self.id: Id = message.id
        self.session = session
        self.stream = Stream()
        self.token = messages.value(meta.get("progressToken"))
        self.modern = messages.VERSION in meta
        """Closing its stream cancels it."""
        self.method = message.method if isinstance(message.method, str) else ""
        self.listens = self.method == "subscriptions/listen"
        self.questions = 0
        """Put on its stream and not answered."""


class Child:
    """A running tool server, and everybody who talks to it."""

    def __init__(self, process: ServerProcess, complaints: Complaints) -> None:
        self.process = process
        self.sessions: dict[str, Session] = {}
        """By id, or owner for sessionless callers (who have no session of the same child besides)."""
        self.since_s = time.time()
        self.used_s = time.monotonic()
        """When anybody last said anything."""
        self.heard = asyncio.Event()
        """It has said something: it is up."""
        self.modern = False
        """It has answered a sessionless request."""
        self.greeting: msgspec.Raw | None = None
        """What it answered to `initialize`, for those who share it."""
        self.initialized = False
        """It was told that its caller is ready."""
        self.stopping = False
        """It ends because we want it to."""
        self.failed = ""
        """Why it was ended, in place of the plain fact."""
        self.on_end: Callable[[Child], None] = lambda _: None
        self._complaints = complaints
        self._calls: OrderedDict[int, Call] = OrderedDict()
        self._numbers = 0
        self._subscriptions: Subscriptions[Session] = Subscriptions()
        self._tokens: OrderedDict[int, tuple[Session, Id]] = OrderedDict()
        self._questions: OrderedDict[Id, tuple[Session, Call | None]] = OrderedDict()
        self.reading = asyncio.ensure_future(self._read())

    @property
    def alive(self) -> bool:
        """It can be asked."""
        return not self.process.ended.done() and not self.stopping and not self.reading.done()

    @property
    def busy(self) -> bool:
        """A request is under way, or somebody holds a stream of it open."""
        return bool(self._calls) or any(session.outbox.attached for session in self.sessions.values())

    @property
    def calls(self) -> int:
        """Requests under way."""
        return len(self._calls)

    @property
    def sessions_open(self) -> int:
        """Sessions of the older protocol versions."""
        return sum(1 for session in self.sessions.values() if session.id)

    # What callers say.

    async def ask(self, message: Message, session: Session) -> Call:
        """Pass a request on; its answer comes over the call's stream. Raises BusyError."""
        if len(self._calls) >= MAX_CALLS:
            raise BusyError(f"The tool server has {MAX_CALLS} requests under way.")
        if self.process.stdin.unsent > MAX_UNSENT_BYTES:
            raise BusyError("The tool server does not read what it is sent.")
        self._numbers += 1
        call = Call(self._numbers, message, session)
        self._calls[call.number] = call
        if self._settled_here(message, session):
            await self._finish(call, messages.write(Message(id=call.id, result=msgspec.Raw(b"{}"))))
            return call
        message.id = call.number
        if call.token is not None:
            self._tokens[call.number] = (session, call.token)
            if len(self._tokens) > MAX_TOKENS:
                self._tokens.popitem(last=False)
            message.params = messages.replaced(message.params, _TOKEN, call.number)
        try:
            await self._write(messages.write(message))
        except asyncio.CancelledError:
            self.leave(call)
            raise
        return call

    def _settled_here(self, message: Message, session: Session) -> bool:
        """Keep subscriptions; True when the server must not hear of it, as others still want to know."""
        if message.method not in {"resources/subscribe", "resources/unsubscribe"}:
            return False
        uri = messages.value(messages.fields(message.params).get("uri"))
        if not isinstance(uri, str):
            return False
        if message.method == "resources/unsubscribe":
            return self._subscriptions.remove(session, uri)
        self._subscriptions.add(session, uri)
        return False

    async def tell(self, message: Message, session: Session) -> None:
        """Pass a notification or a response on. One that is about nothing the child knows is dropped."""
        if message.answers:
            if isinstance(message.id, int | str) and self._questions.get(message.id, (None,))[0] is session:
                self._settle(message.id)
                await self._write(messages.write(message))
            return
        if message.method == "notifications/initialized":
            if self.initialized:
                return
            self.initialized = True
        elif message.method == "notifications/cancelled":
            wanted = messages.value(messages.fields(message.params).get("requestId"))
            call = self._find(wanted, session)
            if call is None:
                return
            message.params = messages.replaced(message.params, ("requestId",), call.number)
            await self._finish(call, messages.failure(call.id, "The request was cancelled."))
        await self._write(messages.write(message))

    def leave(self, call: Call) -> None:
        """Nobody waits for the answer any more. In the older era only a word of its own cancels, which may still come:
        until its answer, the call stays known."""
        call.stream.close()
        if call.modern and self._calls.pop(call.number, None) is not None:
            reason = {"requestId": call.number, "reason": "The caller closed the stream."}
            self._push(messages.made("notifications/cancelled", reason))

    def forget(self, session: Session) -> None:
        """A session is over; what it asked is answered to nobody."""
        self.sessions.pop(session.id or session.owner, None)
        session.outbox.close()
        for call in [call for call in self._calls.values() if call.session is session]:
            self.leave(call)
            self._calls.pop(call.number, None)
        if self.alive:
            for uri in self._subscriptions.forget(session) if self.sessions else ():
                self._numbers += 1  # nobody waits for the answer
                self._push(messages.made("resources/unsubscribe", {"uri": uri}, self._numbers))
        self._tokens = OrderedDict((number, whose) for number, whose in self._tokens.items() if whose[0] is not session)

    def _find(self, ident: Id | None, session: Session) -> Call | None:
        found = (call for call in self._calls.values() if call.session is session and call.id == ident)
        return next(found, None)

    async def _write(self, line: bytes) -> None:
        self._push(line)
        await self.process.stdin.drain()

    def _push(self, line: bytes) -> None:
        """Write without waiting: who reads what the child says must never wait for it to read in turn."""
        self.used_s = time.monotonic()
        self.process.stdin.push(line + b"\n")
        if self.process.stdin.unsent > 2 * MAX_UNSENT_BYTES:
            self.fail("The tool server did not read what it was sent, and was ended.")

    # What the child says.

    async def _read(self) -> None:
        try:
            async for line in self.process.lines(MAX_LINE_BYTES):
                if line.strip():
                    await self._hear(line)
        except LineTooLongError:
            self.failed = f"The tool server wrote a line of more than {MAX_LINE_BYTES} bytes, and was ended."
            self.process.kill()
        finally:
            await self._end()

    async def _hear(self, line: bytes) -> None:
        self.used_s = time.monotonic()
        try:
            message = messages.read(line)
        except ProtocolError:
            self._complaints.line(line, level=logging.WARNING, said="not a message, skipped: ")
            return
        self.heard.set()
        if message.answers:
            await self._answer(message)
        elif message.method == "ping" and message.asks:
            # Between the two of us: the caller may have no stream open to be asked on.
            message.method, message.params, message.result = msgspec.UNSET, msgspec.UNSET, msgspec.Raw(b"{}")
            self._push(messages.write(message))
        else:
            await self._route(message)

    async def _answer(self, message: Message) -> None:
        call = self._calls.get(message.id) if isinstance(message.id, int) else None
        if call is None:
            return  # cancelled meanwhile, or never asked
        message.id = call.id
        if message.result is not msgspec.UNSET:
            self.modern = self.modern or call.modern
            if call.listens:
                message.result = _renamed(message.result, _SUBSCRIPTION, call.id)
        await self._finish(call, messages.write(message))

    async def _finish(self, call: Call, answer: bytes) -> None:
        self._calls.pop(call.number, None)
        await call.stream.put(Told(answer, last=True))

    async def _route(self, message: Message) -> None:
        named = messages.fields(message.params)
        meta = messages.fields(named.get("_meta", msgspec.UNSET))
        if message.method == "notifications/progress":
            await self._progress(message, messages.number(named.get("progressToken")))
        elif messages.SUBSCRIPTION in meta:
            call = self._calls.get(messages.number(meta[messages.SUBSCRIPTION]))
            if call is not None:
                message.params = messages.replaced(message.params, _SUBSCRIPTION, call.id)
                await call.stream.put(Told(messages.write(message)))
        elif messages.concerns_all(message):
            await self._tell_all(message)
        else:
            await self._place(message)

    async def _progress(self, message: Message, number: int) -> None:
        """To the request; to its session when that is answered and, as a task, goes on."""
        session, token = self._tokens.get(number, (None, 0))
        if session is not None:
            call = self._calls.get(number)
            message.params = messages.replaced(message.params, ("progressToken",), token)
            stream = call.stream if call is not None else self._stream_of(session)
            await stream.put(Told(messages.write(message)))

    async def _tell_all(self, message: Message) -> None:
        told = Told(messages.write(message))
        sessions = [session for session in self.sessions.values() if session.id]
        if message.method == "notifications/resources/updated" and len(sessions) > 1:
            uri = messages.value(messages.fields(message.params).get("uri"))
            sessions = self._subscriptions.of(str(uri), sessions)
        for session in sessions:
            await self._stream_of(session).put(told)

    async def _place(self, message: Message) -> None:
        session = self._whose(message)
        if session is None:
            if message.asks:
                text = "It cannot be told whose call this is about."
                self._push(messages.failure(message.id, text))  # type: ignore[arg-type]
            return
        call = self._working(session) if len(self._calls) == 1 or not session.outbox.attached else None
        if message.asks:
            assert isinstance(message.id, int | str)
            self._questions[message.id] = session, call
            if call is not None:
                call.questions += 1
            if len(self._questions) > MAX_QUESTIONS:
                self._questions.popitem(last=False)
        stream = call.stream if call is not None else session.outbox
        await stream.put(Told(messages.write(message)))

    def _settle(self, question: Id) -> Session | None:
        """A question is over; whose it was."""
        session, call = self._questions.pop(question, (None, None))
        if call is not None:
            call.questions -= 1
        return session

    def _whose(self, message: Message) -> Session | None:
        """The session a message belongs to; None when that cannot be told."""
        if message.method == "notifications/cancelled":
            asked = messages.value(messages.fields(message.params).get("requestId"))
            return self._settle(asked) if asked is not None else None
        sessions = {id(call.session): call.session for call in self._calls.values()}
        if not sessions:
            sessions = {id(session): session for session in self.sessions.values() if session.id}
        return next(iter(sessions.values())) if len(sessions) == 1 else None

    def _stream_of(self, session: Session) -> Stream:
        """Where a session is told what belongs to none of its requests."""
        call = None if session.outbox.attached else self._working(session)
        return call.stream if call is not None else session.outbox

    def _working(self, session: Session) -> Call | None:
        return meant(call for call in self._calls.values() if call.session is session and not call.listens)

    # The end.

    async def stop(self) -> None:
        """End it in order."""
        self.stopping = True
        await self.process.stop()
        await self.reading

    @property
    def obituary(self) -> str:
        """Why it ended, as far as can be told; for whoever it worked for."""
        return f"{self.failed or ENDED}{self._complaints.last}"

    def fail(self, why: str) -> None:
        """End it at once, and say why to whoever waits."""
        self.failed = self.failed or why
        self.process.kill()

    async def _end(self) -> None:
        """It has closed its output, so it ends, if it has not yet. Whoever waits for an answer is told."""
        if not self.process.ended.done() and not self.failed:
            await self.process.stop()
        await self.process.ended
        await self.process.close()
        text = self.obituary
        for call in tuple(self._calls.values()):
            await self._finish(call, messages.failure(call.id, text))
        for session in self.sessions.values():
            session.outbox.close()
        self.on_end(self)


def _renamed(raw: msgspec.Raw | msgspec.UnsetType, path: tuple[str, ...], by: Id) -> msgspec.Raw | msgspec.UnsetType:
    """`raw` with the value at `path` replaced, where there is one."""
    inner = messages.fields(raw).get(path[0], msgspec.UNSET)
    return messages.replaced(raw, path, by) if path[1] in messages.fields(inner) else raw
