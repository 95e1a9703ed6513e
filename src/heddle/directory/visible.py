"""Texts of strangers, made fit to be read by people: on a terminal, in a log, in a diff.

Owns which characters nobody can see or trust: controls, formats, private and unassigned code points, and the letters
that are blank. Each is written as `<U+200B>`. What is returned moves no cursor and hides nothing.
*Source:* Unicode 15.0, General Category; UAX #44 property Default_Ignorable_Code_Point.
"""

import re
import unicodedata
from collections.abc import Callable

_SHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters and marks that draw nothing: fillers, joiners, selectors, the empty Braille cell."""
_SELECTORS = frozenset([*map(chr, range(0xFE00, 0xFE10)), *map(chr, range(0xE0100, 0xE01F0))])
_PLAIN = re.compile(r"[ -~]*")


def is_unseen(char: str) -> bool:
    """Whether the character draws nothing, or moves what is drawn."""
    return char in _BLANK or char in _SELECTORS or unicodedata.category(char) in _SHOWN


def visible(text: str, keep: str = "") -> str:
    """`text` with every unseen character spelt out, but for those of `keep`."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_spelt(char) if char not in keep and is_unseen(char) else char for char in text)


def _spelt(char: str) -> str:
    return f"<U+{ord(char):04X}>"


def clipped(text: str, limit: int = 160, *, show: Callable[[str], str] = visible) -> str:
    """At most about `limit` characters of a text, made visible, on one line."""
    shown = show(" ".join(text[: 2 * limit].split()))
    return shown if len(shown) <= limit and len(text) <= 2 * limit else shown[: limit - 1].rstrip() + "…"
