"""What is known of OpenAI and of each server that speaks its API: one entry of data apiece.

Adding one is an entry here and a line in `plugins`. An entry says only what is known; whatever it leaves open is the
server's to judge. An option of the provider overrides what turns out otherwise.

*Source:* the vendors' references and pages on OpenAI compatibility for Groq, vLLM, LM Studio, Cohere and Cerebras;
guides and issue threads of others for the rest, as of 2026-11. None was tried against the live server.
"""

from typing import Literal

import msgspec

CHAT = "openai_chat"
COMPLETIONS = "openai_completions"
EMBEDDINGS = "openai_embeddings"
RESPONSES = "openai_responses"
RESPONSES_COUNT = "openai_responses_count"
SPEECH = ("openai_speech", "openai_speech_events")
TRANSCRIPTIONS = "openai_transcriptions"
TRANSLATIONS = "openai_translations"
IMAGES = "openai_images"
IMAGE_EDITS = "openai_image_edits"
MODERATIONS = "openai_moderations"
RERANK = "rerank"

PATHS = {
    CHAT: "/chat/completions",
    COMPLETIONS: "/completions",
    EMBEDDINGS: "/embeddings",
    RESPONSES: "/responses",
    RESPONSES_COUNT: "/responses/input_tokens",
    **dict.fromkeys(SPEECH, "/audio/speech"),
    TRANSCRIPTIONS: "/audio/transcriptions",
    TRANSLATIONS: "/audio/translations",
    IMAGES: "/images/generations",
    IMAGE_EDITS: "/images/edits",
    MODERATIONS: "/moderations",
    RERANK: "/rerank",
}
"""Dialect -> path under the base URL."""

APIS = {
    "chat": (CHAT,),
    "completions": (COMPLETIONS,),
    "embeddings": (EMBEDDINGS,),
    "responses": (RESPONSES, RESPONSES_COUNT),
    "speech": SPEECH,
    "transcriptions": (TRANSCRIPTIONS, TRANSLATIONS),
    "images": (IMAGES, IMAGE_EDITS),
    "moderations": (MODERATIONS,),
    "rerank": (RERANK,),
}
"""Interface -> its dialects."""


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """One server."""

    base_url: str = ""
    """Its public address; empty where every customer has an own one, which configuration then has to give."""
    dialects: frozenset[str] = frozenset((CHAT,))
    """What it serves, by the names in PATHS."""
    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Field that bounds a chat answer."""
    strict: bool = False
    """It refuses fields it does not know, so that the bound must have the right name in callers' own bodies too."""
    stream_usage: bool = True
    """Streams may be asked for their usage; where they may not, the server sends it unasked."""
    renamed: dict[str, str] = {}
    """Fields of OpenAI's that have another name here, with the same meaning."""
    without: frozenset[str] = frozenset()
    """Fields of OpenAI's that it documents to refuse; translated calls leave them out and say so."""
    without_in_messages: frozenset[str] = frozenset(("reasoning_content",))
    """The same inside messages. Thinking is sent back only to servers that want it."""
    paths: dict[str, str] = {}
    """Paths of its own, from the root of its public address; elsewhere they are those of PATHS."""
    prices: tuple[str, ...] = ()
    """Its price lists in genai-prices."""


_SOUND = (*SPEECH, TRANSCRIPTIONS, TRANSLATIONS)
_IMAGES = (IMAGES, IMAGE_EDITS)


def _serves(*dialects: str) -> frozenset[str]:
    return frozenset(dialects)


_REPLAYS_THINKING: frozenset[str] = frozenset()
"""For `without_in_messages`: "reasoning_content is missing in assistant tool call message" otherwise."""

