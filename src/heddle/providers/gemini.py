"""Google's two addresses for Gemini: the Gemini API with a key, and Vertex AI with an access token.

Owns URLs, the credential's place, and what an error answer means. A key is sent as a field and never in a URL, where
logs would keep it. None of the caller's fields cross: those that Google reads choose whose project pays.

*Source:* Gemini API, "Authentication", "Troubleshooting", "Rate limits"; Vertex AI, "Locations", "Authenticate",
"API errors"; `google/rpc/error_details.proto` (RetryInfo, QuotaFailure, ErrorInfo), 2026-11.
"""

import math
import re
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from heddle import __version__
from heddle.model.call import ModelCall
from heddle.model.provider import Failure, FailureKind, Fields, OptionError, TokenRequest, decode_options
from heddle.model.provider_http import check_credential, may_show, path_prefix
from heddle.model.snapshot import ProviderSpec
from heddle.wire.llm.gemini.service_account import ServiceAccount, read_token

DEFAULT_BASE_URL = "https://generativelanguage.googleapis.com/v1beta"

METHODS = {
    "gemini_count": "countTokens",
    "gemini_embed_content": "embedContent",
    "gemini_embeddings": "batchEmbedContents",
}
"""Dialect that is sent -> method in the path; `gemini` has two."""

TO_CALLER = frozenset((b"x-gemini-service-tier",))
"""Answer fields that pass."""

_REFUSED = "The provider refused the gateway's credential; its operator has to renew it."
_CALLERS_FAULT = frozenset((400, 404, 409, 413, 429))
_DELAY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)s")
_LOCATION = re.compile(r"[a-z0-9-]{1,40}")
_PROJECT = re.compile(r"[a-z0-9.:-]{1,80}")
_PUBLISHER = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TOO_LONG = re.compile(r"input token count.{0,40}exceeds", re.IGNORECASE)
_UNSAFE = re.compile(r"\bsafety\b|responsible ai|prohibited content", re.IGNORECASE)
_SPENT = re.compile(r"per.?day|spend", re.IGNORECASE)
_KEY_REASONS = ("API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "ACCESS_TOKEN_EXPIRED")


class GeminiOptions(msgspec.Struct, kw_only=True, frozen=True):
    """Options of `type: gemini`: none."""


class VertexOptions(msgspec.Struct, kw_only=True, frozen=True):
    """Options of `type: vertex`."""

    location: str = "global"
    """Where the models run: `global`, `us`, `eu`, or a region such as `europe-west4`."""
    project: str = ""
    """Project that pays; empty is that of the service account's key."""


class _Error(NamedTuple):
    """What an error body says."""

    message: str = ""
    reason: str = ""
    """Of its ErrorInfo."""
    delay_s: float | None = None
    quotas: str = ""
    """Names of the quotas that are exceeded."""


class _Google:
    """What both have in common, given the base URL's path with what stands before the model."""

    __slots__ = (
        "_credential", "_fixed", "_prefix", "_publisher", "_stream_fixed", "base_url", "dialects", "from_caller",
        "speaks", "stream_usage",
    )  # fmt: skip

    def __init__(self, base_url: str, credential: bytes, field: tuple[bytes, bytes] | None) -> None:
        self.base_url = base_url
        self.dialects = frozenset(("gemini", *METHODS))
        self.speaks = "gemini"
        # Nothing has to be asked for: every chunk has it.
        self.stream_usage = False
        self.from_caller: frozenset[bytes] = frozenset()
        self._credential = credential
        self._prefix = path_prefix(base_url)
        self._publisher = ""
        common = _common() if field is None else [*_common(), field]
        self._fixed: Fields = [*common, (b"accept", b"application/json")]
        self._stream_fixed: Fields = [*common, (b"accept", b"text/event-stream")]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url})"

    def target(self, call: ModelCall) -> bytes:
        """Path of the model's method, with `alt=sse` for a stream."""
        method = METHODS.get(call.dialect)
        if method is None:
            method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        return f"{self._prefix}/{_named(call.upstream_model or call.model, self._publisher)}:{method}".encode()

    def headers(self, call: ModelCall, caller: Fields) -> Fields:
        """Our credential and content types; nothing of the caller's."""
        del caller
        return list(self._stream_fixed if call.stream else self._fixed)

    def answer_headers(self, headers: Fields) -> Fields:
        """The fields in TO_CALLER."""
        return [field for field in headers if field[0] in TO_CALLER]

    def read_failure(self, status: int, headers: Fields, body: bytes | None) -> Failure:
        """What the caller is told: its own mistakes in the provider's words, anything else in ours."""
        del headers
        return _failure(status, body, self._credential)


