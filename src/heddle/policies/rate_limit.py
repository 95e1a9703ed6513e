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

from math import ceil
from typing import Generic, TypeVar

from heddle.drivers.counters import Charge, Counters, CountersFullError, Refusal, Reservation, Tally
from heddle.model.call import ModelCall, Usage
from heddle.model.match import MatchIndex
from heddle.model.principal import Principal
from heddle.model.snapshot import LimitSpec, Snapshot
from heddle.net.message import Headers, Reply
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Handler, Phase
from heddle.telemetry import names
from heddle.telemetry.records import AuditRecord

T = TypeVar("T")

FIRST_OUTPUT_TOKENS = 512.0
"""Estimated output of a model that nobody has called yet."""
FIRST_TOKENS_PER_BYTE = 1.0
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


class _Learned:
    """What calls to one model used lately: moving averages and deviations (the form of RFC 6298, section 2)."""

    __slots__ = ("_deviation", "_mean", "_ratio", "_ratio_deviation", "_seen")

    def __init__(self) -> None:
        self._mean, self._deviation = FIRST_OUTPUT_TOKENS, 0.0
        self._ratio, self._ratio_deviation = FIRST_TOKENS_PER_BYTE, 0.0
        self._seen = False

    def output_tokens(self) -> int:
        """For one choice: the average and two deviations."""
        return int(self._mean + 2 * self._deviation) + 1

    def input_tokens(self, size: int) -> int:
        """For a body of `size` bytes; never more than one token per byte."""
        return min(size, int(size * (self._ratio + 2 * self._ratio_deviation)) + 1)

    def learn(self, usage: Usage, size: int, choices: int) -> None:
        """Take one call into account."""
        output, ratio = usage.output_tokens / choices, usage.input_tokens / max(1, size)
        if not self._seen:
            self._seen = True
            self._mean, self._deviation = output, output / 2
            self._ratio, self._ratio_deviation = ratio, ratio / 2
            return
        self._deviation += (abs(output - self._mean) - self._deviation) / 4
        self._mean += (output - self._mean) / 8
        self._ratio_deviation += (abs(ratio - self._ratio) - self._ratio_deviation) / 4
        self._ratio += (ratio - self._ratio) / 8


class _Told:
    """What callers are told of a limit, one for all its keys: their windows end together."""

    __slots__ = ("_limit", "_name", "_reset", "_reset_from_s", "_reset_name")

    def __init__(self, spec: LimitSpec) -> None:
        unit = spec.limit_by.encode()
        self._limit = (b"x-ratelimit-limit-" + unit, b"%d" % spec.limit)
        self._name, self._reset_name = b"x-ratelimit-remaining-" + unit, b"x-ratelimit-reset-" + unit
        self._reset, self._reset_from_s = (b"", b""), 0

    def headers(self, remaining: int, now_s: float, ends_s: int) -> Headers:
        """Limit, remaining and reset, in OpenAI's form. The text of the reset is good for a second."""
        if not 0.0 <= now_s - self._reset_from_s < 1.0:
            left_s = _whole_seconds(ends_s - now_s)
            self._reset, self._reset_from_s = (self._reset_name, duration(left_s).encode()), ends_s - left_s
        return [self._limit, (self._name, b"%d" % remaining), self._reset]


class _Bound:
    """One limit under one combination of key values."""

    __slots__ = ("limit", "spec", "tally", "told")

    def __init__(self, spec: LimitSpec, values: tuple[str, ...], told: _Told) -> None:
        self.spec, self.limit, self.told = spec, spec.limit, told
        self.tally = Tally(spec.name, spec.limit_by, values, spec.limit, spec.window_s)


class _Plan:
    """The limits of one caller on one model: requests first, then tokens."""

    __slots__ = ("_fixed", "_known_output", "_plain", "_split", "bounds", "learned", "principal", "tokens", "upstream")

    def __init__(self, bounds: list[_Bound], learned: _Learned, known_output: int) -> None:
        requests = [bound for bound in bounds if bound.spec.limit_by == "requests"]
        # Those that guess come last, so that the last charge tells whether any did.
        tokens = [bound for bound in bounds if bound.spec.limit_by == "tokens"]
        self.tokens = sorted(tokens, key=lambda bound: bound.spec.reserve == "estimate")
        self.bounds = requests + self.tokens
        self.learned = learned
        self.principal: Principal | None = None
        """Whom it was last used for; keeps that object alive, whose identity finds the plan."""
        self.upstream = ""
        self._known_output = known_output
        self._fixed = [Charge(bound.tally, 1) for bound in requests]
        self._split = len(requests)
        self._plain = len(requests) < 2 and len(self.tokens) < 2

    def charges(self, call: ModelCall) -> list[Charge]:
        """What this call would add, in the order of `bounds`."""
        charges = self._fixed.copy()
        for bound in self.tokens:
            amount, least = self._tokens(call, bound.spec.reserve == "estimate")
            if least and amount > bound.limit:
                amount = max(least, bound.limit)
            charges.append(Charge(bound.tally, amount, least, True))
        return charges

    def _tokens(self, call: ModelCall, estimate: bool) -> tuple[int, int]:
        """Amount to reserve, and how little will do (0: no less). Where it is not 0, something is a guess."""
        stated, size = call.max_output_tokens, len(call.body) or 1
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
        output_tokens = max(0, min([*bounds, self.learned.output_tokens() * choices]))
        return input_tokens + output_tokens, input_tokens + min(1, output_tokens)

    def headers(self, remaining: list[int], now_s: float) -> Headers:
        """Those of the tightest limit of each kind: the one with the least left."""
        headers: Headers = []
        if self._plain:
            for index, bound in enumerate(self.bounds):
                headers += bound.told.headers(remaining[index], now_s, bound.tally.ends_s)
            return headers
        for first, last in ((0, self._split), (self._split, len(self.bounds))):
            if first < last:
                tightest = min(range(first, last), key=remaining.__getitem__)
                bound = self.bounds[tightest]
                headers += bound.told.headers(remaining[tightest], now_s, bound.tally.ends_s)
        return headers


