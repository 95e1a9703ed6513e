"""What is written down when a call ends: price, then settlement, metrics, access record, span.

Runs once per call, in microseconds, without await. A call is settled the moment it ends. It is counted and recorded at
the end of that turn of the loop: one after the other the calls of a busy turn cost half of what each costs between two
others' parsing. Calls of one kind (same caller, model, outcome) share metric children and the constant part of their
access record, both made for the first of them; what is kept is bounded.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from heddle.dataplane.bookkeeping import bookkeeper
from heddle.dataplane.listening import Listening, heard_of, marks
from heddle.dataplane.mcp import recorded
from heddle.model.call import Heard, Usage
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot import Snapshot
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import Reason
from heddle.pipeline.exchange import Exchange
from heddle.telemetry.calls import CallKind, CallSeries, Gathered, McpSeries, SessionSeries, UsageSeries
from heddle.telemetry.cost import Pricer
from heddle.telemetry.lines import access_line, timestamp
from heddle.telemetry.metrics import TenantLabels
from heddle.telemetry.records import MAX_BODY_CHARS, AccessFacts, AccessRecord, access_tail
from heddle.telemetry.spans import finished
from heddle.telemetry.spool import Spool

_log: Final = logging.getLogger("heddle.gateway")

MAX_KINDS: Final = 16_384
"""Kinds of calls remembered, then all are dropped: callers choose names under a pattern, so there must be a bound."""
MAX_KEPT_CHARS: Final = 96
"""Longest model name of a kind that is remembered: a configured name is shorter, and a caller's costs memory."""
_NOTHING: Final = Usage()
_REFUSED_WORDS: Final = frozenset((Reason.GUARDED, Reason.GUARD_UNAVAILABLE))

_Ended = tuple[Exchange, int, int, bytes | Listening, float]
"""A call, the status and bytes of its answer, the answer, and the monotonic second at which it was complete."""


class _Kind:
    """What calls of one kind have in common."""

    __slots__ = ("mcp", "principal", "series", "tail", "usage")

    def __init__(self, principal: Principal, series: CallSeries, tail: bytes) -> None:
        self.principal = principal
        """Keeps the principal alive whose identity is part of the key."""
        self.series = series
        self.tail = tail
        self.usage: UsageSeries | None = None
        self.mcp: McpSeries | SessionSeries | None = None
        """Of calls to tool servers."""


