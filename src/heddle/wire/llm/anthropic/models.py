"""Anthropic's list of models.

*Source:* Anthropic API reference, "List Models" and "Get a Model", as of 2026-11.
"""

from collections.abc import Iterable

import msgspec

CREATED = "1970-01-01T00:00:00Z"
"""`created_at` "may be set to an epoch value if the release date is unknown"."""


def encode_list(models: Iterable[tuple[str, str]]) -> bytes:
    """The answer of `GET /v1/models` for (name, owner) pairs, in their order; always one page."""
    data = [_model(name, owner) for name, owner in models]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return msgspec.json.encode({"data": data, "has_more": False, "first_id": first, "last_id": last})


def encode_model(name: str, owner: str) -> bytes:
    """The answer of `GET /v1/models/{name}`."""
    return msgspec.json.encode(_model(name, owner))


def _model(name: str, owner: str) -> dict[str, str]:
    """The format has no field for an owner."""
    del owner
    return {"type": "model", "id": name, "display_name": name, "created_at": CREATED, "lifecycle": "active"}
