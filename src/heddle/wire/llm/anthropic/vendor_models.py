"""What the generations of Claude models take: budgets or adaptive thinking, and which samplers.

Owns the reading of a model's name and the samplers of a request. A sampler that a model refuses is left out and noted:
OpenAI's callers send `temperature` by habit, and an error would keep them from every model since 4.7. A name that is
not Claude's is another server's, which takes them all.

*Source:* Anthropic API reference, "Adaptive thinking" (supported models), "Migrating to Claude Opus 4.7" and "Migrating
to API version 2026-10-21" (sampling parameters), "Extended thinking" (feature compatibility), as of 2026-11.
"""

import re

from heddle.wire.canonical.request import ChatRequest
from heddle.wire.canonical.rules import Notes

MAX_TEMPERATURE = 1.0
"""`temperature` "ranges from 0.0 to 1.0"; "values greater than 1 are capped at 1" ("OpenAI SDK compatibility")."""

_NUMBERED = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_UNNUMBERED = re.compile(r"claude-(?:mythos|fable)")
"""Families that always think; the first of them came without a number."""
_ADAPTIVE = (4, 6)
_ONE_SAMPLER = (4, 1)
_NO_SAMPLERS = (4, 7)
_THINKING = (5, 0)


def generation(model: str) -> tuple[int, int] | None:
    """Version of a Claude model by its name, `claude-3-7-sonnet-20250219` or `claude-opus-4-7`; None for others."""
    found = _NUMBERED.search(model)
    if found is not None:
        return int(found[1]), int(found[2] or 0)
    return (5, 0) if _UNNUMBERED.search(model) else None


def takes_budgets(model: str) -> bool:
    """Whether thinking is bounded by a budget rather than adaptive."""
    version = generation(model)
    return version is not None and version < _ADAPTIVE


def thinks_unasked(model: str) -> bool:
    """Whether a model thinks where the request does not say."""
    version = generation(model)
    return version is not None and version >= _THINKING


def must_think(model: str) -> bool:
    """Whether thinking cannot be switched off."""
    return _UNNUMBERED.search(model) is not None


def sampling(request: ChatRequest, model: str, thinks: bool, notes: Notes) -> dict[str, object]:
    """`temperature`, `top_p` and `top_k` as `model` takes them; what it refuses is noted as dropped."""
    stated = {
        name: value for name in ("temperature", "top_p", "top_k") if (value := getattr(request, name)) is not None
    }
    refused = [name for name in stated if name in _refused(stated, model, thinks)]
    notes.dropped += refused
    kept: dict[str, object] = {name: value for name, value in stated.items() if name not in refused}
    if "temperature" in kept and stated["temperature"] > MAX_TEMPERATURE:
        kept["temperature"] = MAX_TEMPERATURE
        notes.emulated.append("temperature")
    return kept


def _refused(stated: dict[str, float], model: str, thinks: bool) -> set[str]:
    version = generation(model)
    if version is None:
        return set()
    if version >= _NO_SAMPLERS:
        return {"temperature", "top_p", "top_k"}
    refused: set[str] = set()
    if thinks:
        # 1 is the default, and top_p may be lowered a little.
        refused |= {"top_k"} if stated.get("temperature") == 1 else {"top_k", "temperature"}
    if version >= _ONE_SAMPLER and "temperature" in stated and "temperature" not in refused:
        refused.add("top_p")
    return refused
