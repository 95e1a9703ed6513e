"""Finding a tool among many by what it is for.

Owns the index and its ranking: BM25 over the words of a name, a title, a description and the names of parameters. An
index is built once for a catalogue and never changes; equal scores keep the order of their keys.

*Source:* Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), equations 3.15, 3.16.
"""

import heapq
import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

Key = TypeVar("Key", bound=Hashable)

K1 = 1.2
B = 0.6
NAME_WEIGHT = 3
"""How often a word counts that stands in the name."""
MAX_QUERY_WORDS = 32
MAX_WORDS = 400
"""Of a text that are indexed."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]{1,40}")
_STOP = frozenset(
    ["a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "in", "is", "it", "of", "on", "or", "that",
     "the", "this", "to", "was", "will", "with"]
)  # fmt: skip
_ENDINGS = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", "e"), ("s", ""))


class Fields(msgspec.Struct, frozen=True):
    """The texts of one tool."""

    name: str
    title: str = ""
    description: str = ""
    parameters: tuple[str, ...] = ()


class ToolIndex(Generic[Key]):
    """All tools of a catalogue."""

    def __init__(self, tools: Iterable[tuple[Key, Fields]]) -> None:
        """Pairs of key and texts. Every word costs about 16 bytes in each tool that has it."""
        self._keys: list[Key] = []
        lengths: list[int] = []
        found: dict[str, tuple[array[int], list[int]]] = {}
        for number, (key, fields) in enumerate(tools):
            self._keys.append(key)
            counted = counts(fields)
            lengths.append(sum(counted.values()))
            for word, count in counted.items():
                places, times = found.setdefault(word, (array("l"), []))
                places.append(number)
                times.append(count)
        average = sum(lengths) / max(1, len(lengths)) or 1.0
        shares = array("d", (length / average for length in lengths))
        self._postings = {word: (places, _weights(places, times, shares)) for word, (places, times) in found.items()}

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, query: str, limit: int) -> list[tuple[Key, float]]:
        """The best `limit` tools with their scores, the best first; a tool with none of the words is not among them."""
        scores: dict[int, float] = {}
        for word in dict.fromkeys(words(query)[:MAX_QUERY_WORDS]):
            for number, weight in zip(*self._postings.get(word, ((), ())), strict=True):
                scores[number] = scores.get(number, 0.0) + weight
        best = heapq.nsmallest(max(limit, 0), ((-score, number) for number, score in scores.items()))
        return [(self._keys[number], -score) for score, number in best]


def _weights(places: Sequence[int], times: Sequence[int], lengths: Sequence[float]) -> "array[float]":
    """The whole BM25 score of a word in each tool: nothing is left to compute for a query but sums.

    `lengths` are those of all tools, as shares of the average.
    """
    rarity = math.log(1 + (len(lengths) - len(places) + 0.5) / (len(places) + 0.5))
    each = zip(places, times, strict=True)
    return array("d", (rarity * n * (K1 + 1) / (n + K1 * (1 - B + B * lengths[place])) for place, n in each))


def counts(fields: Fields) -> Counter[str]:
    """How often each word counts in the texts of one tool."""
    counted: Counter[str] = Counter(words(fields.description)[:MAX_WORDS])
    for word in words(fields.name):
        counted[word] += NAME_WEIGHT
    for text in (fields.title, *fields.parameters[:MAX_WORDS]):
        counted.update(words(text)[:MAX_WORDS])
    return counted


def words(text: str) -> list[str]:
    """Words in lower case without their endings; `createIssue` and `create_issues` are both (create, issue)."""
    plain = unicodedata.normalize("NFKC", text[:100_000])
    return [_stem(word) for word in _WORD.findall(_CAMEL.sub(" ", plain).lower()) if word not in _STOP]


def _stem(word: str) -> str:
    for ending, other in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            stem = word[: -len(ending)] + other
            return stem[:-1] if stem.endswith("e") and len(stem) > 4 else stem
    return word[:-1] if word.endswith("e") and len(word) > 4 else word
