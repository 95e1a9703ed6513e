"""Amazon Bedrock's runtime: models behind Converse and ConverseStream.

Owns the URL of a model, whose id is percent-encoded whole, how the mesh proves who it is, which header fields may
cross in either direction, and what an error answer means. A field crosses only if it is listed, and none of the
caller's is: a caller's signature covers another request than the one that is sent. What Amazon says about accounts,
users and roles is the operator's, and not repeated.

Two proofs are known. A Bedrock API key goes as a bearer token. An access key signs each request: its secret is the
credential, with the id in the options; temporary keys, which have a session token too, come as the one JSON document
that Amazon's own tools exchange (`credential_process`), so that no part of them is configured in the open.

*Source:* Amazon Bedrock API Reference, "Converse" (Errors); Amazon Bedrock User Guide, "API keys", "Troubleshooting API
error codes"; AWS SDKs and Tools Reference Guide, "Process credential provider", as of 2026-11.
"""

import re
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from heddle import __version__
from heddle.model.call import ModelCall
from heddle.model.provider import Failure, FailureKind, Fields, OptionError, decode_options
from heddle.model.provider_http import check_credential, may_show, path_prefix
from heddle.model.snapshot import ProviderSpec
from heddle.wire.sigv4 import Signer

DIALECT = "bedrock_converse"
SERVICE = "bedrock"
"""The name that signatures are made for."""

TO_CALLER = frozenset((b"x-amzn-requestid",))
"""Answer fields that pass."""

ERROR_TYPE = b"x-amzn-errortype"
"""Passes with a body of Bedrock's own: SDKs choose the exception's class by it."""

MAX_MESSAGE_CHARS = 2_000
"""Longer messages of the provider are not repeated in another dialect."""

