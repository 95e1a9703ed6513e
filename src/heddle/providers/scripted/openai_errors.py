"""OpenAI's errors and header fields, which its chat, responses and embeddings share.

*Source:* OpenAI API reference, "Error codes", "Debugging requests", "Rate limits in headers"; the error objects its API
returns, 2026-11.
"""

import msgspec

from heddle.model.provider import Fields
from heddle.providers.scripted.asked import RefusedError
from heddle.providers.scripted.playing import Trouble
from heddle.providers.scripted.said import Who
from heddle.providers.scripted.shape import ShapeError

_KINDS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("service_unavailable_error", None),
}
_SERVER = ("server_error", None)
_TYPES = {"array": "an array", "bool": "a boolean", "float": "a decimal", "int": "an integer", "object": "an object",
          "str": "a string"}  # fmt: skip


def fields(who: Who) -> Fields:
    """Header fields as OpenAI sends them, but for the content type."""
    return [
        (b"openai-version", b"2020-10-01"),
        (b"openai-processing-ms", b"1"),
        (b"x-request-id", f"req_{who.ident}".encode()),
    ]


def refuse(trouble: Trouble, who: Who) -> tuple[Fields, bytes]:
    """Fields and body of an error."""
    sent = fields(who)
    if trouble.retry_after:
        sent.append((b"retry-after", trouble.retry_after.encode()))
    if trouble.status == 429:
        sent += [
            (b"x-ratelimit-limit-requests", b"60"),
            (b"x-ratelimit-remaining-requests", b"0"),
            (b"x-ratelimit-reset-requests", (trouble.retry_after or "1").encode() + b"s"),
        ]
    return sent, error_body(trouble)


def error_body(trouble: Trouble) -> bytes:
    """An error body with the type and code that OpenAI uses for the status."""
    kind, usual = _KINDS.get(trouble.status, _SERVER if trouble.status >= 500 else _KINDS[400])
    if trouble.code == "insufficient_quota":
        kind = trouble.code
    code = trouble.code or usual
    return msgspec.json.encode(
        {"error": {"message": trouble.message, "type": kind, "param": trouble.param, "code": code}}
    )


def unfit(error: ShapeError) -> RefusedError:
    """What OpenAI says of a request of another shape."""
    at = error.path or None
    if error.problem == "unknown":
        return RefusedError(f"Unknown parameter: '{error.path}'.", at, code="unknown_parameter")
    if error.problem == "missing":
        return RefusedError(f"Missing required parameter: '{error.path}'.", at, code="missing_required_parameter")
    if error.problem == "json":
        return RefusedError("We could not parse the JSON body of your request.")
    if error.problem == "value":
        return RefusedError(f"Invalid value for '{error.path}'.", at, code="invalid_value")
    wanted = " or ".join(_TYPES.get(name, name) for name in error.wanted.split(" | "))
    return RefusedError(f"Invalid type for '{error.path}': expected {wanted}.", at, code="invalid_type")
