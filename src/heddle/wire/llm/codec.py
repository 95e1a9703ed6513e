"""What every dialect offers to the gateway, so that dialect, provider and backend stay independent things.

A wire format has up to three faces. `Codec`: at the door, where a caller speaks it, and on the way through when the
provider speaks it too. `Dialect`: the same caller, when the provider speaks another one. `Vendor`: the provider's side
of a translated call. A module is one face of one format; `codecs` lists them.

*Source:* the operations that the formats under `wire.llm` have in common; each names its own reference.
"""

from collections.abc import Sequence
from typing import Protocol

from heddle.model.call import Heard, ModelCall, Usage
from heddle.wire.canonical.answer import ChatAnswer, Event
from heddle.wire.canonical.request import ChatRequest
from heddle.wire.canonical.rules import Notes, Rules
from heddle.wire.errors import ProtocolError

CHARS_PER_TOKEN = 4
"""Estimates take one token per four characters of generated text, and per four bytes of request body, rounded up."""


class Stream(Protocol):
    """Reads a streamed answer on its way to the caller. One per call."""

    failure: ProtocolError | None
    """Set when the stream cannot be continued: malformed, an error event, ended without having finished."""
    done: bool
    """The terminator was seen; nothing after it is forwarded."""
    events: int
    """Events with content that were read; the terminator is none."""
    text_chars: int
    """Characters of text, thinking and arguments that were generated so far."""

    def feed(self, data: bytes) -> bytes:
        """What of `data`, and of earlier bytes, may now go to the caller: whole events only. Never raises."""
        ...

    def finish(self) -> None:
        """The bytes have ended: sets `failure` unless the stream was complete."""
        ...

    def usage(self, input_bytes: int) -> Usage:
        """Tokens used so far: the provider's numbers if it gave them, otherwise an estimate marked so."""
        ...


class Codec(Protocol):
    """A format at the door. A module is one."""

    DIALECT: str
    STREAM_TYPE: bytes
    """Content type of a streamed answer; `audio/*` is any sound."""

    def decode_request(self, body: bytes, target: str = "") -> ModelCall:
        """Check a request and read what policies need. `target` is path and query, for formats that name the model
        there; of a form its content type, which names the boundary. Raises ProtocolError."""
        ...

    def rewrite(self, body: bytes, *, model: str | None, include_usage: bool) -> bytes:
        """The body with its model renamed (None keeps it) and usage asked for; identical when nothing changes."""
        ...

    def read_usage(self, body: bytes, input_bytes: int) -> Usage:
        """Tokens of a whole answer, estimated when it does not say. Raises ProtocolError when it is no answer."""
        ...

    def open_stream(self, hide_usage: bool) -> Stream:
        """A reader for a streamed answer; `hide_usage` takes out the usage chunk that the caller did not ask for."""
        ...

    def encode_error(self, status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
        """An error body."""
        ...

    def error_fields(self, status: int, code: str) -> list[tuple[bytes, bytes]]:
        """Header fields that an error needs beside its body; mostly none."""
        ...

    def encode_error_event(self, status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
        """An error inside a stream that has begun."""
        ...


class Hearing(Protocol):
    """What is read of answers for the calls whose record or span tells of them. A module is one."""

    def read_answer(self, body: bytes) -> Heard:
        """A whole answer; what cannot be read is left out."""
        ...

    def read_events(self, data: bytes) -> list[Heard]:
        """Each of some whole events of a stream. Raises ProtocolError when they are none."""
        ...


class Encoder(Protocol):
    """Writes a streamed answer in the caller's dialect. One per call."""

    def encode(self, event: Event) -> bytes:
        """The bytes of one event; empty when nothing is to be said yet. Never given `Failed`."""
        ...


class Dialect(Protocol):
    """The caller's side of a translated call. A module is one."""

    def decode_chat(self, body: bytes, call: ModelCall) -> ChatRequest:
        """The whole of a request that `decode_request` has accepted. Raises ProtocolError, which names the place."""
        ...

    def encode_answer(self, answer: ChatAnswer, call: ModelCall, created_s: int) -> bytes:
        """A whole answer. `created_s` is Unix time; an absent model is the one asked for."""
        ...

    def open_encoder(self, call: ModelCall, created_s: int) -> Encoder:
        """A writer for a streamed answer."""
        ...


class Decoder(Protocol):
    """Reads a vendor's streamed answer. One per call."""

    def feed(self, data: bytes) -> Sequence[Event]:
        """The events that `data`, with earlier bytes, completes; the last may be `Failed`. Never raises."""
        ...

    def finish(self) -> Sequence[Event]:
        """The bytes have ended: what is left to say; `Failed` unless `Ended` was said before."""
        ...


class Vendor(Protocol):
    """The provider's side of a translated call. A module is one."""

    NAME: str
    """As callers and the reference page read it, e.g. `Anthropic`."""
    RULES: Rules
    """What becomes of features it may not have."""

    def encode_chat(self, request: ChatRequest, model: str, notes: Notes) -> bytes:
        """The body for `model` (the provider's name for it). Raises UntranslatableError, by RULES."""
        ...

    def decode_answer(self, body: bytes) -> ChatAnswer:
        """A whole answer. Raises ProtocolError when it is none."""
        ...

    def open_decoder(self) -> Decoder:
        """A reader for a streamed answer."""
        ...


def estimate_tokens(size: int) -> int:
    """Tokens for `size` characters or bytes, by `CHARS_PER_TOKEN`."""
    return -(-size // CHARS_PER_TOKEN)
