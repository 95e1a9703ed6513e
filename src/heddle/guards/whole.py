"""A whole text, searched at the speed of what could be in it.

Owns the short ways, none of which changes what is found: recognisers that need a literal the text does not have are
left out, and places where none of the others can begin are passed over by a compiled set of characters.
"""

import re
import sys
from collections.abc import Iterator, Sequence

from heddle.guards.automaton import Automaton
from heddle.guards.charset import CharSet
from heddle.guards.expression import lengths
from heddle.guards.necessity import required
from heddle.guards.scanner import HEAD_CHARS, Piece, Scanner, scan

SHORT_CHARS = 64
"""Up to here a text is simply scanned."""
SLICE_CHARS = 32 * 1024
"""Characters that are passed over in one turn at most."""
MAX_ASKED_CHARS = 256 * 1024
"""Up to here a text is asked beforehand for the literals that recognisers need."""
TURN_STEPS = 16 * 1024
"""Steps of an automaton in one turn: some 2 ms."""
MAX_KEPT = 64
"""Sets of recognisers whose automaton is kept; all of them together serve what does not fit."""


class WholeScanner:
    """Some recognisers, for whole texts."""

    __slots__ = ("_everything", "_kept", "_needs")

    def __init__(self, automaton: Automaton) -> None:
        self._everything = automaton
        self._needs = [tuple(required(one.node)) for one in automaton.recognisers]
        self._kept: dict[int, _Searcher | None] = {}

    def scan(self, text: str) -> Sequence[Piece]:
        """As `scanner.scan`."""
        if len(text) <= SHORT_CHARS:
            return scan(self._everything, text)
        searcher = self._searcher(text)
        return searcher.scan(text) if searcher is not None else [text]

    def turns(self, text: str) -> Iterator[Sequence[Piece]]:
        """As `scan`, a few milliseconds at a time."""
        if len(text) <= SHORT_CHARS:
            yield scan(self._everything, text)
            return
        searcher = self._searcher(text if len(text) <= MAX_ASKED_CHARS else None)
        if searcher is None:
            yield [text]
            return
        scanner = searcher.open()
        for at in range(0, len(text), SLICE_CHARS):
            yield from scanner.turns(text[at : at + SLICE_CHARS], at + SLICE_CHARS >= len(text), TURN_STEPS)

    def _searcher(self, text: str | None) -> "_Searcher | None":
        """For a text; None stands for one that is too long to ask what it has."""
        possible = 0
        for number, needs in enumerate(self._needs):
            if text is None or not needs or any(need in text for need in needs):
                possible |= 1 << number
        if possible not in self._kept:
            if len(self._kept) >= MAX_KEPT:
                possible = (1 << len(self._needs)) - 1
            self._kept[possible] = self._make(possible)
        return self._kept[possible]

    def _make(self, possible: int) -> "_Searcher | None":
        recognisers = self._everything.recognisers
        chosen = [one for number, one in enumerate(recognisers) if possible >> number & 1]
        if not chosen:
            return None
        return _Searcher(self._everything if len(chosen) == len(recognisers) else Automaton(chosen))


class _Searcher:
    """One automaton, and a way to the next place where it may match."""

    __slots__ = ("_automaton", "_jump")

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        ways: dict[CharSet, dict[str, None]] = {}
        anywhere = CharSet(())
        for one, firsts in zip(automaton.recognisers, automaton.firsts, strict=True):
            heads = _heads(automaton, firsts, lengths(one.node)[0])
            anywhere |= heads[0]
            ways.setdefault(one.before, {})[f"(?<={_set(heads[0])}){''.join(map(_set, heads[1:]))}"] = None
        # What can begin any match stands in front, so that all else is passed over in one loop, and what may not stand
        # before a match comes next: most places are inside of words.
        fronts = [(f"(?<!{_set(before)}.)" if before else "") + f"(?:{'|'.join(own)})" for before, own in ways.items()]
        self._jump = re.compile(f"{_set(anywhere)}(?:{'|'.join(fronts)})", re.DOTALL)

    def open(self) -> Scanner:
        return Scanner(self._automaton, self._jump)

    def scan(self, text: str) -> Sequence[Piece]:
        return [piece for pieces in self.open().turns(text, True, sys.maxsize) for piece in pieces]


def _heads(automaton: Automaton, firsts: frozenset[int], shortest: int) -> list[CharSet]:
    """What the first characters of a match can be, each for itself."""
    heads, positions, shape = [], firsts, automaton.shape
    for _ in range(min(HEAD_CHARS, shortest)):
        heads.append(CharSet(part for at in positions for part in shape.chars[at].ranges))
        positions = frozenset().union(*(shape.follow[at] for at in positions))
    return heads


def _set(chars: CharSet) -> str:
    return "[" + "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in chars.ranges) + "]"
