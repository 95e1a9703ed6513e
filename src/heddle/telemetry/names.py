"""Every name that telemetry uses: metrics, with their labels and buckets, and the attributes of spans.

A name that is not here cannot be counted under: `Metrics` refuses it. Label values come from configuration or from a
closed set, never from a caller's text (`model` is the configured entry, `tenant` goes through
`metrics.TenantLabels`); a bound on series per metric stands behind that all the same. *Source:* Prometheus naming
practices; OpenTelemetry semantic conventions 1.38, gen-ai (development).
"""

from typing import Literal, NamedTuple

DURATION_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds, from an answer out of memory to a long generation."""


# The names, by which the rest of the program counts.
REQUESTS = "heddle_requests_total"
REQUEST_DURATION = "heddle_request_duration_seconds"
UPSTREAM_DURATION = "heddle_upstream_duration_seconds"
TIME_TO_FIRST_TOKEN = "heddle_time_to_first_token_seconds"  # noqa: S105
TOKENS = "heddle_tokens_total"
COST_USD = "heddle_cost_usd_total"
UNPRICED_CALLS = "heddle_unpriced_calls_total"
STREAM_EVENTS = "heddle_stream_events_total"
INFLIGHT_REQUESTS = "heddle_inflight_requests"
CONNECTIONS = "heddle_connections"
CONNECTIONS_REFUSED = "heddle_connections_refused_total"
UPSTREAM_CONNECTIONS = "heddle_upstream_connections"
LIMIT_REFUSALS = "heddle_limit_refusals_total"
LIMIT_EVICTIONS = "heddle_limit_evictions_total"
BUDGET_REFUSALS = "heddle_budget_refusals_total"
BUDGET_CUTS = "heddle_budget_cuts_total"
BUDGET_WARNINGS = "heddle_budget_warnings_total"
GUARD_DECISIONS = "heddle_guard_decisions_total"
CACHE_CALLS = "heddle_cache_calls_total"
CACHE_SAVED_TOKENS = "heddle_cache_saved_tokens_total"
AUTHN_FAILURES = "heddle_authn_failures_total"
AUTHZ_DECISIONS = "heddle_authz_decisions_total"
RECORDS_LOST = "heddle_records_lost_total"
AUDIT_HELD = "heddle_audit_held"
BUS_DROPPED = "heddle_bus_dropped_total"
DEFINITIONS_WITHHELD = "heddle_mcp_definitions_withheld"
JUDGEMENTS = "heddle_mcp_judgements_total"
MCP_CALLS = "heddle_mcp_calls_total"
MCP_CALL_DURATION = "heddle_mcp_call_duration_seconds"
MCP_COST_USD = "heddle_mcp_cost_usd_total"
MCP_SESSIONS = "heddle_mcp_sessions_total"
MCP_TOOLS = "heddle_mcp_tools"
MCP_TARGET_HEALTHY = "heddle_mcp_target_healthy"
CONFIG_RELOADS = "heddle_config_reloads_total"
WORKER_RESTARTS = "heddle_worker_restarts_total"
METRIC_OVERFLOW = "heddle_metric_overflow_total"
BUILD_INFO = "heddle_build_info"


class MetricSpec(NamedTuple):
    """One metric, as it is exposed."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds, ascending, without +Inf; only for histograms."""
    max_series: int = 1_000
    """Label sets per worker; all further ones share a series whose labels are `other`."""


