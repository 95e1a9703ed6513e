"""JSON text in pieces: strings are handed on decoded, and what comes back is JSON again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.wire.json_text import JsonText, treat_tree


class Upper:
    """Holds everything back until the end, and then shouts."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        self._held += text
        return ""

    def finish(self) -> str:
        return self._held.upper()

    def whole(self, text: str) -> str:
        return text.upper()


class Same:
    """Changes nothing."""

    def feed(self, text: str) -> str:
        return text

    def finish(self) -> str:
        return ""

    def whole(self, text: str) -> str:
        return text


def shouted(value: Any) -> Any:
    if isinstance(value, str):
        return value.upper()
    if isinstance(value, list):
        return [shouted(item) for item in value]
    return {key.upper(): shouted(item) for key, item in value.items()} if isinstance(value, dict) else value


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.booleans(), st.lists(st.integers(1, 7), min_size=1))
def test_any_pieces_give_the_treated_value(value: Any, ascii_only: bool, sizes: list[int]):
    text, out, at, turn = json.dumps(value, ensure_ascii=ascii_only), "", 0, 0
    json_text = JsonText(Upper)
    while at < len(text):
        size = sizes[turn % len(sizes)]
        out += json_text.feed(text[at : at + size])
        at, turn = at + size, turn + 1
    assert json.loads(out + json_text.finish()) == shouted(value)
    assert treat_tree(value, Upper) == shouted(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1e5, "b": -0.50}', '{"A": "1E5", "B": -0.50}'),
        (r'"\ud83d\ude00 \ud83d \u00e9"', '"\U0001f600 \\ud83d É"'),
        (r'"\ud83d\ude00 \ud83d\/"', r'"\ud83d\ude00 \ud83d\/"'),
        (r'"\u00e9\/\q"', '"É/Q"'),
        ('"a\nb"', r'"A\nB"'),
        ('{"open": "and not clo', '{"OPEN": "AND NOT CLO'),
        ('"cut \\u00', '"CUT \\\\U00'),
        ("no json at all, 12 or not", "NO JSON AT ALL, 12 OR NOT"),
        ("{'a': 12 ab", "{'A': 12 AB"),
        ('{"a": 12 ab}', '{"A": 12 AB}'),
        ('{"a": tru}', '{"A": TRU}'),
        ('{"a": null, "b": [true ]} end', '{"A": null, "B": [true ]} END'),
        ('{"a" "b"}', '{"A" "B"}'),
        ('["a"]]x', '["A"]]X'),
        ("[ [a", "[ [A"),
        ("1 2 a", "1 2 A"),
        ("[" * 3000 + "a", "[" * 3000 + "A"),
        ("[" + "1" * 3000 + "e", "[" + "1" * 3000 + "E"),
    ],
)  # fmt: skip
def test_odd_texts(text: str, expected: str):
    assert JsonText(Upper).whole(text) == expected
    pieces = JsonText(Upper)
    assert json_like("".join(map(pieces.feed, text)) + pieces.finish()) == json_like(expected)


def json_like(text: str) -> str:
    """JSON text as Python would write it; other text as it is."""
    try:
        return json.dumps(json.loads(text))
    except (ValueError, RecursionError):
        return text


@pytest.mark.parametrize("text", ["[a_1] b", "12 ab", '"a" b', "null", " ab", '"a'])
def test_prose_is_one_text_to_a_loose_reader(text: str):
    assert JsonText(Upper, loose=True).whole(text) == text.upper()
    pieces = JsonText(Upper, loose=True)
    assert "".join(map(pieces.feed, text)) + pieces.finish() == text.upper()


def test_a_loose_reader_reads_objects_and_lists():
    assert json.loads(JsonText(Upper, loose=True).whole(r' {"\u0061": ["b", null, 1]}')) == {"A": ["B", None, 1]}


@given(st.text())
def test_anything_passes(text: str):
    json_text = JsonText(Same)
    assert isinstance("".join(map(json_text.feed, text)) + json_text.finish(), str)
