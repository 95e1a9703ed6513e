"""The sections of a ModelConfig that hold the settings of one provider each.

Owns their fields, and upstream's rules about them. Numbers that upstream keeps as text are text.
*Source:* kagent 0.10 API `kagent.dev/v1alpha2` ModelConfig.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part, Secret
from heddle.model.kube import OPEN, default, rule

Texts = tuple[str, ...]


class GdchServiceAccount(Part, frozen=True, kw_only=True):
    """A service account of Google Distributed Cloud."""

    audience: str
    """URL the token is for."""


class TokenExchange(Part, frozen=True, kw_only=True):
    """A token that is fetched before calls."""

    type: Literal["GDCHServiceAccount"]
    """The way it is fetched."""
    gdch_service_account: GdchServiceAccount | None = None
    """Settings of that way."""


class OpenAI(Part, frozen=True, kw_only=True):
    """Settings of OpenAI, and of what speaks its dialect."""

    RULES: ClassVar = (
        rule(
            "!(has(self.maxTokens) && has(self.maxCompletionTokens))",
            "maxTokens and maxCompletionTokens are mutually exclusive",
        ),
    )
    base_url: str = ""
    """Base of the API; unset is OpenAI's."""
    organization: str = ""
    """Organisation."""
    temperature: str = ""
    """Temperature, as text."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Most tokens of an answer."""
    max_completion_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Most tokens of an answer, thinking included."""
    top_p: str = ""
    """Nucleus sampling, as text."""
    frequency_penalty: str = ""
    """Frequency penalty, as text."""
    presence_penalty: str = ""
    """Presence penalty, as text."""
    seed: int | None = None
    """Seed."""
    n: int | None = None
    """Number of answers."""
    timeout: int | None = None
    """Seconds of a call."""
    reasoning_effort: Literal["high", "low", "medium", "minimal", "none", "xhigh"] | None = None
    """How much it thinks."""
    api_format: Literal["chatCompletions", "responses"] | None = None
    """Which of the two APIs is called."""
    token_exchange: TokenExchange | None = None
    """A token that is fetched before calls; needs `apiKeySecret`."""


class Anthropic(Part, frozen=True, kw_only=True):
    """Settings of Anthropic."""

    base_url: str = ""
    """Base of the API; unset is Anthropic's."""
    max_tokens: int | None = None
    """Most tokens of an answer."""
    temperature: str = ""
    """Temperature, as text."""
    top_p: str = ""
    """Nucleus sampling, as text."""
    top_k: int | None = None
    """Top-k sampling."""


class AzureOpenAI(Part, frozen=True, kw_only=True):
    """Settings of Azure OpenAI."""

    azure_endpoint: str
    """Endpoint of the resource."""
    api_version: str
    """Version of its API."""
    azure_deployment: str = ""
    """Name of the deployment."""
    azure_ad_token: Secret = ""
    """Not read: credentials stand in Secrets."""
    temperature: str = ""
    """Temperature, as text."""
    max_tokens: int | None = None
    """Most tokens of an answer."""
    top_p: str = ""
    """Nucleus sampling, as text."""


class Ollama(Part, frozen=True, kw_only=True):
    """Settings of Ollama."""

    host: str = ""
    """Its address."""
    options: dict[str, str] = msgspec.field(default_factory=dict)
    """Its options."""


class Gemini(Part, frozen=True, kw_only=True):
    """Settings of Gemini."""

    max_output_tokens: int | None = None
    """Most tokens of an answer."""


class VertexAI(Part, frozen=True, kw_only=True):
    """Settings of models on Vertex AI."""

    project_id: str = msgspec.field(name="projectID")
    """Project."""
    location: str
    """Region."""
    temperature: str = ""
    """Temperature, as text."""
    top_p: str = ""
    """Nucleus sampling, as text."""
    top_k: str = ""
    """Top-k sampling, as text."""
    stop_sequences: Texts = ()
    """Texts at which it stops."""


class GeminiVertexAI(VertexAI, frozen=True, kw_only=True):
    """Settings of Gemini on Vertex AI."""

    max_output_tokens: int | None = None
    """Most tokens of an answer."""
    candidate_count: int | None = None
    """Number of answers."""
    response_mime_type: str = ""
    """Media type of answers."""


class AnthropicVertexAI(VertexAI, frozen=True, kw_only=True):
    """Settings of Anthropic's models on Vertex AI."""

    max_tokens: int | None = None
    """Most tokens of an answer."""


class Bedrock(Part, frozen=True, kw_only=True):
    """Settings of Amazon Bedrock."""

    SAID: ClassVar = {"x-kubernetes-preserve-unknown-fields": True}
    region: str
    """Region."""
    additional_model_request_fields: Annotated[dict[str, Any], OPEN] | None = None
    """Settings of the model that are passed on as they are."""
    prompt_caching: Annotated[bool, default(False)] = False
    """Ask Bedrock to keep the beginning of prompts."""
    cache_ttl: Literal["1h", "5m"] = msgspec.field(default="5m", name="cacheTTL")
    """How long it is kept."""


class SapAiCore(Part, frozen=True, kw_only=True):
    """Settings of SAP AI Core."""

    base_url: str
    """Base of the API."""
    resource_group: str = "default"
    """Resource group."""
    auth_url: str = ""
    """Where tokens come from."""


class Foundry(Part, frozen=True, kw_only=True):
    """Settings of Azure AI Foundry."""

    RULES: ClassVar = (
        rule(
            "!(has(self.endpoint) && size(self.endpoint) > 0 && has(self.endpointFrom))",
            "foundry.endpoint and foundry.endpointFrom are mutually exclusive",
        ),
        rule(
            "(has(self.endpoint) && size(self.endpoint) > 0) || has(self.endpointFrom)",
            "foundry.endpoint or foundry.endpointFrom is required",
        ),
    )
    endpoint: str = ""
    """Endpoint of the account."""
    endpoint_from: Annotated[dict[str, Any], OPEN] | None = None
    """Key of a ConfigMap that holds it."""
    deployment: str
    """Name of the deployment."""
    api_version: str = "2024-10-21"
    """Version of its API."""
