"""How much a Claude model may write and think: `max_tokens`, `thinking` and `effort` from what the caller said.

Owns the defaults and the two generations of models. Up to 4.5 thinking takes a budget; from 4.6 on it is adaptive and
steered by effort, and from 4.7 on a budget is an error. A request in the words of one generation is said in those of
the other, and noted.

*Source:* Anthropic API reference, "Create a message" (`max_tokens` is required), "Extended thinking" (a budget is at
least 1,024 and less than `max_tokens`), "Adaptive thinking" and "Effort" (supported models), as of 2026-11.
"""

from typing import NamedTuple

from heddle.wire.canonical.request import ChatRequest, Reasoning
from heddle.wire.canonical.rules import Notes
from heddle.wire.llm.anthropic.vendor_models import must_think, takes_budgets, thinks_unasked

DEFAULT_MAX_TOKENS = 8_192
"""Sent when the caller states no bound: the field is required, and every model still served can write as much."""
THINKING_MAX_TOKENS = 8_192
"""Added to it when the model may think: thinking counts toward the bound."""
MIN_BUDGET = 1_024

BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_768, "max": 32_768}
"""Effort -> budget, for models that only know budgets."""


class Bounds(NamedTuple):
    """Fields of the request."""

    max_tokens: int
    thinking: dict[str, object] | None = None
    effort: str = ""


def bounds(request: ChatRequest, model: str, notes: Notes) -> Bounds:
    """What to send for `model`. Notes what is emulated or dropped."""
    reasoning = request.reasoning or Reasoning()
    if reasoning.enabled is False or reasoning.effort == "none":
        effort = "" if reasoning.effort == "none" else _effort(reasoning.effort, notes)
        if must_think(model):
            _note(notes.dropped, "reasoning_off")
            return Bounds(_max_tokens(request, THINKING_MAX_TOKENS, notes), None, effort)
        return Bounds(_max_tokens(request, 0, notes), {"type": "disabled"}, effort)
    if not (reasoning.enabled or reasoning.effort or reasoning.budget_tokens is not None):
        return Bounds(_max_tokens(request, THINKING_MAX_TOKENS if thinks_unasked(model) else 0, notes))
    if takes_budgets(model):
        return _budgeted(request, reasoning, notes)
    return _adaptive(request, reasoning, notes)


def _adaptive(request: ChatRequest, reasoning: Reasoning, notes: Notes) -> Bounds:
    effort, budget = reasoning.effort, reasoning.budget_tokens
    if budget is not None and budget >= 0:
        _note(notes.emulated, "reasoning_budget")
        effort = effort or ("low" if budget < BUDGETS["medium"] else "medium" if budget < BUDGETS["high"] else "high")
    most = _max_tokens(request, THINKING_MAX_TOKENS, notes)
    return Bounds(most, {"type": "adaptive", **_display(reasoning)}, _effort(effort, notes))


def _budgeted(request: ChatRequest, reasoning: Reasoning, notes: Notes) -> Bounds:
    budget = reasoning.budget_tokens
    if budget is None or budget < 0:
        name = "reasoning_effort" if reasoning.effort else "reasoning_budget"
        _note(notes.emulated, name)
        budget = BUDGETS.get(reasoning.effort, BUDGETS["medium"])
    fitted = max(budget, MIN_BUDGET)
    most = _max_tokens(request, fitted, notes)
    if most <= MIN_BUDGET:
        # No budget is small enough to leave room for an answer.
        _note(notes.dropped, "reasoning_budget")
        return Bounds(most)
    if fitted >= most:
        fitted = max(most // 2, MIN_BUDGET)
    if fitted != budget:
        _note(notes.emulated, "reasoning_budget")
    return Bounds(most, {"type": "enabled", "budget_tokens": fitted, **_display(reasoning)})


def _max_tokens(request: ChatRequest, thinking: int, notes: Notes) -> int:
    if request.max_output_tokens is not None:
        return request.max_output_tokens
    _note(notes.emulated, "max_output_tokens")
    return DEFAULT_MAX_TOKENS + thinking


def _effort(effort: str, notes: Notes) -> str:
    if effort == "minimal":
        _note(notes.emulated, "reasoning_effort")
        return "low"
    return effort


def _display(reasoning: Reasoning) -> dict[str, object]:
    if reasoning.show is None:
        return {}
    return {"display": "summarized" if reasoning.show else "omitted"}


def _note(noted: list[str], name: str) -> None:
    if name not in noted:
        noted.append(name)
