"""What all guarded calls share: asking those guards that need the whole, and writing down what was found.

Owns how a refusal reads, to callers and in the audit log. It knows neither models nor tools: a call says itself what
records name it.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_guards import Direction, GuardSpec
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.pipeline.guard_texts import LARGE_BYTES, Treatment, treat_body, treat_large_body
from heddle.pipeline.guarding import Decision, GuardSet, GuardUnavailableError, Judge, Judged, Lanes, Vault
from heddle.telemetry import names
from heddle.telemetry.records import AuditRecord

_log = logging.getLogger("heddle.guards")

_SCOPES = {
    "system": "the instructions",
    "user": "what the user says",
    "assistant": "the answer",
    "tool_arguments": "arguments of a tool",
    "tool_result": "a tool's result",
}


class Subject(NamedTuple):
    """What a call is to records and judges."""

    resource: str
    """What was asked for, e.g. `model:gpt-4o-mini`."""
    entry: str
    """The configured name behind it: tells repeats apart."""
    name: str
    """What judges are told it is."""
    request: bytes
    """The caller's body."""


class Guards:
    """The guards of a snapshot, and where their findings are told."""

    def __init__(self, snapshot: Snapshot, tools: Tools) -> None:
        self.tools = tools
        self.specs = snapshot.guards
        self.set: GuardSet = tools.guards(snapshot.guards, tools)

    def count(self, decision: Decision) -> None:
        """Count one finding."""
        labels = {"guard": decision.guard, "action": decision.action, "scope": decision.scope}
        self.tools.metrics.counter(names.GUARD_DECISIONS, direction=decision.direction, **labels).add()


class Work:
    """The guards of one call."""

    __slots__ = ("exchange", "guards", "numbers", "vault")

    def __init__(self, guards: Guards, exchange: Exchange, numbers: tuple[int, ...], body: bytes) -> None:
        """`numbers` are those of the guards that match the call; placeholders do not occur in `body`."""
        self.guards, self.exchange, self.numbers = guards, exchange, numbers
        self.vault: Vault = guards.set.vault(body)

    @property
    def subject(self) -> Subject:
        """What the call is."""
        raise NotImplementedError

    def lanes(self, direction: Direction) -> Lanes | None:
        """What is done to texts of a direction; None when nothing is."""
        restoring = direction == "response" and len(self.vault) > 0
        return self.guards.set.lanes(self.numbers, direction, restoring)

    def treatment(self, lanes: Lanes | None) -> Treatment:
        """The same, told of as this call's."""
        return Treatment(lanes, self.vault, self.tell)

    def judges(self, direction: Direction) -> Sequence[Judge]:
        """Those guards that need the whole."""
        return self.guards.set.judges(self.numbers, direction)

    async def ask(self, direction: Direction, texts: Sequence[Judged], judges: Iterable[Judge]) -> None:
        """Ask guards that need the whole, in the order they were declared. Raises CallError."""
        subject = self.subject
        for judge in judges:
            spec = judge.spec
            shown = [one for one in texts if one.scope in spec.scopes and one.text]
            if not shown:
                continue
            what = "schema" if spec.schema else "webhook"
            scope = shown[-1].scope
            try:
                why = await judge.judge(shown, subject.name, subject.request)
            except GuardUnavailableError as exc:
                _log.warning("guard %s: %s", spec.name, exc)
                self._failed(spec, Decision(spec.name, "error", scope, direction, what))
                continue
            decision = Decision(spec.name, "refuse" if why else "allow", scope, direction, what)
            if why and spec.action != "log":
                raise self.refused(decision, why)
            self.tell(decision._replace(action="log") if why else decision)

    def _failed(self, spec: GuardSpec, decision: Decision) -> None:
        self.tell(decision)
        if spec.on_error == "refuse":
            self.exchange.policy = spec.name
            detail = f"The guard '{spec.name}' could not be asked, so the call is refused."
            raise CallError(Reason.GUARD_UNAVAILABLE, detail, headers=[(b"retry-after", b"1")])

    def tell(self, decision: Decision) -> None:
        """Write down a finding."""
        self.guards.count(decision)
        found = self.exchange.guarded
        key = f"{decision.guard}:{decision.action}:{decision.scope}"
        found[key] = found.get(key, 0) + 1

    def refused(self, decision: Decision, why: str = "") -> CallError:
        """Write down a refusal; what the caller is told of it."""
        exchange, subject = self.exchange, self.subject
        self.tell(decision)
        exchange.policy = decision.guard
        finding = why or f"it has what '{decision.finding}' looks for"
        detail = f"Refused by guard '{decision.guard}' for {_SCOPES[decision.scope]}: {finding}."
        self.guards.tools.audit(
            AuditRecord(
                kind="guard",
                outcome="deny",
                principal=exchange.principal,
                source=exchange.source_address,
                resource=subject.resource,
                entry=subject.entry,
                policy=decision.guard,
                detail=f"{decision.finding} in {decision.direction} {decision.scope}",
                trace_id=exchange.trace.trace_id,
            )
        )
        return CallError(Reason.GUARDED, detail)


async def treated(body: bytes, slots_of: Callable[[Any], Any], treatment: Treatment, texts: list[Judged]) -> bytes:
    """A body after its guards; a large one lets other calls have their turns meanwhile.

    Raises GuardRefusalError, RecursionError, and msgspec.DecodeError for a body that is no JSON.
    """
    if len(body) < LARGE_BYTES:
        return treat_body(body, slots_of, treatment, texts)
    return await treat_large_body(body, slots_of, treatment, texts)
