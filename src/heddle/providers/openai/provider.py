"""The provider of every type in `presets`: OpenAI, Azure OpenAI and servers that speak OpenAI's API.

Owns the URL of each operation, the credential's place, which header fields may cross in either direction,
and what an error answer means. A field crosses only if it is listed: the caller's credentials, cookies and
forwarding fields never reach a provider, and the provider's cookies and account names never reach a caller.
Three fields that OpenAI's clients send are withheld on purpose. `openai-organization` and `openai-project`
choose whose account pays, and the credential is the mesh's: they are options here. `idempotency-key` names an
answer in an account that all callers share, so that one could ask for another's.

*Source:* OpenAI API reference, "Authentication", "Debugging requests", "Rate limits" and "Error codes"; Azure OpenAI,
"API version lifecycle" and "Data plane inference reference"; 2026-11.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import quote, urlsplit

import msgspec

from heddle import __version__
from heddle.model.call import ModelCall
from heddle.model.provider import Adapted, Failure, Fields, OptionError, decode_options
from heddle.model.provider_http import check_credential, may_show, path_prefix
from heddle.model.snapshot import ProviderSpec
from heddle.providers.openai.adapting import Adapter
from heddle.providers.openai.failures import judge, read_error, read_wait
from heddle.providers.openai.presets import APIS, CHAT, PATHS, PRESETS, RERANK, RESPONSES, RESPONSES_COUNT, Preset

FROM_CALLER = frozenset((b"openai-beta", b"x-client-request-id"))
"""Request fields that pass."""

TO_CALLER = frozenset((b"openai-model", b"openai-processing-ms", b"openai-version", b"x-request-id"))
"""Answer fields that pass."""

TO_CALLER_ON_FAILURE = TO_CALLER | {b"retry-after-ms", b"x-should-retry"}
"""Answer fields that pass with an error, as does `retry-after`; `x-ratelimit-*` do too with a 429."""

CALLERS_FAULT = frozenset((400, 404, 409, 413, 415, 422, 429))
"""Statuses whose body is for the caller to read. 401, 402 and 403 are about the mesh's credential."""

_REFUSED = "The provider refused the gateway's credential; its operator has to renew it."
_UNPAID = "The provider wants money from the gateway's account; its operator has to see to it."
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")


_Api = Literal[
    "chat", "completions", "embeddings", "responses", "speech", "transcriptions", "images", "moderations", "rerank"
]


class Options(msgspec.Struct, kw_only=True, frozen=True):
    """Options of OpenAI, Azure OpenAI, and servers that speak OpenAI's API."""

    organization: str = ""
    """`openai-organization` to send; empty sends none and the credential's default pays. Only for `openai`."""
    project: str = ""
    """`openai-project` to send; empty sends none. Only for `openai`."""
    stream_usage: bool | None = None
    """Ask streams for their token counts (`stream_options.include_usage`). Unset is what the type is known to take.
    Turn it off for servers that refuse the field; the tokens of their streams are then estimated."""
    max_tokens_field: Literal["", "max_tokens", "max_completion_tokens"] = ""
    """Field that bounds the answers of translated calls. Unset is what the type is known to take; for `openai`
    with a `base_url` elsewhere it is `max_tokens`, which every compatible server takes."""
    api_version: str = ""
    """Only for `azure`. Empty is the current `/openai/v1/`, `preview` its preview. A date (`2024-10-21`) is the older
    interface, where the model's name is that of the deployment."""
    apis: tuple[_Api, ...] | None = None
    """Which of the server's interfaces to use; unset is all that the type is known to serve. What arrives in another
    format is translated, to chat where that is among them, else to responses: some models are only served there."""
    auth: Literal["", "api-key", "bearer"] = ""
    """Only for `azure`: whether the credential is a key of the resource (`api-key`, the default) or an access token of
    Entra ID (`bearer`)."""


_ONLY_FOR = {"organization": "openai", "project": "openai", "api_version": "azure", "auth": "azure"}


