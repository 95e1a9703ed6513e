"""What the models behind Bedrock want under `additionalModelRequestFields`, by the family that a model's id names.

Owns the families and how each is asked to think and to sample from the top k. A model whose family its id does not
tell (an application inference profile) gets none of it, and the caller is told. A bound on output is never given up
for thinking: what thinks only without one thinks less.

*Source:* Amazon Bedrock User Guide, "Extended thinking", "Adaptive thinking" (Claude), "Inference request parameters"
(Mistral, Nova, OpenAI); Amazon Nova 2 User Guide, "Extended thinking" (`reasoningConfig`; `maxTokens`, `temperature`
and `topP` must be unset with effort `high`), as of 2026-11.
"""

import re
from typing import Any

from heddle.wire.canonical.request import ChatRequest, Reasoning
from heddle.wire.canonical.rules import Notes, Rule

_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:-(\d{1,2})(?!\d))?")
_ADAPTIVE = (4, 6)
"""From this version on Claude decides by itself how much to think."""
_ADAPTIVE_ONLY = (4, 7)
"""From this version on a fixed budget is refused by some."""
MIN_BUDGET_TOKENS = 1024
"""Claude's smallest budget."""
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16_384, "xhigh": 32_768}
"""Effort -> tokens of thinking, for a Claude that knows no effort."""

_Object = dict[str, Any]


class Asked:
    """What a request asks of one family: members of the body, to be merged into it."""

    __slots__ = ("effort", "fields")

    def __init__(self) -> None:
        self.fields: _Object = {}
        """For `additionalModelRequestFields`."""
        self.effort = ""
        """For `outputConfig.effort`."""


def family(model: str) -> str:
    """`claude`, `nova2`, `nova`, `gpt_oss`, `gpt`, `kimi`, `mistral`; empty when the id does not tell."""
    for part, name in (
        ("anthropic.claude", "claude"),
        ("amazon.nova-2", "nova2"),
        ("amazon.nova", "nova"),
        ("openai.gpt-oss", "gpt_oss"),
        ("openai.gpt", "gpt"),
        ("moonshot", "kimi"),
        ("mistral.", "mistral"),
    ):
        if part in model:
            return name
    return ""


def ask(request: ChatRequest, model: str, notes: Notes) -> Asked:
    """What the family of `model` is to be asked beside the base parameters; notes what it cannot be."""
    asked = Asked()
    kind = family(model)
    if request.top_k is not None:
        _ask_top_k(asked, kind, request.top_k, notes)
    reasoning = request.reasoning
    if reasoning is None or reasoning.enabled is False or reasoning.effort == "none":
        return asked
    if reasoning.enabled or reasoning.effort or reasoning.budget_tokens is not None:
        _ask_to_think(asked, kind, request, model, notes)
    return asked


def _ask_top_k(asked: Asked, kind: str, top_k: int, notes: Notes) -> None:
    if kind in ("claude", "mistral"):
        asked.fields["top_k"] = top_k
    elif kind in ("nova", "nova2"):
        asked.fields["inferenceConfig"] = {"topK": top_k}
    else:
        _give_up(notes, Rule.TOP_K)


def _ask_to_think(asked: Asked, kind: str, request: ChatRequest, model: str, notes: Notes) -> None:
    reasoning = request.reasoning or Reasoning()
    effort = _level(reasoning)
    if kind == "claude":
        _ask_claude(asked, request, model, notes)
    elif kind == "nova2":
        bounded = (request.max_output_tokens, request.temperature, request.top_p) != (None, None, None)
        level = "high" if effort in ("high", "xhigh") and not bounded else "low" if effort == "low" else "medium"
        asked.fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": level}
    elif kind in ("gpt_oss", "kimi"):
        asked.fields["reasoning_effort"] = "high" if effort == "xhigh" else effort
    elif kind == "gpt":
        asked.fields["reasoning"] = {"effort": effort}
        if effort == reasoning.effort:
            _keep(notes, Rule.REASONING_EFFORT)
    else:
        _give_up(notes, Rule.REASONING_BUDGET if reasoning.budget_tokens is not None else Rule.REASONING_EFFORT)


def _ask_claude(asked: Asked, request: ChatRequest, model: str, notes: Notes) -> None:
    reasoning = request.reasoning or Reasoning()
    found = _CLAUDE.search(model)
    version = (int(found[1]), int(found[2] or 0)) if found is not None else _ADAPTIVE_ONLY
    budget = reasoning.budget_tokens
    if version >= _ADAPTIVE_ONLY or (version >= _ADAPTIVE and (budget is None or budget < 0)):
        thinking: _Object = {"type": "adaptive"}
        if reasoning.show is not None and version >= _ADAPTIVE_ONLY:
            thinking["display"] = "summarized" if reasoning.show else "omitted"
        asked.fields["thinking"] = thinking
        asked.effort = "low" if reasoning.effort == "minimal" else reasoning.effort
        if asked.effort == reasoning.effort:
            _keep(notes, Rule.REASONING_EFFORT)
        return
    if budget is None or budget < 0:
        budget = _BUDGETS.get(reasoning.effort, _BUDGETS["medium"])
        if request.max_output_tokens is not None:
            # The budget is part of the bound: half of it stays for the answer.
            budget = min(budget, request.max_output_tokens // 2)
        if budget < MIN_BUDGET_TOKENS:
            _give_up(notes, Rule.REASONING_EFFORT)
            return
    else:
        _keep(notes, Rule.REASONING_BUDGET)
    asked.fields["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _level(reasoning: Reasoning) -> str:
    """An effort for a family that knows no budgets."""
    if reasoning.effort:
        return "low" if reasoning.effort == "minimal" else reasoning.effort
    budget = reasoning.budget_tokens
    if budget is None or budget < 0:
        return "medium"
    return "low" if budget <= _BUDGETS["low"] else "medium" if budget <= _BUDGETS["medium"] else "high"


def _give_up(notes: Notes, rule: Rule) -> None:
    """Note as dropped what the rules call emulated: this model cannot be asked."""
    _keep(notes, rule)
    if rule.name.lower() not in notes.dropped:
        notes.dropped.append(rule.name.lower())


def _keep(notes: Notes, rule: Rule) -> None:
    """Take back what the rules call emulated: this model is asked just that."""
    if rule.name.lower() in notes.emulated:
        notes.emulated.remove(rule.name.lower())
