"""Guarded streams of every dialect say what the whole text would: a short form of `tests/proofs/guards.py`."""

import random

import pytest
from tests.property.guards_cases import AUTOMATON, run, sentence
from tests.property.guards_reference import told
from tests.property.guards_streams import DIALECTS

from heddle.guards import whole
from heddle.guards.scanner import scan
from heddle.guards.whole import WholeScanner
from heddle.wire.llm.codecs import CODECS
from heddle.wire.llm.slotted import SLOTS, UNREAD


@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_stream_says_what_the_whole_text_would(dialect: str):
    for seed in range(150):
        run(dialect, seed)


def test_long_texts_are_searched_by_a_shorter_way_to_the_same():
    quick = WholeScanner(AUTOMATON)
    for seed in range(400):
        rng = random.Random(seed)
        text = " and so on, and on ".join(sentence(rng) for _ in range(6))
        assert told(quick.scan(text)) == told(scan(AUTOMATON, text)), seed


def test_searching_in_turns_finds_the_same(monkeypatch: pytest.MonkeyPatch):
    quick = WholeScanner(AUTOMATON)
    for seed in range(300):
        rng = random.Random(seed)
        monkeypatch.setattr(whole, "TURN_STEPS", rng.choice([1, 9, 200]))
        monkeypatch.setattr(whole, "SLICE_CHARS", rng.choice([1, 7, 90, 5000]))
        text = " and so on, and on ".join(sentence(rng) for _ in range(4))
        in_turns = [piece for pieces in quick.turns(text) for piece in pieces]
        assert told(in_turns) == told(scan(AUTOMATON, text)), seed


def test_every_dialect_at_the_door_has_slots():
    assert set(SLOTS) | UNREAD == set(CODECS)