class Recorder:
    """Writes down the calls of one snapshot."""

    def __init__(self, snapshot: Snapshot, tools: Tools, spool: Spool) -> None:
        self.inflight = 0
        """Calls begun and not written down."""
        self._ended: list[_Ended] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._epoch_s = 0.0
        """Unix time at which the monotonic clock was 0."""
        tools.closers.append(self.write_down)
        self._metrics = tools.metrics
        self._monotonic, self._now = tools.clock.monotonic, tools.clock.now
        self._spool = spool
        self._price = Pricer(snapshot.prices).cost
        self._enter = bookkeeper(snapshot.ledger, tools)
        self._tenants = TenantLabels(snapshot)
        self._vendors = {spec.name: spec.type for spec in snapshot.providers}
        self._kinds: dict[tuple[object, ...], _Kind] = {}
        self._series: dict[tuple[object, ...], CallSeries] = {}
        self._gathered = Gathered(tools.metrics)
        self._usages: dict[tuple[str, str, str], UsageSeries] = {}
        self._access = snapshot.observability.logging.enabled and bool(snapshot.observability.logging.sinks)
        self._traced = snapshot.observability.tracing.enabled and bool(snapshot.observability.tracing.endpoint)
        self._bodies = snapshot.observability.logging.bodies

    def listen(self, exchange: Exchange, body: AsyncIterator[bytes]) -> Listening | None:
        """The body of a stream to send instead, if its record or span will tell of it."""
        if exchange.call is not None and (self._bodies or (self._traced and exchange.trace.sampled)):
            return Listening(body, exchange.call.dialect, self._bodies)
        return None

    def record(self, exchange: Exchange, status: int, bytes_out: int) -> None:
        """A call has ended that came in a request with others, or whose answer went into somebody's stream."""
        self.inflight += 1
        self.finish(exchange, status, bytes_out)

    def finish(self, exchange: Exchange, status: int, bytes_out: int, answer: bytes | Listening = b"") -> None:
        """A call has ended. Never raises: a failure to record must not become a failure to answer."""
        try:
            self._settle(exchange, status)
        except Exception:
            _log.exception("a call could not be settled")
        ended = self._ended
        if not ended:
            loop = self._loop = self._loop or asyncio.get_running_loop()
            loop.call_soon(self.write_down)
        ended.append((exchange, status, bytes_out, answer, self._monotonic()))

    def write_down(self) -> None:
        """Count and record what has ended. Never raises."""
        ended, self._ended = self._ended, []
        self._epoch_s = self._now() - self._monotonic()
        for end in ended:
            self.inflight -= 1
            try:
                self._write_down(*end)
            except Exception:
                _log.exception("a call could not be recorded")
        self._gathered.flush()

    def _write_down(
        self, exchange: Exchange, status: int, bytes_out: int, answer: bytes | Listening, ended_s: float
    ) -> None:
        usage, started = exchange.usage, exchange.started_s
        duration = ended_s - started
        upstream = ended_s - exchange.upstream_s if exchange.upstream_s else 0.0
        first = exchange.first_byte_s - started if exchange.first_byte_s else 0.0
        mcp = exchange.mcp
        if mcp is None:
            kind = self._kind(exchange, status)
            self._gathered.count(kind.series, duration, upstream, first, exchange.events)
        else:
            kind = self._mcp_kind(exchange, mcp, status)
            self._gathered.count(kind.series, duration)
            if kind.mcp is not None:
                kind.mcp.count(duration, exchange.cost_usd)
        if usage is not None:
            (kind.usage or self._bind_usage(kind, exchange)).count(usage, exchange.cost_usd)
        sampled = self._traced and exchange.trace.sampled
        if not (self._access or sampled):
            return
        began = self._epoch_s + started
        facts = _facts(exchange, timestamp(began), (duration, upstream, first), bytes_out)
        if self._access and not self._bodies:
            self._spool.access_line(access_line(facts, kind.tail))
        if sampled or self._bodies:
            self._write_whole(exchange, _constant(exchange, status), facts, began, answer)

    def _settle(self, exchange: Exchange, status: int) -> None:
        """Price, settlement by whoever reserved, entry in the ledger; finishers may say what was used."""
        call, usage = exchange.call, exchange.usage
        if usage is not None and call is not None:
            kept = exchange.cache == "hit"
            exchange.cost_usd = 0.0 if kept else self._price(call.provider, call.upstream_model, usage, call.characters)
        elif exchange.mcp is not None:
            exchange.cost_usd = recorded.price(exchange.mcp, exchange)
        for settle in exchange.finishers[::-1]:
            settle(exchange)
        self._enter(exchange, status)

    def _write_whole(
        self, exchange: Exchange, record: AccessRecord, facts: AccessFacts, began_s: float, answer: bytes | Listening
    ) -> None:
        """The rare forms: a span, and an access record that carries bodies."""
        call = exchange.call
        # What an error says is in the record already, and it is no completion.
        heard = heard_of(answer, call.dialect) if call is not None and record.status == 200 else Heard()
        for name in AccessFacts.__struct_fields__:
            setattr(record, name, getattr(facts, name))
        record.guards = " ".join([f"{name}={times}" for name, times in exchange.guarded.items()])
        if self._access and self._bodies:
            if call is not None:
                # What a guard refused is kept nowhere: it was refused for what it says.
                unfit = call.content_type or exchange.reason in _REFUSED_WORDS
                record.request_body = "" if unfit else _text(call.body)
                record.response_body = _completion(answer, heard) if record.status == 200 else None
            self._spool.access(record)
        if self._traced and exchange.trace.sampled:
            most = call.max_output_tokens or 0 if call is not None else 0
            vendor = self._vendors.get(record.provider, "")
            span = finished(exchange.trace, record, began_s, marks(heard), most, vendor)
            if exchange.mcp is not None:
                span.request_id = exchange.mcp.request_id.decode("utf-8", "replace").strip('"')
            self._spool.span(span)

    def _kind(self, exchange: Exchange, status: int) -> _Kind:
        call = exchange.call
        # The provider's name for the model, too: a virtual model's calls go to different places.
        model, upstream, provider, stream = (
            (call.model, call.upstream_model, call.provider, call.stream) if call is not None else ("", "", "", False)
        )
        principal = exchange.principal
        key = (
            id(principal),
            model,
            upstream,
            provider,
            status,
            exchange.reason,
            exchange.operation,
            stream,
            exchange.source_address,
            exchange.policy,
            exchange.cache,
            exchange.listener.name,
        )
        kind = self._kinds.get(key)
        # Without a call the path is the caller's own text: such records are not kept.
        if kind is None or call is None:
            series = self._call_series(exchange, status)
            kind = _Kind(principal, series, access_tail(_constant(exchange, status)) if self._access else b"")
            if call is not None and len(model) <= MAX_KEPT_CHARS:
                self._keep(key, kind)
        return kind

    def _keep(self, key: tuple[object, ...], kind: _Kind) -> None:
        if len(self._kinds) >= MAX_KINDS:
            self._kinds.clear()
        self._kinds[key] = kind

    def _mcp_kind(self, exchange: Exchange, call: McpCall, status: int) -> _Kind:
        """The same for a call to a tool server."""
        key = recorded.kind_key(call, exchange, status)
        kind = self._kinds.get(key)
        if kind is None:
            tail = access_tail(_constant(exchange, status)) if self._access else b""
            kind = _Kind(exchange.principal, self._call_series(exchange, status), tail)
            tenant = self._tenants.label(exchange.principal.tenant)
            kind.mcp = recorded.series(call, exchange, self._metrics, tenant)
            if recorded.is_kept(call, exchange):
                self._keep(key, kind)
        return kind

    def _call_series(self, exchange: Exchange, status: int) -> CallSeries:
        call, reason = exchange.call, exchange.reason
        model, provider = (call.entry, call.provider) if call is not None else ("", "")
        why = reason.value if reason is not None else ""
        kind = CallKind(exchange.listener.name, exchange.operation, model, provider, status, why)
        series = self._series.get(kind)
        if series is None:
            series = self._series[kind] = CallSeries(self._metrics, kind)
        return series

    def _bind_usage(self, kind: _Kind, exchange: Exchange) -> UsageSeries:
        call = exchange.call
        model, provider = (call.entry, call.provider) if call is not None else ("", "")
        key = (model, provider, self._tenants.label(exchange.principal.tenant))
        usage = self._usages.get(key)
        if usage is None:
            usage = self._usages[key] = UsageSeries(self._metrics, *key)
        kind.usage = usage
        return usage


