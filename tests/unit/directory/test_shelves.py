"""An index that is kept up one entry at a time: what it finds, whom it tells what, and what a change costs."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.directory import shelves
from heddle.directory.search import Fields, ToolIndex
from heddle.directory.shelves import Shelf, find

Key = tuple[str, str]
WORDS = st.sampled_from(["refund", "order", "mail", "issue", "time", "list", "create"])
TEXT = st.lists(WORDS, max_size=6).map(" ".join)


def shelf(place: str, **entries: str) -> Shelf[Key]:
    made: Shelf[Key] = Shelf()
    for name, text in entries.items():
        made.put((place, name), Fields(name, description=text))
    return made


def names(found: list[tuple[Key, float]]) -> list[str]:
    return [key[1] for key, _ in found]


def test_what_is_put_is_found_until_it_is_removed():
    one = shelf("shop", refund="gives the money of an order back", ship="sends an order out")
    assert names(find([one], "refund an order", 5)) == ["refund", "ship"]
    one.put(("shop", "refund"), Fields("refund", description="another thing now"))
    assert names(find([one], "money", 5)) == []
    one.remove(("shop", "refund"))
    one.remove(("shop", "refund"))
    assert names(find([one], "refund order", 5)) == ["ship"]
    one.remove(("shop", "ship"))
    assert (len(one), one.length, one.postings, one.lengths, one.keys) == (0, 0, {}, {}, {}), "nothing is left behind"


def test_another_shelf_changes_neither_what_is_found_nor_its_score():
    open_ = shelf("open", refund="an order", other="order list")
    before = find([open_], "refund order", 5)
    closed = shelf("closed", **{f"secret{number}": "refund refund refund" for number in range(50)})
    assert find([open_], "refund order", 5) == before, "how rare a word is elsewhere would tell that it is there"
    assert len(find([open_, closed], "refund order", 100)) == 52


def test_equal_ones_stand_as_their_keys_sort_and_nothing_is_found_by_nothing():
    one = shelf("a", **{f"n{number}": "same" for number in range(20)})
    assert names(find([one], "same", 5)) == sorted(f"n{number}" for number in range(20))[:5]
    assert find([one], "", 5) == find([one], "the of", 5) == find([one], "same", 0) == find([], "same", 5) == []


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | TEXT), max_size=25), TEXT)
def test_however_it_came_about_it_ranks_as_an_index_made_at_once(changes: list[tuple[str, str | None]], query: str):
    lasting: Shelf[tuple[str]] = Shelf()
    now: dict[str, Fields] = {}
    for name, text in changes:
        if text is None:
            now.pop(name, None)
            lasting.remove((name,))
        else:
            now[name] = Fields(name, description=text)
            lasting.put((name,), now[name])
    at_once = ToolIndex(sorted(now.items()))
    expected = {name: round(score, 9) for name, score in at_once.find(query, 100)}
    assert {key[0]: round(score, 9) for key, score in find([lasting], query, 100)} == expected


def test_the_commonest_words_are_left_out_when_they_would_cost_too_much(monkeypatch):
    one = shelf("a", **{f"n{number}": "common" for number in range(50)}, rare="common unusual")
    monkeypatch.setattr(shelves, "MAX_VISITS", 10)
    assert names(find([one], "common unusual", 5)) == ["rare"]


def test_a_change_costs_the_same_however_much_there_is():
    def cost(entries: int) -> float:
        one: Shelf[tuple[str]] = Shelf()
        for number in range(entries):
            one.put((str(number),), Fields(f"do_{number}", description=f"create list issue number {number}"))
        best = 1.0
        for round_ in range(5):
            begun = time.perf_counter()
            for number in range(100):
                one.put((str(number),), Fields(f"do_{number}", description=f"something else {round_}"))
            best = min(best, time.perf_counter() - begun)
        return best

    assert cost(20_000) < 5 * cost(500) + 0.002
