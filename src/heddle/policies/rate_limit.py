"""Limits on requests and tokens, per caller and model, over fixed windows.

Owns which limits apply to a call, how much of each it may hold, what it used in the end, and how a refusal reads.
Counting is the driver's. Only calls to models are limited; a list of models is not.

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
from math import ceil
from typing import Generic, TypeVar

from heddle.drivers.counters import Charge, CountersFullError, Refusal, Reservation, Tally
from heddle.model.call import ModelCall
from heddle.model.match import TOOL_KEYS, MatchIndex, about_tools
from heddle.model.principal import Principal
from heddle.model.snapshot import LimitSpec, Snapshot
from heddle.model.virtual_keys import accepts_virtual_keys
from heddle.net.message import Headers
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Phase
from heddle.telemetry import names
from heddle.telemetry.records import AuditRecord
from heddle.traffic.estimate import Estimate

T = TypeVar("T")

RECENT = 16_384
"""Callers whose limits are remembered, twice that at most; the limits of others are looked up, in some 20 µs."""
_UNCHARGED = frozenset({Reason.UPSTREAM_ERROR, Reason.UPSTREAM_UNREACHABLE, Reason.PROVIDER_UNCONFIGURED})


class _Recent(Generic[T]):
    """A bounded dict that forgets what was not asked for lately: of two generations, a full one replaces the other."""

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        self._young: dict[object, T] = {}
        self._old: dict[object, T] = {}

    def get(self, key: object) -> T | None:
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: object, value: T) -> None:
        if len(self._young) >= RECENT:
            self._old, self._young = self._young, {}
        self._young[key] = value


class _Told:
    """What callers are told of a limit, one for all its keys: their windows end together."""

    __slots__ = ("_from_s", "_limit", "_lines", "_unit")

    def __init__(self, spec: LimitSpec) -> None:
        self._unit, self._limit = spec.limit_by.encode(), spec.limit
        self._lines, self._from_s = b"", 0

    def lines(self, remaining: int, now_s: float, ends_s: int) -> bytes:
        """Limit, remaining and reset, in OpenAI's form, as header lines. The text of the reset is good for a second."""
        if not 0.0 <= now_s - self._from_s < 1.0:
            left_s = _whole_seconds(ends_s - now_s)
            fields = self.headers(0, now_s, ends_s)
            fields[1] = (fields[1][0], b"%d")
            self._lines, self._from_s = b"".join([b"%b: %b\r\n" % field for field in fields]), ends_s - left_s
        return self._lines % remaining

    def headers(self, remaining: int, now_s: float, ends_s: int) -> Headers:
        """The same as fields."""
        unit, reset = self._unit, duration(_whole_seconds(ends_s - now_s)).encode()
        return [
            (b"x-ratelimit-limit-" + unit, b"%d" % self._limit),
            (b"x-ratelimit-remaining-" + unit, b"%d" % remaining),
            (b"x-ratelimit-reset-" + unit, reset),
        ]


class _Bound:
    """One limit under one combination of key values."""

    __slots__ = ("estimates", "limit", "spec", "tally", "told")

    def __init__(self, spec: LimitSpec, values: tuple[str, ...], told: _Told) -> None:
        self.spec, self.limit, self.told = spec, spec.limit, told
        self.estimates = spec.reserve == "estimate"
        self.tally = Tally(spec.name, spec.limit_by, values, spec.limit, spec.window_s)


