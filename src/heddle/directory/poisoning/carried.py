"""Orders beside a tool's own work, told by what a sentence brings together and by none of its words alone.

Owns the rule `beside_the_task`: something to be done, with what is not the tool's (a secret, the conversation, what is
private, tools of others), whose it is, how much of it, where it goes, with which excuse. Each counts as `facets` says.
What the tool's name and first sentence are about is its own subject, and does not count.
"""

import re
from collections.abc import Iterator
from typing import Final

from heddle.directory.poisoning import facets
from heddle.directory.poisoning.facets import MARKS, NOUNS, SCORES, Facet
from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.said import Said, meant_in

_TALKS: Final = re.compile(
    r"\b(?:prompts?|assistants?|bots?|completions?|evals?|evaluations?|llms?|agents?|thinking|chat)\b"
)
"""What a tool for models is called: instructions and messages are its subject."""
_REFUSES: Final = re.compile(
    r"(?:refused|rejected|forbidden|excluded|blocked|denied|unsupported|not (?:allowed|supported|served|accepted))\b"
)
_MANUAL: Final = re.compile(r"to \w+ .{0,300}\brun:?$")
"""What a manual says before an example."""
_HELD: Final = ("context", "model", "private", "mail", "machine")
"""Things that no tool needs whose subject they are not."""


def subjects_of(text: str) -> frozenset[str]:
    """Classes of things that a tool's name and purpose are about. `text` is both, in lower case."""
    found = {name for name, noun in NOUNS.items() if noun.words.search(text)}
    return frozenset(found | {"model", "context", "reply"} if _TALKS.search(text) else found)


def beside_in(said: Said, subjects: frozenset[str]) -> Iterator[Sign]:
    """The sign, with the words that made it."""
    if (said.purpose and not said.addressed) or _MANUAL.match(said.text) or _REFUSES.match(said.text):
        return
    total, words = points(said, subjects)
    if total >= SCORES["needed"] or _handed_over(said, subjects):
        yield Sign("beside_the_task", "medium", f"{' + '.join(words)}: {said.text}")


def points(said: Said, subjects: frozenset[str]) -> tuple[float, list[str]]:
    """What a sentence brings together, and the words."""
    counted: list[Facet] = [facets.GIVES, facets.TAKES, facets.ACTS, facets.PLACE, *MARKS.values()]
    # A place of secrets is named by words for secrets: it counts once.
    named = subjects | {"secret"} if facets.PLACE.words.search(said.text) else subjects
    counted += [noun for name, noun in NOUNS.items() if name not in named]
    hits = [(facet.points, found[0]) for facet in counted if (found := meant_in(said, facet.words)) is not None]
    return sum(points for points, _ in hits) + _mood(said), [found for _, found in hits]


def _mood(said: Said) -> float:
    in_parameter = said.role == "parameter"
    moods = {
        "asked": said.asks or in_parameter,
        "orders": said.orders,
        "parameter": in_parameter,
        "soft": facets.SOFT.search(said.text) is not None,
        "own": facets.OWN.search(said.text) is not None,
        "measures": _measures(said),
        "example": facets.EXAMPLE.search(said.text) is not None,
        "denial": facets.DENIAL.search(said.text) is not None,
    }
    return sum(SCORES[name] for name, holds in moods.items() if holds)


def _measures(said: Said) -> bool:
    return said.role == "parameter" and facets.MEASURES.match(said.text) is not None


def _handed_over(said: Said, subjects: frozenset[str]) -> bool:
    """The plain case: give what is not the tool's into one of its fields, and nothing speaks for it."""
    excused = any(
        words.search(said.text) for words in (facets.SOFT, facets.OWN, facets.EXAMPLE, facets.DENIAL)
    ) or _measures(said)
    if not said.asks or said.purpose or excused:
        return False
    thing = _has(said, facets.PLACE) or any(_has(said, NOUNS[name]) for name in _HELD if name not in subjects)
    given = _has(said, facets.GIVES) or (_has(said, facets.TAKES) and _has(said, MARKS["whole"]))
    put = _has(said, MARKS["sink"]) or _has(said, MARKS["address"])
    return thing and given and put and (said.role != "parameter" or _has(said, MARKS["outside"]))


def _has(said: Said, facet: Facet) -> bool:
    return meant_in(said, facet.words) is not None
