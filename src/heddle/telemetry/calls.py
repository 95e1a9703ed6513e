"""The metrics of calls, bound once for each kind of call and then added to in one go.

Owns which numbers a finished call changes. Every label is a configured name or from a closed set.
*Source:* `names`; the children are those of `metrics`, whose numbers are plain doubles in a mapped file.
"""

from bisect import bisect_left
from functools import partial
from typing import NamedTuple

from heddle.model.call import Usage
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.names import DURATION_S


class CallKind(NamedTuple):
    """The labels of a finished call."""

    listener: str
    operation: str
    model: str
    provider: str
    status: int
    reason: str


class CallSeries:
    """Where the numbers of one kind of call are; `Gathered` adds to them."""

    __slots__ = ("_bind_events", "_events", "duration", "first", "requests", "upstream")

    def __init__(self, metrics: Metrics, kind: CallKind) -> None:
        listener, operation, model, provider, status, reason = kind
        self.requests = metrics.counter(
            names.REQUESTS,
            listener=listener,
            operation=operation,
            model=model,
            provider=provider,
            status=str(status),
            reason=reason,
        ).at
        whole = metrics.histogram(names.REQUEST_DURATION, listener=listener, operation=operation, model=model)
        self.duration = whole.at
        self.upstream = metrics.histogram(names.UPSTREAM_DURATION, model=model, provider=provider).at
        self.first = metrics.histogram(names.TIME_TO_FIRST_TOKEN, model=model, provider=provider).at
        self._events = 0
        self._bind_events = partial(_events, metrics, model, provider)

    @property
    def events(self) -> int:
        """Where events are counted."""
        self._events = self._events or self._bind_events()
        return self._events


class _Spread:
    """How durations spread over the buckets of a histogram, gathered before they are written."""

    __slots__ = ("_buckets", "_sum_s", "_touched")

    def __init__(self) -> None:
        self._sum_s = 0.0
        self._buckets = [0] * (len(DURATION_S) + 1)
        self._touched: list[int] = []

    def observe(self, value_s: float) -> None:
        self._sum_s += value_s
        bucket = bisect_left(DURATION_S, value_s)
        if not self._buckets[bucket]:
            self._touched.append(bucket)
        self._buckets[bucket] += 1

    def flush(self, numbers: "memoryview[float]", at: int) -> None:
        touched, buckets = self._touched, self._buckets
        if not touched:
            return
        numbers[at] += self._sum_s
        self._sum_s = 0.0
        while touched:
            bucket = touched.pop()
            numbers[at + 1 + bucket] += buckets[bucket]
            buckets[bucket] = 0


class Gathered:
    """The calls that ended one after the other and are of one kind: most of those of a turn of the loop. They are
    added up here, and written together; of one call only what it changes is touched, whatever else there is."""

    __slots__ = ("_count", "_duration", "_events", "_first", "_numbers", "_series", "_upstream")

    def __init__(self, metrics: Metrics) -> None:
        self._numbers = metrics.numbers
        self._series: CallSeries | None = None
        self._count = self._events = 0
        self._duration, self._upstream, self._first = _Spread(), _Spread(), _Spread()

    def count(
        self, series: CallSeries, duration_s: float, upstream_s: float = 0.0, first_s: float = 0.0, events: int = 0
    ) -> None:
        """One call. `upstream_s` and `first_s` are 0 when there was no upstream, or no first byte."""
        if series is not self._series:
            self.flush()
            self._series = series
        self._count += 1
        self._duration.observe(duration_s)
        if upstream_s:
            self._upstream.observe(upstream_s)
        if first_s:
            self._first.observe(first_s)
        self._events += events

    def flush(self) -> None:
        """Write what was gathered."""
        series, numbers = self._series, self._numbers
        if series is None:
            return
        self._series = None
        numbers[series.requests] += self._count
        self._count = 0
        self._duration.flush(numbers, series.duration)
        self._upstream.flush(numbers, series.upstream)
        self._first.flush(numbers, series.first)
        if self._events:
            numbers[series.events] += self._events
            self._events = 0


def _events(metrics: Metrics, model: str, provider: str) -> int:
    """Where events are counted: only for models whose answers are streamed."""
    return metrics.counter(names.STREAM_EVENTS, model=model, provider=provider).at


class McpKind(NamedTuple):
    """The labels of a finished call to a tool server."""

    server: str
    target: str
    tool: str
    outcome: str
    tenant: str


class McpSeries:
    """The numbers of one kind of call to a tool server."""

    __slots__ = ("_bind_cost", "_calls", "_cost", "_duration", "_numbers")

    def __init__(self, metrics: Metrics, kind: McpKind) -> None:
        server, target, tool, outcome, tenant = kind
        self._numbers = metrics.numbers
        self._calls = metrics.counter(names.MCP_CALLS, server=server, target=target, tool=tool, outcome=outcome).at
        self._duration = metrics.histogram(names.MCP_CALL_DURATION, server=server, target=target).at
        self._cost = 0
        self._bind_cost = partial(_tool_cost, metrics, server, tool, tenant)

    def count(self, duration_s: float, cost_usd: float | None) -> None:
        """One call of that kind; `cost_usd` is None where nothing is declared, or nothing was asked."""
        numbers = self._numbers
        numbers[self._calls] += 1.0
        at = self._duration
        numbers[at] += duration_s
        numbers[at + 1 + bisect_left(DURATION_S, duration_s)] += 1.0
        if cost_usd:
            self._cost = self._cost or self._bind_cost()
            numbers[self._cost] += cost_usd


def _tool_cost(metrics: Metrics, server: str, tool: str, tenant: str) -> int:
    """Where costs are counted: only for tools that have a price."""
    return metrics.counter(names.MCP_COST_USD, server=server, tool=tool, tenant=tenant).at


class SessionSeries:
    """How many sessions began with one virtual server."""

    __slots__ = ("_sessions",)

    def __init__(self, metrics: Metrics, server: str) -> None:
        self._sessions = metrics.counter(names.MCP_SESSIONS, server=server)

    def count(self, duration_s: float, cost_usd: float | None) -> None:
        """One more."""
        del duration_s, cost_usd
        self._sessions.add()


class UsageSeries:
    """The numbers of one (model, provider, tenant)."""

    __slots__ = ("_cached", "_cost", "_input", "_numbers", "_output", "_reasoning", "_unpriced", "_written")

    def __init__(self, metrics: Metrics, model: str, provider: str, tenant: str) -> None:
        def tokens(kind: str) -> int:
            return metrics.counter(names.TOKENS, model=model, provider=provider, tenant=tenant, type=kind).at

        self._numbers = metrics.numbers
        self._input = tokens("input")
        self._output = tokens("output")
        self._cached = tokens("cached_input")
        self._written = tokens("cache_write")
        self._reasoning = tokens("reasoning")
        self._cost = metrics.counter(names.COST_USD, model=model, provider=provider, tenant=tenant).at
        self._unpriced = metrics.counter(names.UNPRICED_CALLS, model=model, provider=provider).at

    def count(self, usage: Usage, cost_usd: float | None) -> None:
        """What one call used."""
        numbers = self._numbers
        numbers[self._input] += usage.input_tokens
        numbers[self._output] += usage.output_tokens
        if usage.cached_input_tokens:
            numbers[self._cached] += usage.cached_input_tokens
        if usage.cache_write_tokens:
            numbers[self._written] += usage.cache_write_tokens
        if usage.reasoning_tokens:
            numbers[self._reasoning] += usage.reasoning_tokens
        if cost_usd is None:
            numbers[self._unpriced] += 1.0
        else:
            numbers[self._cost] += cost_usd
