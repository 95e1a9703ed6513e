"""A streamed answer in this dialect.

Owns the grammar of events: `response.created` and `.in_progress`, per item `output_item.added`, what its parts say,
`output_item.done`, and at the end the whole response once more. Every event has the next `sequence_number`. Each part
is an item of its own, so that parallel ones never mix; one that says nothing never becomes one, as in whole answers.

*Source:* OpenAI API reference, "Streaming events" of responses; the accumulator of its Python SDK 3.52, 2026-11.
"""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.canonical.answer import (
    Began,
    ChoiceEnded,
    Ended,
    Event,
    Kind,
    PartBegan,
    PartDelta,
    PartEnded,
    Stop,
    Used,
)
from heddle.wire.llm.openai_responses.answer import (
    Frame,
    call_item,
    message_item,
    pieces,
    reasoning_item,
    refusal_content,
    text_content,
)
from heddle.wire.llm.openai_responses.signatures import sealed, sealed_call
from heddle.wire.llm.openai_responses.tools import Declared, unwrap_input

Said = list[tuple[str, dict[str, Any]]]
"""Events without their numbers: type, fields."""

_encode = msgspec.json.encode


class _Item(Protocol):
    """One item of the output while it is written."""

    def open(self) -> Said: ...

    def add(self, delta: PartDelta) -> Said: ...

    def close(self) -> Said: ...

    def whole(self) -> dict[str, Any]: ...


class _Message:
    """A message with one part: text, or the words of a refusal."""

    __slots__ = ("_at", "_id", "_logprobs", "_name", "_text")

    def __init__(self, ident: str, index: int, refusal: bool) -> None:
        self._id = ident
        self._at: dict[str, Any] = {"item_id": ident, "output_index": index, "content_index": 0}
        self._name = "refusal" if refusal else "output_text"
        self._text: list[str] = []
        self._logprobs: list[msgspec.Raw] = []

    def open(self) -> Said:
        added = message_item(self._id, [], "in_progress")
        return [_item("added", self._at, added), ("response.content_part.added", self._at | {"part": self._content()})]

    def add(self, delta: PartDelta) -> Said:
        said = self._at | {"delta": delta.text}
        self._text.append(delta.text)
        if self._name == "output_text":
            said["logprobs"] = pieces(delta.logprobs)
            self._logprobs += said["logprobs"]
        return [(f"response.{self._name}.delta", said)]

    def close(self) -> Said:
        part = self._content()
        done = {name: part[name] for name in ("text", "refusal", "logprobs") if name in part}
        return [
            (f"response.{self._name}.done", self._at | done),
            ("response.content_part.done", self._at | {"part": part}),
            _item("done", self._at, self.whole()),
        ]

    def whole(self) -> dict[str, Any]:
        return message_item(self._id, [self._content()])

    def _content(self) -> dict[str, Any]:
        text = "".join(self._text)
        return refusal_content(text) if self._name == "refusal" else text_content(text, self._logprobs)


class _Reasoning:
    """Thinking, shown as a summary of one part, with its proof sealed."""

    __slots__ = ("_at", "_id", "_redacted", "_signature", "_text")

    def __init__(self, ident: str, index: int) -> None:
        self._id = ident
        self._at: dict[str, Any] = {"item_id": ident, "output_index": index, "summary_index": 0}
        self._text: list[str] = []
        self._signature = self._redacted = ""

    def open(self) -> Said:
        return [_item("added", self._at, reasoning_item(self._id, "", "", "in_progress"))]

    def add(self, delta: PartDelta) -> Said:
        self._signature = delta.signature or self._signature
        self._redacted = delta.redacted or self._redacted
        if not delta.text:
            return []
        said: Said = []
        if not self._text:
            said.append(("response.reasoning_summary_part.added", self._at | {"part": _summary("")}))
        self._text.append(delta.text)
        return [*said, ("response.reasoning_summary_text.delta", self._at | {"delta": delta.text})]

    def close(self) -> Said:
        text = "".join(self._text)
        said: Said = []
        if text:
            said.append(("response.reasoning_summary_text.done", self._at | {"text": text}))
            said.append(("response.reasoning_summary_part.done", self._at | {"part": _summary(text)}))
        return [*said, _item("done", self._at, self.whole())]

    def whole(self) -> dict[str, Any]:
        return reasoning_item(self._id, "".join(self._text), sealed(self._signature, self._redacted))


class _Call:
    """A function call."""

    __slots__ = ("_arguments", "_at", "_id", "_known", "_name", "call_id", "signature")

    def __init__(self, ident: str, index: int, part: PartBegan, known: Declared | None) -> None:
        self._id = ident
        self._at: dict[str, Any] = {"item_id": ident, "output_index": index}
        self.call_id, self._name, self._known = part.id, part.name, known
        self.signature = ""
        self._arguments: list[str] = []

    def open(self) -> Said:
        return [_item("added", self._at, self._item("", "in_progress"))]

    def add(self, delta: PartDelta) -> Said:
        self.signature = delta.signature or self.signature
        if not delta.text:
            return []
        self._arguments.append(delta.text)
        return [("response.function_call_arguments.delta", self._at | {"delta": delta.text})]

    def close(self) -> Said:
        # A call without a word on its arguments has none: an empty object, as in whole answers.
        said = [] if self._arguments else self.add(PartDelta(index=0, text="{}"))
        arguments = "".join(self._arguments)
        name = self._known.name if self._known is not None else self._name
        done = self._at | {"name": name, "arguments": arguments}
        return [*said, ("response.function_call_arguments.done", done), _item("done", self._at, self.whole())]

    def whole(self) -> dict[str, Any]:
        return self._item("".join(self._arguments), "completed")

    def _item(self, arguments: str, status: str) -> dict[str, Any]:
        return call_item(self._id, self.call_id, self._name, self._known, arguments, status)