def _facts(exchange: Exchange, began: str, spans_s: tuple[float, float, float], bytes_out: int) -> AccessFacts:
    """The part of a record that is the call's own; `spans_s`: the whole, that of the upstream, that to its answer."""
    call, mcp, trace, usage = exchange.call, exchange.mcp, exchange.trace, exchange.usage or _NOTHING
    duration_s, upstream_s, first_s = spans_s
    size = len(call.body) if call is not None else mcp.size if mcp is not None else 0
    return AccessFacts(
        began,
        trace.trace_id,
        trace.span_id,
        int(duration_s * 1e6) / 1e3,
        int(upstream_s * 1e6) / 1e3,
        int(first_s * 1e6) / 1e3,
        size,
        bytes_out,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.reasoning_tokens,
        usage.estimated,
        exchange.cost_usd,
        mcp.session if mcp is not None else "",
    )


def _completion(answer: bytes | Listening, heard: Heard) -> str:
    """A whole answer as it was sent; of a stream the text, whose form around it is of no interest."""
    return heard.text if isinstance(answer, Listening) else _text(answer)


def _text(body: bytes) -> str:
    # No more of it than could be kept: bodies may be megabytes.
    return body[: 4 * (MAX_BODY_CHARS + 1)].decode("utf-8", "replace")


def _constant(exchange: Exchange, status: int) -> AccessRecord:
    """The part of a record that calls of one kind share."""
    principal, request, call, reason = exchange.principal, exchange.request, exchange.call, exchange.reason
    record = AccessRecord(
        time="",
        listener=exchange.listener.name,
        operation=exchange.operation,
        method=request.method,
        path=request.path,
        status=status,
        reason=reason.value if reason is not None else "",
        workload=principal.workload,
        user=principal.user,
        tenant=principal.tenant,
        agent=principal.agent,
        key_id=principal.key_id,
        authn=principal.method,
        source=exchange.source_address,
        policy=exchange.policy,
        cache=exchange.cache,
    )
    if call is not None:
        record.model = call.model
        record.model_entry = call.entry
        record.upstream_model = call.upstream_model
        record.provider = call.provider
        record.stream = call.stream
    elif exchange.mcp is not None:
        recorded.describe(exchange.mcp, record)
    return record
