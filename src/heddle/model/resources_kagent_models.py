"""kagent.dev/v1alpha2: ModelConfig and ModelProviderConfig, as people already declare models for Kubernetes.

Owns the fields, upstream's rules about them, and the two spellings there are: `apiKeySecretRef`, `baseUrl` and
providers in lower case mean what `apiKeySecret` with `apiKeySecretKey`, the base URL in the provider's own section and
`OpenAI` mean; `in_one_spelling` makes the latter of the former.
*Source:* kagent 0.10 API `kagent.dev/v1alpha2` ModelConfig, ModelProviderConfig.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part
from heddle.model.kube import AGE, Rule, Served, column, condition, form, rule, shaped
from heddle.model.meta import Resource
from heddle.model.resources_kagent_providers import (
    Anthropic,
    AnthropicVertexAI,
    AzureOpenAI,
    Bedrock,
    Foundry,
    Gemini,
    GeminiVertexAI,
    Ollama,
    OpenAI,
    SapAiCore,
)
from heddle.model.resources_mcp import RemoteTls
from heddle.model.resources_status import Conditions, Generation, ResourceStatus

Texts = tuple[str, ...]
PROVIDERS = (
    "Anthropic", "AnthropicVertexAI", "AzureOpenAI", "Bedrock", "Foundry", "Gemini", "GeminiVertexAI", "Ollama",
    "OpenAI", "SAPAICore",
)  # fmt: skip
Provider = Literal[
    "Anthropic", "AnthropicVertexAI", "AzureOpenAI", "Bedrock", "Foundry", "Gemini", "GeminiVertexAI", "Ollama",
    "OpenAI", "SAPAICore", "anthropic", "anthropicvertexai", "azureopenai", "bedrock", "foundry", "gemini",
    "geminivertexai", "ollama", "openai", "sapaicore",
]  # fmt: skip


class SecretKeyRef(Part, frozen=True, kw_only=True):
    """A key of a Secret of the same namespace."""

    name: str
    """Name of the Secret."""
    key: str
    """Key in it."""


_SECTIONS = {
    "openAI": "OpenAI",
    "anthropic": "Anthropic",
    "azureOpenAI": "AzureOpenAI",
    "ollama": "Ollama",
    "gemini": "Gemini",
    "geminiVertexAI": "GeminiVertexAI",
    "anthropicVertexAI": "AnthropicVertexAI",
    "bedrock": "Bedrock",
    "sapAICore": "SAPAICore",
    "foundry": "Foundry",
}
_KEYED = "(has(self.apiKeySecret) && size(self.apiKeySecret) > 0 || has(self.apiKeySecretRef))"
_PASSED = "(has(self.apiKeyPassthrough) && self.apiKeyPassthrough)"
_EXCHANGED = "(has(self.openAI) && has(self.openAI.tokenExchange))"


def _is(*names: str) -> str:
    """The provider is one of these, in either spelling."""
    listed = ", ".join(f"'{spelled}'" for name in names for spelled in (name, name.lower()))
    return f"self.provider in [{listed}]"


def _section(field: str, name: str) -> Rule:
    return rule(
        f"!(has(self.{field}) && !({_is(name)}))", f"provider.{field} must be nil if the provider is not {name}"
    )


class ModelConfigSpec(Part, frozen=True, kw_only=True):
    """A model, and how it is called."""

    RULES: ClassVar = (
        *(_section(field, name) for field, name in _SECTIONS.items()),
        rule("!(has(self.apiKeySecretKey) && !has(self.apiKeySecret))",
             "apiKeySecret must be set if apiKeySecretKey is set"),
        rule(f"!(has(self.apiKeySecret) && !has(self.apiKeySecretKey) && !({_is('Bedrock', 'SAPAICore')}))",
             "apiKeySecretKey must be set if apiKeySecret is set (except for Bedrock and SAPAICore providers)"),
        rule(f"!({_PASSED} && {_KEYED})", "apiKeyPassthrough and apiKeySecret are mutually exclusive"),
        rule(f"!({_PASSED} && {_is('Gemini', 'GeminiVertexAI', 'AnthropicVertexAI')})",
             "apiKeyPassthrough must be false if provider is Gemini;GeminiVertexAI;AnthropicVertexAI"),
        rule(f"!({_EXCHANGED} && !{_KEYED})",
             "openAI.tokenExchange requires apiKeySecret (the service account secret)"),
        rule(f"!({_EXCHANGED} && {_PASSED})", "openAI.tokenExchange and apiKeyPassthrough are mutually exclusive"),
        rule(f"!({_EXCHANGED} && self.openAI.tokenExchange.type == 'GDCHServiceAccount'"
             " && !has(self.openAI.tokenExchange.gdchServiceAccount))",
             "openAI.tokenExchange type GDCHServiceAccount requires openAI.tokenExchange.gdchServiceAccount"),
        rule("!(has(self.apiKeySecret) && has(self.apiKeySecretRef))",
             "apiKeySecret and apiKeySecretRef are two spellings of one thing; give one of them"),
        rule("!has(self.baseUrl) || !(has(self.openAI) && has(self.openAI.baseUrl)"
             " || has(self.anthropic) && has(self.anthropic.baseUrl) || has(self.ollama) && has(self.ollama.host))",
             "baseUrl and the base URL in the provider's section are two spellings of one thing; give one of them"),
        rule(f"!has(self.baseUrl) || {_is('OpenAI', 'Anthropic', 'Ollama')}",
             "baseUrl is for OpenAI, Anthropic and Ollama; other providers have an address in their own section"),
    )  # fmt: skip
    model: str
    """Name of the model."""
    api_key_secret: str = ""
    """Secret of the same namespace that holds the credential."""
    api_key_secret_key: str = ""
    """Key in it."""
    api_key_secret_ref: SecretKeyRef | None = None
    """Both in one, as older manifests have it."""
    api_key_passthrough: bool = False
    """The caller's own bearer token is the credential."""
    base_url: str = ""
    """Base of the API, as older manifests have it; newer ones have it in the provider's section."""
    default_headers: dict[str, str] = msgspec.field(default_factory=dict)
    """Header fields of every call."""
    provider: Provider = "OpenAI"
    """Where the model is. Lower case is the older spelling."""
    open_ai: OpenAI | None = msgspec.field(default=None, name="openAI")
    """Settings of OpenAI."""
    anthropic: Anthropic | None = None
    """Settings of Anthropic."""
    azure_open_ai: AzureOpenAI | None = msgspec.field(default=None, name="azureOpenAI")
    """Settings of Azure OpenAI."""
    ollama: Ollama | None = None
    """Settings of Ollama."""
    gemini: Gemini | None = None
    """Settings of Gemini."""
    gemini_vertex_ai: GeminiVertexAI | None = msgspec.field(default=None, name="geminiVertexAI")
    """Settings of Gemini on Vertex AI."""
    anthropic_vertex_ai: AnthropicVertexAI | None = msgspec.field(default=None, name="anthropicVertexAI")
    """Settings of Anthropic's models on Vertex AI."""
    bedrock: Bedrock | None = None
    """Settings of Amazon Bedrock."""
    sap_ai_core: SapAiCore | None = msgspec.field(default=None, name="sapAICore")
    """Settings of SAP AI Core."""
    foundry: Foundry | None = None
    """Settings of Azure AI Foundry."""
    tls: RemoteTls | None = None
    """TLS towards the provider."""


