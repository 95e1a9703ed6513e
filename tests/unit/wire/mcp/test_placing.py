"""Which request a server means."""

from typing import NamedTuple

from heddle.wire.mcp.placing import meant


class One(NamedTuple):
    method: str
    questions: int = 0


def test_none_of_none() -> None:
    assert meant([]) is None


def test_the_newest() -> None:
    first, second = One("tools/call"), One("prompts/get")
    assert meant([first, second]) is second


def test_one_that_waits_for_an_answer_comes_last() -> None:
    free, waiting = One("tools/call"), One("tools/call", 1)
    assert meant([free, waiting]) is free
    assert meant([waiting]) is waiting, "it asks once more"
    assert meant([waiting, One("tools/call", 2)]) == One("tools/call", 2), "the newest of those that wait"


def test_what_cannot_carry_a_question_carries_none() -> None:
    reading, listing = One("resources/read", 1), One("tools/list")
    assert meant([reading, listing]) is reading
    assert meant([listing]) is listing, "for lack of a better one"
