"""An answer that is kept: whole, in its caller's dialect, and how it is given again.

Owns the form of an entry, and what makes an answer fit to be kept: complete, not too large, and readable in full, so
that it can be said as a stream as well as whole. What the canonical form has no place for (citations, say) could be
said in one of the two ways only, so that such answers are not kept.
"""

import re
from collections.abc import Iterator

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.canonical.answer import ChatAnswer
from heddle.wire.canonical.collect import Collector
from heddle.wire.canonical.replay import events
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codecs import DIALECTS, VENDORS

VERSION = 1

_ONLY_ONE_WAY = re.compile(
    rb'"(?:annotations|citations|citationMetadata|groundingMetadata|urlContextMetadata|audio|inlineData|container)"'
    # Possessive: space that is given back would stand where the value should.
    rb"\s*:\s*+(?!null|\[\s*\]|\{\s*\})"
)
MAX_STREAM_FACTOR = 32
"""A stream may be so many times as large as the answer that it says; beyond it nothing is collected."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One answer."""

    version: int
    put_s: float
    """Unix time."""
    input_tokens: int
    output_tokens: int
    notes: bytes
    """`x-heddle-translation` of the answer."""
    body: bytes


_ENTRY = msgspec.msgpack.Decoder(Entry)


def read(value: bytes) -> Entry | None:
    """An entry from its bytes; None when they are not one."""
    try:
        entry = _ENTRY.decode(value)
    except msgspec.DecodeError:
        return None
    return entry if entry.version == VERSION else None


def write(entry: Entry) -> bytes:
    """An entry as bytes."""
    return msgspec.msgpack.encode(entry)


def is_fit(call: ModelCall, body: bytes) -> bool:
    """Whether a whole answer can be given again, in every way that its caller may ask for."""
    if call.operation == "embeddings":
        return True
    if _ONLY_ONE_WAY.search(body):
        return False
    vendor = VENDORS.get(call.dialect)
    if vendor is None:
        return True
    try:
        return bool(vendor.decode_answer(body).choices)
    except ProtocolError:
        return False


def streams(call: ModelCall) -> bool:
    """Whether streams of a dialect can be collected and said again."""
    return call.dialect in VENDORS and call.dialect in DIALECTS


def stream_of(entry: Entry, call: ModelCall) -> Iterator[bytes]:
    """The pieces of a stream that says a kept answer. Raises ProtocolError before the first when it is none."""
    answer = VENDORS[call.dialect].decode_answer(entry.body)
    return _pieces(answer, call, int(entry.put_s))


def _pieces(answer: ChatAnswer, call: ModelCall, created_s: int) -> Iterator[bytes]:
    encoder = DIALECTS[call.dialect].open_encoder(call, created_s)
    for event in events(answer):
        piece = encoder.encode(event)
        if piece:
            yield piece


class Listener:
    """Puts a streamed answer together from the bytes that its caller gets."""

    __slots__ = ("_call", "_collector", "_decoder", "_left", "_unfit")

    def __init__(self, call: ModelCall, max_bytes: int) -> None:
        self._call = call
        self._decoder = VENDORS[call.dialect].open_decoder()
        self._collector = Collector()
        self._left = max_bytes * MAX_STREAM_FACTOR
        self._unfit = False

    def feed(self, data: bytes) -> None:
        """Some of it."""
        self._left -= len(data)
        if self._unfit or self._left < 0 or self._collector.failed:
            self._unfit = True
            return
        if _ONLY_ONE_WAY.search(data):
            self._unfit = True
            return
        for event in self._decoder.feed(data):
            self._collector.take(event)

    def whole(self, usage: Usage | None, created_s: int) -> bytes | None:
        """The answer as it would have been whole, with what it used; None when it is not complete or not fit."""
        if self._unfit:
            return None
        for event in self._decoder.finish():
            self._collector.take(event)
        answer = self._collector.answer()
        if answer is None or not answer.choices:
            return None
        if usage is not None and not usage.estimated:
            answer = msgspec.structs.replace(answer, usage=usage)
        return DIALECTS[self._call.dialect].encode_answer(answer, self._call, created_s)