_REGION = re.compile(r"[a-z]{2}[a-z-]{0,20}-[0-9]{1,2}")
_HOST_REGION = re.compile(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.(?:com|com\.cn|eu)|api\.aws)")
_DOMAIN = "amazonaws.com"
_DOMAINS = {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}
"""Where regions are not under `_DOMAIN`, by the first word of their names."""
_ACCESS_KEY_ID = re.compile(r"[A-Za-z0-9]{16,128}")
_EXCEPTION = re.compile(r"[A-Za-z]{1,64}")
_REFUSED = "The provider refused the gateway's credential; its operator has to renew it or grant it the model."
# The services behind one API word it differently: Bedrock itself, Claude, Nova and the open models.
_TOO_LONG = re.compile(
    r"(?:input|prompt) is too long|too many (?:input )?tokens|maximum context length"
    r"|exceed(?:s|ed)?\b.{0,60}\b(?:context|(?:input|maximum number of) tokens)|context window",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(r"model identifier is invalid|not a valid model|on-demand throughput", re.IGNORECASE)
_PER_DAY = re.compile(r"per day|daily", re.IGNORECASE)
_ACCOUNT = re.compile(r"arn:aws[a-z-]*:(?:iam|sts):", re.IGNORECASE)

_CREDENTIAL_TROUBLE = frozenset(
    (
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "NotAuthorizedException",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    )
)
_KINDS: dict[str, FailureKind] = {
    "ThrottlingException": "rate_limit",
    "TooManyRequestsException": "rate_limit",
    "ServiceQuotaExceededException": "quota",
    "ValidationException": "bad_request",
    "ResourceNotFoundException": "not_found",
    "ModelNotReadyException": "overloaded",
    "ServiceUnavailableException": "overloaded",
    "ModelTimeoutException": "overloaded",
}
_BY_STATUS: dict[int, FailureKind] = {
    400: "bad_request",
    404: "not_found",
    413: "bad_request",
    429: "rate_limit",
    503: "overloaded",
}
_CALLERS_FAULT = frozenset((400, 404, 413, 429))
"""Statuses whose body is for the caller to read."""


class Options(msgspec.Struct, kw_only=True, frozen=True):
    """Options of `type: bedrock`."""

    region: str = ""
    """AWS region, e.g. `eu-west-1`: names the default base URL and is part of every signature. May be left out when
    the base URL names it."""
    access_key_id: str = ""
    """Id of an access key whose secret is the provider's credential. Empty when the credential is a Bedrock API key,
    or a JSON document with `AccessKeyId`, `SecretAccessKey` and, for temporary keys, `SessionToken`."""


class _Keys(NamedTuple):
    """An access key. Never shown."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return "_Keys(***)"


class _KeyDocument(msgspec.Struct, gc=False, rename="pascal"):
    """What a `credential_process` prints."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""


class _Body(msgspec.Struct, gc=False):
    message: str | None = None
    Message: str | None = None
    type: str | None = msgspec.field(default=None, name="__type")


_BODY = msgspec.json.Decoder(_Body)


class Bedrock:
    """One configured provider with a Bedrock API key, or none. Raises OptionError, or ValueError for a base URL or a
    credential that cannot be used."""

    __slots__ = (
        "_fixed",
        "_prefix",
        "_secrets",
        "_stream_fixed",
        "base_url",
        "dialects",
        "from_caller",
        "speaks",
        "stream_usage",
    )

    def __init__(self, base_url: str, bearer: bytes, secrets: tuple[bytes, ...]) -> None:
        self.base_url = base_url
        self.dialects = frozenset((DIALECT,))
        self.speaks = DIALECT
        # Streams always tell it; there is nothing to ask for.
        self.stream_usage = False
        self.from_caller: frozenset[bytes] = frozenset()
        self._prefix = path_prefix(base_url)
        self._secrets = secrets
        common: Fields = [
            (b"content-type", b"application/json"),
            # What is compressed could not be read for usage, nor forwarded event by event.
            (b"accept-encoding", b"identity"),
            (b"user-agent", f"heddle/{__version__}".encode()),
        ]
        if bearer:
            common.append((b"authorization", b"Bearer " + bearer))
        self._fixed: Fields = [*common, (b"accept", b"application/json")]
        self._stream_fixed: Fields = [*common, (b"accept", b"application/vnd.amazon.eventstream")]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url})"

    def target(self, call: ModelCall) -> bytes:
        """Path of the model. An ARN's colons and slashes are part of the name, and so encoded."""
        model = quote(call.upstream_model or call.model, safe="")
        return f"{self._prefix}/model/{model}/{'converse-stream' if call.stream else 'converse'}".encode()

    def headers(self, call: ModelCall, caller: Fields) -> Fields:
        """Our credential, if it is a bearer token, and content types; nothing of the caller's."""
        del caller
        return list(self._stream_fixed if call.stream else self._fixed)

    def answer_headers(self, headers: Fields) -> Fields:
        """The fields in TO_CALLER."""
        return [field for field in headers if field[0] in TO_CALLER]

    def read_failure(self, status: int, headers: Fields, body: bytes | None) -> Failure:
        """What the caller is told: its own mistakes in Bedrock's words, anything else in ours."""
        name, message = _said(headers, body)
        if status in (401, 403) or name in _CREDENTIAL_TROUBLE:
            return Failure(502, [], None, _REFUSED, kind="credential")
        kind, wait_s = _kind(status, name, message), _retry_after(headers)
        kept = self.answer_headers(headers)
        kept += [field for field in headers if field[0] == b"retry-after" and wait_s is not None]
        if status in _CALLERS_FAULT:
            shown = body if self._may_show(body, message) else None
            if shown is not None and name:
                kept.append((ERROR_TYPE, name.encode()))
            words = message if shown is not None and len(message) <= MAX_MESSAGE_CHARS else ""
            return Failure(status, kept, shown, f"The provider answered with status {status}.", words, kind, wait_s)
        if status == 408:
            return Failure(504, kept, None, "The provider's model took too long.", "", kind, wait_s)
        if 500 <= status <= 599:
            return Failure(status, kept, None, f"The provider failed with status {status}.", "", kind, wait_s)
        detail = f"The provider gave an answer that cannot be used (status {status})."
        return Failure(502, [], None, detail, "", kind, wait_s)

    def _may_show(self, body: bytes | None, message: str) -> bool:
        return may_show(body, *self._secrets) and _ACCOUNT.search(message) is None