class OpenAI:
    """One configured provider. Raises OptionError, or ValueError for a base URL that cannot be used."""

    __slots__ = (
        "_adapter",
        "_credential",
        "_fixed",
        "_stream_fixed",
        "_type",
        "adapts_own",
        "base_url",
        "dialects",
        "from_caller",
        "speaks",
        "stream_usage",
        "target",
    )

    def __init__(self, spec: ProviderSpec) -> None:
        options = decode_options(spec.options, Options)
        for name, only in _ONLY_FOR.items():
            if spec.type != only and getattr(options, name):
                raise OptionError(f"options.{name}: only for providers of type {only}")
        preset = _preset(spec, options)
        if not preset.base_url:
            raise ValueError(f"base_url: type {spec.type} has no public address; give yours")
        self._type = spec.type
        self.base_url = preset.base_url
        self.dialects = preset.dialects
        self.speaks = CHAT if CHAT in preset.dialects else RESPONSES if RESPONSES in preset.dialects else ""
        self.stream_usage = preset.stream_usage
        self.from_caller = FROM_CALLER
        self.adapts_own = preset.strict
        self._adapter = Adapter(preset, self.stream_usage)
        self._credential = spec.credential.encode("utf-8", "replace")
        azure = spec.type == "azure"
        version = options.api_version if azure else None
        self.target = _targets(path_prefix(self.base_url), version, _own_paths(preset, PRESETS[spec.type]))
        common = _fixed(self._credential, options, keyed=azure and options.auth != "bearer")
        self._fixed: Fields = [*common, (b"accept", b"application/json")]
        self._stream_fixed: Fields = [*common, (b"accept", b"text/event-stream")]

    def __repr__(self) -> str:
        return f"OpenAI({self._type}, {self.base_url})"

    def headers(self, call: ModelCall, caller: Fields) -> Fields:
        """Our credential and content types, and what of the caller's fields is in FROM_CALLER."""
        fields = list(self._stream_fixed if call.stream else self._fixed)
        if call.content_type or call.accepts:
            stated = {b"content-type": call.content_type, b"accept": call.accepts}
            fields = [(name, stated.get(name) or value) for name, value in fields]
        fields += [field for field in caller if field[0] in FROM_CALLER]
        return fields

    def adapt(self, body: bytes, call: ModelCall, translated: bool) -> Adapted:
        """A chat body as this server wants it."""
        if call.dialect != CHAT:
            return Adapted(body, ())
        return self._adapter.translated(body) if translated else Adapted(self._adapter.own(body), ())

    def answer_headers(self, headers: Fields) -> Fields:
        """The fields in TO_CALLER."""
        return [field for field in headers if field[0] in TO_CALLER]

    def read_failure(self, status: int, headers: Fields, body: bytes | None) -> Failure:
        """What the caller is told: its own mistakes in the provider's words, anything else in ours."""
        message, words = read_error(body)
        kind = judge(status, message, words)
        wait_s = read_wait(status, headers)
        if status in (401, 402, 403):
            return Failure(502, [], None, _UNPAID if kind == "quota" else _REFUSED, kind=kind)
        kept = [field for field in headers if field[0] in TO_CALLER_ON_FAILURE]
        if wait_s is not None:
            kept.append((b"retry-after", b"%d" % math.ceil(wait_s)))
        if status in CALLERS_FAULT:
            if status == 429:
                kept += [field for field in headers if field[0].startswith(b"x-ratelimit-")]
            shown = body if may_show(body, self._credential) else None
            detail = f"The provider answered with status {status}."
            return Failure(status, kept, shown, detail, self._safe(message, shown), kind, wait_s)
        if 500 <= status <= 599:
            detail = f"The provider failed with status {status}."
            return Failure(status, kept, None, detail, kind=kind, retry_after_s=wait_s)
        return Failure(502, [], None, f"The provider gave an answer that cannot be used (status {status}).")

    def _safe(self, message: str, shown: bytes | None) -> str:
        """The message of a body that may be shown. Decoded, it could still quote what was written with escapes."""
        secret = self._credential.decode("utf-8", "replace")
        return "" if shown is None or (secret and secret in message) else message