class ModelConfigStatus(ResourceStatus, frozen=True, kw_only=True):
    """What was made of a ModelConfig."""

    secret_hash: str = ""
    """Digest of the Secrets it uses; changes when they do."""


class ModelConfig(Resource, frozen=True, kw_only=True):
    """A model, and how it is called."""

    SERVED: ClassVar = Served(
        "modelconfigs",
        short_names=("mc",),
        categories=("kagent",),
        columns=(column("Provider", ".spec.provider"), column("Model", ".spec.model")),
        has_status=True,
    )
    api_version: Literal["kagent.dev/v1alpha2"]
    """API group and version."""
    kind: Literal["ModelConfig"]
    """Kind."""
    spec: ModelConfigSpec
    """What it is."""
    status: Annotated[dict[str, Any], shaped(ModelConfigStatus)] = msgspec.field(default_factory=dict)
    """Observed; written by the control plane."""


def in_one_spelling(spec: ModelConfigSpec) -> ModelConfigSpec:
    """The same ModelConfig as newer manifests spell it: what stands in `baseUrl`, `apiKeySecretRef` and a provider in
    lower case is moved, and nothing else changes."""
    spelled = {name.lower(): name for name in PROVIDERS}
    changed: dict[str, Any] = {"provider": spelled[spec.provider.lower()], "base_url": "", "api_key_secret_ref": None}
    if (ref := spec.api_key_secret_ref) is not None:
        changed |= {"api_key_secret": ref.name, "api_key_secret_key": ref.key}
    if spec.base_url:
        changed |= _address(changed["provider"], spec)
    return msgspec.structs.replace(spec, **changed)


