"""Every way a call can fail, and the one table that says what each means to the caller.

Everything that decides a status, a JSON-RPC code or whether a retry makes sense must live here.
*Source:* RFC 9110 section 15; JSON-RPC 2.0 section 5.1.
"""

import enum
from typing import NamedTuple


class Answer(NamedTuple):
    """What a reason becomes on the wire."""

    status: int
    jsonrpc: int
    retryable: bool
    """The same call may succeed later, or elsewhere, and repeating it is safe."""
    kind: str
    """OpenAI `error.type`; other dialects derive theirs from the status."""
    code: str
    """OpenAI `error.code`; also the `reason` in records and metrics."""


class Reason(enum.Enum):
    """Closed set of failures; the value is what records and metrics call it."""

    BAD_REQUEST = "bad_request"
    BAD_JSON = "bad_json"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    MODEL_FORBIDDEN = "model_forbidden"
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    STATE_NOT_FOUND = "state_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TIMEOUT_READING = "timeout_reading"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA = "unsupported_media"
    MISDIRECTED = "misdirected"
    LIMITED = "limited"
    BUDGET_EXCEEDED = "budget_exceeded"
    PRICE_UNKNOWN = "price_unknown"
    GUARDED = "guarded"
    GUARD_UNAVAILABLE = "guard_unavailable"
    INTERNAL = "internal"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_BROKEN = "upstream_broken"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    PROVIDER_UNCONFIGURED = "provider_unconfigured"
    IDENTITY_UNAVAILABLE = "identity_unavailable"
    OVERLOADED = "overloaded"
    CALLER_GONE = "caller_gone"


_INVALID = "invalid_request_error"

ANSWERS: dict[Reason, Answer] = {
    Reason.BAD_REQUEST: Answer(400, -32600, False, _INVALID, "bad_request"),
    Reason.BAD_JSON: Answer(400, -32700, False, _INVALID, "invalid_json"),
    Reason.UNAUTHENTICATED: Answer(401, -32001, False, _INVALID, "invalid_api_key"),
    Reason.FORBIDDEN: Answer(403, -32003, False, "permission_error", "forbidden"),
    Reason.MODEL_FORBIDDEN: Answer(403, -32003, False, "permission_error", "model_forbidden"),
    Reason.NOT_FOUND: Answer(404, -32601, False, _INVALID, "unknown_url"),
    Reason.MODEL_NOT_FOUND: Answer(404, -32602, False, _INVALID, "model_not_found"),
    Reason.STATE_NOT_FOUND: Answer(404, -32602, False, _INVALID, "not_found"),
    Reason.METHOD_NOT_ALLOWED: Answer(405, -32601, False, _INVALID, "method_not_allowed"),
    Reason.TIMEOUT_READING: Answer(408, -32600, True, _INVALID, "request_timeout"),
    Reason.TOO_LARGE: Answer(413, -32600, False, _INVALID, "request_too_large"),
    Reason.UNSUPPORTED_MEDIA: Answer(415, -32600, False, _INVALID, "unsupported_media_type"),
    Reason.MISDIRECTED: Answer(421, -32600, False, _INVALID, "misdirected_request"),
    Reason.LIMITED: Answer(429, -32005, True, "rate_limit_error", "rate_limit_exceeded"),
    # Of the type that OpenAI's own clients and ours take for "not soon", unlike a rate limit.
    Reason.BUDGET_EXCEEDED: Answer(429, -32005, False, "insufficient_quota", "budget_exceeded"),
    Reason.PRICE_UNKNOWN: Answer(403, -32003, False, "permission_error", "price_unknown"),
    # The code that OpenAI's API refuses contents with, and that its users look for.
    Reason.GUARDED: Answer(400, -32006, False, _INVALID, "content_policy_violation"),
    Reason.GUARD_UNAVAILABLE: Answer(503, -32603, True, "server_error", "guard_unavailable"),
    Reason.INTERNAL: Answer(500, -32603, False, "server_error", "internal_error"),
    Reason.UPSTREAM_ERROR: Answer(502, -32603, True, "server_error", "upstream_error"),
    Reason.UPSTREAM_BROKEN: Answer(502, -32603, False, "server_error", "upstream_broken"),
    Reason.UPSTREAM_UNREACHABLE: Answer(503, -32603, True, "server_error", "upstream_unreachable"),
    Reason.UPSTREAM_TIMEOUT: Answer(504, -32603, False, "server_error", "upstream_timeout"),
    Reason.PROVIDER_UNCONFIGURED: Answer(503, -32603, False, "server_error", "provider_unconfigured"),
    Reason.IDENTITY_UNAVAILABLE: Answer(503, -32603, True, "server_error", "identity_unavailable"),
    Reason.OVERLOADED: Answer(503, -32603, True, "server_error", "overloaded"),
    Reason.CALLER_GONE: Answer(499, -32603, False, "server_error", "caller_gone"),
}


class CallError(Exception):
    """A call that fails for a known reason.

    `detail` is shown to the caller: a full sentence, no secrets, no upstream bodies. `headers` are
    added to the answer (`retry-after`, `www-authenticate`). `param` names the offending field of
    the request, where there is one.
    """

    __slots__ = ("detail", "headers", "param", "reason")

    def __init__(
        self, reason: Reason, detail: str, *, param: str | None = None, headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.param = param
        self.headers = headers or []

    @property
    def answer(self) -> Answer:
        """What this error becomes on the wire."""
        return ANSWERS[self.reason]
