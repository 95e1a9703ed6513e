"""Limits on requests and tokens, per caller and model or tool, over fixed windows.

Owns which limits apply to a call, when they are counted, and what was used in the end. Counting is the driver's. Only
calls are limited: to models, and of tools, prompts and resources; no list is. A limit that names neither models nor
anything of MCP counts both, together.

*What a token limit reserves.* `upper_bound`: a token is at least one byte of text, so the body's length bounds the
input; the output is bounded by what the caller stated and by the model's `max_output_tokens`. Where neither is known
the output is a learned estimate, and a call may start as long as the window has anything left beyond its input.
`estimate`: both are learned. What a body only refers to (the URL of an image) is not bounded by its length; it is
counted when settled.

*What is settled.* The provider's usage. Without one: nothing, if nothing was sent or the provider answered with an
error; else all that was reserved, because the provider may have charged it. Requests count when they are admitted,
whatever becomes of them.

Learned estimates belong to one worker and one snapshot. They can be pushed by callers of the same model, which is why
they are only used where no bound is known or where the configuration asks for them.
*Source:* x-ratelimit-* as OpenAI sends them; RFC 9110 section 10.2.3 (Retry-After).
"""

from collections.abc import Awaitable
from functools import partial
from typing import ClassVar, Final

from heddle.drivers.counters import CountersFullError, Refusal, Reservation
from heddle.model.call import ModelCall
from heddle.model.match import MatchIndex
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot import LimitSpec, Snapshot
from heddle.model.virtual_keys import accepts_virtual_keys
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Phase
from heddle.telemetry import names
from heddle.telemetry.records import AuditRecord
from heddle.traffic.estimate import Estimate
from heddle.traffic.limits import RECENT, Bound, Plan, Recent, Told, refusal_text, retry_headers, whole_seconds
from heddle.traffic.limits_mcp import COUNTED, McpLimits, counts_mcp, counts_models, key_values

MAX_NAME_CHARS: Final = 256
"""Limits on tools with longer names are looked up each time, so that callers cannot fill the memory with them."""
_UNCHARGED: Final = frozenset({Reason.UPSTREAM_ERROR, Reason.UPSTREAM_UNREACHABLE, Reason.PROVIDER_UNCONFIGURED})


