"""What both operations of the offline model share: header fields, error answers, and the faults asked for.

*Source:* OpenAI API reference, "Error codes" and "Debugging requests"; the error objects its API returns.
"""

from collections.abc import Iterator
from hashlib import sha256

import msgspec

from heddle.model.provider import STALL, Fields, Script, Step
from heddle.providers.scripted.directives import Fault

JSON = b"application/json"
SSE = b"text/event-stream; charset=utf-8"

_KINDS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("service_unavailable_error", None),
}
_SERVER = ("server_error", None)


def request_id(body: bytes, created_s: int) -> str:
    """32 hex digits that the same request at the same second always gets."""
    return sha256(b"%d:%b" % (created_s, body)).hexdigest()[:32]


def headers(content_type: bytes, ident: str) -> Fields:
    """Header fields as OpenAI sends them."""
    return [
        (b"content-type", content_type),
        (b"openai-version", b"2020-10-01"),
        (b"openai-processing-ms", b"1"),
        (b"x-request-id", f"req_{ident}".encode()),
    ]


def error_body(status: int, message: str, code: str = "", param: str | None = None) -> bytes:
    """An error body with the type and code that OpenAI uses for `status`."""
    kind, usual = _KINDS.get(status, _SERVER if status >= 500 else _KINDS[400])
    if code == "insufficient_quota":
        kind = code
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": code or usual}})


def refusal(ident: str, message: str, param: str | None) -> Script:
    """The answer to a request that OpenAI would refuse."""
    body = error_body(400, message, param=param)
    return Script(400, headers(JSON, ident), iter([Step(0.0, body)]))


def failure(ident: str, fault: Fault, delay_s: float) -> Script:
    """The answer that `[[error ...]]` asked for."""
    fields = headers(JSON, ident)
    if fault.retry_after:
        fields.append((b"retry-after", fault.retry_after.encode()))
    if fault.status == 429:
        fields += [
            (b"x-ratelimit-limit-requests", b"60"),
            (b"x-ratelimit-remaining-requests", b"0"),
            (b"x-ratelimit-reset-requests", (fault.retry_after or "1").encode() + b"s"),
        ]
    body = error_body(fault.status, f"The prompt asked for status {fault.status}.", fault.code)
    return Script(fault.status, fields, iter([Step(delay_s, body)]))


def spoiled(steps: Iterator[Step], fault: Fault | None) -> Iterator[Step]:
    """`steps` with `fault` in its place."""
    if fault is None:
        yield from steps
        return
    for sent, step in enumerate(steps):
        if sent == fault.after:
            if fault.kind == "malformed":
                yield Step(0.0, b'data: {"choices": [}\n\n')
            else:
                yield from _ending(fault)
                return
        yield step


def _ending(fault: Fault) -> Iterator[Step]:
    if fault.kind == "stall":
        yield Step(STALL, b"")
    elif fault.kind == "disconnect":
        yield Step(0.0, None)
    elif fault.kind == "error":
        body = error_body(fault.status, f"The prompt asked for error {fault.status}.", fault.code)
        yield Step(0.0, b"data: %b\n\n" % body)
    # "truncate": nothing more, as if that had been all.


def halves(delay_s: float, body: bytes) -> Iterator[Step]:
    """A whole answer as two steps, so that a fault can come between them."""
    middle = len(body) // 2
    yield Step(delay_s, body[:middle])
    yield Step(0.0, body[middle:])
