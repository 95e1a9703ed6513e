"""Trace context inside of messages: taken from a caller's `_meta`, and put into that of requests to targets.

Owns which of two contexts counts: that of the HTTP fields, which was read before, then that of the message. Whether a
call is recorded is decided by callers who have proven who they are, as everywhere. What a target gets in the message
and in HTTP fields is the same span.
*Source:* Model Context Protocol SEP-414 (`traceparent`, `tracestate`, `baggage` in `_meta`); OpenTelemetry semantic
conventions for MCP, "Context propagation".
"""

import msgspec

from heddle.model.principal import ANONYMOUS
from heddle.pipeline.exchange import Exchange
from heddle.telemetry.trace import begin_client, extract, traceparent
from heddle.wire.jsonrpc import Message
from heddle.wire.mcp import meta

_TRACEPARENT, _TRACESTATE, _ = meta.TRACE
_encode = msgspec.json.encode


def adopt(exchange: Exchange, message: Message) -> None:
    """Make the call part of the trace that its message names, when its HTTP fields named none."""
    given, own = message.value.get("_meta"), exchange.trace
    if own.wanted is not None or not isinstance(given, dict) or _TRACEPARENT not in given:
        return
    fields = {name.encode(): _field(given.get(name)) for name in (_TRACEPARENT, _TRACESTATE)}
    found = extract(fields.get, ("w3c",), 0.0)
    if found.wanted is None:
        return  # it is no trace context
    if exchange.principal is ANONYMOUS:
        found.sampled = own.sampled
    exchange.trace = found


def _field(value: object) -> bytes | None:
    return value.encode("latin-1", "replace") if isinstance(value, str) else None


def passed(exchange: Exchange, params: dict[str, msgspec.Raw], passing: meta.Meta | None = None) -> meta.Meta:
    """The members of the `_meta` of `params` that go on, in the trace of this call where there is one.

    `passing` are those of the caller's, where it has been read.
    """
    if passing is not None:
        given = passing.copy()
    else:
        given = meta.of_caller(meta.read_meta(params)) if "_meta" in params else {}
    trace = exchange.trace
    if not (trace.sampled or trace.parent_id or _TRACEPARENT in given):
        return given
    begin_client(trace)
    given[_TRACEPARENT] = msgspec.Raw(_encode(traceparent(trace)))
    given.pop(_TRACESTATE, None)
    if trace.state:
        given[_TRACESTATE] = msgspec.Raw(_encode(trace.state))
    return given
