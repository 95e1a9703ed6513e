"""What records and metrics say of a call to a tool server.

Owns which names may be labels and which calls are of one kind: what a caller wrote counts only where it led somewhere,
so that nobody makes series, or fills memory, with names of its own.
"""

from heddle.model.mcp import McpCall
from heddle.pipeline.errors import Reason
from heddle.pipeline.exchange import Exchange
from heddle.telemetry.calls import McpKind, McpSeries, SessionSeries
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.records import AccessRecord

MAX_KEPT_CHARS = 96
"""Longest name, URI or path of a kind that is remembered."""
_COUNTED = frozenset(("tools/call", "prompts/get", "resources/read"))
_OUTCOMES = {
    Reason.FORBIDDEN: "denied",
    Reason.UNAUTHENTICATED: "denied",
    Reason.LIMITED: "limited",
    Reason.BUDGET_EXCEEDED: "limited",
    Reason.GUARDED: "guarded",
    Reason.GUARD_UNAVAILABLE: "guarded",
    Reason.UPSTREAM_UNREACHABLE: "unavailable",
    Reason.UPSTREAM_TIMEOUT: "unavailable",
    Reason.UPSTREAM_BROKEN: "unavailable",
    Reason.OVERLOADED: "unavailable",
    Reason.PROVIDER_UNCONFIGURED: "unavailable",
}


def kind_key(call: McpCall, exchange: Exchange, status: int) -> tuple[object, ...]:
    """What calls of one kind have in common."""
    request = exchange.request
    return (
        id(exchange.principal),
        call.server,
        call.kind,
        call.name,
        call.target,
        call.target_name,
        call.version,
        call.tool_error,
        call.asks_back,
        status,
        exchange.reason,
        exchange.operation,
        exchange.source_address,
        exchange.policy,
        exchange.listener.name,
        request.method,
        request.path,
    )


def is_kept(call: McpCall, exchange: Exchange) -> bool:
    """Whether the kind of a call may be remembered: its names are no invention of the caller's, or short."""
    known = call.target or not call.name
    return bool(known) and len(call.name) <= MAX_KEPT_CHARS and len(exchange.request.path) <= MAX_KEPT_CHARS


def series(call: McpCall, exchange: Exchange, metrics: Metrics, tenant: str) -> McpSeries | SessionSeries | None:
    """The numbers that calls like this one change, besides those of all requests. `tenant` is the label."""
    # One that names nothing goes on with a call that was counted when it began, or is none.
    if call.method in _COUNTED and call.kind != "server":
        tool = call.name if call.kind == "tool" else ""
        if call.name and not call.target:
            tool = "unknown"
        return McpSeries(metrics, McpKind(call.server, call.target, tool, _outcome(call, exchange), tenant))
    if call.method == "initialize" and exchange.reason is None:
        return SessionSeries(metrics, call.server)
    return None


def _outcome(call: McpCall, exchange: Exchange) -> str:
    if exchange.reason is None:
        return "asking" if call.asks_back else "tool_error" if call.tool_error else "ok"
    return _OUTCOMES.get(exchange.reason, "error")


def describe(call: McpCall, record: AccessRecord) -> None:
    """Enter what the call was about."""
    record.server, record.target = call.server, call.target
    record.protocol_version, record.tool_error = call.version, call.tool_error
    if call.kind == "tool":
        record.tool, record.target_tool = call.name, call.target_name
    elif call.kind == "prompt":
        record.prompt = call.name
    elif call.kind == "resource":
        record.resource = call.name


def price(call: McpCall, exchange: Exchange) -> float | None:
    """What the call costs: what is declared for its tool, once its target was asked, and once for all its rounds."""
    return call.cost_usd if call.cost_usd and exchange.upstream_s and not call.asks_back else None
