"""`_meta`: which of its members belong to one connection, and what travels on.

The members of a connection (version, capabilities, who the client is, how much it wants logged) are said anew by
whoever makes the next request; everything else is the caller's and passes.
*Source:* Model Context Protocol 2026-07-28, "Per-request protocol fields"; SEP-414 (trace context).
"""

import msgspec

PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion"
CLIENT_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
CLIENT_INFO = "io.modelcontextprotocol/clientInfo"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"
PROGRESS_TOKEN = "progressToken"  # noqa: S105 - no password
TRACE = ("traceparent", "tracestate", "baggage")
CONNECTION = frozenset((PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL))

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

Meta = dict[str, msgspec.Raw]

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_meta(params: dict[str, msgspec.Raw]) -> Meta:
    """The members of `params._meta`, each as it was written; empty when it is missing or no object."""
    raw = params.get("_meta")
    if raw is None:
        return {}
    try:
        return _decode(raw)
    except msgspec.ValidationError:
        return {}


def of_caller(meta: Meta) -> Meta:
    """What passes on."""
    if meta.keys() <= CONNECTION:
        return {}
    return {name: value for name, value in meta.items() if name not in CONNECTION}
