"""Guards around a call: what callers send and what models answer, in the caller's own dialect.

Owns which guards apply to a call, and what becomes of their findings: a masked body, a refusal, a record. It stands
inside of limits and outside of everything that answers, the cache included, so that every answer passes it. Guards
that need the whole (webhooks, schemas) hold an answer back until it is complete; all others pass a stream on as it
comes. What guards found is told in metrics, the trace and, for refusals, the audit log: never the text itself.

Refused requests and answers are both 400 `content_policy_violation`, which the SDKs raise without trying again; a
stream that has begun ends with an error event in the caller's dialect and is cut.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.model.match import MatchIndex, about_tools
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot import Snapshot
from heddle.net.body import Sink
from heddle.net.message import Reply
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Handler, Phase
from heddle.pipeline.guard_texts import StreamTreatment, Treatment
from heddle.pipeline.guarding import GuardRefusalError, Judged
from heddle.policies.guard.judging import Guards, Subject, Work, treated
from heddle.policies.guard.mcp import McpMatches, McpWork
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codecs import CODECS
from heddle.wire.llm.slots import Slots
from heddle.wire.llm.slotted import SLOTS

MAX_HELD_BYTES = 64 * 1024 * 1024
"""Largest stream that is held back for guards that need the whole."""
MAX_KNOWN = 16_384


def build(snapshot: Snapshot, tools: Tools) -> "Guard | None":
    """The policy of a snapshot's guards; None when it has none."""
    return Guard(snapshot, tools) if snapshot.guards else None


class Guard(Guards):
    """All guards of a snapshot, as one policy."""

    phase = Phase.GUARD

    def __init__(self, snapshot: Snapshot, tools: Tools) -> None:
        super().__init__(snapshot, tools)
        self._index: MatchIndex[int] = MatchIndex()
        for number, spec in enumerate(snapshot.guards):
            if not about_tools(spec.match):
                self._index.add(spec.match, number)
        self._known: dict[tuple[str, ...], tuple[int, ...]] = {}
        self._of_tools = McpMatches(snapshot.guards)

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:  # noqa: ARG002
        """A guard hides no model."""
        return True

    def guard_mcp(self, exchange: Exchange, call: McpCall) -> McpWork | None:
        """The guards of a call to a tool server; None when none is for it.

        One that is about a tool whose name is not known is guarded by all that are for any tool of its target.
        """
        numbers = self._of_tools.find(exchange.principal, call)
        return McpWork(self, exchange, call, numbers) if numbers else None

    def wrap(self, handler: Handler) -> Handler:
        """Guard the request, hand on, guard the answer."""

        async def guarded(exchange: Exchange) -> Reply:
            call = exchange.call
            numbers = self._applying(exchange.principal, call) if call is not None else ()
            if call is None or not numbers:
                return await handler(exchange)
            work = _Work(self, exchange, call, numbers)
            await work.request()
            return await work.reply(await handler(exchange))

        return guarded

    def _applying(self, principal: Principal, call: ModelCall) -> tuple[int, ...]:
        """Numbers of the guards that match the call by any name of its models, as they were declared."""
        models = {call.entry, call.model, call.upstream_model, *(target.model for target in call.targets)} - {""}
        key = (principal.tenant, principal.user, principal.agent, *sorted(models))
        known = self._known.get(key)
        if known is None:
            found = {number for model in models for number in self._index.find(principal, model)}
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[key] = tuple(sorted(found))
        return known


