"""Orders in other languages, told by the same combinations as in English.

Owns `foreign_orders` over the word classes in `tongues`. A denial reaches over the clause in which it stands, before
its verb or behind it, as these languages have it.
"""
# ruff: noqa: RUF001  the marks of these languages are what they look like

import re
from collections.abc import Iterator
from typing import Final

from heddle.directory.poisoning import tongues
from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.said import fold
from heddle.directory.poisoning.texts import Role

_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|[。！？\n]|;\s")
_CLAUSE: Final = re.compile(
    r"[,;:，、；：—(（]\s?| - | und | aber | sondern | y (?!claves)| pero | et | mais | e | ma | mas | и | но "
)
_LATIN: Final = re.compile(
    r"\b(?:der|die|das|und|nicht|für|eine?[nrsm]?|mit|dem|den|ist|wird|im|von|zu|el|los|las|que|una|por|del|con|para|"
    r"en|les|des|une|est|pour|"
    r"dans|du|avec|le|la|uma|não|os|dos|com|em|da|do|um|het|een|niet|van|il|gli|che|per|della|di|ein|zur|zum|sie|se|"
    r"su|al|dieses?|deine[rsn]?|dein|wie|bitte|alle[nrs]?|jede[rsnm]?|auch|oder|"
    r"todos?|todas?|cada|tu|sus|lo|como|tous|toutes|votre|vos|ce|cet|cette|sur|par|ses|pelo|seu|sua|como|tutt[ei]|"
    r"ogni|tuo|suo|nel|dei|le|lo|un|uno|"
    r"alla|na|nas|nos|ao|aos|pela|voor|naar|deze|dit|met|op)\b"
)
_ENGLISH: Final = re.compile(r"\b(?:the|of|and|to|is|with|for|this|it|that|are|be|by|you|or)\b")
_ACCENTS: Final = re.compile("[\u00e0-\u00ff\u0153]|\\b[ldnmsj]'(?=[a-z\u00e0-\u00ff]{3})")
_OTHER_SCRIPT: Final = re.compile(r"[\u0400-\u04ff]{3}|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]{2}")
_IDEOGRAMS: Final = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_PASSIVE: Final = re.compile(
    r"\b(?:se|si) \w+|\b(?:wird|werden|wurde|wurden)\b(?!.{0,60}\b(?:muss|müssen|soll|sollen)\b).{0,80}"
)
"""What happens by itself: `se copia`, `wird kopiert`."""
MAX_SENTENCES: Final = 400
MAX_CHARS: Final = 600
_POINTS: Final = (
    ("secrets", tongues.SECRETS, 3.0), ("context", tongues.CONTEXT, 2.0), ("private", tongues.PRIVATE, 1.0),
    ("gives", tongues.GIVES, 2.0), ("takes", tongues.TAKES, 1.0), ("all", tongues.REACHES, 1.0),
    ("reader", tongues.FOR_READER, 0.5), ("sink", tongues.SINK, 0.5), ("owned", tongues.OWNED, 1.0),
    ("authority", tongues.AUTHORITY, 0.5),
)  # fmt: skip
NEEDED: Final = 4.0
NEEDED_OF_PARAMETER: Final = 3.5


def is_foreign_sentence(text: str) -> bool:
    """Whether a sentence is rather in one of these languages than in English."""
    if _OTHER_SCRIPT.search(text) is not None:
        return True
    return len(_LATIN.findall(text)) + len(_ACCENTS.findall(text)) > len(_ENGLISH.findall(text))


def abroad_in(text: str, role: Role, others: frozenset[str]) -> Iterator[Sign]:
    """Such orders in a text. `others` are names of other targets' tools."""
    throughout = is_foreign_sentence(text[:2000].lower())
    for number, raw in enumerate(_SENTENCE.split(fold_keeping_script(text))):
        if number >= MAX_SENTENCES:
            return
        sentence = " ".join(raw.lower().split())[:MAX_CHARS]
        if _IDEOGRAMS.search(sentence):
            sentence = sentence.replace(",", "，").replace(":", "：")
        if is_foreign_sentence(sentence) or (throughout and not _ENGLISH.search(sentence)):
            yield from _judged(sentence, role, number == 0 and role == "lead", others)


