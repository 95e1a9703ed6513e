"""What an error answer of an OpenAI-like server is about, and how long it asks to wait.

Owns the reading of their error bodies and limit fields. A code that says what happened counts before the status, as
not every 429 is a limit that passes (`insufficient_quota` is money). Nothing of a body is shown by this module.

*Source:* OpenAI API reference, "Error codes" and "Rate limits"; Azure OpenAI, "Content filtering"; vLLM, Mistral and
Ollama for their forms of error bodies; RFC 9110 section 10.2.3 for `retry-after`; as of 2026-11.
"""

import re
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from heddle.model.provider import FailureKind, Fields

MAX_MESSAGE_CHARS = 2_000
"""A message beyond this is cut: servers quote whole prompts."""

_CODES: dict[str, FailureKind] = {
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "insufficient_balance": "quota",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "context_length_exceeded": "context_length",
    "content_filter": "content",
    "content_policy_violation": "content",
    "model_not_found": "not_found",
    "DeploymentNotFound": "not_found",
    "server_overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "slow_down": "overloaded",
    "invalid_api_key": "credential",
}
_STATUSES: dict[int, FailureKind] = {
    401: "credential",
    402: "quota",
    403: "credential",
    404: "not_found",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}
_TOO_LONG = re.compile(
    r"maximum context length|context (?:length|window|size)|prompt is too long|too many tokens|reduce the length",
    re.IGNORECASE,
)
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_MAX_WAIT_S = 86_400.0


def read_error(body: bytes | None) -> tuple[str, frozenset[str]]:
    """The message of an error body, and the words (code, type) that say what it is; empty when it has none."""
    try:
        told: Any = msgspec.json.decode(body or b"")
    except (ValueError, RecursionError):
        return "", frozenset()
    if not isinstance(told, dict):
        return "", frozenset()
    # {"error": {...}} as OpenAI, {"error": "..."} as Ollama, and the error itself as Mistral and older vLLM.
    error = told.get("error", told)
    if not isinstance(error, dict):
        error = {"message": error}
    message = error.get("message", error.get("detail"))
    words = frozenset(word for word in (error.get("code"), error.get("type")) if isinstance(word, str))
    return (message[:MAX_MESSAGE_CHARS] if isinstance(message, str) else ""), words


def judge(status: int, message: str, words: frozenset[str]) -> FailureKind:
    """What it is about."""
    kinds = {_CODES[word] for word in words if word in _CODES}
    for kind in ("quota", "context_length", "content"):
        if kind in kinds:
            return kind
    if status in (400, 413, 422) and _TOO_LONG.search(message):
        return "context_length"
    if kinds:
        return min(kinds)
    known = _STATUSES.get(status)
    return known or ("bad_request" if 400 <= status < 500 else "")


def read_wait(status: int, headers: Fields) -> float | None:
    """Seconds that the server asks to wait; None when it does not say, or nothing that can be."""
    fields = dict(headers)
    milliseconds = _number(fields.get(b"retry-after-ms", b""))
    if milliseconds is not None:
        return milliseconds / 1_000
    after = fields.get(b"retry-after")
    if after is not None:
        seconds = _number(after)
        return _until(after, fields.get(b"date", b"")) if seconds is None else seconds
    if status != 429:
        return None
    resets = [
        _duration(fields.get(b"x-ratelimit-reset-" + what, b""))
        for what in (b"requests", b"tokens")
        if fields.get(b"x-ratelimit-remaining-" + what) == b"0"
    ]
    return max((reset for reset in resets if reset is not None), default=None)


def _number(text: bytes) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    # Neither infinity nor what is no number lies between.
    return number if 0 <= number <= _MAX_WAIT_S * 1_000 else None


def _until(moment: bytes, now: bytes) -> float | None:
    """Seconds between two HTTP dates: the server's clock is asked, not ours."""
    try:
        wait = (parsedate_to_datetime(moment.decode()) - parsedate_to_datetime(now.decode())).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, wait)


def _duration(text: bytes) -> float | None:
    """`6m0s`, `1h2m3.5s`, `120ms`, or a number of seconds."""
    plain = _number(text)
    if plain is not None:
        return plain
    found = _DURATION.fullmatch(text.decode("latin-1"))
    if found is None or not text:
        return None
    hours, minutes, seconds, milliseconds = (float(number or 0) for number in found.groups())
    return hours * 3_600 + minutes * 60 + seconds + milliseconds / 1_000