class _Settlement:
    """Replaces what a call holds by what it used; a `Finisher`."""

    __slots__ = ("_call", "_counters", "_learned", "_reservation")

    def __init__(self, counters: Counters, reservation: Reservation, learned: _Learned | None, call: ModelCall) -> None:
        self._counters = counters
        self._reservation = reservation
        self._learned = learned
        self._call = call

    def __call__(self, exchange: Exchange) -> None:
        usage, reservation = exchange.usage, self._reservation
        if usage is not None:
            used = usage.input_tokens + usage.output_tokens
            self._counters.settle(reservation, (used,) * len(reservation.granted))
            # A call that failed says nothing about those that do not, and whoever likes can make calls fail.
            if self._learned is not None and not usage.estimated and exchange.reason is None:
                self._learned.learn(usage, len(self._call.body), max(1, self._call.choices))
        elif exchange.upstream_s == 0.0 or exchange.reason in _UNCHARGED:
            self._counters.release(reservation)
        else:
            self._counters.settle(reservation, reservation.granted)


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
            self._index.add(spec.match, (index, spec))
        self._by_model = any(spec.match.models for spec in snapshot.limits)
        self._outputs = {model.name: model.max_output_tokens for model in snapshot.models}
        self._learned: dict[str, _Learned] = {}
        self._plans: _Recent[_Plan] = _Recent()
        self._latest: dict[tuple[int, str], _Plan] = {}
        self._bounds: _Recent[_Bound] = _Recent()

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:  # noqa: ARG002
        """A limit hides no model: it may be free again by the time of the call."""
        return True

    def wrap(self, handler: Handler) -> Handler:
        """Reserve before `handler`, settle when the exchange is finished, tell what is left."""
        counters, latest, now = self._counters, self._latest, self._now

        async def limited(exchange: Exchange) -> Reply:
            call = exchange.call
            if call is None:
                return await handler(exchange)
            principal = exchange.principal
            plan = latest.get((id(principal), call.model))
            if plan is None or plan.principal is not principal or plan.upstream != call.upstream_model:
                plan = self._plan(principal, call)
            if not plan.bounds:
                return await handler(exchange)
            now_s = now()
            charges = plan.charges(call)
            try:
                outcome = await counters.reserve(charges, now_s)
            except (CountersFullError, OSError) as exc:
                raise _unchecked() from exc
            if isinstance(outcome, Refusal):
                raise self._refused(exchange, call, plan, outcome, now_s)
            if outcome.granted:
                # Only calls like it teach: one that states its maximum says nothing about those that do not.
                learned = plan.learned if charges[-1].least else None
                exchange.finishers.append(_Settlement(counters, outcome, learned, call))
            reply = await handler(exchange)
            headers = reply.headers if reply.status == 200 else _without_limits(reply.headers)
            reply.headers = headers + plan.headers(outcome.remaining, now_s)
            return reply

        return limited

    def _plan(self, principal: Principal, call: ModelCall) -> _Plan:
        entry = call.entry
        key: tuple[str, ...] = (principal.tenant, principal.user, principal.agent, principal.key_id, entry)
        if self._by_model and (call.model != entry or call.upstream_model != entry):
            key += (call.model, call.upstream_model)
        plan = self._plans.get(key) or self._make_plan(key, principal, call)
        plan.principal, plan.upstream = principal, call.upstream_model
        if len(self._latest) >= RECENT:
            self._latest.clear()
        self._latest[id(principal), call.model] = plan
        return plan

    def _make_plan(self, key: tuple[str, ...], principal: Principal, call: ModelCall) -> _Plan:
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
        learned = self._learned.setdefault(call.entry, _Learned())
        plan = _Plan(bounds, learned, self._outputs.get(call.entry, 0))
        self._plans.put(key, plan)
        return plan

    def _bind(self, index: int, spec: LimitSpec, values: dict[str, str]) -> _Bound:
        key = (index, *[values[field] for field in spec.key])
        bound = self._bounds.get(key)
        if bound is None:
            bound = _Bound(spec, tuple([f"{field}={values[field]}" for field in sorted(spec.key)]), self._told[index])
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
    """The policy of a snapshot's limits; None when it has none."""
    return RateLimit(snapshot, tools) if snapshot.limits else None


def _unchecked() -> CallError:
    """Fail closed: letting the call pass would make every limit optional for whoever can fill the table."""
    detail = "Limits cannot be checked at the moment; try again shortly."
    return CallError(Reason.OVERLOADED, detail, headers=[(b"retry-after", b"1")])


def _without_limits(headers: Headers) -> Headers:
    """A provider's failure without the provider's own limits: one name must not carry two numbers."""
    return [field for field in headers if not field[0].startswith(b"x-ratelimit-")]


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
