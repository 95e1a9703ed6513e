"""The check of one document under way: what it found, and which values the outside world must still be asked about."""

from typing import Any, NamedTuple

from heddle.model.problem import Place, Report, Source

BROKEN: Any = object()
"""Stands for a value that could not be made; it never leaves the check."""


class Note(NamedTuple):
    """A value that the outside world must be asked about."""

    mark: str
    """`file` or `secret`."""
    place: Place
    text: str


class Reading:
    """The check of one document: where it stands, what was found."""

    __slots__ = ("notes", "report", "source")

    def __init__(self, report: Report, source: Source) -> None:
        self.report = report
        self.source = source
        self.notes: list[Note] = []

    def refuse(self, path: str, message: str, hint: str = "") -> Any:
        """Report an error at `path`, once; BROKEN."""
        place = Place(self.source, path)
        self.report.error(place, message, hint)
        self.report.mark_broken(place)
        return BROKEN
