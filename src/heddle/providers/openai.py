"""OpenAI, and every server that speaks its API.

Owns the URL of each operation, the credential's place, which header fields may cross in either direction,
and what an error answer means. A field crosses only if it is listed: the caller's credentials, cookies and
forwarding fields never reach a provider, and the provider's cookies and account names never reach a caller.
Three fields that OpenAI's clients send are withheld on purpose. `openai-organization` and `openai-project`
choose whose account pays, and the credential is the mesh's: they are options here. `idempotency-key` names an
answer in an account that all callers share, so that one could ask for another's.

*Source:* OpenAI API reference, "Authentication", "Debugging requests", "Rate limits" and "Error codes", 2026-11.
"""

import msgspec

from heddle import __version__
from heddle.model.call import ModelCall
from heddle.model.provider import Failure, Fields, OptionError, decode_options
from heddle.model.provider_http import check_credential, may_show, path_prefix
from heddle.model.snapshot import ProviderSpec

DEFAULT_BASE_URL = "https://api.openai.com/v1"

PATHS = {"chat": "/chat/completions", "embeddings": "/embeddings"}
"""`ModelCall.operation` -> path under the base URL."""

FROM_CALLER = frozenset((b"openai-beta", b"x-client-request-id"))
"""Request fields that pass."""

TO_CALLER = frozenset((b"openai-model", b"openai-processing-ms", b"openai-version", b"x-request-id"))
"""Answer fields that pass."""

TO_CALLER_ON_FAILURE = TO_CALLER | {b"retry-after", b"retry-after-ms", b"x-should-retry"}
"""Answer fields that pass with an error; `x-ratelimit-*` do too with a 429."""

CALLERS_FAULT = frozenset((400, 404, 409, 413, 415, 422, 429))
"""Statuses whose body is for the caller to read. 401, 402 and 403 are about the mesh's credential."""

_REFUSED = "The provider refused the gateway's credential; its operator has to renew it."


class Options(msgspec.Struct, kw_only=True, frozen=True):
    """Options of `type: openai`."""

    organization: str = ""
    """`openai-organization` to send; empty sends none and the credential's default pays."""
    project: str = ""
    """`openai-project` to send; empty sends none."""
    stream_usage: bool = True
    """Ask streams for their token counts (`stream_options.include_usage`). Turn it off for servers that refuse the
    field; the tokens of their streams are then estimated."""


class OpenAI:
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
        self.dialects = frozenset(("openai_chat", "openai_embeddings"))
        self.speaks = "openai_chat"
        self.stream_usage = options.stream_usage
        self.from_caller = FROM_CALLER
        self._credential = spec.credential.encode("utf-8", "replace")
        prefix = path_prefix(self.base_url)
        self._targets = {name: f"{prefix}{path}".encode() for name, path in PATHS.items()}
        common = _fixed(self._credential, options)
        self._fixed: Fields = [*common, (b"accept", b"application/json")]
        self._stream_fixed: Fields = [*common, (b"accept", b"text/event-stream")]

    def __repr__(self) -> str:
        return f"OpenAI({self.base_url})"

    def target(self, call: ModelCall) -> bytes:
        """Path of the call's operation."""
        return self._targets[call.operation]

    def headers(self, call: ModelCall, caller: Fields) -> Fields:
        """Our credential and content types, and what of the caller's fields is in FROM_CALLER."""
        fields = list(self._stream_fixed if call.stream else self._fixed)
        fields += [field for field in caller if field[0] in FROM_CALLER]
        return fields

    def answer_headers(self, headers: Fields) -> Fields:
        """The fields in TO_CALLER."""
        return [field for field in headers if field[0] in TO_CALLER]

    def read_failure(self, status: int, headers: Fields, body: bytes | None) -> Failure:
        """What the caller is told: its own mistakes in the provider's words, anything else in ours."""
        kept = [field for field in headers if field[0] in TO_CALLER_ON_FAILURE]
        if status in CALLERS_FAULT:
            if status == 429:
                kept += [field for field in headers if field[0].startswith(b"x-ratelimit-")]
            shown = body if may_show(body, self._credential) else None
            return Failure(status, kept, shown, f"The provider answered with status {status}.")
        if status in (401, 402, 403):
            return Failure(502, [], None, _REFUSED)
        if 500 <= status <= 599:
            return Failure(status, kept, None, f"The provider failed with status {status}.")
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
        fields.append((b"authorization", b"Bearer " + credential))
    for name in ("organization", "project"):
        value = getattr(options, name)
        if not value.isascii() or not value.isprintable():
            raise OptionError(f"options.{name}: expected printable ASCII")
        if value:
            fields.append((f"openai-{name}".encode(), value.encode()))
    return fields
