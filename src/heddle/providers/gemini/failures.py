"""What errors of Google's APIs mean: for the caller, and for what tries again.

Owns their reading. `RESOURCE_EXHAUSTED` is a limit by the minute or a quota by the day, and only the names of the
quotas tell them apart.

*Source:* Gemini API, "Troubleshooting", "Rate limits"; Vertex AI, "API errors"; `google/rpc/error_details.proto`
(RetryInfo, QuotaFailure, ErrorInfo), 2026-11.
"""

import math
import re
from typing import Any, NamedTuple

import msgspec

from heddle.model.provider import Failure, FailureKind, Fields
from heddle.model.provider_http import may_show

_REFUSED = "The provider refused the gateway's credential; its operator has to renew it."
_CALLERS_FAULT = frozenset((400, 404, 409, 413, 429))
_DELAY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)s")
_TOO_LONG = re.compile(r"input token count.{0,40}exceeds", re.IGNORECASE)
_UNSAFE = re.compile(r"\bsafety\b|responsible ai|prohibited content", re.IGNORECASE)
_SPENT = re.compile(r"per.?day|spend", re.IGNORECASE)
_KEY_REASONS = ("API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "ACCESS_TOKEN_EXPIRED")


class _Error(NamedTuple):
    """What an error body says."""

    message: str = ""
    reason: str = ""
    """Of its ErrorInfo."""
    delay_s: float | None = None
    quotas: str = ""
    """Names of the quotas that are exceeded."""


def failure_of(status: int, headers: Fields, body: bytes | None, credential: bytes) -> Failure:
    """What the caller is told: its own mistakes in the provider's words, anything else in ours."""
    said = _read_error(body)
    if status in (401, 403) or said.reason in _KEY_REASONS:
        return Failure(502, [], None, _REFUSED, kind="credential")
    kind = _kind(status, said)
    # Google names a delay with a daily quota too, after which it is as exceeded as before.
    delay = None if kind == "quota" else _asked(headers) if said.delay_s is None else said.delay_s
    fields: Fields = [] if delay is None else [(b"retry-after", str(math.ceil(delay)).encode())]
    if status in _CALLERS_FAULT:
        shown = body if may_show(body, credential) else None
        detail = f"The provider answered with status {status}."
        return Failure(status, fields, shown, detail, said.message if shown else "", kind, delay)
    if 500 <= status <= 599:
        detail = f"The provider failed with status {status}."
        return Failure(status, fields, None, detail, kind=kind, retry_after_s=delay)
    return Failure(502, [], None, f"The provider gave an answer that cannot be used (status {status}).")


def _kind(status: int, said: _Error) -> FailureKind:
    if status == 429:
        return "quota" if _SPENT.search(said.quotas) or _SPENT.search(said.message) else "rate_limit"
    if status in (404, 503, 529):
        return "not_found" if status == 404 else "overloaded"
    if status in (400, 413):
        if _TOO_LONG.search(said.message):
            return "context_length"
        return "content" if _UNSAFE.search(said.message) else "bad_request"
    return ""


def _read_error(body: bytes | None) -> _Error:
    """As much of an error body as is there; other shapes say nothing."""
    try:
        value = msgspec.json.decode(body or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Error()
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict):
        return _Error()
    details = error.get("details")
    known = [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    message = error.get("message")
    return _Error(
        message if isinstance(message, str) else "",
        next((item["reason"] for item in known if isinstance(item.get("reason"), str)), ""),
        next((delay for item in known if (delay := _delay(item.get("retryDelay"))) is not None), None),
        " ".join(_quotas(known)),
    )


def _delay(value: Any) -> float | None:
    found = _DELAY.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) if found is not None else None


def _asked(headers: Fields) -> float | None:
    """The field that HTTP has for it: Google's front servers and proxies know no details."""
    value = next((value for name, value in headers if name == b"retry-after"), b"")
    return float(value) if len(value) <= 6 and value.isdigit() else None


def _quotas(details: list[dict[str, Any]]) -> list[str]:
    """`GenerateRequestsPerDayPerProjectPerModel-FreeTier`, say."""
    lists = [item.get("violations") for item in details]
    violations = [one for many in lists if isinstance(many, list) for one in many if isinstance(one, dict)]
    return [str(one["quotaId"]) for one in violations if "quotaId" in one]
