"""YAML text to plain data, with the line of every path.

Built on PyYAML's C event parser, never on its loaders: composing 100,000 `[` crashes the process, nine lines of
merge keys
take half a minute, a repeated key wins silently. Here aliases, anchors, tags, merge keys and repeated keys are
refused,
nesting stops at 64, and scalars are those of YAML 1.2's core schema: `on` is text, `012` is 12, `1:30` is text. Keys
are text always.
*Source:* YAML 1.2.2 sections 3.2.1.3 (unique keys) and 10.3.2 (core schema).
"""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from yaml import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    MarkedYAMLError,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    YAMLError,
)
from yaml.cyaml import CParser  # type: ignore[attr-defined]

from heddle.model.problem import child

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
_WORDS: dict[str, Any] = {"": None, "~": None, **dict.fromkeys(("null", "Null", "NULL"))}
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_NUMBER = re.compile(
    r"(?P<int>[-+]?[0-9]+)|0o(?P<oct>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)|(?P<special>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)
_MAX_DIGITS = 18
"""Whole numbers beyond 64 bits have no use here, and endless ones are an attack on `int`."""


class YamlProblem(NamedTuple):
    """Something refused, and where."""

    line: int
    path: str
    message: str


class YamlDocument(NamedTuple):
    """One document of a stream."""

    value: Any
    lines: dict[str, int]
    """1-based line of each path; the document itself is `""`."""


class _StopError(Exception):
    """Nothing after this can be trusted."""


def read_documents(text: str) -> tuple[list[YamlDocument], list[YamlProblem]]:
    """All documents of a stream, empty ones left out, and all that was refused. Never raises on bad text."""
    builder = _Builder(text)
    try:
        builder.read()
    except MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        builder.refuse(mark.line + 1 if mark else 0, "", f"not YAML: {_reason(text, exc)}")
    except YAMLError as exc:
        builder.refuse(0, "", f"not YAML: {getattr(exc, 'reason', 'unreadable')}")
    except _StopError:
        pass
    return builder.documents, builder.problems


def _reason(text: str, error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        # YAML 1.2.2 section 6.1: tabs must not be used in indentation. The parser only says that it met "a character".
        return "a tab in the indentation; indent with spaces"
    return str(error.problem or error.context)


class _Builder:
    def __init__(self, text: str) -> None:
        self._text = text
        self.documents: list[YamlDocument] = []
        self.problems: list[YamlProblem] = []
        self._lines: dict[str, int] = {}

    def refuse(self, line: int, path: str, message: str) -> None:
        self.problems.append(YamlProblem(line, path, message))

    def read(self) -> None:
        self._next: Callable[[], Any] = CParser(self._text).get_event
        while not isinstance(event := self._next(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                self._lines = {}
                value = self._build(self._next(), "", 1)
                if value is not None:
                    self.documents.append(YamlDocument(value, self._lines))

    def _build(self, event: Any, path: str, depth: int) -> Any:
        """The value that begins with `event`."""
        line = event.start_mark.line + 1
        self._lines.setdefault(path, line)
        if type(event) is ScalarEvent:
            return self._scalar(event, path, line)
        if isinstance(event, AliasEvent):
            self.refuse(line, path, "aliases (`*name`) are not supported; write the value again")
            return None
        if depth > MAX_DEPTH:
            self.refuse(line, path[:100], f"nested deeper than {MAX_DEPTH}")
            raise _StopError
        self._refuse_marks(event, path, line)
        return (
            self._mapping(path, depth) if isinstance(event, MappingStartEvent) else self._sequence(event, path, depth)
        )

    def _refuse_marks(self, event: Any, path: str, line: int) -> None:
        if event.anchor is not None:
            self.refuse(line, path, f"anchors (`&{event.anchor}`) are not supported")
        if event.tag is not None:
            self.refuse(line, path, "explicit tags (`!`) are not supported")

    def _mapping(self, path: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            line = event.start_mark.line + 1
            if type(event) is not ScalarEvent:
                self.refuse(line, path, "a key must be plain text")
                raise _StopError
            key: str = event.value
            below = child(path, key)
            if event.anchor is not None or event.tag is not None:
                self._refuse_marks(event, below, line)
            if key in made:
                self.refuse(line, below, f"is given twice, first on line {self._lines[below]}")
            elif key == "<<":
                self.refuse(line, below, "merge keys (`<<`) are not supported")
            self._lines.setdefault(below, line)
            made[key] = self._build(self._next(), below, depth + 1)
        return made

    def _sequence(self, event: Any, path: str, depth: int) -> list[Any]:
        assert isinstance(event, SequenceStartEvent)
        made: list[Any] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            made.append(self._build(event, f"{path}[{len(made)}]", depth + 1))
        return made

    def _scalar(self, event: ScalarEvent, path: str, line: int) -> Any:
        text: str = event.value
        if event.anchor is not None or event.tag is not None:
            self._refuse_marks(event, path, line)
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        # Most scalars are words; only these can begin a number.
        if text[0] not in "0123456789+-.":
            return text
        number = _NUMBER.fullmatch(text)
        return text if number is None else self._number(number, path, line)

    def _number(self, number: re.Match[str], path: str, line: int) -> Any:
        kind, digits = str(number.lastgroup), number[number.lastgroup or 0]
        if kind in ("float", "special"):
            value = float(digits) if kind == "float" else math.inf
            if math.isfinite(value):
                return value
            self.refuse(line, path, "is not a finite number; quote it if it is text")
            return None
        if len(digits.lstrip("+-0")) > _MAX_DIGITS:
            self.refuse(line, path, "is too large for a number; quote it if it is text")
            return None
        return int(digits, {"int": 10, "oct": 8, "hex": 16}[kind])
