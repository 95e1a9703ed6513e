"""Messages as bytes on a stream between two processes of a machine.

Owns the form: length of the rest (4 bytes, big endian), length of the topic (1), topic in UTF-8, payload. The first
frame of a connection has no topic and says who speaks. A stream that is anything else is refused at its first wrong
byte, before anything is kept of it.
"""

import struct

from heddle.drivers.bus import MAX_PAYLOAD_BYTES, MAX_TOPIC_BYTES

_HEAD = struct.Struct("!IB")
_MAX_REST = 1 + MAX_TOPIC_BYTES + MAX_PAYLOAD_BYTES
_GREETING = b"heddle bus 1 "
_MAX_GREETING = 1 + len(_GREETING) + 64


def encode(topic: str, payload: bytes) -> bytes:
    """The frame of a message."""
    name = topic.encode()
    return b"%b%b%b" % (_HEAD.pack(1 + len(name) + len(payload), len(name)), name, payload)


def greeting(address: str) -> bytes:
    """The first frame of a connection."""
    return encode("", _GREETING + address.encode())


class Frames:
    """Takes one stream apart."""

    __slots__ = ("_buffer", "address")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.address = ""
        """Who speaks; empty before the greeting."""

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """The messages that are whole now. Raises ValueError when this is no stream of ours."""
        buffer = self._buffer
        buffer += data
        messages: list[tuple[str, bytes]] = []
        at = 0
        while len(buffer) - at >= _HEAD.size:
            rest, named = _HEAD.unpack_from(buffer, at)
            self._check(rest, named)
            end = at + 4 + rest
            if len(buffer) < end:
                break
            body = at + _HEAD.size
            with memoryview(buffer) as view:
                topic, payload = bytes(view[body : body + named]), bytes(view[body + named : end])
            if named:
                messages.append((topic.decode(), payload))
            else:
                self._greeted(payload)
            at = end
        del buffer[:at]
        return messages

    def _check(self, rest: int, named: int) -> None:
        if rest > (_MAX_REST if self.address else _MAX_GREETING) or rest < 1 + named:
            raise ValueError("a frame of impossible length")
        if bool(named) != bool(self.address):
            raise ValueError("a greeting is missing, or said twice")

    def _greeted(self, payload: bytes) -> None:
        if not payload.startswith(_GREETING) or len(payload) == len(_GREETING):
            raise ValueError("another kind of greeting")
        self.address = payload[len(_GREETING) :].decode("ascii")
