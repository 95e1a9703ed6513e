"""What objects say by topic, who asked what, and whose answers are no longer the same.

Owns the dependencies: whoever compiles an object asks through a `Lookup`, every question is remembered, also one whose
answer was that there is nothing. After a change only the questions about what was touched are asked again, and only
those who would get another answer are compiled again.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from heddle.controlplane.compiling.objects import Fact, Seen
from heddle.drivers.documents import Key

Topic = tuple[str, ...]
Question = tuple[str, Any]
"""What is asked, and about which object or topic."""


class Entry(NamedTuple):
    """One object's fact about a topic."""

    order: str
    key: Key
    value: Any


def _age(entry: Entry) -> tuple[str, Key]:
    return entry.order, entry.key


def _first(entries: list[Entry]) -> Entry | None:
    return entries[0] if entries else None


def _sole(entries: list[Entry]) -> Entry | None:
    return entries[0] if len(entries) == 1 else None


_PROJECTIONS: dict[str, Callable[[list[Entry]], Any]] = {
    "first": _first,
    "sole": _sole,
    "any": bool,
    "count": len,
    "every": tuple,
}
"""What can be asked of a topic: the narrower the question, the fewer changes are news."""


class Index:
    """Facts of all objects, by topic."""

    def __init__(self) -> None:
        self._topics: dict[Topic, list[Entry]] = {}
        self._facts: dict[tuple[str, Key], tuple[str, dict[Topic, Any]]] = {}

    def tell(self, stage: str, key: Key, order: str, facts: Iterable[Fact]) -> set[Topic]:
        """Replace the facts that an object has from a stage; the topics that changed."""
        was_order, was = self._facts.get((stage, key), (order, {}))
        now = {fact.topic: fact.value for fact in facts}
        touched = {topic for topic in was if topic not in now or was[topic] != now[topic] or was_order != order}
        for topic in touched:
            self._remove(topic, Entry(was_order, key, was[topic]))
        fresh = {topic for topic in now if topic in touched or topic not in was}
        for topic in fresh:
            insort(self._topics.setdefault(topic, []), Entry(order, key, now[topic]), key=_age)
        if now:
            self._facts[stage, key] = (order, now)
        else:
            self._facts.pop((stage, key), None)
        return touched | fresh

    def _remove(self, topic: Topic, entry: Entry) -> None:
        entries = self._topics[topic]
        del entries[bisect_left(entries, _age(entry), key=_age)]
        if not entries:
            del self._topics[topic]

    def answer(self, projection: str, topic: Topic) -> Any:
        """What is so of a topic now."""
        return _PROJECTIONS[projection](self._topics.get(topic, []))


class Ledger:
    """Who asked what, and what they were told."""

    def __init__(self) -> None:
        self._readers: dict[Question, set[Key]] = {}
        self._asked: dict[Key, frozenset[Question]] = {}
        self._told: dict[Question, Any] = {}

    def asked(self, reader: Key, answers: dict[Question, Any]) -> None:
        """Remember what an object was compiled from, in place of what it was before."""
        now = frozenset(answers)
        for question in self._asked.get(reader, frozenset()) - now:
            readers = self._readers[question]
            readers.discard(reader)
            if not readers:
                del self._readers[question]
                del self._told[question]
        for question in now:
            self._readers.setdefault(question, set()).add(reader)
        self._told.update(answers)
        if now:
            self._asked[reader] = now
        else:
            self._asked.pop(reader, None)

    def outdated(self, question: Question, answer: Callable[[Question], Any]) -> set[Key]:
        """Those who would be told something else now."""
        readers = self._readers.get(question)
        if not readers:
            return set()
        now = answer(question)
        if now == self._told[question]:
            return set()
        self._told[question] = now
        return set(readers)

    def __len__(self) -> int:
        return len(self._asked)


TOPIC_QUESTIONS = tuple(_PROJECTIONS)


class Lookup:
    """What one object may ask while it is compiled."""

    def __init__(self, answer: Callable[[Question], Any]) -> None:
        self._answer = answer
        self.answers: dict[Question, Any] = {}

    def _ask(self, what: str, about: Any) -> Any:
        question = (what, about)
        if question not in self.answers:
            self.answers[question] = self._answer(question)
        return self.answers[question]

    def object(self, key: Key) -> Seen | None:
        """Another object, as it was read; None when there is none."""
        found: Seen | None = self._ask("object", key)
        return found

    def outcome(self, key: Key) -> Any:
        """What another object came to; None when it cannot be used."""
        return self._ask("outcome", key)

    def first(self, topic: Topic) -> Entry | None:
        """The oldest of a topic."""
        found: Entry | None = self._ask("first", topic)
        return found

    def sole(self, topic: Topic) -> Entry | None:
        """The only one of a topic; None when there are none or several."""
        found: Entry | None = self._ask("sole", topic)
        return found

    def any(self, topic: Topic) -> bool:
        """Whether there is one."""
        return bool(self._ask("any", topic))

    def count(self, topic: Topic) -> int:
        """How many there are."""
        return int(self._ask("count", topic))

    def every(self, topic: Topic) -> tuple[Entry, ...]:
        """All of a topic, the oldest first."""
        found: tuple[Entry, ...] = self._ask("every", topic)
        return found