class _Work(Work):
    """The guards of one call of a model."""

    __slots__ = ("_call", "_slots")

    def __init__(self, guards: Guards, exchange: Exchange, call: ModelCall, numbers: tuple[int, ...]) -> None:
        super().__init__(guards, exchange, numbers, call.body)
        self._call = call
        self._slots: Slots | None = SLOTS.get(call.dialect)

    @property
    def subject(self) -> Subject:
        """The model."""
        call = self._call
        return Subject(f"model:{call.model}", call.entry, call.model, call.body)

    async def request(self) -> None:
        """Guard the body, in place. Raises CallError."""
        call, slots = self._call, self._slots
        if slots is None:
            self._unreadable(f"Guards cannot read calls of the kind `{call.dialect}`.")
            return
        lanes, judges = self.lanes("request"), self.judges("request")
        if lanes is None and not judges:
            return
        texts: list[Judged] = []
        try:
            call.body = await treated(call.body, slots.request_slots, self.treatment(lanes), texts)
        except GuardRefusalError as refusal:
            raise self.refused(refusal.decision) from refusal
        except RecursionError as exc:
            raise CallError(Reason.BAD_REQUEST, "The request is nested too deep for its guards.") from exc
        await self.ask("request", texts, judges)

    async def reply(self, reply: Reply) -> Reply:
        """The answer, guarded; others than 200 say nothing of a model's. Raises CallError."""
        slots = self._slots
        if slots is None or reply.status != 200:
            return reply
        lanes, judges = self.lanes("response"), self.judges("response")
        if lanes is None and not judges:
            return reply
        treatment = self.treatment(lanes)
        if isinstance(reply.body, bytes):
            reply.body = await self._whole(reply.body, slots, treatment)
        else:
            stream = StreamTreatment(slots, treatment, bool(judges))
            guarded = GuardedStream(reply.body, stream, self)
            reply.body = await self._held(guarded, stream) if judges else guarded
        return reply

    async def _whole(self, body: bytes, slots: Slots, treatment: Treatment) -> bytes:
        texts: list[Judged] = []
        try:
            body = await treated(body, slots.answer_slots, treatment, texts)
        except GuardRefusalError as refusal:
            raise self.refused(refusal.decision) from refusal
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise CallError(Reason.UPSTREAM_ERROR, "The provider gave an answer that guards cannot read.") from exc
        await self.ask("response", texts, self.judges("response"))
        return body

    async def _held(self, guarded: "GuardedStream", stream: StreamTreatment) -> AsyncIterator[bytes]:
        """All of a stream, once it was judged."""
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in guarded:
                pieces.append(piece)
                size += len(piece)
                if size > MAX_HELD_BYTES:
                    raise CallError(Reason.UPSTREAM_ERROR, "The answer is too large to be held back for its guards.")
        finally:
            await guarded.aclose()
        await self.ask("response", stream.texts, self.judges("response"))
        return _replayed(pieces)

    def _unreadable(self, detail: str) -> None:
        strict = [self.guards.specs[number] for number in self.numbers]
        if any(spec.on_error == "refuse" for spec in strict):
            raise CallError(Reason.GUARDED, detail)

    def error_event(self, error: CallError) -> bytes:
        """A refusal inside of a stream, in the caller's dialect."""
        told = error.answer
        codec = CODECS[self._call.dialect]
        return codec.encode_error_event(told.status, told.kind, told.code, error.detail, error.param)


class GuardedStream:
    """A streamed answer on its way through its guards. An async iterator that must be `aclose()`d."""

    __slots__ = ("_body", "_error", "_over", "_treatment", "_work")

    def __init__(self, body: AsyncIterator[bytes], treatment: StreamTreatment, work: _Work) -> None:
        self._body = body
        self._treatment = treatment
        self._work = work
        self._over = False
        self._error: CallError | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._over:
            try:
                ready = self._feed(await self._body.__anext__())
            except StopAsyncIteration:
                ready = self._end()
            except (GuardRefusalError, ProtocolError) as exc:
                ready = self._refuse(exc)
                await self.aclose()
            if ready:
                return ready
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def pour(self, write: Sink) -> None:
        """Write every piece as it arrives, without a task between; otherwise as the iterator. Raises CallError."""
        pour = getattr(self._body, "pour", None)
        if pour is not None and not self._over:
            await self._flow(pour, write)
        async for piece in self:
            await _written(write(piece))
        if self._error is not None:
            raise self._error

    async def _flow(self, pour: Callable[[Sink], Any], write: Sink) -> None:
        feed = self._feed

        def forward(data: bytes) -> "asyncio.Future[None] | None":
            ready = feed(data)
            return write(ready) if ready else None

        try:
            await pour(forward)
            rest = self._end()
        except (GuardRefusalError, ProtocolError) as exc:
            rest = self._refuse(exc)
            await self.aclose()
        if rest:
            await _written(write(rest))

    def _feed(self, data: bytes) -> bytes:
        try:
            return self._treatment.feed(data)
        except RecursionError as exc:
            raise ProtocolError("The provider sent an event that is nested too deep for guards.") from exc

    def _end(self) -> bytes:
        """The stream ended well: what was held back, unless that must not pass."""
        self._over = True
        try:
            return self._treatment.finish()
        except GuardRefusalError as exc:
            return self._refuse(exc)

    def _refuse(self, exc: GuardRefusalError | ProtocolError) -> bytes:
        self._over = True
        if isinstance(exc, GuardRefusalError):
            self._error = self._work.refused(exc.decision)
        else:
            self._error = CallError(Reason.UPSTREAM_BROKEN, exc.detail)
        return self._work.error_event(self._error)

    async def aclose(self) -> None:
        """The caller left, or has everything."""
        close: Any = getattr(self._body, "aclose", None)
        if close is not None:
            await close()


async def _written(full: "asyncio.Future[None] | None") -> None:
    if full is not None:
        await full


async def _replayed(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