class _CustomCall(_Call):
    """A call of a custom tool. Its text is known only when the JSON around it is whole, and comes in one piece."""

    __slots__ = ()

    def add(self, delta: PartDelta) -> Said:
        self.signature = delta.signature or self.signature
        self._arguments.append(delta.text)
        return []

    def close(self) -> Said:
        text = unwrap_input("".join(self._arguments))
        return [
            ("response.custom_tool_call_input.delta", self._at | {"delta": text}),
            ("response.custom_tool_call_input.done", self._at | {"input": text}),
            _item("done", self._at, self.whole()),
        ]


class StreamEncoder:
    """Writes one answer; see `codec.Encoder` for the contract."""

    __slots__ = ("_call", "_created_s", "_frame", "_items", "_open", "_sequence", "_stop", "_usage", "_waiting")

    def __init__(self, call: ModelCall, created_s: int) -> None:
        self._call = call
        self._created_s = created_s
        self._frame: Frame | None = None
        self._sequence = 0
        self._items: list[_Item] = []
        self._open: dict[int, _Item] = {}
        self._waiting: dict[int, Kind] = {}
        self._stop: Stop = "stop"
        self._usage: Usage | None = None

    def encode(self, event: Event) -> bytes:
        """The bytes of one event; empty when nothing is to be said yet. Choices other than the first are not said."""
        if getattr(event, "choice", 0):
            return b""
        said = _HANDLERS[type(event)](self, event)
        return b"".join([self._written(kind, fields) for kind, fields in said])

    def _written(self, kind: str, fields: dict[str, Any]) -> bytes:
        number, self._sequence = self._sequence, self._sequence + 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, "sequence_number": number} | fields))

    def _began(self, event: Began) -> Said:
        self._frame = Frame(self._call, self._created_s, event.id, event.model)
        response = {"response": self._frame.begun()}
        return [("response.created", response), ("response.in_progress", response)]

    def _part_began(self, event: PartBegan) -> Said:
        if event.kind != "tool_call":
            self._waiting[event.index] = event.kind
            return []
        frame, index = self._begun(), len(self._items)
        known = frame.declared.get(event.name)
        if known is not None and known.custom:
            return self._add(event.index, _CustomCall(frame.item_id("ctc", index), index, event, known))
        return self._add(event.index, _Call(frame.item_id("fc", index), index, event, known))

    def _part_delta(self, event: PartDelta) -> Said:
        item = self._open.get(event.index)
        if item is not None:
            return item.add(event)
        if not (event.text or event.signature or event.redacted):
            return []
        kind, index = self._waiting.pop(event.index), len(self._items)
        frame = self._begun()
        if kind == "thinking":
            item = _Reasoning(frame.item_id("rs", index), index)
        else:
            item = _Message(frame.item_id("msg", index), index, kind == "refusal")
        return self._add(event.index, item) + item.add(event)

    def _part_ended(self, event: PartEnded) -> Said:
        self._waiting.pop(event.index, None)
        item = self._open.pop(event.index, None)
        if item is None:
            return []
        if not isinstance(item, _Call) or not item.signature:
            return item.close()
        return item.close() + self._proven(event.index, sealed_call(item.call_id, item.signature))

    def _proven(self, part: int, proof: str) -> Said:
        """The proof of a call, which has no place in the call itself."""
        index = len(self._items)
        item = _Reasoning(self._begun().item_id("rs", index), index)
        said = self._add(part, item) + item.add(PartDelta(index=part, signature=proof))
        del self._open[part]
        return said + item.close()

    def _choice_ended(self, event: ChoiceEnded) -> Said:
        self._stop = event.stop
        return []

    def _used(self, event: Used) -> Said:
        self._usage = event.usage
        return []

    def _ended(self, event: Ended) -> Said:
        del event
        output = [item.whole() for item in self._items]
        response = self._begun().ended(output, self._stop, self._usage)
        return [(f"response.{response['status']}", {"response": response})]

    def _add(self, part: int, item: _Item) -> Said:
        self._items.append(item)
        self._open[part] = item
        return item.open()

    def _begun(self) -> Frame:
        assert self._frame is not None, "decoders say Began first"
        return self._frame


_HANDLERS: dict[type, Callable[[StreamEncoder, Any], Said]] = {
    Began: StreamEncoder._began,
    PartBegan: StreamEncoder._part_began,
    PartDelta: StreamEncoder._part_delta,
    PartEnded: StreamEncoder._part_ended,
    ChoiceEnded: StreamEncoder._choice_ended,
    Used: StreamEncoder._used,
    Ended: StreamEncoder._ended,
}


def _item(what: str, at: dict[str, Any], item: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return f"response.output_item.{what}", {"output_index": at["output_index"], "item": item}


def _summary(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}