def fold_keeping_script(text: str) -> str:
    """Folded, but for letters of other scripts, which are letters there and no look-alikes."""
    return text if _OTHER_SCRIPT.search(text) else fold(text)


def _judged(sentence: str, role: Role, purpose: bool, others: frozenset[str]) -> Iterator[Sign]:
    if tongues.IGNORES.search(sentence) or _conceals(sentence) or (not purpose and _covert(sentence)):
        yield Sign("foreign_orders", "high", sentence)
        return
    whatever = _obeys(sentence) or _claims_consent(sentence) or _standing(sentence) or _about_others(sentence, others)
    if whatever or (not purpose and (_wipes(sentence) or _carries(sentence, role))):
        yield Sign("foreign_orders", "medium", sentence)


def _obeys(sentence: str) -> bool:
    """Texts that come back are to be followed."""
    found = tongues.OBEYS.search(sentence)
    if found is None or tongues.RETURNED.search(sentence) is None:
        return False
    return tongues.NOT.search(sentence[: found.start()]) is None


def _wipes(sentence: str) -> bool:
    found = tongues.TRACES.search(sentence)
    return found is not None and not tongues.NOT.search(sentence[: found.end()])


def _clauses(sentence: str) -> list[str]:
    return [clause for clause in _CLAUSE.split(sentence) if clause]


def _conceals(sentence: str) -> bool:
    """A denial, a verb of telling and a person in one breath; asking somebody for something is not telling."""
    for match in tongues.PEOPLE.finditer(sentence):
        near = sentence[max(0, match.start() - 45) : match.end() + 45]
        near = _within_clause(near, min(match.start(), 45))
        if tongues.IF.search(sentence[: match.start()]):
            continue
        if tongues.CONCEALS.search(near):
            return True
        if tongues.NOT.search(near) and tongues.TELLS.search(near):
            return True
    return False


def _within_clause(near: str, at: int) -> str:
    begin = max((near.rfind(mark, 0, at) for mark in (":", "：", "(", "，", "、")), default=-1)
    end = min((place for place in (near.find(mark, at) for mark in (":", "：", ")")) if place >= 0), default=len(near))
    return near[begin + 1 : end]


def _covert(sentence: str) -> bool:
    found = tongues.COVERT.search(sentence)
    if found is None:
        return False
    return tongues.GIVES.search(sentence) is not None or tongues.TAKES.search(sentence) is not None


def _claims_consent(sentence: str) -> bool:
    return tongues.CONSENT.search(sentence) is not None


def _standing(sentence: str) -> bool:
    found = tongues.STANDING.search(sentence)
    return found is not None and tongues.OWN.search(sentence) is None and len(sentence) > len(found[0]) + 15


def _about_others(sentence: str, others: frozenset[str]) -> bool:
    named = any(name in others for name in re.findall(r"[a-z0-9_]{3,64}", sentence))
    generic = tongues.OTHERS.search(sentence)
    if (generic is None and not named) or tongues.OWN.search(sentence):
        return False
    gives = any(tongues.GIVES.search(clause) and not tongues.NOT.search(clause) for clause in _clauses(sentence))
    return gives or tongues.RANKS.search(sentence) is not None


def _carries(sentence: str, role: Role) -> bool:
    said = [_PASSIVE.sub(" ", clause) for clause in _clauses(sentence) if not tongues.NOT.search(clause)]
    has = {name for name, words, _ in _POINTS if any(words.search(clause) for clause in said)}
    if not has & {"secrets", "context", "private"}:
        return False
    if role != "parameter" and "gives" not in has:
        return False
    total = sum(points for name, _, points in _POINTS if name in has)
    return total >= (NEEDED_OF_PARAMETER if role == "parameter" else NEEDED)
