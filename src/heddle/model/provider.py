"""What a backend and a provider say to each other. A provider is data and pure functions; the backend does the I/O.

Owns the two shapes a provider can have: one that is reached over HTTP, and one that answers by itself as a
script of pauses and bytes. It knows no vendor.
"""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import msgspec

from heddle.model.call import ModelCall

Fields = list[tuple[bytes, bytes]]
"""Header fields: lower-case names, in order; the same shape as `net.message.Headers`."""

STALL = float("inf")
"""The pause of a script that falls silent for good."""

T = TypeVar("T", bound=msgspec.Struct)


class Step(NamedTuple):
    """One move of a script: wait, then send."""

    delay_s: float
    """Seconds of silence before; `STALL` never ends."""
    data: bytes | None
    """Bytes of the answer's body; None cuts the connection."""


class Script(NamedTuple):
    """An answer that a backend plays. The first step's delay comes before the head."""

    status: int
    headers: Fields
    steps: Iterator[Step]


FailureKind = Literal[
    "", "rate_limit", "quota", "overloaded", "context_length", "bad_request", "not_found", "credential", "content"
]
"""What an error answer is about, as far as it says; empty is unknown. `quota`: money or a plan is used up, and waiting
does not help. `context_length`: the prompt is too long for this model. `content`: refused for what it says."""


class Failure(NamedTuple):
    """What an error answer of a provider becomes for the caller."""

    status: int
    headers: Fields
    """What the caller may see of it, in the normal form: `retry-after` in seconds, `x-ratelimit-*` as OpenAI's."""
    body: bytes | None
    """The provider's own body when it may be shown; None when the gateway has to write one."""
    detail: str
    """A sentence for records, and for the caller where `message` is empty."""
    message: str = ""
    """The provider's own words when they may be shown, for a caller who speaks another dialect."""
    kind: FailureKind = ""
    retry_after_s: float | None = None
    """How long the provider asks to wait; None when it does not say."""


@runtime_checkable
class HttpProvider(Protocol):
    """A provider behind a URL."""

    base_url: str
    dialects: frozenset[str]
    """Dialects it takes and answers in."""
    speaks: str
    """The format that chat calls of other dialects are translated to (a key of `wire.llm.codecs.VENDORS`); empty for
    none."""
    stream_usage: bool
    """Whether a stream may be asked for its usage."""

    def target(self, call: ModelCall) -> bytes:
        """Request target (path and query) of a call. Its `dialect` is the one sent, its `upstream_model` the name."""
        ...

    from_caller: frozenset[bytes]
    """Names of the caller's fields that `headers` may pass on; without them it depends on `call.stream` alone."""

    def headers(self, call: ModelCall, caller: Fields) -> Fields:
        """A new list: credentials and what of the caller's fields may pass."""
        ...

    def answer_headers(self, headers: Fields) -> Fields:
        """What of a good answer's fields the caller may see; `content-type` is not among them."""
        ...

    def read_failure(self, status: int, headers: Fields, body: bytes | None) -> Failure:
        """What a status other than 200 means; `body` is None when it was too large to read."""
        ...


@runtime_checkable
class Signing(Protocol):
    """An HttpProvider whose credential is a signature over each request."""

    def sign(self, target: bytes, fields: Fields, body: bytes, now_s: float) -> Fields:
        """The fields of a POST with its signature. `now_s` is Unix time."""
        ...


class Adapted(NamedTuple):
    """A body as a certain server wants it."""

    body: bytes
    dropped: tuple[str, ...]
    """Features that were left out, by the names in `wire.canonical.rules`: the caller is told."""


@runtime_checkable
class Adapting(Protocol):
    """An HttpProvider whose server wants bodies of its format a little different."""

    adapts_own: bool
    """Bodies of callers who speak the format go through `adapt` too; otherwise they stay untouched."""

    def adapt(self, body: bytes, call: ModelCall, translated: bool) -> Adapted:
        """`body`, which is valid in `call.dialect`, as the server wants it. Features are left out only of a body that
        was `translated`."""
        ...


Spell = Callable[[str], str]
"""From any name of a model to the one it is known by."""


@runtime_checkable
class Spelling(Protocol):
    """A provider whose models go by more than one name."""

    def spell(self, model: str) -> str:
        """The one name that policies, prices and records know it by, whichever was asked for. Idempotent."""
        ...


class TokenRequest(NamedTuple):
    """A POST that asks for an access token. Its body is a secret."""

    url: str
    fields: Fields
    body: bytes

    def __repr__(self) -> str:
        return f"TokenRequest({self.url})"


@runtime_checkable
class Tokened(Protocol):
    """An HttpProvider whose credential is exchanged for bearer tokens that expire; its `headers` have none."""

    def token_request(self, now_s: float) -> TokenRequest:
        """What to send for a new token. `now_s` is Unix time."""
        ...

    def read_token(self, body: bytes, now_s: float) -> tuple[str, float]:
        """A token and when it expires (Unix time), from the body of a 200. Raises ProtocolError, which quotes
        nothing."""
        ...


@runtime_checkable
class PlayedProvider(Protocol):
    """A provider without a network."""

    dialects: frozenset[str]
    speaks: str
    """As `HttpProvider.speaks`."""

    def play(self, call: ModelCall, body: bytes, created_s: int) -> Script:
        """The answer to `body`, the call's own or rewritten; `created_s` is Unix time. Deterministic but for that."""
        ...


Provider = HttpProvider | PlayedProvider


class OptionError(ValueError):
    """A provider's options that cannot be used; the text names the option and what was expected."""


def decode_options(options: Mapping[str, object], shape: type[T]) -> T:
    """`options` as a struct of `shape`. Raises OptionError (unknown name, wrong type)."""
    known = [field.encode_name for field in msgspec.structs.fields(shape)]
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
            raise OptionError(f"options.{name}: unknown option; {hint}")
    try:
        return msgspec.convert(options, shape)
    except msgspec.ValidationError as exc:
        message, _, path = str(exc).partition(" - at `$")
        raise OptionError(f"options{path.rstrip('`')}: {message[:1].lower()}{message[1:]}") from exc
