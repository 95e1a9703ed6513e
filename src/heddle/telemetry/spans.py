"""The two spans of a sampled call: the server span of the gateway and the client span of the upstream attempt.

Owns what is kept of them when the call ends (`SpanRecord`, cheap: built in a worker) and what they become
(`spans`, thorough: run by the exporter), with every attribute name. It keeps no prompt and no completion.
*Source:* OpenTelemetry semantic conventions 1.41: HTTP spans, GenAI spans (`{operation} {model}`), "Recording errors";
those for Model Context Protocol (`{method} {tool}`; the gateway is a server to callers, a client to tool servers).
"""

import enum

import msgspec

from heddle.model.call import Heard
from heddle.telemetry import names
from heddle.telemetry.records import AccessRecord, bound, encode_line
from heddle.telemetry.trace import SpanContext

Value = str | int | float | bool | tuple[str, ...]


_SILENCE = Heard()


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
    heard: Heard = msgspec.field(default_factory=Heard)
    """What the answer said of itself, without its text."""
    max_tokens: int = 0
    """Most tokens the caller asked for; 0 when it did not say."""
    vendor: str = ""
    """Type of the provider; empty is not known."""
    request_id: str = ""
    """JSON-RPC id of the caller's request, where it was one."""


_MODELS = "/v1/models/"


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


def finished(
    context: SpanContext,
    call: AccessRecord,
    started_unix_s: float,
    heard: Heard = _SILENCE,
    max_tokens: int = 0,
    vendor: str = "",
) -> SpanRecord:
    """What to keep of a call that ended; `call` must be complete, and is clipped in place."""
    bound(call)
    call.request_body = call.response_body = None
    return SpanRecord(
        call=call,
        start_ns=int(started_unix_s * 1_000_000_000),
        parent_id=context.parent_id,
        upstream_id=context.upstream_id,
        state=context.state,
        heard=heard,
        max_tokens=max_tokens,
        vendor=vendor,
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
        name=_name(call),
        kind=Kind.SERVER,
        trace_id=call.trace_id,
        span_id=call.span_id,
        parent_id=record.parent_id,
        state=record.state,
        start_ns=record.start_ns,
        end_ns=end_ns,
        # HTTP conventions: a server span fails for 5xx only; a 4xx is the caller's error.
        error=call.reason or "error" if call.status >= 500 else "",
        attributes=_server_attributes(call) | (_mcp_attributes(record, call.tool) if call.server else {}),
    )
    if not record.upstream_id or not call.upstream_ms:
        return [server]
    failed = _failure(call)
    client = Span(
        name=_client_name(record),
        kind=Kind.CLIENT,
        trace_id=call.trace_id,
        span_id=record.upstream_id,
        parent_id=call.span_id,
        state=record.state,
        start_ns=max(record.start_ns, end_ns - int(call.upstream_ms * 1e6)),
        end_ns=end_ns,
        error=failed,
        attributes=_target_attributes(record, failed) if call.server else _model_attributes(record),
    )
    return [server, client]


def _failure(call: AccessRecord) -> str:
    """Why what was asked upstream failed; the conventions' word where a tool says that it did."""
    if call.tool_error:
        return "tool_error"
    return call.reason if call.reason.startswith("upstream") else ""


def _client_name(record: SpanRecord) -> str:
    call = record.call
    subject = call.target_tool or call.prompt if call.server else call.upstream_model or call.model
    return f"{_operation(record)} {subject}".rstrip()


def _name(call: AccessRecord) -> str:
    """`{method} {route}`; names of few values, so the part of a path that callers choose is not in it."""
    if call.operation == "unknown":
        return call.method
    if call.server:
        # What nobody has is the caller's own text.
        return f"{call.operation} {call.tool or call.prompt}".rstrip() if call.target else call.operation
    return f"{call.method} {_MODELS}{{model}}" if call.path.startswith(_MODELS) else f"{call.method} {call.path}"


