"""Server-sent events: where one event ends, and what it says.

Owns framing. `Splitter` cuts a byte stream into whole events without changing a byte, which is what a gateway
forwards; `decode` reads one of them. The bytes may be cut anywhere and give the same events. Refuses events
larger than a bound, so that an endless line cannot grow memory.

*Source:* WHATWG HTML, "Server-sent events", section 9.2.5 (parsing) and 9.2.6 (interpreting).
"""

import re
from typing import Final, NamedTuple

from heddle.wire.errors import ProtocolError

MAX_EVENT_BYTES: Final = 1024 * 1024

# "end-of-line = ( cr lf / cr / lf )": atomic, or backtracking would read CR LF as two ends of line.
_BLANK_LINE: Final = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")
_END_OF_LINE: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"
_MAY_BE_BOM: Final = (b"", _BOM[:1])
_CR: Final = 0x0D


class Event(NamedTuple):
    """One dispatched event. `data` is joined with LF; `event` and `id` are as sent, empty when absent."""

    data: bytes
    event: bytes = b""
    id: bytes = b""


class Splitter:
    """Cuts what arrives into whole events, ends included; together they are the input without its byte-order mark."""

    __slots__ = ("_after_cr", "_begun", "_max_bytes", "kept", "plain")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.kept = bytearray()
        """Bytes of an event that has not ended yet."""
        self._begun = False
        self._after_cr = False
        self.plain = False
        """Only LF has been seen: with nothing kept, what comes next begins an event."""
        self._max_bytes = max_event_bytes

    @property
    def rest(self) -> bytes:
        """Bytes of an event that has not ended: dropped at the end of a stream ("discard the incomplete event")."""
        return bytes(self.kept)

    def feed(self, data: bytes) -> list[bytes]:
        """The events completed by `data`. Comments and blank lines come out too, with the event they precede.

        Raises ProtocolError when an event exceeds the bound.
        """
        if not self._begun and not self.kept and data[:1] not in _MAY_BE_BOM:
            self._begun = self.plain = True
        if not self.plain or b"\r" in data or len(self.kept) > len(data):
            return self._feed(data)
        # Only LF about, and little kept from before: a blank line is LF LF, and splitting is all there is to do.
        rest = self.kept
        if rest:
            data = bytes(rest) + data
            rest.clear()
        if data.find(b"\n") == len(data) - 2 < self._max_bytes and data[-1:] == b"\n":
            return [data]
        events = data.split(b"\n\n")
        rest += events.pop()
        if len(data) > self._max_bytes:
            self._check(max(map(len, events), default=0))
            self._check(len(rest))
        return [event + b"\n\n" for event in events]

    def _feed(self, data: bytes) -> list[bytes]:
        """The same for any input."""
        events = []
        if self._after_cr and data:
            self._after_cr = False
            if data[:1] == b"\n":
                # The LF of the CR LF whose CR already ended the last event; passed on, so that no byte is lost.
                events.append(b"\n")
                data = data[1:]
        rest = self.kept
        # What is known holds no blank line, but its last bytes may begin one (CR LF CR LF spans four).
        scan = max(0, len(rest) - 3)
        rest += data
        if not self._begun:
            if len(rest) < len(_BOM) and _BOM.startswith(rest):
                return events
            self._begun = True
            if rest.startswith(_BOM):
                del rest[: len(_BOM)]
            scan = 0
        start = self._cut(rest, scan, events)
        if start:
            self._after_cr = start == len(rest) and rest[-1] == _CR
            del rest[:start]
        self.plain = not self._after_cr and _CR not in rest
        self._check(len(rest))
        return events

    def _cut(self, rest: bytearray, scan: int, events: list[bytes]) -> int:
        """Append the whole events of `rest` to `events`; where the last of them ends."""
        start = 0
        found = _BLANK_LINE.search(rest, scan)
        while found is not None:
            end = found.end()
            self._check(end - start)
            events.append(bytes(rest[start:end]))
            start = end
            found = _BLANK_LINE.search(rest, start)
        return start

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise ProtocolError(f"An event of the stream is larger than {self._max_bytes} bytes.")


def payload(event: bytes) -> bytes:
    """The data of one whole event, b"" when it has none (comments, keep-alives). Fast for a single `data:` line."""
    if event.find(b"\n") == len(event) - 2 and event[:6] == b"data: " and b"\r" not in event:
        return event[6:-2]
    return decode(event).data


def decode(event: bytes) -> Event:
    """One whole event, as cut by Splitter, by the rules of section 9.2.6. Comments and unknown fields are ignored."""
    lines: list[bytes] = []
    name = ident = b""
    for line in _END_OF_LINE.split(event):
        field, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value
        elif field == b"id" and b"\0" not in value:
            ident = value
    return Event(b"\n".join(lines), name, ident)


def encode(data: bytes) -> bytes:
    """An unnamed event. `data` must not contain line ends (JSON does not)."""
    return b"data: %b\n\n" % data
