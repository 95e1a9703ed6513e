"""Signs that a definition is there to mislead the model that reads it.

Owns the check and its rules, a file for each kind of sign. A rule reads words, not intent: it finds what is written to
be obeyed, and takes care to tell it from what merely names the same things. Some rules know phrases; those in
`carried`, `people`, `standing` and `abroad` know kinds of words, and what a tool's own subject is; `frames` knows what
is done to what. Every finding names its rule. All of it is bounded: a definition of any size takes time that grows with
its length and ends.

What is not found here: what is said well enough to look like a tool's own business, and what a tool answers. Pins find
every change whatever it says; guards read answers.
"""

from collections.abc import Iterator, Mapping, Sequence

from heddle.directory.definitions import Definition
from heddle.directory.poisoning.abroad import abroad_in
from heddle.directory.poisoning.alike import NameIndex, words_of
from heddle.directory.poisoning.carried import beside_in, subjects_of
from heddle.directory.poisoning.encoded import disguised, unwrapped, unwrapping_in
from heddle.directory.poisoning.farther import farther_in
from heddle.directory.poisoning.findings import Finding, Severity
from heddle.directory.poisoning.flows import flows_in
from heddle.directory.poisoning.frames import frames_in
from heddle.directory.poisoning.hidden import hidden_in
from heddle.directory.poisoning.markup import markup_in
from heddle.directory.poisoning.orders import Sign, orders_in
from heddle.directory.poisoning.parameters import default_copies, name_asks, wants_in
from heddle.directory.poisoning.people import people_in
from heddle.directory.poisoning.said import sentences
from heddle.directory.poisoning.secrets import name_takes, secrets_in
from heddle.directory.poisoning.shadowing import Names, shadowing_in
from heddle.directory.poisoning.standing import standing_in
from heddle.directory.poisoning.texts import Role, Text, texts_of
from heddle.directory.visible import clipped
from heddle.model.match import glob_match

__all__ = ["Checker", "Finding", "Severity", "check", "instructs"]

MAX_FINDINGS = 50
"""Of one definition."""
MAX_CHARS = 4 * 1024 * 1024
"""Read of one catalogue: some five thousand tools, and half a minute of a thread."""
_LONG_NAME_WORDS = 6
"""A key of more words is a sentence."""


def check(
    definition: Definition, others: Mapping[str, Sequence[Definition]], target: str, ignore: Sequence[str] = ()
) -> list[Finding]:
    """What is wrong with a definition of `target`, beside the definitions of all targets."""
    return Checker(others, target, ignore).check(definition)


class Checker:
    """Checks definitions of one target. Made once for a catalogue: it knows the names of all others."""

    def __init__(
        self,
        others: Mapping[str, Sequence[Definition]],
        target: str,
        ignore: Sequence[str] = (),
        budget: int = MAX_CHARS,
    ) -> None:
        """`others` are definitions by target; those of `target` itself are its own.

        `ignore` are patterns of names of rules.
        `budget` is how many characters are read of all definitions together; what is beyond it is found too large.
        """
        self._left = budget
        foreign = [
            (name, one.name)
            for name, all_of in others.items()
            if name != target
            for one in all_of
            if one.kind == "tool"
        ]
        own = {one.name for one in others.get(target, ()) if one.kind == "tool"}
        self._index = NameIndex(foreign)
        self._foreign, self._own = {name for _, name in foreign}, own
        self._names = Names(self._foreign, own)
        self._ignore = tuple(ignore)

    def check(self, definition: Definition) -> list[Finding]:
        """Its findings: each rule at most once in a place, the grave ones first."""
        names = self._names.about(definition.name)
        names.topics = _topics_of(definition)
        if definition.kind == "tool" and definition.name not in self._own and definition.name not in self._foreign:
            names = Names(self._foreign, self._own | {definition.name}).about(definition.name)
            names.topics = _topics_of(definition)
        found: dict[tuple[str, str], Finding] = {}
        for where, sign in self._signs(definition, names):
            if len(found) < MAX_FINDINGS and not self._is_ignored(sign.rule):
                found.setdefault(
                    (sign.rule, where), Finding(sign.rule, sign.severity, clipped(where), clipped(sign.evidence))
                )
        return sorted(found.values(), key=lambda one: ("high", "medium", "low").index(one.severity))

    def _is_ignored(self, rule: str) -> bool:
        return any(glob_match(pattern, rule) for pattern in self._ignore)

    def _signs(self, definition: Definition, names: Names) -> Iterator[tuple[str, Sign]]:
        texts, unread = texts_of(definition)
        self._left -= sum(len(text.text) for text in texts)
        if self._left < 0:
            yield "", Sign("too_large", "medium", "more than is read of one catalogue")
            return
        for where in unread:
            yield where, Sign("too_large", "medium", "longer than what is read of it")
        if definition.kind == "tool":
            yield from (("name", sign) for sign in self._index.alike(definition.name))
        described = {text.parameter: text.text for text in texts if text.parameter and text.role == "parameter"}
        for text in texts:
            for sign in _signs_of(text, names):
                yield text.where, sign
            if text.role == "name":
                for sign in name_asks(text.text, described.get(text.text, "")):
                    yield text.where, sign


