"""What a whole text becomes, worked out without the scanner: each recogniser alone, at each place, at every length."""

from collections.abc import Sequence
from functools import cache

from heddle.guards.charset import CharSet
from heddle.guards.expression import Chars, Choice, Node, Repeat
from heddle.guards.expression import Sequence as Row
from heddle.guards.recogniser import Recogniser


def ends(node: Node, text: str, starts: frozenset[int]) -> frozenset[int]:
    """Where a match of `node` that begins at any of `starts` may end: sets of places, and no automaton."""
    if isinstance(node, Chars):
        return frozenset(at + 1 for at in starts if at < len(text) and text[at] in node.chars)
    if isinstance(node, Choice):
        return frozenset().union(*(ends(item, text, starts) for item in node.items))
    if isinstance(node, Row):
        for item in node.items:
            starts = ends(item, text, starts)
            if not starts:
                break
        return starts
    return _repeated(node, text, starts)


def _repeated(node: Repeat, text: str, starts: frozenset[int]) -> frozenset[int]:
    reached = starts if not node.least else frozenset[int]()
    seen: set[int] = set()
    count = 0
    while starts and (node.most is None or count < node.most):
        starts = ends(node.item, text, starts)
        count += 1
        if count >= node.least:
            reached |= starts
            if starts <= seen:
                break
            seen |= starts
    return reached


def masked(text: str, recognisers: Sequence[Recogniser]) -> str:
    """`text` with its matches as masks."""
    return _masked(text, tuple(recognisers))


@cache
def _masked(text: str, recognisers: tuple[Recogniser, ...]) -> str:
    out, at = [], 0
    while at < len(text):
        name, end = _best(text, at, recognisers)
        out.append(f"[{name.upper()}]" if name else text[at])
        at = end
    return "".join(out)


def _best(text: str, start: int, recognisers: Sequence[Recogniser]) -> tuple[str, int]:
    best = ("", start + 1)
    longest = 0
    for one in recognisers:
        if start and text[start - 1] in one.before:
            continue
        for end in sorted(ends(one.node, text, frozenset([start])), reverse=True):
            size = end - start
            if size <= longest:
                break
            if size <= one.longest and not _follows(text, end, one.after) and _valid(one, text[start:end]):
                best, longest = (one.name, end), size
                break
    return best


def _follows(text: str, end: int, after: CharSet) -> bool:
    return end < len(text) and text[end] in after


def _valid(one: Recogniser, text: str) -> bool:
    return one.valid is None or one.valid(text)
