"""Gemini's list of models.

*Source:* Gemini API reference, "models.list" and "models.get", 2026-11.
"""

from collections.abc import Iterable

import msgspec

_METHODS = ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"]
"""What can be asked for; whether a model does it is its provider's to say."""


def encode_list(models: Iterable[tuple[str, str]]) -> bytes:
    """The answer of `GET /v1beta/models` for (name, owner) pairs, in their order, all on one page."""
    return msgspec.json.encode({"models": [_model(name, owner) for name, owner in models]})


def encode_model(name: str, owner: str) -> bytes:
    """The answer of `GET /v1beta/models/{name}`."""
    return msgspec.json.encode(_model(name, owner))


def _model(name: str, owner: str) -> dict[str, object]:
    return {
        "name": f"models/{name}",
        "displayName": name,
        "description": f"Served by {owner}.",
        "supportedGenerationMethods": _METHODS,
    }