_SPECS = (
    MetricSpec(
        REQUESTS,
        "counter",
        "Calls answered; reason is empty for those that succeeded.",
        ("listener", "operation", "model", "provider", "status", "reason"),
        max_series=5_000,
    ),
    MetricSpec(
        REQUEST_DURATION,
        "histogram",
        "From the request head to the end of the answer.",
        ("listener", "operation", "model"),
        DURATION_S,
    ),
    MetricSpec(
        UPSTREAM_DURATION,
        "histogram",
        "From sending the request upstream to the end of its answer.",
        ("model", "provider"),
        DURATION_S,
    ),
    MetricSpec(
        TIME_TO_FIRST_TOKEN,
        "histogram",
        "From the request head to the first byte of a streamed answer.",
        ("model", "provider"),
        DURATION_S,
    ),
    MetricSpec(
        TOKENS,
        "counter",
        "Tokens used; cached_input and cache_write are parts of input, reasoning is a part of output.",
        ("model", "provider", "tenant", "type"),
        max_series=5_000,
    ),
    MetricSpec(
        COST_USD,
        "counter",
        "Price of the tokens used, in US dollars, where the model has a known price.",
        ("model", "provider", "tenant"),
        max_series=5_000,
    ),
    MetricSpec(
        UNPRICED_CALLS,
        "counter",
        "Calls that used tokens of a model without a known price.",
        ("model", "provider"),
    ),
    MetricSpec(
        STREAM_EVENTS, "counter", "Events of streamed answers, without those that only end them.", ("model", "provider")
    ),
    MetricSpec(INFLIGHT_REQUESTS, "gauge", "Calls under way."),
    MetricSpec(CONNECTIONS, "gauge", "Open connections from callers."),
    MetricSpec(
        CONNECTIONS_REFUSED,
        "counter",
        "Connections closed at once, or for bad behaviour.",
        ("listener", "reason"),
    ),
    MetricSpec(UPSTREAM_CONNECTIONS, "gauge", "Open connections to providers.", ("provider",)),
    MetricSpec(LIMIT_REFUSALS, "counter", "Calls refused by a limit.", ("limit",)),
    MetricSpec(
        LIMIT_EVICTIONS,
        "counter",
        "Keys in use that lost their place: the table of limits is too small, and newcomers inherit what was used.",
    ),
    MetricSpec(BUDGET_REFUSALS, "counter", "Calls refused by a budget.", ("budget",)),
    MetricSpec(BUDGET_CUTS, "counter", "Streams ended because a budget was spent.", ("budget",)),
    MetricSpec(
        BUDGET_WARNINGS,
        "counter",
        "Warnings that a share of a budget is spent; result is delivered, failed, or unsent when there is no webhook.",
        ("budget", "result"),
    ),
    MetricSpec(
        GUARD_DECISIONS,
        "counter",
        "What guards found: action is refuse, mask, mask_reversible or log; of webhooks and schemas also allow, error.",
        ("guard", "action", "scope", "direction"),
    ),
    MetricSpec(
        CACHE_CALLS,
        "counter",
        "Calls that a caching rule matches; result is hit, miss or bypass.",
        ("cache", "model", "result"),
    ),
    MetricSpec(
        CACHE_SAVED_TOKENS,
        "counter",
        "Tokens that were not used because the answer was kept.",
        ("cache", "model", "type"),
    ),
    MetricSpec(AUTHN_FAILURES, "counter", "Calls whose caller could not be established.", ("method", "reason")),
    MetricSpec(
        AUTHZ_DECISIONS,
        "counter",
        "Decisions by the policy that made them; empty when none allowed.",
        ("policy", "action", "mode"),
    ),
    MetricSpec(
        RECORDS_LOST, "counter", "Records that could not be kept; kind is access, spans, audit, ledger.", ("kind",)
    ),
    MetricSpec(AUDIT_HELD, "gauge", "Audit records and ledger entries in memory only, because they cannot be written."),
    MetricSpec(BUS_DROPPED, "counter", "Messages between workers given up: one did not keep up, or Redis was away."),
    MetricSpec(
        DEFINITIONS_WITHHELD,
        "gauge",
        "Definitions of a tool server that are not shown: changed, suspicious, rejected or not approved yet.",
        ("target",),
    ),
    MetricSpec(
        JUDGEMENTS,
        "counter",
        "Definitions that a model was asked about; verdict is harmful, harmless, or none when it gave no verdict.",
        ("target", "verdict"),
    ),
    MetricSpec(
        MCP_CALLS,
        "counter",
        "Calls of tools, prompts and resources; tool is empty for the latter two, unknown for what is not there; "
        "outcome is ok, tool_error (the tool says that it failed), asking, denied, limited, guarded, unavailable or "
        "error.",
        ("server", "target", "tool", "outcome"),
        max_series=5_000,
    ),
    MetricSpec(
        MCP_CALL_DURATION,
        "histogram",
        "Of the same calls, from the request head to the end of the answer.",
        ("server", "target"),
        DURATION_S,
    ),
    MetricSpec(
        MCP_COST_USD,
        "counter",
        "Declared price of the tools called, in US dollars.",
        ("server", "tool", "tenant"),
        max_series=5_000,
    ),
    MetricSpec(MCP_SESSIONS, "counter", "Sessions that callers began.", ("server",)),
    MetricSpec(
        MCP_TOOLS,
        "gauge",
        "Tools of a tool server that are shown, summed over workers, by the protocol version it is spoken to in.",
        ("target", "version"),
    ),
    MetricSpec(
        MCP_TARGET_HEALTHY,
        "gauge",
        "Workers that find the tool server well: as many as there are, or somebody's calls to it fail.",
        ("target",),
    ),
    MetricSpec(CONFIG_RELOADS, "counter", "Configurations tried; result is applied or rejected.", ("result",)),
    MetricSpec(WORKER_RESTARTS, "counter", "Workers that ended unasked and were replaced."),
    MetricSpec(
        METRIC_OVERFLOW,
        "counter",
        "Label sets that found their metric full and were counted as other.",
        ("metric",),
    ),
    MetricSpec(BUILD_INFO, "gauge", "Always 1; the version is the label.", ("version",)),
)