class SignedBedrock(Bedrock):
    """One configured provider with an access key: a `model.provider.Signing`."""

    __slots__ = ("_host", "_signer")

    def __init__(self, base_url: str, keys: _Keys, region: str) -> None:
        super().__init__(base_url, b"", tuple(part.encode() for part in keys if part))
        self._signer = Signer(keys.access_key_id, keys.secret_access_key, region, SERVICE, keys.session_token)
        self._host = (b"host", _authority(base_url))

    def sign(self, target: bytes, fields: Fields, body: bytes, now_s: float) -> Fields:
        """`fields` with the signature's own. Only the host, which the client writes, and the content type are signed:
        what a proxy on the way may add or change (trace fields, user agents) is not."""
        signed = [self._host, *[field for field in fields if field[0] == b"content-type"]]
        return fields + self._signer.sign("POST", target, signed, body, now_s)[len(signed) :]


def build(spec: ProviderSpec) -> Bedrock:
    """The provider that a spec describes. Raises OptionError, or ValueError for what else cannot be used."""
    options = decode_options(spec.options, Options)
    region = options.region or _region_of(spec.base_url)
    if region and not _REGION.fullmatch(region):
        raise OptionError("options.region: expected the name of an AWS region, e.g. eu-west-1")
    if not region and not spec.base_url:
        raise OptionError("options.region: this is required where base_url is not given")
    base_url = spec.base_url or f"https://bedrock-runtime.{region}.{_DOMAINS.get(region.partition('-')[0], _DOMAIN)}"
    path_prefix(base_url)
    keys = _keys(spec, options)
    if keys is None:
        bearer = spec.credential.encode("utf-8", "replace")
        check_credential(bearer)
        return Bedrock(base_url, bearer, (bearer,) if bearer else ())
    if not region:
        raise OptionError("options.region: this is required to sign with an access key")
    return SignedBedrock(base_url, keys, region)


def _keys(spec: ProviderSpec, options: Options) -> _Keys | None:
    """The access key, if the credential is one. Its secret may be absent: configurations are checked without it."""
    if spec.credential.lstrip().startswith("{"):
        try:
            document = msgspec.json.decode(spec.credential, type=_KeyDocument)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            # Not chained: the text of the cause may quote the document.
            raise ValueError("the credential is no JSON with AccessKeyId and SecretAccessKey") from None
        keys = _Keys(document.access_key_id, document.secret_access_key, document.session_token)
    elif options.access_key_id:
        keys = _Keys(options.access_key_id, spec.credential)
    else:
        return None
    if not _ACCESS_KEY_ID.fullmatch(keys.access_key_id):
        raise OptionError("options.access_key_id: expected 16 to 128 letters and digits")
    for part in keys:
        check_credential(part.encode("utf-8", "replace"))
    return keys


def _region_of(base_url: str) -> str:
    found = _HOST_REGION.fullmatch(urlsplit(base_url).hostname or "")
    return found[1] if found is not None else ""


def _authority(base_url: str) -> bytes:
    """The value of the `host` field that the client sends: without the scheme's own port."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    name = f"[{host}]" if ":" in host else host
    default = 443 if parts.scheme == "https" else 80
    return (name if parts.port in (None, default) else f"{name}:{parts.port}").encode()


def _said(headers: Fields, body: bytes | None) -> tuple[str, str]:
    """The exception's name, without what Amazon's frameworks put around it, and its message; empty when not said."""
    try:
        wire = _BODY.decode(body or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        wire = _Body()
    named = next((value.decode("latin-1") for key, value in headers if key == ERROR_TYPE), wire.type or "")
    name = named.partition(":")[0].rpartition("#")[2].strip()
    return (name if _EXCEPTION.fullmatch(name) else ""), wire.message or wire.Message or ""


def _kind(status: int, name: str, message: str) -> FailureKind:
    kind: FailureKind = _KINDS.get(name) or _BY_STATUS.get(status, "")
    if kind == "bad_request" and _TOO_LONG.search(message):
        return "context_length"
    if kind == "bad_request" and _NO_MODEL.search(message):
        return "not_found"
    if kind == "rate_limit" and _PER_DAY.search(message):
        return "quota"
    return kind


def _retry_after(headers: Fields) -> float | None:
    value = next((value for key, value in headers if key == b"retry-after"), b"")
    return float(value) if len(value) <= 9 and value.isdigit() else None
