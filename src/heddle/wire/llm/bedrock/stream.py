"""A streamed answer in the form of ConverseStream.

Owns the frames and their order. Blocks follow one another, as clients of Converse expect: what comes of a part while
another is open waits until that one ends. As Bedrock does it, only tool calls have a `contentBlockStart`, and the
stream ends with `metadata`, which has the usage.

*Source:* Amazon Bedrock API Reference, "ConverseStreamOutput", "ContentBlockStart", "ContentBlockDelta", as of 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire import eventstream
from heddle.wire.canonical.answer import Began, ChoiceEnded, Ended, Event, PartBegan, PartDelta, PartEnded, Used
from heddle.wire.llm.bedrock import usage as bedrock_usage
from heddle.wire.llm.bedrock.answer import METRICS, estimate
from heddle.wire.llm.bedrock.names import FROM_STOP, call_proof_to_caller, proof_to_caller, redacted_to_caller

_PartEvent = PartBegan | PartDelta | PartEnded


def open_encoder(call: ModelCall, created_s: int) -> "Encoder":
    """A writer for a streamed answer. The format has no place for a time."""
    del created_s
    return Encoder(call)


class Encoder:
    """Writes the frames of one answer; see `codec.Encoder` for the contract."""

    __slots__ = ("_call", "_chars", "_filled", "_index", "_kinds", "_open", "_proof", "_started", "_usage", "_waiting")

    def __init__(self, call: ModelCall) -> None:
        self._call = call
        self._chars = 0
        self._index = -1
        """Of the last content block."""
        self._kinds: dict[int, str] = {}
        self._open: int | None = None
        """The part that is being written; the events of others wait."""
        self._filled = False
        """The open part has been given something to say."""
        self._proof = ""
        """Of the call that is being written."""
        self._started = False
        self._usage: Usage | None = None
        self._waiting: dict[int, list[_PartEvent]] = {}

    def encode(self, event: Event) -> bytes:
        """The frames of one event; of several choices only the first is written."""
        if isinstance(event, PartBegan | PartDelta | PartEnded):
            return self._part(event) if event.choice == 0 else b""
        if isinstance(event, Began):
            return self._begin()
        if isinstance(event, ChoiceEnded):
            if event.choice:
                return b""
            return self._begin() + _frame("messageStop", {"stopReason": FROM_STOP[event.stop]})
        if isinstance(event, Used):
            self._usage = event.usage
        elif isinstance(event, Ended):
            usage = bedrock_usage.write(self._usage or estimate(self._call, self._chars))
            return _frame("metadata", {"usage": usage, "metrics": METRICS})
        return b""

    def _begin(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        return _frame("messageStart", {"role": "assistant"})

    def _part(self, event: _PartEvent) -> bytes:
        begun = self._begin()
        if self._open is not None and event.index != self._open:
            self._waiting.setdefault(event.index, []).append(event)
            return begun
        frames = [begun, self._write(event)]
        while self._open is None and self._waiting:
            # The next part, with all that has come of it; what belongs to others waits on.
            held = self._waiting.pop(next(iter(self._waiting)))
            frames += [self._write(one) for one in held]
        return b"".join(frames)

    def _write(self, event: _PartEvent) -> bytes:
        if isinstance(event, PartBegan):
            return self._start(event)
        if isinstance(event, PartDelta):
            return self._delta(event)
        return self._stop(event)

    def _start(self, event: PartBegan) -> bytes:
        self._open = event.index
        self._filled = False
        self._kinds[event.index] = event.kind
        if event.kind != "tool_call":
            return b""
        self._index += 1
        start = {"toolUse": {"toolUseId": event.id, "name": event.name}}
        return _frame("contentBlockStart", {"start": start, "contentBlockIndex": self._index})

    def _delta(self, event: PartDelta) -> bytes:
        self._chars += len(event.text)
        deltas: list[dict[str, Any]] = []
        kind = self._kinds[event.index]
        if kind == "thinking":
            if event.text:
                deltas.append({"reasoningContent": {"text": event.text}})
            if event.signature:
                deltas.append({"reasoningContent": {"signature": proof_to_caller(event.signature)}})
            if event.redacted:
                deltas.append({"reasoningContent": {"redactedContent": redacted_to_caller(event.redacted)}})
        elif kind == "tool_call" and event.signature:
            self._proof = event.signature
        if kind != "thinking" and event.text:
            deltas.append({"toolUse": {"input": event.text}} if kind == "tool_call" else {"text": event.text})
        if deltas and not self._filled:
            self._filled = True
            # Text and thinking have no start of their own: the first of them opens the block.
            self._index += kind != "tool_call"
        return b"".join(
            [_frame("contentBlockDelta", {"delta": delta, "contentBlockIndex": self._index}) for delta in deltas]
        )

    def _stop(self, event: PartEnded) -> bytes:
        kind = self._kinds.pop(event.index)
        self._open = None
        proof, self._proof = self._proof, ""
        stop = _frame("contentBlockStop", {"contentBlockIndex": self._index})
        if kind != "tool_call":
            return stop if self._filled else b""
        if not self._filled:
            # A call without arguments: clients parse what they gathered as JSON.
            delta = {"toolUse": {"input": "{}"}}
            stop = _frame("contentBlockDelta", {"delta": delta, "contentBlockIndex": self._index}) + stop
        return stop + self._aside(proof) if proof else stop

    def _aside(self, proof: str) -> bytes:
        """The proof of the call that has ended, as a block of its own."""
        self._index += 1
        delta = {"reasoningContent": {"redactedContent": call_proof_to_caller(proof)}}
        begun = _frame("contentBlockDelta", {"delta": delta, "contentBlockIndex": self._index})
        return begun + _frame("contentBlockStop", {"contentBlockIndex": self._index})


def _frame(event: str, payload: dict[str, Any]) -> bytes:
    headers = {":event-type": event, ":content-type": "application/json", ":message-type": "event"}
    return eventstream.encode(headers, msgspec.json.encode(payload))
