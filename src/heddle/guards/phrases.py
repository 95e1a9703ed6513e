"""Phrases that are denied, and how far a spelling may be from them.

A phrase is found in any case, over any run of up to eight spaces or line ends between its words, with up to two
invisible characters between its letters, in full-width forms, and with the look-alikes of Latin letters that are
listed here. Anything further away (a digit for a letter, a dot between letters) is another phrase.
*Source:* Unicode 15.0 blocks Cyrillic, Greek and Coptic, Halfwidth and Fullwidth Forms; UTS #39 confusables, in part.
"""

from heddle.guards.charset import SPACE, WORD, CharSet
from heddle.guards.expression import Chars, Node, PatternError, Repeat, Sequence, lengths
from heddle.guards.recogniser import Recogniser

MAX_CHARS = 200
_LOOKALIKES = {
    "a": "\u0430\u03b1", "b": "\u042c\u0412\u03b2", "c": "\u0441\u03f2", "d": "\u0501", "e": "\u0435\u03b5",
    "g": "\u0261", "h": "\u04bb\u041d", "i": "\u0456\u03b9\u0131", "j": "\u0458", "k": "\u043a\u03ba",
    "l": "\u04cf\u217c", "m": "\u043c", "n": "\u043f", "o": "\u043e\u03bf", "p": "\u0440\u03c1", "q": "\u051b",
    "r": "\u0433", "s": "\u0455", "t": "\u0442\u03c4", "u": "\u03c5", "v": "\u0475\u03bd", "w": "\u051d\u03c9",
    "x": "\u0445\u03c7", "y": "\u0443\u03b3", "z": "\u1d22\u03b6",
}  # fmt: skip
_WIDE = 0xFEE0
"""From an ASCII character to its full-width form."""
_INVISIBLE = CharSet.of("\u00ad\u200b\u200c\u200d\u2060\ufeff\u180e")
_HIDDEN = Repeat(Chars(_INVISIBLE), 0, 2)
_GAP = Repeat(Chars(SPACE | _INVISIBLE), 1, 8)


def phrase(name: str, text: str) -> Recogniser:
    """A recogniser for `text`, called `name`. Raises PatternError."""
    words = text.split()
    if not words:
        raise PatternError("is empty")
    if len(text) > MAX_CHARS:
        raise PatternError(f"is longer than {MAX_CHARS} characters")
    items: list[Node] = []
    for number, word in enumerate(words):
        items += [_GAP] if number else []
        for place, char in enumerate(word):
            items += [_HIDDEN] if place else []
            items.append(Chars(_like(char)))
    node = Sequence(tuple(items))
    longest = lengths(node)[1] or 0
    edge = _edges(words[0][0]), _edges(words[-1][-1])
    return Recogniser(name, node, longest, *edge)


def _like(char: str) -> CharSet:
    """A character in both cases, and what looks like it."""
    alike = CharSet.of(_LOOKALIKES.get(char.lower(), ""))
    if "!" <= char <= "~":
        alike |= CharSet.of(chr(ord(char) + _WIDE))
    return (CharSet.of(char) | alike).folded()


def _edges(char: str) -> CharSet:
    """A phrase that begins or ends with a letter does so at a word's edge."""
    return WORD if char in WORD else CharSet(())