class Gemini(_Google):
    """The Gemini API. Raises OptionError, or ValueError for a base URL or a key that cannot be used."""

    __slots__ = ()

    def __init__(self, spec: ProviderSpec) -> None:
        decode_options(spec.options, GeminiOptions)
        key = _credential(spec)
        super().__init__(spec.base_url or DEFAULT_BASE_URL, key, (b"x-goog-api-key", key) if key else None)


class Vertex(_Google):
    """Vertex AI with an access token that somebody else renews. Raises OptionError or ValueError as Gemini does."""

    __slots__ = ()

    def __init__(self, spec: ProviderSpec, account: ServiceAccount | None = None) -> None:
        options = decode_options(spec.options, VertexOptions)
        project = options.project or (account.project if account is not None else "")
        if not project and spec.credential_error:
            # The key that would say it could not be read: calls are answered so, and the rest of the mesh goes on.
            project = "unknown"
        if not _LOCATION.fullmatch(options.location):
            raise OptionError("options.location: expected a location such as global or europe-west4")
        if not _PROJECT.fullmatch(project):
            raise OptionError("options.project: expected the id of a Google Cloud project")
        token = _credential(spec) if account is None else b""
        base_url = spec.base_url or f"https://{_host(options.location)}/v1"
        super().__init__(base_url, token, (b"authorization", b"Bearer " + token) if token else None)
        self._prefix += f"/projects/{project}/locations/{options.location}"
        self._publisher = "google"


class VertexAccount(Vertex):
    """Vertex AI with a service account's key, which is exchanged for tokens; see `model.provider.Tokened`."""

    __slots__ = ("_account",)

    def __init__(self, spec: ProviderSpec) -> None:
        self._account = ServiceAccount(spec.credential.encode("utf-8", "replace"))
        super().__init__(spec, self._account)

    def token_request(self, now_s: float) -> TokenRequest:
        """What to send for a new token. `now_s` is Unix time."""
        return self._account.token_request(now_s)

    def read_token(self, body: bytes, now_s: float) -> tuple[str, float]:
        """A token and when it expires (Unix time). Raises ProtocolError, which quotes nothing."""
        return read_token(body, now_s)


def vertex(spec: ProviderSpec) -> Vertex:
    """Vertex AI: a credential that is JSON is a service account's key, any other an access token."""
    return VertexAccount(spec) if spec.credential.lstrip().startswith("{") else Vertex(spec)


def _credential(spec: ProviderSpec) -> bytes:
    credential = spec.credential.encode("utf-8", "replace")
    if credential:
        check_credential(credential)
    return credential


def _common() -> Fields:
    return [
        (b"content-type", b"application/json"),
        # What is compressed could not be read for usage, nor forwarded event by event.
        (b"accept-encoding", b"identity"),
        (b"user-agent", f"heddle/{__version__}".encode()),
    ]


def _host(location: str) -> str:
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def _named(model: str, publisher: str) -> str:
    """The path of a model. Its name is the operator's or the caller's: every part is quoted."""
    owner, _, name = model.rpartition("/")
    if not publisher:
        kind, name = (owner, name) if owner in ("models", "tunedModels") else ("models", model)
        return f"{kind}/{quote(name, safe='')}"
    # What is no publisher's name (`..`, say) stays a part of the model's, where it cannot lead elsewhere.
    owner, name = (owner, name) if _PUBLISHER.fullmatch(owner) else (publisher, model)
    return f"publishers/{owner}/models/{quote(name, safe='')}"


def _failure(status: int, body: bytes | None, credential: bytes) -> Failure:
    said = _read_error(body)
    if status in (401, 403) or said.reason in _KEY_REASONS:
        return Failure(502, [], None, _REFUSED, kind="credential")
    kind = _kind(status, said)
    # Google names a delay with a daily quota too, after which it is as exceeded as before.
    delay = None if kind == "quota" else said.delay_s
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


def _quotas(details: list[dict[str, Any]]) -> list[str]:
    """`GenerateRequestsPerDayPerProjectPerModel-FreeTier`, say."""
    lists = [item.get("violations") for item in details]
    violations = [one for many in lists if isinstance(many, list) for one in many if isinstance(one, dict)]
    return [str(one["quotaId"]) for one in violations if "quotaId" in one]
