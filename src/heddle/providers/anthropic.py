"""Anthropic, and every server that speaks its messages API.

Owns the URL of each dialect, the credential's place, which header fields may cross in either direction, and what an
error answer means. A field crosses only if it is listed: the caller's credentials, cookies and forwarding fields never
reach a provider, and the provider's cookies and account names never reach a caller. `anthropic-workspace-id` and
`anthropic-user-profile-id` are withheld on purpose: they choose whose account pays, and the credential is the mesh's.
An account that has spent its limit is the operator's trouble: it is told in our words, and not to be retried.

*Source:* Anthropic API reference, "API overview" (headers), "Errors", "Rate limits", "Versions", 2026-11.
"""

import math
import re
from datetime import UTC, datetime
from typing import Literal

import msgspec

from heddle import __version__
from heddle.model.call import ModelCall
from heddle.model.provider import Failure, FailureKind, Fields, decode_options
from heddle.model.provider_http import check_credential, may_show, path_prefix
from heddle.model.snapshot import ProviderSpec

DEFAULT_BASE_URL = "https://api.anthropic.com"
VERSION = b"2023-06-01"
"""`anthropic-version` where the caller states none. Not 2026-10-21, which differs in what it refuses: callers of other
formats send `temperature`, and models up to 4.6 take it."""

PATHS = {"anthropic_messages": "/v1/messages", "anthropic_count": "/v1/messages/count_tokens"}
"""`ModelCall.dialect` -> path under the base URL."""

FROM_CALLER = frozenset((b"anthropic-beta", b"anthropic-version"))
"""Request fields that pass."""

TO_CALLER = frozenset((b"request-id",))
"""Answer fields that pass."""

TO_CALLER_ON_FAILURE = TO_CALLER | {b"retry-after", b"x-should-retry"}
"""Answer fields that pass with an error; limits do too with a 429, in OpenAI's form."""

CALLERS_FAULT = frozenset((400, 404, 409, 413, 422, 429))
"""Statuses whose body is for the caller to read. 401, 402 and 403 are about the mesh's credential."""

MAX_MESSAGE_CHARS = 2_000
"""Longer messages of the provider are not repeated in another dialect."""

