"""What callers hold of limits and are told of them: limits bound to the values of their keys, and the words.

Owns how much a call may hold of each limit, which of them its answer tells of, and how a refusal reads. Counting is
the driver's; which limits apply to a call is the policy's.

*Source:* x-ratelimit-* as OpenAI sends them; RFC 9110 section 10.2.3 (Retry-After).
"""

from math import ceil
from typing import Final, Generic, TypeVar

from heddle.drivers.counters import Charge, Refusal, Tally
from heddle.model.call import ModelCall
from heddle.model.principal import Principal
from heddle.model.snapshot import LimitSpec
from heddle.net.message import Headers
from heddle.traffic.estimate import Estimate

T = TypeVar("T")

RECENT: Final = 16_384
"""Callers whose limits are remembered, twice that at most; the limits of others are looked up, in some 20 µs."""


class Recent(Generic[T]):
    """A bounded dict that forgets what was not asked for lately: of two generations, a full one replaces the other."""

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        self._young: dict[object, T] = {}
        self._old: dict[object, T] = {}

    def get(self, key: object) -> T | None:
        """What was put, unless it was forgotten."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: object, value: T) -> None:
        """Remember `value`."""
        if len(self._young) >= RECENT:
            self._old, self._young = self._young, {}
        self._young[key] = value


class Told:
    """What callers are told of a limit, one for all its keys: their windows end together."""

    __slots__ = ("_from_s", "_limit", "_lines", "_unit")

    def __init__(self, spec: LimitSpec) -> None:
        self._unit, self._limit = spec.limit_by.encode(), spec.limit
        self._lines, self._from_s = b"", 0

    def lines(self, remaining: int, now_s: float, ends_s: int) -> bytes:
        """Limit, remaining and reset, in OpenAI's form, as header lines. The text of the reset is good for a second."""
        if not 0.0 <= now_s - self._from_s < 1.0:
            left_s = whole_seconds(ends_s - now_s)
            fields = self.headers(0, now_s, ends_s)
            fields[1] = (fields[1][0], b"%d")
            self._lines, self._from_s = b"".join([b"%b: %b\r\n" % field for field in fields]), ends_s - left_s
        return self._lines % remaining

    def headers(self, remaining: int, now_s: float, ends_s: int) -> Headers:
        """The same as fields."""
        unit, reset = self._unit, duration(whole_seconds(ends_s - now_s)).encode()
        return [
            (b"x-ratelimit-limit-" + unit, b"%d" % self._limit),
            (b"x-ratelimit-remaining-" + unit, b"%d" % remaining),
            (b"x-ratelimit-reset-" + unit, reset),
        ]


class Bound:
    """One limit under one combination of key values."""

    __slots__ = ("estimates", "limit", "spec", "tally", "told")

    def __init__(self, spec: LimitSpec, values: tuple[str, ...], told: Told) -> None:
        self.spec, self.limit, self.told = spec, spec.limit, told
        self.estimates = spec.reserve == "estimate"
        self.tally = Tally(spec.name, spec.limit_by, values, spec.limit, spec.window_s)


class Plan:
    """The limits of one caller on one model: requests first, then tokens."""

    __slots__ = (
        "_fixed", "_known_output", "_split", "bounds", "counted", "held", "learned", "plain", "principal", "tokens",
        "upstream",
    )  # fmt: skip

    def __init__(self, bounds: list[Bound], learned: Estimate, known_output: int) -> None:
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

    def calls(self) -> list[Charge]:
        """What a call adds to limits on their number."""
        return self._fixed.copy()

    def charges(self, call: ModelCall) -> list[Charge]:
        """What this call would add, in the order of `bounds`."""
        charges = self._fixed.copy()
        for bound in self.tokens:
            amount, least = self.amount(call, bound)
            if least and amount > bound.limit:
                amount = max(least, bound.limit)
            charges.append(Charge(bound.tally, amount, least, True))
        return charges

    def amount(self, call: ModelCall, bound: Bound) -> tuple[int, int]:
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


def whole_seconds(left_s: float) -> int:
    """Seconds as callers are told them: rounded up, never 0."""
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


def retry_headers(refusal: Refusal, reset_s: int) -> Headers:
    """When to come again, or that it is of no use."""
    if refusal.charge.amount > refusal.charge.tally.limit:
        # No time would help. The clients of the OpenAI SDK repeat every 429 unless they are told not to.
        return [(b"x-should-retry", b"false")]
    return [(b"retry-after", b"%d" % (1 if _fits_later(refusal) else reset_s))]


def refusal_text(refusal: Refusal, left: int, reset_s: int) -> str:
    """What the caller is told."""
    charge = refusal.charge
    tally = charge.tally
    limit = f"limit '{tally.name}' of {tally.limit} {tally.unit} per {window_text(tally.window_s)}"
    if charge.amount > tally.limit:
        advice = "; shorten the input or lower the maximum of output tokens" if tally.unit == "tokens" else ""
        return f"This call needs {charge.amount} {tally.unit}, more than {limit} ever has{advice}."
    needed = f", {charge.amount} needed" if tally.unit == "tokens" else ""
    held = f" ({refusal.held} held by calls under way)" if refusal.held else ""
    return f"Refused by {limit}: {left} left{held}{needed}; it resets in {duration(reset_s)}."
