"""The short form's `llm`: which providers there are, and which models callers may name."""

from typing import Annotated

import msgspec

from heddle.model.config_base import (
    Count,
    Duration,
    File,
    Free,
    Name,
    Network,
    Part,
    Pattern,
    Period,
    Secret,
    SecretName,
    Url,
)
from heddle.model.config_budgets import Price
from heddle.model.config_policies import Match


class Timeouts(Part, frozen=True, kw_only=True):
    """Deadlines of a call to a provider. `0s` turns one off."""

    connect: Duration = "5s"
    """Until the connection, with TLS, stands."""
    first_byte: Duration = "120s"
    """From sending the request to the first byte of the answer's body. Long, because models think before they
    speak."""
    idle: Duration = "60s"
    """Longest silence inside an answer."""
    total: Duration = "10m"
    """The whole call, streaming included."""


class Provider(Part, frozen=True, kw_only=True):
    """A place where models live, and the credential it is reached with."""

    name: Name = ""
    """Unique; models and metrics name the provider by it. A Backend resource takes it from its metadata."""
    type: str
    """Kind of provider: `openai` (any OpenAI-compatible API), the name of a server that speaks it (`azure`, `groq`,
    `vllm` ...), `anthropic`, `bedrock` (a Bedrock API key; the secret of an access key whose id is in `options`; or
    both with a session token, as the JSON that a `credential_process` prints), `gemini` (with an API key), `vertex`
    (Gemini on Vertex AI: an access token, or the JSON of a service account's key), `scripted` (offline), or one that
    a plug-in adds."""
    base_url: Url = ""
    """Base of the provider's API, e.g. `http://127.0.0.1:9001/v1`. Unset is the provider's public address, where it
    has one."""
    api_key: Secret = ""
    """Credential: `${ENV}`, `file:path`, or a literal (warned about). Unresolved, calls to this provider are
    answered 503."""
    api_key_secret: SecretName = ""
    """Name of a secret, read from `secrets/NAME/api-key` beside the configuration, then `HEDDLE_SECRET_NAME`, then a
    Secret resource."""
    timeouts: Timeouts = Timeouts()
    """Deadlines of a call."""
    proxy: Url = ""
    """`http://host:port` of a forward proxy. Unset connects directly; proxy variables of the environment are not
    read."""
    ca_file: File = ""
    """PEM bundle to trust instead of the system's. Relative to the configuration file."""
    max_connections: Count = 1_000
    """Most connections to this provider per worker; further calls wait for one, within their connect deadline."""
    options: Free = msgspec.field(default_factory=dict)
    """Settings of the provider's type: the pace of `scripted`, say."""


class NamedProvider(Provider, frozen=True, kw_only=True):
    """A place where models live, and the credential it is reached with."""

    name: Name
    """Unique; models and metrics name the provider by it."""


UpstreamName = Annotated[str, msgspec.Meta(max_length=256)]


class Target(Part, frozen=True, kw_only=True):
    """One place a virtual model can lead to."""

    provider: Name = ""
    """Name of the provider. Unset is the sole provider."""
    model: UpstreamName = ""
    """Name sent to the provider. Unset sends the caller's."""
    weight: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1
    """Share of calls among the targets of one priority. 0 takes calls only when the others cannot."""
    priority: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0
    """Lower ones are tried first; the next priority takes over when none of them can answer."""
    when: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    """CEL over `principal`, `call`, `request` and `source`: the target is left out of calls for which it is not
    true, or errs. Empty is true."""
    first_token: Duration = "0s"  # noqa: S105 - a duration
    """Longest wait for the first token of a stream before the next target is tried. `0s` waits as the provider's
    timeouts say."""


