"""Streamed answers in Anthropic's dialect.

Owns the order of its events, which is stricter than the canonical one: blocks come one after the other, each whole
before the next ("Streaming Messages", "Event types"). A part that begins while another is open is held until its turn.
`message_delta` carries the stop reason and the last counts, so that it is held until the vendor has said both.

*Source:* Anthropic API reference, "Streaming Messages", as of 2026-11; the accumulator of the `anthropic` SDK 2.12.
"""

from collections import deque

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.canonical.answer import Began, ChoiceEnded, Ended, Event, Kind, PartBegan, PartDelta, PartEnded, Used
from heddle.wire.llm.anthropic import signatures
from heddle.wire.llm.anthropic.answer import STOPS, redacted, start
from heddle.wire.llm.anthropic.usage import encode
from heddle.wire.llm.codec import estimate_tokens

_encode = msgspec.json.encode

_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOPPED = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}}\n\n'
_BLOCK_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_PIECES: dict[Kind, bytes] = {
    "text": b'{"type":"text_delta","text":%b',
    "refusal": b'{"type":"text_delta","text":%b',
    "thinking": b'{"type":"thinking_delta","thinking":%b',
    "tool_call": b'{"type":"input_json_delta","partial_json":%b',
}
_SIGNATURE = b'{"type":"signature_delta","signature":%b'


class _Part:
    """A part that has begun and is not all told."""

    __slots__ = ("began", "ended", "opened", "proof", "waiting")

    def __init__(self, began: PartBegan) -> None:
        self.began = began
        self.opened = False
        """Its block has been started."""
        self.ended = False
        self.proof = ""
        """Of a tool call: told after its block."""
        self.waiting: list[PartDelta] = []


class StreamEncoder:
    """Writes one message; see `codec.Encoder` for the contract."""

    __slots__ = ("_began", "_call", "_chars", "_ended", "_index", "_open", "_pinged", "_queue", "_usage")

    def __init__(self, call: ModelCall) -> None:
        self._call = call
        self._began = False
        self._pinged = False
        self._index = 0
        self._open: _Part | None = None
        self._queue: deque[_Part] = deque()
        self._ended: ChoiceEnded | None = None
        self._usage: Usage | None = None
        self._chars = 0

    def encode(self, event: Event) -> bytes:
        """The bytes of one event; empty while it has to wait."""
        if type(event) is PartDelta:
            return self._delta(event)
        if isinstance(event, Began):
            return self._begin(event)
        if isinstance(event, Used):
            self._usage = event.usage
            return b""
        if isinstance(event, Ended):
            return self._end()
        # The format has one answer: a second choice, which it cannot ask for, has no place.
        if getattr(event, "choice", 0):
            return b""
        if isinstance(event, PartBegan):
            return self._start(event)
        if isinstance(event, PartEnded):
            return self._finish(event)
        if isinstance(event, ChoiceEnded):
            self._ended = event
        return b""

    def _begin(self, event: Began) -> bytes:
        if self._began:
            return b""
        self._began = True
        known = event.usage or Usage(input_tokens=estimate_tokens(len(self._call.body)))
        message = start(event.id, event.model or self._call.model, known)
        return b"event: message_start\ndata: %b\n\n" % _encode({"type": "message_start", "message": message})

    def _start(self, event: PartBegan) -> bytes:
        head = self._begin(Began())
        part = _Part(event)
        if self._open is not None:
            self._queue.append(part)
            return head
        self._open = part
        return head + self._opening(part)

    def _opening(self, part: _Part) -> bytes:
        """The start of a tool call's block. Others start with their first words: they may turn out empty."""
        began = part.began
        if began.kind != "tool_call":
            return b""
        part.opened = True
        return self._block({"type": "tool_use", "id": began.id, "name": began.name, "input": {}})

    def _block(self, content: dict[str, object]) -> bytes:
        said = _encode({"type": "content_block_start", "index": self._index, "content_block": content})
        ping = b"" if self._pinged else _PING
        self._pinged = True
        return b"event: content_block_start\ndata: %b\n\n%b" % (said, ping)

    def _delta(self, event: PartDelta) -> bytes:
        if event.choice:
            return b""
        self._chars += len(event.text)
        part = self._open
        if part is not None and part.began.index == event.index:
            return self._say(part, event)
        for held in self._queue:
            if held.began.index == event.index:
                held.waiting.append(event)
        return b""

    def _say(self, part: _Part, event: PartDelta) -> bytes:
        kind = part.began.kind
        said = b""
        if event.text:
            said = self._opened(part) + _DELTA % (self._index, _PIECES[kind] % _encode(event.text))
        if event.signature and kind == "thinking":
            value = signatures.for_caller(event.signature)
            said += self._opened(part) + _DELTA % (self._index, _SIGNATURE % _encode(value))
        elif event.signature and kind == "tool_call":
            part.proof = event.signature
        if event.redacted:
            said += self._stop(part) + self._aside(signatures.for_caller(event.redacted))
        return said

    def _opened(self, part: _Part) -> bytes:
        if part.opened:
            return b""
        part.opened = True
        if part.began.kind == "thinking":
            return self._block({"type": "thinking", "thinking": "", "signature": ""})
        return self._block({"type": "text", "text": ""})

    def _stop(self, part: _Part) -> bytes:
        if not part.opened:
            return b""
        part.opened = False
        self._index += 1
        return _BLOCK_STOP % (self._index - 1)

    def _aside(self, data: str) -> bytes:
        """A block of its own for what cannot be read."""
        said = self._block(redacted(data)) + _BLOCK_STOP % self._index
        self._index += 1
        return said

    def _finish(self, event: PartEnded) -> bytes:
        part = self._open
        if part is None or part.began.index != event.index:
            for held in self._queue:
                held.ended |= held.began.index == event.index
            return b""
        part.ended = True
        return self._advance()

    def _advance(self) -> bytes:
        """Close the open part, then tell what has been waiting, up to a part that still goes on."""
        said: list[bytes] = []
        while self._open is not None and self._open.ended:
            part = self._open
            said.append(self._stop(part))
            if part.proof:
                said.append(self._aside(signatures.OF_CALL + part.proof))
            self._open = self._queue.popleft() if self._queue else None
            if self._open is not None:
                said.append(self._opening(self._open))
                said += [self._say(self._open, event) for event in self._open.waiting]
                self._open.waiting.clear()
        return b"".join(said)

    def _end(self) -> bytes:
        head = self._begin(Began())
        for part in (self._open, *self._queue):
            if part is not None:
                part.ended = True
        rest = self._advance()
        stop = self._ended
        delta = {
            "stop_reason": STOPS[stop.stop] if stop is not None else STOPS["stop"],
            "stop_sequence": (stop.stop_sequence or None) if stop is not None else None,
        }
        used = self._usage or Usage(
            input_tokens=estimate_tokens(len(self._call.body)), output_tokens=estimate_tokens(self._chars)
        )
        said = _encode({"type": "message_delta", "delta": delta, "usage": encode(used)})
        return b"%b%bevent: message_delta\ndata: %b\n\n%b" % (head, rest, said, _STOPPED)


def open_encoder(call: ModelCall, created_s: int) -> StreamEncoder:  # noqa: ARG001
    """A writer for one streamed answer. The format has no time of creation."""
    return StreamEncoder(call)
