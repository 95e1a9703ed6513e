"""Where the texts of a request, an answer or a streamed event are: what guards need of every dialect.

A dialect's slots say of each text whose words it is and where it stands in the decoded JSON, so that it can be
replaced there while everything else keeps its value. Of a stream they also say which texts go on in a later event
(the same `channel`), which texts are over, and how an event is made for what was held back. Numbers are decoded so
that they are written again as they were read.

*Source:* the operations that the formats under `wire.llm` have in common; each module of slots names its reference.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from heddle.model.snapshot_guards import Scope
from heddle.wire import sse
from heddle.wire.errors import ProtocolError

Form = Literal["text", "json_text", "json"]
"""`text`: a string. `json_text`: a string that holds JSON, or in a stream a piece of it. `json`: a JSON value."""
Channel = tuple[object, ...]


_DONE = b"[DONE]"
_OPAQUE = frozenset(
    (
        *("id", "type", "role", "model", "format", "$schema", "$ref", "cache_control"),
        *("url", "uri", "uris", "image_url", "file_url", "fileUri", "file_uri", "file_id", "server_url", "s3Location"),
        *("data", "bytes", "b64_json", "file_data", "input_audio", "mimeType", "mime_type", "media_type"),
        *("signature", "thought_signature", "thoughtSignature", "redactedContent"),
        *("encrypted_content", "encrypted_index", "encrypted_stdout"),
        *("authorization", "authorization_token", "headers"),
    )
)
"""Names of fields whose values are no words: bytes, places, proofs, and credentials that are meant for others."""


class Slot(NamedTuple):
    """One text, at `holder[key]`."""

    scope: Scope
    holder: Any
    """The object or list that holds it."""
    key: Any
    form: Form = "text"
    channel: Channel = ()
    """Texts with the same channel in one stream are pieces of one text; empty is a text of its own."""
    repeat: bool = False
    """It says whole what was streamed in pieces before: treated alike, not counted again."""
    spoils: tuple[tuple[Any, Any], ...] = ()
    """Places that also tell the text (log-probabilities): null once it was changed."""
    aside: bool = False
    """Reasoning or a refusal: said beside the answer."""
    unshown: bool = False
    """A setting or a definition: searched, but not shown to who judges texts."""


class Beside(NamedTuple):
    """Log-probabilities at `holder[key]`: null once a text whose channel `prefix` begins came out otherwise."""

    holder: Any
    key: Any
    prefix: Channel


class Close(NamedTuple):
    """The text of a channel is over; what is held back of it has to go out before what follows."""

    channel: Channel


class CloseAll(NamedTuple):
    """Every text that `prefix` begins is over."""

    prefix: Channel = ()


Step = Slot | Close | CloseAll | Beside


class StreamSlots(Protocol):
    """The texts of one streamed answer."""

    def read(self, event: Any) -> Sequence[Step]:
        """The texts of one event and those it ends, in order. It may change `event`; see `moved`."""
        ...

    repeats: bool
    """Whether texts are said whole after their pieces."""

    @property
    def moved(self) -> bool:
        """The event read last is not as it was, whatever becomes of its texts."""
        ...

    def make(self, channel: Channel, text: str) -> dict[str, Any]:
        """An event that carries more of `channel`, to stand before the event read last."""
        ...


class Frames(Protocol):
    """How events stand in a byte stream."""

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Whole frames, ends included. Raises ProtocolError."""
        ...

    def read(self, frame: bytes) -> Any:
        """The JSON value of a frame; None when it has none. Raises ProtocolError for one that cannot be read."""
        ...

    def write(self, event: Any, frame: bytes) -> bytes:
        """A frame for `event`; all that is not the value as in `frame`, which is b"" for an event that was made."""
        ...

    def ends(self, frame: bytes) -> bool:
        """Whether a frame without a value ends the answer."""
        ...