def _topics_of(definition: Definition) -> frozenset[str]:
    """What its name and the first sentence of its description are about."""
    value = definition.value()
    described = value.get("description") if isinstance(value, dict) else None
    lead = next(sentences(described, "lead"), None) if isinstance(described, str) else None
    return subjects_of(" ".join(words_of(definition.name)) + " | " + (lead.text if lead is not None else ""))


def instructs(text: str) -> set[tuple[str, str]]:
    """Orders that a text, on its own, gives to a model: rule and words. For what appears in a change."""
    names = Names(set(), set())
    return {(sign.rule, sign.evidence) for sign in _signs_of(Text("", text, "said"), names) if sign.severity != "low"}


def _signs_of(text: Text, names: Names) -> Iterator[Sign]:
    yield from hidden_in(text.text, name=text.role == "name" and len(text.text) <= 64 and text.where != "uri")
    if text.role == "name":
        words = words_of(text.text)
        yield from name_takes(words)
        if len(words) > _LONG_NAME_WORDS or " " in text.text.strip():
            yield from _prose(" ".join(words) if "_" in text.text else text.text, "said", text, names)
        return
    if text.role == "value":
        yield from default_copies(text.parameter, text.text)
    yield from markup_in(text.text)
    # Data (a default, an example, a choice) is prose only when it is long enough to be a sentence.
    if text.role != "value" or text.text.count(" ") >= 3:
        yield from _prose(text.text, "said" if text.role == "value" else text.role, text, names)
    plainer = disguised(text.text)
    if plainer is not None and _misleads(plainer, text, names) and not _misleads(text.text, text, names):
        yield Sign("disguised_letters", "high", text.text)
    for blob, plain in unwrapped(text.text):
        orders = [sign for sign in _prose(plain, "said", text, names) if sign.severity != "low"]
        # Prose that gives an order, and is wrapped: nobody honest writes a description so.
        told = orders or (text.role != "value" and any(said.orders for said in sentences(plain, "said")))
        yield Sign("encoded_text", "high" if told else "low", f"{plain} (as {blob[:24]}…)")


def _misleads(prose: str, text: Text, names: Names) -> bool:
    return any(sign.severity != "low" for sign in _prose(prose, "said", text, names))


def _prose(prose: str, role: Role, text: Text, names: Names) -> Iterator[Sign]:
    for said in sentences(prose, role):
        yield from orders_in(said)
        yield from secrets_in(said)
        yield from shadowing_in(said, names)
        yield from wants_in(said, text.parameter)
        yield from unwrapping_in(said)
        yield from flows_in(said, names.subject)
        yield from beside_in(said, names.topics)
        yield from people_in(said)
        yield from standing_in(said)
        yield from frames_in(said)
    yield from abroad_in(prose, role, names.others)
    yield from farther_in(prose)
