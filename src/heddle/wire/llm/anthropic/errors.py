"""Anthropic's errors: the type that belongs to a status, and back.

Owns both tables and the two forms of an error, as a body and as an event. The SDKs choose their exception by status and
`details.error_code`; people read `type`.

*Source:* Anthropic API reference, "Errors", sections "HTTP errors" and "Error shapes"; "Streaming Messages", "Error
events".
"""

import re
from typing import Any

import msgspec

TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    # Anthropic's own overload is 529; the gateway's is the 503 of HTTP and means the same.
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Status -> error type. Any other of 4xx is `invalid_request_error`, the rest `api_error`."""

STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Error type -> the status it has outside of a stream."""

_WORD = re.compile(r"[a-z0-9_.-]{1,64}", re.IGNORECASE)
_encode = msgspec.json.encode


def type_of(status: int) -> str:
    """The error type that callers expect with `status`."""
    return TYPES.get(status) or ("invalid_request_error" if 400 <= status < 500 else "api_error")


def encode_error(status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
    """An error body. The format has no field for `param`: `detail` names the place. `request_id` would be
    Anthropic's."""
    del kind, param
    error = {"type": type_of(status), "message": detail, "details": {"error_code": code}}
    return _encode({"type": "error", "error": error, "request_id": None})


def error_fields(status: int, code: str) -> list[tuple[bytes, bytes]]:  # noqa: ARG001
    """None: the body says it all."""
    return []


def encode_error_event(status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
    """An error inside a stream: Anthropic's SDKs raise it as APIStatusError."""
    return b"event: error\ndata: %b\n\n" % encode_error(status, kind, code, detail, param)


def word(error: Any) -> str:
    """The type that an `error` object states, empty unless it is a plain word; its message may quote anything."""
    kind = error.get("type") if isinstance(error, dict) else None
    return kind if isinstance(kind, str) and _WORD.fullmatch(kind) else ""


def reported(error: Any) -> str:
    """An error event in our words."""
    kind = word(error)
    return f"The provider reported an error during the answer{f' ({kind})' if kind else ''}."