METRICS: dict[str, MetricSpec] = {spec.name: spec for spec in _SPECS}
"""Every metric by its name, in the order of exposition."""

GEN_AI_OPERATION = "gen_ai.operation.name"
"""`chat`, `embeddings` and so on; the conventions' word where they have one (`GEN_AI_OPERATIONS`)."""
GEN_AI_PROVIDER = "gen_ai.provider.name"
"""Whose API was called; the conventions' word where they have one (`GEN_AI_PROVIDERS`)."""
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
GEN_AI_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_CACHED_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
GEN_AI_FIRST_CHUNK_S = "gen_ai.response.time_to_first_chunk"
GEN_AI_TOOL_NAME = "gen_ai.tool.name"
GEN_AI_PROMPT_NAME = "gen_ai.prompt.name"
MCP_METHOD = "mcp.method.name"
MCP_PROTOCOL_VERSION = "mcp.protocol.version"
MCP_SESSION_ID = "mcp.session.id"
MCP_RESOURCE_URI = "mcp.resource.uri"
JSONRPC_REQUEST_ID = "jsonrpc.request.id"
HTTP_METHOD = "http.request.method"
HTTP_STATUS = "http.response.status_code"
URL_PATH = "url.path"
CLIENT_ADDRESS = "client.address"
ERROR_TYPE = "error.type"
USER_ID = "user.id"
LISTENER = "heddle.listener"
OPERATION = "heddle.operation"
PROVIDER = "heddle.provider"
WORKLOAD = "heddle.workload"
TENANT = "heddle.tenant"
AGENT = "heddle.agent"
KEY_ID = "heddle.key.id"
POLICY = "heddle.policy"
CACHE = "heddle.cache"
"""`hit`, `miss` or `bypass`."""
GUARDS = "heddle.guards"
"""What guards found, as `guard:action:scope=times`; never a text."""
SPAN_COST_USD = "heddle.cost.usd"
MODEL_REQUESTED = "heddle.model.requested"
MODEL_ENTRY = "heddle.model.entry"
STREAM = "heddle.stream"
USAGE_ESTIMATED = "heddle.usage.estimated"
MCP_SERVER = "heddle.mcp.server"
MCP_TARGET = "heddle.mcp.target"

GEN_AI_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""`ProviderSpec.type` -> the well-known value of `gen_ai.provider.name`, where it is not the same word."""

GEN_AI_OPERATIONS = {("gemini", "chat"): "generate_content", ("vertex", "chat"): "generate_content"} | {
    ("", "completions"): "text_completion"
}
"""(`ProviderSpec.type` or empty for any, our operation) -> the well-known value of `gen_ai.operation.name`."""
