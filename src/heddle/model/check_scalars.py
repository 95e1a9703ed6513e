"""Checks of single values: text and its forms, numbers, flags, words of a closed set.

Owns the words for what was expected and what was found, and the care that a secret typed in
the wrong place is not repeated.
"""

import re
from typing import Any

from msgspec import inspect

from heddle.model.formats import complaint
from heddle.model.problem import Place, did_you_mean, quote
from heddle.model.reading import Note, Reading


class Node:
    """Checks values of one type."""

    expected = "a value"
    private = True
    """Values of this type, or typed here by mistake, may be secrets: messages tell their kind only."""

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        """The typed value, or BROKEN after reporting why."""
        raise NotImplementedError

    def accepts(self, value: Any) -> bool:
        """Whether the value is of the right kind at all: how a union chooses among its members."""
        raise NotImplementedError

    def wrong_kind(self, value: Any, path: str, reading: Reading) -> Any:
        """Refuse a value of another kind."""
        if value is None:
            return reading.refuse(path, f"is empty, expected {self.expected}", "remove the line, or give it a value")
        got = _kind(value) if self.private else _describe(value)
        return reading.refuse(path, f"expected {self.expected}, got {got}", _kind_hint(value, self))


_URL_FORMS = frozenset({"url", "endpoint", "origin"})
_QUERY = re.compile("[?#]")


class Text(Node):
    """A string: lengths, pattern, declared form."""

    expected = "text"

    def __init__(self, info: inspect.StrType, extra: dict[str, Any]) -> None:
        self._min = info.min_length or 0
        self._max = info.max_length
        self._pattern = re.compile(info.pattern) if info.pattern else None
        self.form: str = extra.get("form", "")
        self.private = bool(extra.get("secret") or extra.get("private"))
        plain = extra.get("plain")
        self._mark = "secret" if extra.get("secret") and not plain else "file" if self.form == "file" else ""

    def accepts(self, value: Any) -> bool:
        """Whether it is text."""
        return isinstance(value, str)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        """The text itself; noted when it is a secret or names a file."""
        if not isinstance(value, str):
            return self.wrong_kind(value, path, reading)
        wrong = complaint(self.form, value) if self.form else self._measure(value)
        if wrong:
            # What stands before an @ in a URL may be a password, and what stands after its ? a key.
            visible = _without_query(value) if self.form in _URL_FORMS else value
            shown = "" if self.private or "@" in value else f", got {quote(visible)}"
            hint = "environment references are read in secrets only" if "${" in value and not self.private else ""
            return reading.refuse(path, f"{wrong}{shown}", hint)
        if self._mark and value:
            reading.notes.append(Note(self._mark, Place(reading.source, path), value))
        return value

    def _measure(self, value: str) -> str:
        if len(value) < self._min:
            return f"expected at least {self._min} characters"
        if self._max is not None and len(value) > self._max:
            return f"expected at most {self._max} characters"
        if self._pattern is not None and not self._pattern.search(value):
            return f"expected text like {self._pattern.pattern}"
        return ""


class Number(Node):
    """An integer or a float, with bounds."""

    private = False

    def __init__(self, info: inspect.IntType | inspect.FloatType) -> None:
        self._kinds = (int,) if isinstance(info, inspect.IntType) else (int, float)
        self._ge, self._le = info.ge, info.le
        self.expected = "a whole number" if isinstance(info, inspect.IntType) else "a number"

    def accepts(self, value: Any) -> bool:
        """Whether it is a number of this kind; `true` is none."""
        return isinstance(value, self._kinds) and not isinstance(value, bool)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        """The number, as a float where floats are meant."""
        if not self.accepts(value):
            return self.wrong_kind(value, path, reading)
        if self._ge is not None and value < self._ge:
            return reading.refuse(path, f"expected at least {self._ge}, got {quote(value)}")
        if self._le is not None and value > self._le:
            return reading.refuse(path, f"expected at most {self._le}, got {quote(value)}")
        return value if self._kinds == (int,) else float(value)


class Flag(Node):
    """true or false."""

    expected = "true or false"
    private = False

    def accepts(self, value: Any) -> bool:
        """Whether it is true or false."""
        return isinstance(value, bool)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        """The value itself."""
        return value if isinstance(value, bool) else self.wrong_kind(value, path, reading)


class Choice(Node):
    """One of a closed set of words."""

    private = False

    def __init__(self, info: inspect.LiteralType) -> None:
        self._values = tuple(str(value) for value in info.values)
        self.expected = either(self._values)

    def accepts(self, value: Any) -> bool:
        """Whether it is a word at all; which one, `check` looks at."""
        return isinstance(value, str)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        """The word itself."""
        if not isinstance(value, str):
            return self.wrong_kind(value, path, reading)
        if value not in self._values:
            return reading.refuse(path, f"expected {self.expected}, got {quote(value)}", near(value, self._values))
        return value


class Anything(Node):
    """Any plain data."""

    def accepts(self, value: Any) -> bool:
        """Always."""
        del value
        return True

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        """The value itself."""
        del path, reading
        return value


def _without_query(value: str) -> str:
    """What is meant to be a URL, as far as it can be shown."""
    shown = _QUERY.split(value, maxsplit=1)[0]
    return value if shown == value else f"{shown}?..."


def _describe(value: Any) -> str:
    return _kind(value) if isinstance(value, dict | list) else quote(value)


def _kind(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "something else")


def _kind_hint(value: Any, node: Node) -> str:
    if isinstance(node, Text) and isinstance(value, int | float):
        timed = node.form in ("duration", "period") and not isinstance(value, bool)
        return f"give it a unit, such as {value}s" if timed else "quote it"
    return "put it in [brackets]" if node.expected == "a list" and not isinstance(value, dict) else ""


def near(word: str, known: tuple[str, ...]) -> str:
    """A hint naming the known word that is nearest, whatever its case."""
    return did_you_mean(word, known) or did_you_mean(word.lower(), tuple(known), 0.6)


def either(values: tuple[str, ...]) -> str:
    """Words of which one was expected."""
    quoted = [f"`{value}`" for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
