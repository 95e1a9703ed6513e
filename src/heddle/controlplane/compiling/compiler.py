"""The compiler: objects come in, one by one; parts of the snapshot, who needs them, and conditions come out.

Owns the order in which objects are compiled and which are again. Each is compiled alone, from itself and what it asked
for; a change reaches those who asked for what it changed, and nobody else. What comes out depends on the objects there
are, and not on how they came to be. An object that breaks its compiler is not accepted, and harms no other.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from heddle.controlplane.compiling.agents import (
    compile_agent,
    compile_model_config,
    compile_model_provider,
    named_facts,
)
from heddle.controlplane.compiling.audience import Audiences, Published
from heddle.controlplane.compiling.backends import (
    TOOLS,
    backend_facts,
    compile_backend,
    compile_remote,
    compile_started,
)
from heddle.controlplane.compiling.conditions import Condition, render
from heddle.controlplane.compiling.fragment import Fragment, Piece, Surroundings, Work, failed
from heddle.controlplane.compiling.gateways import compile_gateway, compile_parameters
from heddle.controlplane.compiling.index import TOPIC_QUESTIONS, Index, Ledger, Lookup, Question, Topic
from heddle.controlplane.compiling.listeners import gateway_facts
from heddle.controlplane.compiling.models import (
    compile_served_model,
    compile_virtual_server,
    model_facts,
    server_facts,
)
from heddle.controlplane.compiling.objects import Fact, Seen, order_of, read, said_of, significant
from heddle.controlplane.compiling.policies import closed_policy, compile_policy, policy_facts, unread_policy
from heddle.controlplane.compiling.references import grant_facts
from heddle.controlplane.compiling.routes import compile_route
from heddle.controlplane.compiling.secrets import compile_map, compile_secret
from heddle.drivers.documents import Key
from heddle.model.parts import SnapshotPart, encode_body, encode_part

_THERE = encode_part(SnapshotPart(body=encode_body(True)))
_log = logging.getLogger("heddle.compiling")


class _Kind(NamedTuple):
    """How objects of a resource are compiled."""

    rank: int
    """An object asks for the outcome of lower ranks only, so each is compiled once for a change."""
    compile: Callable[[Work], Fragment] | None = None
    """None is only read by others."""
    facts: Callable[[Seen, str], Iterable[Fact]] = lambda _seen, _root: ()
    unread: Callable[[Work], Fragment] | None = None
    """What becomes of one that cannot be read; None refuses it."""
    declares: str = ""
    """The part that says that there is one in the root namespace, whatever is wrong with it."""
    protocols: tuple[str, ...] = ()
    """Of that part."""
    closed: Callable[[Work], Fragment] | None = None
    """What stands for one whose compiler failed; None is nothing."""


def _remote_facts(seen: Seen, root: str) -> Iterator[Fact]:
    yield from backend_facts(seen, root)
    yield from named_facts(seen)


_KINDS: dict[str, _Kind] = {
    "namespaces": _Kind(0),
    "services": _Kind(0),
    "configmaps": _Kind(0, compile_map),
    "secrets": _Kind(0, compile_secret),
    "referencegrants.gateway.networking.k8s.io": _Kind(0, facts=lambda seen, _: grant_facts(seen)),
    "gatewayparameters.heddle.dev": _Kind(1, compile_parameters),
    "backends.heddle.dev": _Kind(1, compile_backend, backend_facts),
    "remotemcpservers.kagent.dev": _Kind(1, compile_remote, _remote_facts),
    "mcpservers.kagent.dev": _Kind(1, compile_started, _remote_facts),
    "modelconfigs.kagent.dev": _Kind(1, compile_model_config, lambda seen, _: named_facts(seen)),
    "modelproviderconfigs.kagent.dev": _Kind(1, compile_model_provider),
    "policies.heddle.dev": _Kind(2, compile_policy, policy_facts, unread_policy, closed=closed_policy),
    "models.heddle.dev": _Kind(3, compile_served_model, model_facts),
    "virtualservers.heddle.dev": _Kind(3, compile_virtual_server, server_facts, None, "declared/servers", TOOLS),
    "httproutes.gateway.networking.k8s.io": _Kind(4, compile_route),
    "agents.kagent.dev": _Kind(4, compile_agent, lambda seen, _: named_facts(seen)),
    "gateways.gateway.networking.k8s.io": _Kind(5, compile_gateway, gateway_facts),
}


class Delta(NamedTuple):
    """What changed for gateways."""

    changed: dict[str, Published]
    removed: list[str]


class Programmed(NamedTuple):
    """What gateways said of what an object came to."""

    ok: bool
    reason: str
    message: str = ""


class Compiler:
    """All objects, and what they came to. Not for several threads."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._seen: dict[Key, Seen] = {}
        self._digests: dict[Key, bytes] = {}
        self._fragments: dict[Key, Fragment] = {}
        self._index = Index()
        self._ledger = Ledger()
        self._audiences = Audiences()
        self._owners: dict[str, dict[Key, Piece]] = {}
        """Part -> who made it, and as what: several objects may make the same."""
        self._dirty: dict[int, set[Key]] = {}
        self._changed: set[Key] = set()
        self._restate: set[Key] = set()
        """Objects whose status may no longer be what is to be said."""
        self._stated: dict[Key, tuple[Any, dict[str, Any]]] = {}
        """The status that an object last had when it was told another, and that other."""
        self._programmed: dict[Key, Programmed] = {}
        self.compiled = 0
        """Objects that were compiled so far, each time counted."""

    def change(self, key: Key, raw: dict[str, Any] | None) -> None:
        """An object is like this now, or is gone. Other kinds than those that are compiled are ignored."""
        if key.resource not in _KINDS:
            return
        if raw is None:
            if key in self._seen:
                self._changed.add(key)
                self._digests.pop(key, None)
                # Another of this name is another object: nobody has said anything of it.
                self._stated.pop(key, None)
                self._programmed.pop(key, None)
                del self._seen[key]
            return
        digest = significant(raw)
        if self._digests.get(key) == digest:
            # Only its status is another, perhaps because it was written as we said.
            self._seen[key] = self._seen[key]._replace(raw=raw)
        else:
            self._digests[key] = digest
            self._seen[key] = _read(key, raw, self._around.folder)
            self._changed.add(key)
        self._restate.add(key)

    def settle(self) -> Delta:
        """Compile what changed, and what depends on it."""
        topics: set[Topic] = set()
        questions: set[Question] = set()
        for key in sorted(self._changed):
            seen = self._seen.get(key)
            facts = _facts(seen, self._around.root) if seen is not None else ()
            topics |= self._index.tell("read", key, seen.order if seen is not None else "", facts)
            questions.add(("object", key))
            self._mark(key)
        self._changed.clear()
        self._ask_again(topics, questions)
        while self._dirty:
            rank = min(self._dirty)
            topics, questions = set(), set()
            for key in sorted(self._dirty.pop(rank)):
                topics |= self._compile(key)
                questions.add(("outcome", key))
            self._ask_again(topics, questions)
        return Delta(*self._audiences.settle())

    def full(self) -> dict[str, Published]:
        """Everything that gateways need, after the last `settle`."""
        return self._audiences.published()

    def conditions(self, now_s: float) -> list[tuple[Key, dict[str, Any]]]:
        """Statuses that are not what they should be, each once: the whole status, with what others wrote there."""
        said: list[tuple[Key, dict[str, Any]]] = []
        for key in sorted(self._restate):
            seen, fragment = self._seen.get(key), self._fragments.get(key)
            if seen is None or fragment is None or fragment.status is None:
                self._stated.pop(key, None)
                continue
            status = render(self._with_verdicts(key, fragment.status), seen.raw, now_s)
            answer = (seen.raw.get("status"), status)
            # What was said before to the same status did not help then: a server may keep only a part of it.
            if status != answer[0] and self._stated.get(key) != answer:
                said.append((key, status))
                self._stated[key] = answer
        self._restate.clear()
        return said

    def programmed(self, key: Key, verdict: Programmed | None) -> None:
        """Gateways run what an object came to, or refuse it; None is that nobody has said."""
        if self._programmed.get(key) != verdict:
            self._programmed.pop(key, None)
            if verdict is not None:
                self._programmed[key] = verdict
            self._restate.add(key)

    def makers(self, part: str) -> tuple[Key, ...]:
        """The objects that a part was made of: whom a gateway means that refuses it."""
        return tuple(self._owners.get(part, ()))

    def parts_of(self, key: Key) -> tuple[str, ...]:
        """The parts that an object came to."""
        fragment = self._fragments.get(key)
        return tuple(fragment.parts) if fragment is not None else ()

    def _with_verdicts(self, key: Key, status: dict[str, Any]) -> dict[str, Any]:
        verdict = self._programmed.get(key)
        conditions = status.get("conditions")
        if verdict is None or conditions is None:
            return status
        said = Condition("Programmed", "True" if verdict.ok else "False", verdict.reason, verdict.message)
        kept = _with_verdict(conditions, said)
        if all(one.type != "Programmed" for one in kept) and kept[0].status == "True":
            kept.append(said)
        below = [{**one, "conditions": _with_verdict(one["conditions"], said)} for one in status.get("listeners", ())]
        return {**status, "conditions": kept, **({"listeners": below} if below else {})}

    def _mark(self, key: Key) -> None:
        self._dirty.setdefault(_KINDS[key.resource].rank, set()).add(key)

    def _ask_again(self, topics: set[Topic], questions: set[Question]) -> None:
        """Mark those who would be told something else now."""
        for topic in topics:
            for projection in TOPIC_QUESTIONS:
                questions.add((projection, topic))
        for question in questions:
            for reader in self._ledger.outdated(question, self._answer):
                self._mark(reader)

    def _answer(self, question: Question) -> Any:
        what, about = question
        if what == "object":
            return self._seen.get(about)
        if what == "outcome":
            fragment = self._fragments.get(about)
            return fragment.outcome if fragment is not None else None
        return self._index.answer(what, about)

    def _compile(self, key: Key) -> set[Topic]:
        """Compile one object; the topics that it says something else of."""
        self.compiled += 1
        self._restate.add(key)
        seen = self._seen.get(key)
        if seen is None:
            return self._replace(key, "", None, {})
        lookup = Lookup(self._answer)
        fragment = _fragment(Work(seen, lookup, self._around))
        if key.namespace == self._around.root:
            fragment = _declared(fragment, _KINDS[key.resource])
        return self._replace(key, seen.order, fragment, lookup.answers)

    def _replace(self, key: Key, order: str, fragment: Fragment | None, answers: dict[Question, Any]) -> set[Topic]:
        self._ledger.asked(key, answers)
        before = self._fragments.pop(key, Fragment())
        if fragment is not None:
            self._fragments[key] = fragment
        now = fragment if fragment is not None else Fragment()
        for name in before.parts.keys() - now.parts.keys():
            self._owned(name, key, None)
        for name, piece in now.parts.items():
            if before.parts.get(name) != piece:
                self._owned(name, key, piece)
        if key.resource == "gateways.gateway.networking.k8s.io":
            self._audiences.gateway(f"{key.namespace}/{key.name}", now.outcome or ())
        return self._index.tell("compiled", key, order, now.facts)

    def _owned(self, name: str, key: Key, piece: Piece | None) -> None:
        """Several may make a part, and then make the same: names have one owner, price lists are called by digest."""
        owners = self._owners.setdefault(name, {})
        if piece is None:
            owners.pop(key, None)
        else:
            owners[key] = piece
        self._audiences.put(name, next(iter(owners.values())) if owners else None)
        if not owners:
            del self._owners[name]