def _address(provider: str, spec: ModelConfigSpec) -> dict[str, Any]:
    """The provider's section, with the base URL in it."""
    replace = msgspec.structs.replace
    if provider == "Anthropic":
        return {"anthropic": replace(spec.anthropic or Anthropic(), base_url=spec.base_url)}
    if provider == "Ollama":
        return {"ollama": replace(spec.ollama or Ollama(), host=spec.base_url)}
    return {"open_ai": replace(spec.open_ai or OpenAI(), base_url=spec.base_url)}


class SecretName(Part, frozen=True, kw_only=True):
    """A Secret of the same namespace."""

    name: str
    """Its name."""


class ModelProviderConfigSpec(Part, frozen=True, kw_only=True):
    """A provider whose models are looked up."""

    RULES: ClassVar = (
        rule(
            "!has(self.endpoint) || size(self.endpoint) == 0 || self.endpoint.startsWith('http://')"
            " || self.endpoint.startsWith('https://')",
            "endpoint must be a valid URL starting with http:// or https://",
        ),
        rule(
            f"{_is('Ollama').replace('provider', 'type')} || (has(self.secretRef) && has(self.secretRef.name)"
            " && size(self.secretRef.name) > 0)",
            "secretRef is required for providers that need authentication (not Ollama)",
        ),
    )
    type: Provider
    """Which provider."""
    endpoint: Annotated[str, msgspec.Meta(pattern="^https?://.*")] | None = None
    """Base of its API; unset is its public one."""
    secret_ref: SecretName | None = None
    """Secret with exactly one key: the credential."""


class ModelProviderConfigStatus(Part, frozen=True, kw_only=True):
    """What was found at a provider."""

    observed_generation: Generation = 0
    """Generation of the object that the conditions are about. Missing until it was looked at."""
    conditions: Conditions = ()
    """What is said of it."""
    discovered_models: Texts = ()
    """Names of its models."""
    model_count: int = 0
    """Number of them."""
    last_discovery_time: Annotated[str | None, form("date-time")] = None
    """When they were last looked up."""
    secret_hash: str = ""
    """Digest of the Secret; changes when it does."""


class ModelProviderConfig(Resource, frozen=True, kw_only=True):
    """A provider whose models are looked up."""

    SERVED: ClassVar = Served(
        "modelproviderconfigs",
        short_names=("mprov",),
        categories=("kagent",),
        columns=(
            column("Type", ".spec.type"),
            column("Endpoint", ".spec.endpoint"),
            column("Models", ".status.modelCount", "integer"),
            condition("Ready"),
            AGE,
        ),
        has_status=True,
    )
    api_version: Literal["kagent.dev/v1alpha2"]
    """API group and version."""
    kind: Literal["ModelProviderConfig"]
    """Kind."""
    spec: ModelProviderConfigSpec
    """What it is."""
    status: Annotated[dict[str, Any], shaped(ModelProviderConfigStatus)] = msgspec.field(default_factory=dict)
    """Observed; written by the control plane."""