class RateLimit:
    """All limits of a snapshot, as one policy."""

    phase: ClassVar[Phase] = Phase.LIMIT

    def __init__(self, snapshot: Snapshot, tools: Tools) -> None:
        self._counters = tools.counters
        self._metrics = tools.metrics
        self._audit = tools.audit
        self._now = tools.clock.now
        self._index: MatchIndex[tuple[int, LimitSpec]] = MatchIndex()
        self._told = [Told(spec) for spec in snapshot.limits]
        for index, spec in enumerate(snapshot.limits):
            if counts_models(spec):
                self._index.add(spec.match, (index, spec))
        self._calls = McpLimits(snapshot.limits)
        self._by_model = any(spec.match.models for spec in snapshot.limits)
        self._outputs = {model.name: model.max_output_tokens for model in snapshot.models}
        self._learned: dict[str, Estimate] = {}
        self._plans: Recent[Plan] = Recent()
        self._latest: dict[tuple[int, str], Plan] = {}
        self._latest_mcp: dict[tuple[object, ...], Plan] = {}
        self._bounds: Recent[Bound] = Recent()

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:  # noqa: ARG002
        """A limit hides no model: it may be free again by the time of the call."""
        return True

    def check(self, exchange: Exchange) -> Awaitable[None] | None:
        """Reserve, have it settled when the exchange is finished, tell what is left. Raises CallError."""
        call, principal = exchange.call, exchange.principal
        if call is None or not (self._told or principal.limits):
            return None
        plan = self._latest.get((id(principal), call.model))
        if plan is None or plan.principal is not principal or plan.upstream != call.upstream_model:
            plan = self._plan(principal, call)
        if not plan.bounds:
            return None
        now_s = self._now()
        if plan.plain and self._admit(exchange, call, plan, now_s):
            return None
        return self._reserve(exchange, call, plan, now_s)

    def check_mcp(self, exchange: Exchange) -> Awaitable[None] | None:
        """Count a call to an MCP server, tell what is left. Raises CallError; returns what to wait for when it must."""
        call, principal = exchange.mcp, exchange.principal
        if call is None or call.method not in COUNTED or not (self._told or principal.limits):
            return None
        if call.kind == "tool":
            place: tuple[object, ...] = (call.server, call.target, call.name, call.target_name)
        else:
            place = (call.server, call.target, call.kind)
        plan = self._latest_mcp.get((id(principal), *place))
        if plan is None or plan.principal is not principal:
            plan = self._plan_mcp(principal, call, place)
        if not plan.bounds:
            return None
        now_s = self._now()
        counted = plan.counted
        if plan.plain and counted is not None:
            left = self._counters.try_add(counted.tally, 1, now_s, False)
            if left >= 0:
                exchange.limits_left = counted.told.lines(left, now_s, counted.tally.ends_s)
                return None
        return self._count(exchange, plan, now_s)

    async def _count(self, exchange: Exchange, plan: Plan, now_s: float) -> None:
        try:
            outcome = await self._counters.reserve(plan.calls(), now_s)
        except (CountersFullError, OSError) as exc:
            raise _unchecked() from exc
        if isinstance(outcome, Refusal):
            raise self._refused(exchange, plan, outcome, now_s)
        exchange.limits_left = plan.lines(outcome.remaining, now_s)

    def _plan_mcp(self, principal: Principal, call: McpCall, place: tuple[object, ...]) -> Plan:
        who = (principal.tenant, principal.user, principal.agent, principal.key_id, principal.limits)
        key = ("mcp", *who, *place)
        plan = self._plans.get(key)
        if plan is None:
            values = key_values(principal, call)
            bounds = [self._bind(number, spec, values) for number, spec in self._calls.find(principal, call)]
            bounds += [self._bind(-1, spec, values) for spec in principal.limits if counts_mcp(spec)]
            plan = Plan(bounds, Estimate(), 0)
            if len(call.name) > MAX_NAME_CHARS:
                return plan
            self._plans.put(key, plan)
        plan.principal = principal
        if len(self._latest_mcp) >= RECENT:
            self._latest_mcp.clear()
        self._latest_mcp[id(principal), *place] = plan
        return plan

    def _admit(self, exchange: Exchange, call: ModelCall, plan: Plan, now_s: float) -> bool:
        """The way of nearly every call: nothing is guessed and all fits. False when `_reserve` has to look closer."""
        try_add, counted, held = self._counters.try_add, plan.counted, plan.held
        lines = b""
        if held is not None:
            amount, least = plan.amount(call, held)
            left = -1 if least else try_add(held.tally, amount, now_s, True)
            if left < 0:
                return False
            place = held.tally.row
            lines = held.told.lines(left, now_s, held.tally.ends_s)
        if counted is not None:
            left = try_add(counted.tally, 1, now_s, False)
            if left < 0:
                if held is not None:
                    self._counters.settle_one(place, amount, 0)
                return False
            lines = counted.told.lines(left, now_s, counted.tally.ends_s) + lines
        if held is not None:
            exchange.finishers.append(partial(self._settle, place, amount))
        exchange.limits_left = lines
        return True

    def _settle(self, place: int, granted: int, exchange: Exchange) -> None:
        """Replace what a call of `_admit` holds by what it used."""
        used = _used(exchange)
        self._counters.settle_one(place, granted, granted if used is None else used)

    async def _reserve(self, exchange: Exchange, call: ModelCall, plan: Plan, now_s: float) -> None:
        charges = plan.charges(call)
        try:
            outcome = await self._counters.reserve(charges, now_s)
        except (CountersFullError, OSError) as exc:
            raise _unchecked() from exc
        if isinstance(outcome, Refusal):
            raise self._refused(exchange, plan, outcome, now_s)
        if outcome.granted:
            # Only calls like it teach: one that states its maximum says nothing about those that do not.
            learned = plan.learned if charges[-1].least else None
            exchange.finishers.append(partial(self._settle_all, outcome, learned, call))
        exchange.limits_left = plan.lines(outcome.remaining, now_s)

    def _settle_all(
        self, reservation: Reservation, learned: Estimate | None, call: ModelCall, exchange: Exchange
    ) -> None:
        """The same for a call of `_reserve`, from which may be learned what others will use."""
        used, usage = _used(exchange), exchange.usage
        granted = reservation.granted
        self._counters.settle(reservation, granted if used is None else (used,) * len(granted))
        # A call that failed says nothing about those that do not, and whoever likes can make calls fail.
        if learned is None or usage is None or exchange.cache == "hit":
            return
        if not usage.estimated and exchange.reason is None:
            learned.learn(usage, call.input_size, max(1, call.choices))

    def _plan(self, principal: Principal, call: ModelCall) -> Plan:
        entry = call.entry
        who = (principal.tenant, principal.user, principal.agent, principal.key_id, principal.limits)
        key: tuple[object, ...] = (*who, entry)
        if self._by_model and (call.model != entry or call.upstream_model != entry):
            key += (call.model, call.upstream_model)
        plan = self._plans.get(key) or self._make_plan(key, principal, call)
        plan.principal, plan.upstream = principal, call.upstream_model
        if len(self._latest) >= RECENT:
            self._latest.clear()
        self._latest[id(principal), call.model] = plan
        return plan

    def _make_plan(self, key: tuple[object, ...], principal: Principal, call: ModelCall) -> Plan:
        """Find what applies by any name of the model: the configured one, the caller's, the provider's."""
        found = dict(self._index.find(principal, call.entry))
        if self._by_model:
            for name in {call.model, call.upstream_model} - {call.entry, ""}:
                found.update(self._index.find(principal, name))
        values = {
            "tenant": principal.tenant,
            "user": principal.user,
            "agent": principal.agent,
            "model": call.entry,
            "key": principal.key_id,
        }
        bounds = [self._bind(index, found[index], values) for index in sorted(found)]
        bounds += [self._bind(-1, spec, values) for spec in principal.limits if counts_models(spec)]  # have no number
        learned = self._learned.setdefault(call.entry, Estimate())
        plan = Plan(bounds, learned, self._outputs.get(call.entry, 0))
        self._plans.put(key, plan)
        return plan

    def _bind(self, index: int, spec: LimitSpec, values: dict[str, str]) -> Bound:
        key = (spec if index < 0 else index, *[values[field] for field in spec.key])
        bound = self._bounds.get(key)
        if bound is None:
            told = Told(spec) if index < 0 else self._told[index]
            bound = Bound(spec, tuple([f"{field}={values[field]}" for field in sorted(spec.key)]), told)
            self._bounds.put(key, bound)
        return bound

    def _refused(self, exchange: Exchange, plan: Plan, refusal: Refusal, now_s: float) -> CallError:
        tally = refusal.charge.tally
        self._metrics.counter(names.LIMIT_REFUSALS, limit=tally.name).add()
        exchange.policy = tally.name
        left = max(0, tally.limit - refusal.settled - refusal.held)
        reset_s = whole_seconds(refusal.resets_s - now_s)
        (told,) = [bound.told for bound in plan.bounds if bound.tally is tally]
        headers = told.headers(left, now_s, refusal.resets_s) + retry_headers(refusal, reset_s)
        detail = refusal_text(refusal, left, reset_s)
        resource, entry = _subject(exchange)
        record = AuditRecord(
            kind="limit",
            outcome="deny",
            principal=exchange.principal,
            source=exchange.source_address,
            resource=resource,
            entry=entry,
            policy=tally.name,
            detail=detail,
            trace_id=exchange.trace.trace_id,
        )
        self._audit(record)
        return CallError(Reason.LIMITED, detail, headers=headers)


def build(snapshot: Snapshot, tools: Tools) -> RateLimit | None:
    """The policy of a snapshot's limits; None when neither it nor a key can have any."""
    return RateLimit(snapshot, tools) if snapshot.limits or accepts_virtual_keys(snapshot) else None


def _subject(exchange: Exchange) -> tuple[str, str]:
    """What records call a call, and by which configured name repeats of it are told apart."""
    call = exchange.call
    if call is not None:
        return f"model:{call.model}", call.entry
    asked = exchange.mcp
    if asked is None:
        return "", ""
    return asked.resource, f"{asked.server}:{key_values(exchange.principal, asked)['tool']}"


def _used(exchange: Exchange) -> int | None:
    """Tokens that a call which ended is charged with; None when nobody knows, and all that was reserved is."""
    usage = exchange.usage
    if usage is not None:
        return usage.input_tokens + usage.output_tokens
    return 0 if exchange.upstream_s == 0.0 or exchange.reason in _UNCHARGED else None


def _unchecked() -> CallError:
    """Fail closed: letting the call pass would make every limit optional for whoever can fill the table."""
    detail = "Limits cannot be checked at the moment; try again shortly."
    return CallError(Reason.OVERLOADED, detail, headers=[(b"retry-after", b"1")])
