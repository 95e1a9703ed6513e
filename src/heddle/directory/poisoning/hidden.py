"""Characters that a model reads and people do not see, and letters that are not what they look like.

Owns `hidden_tags`, `hidden_bidi`, `hidden_zero_width`, `hidden_selectors`, `mixed_scripts`. What writing needs is left
alone: joiners in Persian, in Indian scripts and in emoji, marks of direction beside right-to-left letters, one selector
behind a symbol.

*Source:* Unicode 15.0; UTR #36; UTS #39 (mixed scripts, in the part that matters for Latin); SAFE-MCP T1402.
"""

import re
import unicodedata
from collections.abc import Iterator

from heddle.directory.poisoning.findings import Severity
from heddle.directory.poisoning.orders import Sign

_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f")
"""England, Scotland, Wales: the tags that are drawn."""
_TAGS = re.compile("[\U000e0000-\U000e007f]+")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_OVERRIDES = "\u202d\u202e"
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_JOINERS = re.compile("[\u200c\u200d]")
_SPACES = re.compile("[\u200b\u2060-\u2064\ufeff\u180e\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800\u00ad]")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}")
_NEEDS_JOINERS = re.compile(
    "[\u0600-\u08ff\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1800-\u18af\U0001f000-\U0001faff\u2190-\u2bff\ufe0f]"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_WORD = re.compile(r"[^\W\d_]{3,60}")
_SOFT = frozenset("\u00ad")


def hidden_in(text: str, *, name: bool = False) -> Iterator[Sign]:
    """Every kind of hidden character in a text; of a `name` nothing at all may be hidden."""
    if text.isascii():
        yield from _controls(text)
        return
    tags = _TAGS.search(_FLAG.sub("", text))
    if tags is not None:
        said = "".join(chr(ord(char) - 0xE0000) for char in tags[0] if 0xE0020 <= ord(char) < 0xE007F)
        yield Sign("hidden_tags", "high", f"spells {said!r}: {tags[0][:20]}")
    yield from _bidi(text, name)
    yield from _zero_width(text, name)
    runs = _SELECTORS.search(text)
    if runs is not None:
        yield Sign("hidden_selectors", "high", f"{len(runs[0])} in a row: {runs[0][:10]}")
    yield from _controls(text)
    yield from _mixed(text, name)


def _controls(text: str) -> Iterator[Sign]:
    found = _CONTROL.search(text)
    if found is not None:
        yield Sign("control_characters", "high", text[max(0, found.start() - 20) : found.end() + 40])


def _bidi(text: str, name: bool) -> Iterator[Sign]:
    found = _BIDI.search(text)
    if found is not None and (
        name or found[0] in _OVERRIDES or any(c in text for c in _OVERRIDES) or not _RTL.search(text)
    ):
        yield Sign("hidden_bidi", "high", text[max(0, found.start() - 20) : found.end() + 40])


def _zero_width(text: str, name: bool) -> Iterator[Sign]:
    places = [found.start() for found in _SPACES.finditer(text) if found.start() or found[0] != "\ufeff"]
    places += [found.start() for found in _JOINERS.finditer(text) if not _joins(text, found.start())]
    soft = sum(text[at] in _SOFT for at in places)
    thai = _NEEDS_JOINERS.search(text) is not None
    hard = [at for at in places if text[at] not in _SOFT and not (thai and _joins(text, at))]
    if (name and places) or len(hard) > 2 or soft > 10:
        yield _zero_sign("high", text, places)
    elif hard:
        yield _zero_sign("medium", text, hard)
    elif soft:
        yield _zero_sign("low", text, places)


def _zero_sign(severity: Severity, text: str, places: list[int]) -> Sign:
    at = min(places)
    return Sign("hidden_zero_width", severity, f"{len(places)}: {text[max(0, at - 20) : at + 30]}")


def _joins(text: str, at: int) -> bool:
    """Whether a joiner stands between letters or signs whose writing knows joiners."""
    return _NEEDS_JOINERS.search(text[max(0, at - 2) : at + 3]) is not None


def _mixed(text: str, name: bool) -> Iterator[Sign]:
    for word in _WORD.finditer(text):
        if word[0].isascii():
            continue
        scripts = {_script(char) for char in word[0]}
        latin = sum(_script(char) == "LATIN" for char in word[0])
        cyrillic_or_many = "CYRILLIC" in scripts or "ARMENIAN" in scripts or "CHEROKEE" in scripts
        if latin >= 2 and (cyrillic_or_many or ("GREEK" in scripts and _looks_latin(word[0]))):
            yield Sign("mixed_scripts", "high" if name else "medium", f"{word[0]} ({_spelt(word[0])})")
            return
    styled = sum(0x1D400 <= ord(char) <= 0x1D7FF for char in text)
    if (name and not text.isascii() and unicodedata.normalize("NFKC", text) != text) or styled > 12:
        yield Sign("styled_letters", "medium", text[:80])


_GREEK_AS_LATIN = frozenset("\u03bf\u03c1\u03bd\u03b9\u03ba\u03c4\u03c5\u03c7") | frozenset(
    map(chr, range(0x0391, 0x03A8))
)


def _looks_latin(word: str) -> bool:
    return not _GREEK_AS_LATIN.isdisjoint(word)


def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]


def _spelt(word: str) -> str:
    return " ".join(f"U+{ord(char):04X}" for char in word if not char.isascii())
