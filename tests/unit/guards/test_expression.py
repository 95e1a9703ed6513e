"""Patterns: what is accepted, and what is said about the rest."""

import pytest

from heddle.guards.expression import PatternError, lengths, parse
from heddle.guards.recogniser import recogniser


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("abc", (3, 3)),
        ("a|bc", (1, 2)),
        (r"\d{3,5}-?", (3, 6)),
        ("(ab){2}c{0,4}", (4, 8)),
        ("a+", (1, None)),
        ("a{2,}", (2, None)),
        ("(a*b){2}", (2, None)),
        (r"[^\]x]\x41\u20ac\.", (4, 4)),
    ],
)
def test_lengths(pattern: str, expected: tuple[int, int | None]):
    assert lengths(parse(pattern).node) == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "is empty"),
        ("a*", "matches the empty text"),
        ("(a", "has a `(` without its `)` (at character 3)"),
        ("a)", "has a `)` without its `(` (at character 2)"),
        ("*a", r"repeats nothing with `*`; write `\*` for the character (at character 2)"),
        ("a+?", "none can be lazy"),
        ("^a", r"has an anchor; a text is searched from end to end, write `\^` for the character (at character 2)"),
        ("(?=a)b", "has look-ahead, which is not accepted"),
        ("(?P<n>a)", "has a named group"),
        (r"(a)\1", r"has a back-reference that is not accepted, `\1` (at character 6)"),
        (r"\q", r"has an escape that is not accepted, `\q`"),
        (r"\x4g", r"needs 2 hexadecimal digits after `\x`"),
        ("[z-a]", "has a range in a set that is none"),
        ("[abc", "ends too early"),
        ("a{x}", "has a `{` that is no `{n}`"),
        ("a{5,2}", "has a repetition that is not 1 to 1000 times"),
        ("a{1,9999}", "has a repetition that is not 1 to 1000 times"),
        ("(" * 60 + "a" + ")" * 60, "is nested more than 40 deep"),
    ],
)
def test_what_is_not_accepted_is_told_where_and_why(pattern: str, message: str):
    with pytest.raises(PatternError) as caught:
        parse(pattern)
    assert message in str(caught.value)


def test_a_pattern_without_a_longest_match_is_refused_with_a_way_out():
    with pytest.raises(PatternError, match=r"write `\{0,64\}` in place of `\*`.*or give `longest`"):
        recogniser("ticket", r"T-\d+")
    assert recogniser("ticket", r"T-\d+", longest=20).longest == 20
    with pytest.raises(PatternError, match="at most 16384"):
        recogniser("ticket", "a{1000}" * 17)