PRESETS: dict[str, Preset] = {
    "openai": Preset(
        base_url="https://api.openai.com/v1",
        dialects=_serves(CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, RESPONSES_COUNT, *_SOUND, *_IMAGES, MODERATIONS),
        max_tokens="max_completion_tokens",
        prices=("openai",),
    ),
    # Every resource has an address of its own, such as YOURS.openai.azure.com.
    "azure": Preset(
        dialects=_serves(CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, *_SOUND, *_IMAGES),
        max_tokens="max_completion_tokens",
        prices=("azure",),
    ),
    # "The following fields ... will result in a 400 error": and n must be 1, which the server says itself.
    "groq": Preset(
        base_url="https://api.groq.com/openai/v1",
        dialects=_serves(CHAT, RESPONSES, *_SOUND),
        max_tokens="max_completion_tokens",
        without=frozenset(("logprobs", "logit_bias", "top_logprobs")),
        without_in_messages=frozenset(("name", "reasoning_content")),
        prices=("groq",),
    ),
    # 422 "Extra inputs are not permitted" for max_completion_tokens and others; usage comes with the last chunk.
    "mistral": Preset(
        base_url="https://api.mistral.ai/v1",
        dialects=_serves(CHAT, EMBEDDINGS, TRANSCRIPTIONS, MODERATIONS),
        strict=True,
        stream_usage=False,
        renamed={"seed": "random_seed"},
        without=frozenset(("logprobs", "top_logprobs", "logit_bias", "user")),
        without_in_messages=frozenset(("name", "refusal", "reasoning_content")),
        prices=("mistral",),
    ),
    "together": Preset(
        base_url="https://api.together.ai/v1",
        dialects=_serves(CHAT, COMPLETIONS, EMBEDDINGS, *_SOUND, IMAGES, RERANK),
        prices=("together",),
    ),
    "deepseek": Preset(
        base_url="https://api.deepseek.com", without_in_messages=_REPLAYS_THINKING, prices=("deepseek",)
    ),
    "xai": Preset(
        base_url="https://api.x.ai/v1",
        dialects=_serves(CHAT, RESPONSES, IMAGES),
        prices=("x-ai",),
    ),
    "openrouter": Preset(
        base_url="https://openrouter.ai/api/v1",
        dialects=_serves(CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES),
        without_in_messages=_REPLAYS_THINKING,
        prices=("openrouter",),
    ),
    "fireworks": Preset(
        base_url="https://api.fireworks.ai/inference/v1",
        dialects=_serves(CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, RERANK),
        without_in_messages=_REPLAYS_THINKING,
        prices=("fireworks",),
    ),
    # "These fields will result in a 400 error".
    "cerebras": Preset(
        base_url="https://api.cerebras.ai/v1",
        max_tokens="max_completion_tokens",
        without=frozenset(("frequency_penalty", "logit_bias", "presence_penalty")),
        prices=("cerebras",),
    ),
    "perplexity": Preset(base_url="https://api.perplexity.ai", prices=("perplexity",)),
    "moonshot": Preset(
        base_url="https://api.moonshot.ai/v1",
        dialects=_serves(CHAT, RESPONSES),
        without_in_messages=_REPLAYS_THINKING,
        prices=("moonshotai",),
    ),
    "minimax": Preset(base_url="https://api.minimax.io/v1", dialects=_serves(CHAT, RESPONSES), prices=("minimax",)),
    # Its own API stands beside the compatible one.
    "cohere": Preset(
        base_url="https://api.cohere.ai/compatibility/v1",
        dialects=_serves(CHAT, EMBEDDINGS, RERANK),
        paths={RERANK: "/v2/rerank"},
        prices=("cohere",),
    ),
    "huggingface": Preset(base_url="https://router.huggingface.co/v1"),
    "nvidia": Preset(base_url="https://integrate.api.nvidia.com/v1", dialects=_serves(CHAT, COMPLETIONS, EMBEDDINGS)),
    # Every workspace has an address of its own; the path is /serving-endpoints.
    "databricks": Preset(dialects=_serves(CHAT, COMPLETIONS, EMBEDDINGS), prices=("databricks",)),
    # Servers of one's own, at the port that they choose. Their models have no price list.
    "ollama": Preset(base_url="http://127.0.0.1:11434/v1", dialects=_serves(CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES)),
    "vllm": Preset(
        base_url="http://127.0.0.1:8000/v1",
        dialects=_serves(CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, TRANSCRIPTIONS, TRANSLATIONS, RERANK),
        without_in_messages=_REPLAYS_THINKING,
    ),
    "sglang": Preset(base_url="http://127.0.0.1:30000/v1", dialects=_serves(CHAT, COMPLETIONS, EMBEDDINGS, RERANK)),
    "lmstudio": Preset(base_url="http://127.0.0.1:1234/v1", dialects=_serves(CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES)),
}
"""`ProviderSpec.type` -> what is known of it."""
