"""Sets of characters, as sorted ranges of code points.

*Source:* Unicode 15.0 for code points; `\\s` is what `str.isspace` says, `\\d` and `\\w` are ASCII.
"""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise

MAX_CODE = 0x10FFFF


class CharSet:
    """An immutable set of characters."""

    __slots__ = ("_starts", "ranges")

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        """`ranges` are inclusive and may overlap."""
        merged: list[tuple[int, int]] = []
        for low, high in sorted(ranges):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        self.ranges = tuple(merged)
        self._starts = [low for low, _ in merged]

    @classmethod
    def of(cls, chars: Iterable[str]) -> "CharSet":
        """The characters of a text."""
        return cls((ord(char), ord(char)) for char in chars)

    def __contains__(self, char: str) -> bool:
        code = ord(char)
        at = bisect_right(self._starts, code) - 1
        return at >= 0 and code <= self.ranges[at][1]

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __or__(self, other: "CharSet") -> "CharSet":
        return CharSet((*self.ranges, *other.ranges))

    def __repr__(self) -> str:
        return f"CharSet({self.ranges!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharSet) and self.ranges == other.ranges

    def __hash__(self) -> int:
        return hash(self.ranges)

    def negated(self) -> "CharSet":
        """Every other character."""
        edges = [(-1, -1), *self.ranges, (MAX_CODE + 1, MAX_CODE + 1)]
        return CharSet((high + 1, low - 1) for (_, high), (low, _) in pairwise(edges) if high + 1 <= low - 1)

    def folded(self) -> "CharSet":
        """With the other case of every cased character; wide ranges are taken to hold both already."""
        more = list(self.ranges)
        for low, high in self.ranges:
            if high - low <= 0x2FFF:
                more += [(ord(other), ord(other)) for code in range(low, high + 1) for other in _cases(chr(code))]
        return CharSet(more)


def _cases(char: str) -> list[str]:
    return [other for other in (char.lower(), char.upper(), char.casefold()) if len(other) == 1 and other != char]


EMPTY = CharSet(())
DIGITS = CharSet.of("0123456789")
UPPER = CharSet([(0x41, 0x5A)])
LOWER = CharSet([(0x61, 0x7A)])
ALNUM = DIGITS | UPPER | LOWER
WORD = ALNUM | CharSet.of("_")
SPACE = CharSet.of(char for char in map(chr, range(0x3001)) if char.isspace())
ANY = CharSet([(0, MAX_CODE)])
NOT_NEWLINE = CharSet.of("\n").negated()