class Slots(Protocol):
    """The texts of a dialect. A module is one."""

    def request_slots(self, body: Any) -> Iterable[Slot]:
        """Those of a request that `decode_request` has accepted."""
        ...

    def answer_slots(self, body: Any) -> Iterable[Slot]:
        """Those of a whole answer."""
        ...

    def open_slots(self) -> StreamSlots:
        """Those of a streamed answer."""
        ...

    def open_frames(self) -> Frames:
        """The frames of a streamed answer."""
        ...


def _verbatim(text: str) -> Any:
    return msgspec.Raw(text.encode())


_decode = msgspec.json.Decoder(float_hook=_verbatim).decode
_encode = msgspec.json.encode


def decode(data: bytes) -> Any:
    """A JSON value whose fractions are kept as they are written. Raises msgspec.DecodeError and what it wraps."""
    return _decode(data)


def encode(value: Any) -> bytes:
    """The JSON text of a value."""
    return _encode(value)


class SseFrames:
    """Server-sent events. `named`: each has the `type` of its value as its name."""

    __slots__ = ("_named", "_splitter")

    def __init__(self, named: bool = False) -> None:
        self._splitter = sse.Splitter()
        self._named = named

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Whole events. Raises ProtocolError."""
        return self._splitter.feed(data)

    def read(self, frame: bytes) -> Any:
        """The value of an event; None when it has none. Raises ProtocolError for one that cannot be read."""
        text = sse.payload(frame).strip()
        if not text or text == _DONE:
            return None
        try:
            return _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise unreadable() from exc

    def write(self, event: Any, frame: bytes) -> bytes:
        """An event with this value."""
        data = sse.encode(_encode(event))
        if not frame:
            return b"event: %b\n%b" % (str(event["type"]).encode(), data) if self._named else data
        if frame[:6] == b"data: ":
            return data
        told = sse.decode(frame)
        head = b"event: %b\n" % told.event if told.event else b""
        return head + (b"id: %b\n" % told.id if told.id else b"") + data

    def ends(self, frame: bytes) -> bool:
        """`[DONE]`."""
        return sse.payload(frame).strip() == _DONE


def unreadable() -> ProtocolError:
    """What no guard can look into must not pass."""
    return ProtocolError("The provider sent an event that guards cannot read.", malformed=True)


def items(value: Any) -> list[Any]:
    """`value` if it is a list; otherwise none."""
    return value if isinstance(value, list) else []


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list; none of anything else."""
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def text_slots(scope: Scope, holder: Any, key: Any, field: str = "text") -> Iterator[Slot]:
    """The texts at `holder[key]`: a string, or a list of strings and of parts whose `field` is one."""
    value = holder.get(key)
    if isinstance(value, str):
        yield Slot(scope, holder, key)
    for index, part in enumerate(items(value)):
        if isinstance(part, str):
            yield Slot(scope, value, index)
        elif isinstance(part, dict) and isinstance(part.get(field), str):
            yield Slot(scope, part, field)


def field_slots(scope: Scope, holder: dict[str, Any], keys: Iterable[str], form: Form = "text") -> Iterator[Slot]:
    """The strings among the fields of an object."""
    return (Slot(scope, holder, key, form) for key in keys if isinstance(holder.get(key), str))


def leaf_slots(scope: Scope, holder: Any, key: Any) -> Iterator[Slot]:
    """Every string in the value at `holder[key]`, bytes, places and proofs left out."""
    found = [(holder, key)]
    while found:
        within, at = found.pop()
        value = within[at]
        if isinstance(value, str):
            yield Slot(scope, within, at, unshown=True)
        elif isinstance(value, dict):
            found += [(value, name) for name in reversed(value) if name not in _OPAQUE]
        elif isinstance(value, list):
            found += [(value, index) for index in reversed(range(len(value)))]


def rest_slots(scope: Scope, holder: dict[str, Any], known: frozenset[str]) -> Iterator[Slot]:
    """What an object has besides the fields that are `known`: nothing passes unread because it is new."""
    for key in holder:
        if key not in known and key not in _OPAQUE:
            yield from leaf_slots(scope, holder, key)


def place(value: Any) -> int | str:
    """An index or an id as part of a channel; whatever else stands there is no place."""
    return value if isinstance(value, (int, str)) else -1
