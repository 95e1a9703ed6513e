"""A vendor's streamed response as events.

Owns the bracketing. Items begin and end by their own events; what servers leave out (a part that was never added, an
item that is never done, arguments that come only with the end) is put in, and what cannot be ends in `Failed`.

*Source:* OpenAI API reference, "Streaming events" of responses, as of 2026-11.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from heddle.wire.canonical.answer import (
    Began,
    ChoiceEnded,
    Ended,
    Event,
    Failed,
    Kind,
    PartBegan,
    PartDelta,
    PartEnded,
    Stop,
    Used,
)
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_responses import usage as wire_usage
from heddle.wire.llm.openai_responses.reader import MAX_EVENT_BYTES, payload, reported
from heddle.wire.llm.openai_responses.signatures import OWN
from heddle.wire.sse import Splitter

_NOT_JSON = Failed(detail="The provider sent an event that is not one of a response.")
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class WireError(msgspec.Struct, gc=False):
    """What went wrong, as far as it can be repeated."""

    type: Any = None
    code: Any = None


class _Reason(msgspec.Struct, gc=False):
    reason: str | None = None


class _Response(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    usage: wire_usage.WireUsage | None = None
    incomplete_details: _Reason | None = None
    error: WireError | None = None


class _Piece(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct, gc=False):
    type: str = ""
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    encrypted_content: str | None = None
    summary: list[_Piece] | None = None
    content: list[_Piece] | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: str = ""
    logprobs: msgspec.Raw = msgspec.Raw()
    item: _Item | None = None
    response: _Response | None = None
    error: WireError | None = None
    code: Any = None


class _Head(msgspec.Struct, gc=False):
    type: str = ""


_HEAD = msgspec.json.Decoder(_Head)
_EVENT = msgspec.json.Decoder(_Event)

_Key = tuple[int, int]
"""`output_index` and, for parts of a message, `content_index`; -1 for an item that is one part."""


class EventDecoder:
    """Reads one response; see `codec.Decoder` for the contract."""

    __slots__ = (
        "_began",
        "_called",
        "_count",
        "_done",
        "_events",
        "_from",
        "_over",
        "_parts",
        "_refused",
        "_said",
        "_splitter",
    )

    def __init__(self) -> None:
        self._splitter = Splitter(MAX_EVENT_BYTES)
        self._events: list[Event] = []
        self._began = self._over = self._called = self._refused = False
        self._count = 0
        self._parts: dict[_Key, int] = {}
        """Parts that have begun and not ended."""
        self._said: set[_Key] = set()
        """Parts that have said something."""
        self._done: set[int] = set()
        """Items that have ended."""
        self._from: dict[int, str] = {}
        """Which of summary and raw reasoning an item's thinking is taken from: the first that came."""

    def feed(self, data: bytes) -> Sequence[Event]:
        """The events that `data`, with earlier bytes, completes; the last may be `Failed`. Never raises."""
        try:
            frames = self._splitter.feed(data) if not self._over else []
        except ProtocolError as exc:
            return self._taken(Failed(detail=exc.detail))
        for frame in frames:
            text = payload(frame)
            if text and not self._over:
                self._read(text)
        return self._taken()

    def finish(self) -> Sequence[Event]:
        """The bytes have ended: `Failed` unless the response was complete."""
        if self._over:
            return ()
        return self._taken(Failed(detail="The provider ended the stream before the response was complete."))

    def _taken(self, failed: Failed | None = None) -> Sequence[Event]:
        events, self._events = self._events, []
        if failed is not None and not self._over:
            self._over = True
            events.append(failed)
        return events

    def _read(self, text: bytes) -> None:
        try:
            read = _READERS.get(_HEAD.decode(text).type)
            event = _EVENT.decode(text) if read is not None else None
        except _BROKEN:
            self._fail(_NOT_JSON)
            return
        if read is not None and event is not None:
            read(self, event)

    def _fail(self, failed: Failed) -> None:
        self._over = True
        self._events.append(failed)

    def _created(self, event: _Event) -> None:
        if not self._began:
            self._began = True
            response = event.response or _Response()
            self._events.append(Began(id=response.id or "", model=response.model or ""))

    def _begin(self, key: _Key, kind: Kind, ident: str = "", name: str = "") -> int:
        """The index of a part, begun if it was not."""
        index = self._parts.get(key)
        if index is not None:
            return index
        if not self._began:
            self._created(_Event(type=""))
        index = self._parts[key] = self._count
        self._count += 1
        self._called |= kind == "tool_call"
        self._refused |= kind == "refusal"
        self._events.append(PartBegan(index=index, kind=kind, id=ident, name=name))
        return index

    def _add(self, key: _Key, kind: Kind, text: str, logprobs: str = "") -> None:
        index = self._begin(key, kind)
        if text or logprobs:
            self._said.add(key)
            self._events.append(PartDelta(index=index, text=text, logprobs=logprobs))

    def _item_added(self, event: _Event) -> None:
        item = event.item
        if item is not None and item.type == "function_call":
            self._begin((event.output_index, -1), "tool_call", item.call_id or "", item.name or "")

    def _text(self, event: _Event) -> None:
        logprobs = bytes(event.logprobs).decode()
        logprobs = logprobs if logprobs.startswith("[") and logprobs != "[]" else ""
        self._add((event.output_index, event.content_index), "text", event.delta, logprobs)

    def _refusal(self, event: _Event) -> None:
        self._add((event.output_index, event.content_index), "refusal", event.delta)

    def _thinking(self, event: _Event) -> None:
        source = event.type.split("_", 1)[1]
        if self._from.setdefault(event.output_index, source) == source:
            self._add((event.output_index, -1), "thinking", event.delta)

    def _summary_began(self, event: _Event) -> None:
        """Parts of a summary are paragraphs of one thought."""
        key = (event.output_index, -1)
        if key in self._said:
            self._add(key, "thinking", "\n\n")

    def _arguments(self, event: _Event) -> None:
        if (event.output_index, -1) not in self._parts:
            self._fail(Failed(detail="The provider sent arguments of a call that it had not begun."))
            return
        self._add((event.output_index, -1), "tool_call", event.delta)

    def _item_done(self, event: _Event) -> None:
        """The end of an item, which repeats all of it: what was not said before is said now."""
        item, place = event.item or _Item(), event.output_index
        if place in self._done:
            return
        self._done.add(place)
        if item.type == "message":
            for index, piece in enumerate(item.content or ()):
                kind: Kind = "refusal" if piece.refusal is not None else "text"
                self._catch_up((place, index), kind, piece.refusal or piece.text or "")
        elif item.type == "reasoning":
            whole = "\n\n".join([piece.text or "" for piece in item.summary or item.content or ()])
            self._catch_up((place, -1), "thinking", whole)
            if item.encrypted_content:
                index = self._begin((place, -1), "thinking")
                self._events.append(PartDelta(index=index, signature=OWN + item.encrypted_content))
        elif item.type == "function_call":
            self._begin((place, -1), "tool_call", item.call_id or "", item.name or "")
            self._catch_up((place, -1), "tool_call", item.arguments or "")
        self._end([key for key in self._parts if key[0] == place])

    def _catch_up(self, key: _Key, kind: Kind, whole: str) -> None:
        if whole and key not in self._said:
            self._add(key, kind, whole)

    def _end(self, keys: list[_Key]) -> None:
        for key in keys:
            self._events.append(PartEnded(index=self._parts.pop(key)))
            self._said.discard(key)

    def _ended(self, event: _Event) -> None:
        response = event.response or _Response()
        self._created(event)
        self._end(list(self._parts))
        reason = response.incomplete_details.reason if response.incomplete_details is not None else None
        incomplete = event.type == "response.incomplete"
        self._events.append(ChoiceEnded(stop=stop_of(incomplete, reason, self._called, self._refused)))
        used = wire_usage.read(response.usage)
        if used is not None:
            self._events.append(Used(usage=used))
        self._over = True
        self._events.append(Ended())

    def _failed(self, event: _Event) -> None:
        error = event.response.error if event.response is not None else event.error
        self._fail(failure_of(error or WireError(code=event.code)))


