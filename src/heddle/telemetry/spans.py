"""The two spans of a sampled call: the server span of the gateway and the client span of the upstream attempt.

Owns what is kept of them when the call ends (`SpanRecord`, cheap: built in a worker) and what they become
(`spans`, thorough: run by the exporter), with every attribute name. It keeps no prompt and no completion.
*Source:* OpenTelemetry semantic conventions 1.41: HTTP spans, GenAI spans (`{operation} {model}`), "Recording errors".
"""

import enum

import msgspec

from heddle.telemetry.records import AccessRecord, bound, encode_line
from heddle.telemetry.trace import SpanContext

Value = str | int | float | bool


class Kind(enum.IntEnum):
    """Numbers of `opentelemetry.proto.trace.v1.Span.SpanKind`."""

    SERVER = 2
    CLIENT = 3


class SpanRecord(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A sampled call after it ended: its access record and its place in the trace. Times are Unix nanoseconds."""

    call: AccessRecord
    start_ns: int
    parent_id: str = ""
    upstream_id: str = ""
    """Id of the client span; empty when no upstream was called."""
    state: str = ""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One span as a collector wants it."""

    name: str
    kind: Kind
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    start_ns: int
    end_ns: int
    error: str
    """Why it failed; empty when it did not."""
    attributes: dict[str, Value]


def finished(context: SpanContext, call: AccessRecord, started_unix_s: float) -> SpanRecord:
    """What to keep of a call that ended; `call` must be complete, and is clipped in place."""
    bound(call)
    call.request_body = call.response_body = None
    return SpanRecord(
        call=call,
        start_ns=int(started_unix_s * 1_000_000_000),
        parent_id=context.parent_id,
        upstream_id=context.upstream_id,
        state=context.state,
    )


def encode_span(record: SpanRecord) -> bytes:
    """The record as one JSON line with its newline."""
    return encode_line(record)


decode_span = msgspec.json.Decoder(SpanRecord).decode
"""The record of a line; raises msgspec.DecodeError."""


def spans(record: SpanRecord) -> list[Span]:
    """The server span, and the client span below it when an upstream was called."""
    call = record.call
    end_ns = record.start_ns + int(call.duration_ms * 1e6)
    server = Span(
        name=f"{call.method} {call.path}" if call.operation != "unknown" else call.method,
        kind=Kind.SERVER,
        trace_id=call.trace_id,
        span_id=call.span_id,
        parent_id=record.parent_id,
        state=record.state,
        start_ns=record.start_ns,
        end_ns=end_ns,
        # HTTP conventions: a server span fails for 5xx only; a 4xx is the caller's error.
        error=call.reason or "error" if call.status >= 500 else "",
        attributes=_server_attributes(call),
    )
    if not record.upstream_id or not call.upstream_ms:
        return [server]
    client = Span(
        name=f"{call.operation} {call.upstream_model or call.model}".rstrip(),
        kind=Kind.CLIENT,
        trace_id=call.trace_id,
        span_id=record.upstream_id,
        parent_id=call.span_id,
        state=record.state,
        start_ns=max(record.start_ns, end_ns - int(call.upstream_ms * 1e6)),
        end_ns=end_ns,
        error=call.reason if call.reason.startswith("upstream") else "",
        attributes=_model_attributes(call),
    )
    return [server, client]


def _server_attributes(call: AccessRecord) -> dict[str, Value]:
    return _known(
        {
            "http.request.method": call.method,
            "http.response.status_code": call.status,
            "url.path": call.path,
            "client.address": call.source,
            "error.type": call.reason,
            "user.id": call.user,
            "heddle.listener": call.listener,
            "heddle.operation": call.operation,
            "heddle.workload": call.workload,
            "heddle.tenant": call.tenant,
            "heddle.agent": call.agent,
            "heddle.key.id": call.key_id,
            "heddle.policy": call.policy,
            "heddle.cost.usd": call.cost_usd if call.cost_usd is not None else "",
        }
    )


def _model_attributes(call: AccessRecord) -> dict[str, Value]:
    return _known(
        {
            "gen_ai.operation.name": call.operation,
            "gen_ai.provider.name": call.provider,
            "gen_ai.request.model": call.upstream_model or call.model,
            "gen_ai.usage.input_tokens": call.input_tokens,
            "gen_ai.usage.output_tokens": call.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": call.cached_input_tokens,
            "gen_ai.usage.reasoning.output_tokens": call.reasoning_tokens,
            "gen_ai.response.time_to_first_chunk": call.ttft_ms / 1000,
            "error.type": call.reason if call.reason.startswith("upstream") else "",
            "heddle.model.requested": call.model,
            "heddle.model.entry": call.model_entry,
            "heddle.stream": call.stream,
            "heddle.usage.estimated": call.estimated,
            "heddle.cost.usd": call.cost_usd if call.cost_usd is not None else "",
        }
    )


def _known(attributes: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value not in ("", 0) or value is False}
