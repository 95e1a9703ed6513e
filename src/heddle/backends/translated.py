"""A call whose caller and provider speak different formats, turned from one into the other and back.

Owns the two directions of one attempt. Nothing is lost in silence: what the provider cannot take is refused or noted
by its rules, and noted is said in `x-heddle-translation`. Usage is the provider's; where it never says, it is estimated
and marked so.
"""

import msgspec

from heddle.backends.replay import Keeper
from heddle.model.call import ModelCall, Usage
from heddle.model.provider import Fields
from heddle.wire.canonical.answer import Began, ChatAnswer, Ended, Event, Failed, PartDelta, Used
from heddle.wire.canonical.request import ChatRequest, Refusal, Text, Thinking, ToolCall
from heddle.wire.canonical.rules import Notes
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codec import Decoder, Dialect, Encoder, Vendor, estimate_tokens

NOTES_FIELD = b"x-heddle-translation"


class Translation:
    """One attempt at one provider."""

    __slots__ = ("_dialect", "_keeper", "_notes", "_vendor")

    def __init__(self, dialect: Dialect, vendor: Vendor, keeper: Keeper | None = None) -> None:
        """`keeper` takes what the caller's dialect has no place for."""
        self._dialect = dialect
        self._keeper = keeper
        self._vendor = vendor
        self._notes = Notes()

    def request(self, request: ChatRequest, model: str) -> bytes:
        """The provider's body. Raises UntranslatableError."""
        return self._vendor.encode_chat(request, model, self._notes)

    def note(self, dropped: tuple[str, ...]) -> None:
        """What the provider's server left out besides."""
        if dropped:
            self._notes.dropped += [name for name in dropped if name not in self._notes.dropped]

    def fields(self) -> Fields:
        """What the caller is told of the translation."""
        return note_fields(self._notes)

    def answer(self, body: bytes, call: ModelCall, created_s: int) -> tuple[bytes, Usage]:
        """The caller's body, and what was used. Raises ProtocolError when the provider's is no answer."""
        answer = self._vendor.decode_answer(body)
        if self._keeper is not None:
            self._keeper.take_whole(answer)
        usage = answer.usage or Usage(
            input_tokens=estimate_tokens(len(call.body)), output_tokens=estimate_tokens(_size(answer)), estimated=True
        )
        if answer.usage is None:
            answer = msgspec.structs.replace(answer, usage=usage)
        return self._dialect.encode_answer(answer, call, created_s), usage

    def stream(self, call: ModelCall, created_s: int) -> "TranslatedStream":
        """A reader for the provider's stream that yields the caller's."""
        return TranslatedStream(self._vendor.open_decoder(), self._dialect.open_encoder(call, created_s), self._keeper)


class TranslatedStream:
    """Reads a provider's stream, writes the caller's; see `codec.Stream` for the contract."""

    __slots__ = ("_decoder", "_encoder", "_keeper", "_tail", "_usage", "done", "events", "failure", "text_chars")

    def __init__(self, decoder: Decoder, encoder: Encoder, keeper: Keeper | None = None) -> None:
        self._decoder = decoder
        self._keeper = keeper
        self._encoder = encoder
        self._usage: Usage | None = None
        self._tail = b""
        self.done = False
        self.events = 0
        self.failure: ProtocolError | None = None
        self.text_chars = 0

    def feed(self, data: bytes) -> bytes:
        """What the caller may now have. Stops at the first event that breaks the stream; see `failure`."""
        if self.done or self.failure is not None:
            return b""
        return b"".join([self._take(event) for event in self._decoder.feed(data)])

    def finish(self) -> None:
        """No more bytes will come: sets `failure` when the stream was not complete.

        A format without a terminator says its last words only now; they are in `tail`.
        """
        if self.done or self.failure is not None:
            return
        self._tail = b"".join([self._take(event) for event in self._decoder.finish()])
        if self.failure is None and not self.done:
            self.failure = ProtocolError("The provider ended the stream before the answer was complete.")

    def tail(self) -> bytes:
        """What `finish` left to be sent; once."""
        tail, self._tail = self._tail, b""
        return tail

    def usage(self, input_bytes: int) -> Usage:
        """The provider's counts; of a stream that broke, an estimate from what was seen."""
        if self._usage is not None and self.done:
            return self._usage
        seen = estimate_tokens(self.text_chars)
        if self._usage is None:
            return Usage(input_tokens=estimate_tokens(input_bytes), output_tokens=seen, estimated=True)
        return msgspec.structs.replace(self._usage, output_tokens=max(seen, self._usage.output_tokens), estimated=True)

    def _take(self, event: Event) -> bytes:
        if self.done or self.failure is not None:
            return b""
        if self._keeper is not None:
            self._keeper.take(event)
        if isinstance(event, PartDelta):
            self.events += 1
            self.text_chars += len(event.text)
        elif isinstance(event, Failed):
            self.failure = ProtocolError(event.detail)
            return b""
        elif isinstance(event, Used):
            self._usage = event.usage
        elif isinstance(event, Began):
            self._usage = event.usage or self._usage
        elif isinstance(event, Ended):
            self.done = True
        return self._encoder.encode(event)


def note_fields(notes: Notes) -> Fields:
    """`x-heddle-translation`, if there is anything to say."""
    said = notes.header()
    return [(NOTES_FIELD, said)] if said else []


def _size(answer: ChatAnswer) -> int:
    """Characters that were generated."""
    size = 0
    for choice in answer.choices:
        for part in choice.parts:
            if isinstance(part, (Text, Thinking, Refusal)):
                size += len(part.text)
            elif isinstance(part, ToolCall):
                size += len(part.name) + len(part.arguments)
    return size
