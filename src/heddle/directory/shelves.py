"""Finding anything that is listed by what it is for, among what one may list, while the lists change.

Owns an index that is kept up one entry at a time, and its ranking: BM25, as that of `search`. Entries stand on shelves,
and a question names the shelves that it may look at: what stands on another counts for nothing, not even for how rare
a word is, so that scores tell nothing of what one may not see. A change costs what the entry says, however much else
there is; a question costs at most `MAX_VISITS` entries, the rarest words first.

*Source:* Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), equations 3.15, 3.16.
"""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import ClassVar, Generic, NamedTuple, TypeVar

from heddle.directory.search import K1, MAX_QUERY_WORDS, B, Fields, counts, words

Key = TypeVar("Key", bound=tuple[str, ...])

MAX_VISITS = 100_000
"""Of one question: how often an entry is looked at for a word. About 40 ms; a word that more than so many entries have
tells nothing."""


class _Entry(NamedTuple):
    number: int
    counts: Mapping[str, int]


class Shelf(Generic[Key]):
    """What may be found together."""

    _numbers: ClassVar = count()
    """Of all entries of all shelves: what is counted with."""

    def __init__(self) -> None:
        self.length = 0
        """Words of all entries."""
        self.lengths: dict[int, int] = {}
        """Words of each."""
        self.keys: dict[int, Key] = {}
        self.postings: dict[str, dict[int, int]] = {}
        """Word -> the entries that have it, and how often."""
        self._entries: dict[Key, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: Key, fields: Fields) -> None:
        """Add an entry, or let it say something else."""
        found = dict(counts(fields))
        former = self._entries.get(key)
        if former is not None:
            if former.counts == found:
                return
            self.remove(key)
        number = next(self._numbers)
        self._entries[key] = _Entry(number, found)
        self.keys[number] = key
        self.lengths[number] = sum(found.values())
        self.length += self.lengths[number]
        for word, times in found.items():
            self.postings.setdefault(word, {})[number] = times

    def remove(self, key: Key) -> None:
        """Forget an entry, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        del self.keys[entry.number]
        self.length -= self.lengths.pop(entry.number)
        for word in entry.counts:
            having = self.postings[word]
            del having[entry.number]
            if not having:
                del self.postings[word]


def find(shelves: Sequence[Shelf[Key]], query: str, limit: int) -> list[tuple[Key, float]]:
    """The best `limit` entries of these shelves with their scores, the best first; equal ones as their keys sort.

    An entry with none of the words is not among them. Keys of different shelves must differ.
    """
    if limit <= 0:
        return []
    total = sum(map(len, shelves))
    average = sum(shelf.length for shelf in shelves) / max(1, total) or 1.0
    asked = _rarest_first(shelves, words(query)[:MAX_QUERY_WORDS])
    scored = [(shelf, _scores(shelf, asked, total, average)) for shelf in shelves]
    best = heapq.nlargest(limit, (score for _, scores in scored for score in scores.values()))
    least = best[-1] if best else 0.0
    found = [
        (shelf.keys[number], score) for shelf, scores in scored for number, score in scores.items() if score >= least
    ]
    return sorted(found, key=lambda one: (-one[1], one[0]))[:limit]


def _scores(shelf: Shelf[Key], asked: Iterable[tuple[str, int]], total: int, average: float) -> dict[int, float]:
    """What the entries of a shelf score, of so many on all shelves."""
    scores: dict[int, float] = {}
    lengths, fixed, slope = shelf.lengths, K1 * (1 - B), K1 * B / average
    for word, having in asked:
        weight = math.log(1 + (total - having + 0.5) / (having + 0.5)) * (K1 + 1)
        for number, times in shelf.postings.get(word, {}).items():
            scores[number] = scores.get(number, 0.0) + weight * times / (times + fixed + slope * lengths[number])
    return scores


def _rarest_first(shelves: Sequence[Shelf[Key]], asked: Iterable[str]) -> list[tuple[str, int]]:
    """Words that may be looked for, and how many entries have each; the commonest are left out when it is too much."""
    having = {word: sum(len(shelf.postings.get(word, ())) for shelf in shelves) for word in dict.fromkeys(asked)}
    chosen: list[tuple[str, int]] = []
    visits = 0
    for word, times in sorted(having.items(), key=lambda pair: pair[1]):
        visits += times
        if times and visits <= MAX_VISITS:
            chosen.append((word, times))
    return chosen