class _Plan:
    """The limits of one caller on one model: requests first, then tokens."""

    __slots__ = (
        "_fixed", "_known_output", "_split", "bounds", "counted", "held", "learned", "plain", "principal", "tokens",
        "upstream",
    )  # fmt: skip

    def __init__(self, bounds: list[_Bound], learned: Estimate, known_output: int) -> None:
        requests = [bound for bound in bounds if bound.spec.limit_by == "requests"]
        # Those that guess come last, so that the last charge tells whether any did.
        tokens = [bound for bound in bounds if bound.spec.limit_by == "tokens"]
        self.tokens = sorted(tokens, key=lambda bound: bound.estimates)
        self.bounds = requests + self.tokens
        self.learned = learned
        self.principal: Principal | None = None
        """Whom it was last used for; keeps that object alive, whose identity finds the plan."""
        self.upstream = ""
        self._known_output = known_output
        self._fixed = [Charge(bound.tally, 1) for bound in requests]
        self._split = len(requests)
        self.plain = len(requests) < 2 and len(self.tokens) < 2
        """At most one limit of each kind: these."""
        self.counted = requests[0] if requests else None
        self.held = self.tokens[0] if self.tokens else None

    def charges(self, call: ModelCall) -> list[Charge]:
        """What this call would add, in the order of `bounds`."""
        charges = self._fixed.copy()
        for bound in self.tokens:
            amount, least = self.amount(call, bound)
            if least and amount > bound.limit:
                amount = max(least, bound.limit)
            charges.append(Charge(bound.tally, amount, least, True))
        return charges

    def amount(self, call: ModelCall, bound: _Bound) -> tuple[int, int]:
        """Tokens to reserve, and how little will do (0: no less). Where it is not 0, something is a guess."""
        stated, size, estimate = call.max_output_tokens, call.input_size or 1, bound.estimates
        if estimate or stated is None or stated < 0 or call.operation == "embeddings":
            return self._guess(call, estimate, size)
        known = self._known_output * call.choices
        return size + (known if 0 < known < stated else stated), 0

    def _guess(self, call: ModelCall, estimate: bool, size: int) -> tuple[int, int]:
        input_tokens = self.learned.input_tokens(size) if estimate else size
        if call.operation == "embeddings":
            return input_tokens, 1 if estimate else 0
        choices, stated = max(1, call.choices), call.max_output_tokens
        bounds = [most for most in (stated, self._known_output * choices or None) if most is not None]
        if bounds and not estimate:
            return input_tokens + max(0, min(bounds)), 0
        output_tokens = max(0, min([*bounds, self.learned.output_tokens(choices)]))
        return input_tokens + output_tokens, input_tokens + min(1, output_tokens)

    def lines(self, remaining: list[int], now_s: float) -> bytes:
        """Those of the tightest limit of each kind: the one with the least left."""
        lines = b""
        for first, last in ((0, self._split), (self._split, len(self.bounds))):
            if first < last:
                tightest = min(range(first, last), key=remaining.__getitem__)
                bound = self.bounds[tightest]
                lines += bound.told.lines(remaining[tightest], now_s, bound.tally.ends_s)
        return lines


