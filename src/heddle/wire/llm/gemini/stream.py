"""Another vendor's answer, in pieces, for a caller who speaks Gemini.

Owns what becomes a chunk when. Text and thoughts go out as they come; a function call has one form here, whole, so its
arguments are kept until it has ended. Why the answer ended and what it used are said together in the last chunk, when
both are known: a candidate with a finish reason says that nothing follows.

*Source:* Gemini API reference, "models.streamGenerateContent", 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire import sse
from heddle.wire.canonical.answer import Began, ChoiceEnded, Ended, Event, PartBegan, PartDelta, PartEnded, Used
from heddle.wire.canonical.request import Thinking, ToolCall
from heddle.wire.llm.gemini import logprobs, signatures, usage
from heddle.wire.llm.gemini.answer import FINISH, MALFORMED, encode_part, signed


class _Call:
    """A function call whose arguments are still coming."""

    __slots__ = ("arguments", "id", "name", "signature")

    def __init__(self, began: PartBegan) -> None:
        self.id = began.id
        self.name = began.name
        self.arguments: list[str] = []
        self.signature = ""


class Encoder:
    """Writes one streamed answer; see `codec.Encoder` for the contract."""

    __slots__ = ("_calls", "_ended", "_id", "_malformed", "_model", "_thoughts", "_usage")

    def __init__(self, call: ModelCall) -> None:
        self._id = ""
        self._model = call.model
        self._usage: Usage | None = None
        self._calls: dict[tuple[int, int], _Call] = {}
        self._thoughts: set[tuple[int, int]] = set()
        self._ended: dict[int, str] = {}
        self._malformed: set[int] = set()

    def encode(self, event: Event) -> bytes:
        """The bytes of one event; empty when nothing is to be said yet."""
        if isinstance(event, PartDelta):
            return self._delta(event)
        if isinstance(event, PartBegan):
            self._begin(event)
        elif isinstance(event, PartEnded):
            return self._part_ended(event)
        elif isinstance(event, Began):
            self._id, self._model = event.id or self._id, event.model or self._model
            self._usage = event.usage
        elif isinstance(event, ChoiceEnded):
            self._ended[event.choice] = MALFORMED if event.choice in self._malformed else FINISH[event.stop]
        elif isinstance(event, Used):
            self._usage = event.usage
        elif isinstance(event, Ended):
            return self._end()
        return b""

    def _begin(self, began: PartBegan) -> None:
        if began.kind == "tool_call":
            self._calls[began.choice, began.index] = _Call(began)
        elif began.kind == "thinking":
            self._thoughts.add((began.choice, began.index))

    def _delta(self, delta: PartDelta) -> bytes:
        place = (delta.choice, delta.index)
        call = self._calls.get(place)
        if call is not None:
            call.arguments.append(delta.text)
            call.signature = delta.signature or call.signature
            return b""
        part: dict[str, Any] = {"text": delta.text}
        if place in self._thoughts:
            carried = signatures.wrap(Thinking(signature=delta.signature, redacted=delta.redacted))
            part = signed({**part, "thought": True}, carried)
        elif not delta.text and not delta.logprobs:
            return b""
        return self._chunk(delta.choice, part, delta.logprobs)

    def _part_ended(self, ended: PartEnded) -> bytes:
        call = self._calls.pop((ended.choice, ended.index), None)
        if call is None:
            return b""
        arguments = "".join(call.arguments)
        part = encode_part(ToolCall(id=call.id, name=call.name, arguments=arguments, signature=call.signature))
        if part is None:
            self._malformed.add(ended.choice)
            return b""
        return self._chunk(ended.choice, part)

    def _chunk(self, choice: int, part: dict[str, Any], said: str = "") -> bytes:
        candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": choice}
        likely = logprobs.write([said]) if said else None
        if likely is not None:
            candidate["logprobsResult"] = likely
        return self._write([candidate])

    def _end(self) -> bytes:
        empty = {"parts": [{"text": ""}], "role": "model"}
        return self._write(
            [
                {"content": empty, "finishReason": finish, "index": index}
                for index, finish in sorted(self._ended.items())
            ]
        )

    def _write(self, candidates: list[dict[str, Any]]) -> bytes:
        body: dict[str, Any] = {"candidates": candidates}
        if self._usage is not None:
            body["usageMetadata"] = usage.write(self._usage)
        body["modelVersion"] = self._model
        body["responseId"] = self._id
        return sse.encode(msgspec.json.encode(body))


def open_encoder(call: ModelCall, created_s: int) -> Encoder:
    """A writer for a streamed answer. The format says no time of creation that a caller would need."""
    del created_s
    return Encoder(call)
