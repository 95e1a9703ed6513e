"""Canonical settings as Gemini's `generationConfig`, and how its model families take thinking.

Owns the families. Gemini 2.5 takes a budget of tokens, from Gemini 3 on it is a level; some cannot stop thinking and
are given the least they allow. Effort for a family that takes a budget is the budget Google's own OpenAI-compatible
endpoint gives it.

*Source:* Gemini API, "Thinking" (levels and budgets, and which models take them), "OpenAI compatibility" (reasoning
effort), "Structured outputs"; reference, "GenerationConfig", 2026-11.
"""

import re
from typing import Any

import msgspec

from heddle.wire.canonical.request import ChatRequest, Format, Reasoning
from heddle.wire.canonical.rules import Notes

_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH"}
_LEAST_BUDGET_25_PRO = 128
_FAMILY = re.compile(r"gemini-(\d+)")


def generation_config(request: ChatRequest, model: str, notes: Notes) -> dict[str, Any]:
    """The whole of it; empty when nothing was stated."""
    stated: dict[str, Any] = {
        "maxOutputTokens": request.max_output_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "stopSequences": request.stop or None,
        "seed": request.seed,
        "presencePenalty": request.presence_penalty,
        "frequencyPenalty": request.frequency_penalty,
        "candidateCount": request.choices if request.choices > 1 else None,
        "responseLogprobs": True if request.logprobs is not None else None,
        "logprobs": request.logprobs or None,
    }
    config = {name: value for name, value in stated.items() if value is not None}
    if request.format is not None:
        config |= _format(request.format)
    if request.reasoning is not None:
        thinking = _thinking(request.reasoning, model, notes)
        if thinking:
            config["thinkingConfig"] = thinking
    return config


def _format(wanted: Format) -> dict[str, Any]:
    if wanted.kind == "text":
        return {}
    config: dict[str, Any] = {"responseMimeType": "application/json"}
    if wanted.kind == "schema" and wanted.schema:
        config["responseJsonSchema"] = msgspec.Raw(wanted.schema.encode())
    return config


def _thinking(wanted: Reasoning, model: str, notes: Notes) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if wanted.enabled is False or wanted.effort == "none":
        config = _least(model, notes)
    elif wanted.budget_tokens is not None:
        config = {"thinkingBudget": wanted.budget_tokens}
    elif wanted.effort in _LEVELS:
        config = _effort(wanted.effort, model, notes)
    elif wanted.effort:
        notes.dropped.append("reasoning_effort")
    if wanted.show is not None:
        config["includeThoughts"] = wanted.show
    return config


def _least(model: str, notes: Notes) -> dict[str, Any]:
    """Thinking off, or the least of it."""
    name = model.rpartition("/")[2]
    if _takes_levels(name):
        notes.emulated.append("reasoning_off")
        return {"thinkingLevel": "LOW" if "pro" in name else "MINIMAL"}
    if name.startswith("gemini-2.5-pro"):
        notes.emulated.append("reasoning_off")
        return {"thinkingBudget": _LEAST_BUDGET_25_PRO}
    return {"thinkingBudget": 0}


def _effort(effort: str, model: str, notes: Notes) -> dict[str, Any]:
    if _takes_levels(model.rpartition("/")[2]):
        return {"thinkingLevel": _LEVELS[effort]}
    notes.emulated.append("reasoning_effort")
    return {"thinkingBudget": _BUDGETS[effort]}


def _takes_levels(name: str) -> bool:
    """Unknown names are taken for new ones."""
    found = _FAMILY.match(name)
    return found is None or int(found[1][:4]) >= 3
