"""JSON text that arrives in pieces, with what its strings say replaced on the way.

Owns finding the strings: each is handed on decoded, and comes back escaped, so that what was valid JSON stays so. A
number is handed on as it is written; one that comes back changed becomes a string. Keys are strings too. What is no
valid JSON passes through, as far as strings can be told in it. A piece may end anywhere, inside of an escape included.

*Source:* RFC 8259 sections 6 and 7.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Protocol

_SPECIAL = re.compile(r'["\\]')
_OUTSIDE = re.compile(r'["0-9-]')
_NUMBER_END = re.compile(r"[^0-9eE.+-]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class StringText(Protocol):
    """What a string goes through."""

    def feed(self, text: str) -> str:
        """What may go on now."""
        ...

    def finish(self) -> str:
        """The rest."""
        ...

    def whole(self, text: str) -> str:
        """What becomes of a text that is all there."""
        ...


def quoted(text: str) -> str:
    """`text` as the inside of a JSON string."""
    inside = json.dumps(text, ensure_ascii=False)[1:-1]
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", inside)


class JsonText:
    """One JSON text."""

    __slots__ = ("_high", "_number", "_open", "_pending", "_string")

    def __init__(self, open_string: Callable[[], StringText]) -> None:
        self._open = open_string
        self._string: StringText | None = None
        self._number = ""
        self._pending = ""
        """The beginning of an escape."""
        self._high = ""
        """The first half of a surrogate pair."""

    def feed(self, data: str) -> str:
        """What may go on now."""
        data, self._pending = self._pending + data, ""
        out: list[str] = []
        at = 0
        while at < len(data):
            if self._string is not None:
                at = self._inside(self._string, data, at, out)
            elif self._number:
                at = self._digits(data, at, out)
            else:
                at = self._outside(data, at, out)
        return "".join(out)

    def whole(self, text: str) -> str:
        """A text that is all there."""
        return self.feed(text) + self.finish()

    def finish(self) -> str:
        """The rest. A string that was not closed stays so."""
        out: list[str] = []
        if self._number:
            self._end_number(out)
        if self._string is not None:
            out.append(quoted(self._string.feed(self._high + self._pending) + self._string.finish()))
        self._string, self._pending, self._high = None, "", ""
        return "".join(out)

    def _outside(self, data: str, at: int, out: list[str]) -> int:
        found = _OUTSIDE.search(data, at)
        if found is None:
            out.append(data[at:])
            return len(data)
        out.append(data[at : found.start()])
        if found[0] == '"':
            out.append('"')
            self._string = self._open()
            return found.end()
        self._number = found[0]
        return found.end()

    def _digits(self, data: str, at: int, out: list[str]) -> int:
        found = _NUMBER_END.search(data, at)
        end = len(data) if found is None else found.start()
        self._number += data[at:end]
        if found is not None:
            self._end_number(out)
        return end

    def _end_number(self, out: list[str]) -> None:
        number = self._number
        treated = self._open().whole(number)
        out.append(number if treated == number else f'"{quoted(treated)}"')
        self._number = ""

    def _inside(self, string: StringText, data: str, at: int, out: list[str]) -> int:
        found = _SPECIAL.search(data, at)
        end = len(data) if found is None else found.start()
        if end > at:
            out.append(quoted(string.feed(self._low(data[at:end]))))
        if found is None:
            return end
        if found[0] == '"':
            out.append(quoted(string.feed(self._low("")) + string.finish()))
            out.append('"')
            self._string = None
            return end + 1
        return self._escape(string, data, end, out)

    def _low(self, text: str) -> str:
        """`text` after a first half that found no second."""
        text, self._high = self._high + text, ""
        return text

    def _escape(self, string: StringText, data: str, at: int, out: list[str]) -> int:
        size = 6 if data[at + 1 : at + 2] == "u" else 2
        if at + size > len(data):
            self._pending = data[at:]
            return len(data)
        char = self._decoded(data[at + 1 : at + size])
        if "\udc00" <= char <= "\udfff" and self._high:
            char = (self._high + char).encode("utf-16", "surrogatepass").decode("utf-16")
            self._high = ""
        else:
            char = self._low(char)
        if "\ud800" <= char[-1:] <= "\udbff":
            self._high, char = char[-1], char[:-1]
        if char:
            out.append(quoted(string.feed(char)))
        return at + size

    @staticmethod
    def _decoded(escape: str) -> str:
        if escape[0] != "u":
            return _ESCAPES.get(escape, escape)
        try:
            return chr(int(escape[1:], 16))
        except ValueError:
            return f"\\{escape}"


def treat_tree(value: Any, open_string: Callable[[], StringText]) -> Any:
    """A decoded JSON value with every string, key and number treated; the same objects where nothing changes."""
    if isinstance(value, str):
        return open_string().whole(value)
    if isinstance(value, list):
        return [treat_tree(item, open_string) for item in value]
    if isinstance(value, dict):
        return {treat_tree(key, open_string): treat_tree(item, open_string) for key, item in value.items()}
    if value is None or isinstance(value, bool):
        return value
    number = _number_text(value)
    treated = open_string().whole(number)
    return value if treated == number else treated


def _number_text(value: Any) -> str:
    if isinstance(value, (int, float)):
        return json.dumps(value)
    return bytes(value).decode()
