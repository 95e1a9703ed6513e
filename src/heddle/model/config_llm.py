"""The short form's `llm`: which providers there are, and which models callers may name."""

from typing import Annotated, Any

import msgspec

from heddle.model.config_base import Count, Duration, File, Free, Name, Part, Pattern, Secret, SecretName, Url


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
    """Kind of provider: `openai` (any OpenAI-compatible API), `scripted` (offline), or one that a plug-in adds."""
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


class ModelEntry(Part, frozen=True, kw_only=True):
    """A name that callers may use, or a pattern of names, and where it leads."""

    name: Pattern = ""
    """Name as callers write it, or a pattern such as `claude-*`. A Model resource may leave it to its metadata."""
    provider: Name = ""
    """Name of the provider that serves it. Unset is the sole provider."""
    model: Annotated[str, msgspec.Meta(max_length=256)] = ""
    """Name sent to the provider. Unset sends the caller's."""
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


class Mcp(Part, frozen=True, kw_only=True):
    """Tool servers. Checked loosely and not active yet."""

    targets: tuple[dict[str, Any], ...] = ()
    """Tool servers behind the gateway. Not active yet."""
    servers: tuple[dict[str, Any], ...] = ()
    """Virtual servers that callers see. Not active yet."""
