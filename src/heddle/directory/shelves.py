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
from typing import Generic, NamedTuple, TypeVar

from heddle.directory.search import K1, MAX_QUERY_WORDS, B, Fields, counts, words

Key = TypeVar("Key", bound=tuple[str, ...])

MAX_VISITS = 200_000
"""Of one question: how often an entry is looked at for a word. About 50 ms."""


class _Entry(NamedTuple):
    counts: Mapping[str, int]
    length: int


class Shelf(Generic[Key]):
    """What may be found together."""

    def __init__(self) -> None:
        self.length = 0
        """Words of all entries."""
        self.postings: dict[str, dict[Key, int]] = {}
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
        entry = self._entries[key] = _Entry(found, sum(found.values()))
        self.length += entry.length
        for word, count in found.items():
            self.postings.setdefault(word, {})[key] = count

    def remove(self, key: Key) -> None:
        """Forget an entry, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self.length -= entry.length
        for word in entry.counts:
            having = self.postings[word]
            del having[key]
            if not having:
                del self.postings[word]

    def length_of(self, key: Key) -> int:
        """Words of an entry."""
        return self._entries[key].length


def find(shelves: Sequence[Shelf[Key]], query: str, limit: int) -> list[tuple[Key, float]]:
    """The best `limit` entries of these shelves with their scores, the best first; equal ones as their keys sort.

    An entry with none of the words is not among them. Keys of different shelves must differ.
    """
    total = sum(map(len, shelves))
    average = sum(shelf.length for shelf in shelves) / max(1, total) or 1.0
    scores: dict[Key, float] = {}
    for word, having in _rarest_first(shelves, words(query)[:MAX_QUERY_WORDS]):
        rarity = math.log(1 + (total - having + 0.5) / (having + 0.5))
        for shelf in shelves:
            for key, times in shelf.postings.get(word, {}).items():
                share = 1 - B + B * shelf.length_of(key) / average
                scores[key] = scores.get(key, 0.0) + rarity * times * (K1 + 1) / (times + K1 * share)
    return heapq.nsmallest(max(limit, 0), scores.items(), key=lambda found: (-found[1], found[0]))


def _rarest_first(shelves: Sequence[Shelf[Key]], asked: Iterable[str]) -> list[tuple[str, int]]:
    """Words that may be looked for, and how many entries have each; the commonest are left out when it is too much."""
    having = {word: sum(len(shelf.postings.get(word, ())) for shelf in shelves) for word in dict.fromkeys(asked)}
    chosen: list[tuple[str, int]] = []
    visits = 0
    for word, count in sorted(having.items(), key=lambda pair: pair[1]):
        visits += count
        if count and (visits <= MAX_VISITS or not chosen):
            chosen.append((word, count))
    return chosen
