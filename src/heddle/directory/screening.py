"""What of a target's catalogue may be shown to callers: pins, changes and signs of poisoning, taken together.

Owns the decision, and what the store is told of it. What is withheld is not replaced by what was approved: the server
no longer has that, and would answer a call to it with the new one. A definition that goes back to what was approved is
admitted again. Called on every refresh of a catalogue; when nothing changed, digests are all that is compared.

Refuses to guess: when the store cannot be used its error is passed on, and nothing new is admitted.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from heddle.directory.changes import GRADES, Change, Severity, classify
from heddle.directory.definitions import Definition, Kind, set_digest
from heddle.directory.judging import (
    JUDGED,
    MAX_QUESTIONS,
    UNJUDGED,
    Judged,
    Neighbours,
    Place,
    Question,
    place_of,
    question,
)
from heddle.directory.poisoning import Checker, Finding
from heddle.directory.resemblance import MAX_PAIRS, Known, known, resembled
from heddle.directory.visible import clipped
from heddle.drivers.approvals import Approvals, ApprovalsFullError, Key, Proposal, Record, State
from heddle.model.match import glob_match
from heddle.model.snapshot_mcp import SafetySpec

Reason = Literal["pending", "changed", "poisoned", "rejected"]
Others = Mapping[str, Sequence[Definition]]


_INCOMPLETE = ""
"""In place of a set's digest: it was seen for the first time, and is not judged to its end. What was not there then,
word for word, is added."""


class Withheld(msgspec.Struct, frozen=True):
    """Why a definition is not shown."""

    reason: Reason
    detail: str
    """For operators, fit to be shown; callers are told nothing."""


BEING_JUDGED = Withheld("pending", "it is being judged")
"""For a moment: it is no matter for anybody yet."""


class Screening(msgspec.Struct, frozen=True):
    """What became of a catalogue."""

    admitted: frozenset[Key]
    withheld: dict[Key, Withheld]
    findings: dict[Key, tuple[Finding, ...]]
    """Of what is new or changed; where poisoned definitions are blocked, of everything, approved or not."""
    changes: dict[Key, Change]
    """Against what is approved; `added` for a name that is new in a set that was pinned."""
    removed: frozenset[Key] = frozenset()
    """Approved, and no longer offered."""
    set_changed: bool = False
    """Whether the set as a whole is another than the one that was admitted last."""


class Screen:
    """Screens the catalogues of targets under one set of rules."""

    def __init__(self, approvals: Approvals, spec: SafetySpec) -> None:
        self._approvals, self._spec = approvals, spec

    @property
    def judges(self) -> bool:
        """Whether a judge has a say."""
        return self._spec.poisoning != "off" and not any(glob_match(pattern, JUDGED) for pattern in self._spec.ignore)

    def screen(
        self,
        target: str,
        definitions: Sequence[Definition],
        others: Others,
        *,
        fresh: bool = True,
        judged: Judged | None = None,
    ) -> Screening:
        """Judge everything that `target` offers, of all kinds, beside what other targets offer.

        `others` may name `target` itself; that is passed over. What was read a while ago is not `fresh`: nothing of it
        is withdrawn, and only proposed what the store never saw, for others may have read the target since. `judged` is
        what a judge says of what `questions` asks; what it has not said yet is held back. What was offered the first
        time counts as seen first however late it is judged. Raises ApprovalsError.
        """
        return _Pass(self._approvals, self._spec, target, definitions, judged).run(others, fresh=fresh)

    def questions(self, target: str, definitions: Sequence[Definition], others: Others) -> dict[Place, Question | None]:
        """What a judge is to be asked: about what is new or changed.

        Where poisoned definitions are blocked, about everything. None stands for what is too long to be asked about.
        Raises ApprovalsError.
        """
        if not self.judges:
            return {}
        approved, neighbours = self._approvals.approved(target), Neighbours(others, target)
        asked: dict[Place, Question | None] = {}

        def about(one: Definition, former: Definition | None = None) -> Question | None:
            # Of more than anybody is asked about, none is written.
            return question(one, target, neighbours, former) if len(asked) < MAX_QUESTIONS else None

        for one in definitions:
            record = approved.get(one.key)
            if record is None or record.digest != one.digest:
                former = _definition(record) if record is not None else None
                asked[place_of(one)] = about(one, former)
            elif self._spec.poisoning == "block":
                asked[place_of(one)] = about(one)
        return asked


class _Pass:
    """One screening."""

    def __init__(
        self,
        approvals: Approvals,
        spec: SafetySpec,
        target: str,
        definitions: Sequence[Definition],
        judged: Judged | None,
    ) -> None:
        self._store, self._spec, self._target, self._judged = approvals, spec, target, judged
        self._offered: dict[Key, Definition] = {}
        self._withheld: dict[Key, Withheld] = {}
        self._findings: dict[Key, tuple[Finding, ...]] = {}
        self._changes: dict[Key, Change] = {}
        self._pins: list[Definition] = []
        self._proposals: dict[Key, Proposal] = {}
        self._known: list[Known] | None = None
        self._notes: dict[Key, tuple[str, ...]] | None = None
        """Of what waits, where they are needed."""
        for one in definitions:
            if self._offered.setdefault(one.key, one).digest != one.digest:
                self._withheld[one.key] = Withheld("changed", "offered twice, with different definitions")
        self._approved: dict[Key, Record] = approvals.approved(target)
        self._set = approvals.approved_set(target)
        self._first = self._set is None and not self._approved
        """Nothing of it was ever seen."""
        self._begun: frozenset[tuple[str, str, str]] = frozenset()
        """What was there the first time, while that is not judged to its end."""
        self._open: list[Definition] = []
        """What the judge has still to say something about."""
        self._set_offered = set_digest(definitions)
        self._states: Mapping[tuple[str, str, str], State] = {}

    def run(self, others: Others, *, fresh: bool) -> Screening:
        if self._set_offered == self._set and self._spec.poisoning != "block" and self._is_approved():
            return self._result(changed=False)
        self._states = self._store.decided(self._target)
        if self._set == _INCOMPLETE:
            self._begun = self._store.begun(self._target)
        checker = Checker({**others, self._target: list(self._offered.values())}, self._target, self._spec.ignore)
        # What has a pin comes first: a rename is seen by what became of the old name.
        for key in sorted(self._offered, key=lambda key: (key not in self._approved, key)):
            if key not in self._withheld:
                self._judge(key, self._offered[key], checker)
        self._write(fresh=fresh)
        return self._result(changed=bool(self._set) and self._set_offered != self._set)

    def _is_approved(self) -> bool:
        return not self._withheld and all(
            key in self._approved and self._approved[key].digest == one.digest for key, one in self._offered.items()
        )

    # Judging one

    def _judge(self, key: Key, one: Definition, checker: Checker) -> None:
        approved = self._approved.get(key)
        if self._states.get((*key, one.digest)) == "rejected":
            self._withheld[key] = Withheld("rejected", "this version was rejected")
        elif approved is not None and approved.digest == one.digest:
            if self._spec.poisoning == "block" and self._is_poisoned(one, checker):
                self._withheld[key] = Withheld("poisoned", self._told(key))
        elif self._is_open(one) and self._spec.poisoning in ("quarantine", "block"):
            self._withheld[key] = BEING_JUDGED
        elif self._is_poisoned(one, checker) and self._spec.poisoning in ("quarantine", "block"):
            self._note_change(key, one, approved)
            self._hold(one, "poisoned", self._told(key))
        elif self._spec.pin == "off":
            return
        elif approved is not None:
            self._judge_changed(key, one, approved)
        else:
            self._judge_new(key, one)

    def _is_open(self, one: Definition) -> bool:
        """Whether it waits for what the judge says."""
        if self._judged is None or not self._judged.is_open(one):
            return False
        self._open.append(one)
        return True

    def _is_poisoned(self, one: Definition, checker: Checker) -> bool:
        if self._spec.poisoning == "off":
            return False
        found = checker.check(one)
        if self._judged is not None:
            record = self._approved.get(one.key)
            found = self._judged.weigh(one, found, approved=record is not None and record.digest == one.digest)
        if found:
            self._findings[one.key] = tuple(found)
        return any(finding.counts for finding in found)

    def _note_change(self, key: Key, one: Definition, approved: Record | None) -> None:
        if approved is not None:
            self._changes[key] = classify(_definition(approved), one)
        elif not self._is_first(one):
            self._changes[key] = Change("added", ("a name that was not there",))

    def _judge_changed(self, key: Key, one: Definition, approved: Record) -> None:
        self._note_change(key, one, approved)
        change = self._changes[key]
        action = self._action(change.severity)
        again = " (a version that was here before)" if self._states.get((*key, one.digest)) == "seen" else ""
        if action == "quarantine":
            self._hold(one, "changed", f"{change.severity}: {'; '.join(change.reasons[:3])}{again}")
        elif action == "warn":
            # Shown, and still compared with what was approved: small changes do not add up to a large one unseen.
            self._propose(one, "changed")

    def _judge_new(self, key: Key, one: Definition) -> None:
        if self._spec.pin == "manual":
            self._note_change(key, one, None)
            self._hold(one, "pending", "not approved yet")
        elif self._is_first(one):
            self._pin_later(one)
        else:
            self._note_change(key, one, None)
            self._judge_added(one)

    def _is_first(self, one: Definition) -> bool:
        return self._first or (*one.key, one.digest) in self._begun

    def _pin_later(self, one: Definition) -> None:
        # What is shown while a judge reads it is pinned when that has spoken: until then it is asked about.
        if self._judged is None or not self._judged.is_open(one):
            self._pins.append(one)

    def _judge_added(self, one: Definition) -> None:
        if self._action("added") == "quarantine":
            self._hold(one, "pending", "a name that was not there when the set was approved")
            return
        former = self._formerly(one)
        if former is not None:
            self._hold(one, "pending", f"resembles {clipped(former.name)!r}, which {former.why}")
        else:
            self._pin_later(one)

    def _action(self, severity: Severity) -> str:
        if severity == "none":
            return "allow"
        # A grade that no rule names is held back.
        return self._spec.on_change.get(severity, "quarantine")

    # Renames

    def _formerly(self, one: Definition) -> Known | None:
        if self._known is None:
            self._known = self._gone()
        added = sum(key not in self._approved for key in self._offered)
        if added * len(self._known) > MAX_PAIRS:
            return Known(one.kind, one.name, "is one of more than can be compared", frozenset())
        return resembled(one.kind, one.name, one.content, self._known)

    def _gone(self) -> list[Known]:
        """What must not come back under another name: what is removed, and what was never approved."""
        found = []
        for version in self._store.history(self._target):
            key = (version.kind, version.name)
            shown = key in self._offered and key not in self._withheld
            if version.state == "rejected":
                why = "was rejected"
            elif not shown:
                why = "is withheld" if key in self._offered else "was removed"
            elif version.state in ("pending", "seen") and not version.decided_by and key in self._approved:
                why = "was never approved like this"
            else:
                continue
            found.append(known(version.kind, version.name, version.content, why))
        for key, withheld in self._withheld.items():
            now = self._offered[key]
            found.append(known(now.kind, now.name, now.content, f"is {withheld.reason}"))
        return found

    # Telling the store

    def _hold(self, one: Definition, reason: Reason, detail: str) -> None:
        self._withheld[one.key] = Withheld(reason, detail)
        self._propose(one, reason)

    def _propose(self, one: Definition, reason: Reason) -> None:
        change = self._changes.get(one.key)
        notes = (*map(str, self._findings.get(one.key, ())), *(change.reasons if change is not None else ()))
        grade = "" if change is None else change.severity
        self._proposals[one.key] = Proposal(one.kind, one.name, one.content, one.digest, reason, grade, notes)

    def _told(self, key: Key) -> str:
        return "; ".join(str(finding) for finding in self._findings[key][:3])

    def _write(self, *, fresh: bool) -> None:
        self._pin(fresh=fresh)
        waiting = {key[:2]: key[2] for key, state in self._states.items() if state == "pending"}
        proposed = [one for key, one in self._proposals.items() if self._is_news(key, one, waiting, fresh=fresh)]
        if proposed:
            try:
                self._store.propose(self._target, proposed)
            except ApprovalsFullError:
                self._too_many([one for key, one in self._offered.items() if key in self._proposals])
        open_ = {one.key: one.digest for one in self._open if one.key not in self._proposals}
        judging = {key for key, digest in open_.items() if waiting.get(key) != digest}
        gone = [key for key in waiting if key in judging or not (key in self._proposals or key in self._withheld)]
        if gone and fresh:
            self._store.withdraw(self._target, gone)

    def _is_news(self, key: Key, one: Proposal, waiting: Mapping[Key, str], *, fresh: bool) -> bool:
        """Whether the store is to be told of a proposal."""
        if waiting.get(key) == one.digest:
            # It was proposed for want of a verdict, and there is one now.
            return self._judged is not None and self._is_judged_since(key, one)
        if fresh:
            return True
        # Once for each verdict also what was there before: it was withdrawn while it was judged.
        heard = self._judged is not None and self._judged.news
        return key not in waiting and self._states.get((*key, one.digest)) in ((None, "seen") if heard else (None,))

    def _is_judged_since(self, key: Key, one: Proposal) -> bool:
        if self._notes is None:
            pending = self._store.pending(self._target)
            self._notes = {(p.proposal.kind, p.proposal.name): p.proposal.notes for p in pending}
        return _lacks_verdict(self._notes.get(key, ())) and not _lacks_verdict(one.notes)

    def _pin(self, *, fresh: bool) -> None:
        if self._spec.pin == "off" or not self._offered:
            # A server that lists nothing yet has not been seen: its first tools are still the first.
            return
        admitted = set_digest([one for key, one in self._offered.items() if key not in self._withheld])
        begins = self._first or self._set == _INCOMPLETE
        if begins and self._judged is not None and not self._judged.complete:
            admitted = _INCOMPLETE
            if self._first:
                self._store.begin(self._target, [(*key, one.digest) for key, one in self._offered.items()])
        # What was begun is brought to its end by whoever hears the last verdict.
        kept = not fresh and self._set != _INCOMPLETE
        if not self._pins and (admitted in (self._set, _INCOMPLETE) or kept):
            return
        pins = [Proposal(one.kind, one.name, one.content, one.digest) for one in self._pins]
        try:
            self._store.pin(self._target, pins, admitted)
        except ApprovalsFullError:
            self._too_many(self._pins)
            return
        pinned = self._store.approved(self._target)
        for one in self._pins:
            record = pinned.get(one.key)
            if record is None or record.digest != one.digest:
                # Another process saw another definition first.
                self._withheld[one.key] = Withheld("changed", "pinned otherwise at the same moment")

    def _too_many(self, definitions: Sequence[Definition]) -> None:
        for one in definitions:
            self._withheld[one.key] = Withheld("pending", "more definitions than are kept for one target")

    def _result(self, *, changed: bool) -> Screening:
        return Screening(
            admitted=frozenset(self._offered.keys() - self._withheld.keys()),
            withheld=self._withheld,
            findings=self._findings,
            changes=dict(sorted(self._changes.items(), key=lambda pair: (GRADES.index(pair[1].severity), pair[0]))),
            removed=frozenset(self._approved.keys() - self._offered.keys()),
            set_changed=changed,
        )


def _lacks_verdict(notes: Sequence[str]) -> bool:
    return any(f" {UNJUDGED} at " in note for note in notes)


def _definition(record: Record) -> Definition:
    return Definition(msgspec.convert(record.kind, Kind), record.name, record.content, record.digest)