class Retry(Part, frozen=True, kw_only=True):
    """What happens when a target fails before anything of an answer was seen."""

    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    """Most attempts at one call, the first included, over all targets. SDKs retry by themselves, so a model with one
    target is tried again only if `same_target` says so."""
    same_target: bool = False
    """Try a target again, after a pause, when there is no other one."""
    budget: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    """Most further attempts as a share of calls, over time, in each worker: when everything fails, retries must not
    multiply the load."""
    cooldown: Duration = "30s"
    """How long a target is left alone after it failed `cooldown_after` times in a row, or said that it is over its
    limits; a `retry-after` of the provider is longer or shorter. `0s` never leaves one alone."""
    cooldown_after: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 3
    """Failures in a row."""


class Media(Part, frozen=True, kw_only=True):
    """Images and documents that callers name by URL. Providers that fetch them get the URL; for others the gateway
    fetches, if it may."""

    fetch: tuple[Pattern, ...] = ()
    """Host names, patterns allowed, that the gateway may fetch from, by https. Empty fetches nothing: such calls are
    refused. Names that lead to private, loopback or link-local addresses are never fetched from."""
    private_networks: tuple[Network, ...] = ()
    """Networks that may be fetched from although they are private, and then by http too."""
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=1024**3)] = 20 * 1024 * 1024
    """Most bytes of all files of one call."""
    timeout: Period = "10s"
    """Longest time for all files of one call."""


class Prompt(Part, frozen=True, kw_only=True):
    """Instructions that every call of a model gets."""

    system: Annotated[str, msgspec.Meta(max_length=65_536)] = ""
    """Stands before the caller's own instructions, the same for every call, so that prompt caches find it. Guards do
    not read it."""


class ModelEntry(Part, frozen=True, kw_only=True):
    """A name that callers may use, or a pattern of names, and where it leads."""

    name: Pattern = ""
    """Name as callers write it, or a pattern such as `claude-*`. A Model resource may leave it to its metadata."""
    provider: Name = ""
    """Name of the provider that serves it. Unset is the sole provider. Give this or `targets`."""
    model: UpstreamName = ""
    """Name sent to the provider. Unset sends the caller's."""
    targets: tuple[Target, ...] = ()
    """Several places it can lead to, by priority, weight and condition: a virtual model."""
    aliases: tuple[Pattern, ...] = ()
    """Further names or patterns for the same. Rules, limits and records see the entry's `name`."""
    access: Match | None = None
    """Callers who may use it, and see it in lists. Unset leaves that to keys and policies, which hold in any case."""
    retry: Retry | None = None
    """What happens when a target fails. Unset is `llm.retry`."""
    defaults: Free = msgspec.field(default_factory=dict)
    """Parameters for calls that do not state them: `temperature`, `top_p`, `top_k`, `max_output_tokens`, `seed`,
    `stop` (a list), `presence_penalty`, `frequency_penalty`, `reasoning_effort`, `service_tier`. Written where the
    caller's dialect has them; one that it has no place for is not sent, and said in `x-heddle-translation`."""
    overrides: Free = msgspec.field(default_factory=dict)
    """The same, whatever the call states. Limits and budgets reserve by a `max_output_tokens` from here."""
    prompt: Prompt | None = None
    """Instructions that every call gets."""
    max_output_tokens: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0
    """Most tokens the model can generate in one choice; token limits reserve it when a call states no maximum. 0 is
    unknown."""


class NamedModel(ModelEntry, frozen=True, kw_only=True):
    """A name that callers may use, or a pattern of names, and where it leads."""

    name: Pattern
    """Name as callers write it, or a pattern such as `claude-*`. Exact names win over patterns; of patterns the
    first that fits."""


class Llm(Part, frozen=True, kw_only=True):
    """Models."""

    providers: tuple[NamedProvider, ...] = ()
    """Where models live."""
    models: tuple[NamedModel, ...] = ()
    """Names that callers may use. Without any, every name goes to the sole provider."""
    retry: Retry | None = None
    """What happens when a target fails, for models that do not say it themselves."""
    media: Media | None = None
    """Images and documents by URL."""
    prices: tuple[Price, ...] = ()
    """What models cost, where that is not what their vendors list, or nobody lists it. The first that fits holds."""