class RateLimit:
    """All limits of a snapshot, as one policy."""

    phase = Phase.LIMIT

    def __init__(self, snapshot: Snapshot, tools: Tools) -> None:
        self._counters = tools.counters
        self._metrics = tools.metrics
        self._audit = tools.audit
        self._now = tools.clock.now
        self._index: MatchIndex[tuple[int, LimitSpec]] = MatchIndex()
        self._told = [_Told(spec) for spec in snapshot.limits]
        for index, spec in enumerate(snapshot.limits):
            if not about_tools(spec.match) and TOOL_KEYS.isdisjoint(spec.key):
                self._index.add(spec.match, (index, spec))
        self._by_model = any(spec.match.models for spec in snapshot.limits)
        self._outputs = {model.name: model.max_output_tokens for model in snapshot.models}
        self._learned: dict[str, Estimate] = {}
        self._plans: _Recent[_Plan] = _Recent()
        self._latest: dict[tuple[int, str], _Plan] = {}
        self._bounds: _Recent[_Bound] = _Recent()

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

    def _admit(self, exchange: Exchange, call: ModelCall, plan: _Plan, now_s: float) -> bool:
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

    async def _reserve(self, exchange: Exchange, call: ModelCall, plan: _Plan, now_s: float) -> None:
        charges = plan.charges(call)
        try:
            outcome = await self._counters.reserve(charges, now_s)
        except (CountersFullError, OSError) as exc:
            raise _unchecked() from exc
        if isinstance(outcome, Refusal):
            raise self._refused(exchange, call, plan, outcome, now_s)
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

    def _plan(self, principal: Principal, call: ModelCall) -> _Plan:
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

    def _make_plan(self, key: tuple[object, ...], principal: Principal, call: ModelCall) -> _Plan:
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
        bounds += [self._bind(-1, spec, values) for spec in principal.limits]  # which have no number
        learned = self._learned.setdefault(call.entry, Estimate())
        plan = _Plan(bounds, learned, self._outputs.get(call.entry, 0))
        self._plans.put(key, plan)
        return plan

    def _bind(self, index: int, spec: LimitSpec, values: dict[str, str]) -> _Bound:
        key = (spec if index < 0 else index, *[values[field] for field in spec.key])
        bound = self._bounds.get(key)
        if bound is None:
            told = _Told(spec) if index < 0 else self._told[index]
            bound = _Bound(spec, tuple([f"{field}={values[field]}" for field in sorted(spec.key)]), told)
            self._bounds.put(key, bound)
        return bound

    def _refused(self, exchange: Exchange, call: ModelCall, plan: _Plan, refusal: Refusal, now_s: float) -> CallError:
        tally = refusal.charge.tally
        self._metrics.counter(names.LIMIT_REFUSALS, limit=tally.name).add()
        exchange.policy = tally.name
        left = max(0, tally.limit - refusal.settled - refusal.held)
        reset_s = _whole_seconds(refusal.resets_s - now_s)
        (told,) = [bound.told for bound in plan.bounds if bound.tally is tally]
        headers = told.headers(left, now_s, refusal.resets_s) + _retry(refusal, reset_s)
        detail = _detail(refusal, left, reset_s)
        record = AuditRecord(
            kind="limit",
            outcome="deny",
            principal=exchange.principal,
            source=exchange.source_address,
            resource=f"model:{call.model}",
            entry=call.entry,
            policy=tally.name,
            detail=detail,
            trace_id=exchange.trace.trace_id,
        )
        self._audit(record)
        return CallError(Reason.LIMITED, detail, headers=headers)


def build(snapshot: Snapshot, tools: Tools) -> RateLimit | None:
    """The policy of a snapshot's limits; None when neither it nor a key can have any."""
    return RateLimit(snapshot, tools) if snapshot.limits or accepts_virtual_keys(snapshot) else None


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


def _whole_seconds(left_s: float) -> int:
    return max(1, ceil(left_s))


def duration(seconds: int) -> str:
    """Whole seconds in the form of `6m0s`, `1h0m0s`, `59s`."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minute}m{second}s"
    return f"{minute}m{second}s" if minute else f"{second}s"


def window_text(window_s: int) -> str:
    """A window as it is configured: `24h`, `1m`, `90s`."""
    if window_s == 86_400:
        return "24h"
    for size_s, letter in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if window_s % size_s == 0:
            return f"{window_s // size_s}{letter}"
    return f"{window_s}s"


def _fits_later(refusal: Refusal) -> bool:
    """Whether it would fit once the calls under way have ended without using anything."""
    return refusal.charge.amount <= refusal.charge.tally.limit - refusal.settled


def _retry(refusal: Refusal, reset_s: int) -> Headers:
    if refusal.charge.amount > refusal.charge.tally.limit:
        # No time would help. The clients of the OpenAI SDK repeat every 429 unless they are told not to.
        return [(b"x-should-retry", b"false")]
    return [(b"retry-after", b"%d" % (1 if _fits_later(refusal) else reset_s))]


def _detail(refusal: Refusal, left: int, reset_s: int) -> str:
    charge = refusal.charge
    tally = charge.tally
    limit = f"limit '{tally.name}' of {tally.limit} {tally.unit} per {window_text(tally.window_s)}"
    if charge.amount > tally.limit:
        advice = "; shorten the input or lower the maximum of output tokens" if tally.unit == "tokens" else ""
        return f"This call needs {charge.amount} {tally.unit}, more than {limit} ever has{advice}."
    needed = f", {charge.amount} needed" if tally.unit == "tokens" else ""
    held = f" ({refusal.held} held by calls under way)" if refusal.held else ""
    return f"Refused by {limit}: {left} left{held}{needed}; it resets in {duration(reset_s)}."
