"""An object as the store holds it, and a change of one.

Owns the one place where `resourceVersion` enters an object, and the encodings that all who read it share. Nothing here
is changed once it is made; nobody may change what it hands out.
"""

from typing import Any, Literal

import msgspec

from heddle.drivers.documents import Key

EventKind = Literal["ADDED", "MODIFIED", "DELETED"]

_envelope = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_encode_into = msgspec.json.Encoder().encode_into
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Stored:
    """A version of an object."""

    __slots__ = ("_object", "encoded", "key", "version")

    def __init__(self, key: Key, version: int, body: bytes) -> None:
        """`body` is JSON of the object. Raises ValueError for what is no object with metadata."""
        self.key = key
        self.version = version
        self.encoded = _versioned(body, version)
        """JSON with `metadata.resourceVersion`."""
        self._object: dict[str, Any] | None = None

    def __repr__(self) -> str:
        # Never the object: it may be a Secret.
        return f"Stored({'/'.join(part for part in self.key if part)}@{self.version})"

    @property
    def object(self) -> dict[str, Any]:
        """The object, with `metadata.resourceVersion`; decoded when it is first looked at."""
        if self._object is None:
            self._object = _decode(self.encoded)
        return self._object


class Event:
    """A change of an object, one for all who watch it."""

    __slots__ = ("_line", "kind", "previous", "stored")

    def __init__(self, kind: EventKind, stored: Stored, previous: Stored | None) -> None:
        self.kind = kind
        self.stored = stored
        """The object after it; of a deleted one, as it was last, with the version of its deletion."""
        self.previous = previous
        """The object before it; None when there was none."""
        self._line = b""

    def __repr__(self) -> str:
        return f"Event({self.kind} {self.stored!r})"

    @property
    def line(self) -> bytes:
        """A line of a watch as it stands: `{"type":...,"object":...}` and a line feed; made when first asked for."""
        if not self._line:
            self._line = b'{"type":"%b","object":%b}\n' % (self.kind.encode(), self.stored.encoded)
        return self._line


def _versioned(body: bytes, version: int) -> bytes:
    """The object with its version: nothing but the top of it is looked into."""
    try:
        top = _envelope(body)
        metadata = _envelope(top["metadata"])
    except (KeyError, msgspec.MsgspecError):
        # Not chained: the original quotes what it read.
        raise ValueError("this is no object with metadata") from None
    metadata["resourceVersion"] = msgspec.Raw(b'"%d"' % version)
    top["metadata"] = msgspec.Raw(_encode(metadata))
    # What `encode` returns keeps half as much again behind it, for as long as the object lives.
    whole = bytearray()
    _encode_into(top, whole)
    return bytes(whole)
