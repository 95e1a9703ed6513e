"""What is written down when a call ends: settlement first, then metrics, the access record, the span.

Runs once per call, in microseconds, without await. Metric children are bound on the first call of each label
set; labels come from configuration or from closed sets, so their number is bounded.
"""

import logging
from dataclasses import dataclass

from heddle.model.call import ModelCall
from heddle.model.snapshot import Snapshot
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import Reason
from heddle.pipeline.exchange import Exchange
from heddle.telemetry import names
from heddle.telemetry.cost import Pricer
from heddle.telemetry.metrics import Counter, Histogram, TenantLabels
from heddle.telemetry.records import AccessRecord, timestamp
from heddle.telemetry.spans import finished
from heddle.telemetry.spool import Spool

_log = logging.getLogger("heddle.gateway")


@dataclass(frozen=True, slots=True)
class _Series:
    """The metric children of one (listener, operation, model, provider, status, reason)."""

    requests: Counter
    duration: Histogram
    upstream: Histogram
    first_token: Histogram


@dataclass(frozen=True, slots=True)
class _UsageSeries:
    """The metric children of one (model, provider, tenant)."""

    input: Counter
    output: Counter
    cached: Counter
    cost: Counter
    unpriced: Counter


class Recorder:
    """Writes down the calls of one snapshot."""

    def __init__(self, snapshot: Snapshot, tools: Tools, spool: Spool) -> None:
        self._metrics = tools.metrics
        self._clock = tools.clock
        self._spool = spool
        self._pricer = Pricer(snapshot.prices)
        self._tenants = TenantLabels(snapshot)
        self._series: dict[tuple[object, ...], _Series] = {}
        self._usage: dict[tuple[str, str, str], _UsageSeries] = {}
        self._access = snapshot.observability.logging.enabled and bool(snapshot.observability.logging.sinks)
        self._traced = snapshot.observability.tracing.enabled and bool(snapshot.observability.tracing.endpoint)
        self._bodies = snapshot.observability.logging.bodies
        self._inflight = tools.metrics.gauge(names.INFLIGHT_REQUESTS)

    def begin(self) -> None:
        """A call has begun."""
        self._inflight.add(1)

    def finish(self, exchange: Exchange, status: int, bytes_out: int) -> None:
        """A call has ended. Never raises: a failure to record must not become a failure to answer."""
        try:
            self._inflight.add(-1)
            self._price(exchange)
            for settle in exchange.finishers[::-1]:
                settle(exchange)
            self._count(exchange, status)
            self._write(exchange, status, bytes_out)
        except Exception:
            _log.exception("a call could not be recorded")

    def _write(self, exchange: Exchange, status: int, bytes_out: int) -> None:
        sampled = exchange.trace.sampled and self._traced
        if not (self._access or sampled):
            return
        elapsed_s = self._clock.monotonic() - exchange.started_s
        began_s = self._clock.now() - elapsed_s
        record = self._record(exchange, status, began_s, elapsed_s)
        record.bytes_out = bytes_out
        if self._access:
            self._spool.access(record)
        if sampled:
            self._spool.span(finished(exchange.trace, record, began_s))

    def _price(self, exchange: Exchange) -> None:
        usage, call = exchange.usage, exchange.call
        if usage is not None and call is not None:
            exchange.cost_usd = self._pricer.cost(call.provider, call.upstream_model, usage)

    def _count(self, exchange: Exchange, status: int) -> None:
        call, now = exchange.call, self._clock.monotonic()
        model, provider = (call.entry, call.provider) if call is not None else ("", "")
        key = (exchange.listener.name, exchange.operation, model, provider, status, exchange.reason)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._bind(*key)
        series.requests.add()
        series.duration.observe(now - exchange.started_s)
        if exchange.upstream_s:
            series.upstream.observe(now - exchange.upstream_s)
        if exchange.first_byte_s:
            series.first_token.observe(exchange.first_byte_s - exchange.started_s)
        if exchange.usage is not None:
            self._count_usage(exchange, model, provider)

    def _bind(
        self, listener: str, operation: str, model: str, provider: str, status: int, reason: Reason | None
    ) -> _Series:
        metrics = self._metrics
        why = reason.value if reason is not None else ""
        return _Series(
            metrics.counter(
                names.REQUESTS,
                listener=listener,
                operation=operation,
                model=model,
                provider=provider,
                status=str(status),
                reason=why,
            ),
            metrics.histogram(names.REQUEST_DURATION, listener=listener, operation=operation, model=model),
            metrics.histogram(names.UPSTREAM_DURATION, model=model, provider=provider),
            metrics.histogram(names.TIME_TO_FIRST_TOKEN, model=model, provider=provider),
        )

    def _count_usage(self, exchange: Exchange, model: str, provider: str) -> None:
        usage = exchange.usage
        assert usage is not None
        key = (model, provider, self._tenants.label(exchange.principal.tenant))
        series = self._usage.get(key)
        if series is None:
            series = self._usage[key] = self._bind_usage(*key)
        series.input.add(usage.input_tokens)
        series.output.add(usage.output_tokens)
        if usage.cached_input_tokens:
            series.cached.add(usage.cached_input_tokens)
        if exchange.cost_usd is None:
            series.unpriced.add()
        elif exchange.cost_usd:
            series.cost.add(exchange.cost_usd)

    def _bind_usage(self, model: str, provider: str, tenant: str) -> _UsageSeries:
        counter = self._metrics.counter
        return _UsageSeries(
            counter(names.TOKENS, model=model, provider=provider, tenant=tenant, type="input"),
            counter(names.TOKENS, model=model, provider=provider, tenant=tenant, type="output"),
            counter(names.TOKENS, model=model, provider=provider, tenant=tenant, type="cached_input"),
            counter(names.COST_USD, model=model, provider=provider, tenant=tenant),
            counter(names.UNPRICED_CALLS, model=model, provider=provider),
        )

    def _record(self, exchange: Exchange, status: int, began_s: float, elapsed_s: float) -> AccessRecord:
        principal, request, trace = exchange.principal, exchange.request, exchange.trace
        record = AccessRecord(
            time=timestamp(began_s),
            trace_id=trace.trace_id,
            span_id=trace.span_id,
            listener=exchange.listener.name,
            operation=exchange.operation,
            method=request.method,
            path=request.path,
            status=status,
            duration_ms=_ms(elapsed_s),
            workload=principal.workload,
            user=principal.user,
            tenant=principal.tenant,
            agent=principal.agent,
            key_id=principal.key_id,
            authn=principal.method,
            source=exchange.source_address,
            policy=exchange.policy,
        )
        if exchange.reason is not None:
            record.reason = exchange.reason.value
        if exchange.upstream_s:
            record.upstream_ms = _ms(exchange.started_s + elapsed_s - exchange.upstream_s)
        if exchange.first_byte_s:
            record.ttft_ms = _ms(exchange.first_byte_s - exchange.started_s)
        if exchange.call is not None:
            self._record_call(record, exchange, exchange.call)
        return record

    def _record_call(self, record: AccessRecord, exchange: Exchange, call: ModelCall) -> None:
        record.model = call.model
        record.model_entry = call.entry
        record.upstream_model = call.upstream_model
        record.provider = call.provider
        record.stream = call.stream
        record.bytes_in = len(call.body)
        record.cost_usd = exchange.cost_usd
        usage = exchange.usage
        if usage is not None:
            record.input_tokens = usage.input_tokens
            record.output_tokens = usage.output_tokens
            record.cached_input_tokens = usage.cached_input_tokens
            record.reasoning_tokens = usage.reasoning_tokens
            record.estimated = usage.estimated
        if self._bodies:
            record.request_body = call.body.decode("utf-8", "replace")


def _ms(seconds: float) -> float:
    return int(seconds * 1e6) / 1e3
