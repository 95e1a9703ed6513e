"""JSON text that arrives in pieces, with what its strings say replaced on the way.

Owns finding the strings: each is handed on decoded, and comes back escaped, so that what was valid JSON stays so. A
number is handed on as it is written; one that comes back changed becomes a string. Keys are strings too. From where a
text stops to be JSON it is handed on as one text, so that nothing is hidden by what only looks like JSON. A piece may
end anywhere, inside of an escape included.

*Source:* RFC 8259 sections 2, 3, 6 and 7.
"""

import json
import re
from collections.abc import Callable, Generator
from typing import Any, Protocol

_SPECIAL = re.compile(r'["\\]')
_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN_END = re.compile(r"[^A-Za-z0-9.+\- \t\r\n]")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LITERALS = ("true", "false", "null")
_VALUE = "v"
"""What stands last: a value that is complete."""
MAX_TOKEN = 512
"""Characters of a number; what is longer is read as text."""
TURN_CHARS = 512
"""Characters of JSON that are read in one turn."""
MAX_COMPARED_CHARS = 16 * 1024
"""Longer texts that are read in turns come out with their escapes as JSON needs them, not as they were."""
MAX_OPENED = 512
"""Characters of brackets and white space around nothing; what is longer is read as text."""
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

    def turns(self, text: str) -> Generator[None, None, str]:
        """As `whole`, a few milliseconds at a time."""
        ...


def quoted(text: str) -> str:
    """`text` as the inside of a JSON string."""
    inside = json.dumps(text, ensure_ascii=False)[1:-1]
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", inside)


class _Same:
    """Changes nothing."""

    def feed(self, text: str) -> str:
        return text

    def finish(self) -> str:
        return ""

    def whole(self, text: str) -> str:
        return text

    def turns(self, text: str) -> Generator[None, None, str]:
        yield
        return text


class JsonText:
    """One JSON text."""

    __slots__ = ("_depth", "_high", "_last", "_loose", "_open", "_opened", "_pending", "_plain", "_string", "_token")

    def __init__(self, open_string: Callable[[], StringText], loose: bool = False) -> None:
        """`loose`: the text may as well be prose; only an object or a list makes it JSON."""
        self._open = open_string
        self._loose = loose
        self._string: StringText | None = None
        self._plain: StringText | None = None
        """Takes everything from where the text is no JSON."""
        self._token = ""
        """A number or a literal, and the white space after it."""
        self._opened = ""
        """Brackets whose inside has not begun; they may be no JSON's."""
        self._last = ""
        """What stands last outside of strings: a structural character, _VALUE, or nothing yet."""
        self._depth = 0
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
            if self._plain is not None:
                out.append(self._plain.feed(data[at:]))
                break
            if self._string is not None:
                at = self._inside(self._string, data, at, out)
            elif self._token:
                at = self._through(data, at, out)
            else:
                at = self._outside(data, at, out)
        return "".join(out)

    def whole(self, text: str) -> str:
        """A text that is all there; as it was, to the escape, when nothing in it changes."""
        if self._is_prose(text):
            return self._open().whole(text)
        return self._as_it_was(text, self.feed(text) + self.finish())

    def turns(self, text: str) -> Generator[None, None, str]:
        """As `whole`, a few milliseconds at a time."""
        if self._is_prose(text):
            return (yield from self._open().turns(text))
        parts = []
        for at in range(0, len(text), TURN_CHARS):
            parts.append(self.feed(text[at : at + TURN_CHARS]))
            yield
        treated = "".join([*parts, self.finish()])
        return self._as_it_was(text, treated) if len(text) <= MAX_COMPARED_CHARS else treated

    def _is_prose(self, text: str) -> bool:
        return self._loose and text.lstrip(" \t\r\n")[:1] not in ("{", "[")

    def _as_it_was(self, text: str, treated: str) -> str:
        if treated == text:
            return text
        same = JsonText(_Same, self._loose)
        return text if treated == same.feed(text) + same.finish() else treated

    def finish(self) -> str:
        """The rest. A string that was not closed stays so."""
        out: list[str] = []
        if self._token and self._is_token():
            self._end_token(out)
        elif self._token or self._opened:
            self._give_up("", out)
        if self._plain is not None:
            out.append(self._plain.finish())
        if self._string is not None:
            out.append(quoted(self._string.feed(self._high + self._pending) + self._string.finish()))
        self._string, self._plain, self._pending, self._high = None, None, "", ""
        return "".join(out)

    def _outside(self, data: str, at: int, out: list[str]) -> int:
        end = _SPACE.match(data, at).end()  # type: ignore[union-attr]
        if end > at:
            if self._opened:
                self._opened += data[at:end]
            else:
                out.append(data[at:end])
            return end
        char = data[at]
        if not self._fits(char) or len(self._opened) > MAX_OPENED:
            return self._give_up(data[at:], out, len(data))
        if char in "{[":
            self._opened += char
            self._depth += 1
            self._last = char
            return at + 1
        if char in "}],:":
            self._depth -= char in "}]"
            self._last = _VALUE if char in "}]" else char
            out.append(self._take_opened() + char)
            return at + 1
        if char == '"':
            out.append(self._take_opened() + char)
            self._string, self._last = self._open(), _VALUE
            return at + 1
        self._token = char
        return at + 1

    def _fits(self, char: str) -> bool:
        """Whether JSON can go on with this character."""
        if char in "}]":
            return self._depth > 0
        if char in ",:":
            return self._depth > 0 and self._last == _VALUE
        if self._last == _VALUE:
            return False
        if char in "{[":
            return True
        return (char in '"-0123456789tfn') and not (self._loose and not self._depth)

    def _take_opened(self) -> str:
        opened, self._opened = self._opened, ""
        return opened

    def _give_up(self, rest: str, out: list[str], end: int = 0) -> int:
        """From here on it is text."""
        self._plain = self._open()
        out.append(self._plain.feed(self._take_opened() + self._token + rest))
        self._token = ""
        return end

    def _through(self, data: str, at: int, out: list[str]) -> int:
        """More of a number or a literal."""
        found = _TOKEN_END.search(data, at)
        end = len(data) if found is None else found.start()
        self._token += data[at:end]
        if len(self._token) > MAX_TOKEN or (found is not None and not (found[0] in ",]}" and self._is_token())):
            return self._give_up(data[end:], out, len(data))
        if found is not None:
            self._end_token(out)
        return end

    def _is_token(self) -> bool:
        token = self._token.rstrip(" \t\r\n")
        return token in _LITERALS or _NUMBER.fullmatch(token) is not None

    def _end_token(self, out: list[str]) -> None:
        token = self._token.rstrip(" \t\r\n")
        treated = token if token in _LITERALS else self._open().whole(token)
        out += (self._take_opened(), token if treated == token else f'"{quoted(treated)}"', self._token[len(token) :])
        self._token, self._last = "", _VALUE

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
            treated = string.feed(char)
            # As it was written, when it comes out as it went in.
            out.append(data[at : at + size] if treated == char == self._decoded(data[at + 1 : at + size]) else
                       quoted(treated))  # fmt: skip
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
