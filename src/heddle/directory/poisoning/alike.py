"""Names that are taken for names of other targets.

Owns the rules `lookalike_name` and `same_name`. Names are compared by their words: two words are alike when one is the
other with letters that look alike, swapped, doubled or dropped. Words that merely share letters (`get` and `set`,
`issue` and `issues`, `import` and `export`) are other words. That two targets have the same name is a remark: they are
often two of a kind, and prefixes keep them apart.

*Source:* UTS #39 section 4 (confusables), in part; SAFE-MCP T1004 (name collisions).
"""

import re
from collections.abc import Iterable, Iterator

from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.said import fold

_SHAPES = (
    ("rn", "m"),
    ("vv", "w"),
    ("cl", "d"),
    ("0", "o"),
    ("1", "l"),
    ("5", "s"),
    ("3", "e"),
    ("i", "l"),
    ("$", "s"),
    ("@", "a"),
)
_ENDINGS = ("s", "es", "d", "ed", "r", "er", "ing", "ly", "y", "ies")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[^\W_]+")
_DRESS = {
    "v1", "v2", "v3", "2", "new", "secure", "safe", "official", "pro", "plus", "fixed", "real", "verified", "trusted",
    "original", "patched", "improved", "enhanced", "better", "fast",
}  # fmt: skip
MAX_NAMES = 20_000


def words_of(name: str) -> tuple[str, ...]:
    """`sendEmail` and `send_email` as (send, email)."""
    return tuple(word.lower() for word in _WORDS.findall(fold(name)))


class NameIndex:
    """Names of the tools of other targets, each under the shape of its words."""

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        """Pairs of target and name; at most MAX_NAMES of them."""
        self._exact: dict[str, str] = {}
        self._by_fold: dict[str, list[tuple[str, str]]] = {}
        self._by_gap: dict[tuple[int, tuple[str, ...]], list[tuple[str, str, str]]] = {}
        """Names under all of their words but one, with that one."""
        for target, name in [pair for pair, _ in zip(names, range(MAX_NAMES), strict=False)]:
            words = words_of(name)
            self._exact.setdefault(name, target)
            self._by_fold.setdefault(_skeleton("".join(words)), []).append((target, name))
            for place, word in enumerate(words):
                self._by_gap.setdefault((place, words[:place] + words[place + 1 :]), []).append((word, target, name))

    def alike(self, name: str) -> Iterator[Sign]:
        """What a name may be taken for."""
        target = self._exact.get(name)
        if target is not None:
            yield Sign("same_name", "low", f"{name} is also a tool of {target}")
            return
        words = words_of(name)
        found = self._folded(name, words) or self._dressed(words) or self._misspelt(words)
        if found is not None:
            yield Sign("lookalike_name", "medium", f"{name} may be taken for {found[1]} of {found[0]}")

    def _folded(self, name: str, words: tuple[str, ...]) -> tuple[str, str] | None:
        alike = self._by_fold.get(_skeleton("".join(words)), [])
        return next((pair for pair in alike if pair[1] != name), None)

    def _dressed(self, words: tuple[str, ...]) -> tuple[str, str] | None:
        """The other name with an adjective on it."""
        if len(words) < 3:
            return None
        for bare, dress in ((words[1:], words[0]), (words[:-1], words[-1])):
            alike = self._by_fold.get(_skeleton("".join(bare)), []) if dress in _DRESS else []
            if alike:
                return alike[0]
        return None

    def _misspelt(self, words: tuple[str, ...]) -> tuple[str, str] | None:
        for place, word in enumerate(words):
            for other, target, name in self._by_gap.get((place, words[:place] + words[place + 1 :]), []):
                if misspelt(word, other):
                    return target, name
        return None


def _skeleton(text: str) -> str:
    for shape, plain in _SHAPES:
        text = text.replace(shape, plain)
    return text


def misspelt(word: str, other: str) -> bool:
    """Whether one word is the other with a slip of the pen in it, and no other word."""
    if min(len(word), len(other)) < 4 or abs(len(word) - len(other)) > 1:
        return False
    if len(word) == len(other):
        at = [n for n in range(len(word)) if word[n] != other[n]]
        swapped = len(at) == 2 and at[1] == at[0] + 1 and word[at[0]] == other[at[1]] and word[at[1]] == other[at[0]]
        vowel = len(at) == 1 and len(word) >= 6 and word[at[0]] in "aeiou" and other[at[0]] in "aeiou"
        return swapped or vowel
    longer, shorter = (word, other) if len(word) > len(other) else (other, word)
    if len(shorter) < 5 or any(shorter + ending == longer for ending in _ENDINGS):
        return False
    at_first = next((n for n in range(len(shorter)) if longer[n] != shorter[n]), len(shorter))
    # A letter at the end or the beginning makes another word more often than a slip.
    return 0 < at_first < len(shorter) and longer[at_first + 1 :] == shorter[at_first:]
