"""What is wrong with a configuration, and where exactly: file, line and path.

Owns the vocabulary of problems and of places. It decides nothing about what is right.
"""

from typing import Any, Literal, NamedTuple

import msgspec

Severity = Literal["error", "warning"]


class Problem(msgspec.Struct, frozen=True):
    """One finding. Texts never contain a secret's value."""

    severity: Severity
    file: str
    line: int
    """1-based; 0 when the file as a whole is meant."""
    path: str
    """Where in the document, e.g. `rate_limiting[1].limit_by`; empty for the document itself."""
    message: str
    hint: str = ""
    """What to do about it; may be empty."""

    def line_text(self) -> str:
        """`file:line: error: path: message (hint)`, the form editors and terminals link."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}: {self.severity}: {path}{self.message}{hint}"


class Source:
    """A document that was read: where it came from and on which line each of its paths stands."""

    __slots__ = ("camel", "file", "folder", "lines")

    def __init__(
        self, file: str = "", lines: dict[str, int] | None = None, *, folder: str = ".", camel: bool = False
    ) -> None:
        self.file = file
        self.lines = lines or {}
        self.folder = folder
        """What relative paths in it are relative to."""
        self.camel = camel
        """Fields are spelled `limitBy`, as resources do, rather than `limit_by`."""

    def line(self, path: str) -> int:
        """The line of `path`, or of the nearest thing that contains it; 0 when nothing does."""
        while path not in self.lines:
            if not path:
                return 0
            path = parent(path)
        return self.lines[path]


class Place(NamedTuple):
    """A value's position in a document."""

    source: Source
    path: str

    def at(self, *fields: str | int) -> "Place":
        """The place of a field or item below, fields named as in Python (`limit_by`)."""
        path = self.path
        for field in fields:
            if isinstance(field, int):
                path = f"{path}[{field}]"
            else:
                path = child(path, camel(field) if self.source.camel else field)
        return Place(self.source, path)


class Report:
    """Collects problems; remembers what is already known to be broken, so that nothing is reported twice."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.complete = True
        """All that was written could be read, so that what is missing is really missing."""
        self._broken: set[tuple[int, str]] = set()

    def error(self, place: Place, message: str, hint: str = "") -> None:
        """Something that keeps the configuration from being used."""
        if not self.is_broken(place):
            self._add("error", place, message, hint)

    def missing(self, place: Place, message: str, hint: str = "") -> None:
        """An error about something that is not there; not raised while parts of the text could not be read."""
        if self.complete:
            self.error(place, message, hint)

    def warning(self, place: Place, message: str, hint: str = "") -> None:
        """Something that works, but perhaps not as meant."""
        if not self.is_broken(place):
            self._add("warning", place, message, hint)

    def mark_broken(self, place: Place) -> None:
        """What stands here was refused: later findings about it would only repeat that."""
        self._broken.add((id(place.source), place.path))

    def is_broken(self, place: Place) -> bool:
        """Whether this place, or one that contains it, was refused before."""
        if not self._broken:
            return False
        key, path = id(place.source), place.path
        while (key, path) not in self._broken:
            if not path:
                return False
            path = parent(path)
        return True

    @property
    def failed(self) -> bool:
        """Whether any problem is an error."""
        return any(problem.severity == "error" for problem in self.problems)

    def _add(self, severity: Severity, place: Place, message: str, hint: str) -> None:
        source, path = place
        self.problems.append(Problem(severity, source.file, source.line(path), path, message, hint))


def child(path: str, key: str) -> str:
    """The path of `key` inside the mapping at `path`; keys that are no plain words are quoted."""
    if not key.replace("-", "_").isidentifier():
        return f"{path}[{quote(key)}]"
    return f"{path}.{key}" if path else key


def parent(path: str) -> str:
    """The path of what contains `path`; empty for the document."""
    if path.endswith('"]'):
        return path[: path.rfind('["')]
    return path[: max(path.rfind("."), path.rfind("["), 0)]


def quote(value: object) -> str:
    """A value as it is shown in a message: JSON, at most 60 characters, control characters escaped."""
    text = msgspec.json.encode(value, enc_hook=str).decode()
    text = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def camel(name: str) -> str:
    """`limit_by` as `limitBy`."""
    head, _, tail = name.partition("_")
    return head + tail.title().replace("_", "") if tail else name


def spelling(name: str, encoded: str, *, in_resources: bool) -> str:
    """How a field is written. One that has a name of its own (`as`, which Python cannot spell) has it everywhere."""
    return encoded if in_resources or encoded != camel(name) else name


def snake(name: str) -> str:
    """`limitBy` as `limit_by`."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def did_you_mean(word: str, known: list[str] | tuple[str, ...], cutoff: float = 0.6) -> str:
    """A hint naming the nearest known word; empty when none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - 10 ms of start-up, needed only when something is wrong

    near: list[Any] = get_close_matches(word, known, 1, cutoff)
    return f"did you mean `{near[0]}`?" if near else ""
