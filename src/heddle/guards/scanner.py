"""Finds matches in a text, whole or in pieces, with the same result.

Owns the meaning of a match. Of all recognisers, the match that begins leftmost counts; of those, the longest that its
recogniser's validator accepts; of those, that of the recogniser declared first. Nothing else is looked for inside it,
and the next may begin where it ends. A `Scanner` holds back what could still become part of a match and nothing else:
everything in front of the first place where some match is still possible is given out at once.
"""

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from heddle.guards.automaton import Automaton, State
from heddle.guards.recogniser import Recogniser

HEAD_CHARS = 5
"""Characters that a place is judged by before a match is tried there."""


class Found(NamedTuple):
    """A match. Its text is the caller's or the model's: it must not be logged."""

    recogniser: Recogniser
    text: str

    def __repr__(self) -> str:
        return f"Found({self.recogniser.name}, {len(self.text)} characters)"


Piece = str | Found
"""What comes out: text without matches, or a match. The texts of all pieces together are the input."""

_Ends = list[tuple[int, tuple[Recogniser, ...]]]


class Scanner:
    """One text, arriving in pieces. Not shared between texts."""

    __slots__ = ("_at", "_automaton", "_before", "_ends", "_held", "_jump", "_paused", "_state")

    def __init__(self, automaton: Automaton, jump: "re.Pattern[str] | None" = None) -> None:
        """`jump` finds every place where a match may begin, and perhaps others."""
        self._automaton = automaton
        self._jump = jump
        self._held = ""
        self._before = ""
        """The character in front of what is held."""
        self._state: State | None = None
        """Where the match that may begin with what is held has come to, after `_at` characters of it."""
        self._at = 0
        self._ends: _Ends = []
        self._paused = False
        """Its steps ran out with something left to do."""

    @property
    def held(self) -> int:
        """Characters that wait to be told apart."""
        return len(self._held)

    def feed(self, text: str) -> list[Piece]:
        """What `text` decides; none of it will change."""
        if not self._held and not text:
            return []
        self._held += text
        return self._run(False)

    def turns(self, text: str, last: bool, steps: int) -> Iterator[list[Piece]]:
        """As `feed`, and `finish` when it is the `last`, with some `steps` of the automaton between what comes."""
        self._held += text
        yield self._run(last, steps)
        while self._paused:
            yield self._run(last, steps)

    def finish(self) -> list[Piece]:
        """The text has ended: the rest. The scanner is then ready for another text."""
        pieces = self._run(True) if self._held else []
        self._before = ""
        return pieces

    def _run(self, last: bool, steps: int = sys.maxsize) -> list[Piece]:
        text, size = self._held, len(self._held)
        pieces: list[Piece] = []
        given, start = 0, 0 if self._state is not None else self._begin(0, last)
        while start < size and steps > 0 and self._follow(start, last):
            steps -= self._at - start
            found = _best(text, start, self._ends) if self._ends else None
            end = start + 1 if found is None else start + len(found.text)
            if found is not None:
                pieces += (text[given:start], found) if given < start else (found,)
                given = end
            self._before = text[end - 1]
            start = self._begin(end, last)
        self._paused = start < size and steps <= 0
        if given < start:
            pieces.append(text[given:start])
        self._held = text[start:]
        self._at -= start
        if self._ends:
            self._ends = [(end - start, which) for end, which in self._ends]
        return pieces

    def _begin(self, start: int, last: bool) -> int:
        """The first place from `start` on where a match may begin; the end of what is held when there is none."""
        text, size = self._held, len(self._held)
        roots, dead, before = self._automaton.roots, self._automaton.dead, self._before
        jump = self._jump
        if jump is not None:
            found = jump.search(text, start)
            sure = size if last else size - HEAD_CHARS + 1
            start = max(start, min(found.start() if found is not None else size, sure))
            before = text[start - 1] if start else before
        while start < size and roots[before][text[start]] is dead:
            before = text[start]
            start += 1
        self._before, self._ends, self._at = before, [], start
        self._state = roots[before] if start < size else None
        return start

    def _follow(self, start: int, last: bool) -> bool:
        """Go on with what may begin at `start`; whether it is known what there is."""
        text, size, dead = self._held, len(self._held), self._automaton.dead
        state, at = self._state, self._at
        assert state is not None
        while at < size:
            char = text[at]
            if state.finals and (which := state.ended(char)):
                self._ends.append((at, which))
            state = state[char]
            at += 1
            if state is dead or at - start > state.limit:
                self._at = at
                return True
        self._state, self._at = state, at
        if not last and not state.terminal:
            return False
        if state.finals:
            self._ends.append((size, state.finals))
        self._at = at
        return True


def _best(text: str, start: int, ends: _Ends) -> Found | None:
    """The longest that is valid."""
    for end, recognisers in reversed(ends):
        for one in recognisers:
            if end - start <= one.longest and (one.valid is None or one.valid(text[start:end])):
                return Found(one, text[start:end])
    return None


def scan(automaton: Automaton, text: str) -> list[Piece]:
    """A whole text."""
    scanner = Scanner(automaton)
    return scanner.feed(text) + scanner.finish()