def _preset(spec: ProviderSpec, options: Options) -> Preset:
    """What is known of the type, with what configuration says on top."""
    preset = PRESETS.get(spec.type)
    if preset is None:
        raise ValueError(f"type {spec.type}: nothing is known of it; known are {', '.join(PRESETS)}")
    field = options.max_tokens_field or preset.max_tokens
    if spec.type == "openai" and spec.base_url and not _is_openai(spec.base_url):
        # Somebody else's server, perhaps one that ranks.
        field = options.max_tokens_field or "max_tokens"
        preset = msgspec.structs.replace(preset, dialects=preset.dialects | {RERANK})
    return msgspec.structs.replace(
        preset,
        base_url=spec.base_url or preset.base_url,
        dialects=preset.dialects if options.apis is None else _chosen(preset, options.apis),
        max_tokens=field,
        stream_usage=preset.stream_usage if options.stream_usage is None else options.stream_usage,
    )


def _chosen(preset: Preset, apis: Sequence[str]) -> frozenset[str]:
    """The dialects of the chosen interfaces. Raises OptionError for one that the server is known not to have."""
    if not apis or any(not preset.dialects.intersection(APIS[api]) for api in apis):
        served = sorted(api for api, dialects in APIS.items() if preset.dialects.intersection(dialects))
        raise OptionError(f"options.apis: expected some of {', '.join(served)}")
    return preset.dialects.intersection(dialect for api in apis for dialect in APIS[api])


def _is_openai(base_url: str) -> bool:
    """OpenAI's hosts: api.openai.com, and regional ones below it."""
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    return host == "api.openai.com" or host.endswith(".api.openai.com")


def _own_paths(preset: Preset, known: Preset) -> dict[str, str]:
    """Paths from the root, where the base URL's path is that of the public address."""
    return preset.paths if path_prefix(preset.base_url) == path_prefix(known.base_url or preset.base_url) else {}


def _targets(prefix: str, azure_version: str | None, own: dict[str, str]) -> Callable[[ModelCall], bytes]:
    """How the target of a call is made. `azure_version` is None for any other than Azure. Raises OptionError."""
    query = ""
    if azure_version is not None:
        prefix = prefix.removesuffix("/v1").removesuffix("/openai")
        if azure_version not in ("", "preview", "latest"):
            if not _DATED.fullmatch(azure_version):
                raise OptionError("options.api_version: expected a date such as 2024-10-21, preview, or nothing")
            return lambda call: _deployed(prefix, azure_version, call)
        prefix += "/openai/v1"
        query = f"?api-version={azure_version}" if azure_version else ""
    paths = {dialect: f"{prefix}{path}{query}".encode() for dialect, path in PATHS.items()}
    paths |= {dialect: path.encode() for dialect, path in own.items()}
    return lambda call: paths[call.dialect]


def _deployed(prefix: str, version: str, call: ModelCall) -> bytes:
    """The older interface of Azure: the deployment is in the path, except for responses."""
    deployment = quote(call.upstream_model or call.model, safe="")
    middle = "" if call.dialect in (RESPONSES, RESPONSES_COUNT) else f"/deployments/{deployment}"
    return f"{prefix}/openai{middle}{PATHS[call.dialect]}?api-version={version}".encode()


def _fixed(credential: bytes, options: Options, keyed: bool) -> Fields:
    fields: Fields = [
        (b"content-type", b"application/json"),
        # What is compressed could not be read for usage, nor forwarded event by event.
        (b"accept-encoding", b"identity"),
        (b"user-agent", f"heddle/{__version__}".encode()),
    ]
    if credential:
        check_credential(credential)
        fields.append((b"api-key", credential) if keyed else (b"authorization", b"Bearer " + credential))
    for name in ("organization", "project"):
        value = getattr(options, name)
        if not value.isascii() or not value.isprintable():
            raise OptionError(f"options.{name}: expected printable ASCII")
        if value:
            fields.append((f"openai-{name}".encode(), value.encode()))
    return fields
