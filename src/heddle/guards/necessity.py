"""What a text must hold for a recogniser to find anything in it: literals of which one is in every match.

Whole texts are mostly long and mostly clean. Recognisers that cannot match are left out before a text is searched,
which changes nothing of what is found.
"""

from itertools import product

from heddle.guards.expression import Chars, Choice, Node, Repeat
from heddle.guards.expression import Sequence as Row

MAX_LITERALS = 24
MAX_SET = 4
"""Characters of a set that is still written out as literals."""

_Literals = frozenset[str]


def required(node: Node) -> _Literals:
    """Literals of which every match holds one; empty when nothing is known."""
    exact = _exact(node)
    if exact:
        return exact
    if isinstance(node, Row):
        return max(_runs(node), key=_worth, default=frozenset())
    if isinstance(node, Repeat):
        return required(node.item) if node.least else frozenset()
    if isinstance(node, Choice):
        parts = [required(item) for item in node.items]
        found: _Literals = frozenset().union(*parts)
        return found if all(parts) and len(found) <= MAX_LITERALS else frozenset()
    return frozenset()


def _worth(literals: _Literals) -> tuple[int, int, int]:
    """Long ones tell more than short ones, and signs more than letters."""
    if not literals:
        return 0, 0, 0
    shortest = min(map(len, literals))
    return min(shortest, 4), sum(not literal.isalnum() for literal in literals) == len(literals), -len(literals)


def _runs(row: Row) -> list[_Literals]:
    """What each item requires, and what items in a row spell together."""
    found: list[_Literals] = []
    run: _Literals = frozenset({""})
    for item in row.items:
        exact = _exact(item)
        joined = _joined(run, exact) if exact else frozenset()
        if joined:
            run = joined
            found.append(run)
        else:
            found.append(required(item))
            run = exact or frozenset({""})
            if exact:
                found.append(exact)
    return [one for one in found if one and "" not in one]


def _joined(left: _Literals, right: _Literals) -> _Literals:
    if len(left) * len(right) > MAX_LITERALS:
        return frozenset()
    return frozenset(one + other for one, other in product(left, right))


def _exact(node: Node) -> _Literals:
    """All texts of a small language; empty when there are too many, or the empty text is one."""
    if isinstance(node, Chars):
        ranges = node.chars.ranges
        size = sum(high - low + 1 for low, high in ranges)
        return (
            frozenset(chr(c) for low, high in ranges for c in range(low, high + 1)) if size <= MAX_SET else frozenset()
        )
    if isinstance(node, Choice):
        parts = [_exact(item) for item in node.items]
        found: _Literals = frozenset().union(*parts)
        return found if all(parts) and len(found) <= MAX_LITERALS else frozenset()
    if isinstance(node, Repeat):
        if node.least != node.most or node.least > 8:
            return frozenset()
        return _all([_exact(node.item)] * node.least)
    return _all([_exact(item) for item in node.items])


def _all(parts: list[_Literals]) -> _Literals:
    run: _Literals = frozenset({""})
    for part in parts:
        run = _joined(run, part) if part else frozenset()
        if not run:
            return run
    return run - {""}
