"""What every dialect offers to the gateway, so that dialect, provider and backend stay three independent things.

*Source:* the operations that the dialects under `wire.llm` have in common; each names its own reference.
"""

from typing import Protocol

from heddle.model.call import ModelCall, Usage
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
    """One dialect. A module is one."""

    def decode_request(self, body: bytes) -> ModelCall:
        """Check a request and read what policies need. Raises ProtocolError."""
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

    def encode_error_event(self, status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
        """An error inside a stream that has begun."""
        ...


def estimate_tokens(size: int) -> int:
    """Tokens for `size` characters or bytes, by `CHARS_PER_TOKEN`."""
    return -(-size // CHARS_PER_TOKEN)
