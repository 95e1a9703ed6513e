"""What guards should find, worked out the slow way: every place, every length, with Python's own `re`."""

import random
import re
from collections.abc import Sequence
from typing import NamedTuple

from heddle.guards.automaton import Automaton
from heddle.guards.recogniser import recogniser
from heddle.guards.scanner import Found, Piece, Scanner


class Wanted(NamedTuple):
    """A recogniser, told apart from the product's own in everything but its pattern's text."""

    name: str
    pattern: str
    valid: object = None
    edge: bool = False
    """Not inside of a word."""
    longest: int = 0


def whole(text: str, wanted: Sequence[Wanted]) -> list[tuple[str, str]]:
    """(name, text) for each match and ("", text) for what is between."""
    found: list[tuple[str, str]] = []
    given = start = 0
    while start < len(text):
        best = _best(text, start, wanted)
        if best is None:
            start += 1
            continue
        if given < start:
            found.append(("", text[given:start]))
        found.append(best)
        start = given = start + len(best[1])
    if given < len(text):
        found.append(("", text[given:]))
    return found


def _best(text: str, start: int, wanted: Sequence[Wanted]) -> tuple[str, str] | None:
    for end in range(len(text), start, -1):
        for one in wanted:
            part = text[start:end]
            around = text[start - 1 : start] + text[end : end + 1]
            if (
                (not one.longest or len(part) <= one.longest)
                and re.fullmatch(one.pattern, part, re.ASCII)
                and not (one.edge and re.search(r"\w", around, re.ASCII))
                and (one.valid is None or one.valid(part))  # type: ignore[operator]
            ):
                return one.name, part
    return None


def compiled(wanted: Sequence[Wanted]) -> Automaton:
    """The same for the engine."""
    made = []
    for one in wanted:
        pattern = rf"\b{one.pattern}\b" if one.edge else one.pattern
        made.append(recogniser(one.name, pattern, longest=one.longest, valid=one.valid))  # type: ignore[arg-type]
    return Automaton(made)


def chopped(automaton: Automaton, text: str, rng: random.Random) -> list[tuple[str, str]]:
    """What the engine says of a text in random pieces, in the form of `whole`."""
    scanner, pieces, at = Scanner(automaton), list[Piece](), 0
    while at < len(text):
        size = rng.choice((0, 1, 1, 2, 3, 5, 8, 40))
        pieces += scanner.feed(text[at : at + size])
        at += size
    return told(pieces + scanner.finish())


def told(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """Pieces in the form of `whole`: texts next to each other are one."""
    merged: list[tuple[str, str]] = []
    for piece in pieces:
        name, text = (piece.recogniser.name, piece.text) if isinstance(piece, Found) else ("", piece)
        if not name and merged and not merged[-1][0]:
            merged[-1] = ("", merged[-1][1] + text)
        else:
            merged.append((name, text))
    return merged
