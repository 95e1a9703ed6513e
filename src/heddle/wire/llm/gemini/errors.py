"""Errors as Google's APIs give them: whole and inside a stream.

Owns the canonical code that goes with an HTTP status.

*Source:* Google APIs design guide AIP-193 and `google/rpc/code.proto`, `google/rpc/error_details.proto`; Gemini API,
"Troubleshooting", error codes; google-genai 3.4 `errors`, which finds an error event by its first key.
"""

import msgspec

from heddle.wire import sse

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""HTTP status -> `error.status`. Others are INVALID_ARGUMENT below 500 and INTERNAL above."""


def encode_error(status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
    """An error body. `code` becomes the `reason` of an ErrorInfo, `param` a field violation."""
    del kind
    name = STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    details: list[dict[str, object]] = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code.upper(), "domain": "heddle"}
    ]
    if param is not None:
        violation = {"field": param, "description": detail}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    error = {"code": status, "message": detail, "status": name, "details": details}
    return msgspec.json.encode({"error": error})


def error_fields(status: int, code: str) -> list[tuple[bytes, bytes]]:  # noqa: ARG001
    """None: the body says it all."""
    return []


def encode_error_event(status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
    """An error inside a stream: Google's SDKs raise it as APIError."""
    return sse.encode(encode_error(status, kind, code, detail, param))
