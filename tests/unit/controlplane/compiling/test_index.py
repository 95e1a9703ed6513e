from typing import Any

from heddle.controlplane.compiling.index import Index, Ledger, Lookup, Question
from heddle.controlplane.compiling.objects import Fact
from heddle.drivers.documents import Key

A, B, READER = Key("x", "n", "a"), Key("x", "n", "b"), Key("x", "n", "reader")
TOPIC = ("name", "shared")


def test_the_oldest_of_a_topic_is_first():
    index = Index()
    index.tell("read", B, "2|b", [Fact(TOPIC, "b")])
    index.tell("read", A, "3|a", [Fact(TOPIC, "a")])
    assert [entry.key for entry in index.answer("every", TOPIC)] == [B, A]
    assert index.answer("sole", TOPIC) is None
    assert index.tell("read", A, "1|a", [Fact(TOPIC, "a")]) == {TOPIC}
    assert index.answer("first", TOPIC).key == A
    index.tell("read", B, "2|b", [])
    assert (index.answer("sole", TOPIC).key, index.answer("count", TOPIC), index.answer("any", TOPIC)) == (A, 1, True)


def test_stages_of_one_object_say_their_facts_apart():
    index = Index()
    index.tell("read", A, "1", [Fact(TOPIC)])
    index.tell("compiled", A, "1", [Fact(("other",))])
    index.tell("read", A, "1", [])
    assert index.answer("count", TOPIC) == 0
    assert index.answer("count", ("other",)) == 1


def test_saying_the_same_touches_nothing():
    index = Index()
    index.tell("read", A, "1", [Fact(TOPIC, 5)])
    assert index.tell("read", A, "1", [Fact(TOPIC, 5)]) == set()
    assert index.tell("read", A, "1", [Fact(TOPIC, 6)]) == {TOPIC}


def test_only_another_answer_is_news_also_where_there_was_none():
    answers: dict[Question, Any] = {("object", A): None, ("object", B): 1}
    ledger = Ledger()
    lookup = Lookup(lambda question: answers[question])
    assert lookup.object(A) is None
    assert lookup.object(A) is None
    ledger.asked(READER, lookup.answers)
    assert ledger.outdated(("object", A), answers.__getitem__) == set()
    assert ledger.outdated(("object", B), answers.__getitem__) == set()
    answers["object", A] = 2
    assert ledger.outdated(("object", A), answers.__getitem__) == {READER}
    assert ledger.outdated(("object", A), answers.__getitem__) == set()


def test_what_is_no_longer_asked_is_forgotten():
    ledger = Ledger()
    ledger.asked(READER, {("object", A): 1})
    ledger.asked(READER, {("object", B): 1})
    assert ledger.outdated(("object", A), lambda _: 2) == set()
    assert ledger.outdated(("object", B), lambda _: 2) == {READER}
    ledger.asked(READER, {})
    assert (len(ledger), ledger._readers, ledger._told) == (0, {}, {})