def _server_attributes(call: AccessRecord) -> dict[str, Value]:
    return _known(
        {
            names.HTTP_METHOD: call.method,
            names.HTTP_STATUS: call.status,
            names.URL_PATH: call.path,
            names.CLIENT_ADDRESS: call.source,
            names.ERROR_TYPE: call.reason,
            names.USER_ID: call.user,
            names.LISTENER: call.listener,
            names.OPERATION: call.operation,
            names.WORKLOAD: call.workload,
            names.TENANT: call.tenant,
            names.AGENT: call.agent,
            names.KEY_ID: call.key_id,
            names.POLICY: call.policy,
            names.CACHE: call.cache,
            names.GUARDS: call.guards,
            names.SPAN_COST_USD: call.cost_usd if call.cost_usd is not None else "",
        }
    )


def _operation(record: SpanRecord) -> str:
    ours = record.call.operation
    known = names.GEN_AI_OPERATIONS
    return known.get((record.vendor, ours)) or known.get(("", ours)) or ours


def _model_attributes(record: SpanRecord) -> dict[str, Value]:
    call, heard = record.call, record.heard
    return _known(
        {
            names.GEN_AI_OPERATION: _operation(record),
            names.GEN_AI_PROVIDER: names.GEN_AI_PROVIDERS.get(record.vendor, record.vendor) or call.provider,
            names.PROVIDER: call.provider,
            names.GEN_AI_REQUEST_MODEL: call.upstream_model or call.model,
            names.GEN_AI_REQUEST_MAX_TOKENS: record.max_tokens,
            names.GEN_AI_RESPONSE_ID: heard.id,
            names.GEN_AI_RESPONSE_MODEL: heard.model,
            names.GEN_AI_FINISH_REASONS: heard.finish_reasons,
            names.GEN_AI_INPUT_TOKENS: call.input_tokens,
            names.GEN_AI_OUTPUT_TOKENS: call.output_tokens,
            names.GEN_AI_CACHED_INPUT_TOKENS: call.cached_input_tokens,
            names.GEN_AI_REASONING_TOKENS: call.reasoning_tokens,
            names.GEN_AI_FIRST_CHUNK_S: call.ttft_ms / 1000,
            names.ERROR_TYPE: call.reason if call.reason.startswith("upstream") else "",
            names.MODEL_REQUESTED: call.model,
            names.MODEL_ENTRY: call.model_entry,
            names.STREAM: call.stream,
            names.USAGE_ESTIMATED: call.estimated,
            names.SPAN_COST_USD: call.cost_usd if call.cost_usd is not None else "",
        }
    )


def _mcp_attributes(record: SpanRecord, tool: str) -> dict[str, Value]:
    """What both sides of the gateway say of a call; `tool` as that side calls it."""
    call = record.call
    return _known(
        {
            names.MCP_METHOD: "" if call.operation == "mcp" else call.operation,
            names.GEN_AI_OPERATION: "execute_tool" if call.operation == "tools/call" else "",
            names.GEN_AI_TOOL_NAME: tool,
            names.GEN_AI_PROMPT_NAME: call.prompt,
            names.MCP_RESOURCE_URI: call.resource,
            names.MCP_SERVER: call.server,
            names.MCP_TARGET: call.target,
            names.ERROR_TYPE: "tool_error" if call.tool_error else "",
            names.MCP_PROTOCOL_VERSION: call.protocol_version,
            names.MCP_SESSION_ID: call.session,
            names.JSONRPC_REQUEST_ID: record.request_id,
        }
    )


def _target_attributes(record: SpanRecord, failed: str) -> dict[str, Value]:
    """Those of the client span: its session, version and ids are the gateway's, so the caller's are not said."""
    told = _mcp_attributes(record, record.call.target_tool)
    for name in (names.MCP_PROTOCOL_VERSION, names.MCP_SESSION_ID, names.JSONRPC_REQUEST_ID, names.MCP_RESOURCE_URI):
        told.pop(name, None)
    return told | ({names.ERROR_TYPE: failed} if failed else {})


def _known(attributes: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value not in ("", 0, ()) or value is False}
