"""A recogniser: a regular language with a declared longest match, what may stand around it, and a validator."""

from collections.abc import Callable
from typing import NamedTuple

from heddle.guards.charset import CharSet
from heddle.guards.expression import Node, PatternError, lengths, parse

MAX_LONGEST = 16_384
"""Characters that the longest match of any recogniser may have."""


class Recogniser(NamedTuple):
    """One thing that is looked for."""

    name: str
    """As configuration and metrics say it, e.g. `card`."""
    node: Node
    longest: int
    """Characters of the longest match; longer texts of the language are none."""
    before: CharSet
    """Characters that may not stand in front of a match."""
    after: CharSet
    """Characters that may not follow one."""
    valid: Callable[[str], bool] | None = None
    """Judges a text of the language: check digits, say. Pure and quick."""


def recogniser(
    name: str,
    pattern: str,
    *,
    longest: int = 0,
    before: CharSet | None = None,
    after: CharSet | None = None,
    valid: Callable[[str], bool] | None = None,
) -> Recogniser:
    """A recogniser from a pattern. Without `longest` the pattern must have a bound of its own. Raises PatternError."""
    node, left, right = parse(pattern)
    bound = longest or lengths(node)[1]
    if bound is None:
        raise PatternError(
            "has no longest match, so a stream could wait for ever; write `{0,64}` in place of `*` and `{1,64}` in "
            "place of `+`, or give `longest`"
        )
    if bound > MAX_LONGEST:
        raise PatternError(f"can match {bound} characters; at most {MAX_LONGEST} are accepted")
    return Recogniser(name, node, bound, left if before is None else before, right if after is None else after, valid)