def stop_of(incomplete: bool, reason: str | None, called: bool, refused: bool) -> Stop:
    """Why a response ended; it says so only when it is incomplete."""
    if incomplete:
        return "content_filter" if reason == "content_filter" else "length"
    if called:
        return "tool_use"
    return "refusal" if refused else "stop"


def failure_of(error: WireError | None) -> Failed:
    """What a failed response becomes."""
    code = error.code if error is not None else None
    detail = reported({"type": error.type, "code": code} if error is not None else None)
    if code in ("rate_limit_exceeded", "insufficient_quota"):
        return Failed(detail=detail, status=429, retryable=code != "insufficient_quota")
    if code in (None, "server_error") or not isinstance(code, str):
        return Failed(detail=detail, retryable=True)
    ours = code.startswith(("invalid_", "image_", "unsupported_", "context_length")) or code in _CALLERS
    return Failed(detail=detail, status=400 if ours else 502)


_CALLERS = ("empty_image_file", "bio_policy", "misalignment_policy_violation", "failed_to_download_image")
"""Codes of failures that are about the request, beside those whose first word says so."""

_READERS: dict[str, Callable[[EventDecoder, _Event], None]] = {
    "response.created": EventDecoder._created,
    "response.in_progress": EventDecoder._created,
    "response.output_item.added": EventDecoder._item_added,
    "response.output_text.delta": EventDecoder._text,
    "response.refusal.delta": EventDecoder._refusal,
    "response.reasoning_summary_part.added": EventDecoder._summary_began,
    "response.reasoning_summary_text.delta": EventDecoder._thinking,
    "response.reasoning_text.delta": EventDecoder._thinking,
    "response.function_call_arguments.delta": EventDecoder._arguments,
    "response.output_item.done": EventDecoder._item_done,
    "response.completed": EventDecoder._ended,
    "response.incomplete": EventDecoder._ended,
    "response.failed": EventDecoder._failed,
    "error": EventDecoder._failed,
}
"""Type of an event -> what is made of it; the others repeat what these say, or are about tools that only OpenAI has."""