def _with_verdict(conditions: list[Condition], said: Condition) -> list[Condition]:
    """What was not compiled is not run, whatever is said of the version that others are part of."""
    return [one if one.type != "Programmed" or one.status == "False" else said for one in conditions]


def _read(key: Key, raw: dict[str, Any], folder: str) -> Seen:
    try:
        return read(key, raw, folder)
    except Exception:
        _log.exception("%s %s/%s cannot be read", *key)
        return _broken(key, raw)


def _broken(key: Key, raw: dict[str, Any]) -> Seen:
    """What stands for an object that broke its reader."""
    bare = read(key, {})
    return bare._replace(raw=raw, order=order_of(key, raw))


def _facts(seen: Seen, root: str) -> tuple[Fact, ...]:
    try:
        return tuple(_KINDS[seen.key.resource].facts(seen, root))
    except Exception:
        _log.exception("%s %s/%s cannot be read", *seen.key)
        return ()


def _fragment(work: Work) -> Fragment:
    """What an object comes to; an unexpected failure is its own."""
    seen = work.seen
    kind = _KINDS[seen.key.resource]
    try:
        if seen.problems:
            return kind.unread(work) if kind.unread is not None else failed("Invalid", said_of(seen.problems))
        return kind.compile(work) if kind.compile is not None else Fragment(outcome=True)
    except Exception:
        _log.exception("%s %s/%s cannot be compiled", *seen.key)
        fragment = failed("CompileFailed", "compiling it failed; the log of the control plane says more")
        return _closed(work, fragment)


def _declared(fragment: Fragment, kind: _Kind) -> Fragment:
    if not kind.declares:
        return fragment
    piece = Piece(_THERE, protocols=kind.protocols)
    return fragment._replace(parts={**fragment.parts, kind.declares: piece})


def _closed(work: Work, fragment: Fragment) -> Fragment:
    """An authorization that broke its compiler denies, as an invalid one does."""
    closed = _KINDS[work.seen.key.resource].closed
    if closed is None:
        return fragment
    try:
        return closed(Work(work.seen, work.lookup, work.around))._replace(status=fragment.status)
    except Exception:
        _log.exception("%s %s/%s cannot be denied", *work.seen.key)
        return fragment