_REFUSED = "The provider refused the gateway's credential; its operator has to renew it."
_SPENT = "The provider's account has reached its spending limit; its operator has to raise it."
# Anthropic has no code for this: the prompt alone is too long, or it and `max_tokens` together are.
_TOO_LONG = re.compile(r"prompt is too long|exceed(?:s|ed)? (?:the )?context (?:limit|window)", re.IGNORECASE)
# A limit the operator has set, or an empty prepaid account: both come as 400 ("Errors", spend limits).
_MONEY = re.compile(r"credit balance is too low|reached your specified (?:workspace )?API usage limits", re.IGNORECASE)
_FILTERED = re.compile(r"content filtering policy", re.IGNORECASE)
_LIMIT = re.compile(rb"anthropic-ratelimit-(requests|tokens)-(limit|remaining|reset)")
_KINDS: dict[int, FailureKind] = {
    404: "not_found",
    413: "bad_request",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT")


class Options(msgspec.Struct, kw_only=True, frozen=True):
    """Options of `type: anthropic`."""

    auth: Literal["x-api-key", "bearer"] = "x-api-key"
    """Where the credential goes: the field `x-api-key`, or `Authorization: Bearer` for OAuth tokens and for gateways
    that want them there."""


class _Details(msgspec.Struct, gc=False):
    error_code: str | None = None


class _Error(msgspec.Struct, gc=False):
    type: str = ""
    message: str = ""
    details: _Details | None = None


class _Body(msgspec.Struct, gc=False):
    error: _Error


_BODY = msgspec.json.Decoder(_Body)


class Anthropic:
    """One configured provider. Raises OptionError, or ValueError for a base URL that cannot be used."""

    __slots__ = (
        "_credential",
        "_fixed",
        "_stream_fixed",
        "_targets",
        "base_url",
        "dialects",
        "from_caller",
        "speaks",
        "stream_usage",
    )

    def __init__(self, spec: ProviderSpec) -> None:
        options = decode_options(spec.options, Options)
        self.base_url = spec.base_url or DEFAULT_BASE_URL
        self.dialects = frozenset(PATHS)
        self.speaks = "anthropic_messages"
        # Streams always tell it; there is nothing to ask for.
        self.stream_usage = False
        self.from_caller = FROM_CALLER
        self._credential = spec.credential.encode("utf-8", "replace")
        # Clients are configured with or without the version of the path; both are understood.
        prefix = path_prefix(self.base_url).removesuffix("/v1")
        self._targets = {name: f"{prefix}{path}".encode() for name, path in PATHS.items()}
        common = _fixed(self._credential, options)
        self._fixed: Fields = [*common, (b"accept", b"application/json")]
        self._stream_fixed: Fields = [*common, (b"accept", b"text/event-stream")]

    def __repr__(self) -> str:
        return f"Anthropic({self.base_url})"

    def target(self, call: ModelCall) -> bytes:
        """Path of the call's dialect."""
        return self._targets[call.dialect]

    def headers(self, call: ModelCall, caller: Fields) -> Fields:
        """Our credential and content types, the caller's betas, and the caller's version or ours."""
        fields = list(self._stream_fixed if call.stream else self._fixed)
        version = VERSION
        for name, value in caller:
            if name == b"anthropic-beta":
                fields.append((name, value))
            elif name == b"anthropic-version":
                version = value
        fields.append((b"anthropic-version", version))
        return fields

    def answer_headers(self, headers: Fields) -> Fields:
        """The fields in TO_CALLER."""
        return [field for field in headers if field[0] in TO_CALLER]

    def read_failure(self, status: int, headers: Fields, body: bytes | None) -> Failure:
        """What the caller is told: its own mistakes in the provider's words, anything else in ours."""
        error = _error(body)
        wait_s = _retry_after(headers)
        if _spent(status, error):
            # Told as 429 where it came as one; else it would look like the caller's mistake.
            told = 429 if status == 429 else 502
            return Failure(told, [(b"x-should-retry", b"false")], None, _SPENT, kind="quota")
        if status in (401, 403):
            return Failure(502, [], None, _REFUSED, kind="credential")
        kept = [field for field in headers if field[0] in TO_CALLER_ON_FAILURE]
        if status in CALLERS_FAULT:
            if status == 429:
                kept += _limits(headers)
            detail = f"The provider answered with status {status}."
            shown = body if may_show(body, self._credential) else None
            words = error.message if shown is not None and len(error.message) <= MAX_MESSAGE_CHARS else ""
            return Failure(status, kept, shown, detail, words, _kind(status, error), wait_s)
        if 500 <= status <= 599:
            detail = f"The provider failed with status {status}."
            return Failure(status, kept, None, detail, kind=_kind(status, error), retry_after_s=wait_s)
        return Failure(502, [], None, f"The provider gave an answer that cannot be used (status {status}).")


def _fixed(credential: bytes, options: Options) -> Fields:
    fields: Fields = [
        (b"content-type", b"application/json"),
        # What is compressed could not be read for usage, nor forwarded event by event.
        (b"accept-encoding", b"identity"),
        (b"user-agent", f"heddle/{__version__}".encode()),
    ]
    if credential:
        check_credential(credential)
        bearer = options.auth == "bearer"
        fields.append((b"authorization", b"Bearer " + credential) if bearer else (b"x-api-key", credential))
    return fields


def _error(body: bytes | None) -> _Error:
    try:
        return _BODY.decode(body or b"").error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Error()


def _spent(status: int, error: _Error) -> bool:
    """Whether money is used up. `enforced_spend_limit_reached` and its kin look like a rate limit otherwise."""
    code = (error.details.error_code or "") if error.details is not None else ""
    if status == 402 or error.type == "billing_error" or (status == 429 and "spend_limit" in code):
        return True
    return status == 400 and _MONEY.search(error.message) is not None


def _kind(status: int, error: _Error) -> FailureKind:
    if error.type == "overloaded_error":
        return "overloaded"
    if status == 400:
        if _TOO_LONG.search(error.message):
            return "context_length"
        return "content" if _FILTERED.search(error.message) else "bad_request"
    return _KINDS.get(status, "" if status >= 500 else "bad_request")


def _retry_after(headers: Fields) -> float | None:
    for name, value in headers:
        if name == b"retry-after":
            try:
                wait_s = float(value)
            except ValueError:
                return None
            return wait_s if math.isfinite(wait_s) and wait_s >= 0 else None
    return None


def _limits(headers: Fields) -> Fields:
    """Limits in the normal form. A reset is a moment there and a span here; the answer's `date` is when it begins."""
    date = next((value for name, value in headers if name == b"date"), b"")
    kept: Fields = []
    for name, value in headers:
        found = _LIMIT.fullmatch(name)
        if found is None:
            continue
        said = _span(value, date) if found[2] == b"reset" else value
        if said:
            kept.append((b"x-ratelimit-" + found[2] + b"-" + found[1], said))
    return kept


def _span(moment: bytes, date: bytes) -> bytes:
    """Seconds between two moments, as OpenAI writes a duration (`12s`); empty when one of them cannot be read."""
    now = _DATE.fullmatch(date.decode("latin-1"))
    if now is None or now[2] not in _MONTHS:
        return b""
    try:
        until = datetime.fromisoformat(moment.decode())
        month = _MONTHS.index(now[2]) + 1
        since = datetime(int(now[3]), month, int(now[1]), int(now[4]), int(now[5]), int(now[6]), tzinfo=UTC)
        return b"%ds" % max(0, math.ceil((until - since).total_seconds()))
    except (ValueError, TypeError):
        return b""
