"""Whether a definition under a new name is an old one that changed its name.

Owns the likeness of two definitions, names aside, and of two names. A pin by name alone is evaded by a rename; a name
that is new is therefore compared with everything that was removed, withheld or rejected.

*Source:* SAFE-MCP T1201 (rug pull); Broder, "On the resemblance and containment of documents" (1997).
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from heddle.directory.poisoning.alike import misspelt, words_of

ALIKE = 0.7
"""Share of the words of two definitions that they have in common."""
MAX_PAIRS = 200_000
_WORD = re.compile(r"\w+")
MAX_WORDS = 2000


class Known(msgspec.Struct, frozen=True):
    """A definition that is not to come back under another name."""

    kind: str
    name: str
    why: str
    words: frozenset[str]


def known(kind: str, name: str, content: bytes, why: str) -> Known:
    """From what a store has kept."""
    return Known(kind, name, why, _words(msgspec.json.decode(content)))


def resembled(kind: str, name: str, content: bytes, all_known: Iterable[Known]) -> Known | None:
    """The first of `all_known` that this definition may be, under another name."""
    words = _words(msgspec.json.decode(content))
    return next((one for one in all_known if one.kind == kind and _alike(name, words, one)), None)


def _alike(name: str, words: frozenset[str], one: Known) -> bool:
    if name == one.name:
        return True
    common = len(words & one.words)
    if common and common >= ALIKE * len(words | one.words):
        return True
    # One that was padded: nearly all words of the old one are in it.
    if len(one.words) >= 8 and common >= 0.9 * len(one.words):
        return True
    return _names_alike(words_of(name), words_of(one.name))


def _names_alike(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    if len(ours) == len(theirs) and sum(a != b for a, b in zip(ours, theirs, strict=True)) == 1:
        return any(misspelt(a, b) for a, b in zip(ours, theirs, strict=True) if a != b)
    first, second = set(ours), set(theirs)
    return (len(first & second) >= 2 and len(first ^ second) <= 1) or (ours != () and ours == theirs)


def _words(value: Any) -> frozenset[str]:
    found: set[str] = set()
    for text in _texts(value, top=True):
        found.update(_WORD.findall(text.lower()))
        if len(found) > MAX_WORDS:
            break
    return frozenset(found)


def _texts(value: Any, *, top: bool = False) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not (top and key in ("name", "title", "uri", "uriTemplate")):
                yield key
                yield from _texts(item)
