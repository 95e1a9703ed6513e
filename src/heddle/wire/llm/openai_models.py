"""OpenAI's list of models.

*Source:* OpenAI API reference, "List models" and "The model object", as of 2026-11.
"""

from collections.abc import Iterable

import msgspec


def encode_list(models: Iterable[tuple[str, str]], created_s: int = 0) -> bytes:
    """The answer of `GET /v1/models` for (name, owner) pairs, in their order. `created_s` is Unix time."""
    return msgspec.json.encode({"object": "list", "data": [_model(name, owner, created_s) for name, owner in models]})


def encode_model(name: str, owner: str, created_s: int = 0) -> bytes:
    """The answer of `GET /v1/models/{name}`."""
    return msgspec.json.encode(_model(name, owner, created_s))


def _model(name: str, owner: str, created_s: int) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created_s, "owned_by": owner}
