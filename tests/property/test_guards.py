"""The engine of guards: any chunking of any text gives what the whole text does, and that is what it should be."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.guards_reference import Wanted, chopped, compiled, told, whole

from heddle.guards import automaton as automaton_module
from heddle.guards import whole as whole_module
from heddle.guards.expression import PatternError
from heddle.guards.scanner import Scanner, scan
from heddle.guards.whole import WholeScanner

ATOMS = st.sampled_from(["a", "b", "1", ".", "[ab]", "[^a]", r"\d", r"\w", " ", "ab", "1a"])
COUNTS = st.sampled_from(["", "", "", "?", "{2}", "{0,2}", "{1,3}", "{2,4}"])


@st.composite
def patterns(draw: st.DrawFn, depth: int = 2) -> str:
    items = []
    for _ in range(draw(st.integers(1, 3))):
        nested = depth and draw(st.integers(0, 3)) == 0
        item = f"(?:{draw(patterns(depth - 1))}|{draw(patterns(depth - 1))})" if nested else draw(ATOMS)
        count = draw(COUNTS)
        items.append(f"(?:{item}){count}" if count else item)
    return "".join(items)


def even(text: str) -> bool:
    """A validator that knows nothing of the language."""
    return sum(map(ord, text)) % 2 == 0


WANTED = st.lists(
    st.builds(
        Wanted, st.sampled_from(["x", "y", "z"]), patterns(), st.sampled_from([None, even]), st.booleans(),
        st.sampled_from([0, 0, 3]),
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip
TEXTS = st.text(st.sampled_from("aab1 .é\n"), max_size=30)


@settings(deadline=None, max_examples=400)
@given(WANTED, TEXTS, st.integers(0, 2**32))
def test_any_chunking_finds_what_is_there(wanted: list[Wanted], text: str, seed: int):
    try:
        engine = compiled(wanted)
    except PatternError:
        assert any("?" in one.pattern or "{0" in one.pattern for one in wanted)
        return
    expected = whole(text, wanted)
    assert told(scan(engine, text)) == expected
    assert chopped(engine, text, random.Random(seed)) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_module, "SHORT_CHARS", 0)
        assert told(WholeScanner(engine).scan(text)) == expected


@settings(deadline=None, max_examples=100)
@given(WANTED, TEXTS)
def test_only_what_may_become_a_match_is_held_back(wanted: list[Wanted], text: str):
    try:
        engine = compiled(wanted)
    except PatternError:
        return
    scanner = Scanner(engine)
    given_out = "".join(text for _, text in told(scanner.feed(text)))
    longest = max(one.longest for one in engine.recognisers)
    assert text.startswith(given_out)
    assert scanner.held == len(text) - len(given_out) <= longest


def test_a_full_cache_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(automaton_module, "MAX_STEPS", 7)
    wanted = [Wanted("x", r"a{1,3}b|\d{2,5}", even), Wanted("y", "[ab]{2,6}1")]
    engine = compiled(wanted)
    rng = random.Random(5)
    for _ in range(300):
        text = "".join(rng.choice("aab1 é") for _ in range(30))
        assert chopped(engine, text, rng) == whole(text, wanted)
