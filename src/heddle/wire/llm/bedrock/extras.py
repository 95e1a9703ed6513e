"""What models take under `additionalModelRequestFields`, as far as the canonical form has a place for it.

Owns these parameters' names, of Claude, Nova, gpt-oss and Mistral. What is not known here is named in `other`, with
its parent's name before it.

*Source:* Amazon Bedrock User Guide, "Extended thinking", "Adaptive thinking", "Effort parameter" (Claude), "Amazon
Nova 2: extended thinking" (`reasoningConfig`), "OpenAI models" (`reasoning_effort`), as of 2026-11.
"""

from collections.abc import Mapping

import msgspec

from heddle.wire.json import type_error
from heddle.wire.llm.bedrock.names import BOUNDS

PARENT = "additionalModelRequestFields"


class _Thinking(msgspec.Struct, gc=False):
    type: str | None = None
    budget_tokens: int | None = None
    display: str | None = None


class _NovaReasoning(msgspec.Struct, gc=False):
    type: str | None = None
    maxReasoningEffort: str | None = None  # noqa: N815


class _Output(msgspec.Struct, gc=False):
    effort: str | None = None


class Extras(msgspec.Struct, gc=False):
    """What was understood; as in `canonical.request.Reasoning` and `ChatRequest.top_k`."""

    top_k: int | None = None
    enabled: bool | None = None
    effort: str = ""
    budget_tokens: int | None = None
    show: bool | None = None


def read(fields: Mapping[str, msgspec.Raw], other: list[str]) -> Extras:
    """What `fields` say; the names of those not understood are added to `other`. Raises ProtocolError."""
    found = Extras()
    for name, value in fields.items():
        if bytes(value) == b"null":
            continue
        try:
            if not _understand(found, name, value):
                other.append(f"{PARENT}.{name}")
        except msgspec.ValidationError as exc:
            message, _, path = str(exc).partition(" - at `$")
            raise type_error(f"{message} - at `$.{PARENT}.{name}{path.rstrip('`')}`") from exc
    return found


def effort(value: str) -> str:
    """Claude's effort in the canonical words: `max` becomes the highest of them."""
    return "xhigh" if value == "max" else value


def _understand(found: Extras, name: str, value: msgspec.Raw) -> bool:
    if name in ("thinking", "reasoning_config"):
        _read_thinking(found, msgspec.json.decode(value, type=_Thinking))
    elif name == "reasoningConfig":
        nova = msgspec.json.decode(value, type=_NovaReasoning)
        found.enabled = {"enabled": True, "disabled": False}.get(nova.type or "")
        found.effort = nova.maxReasoningEffort or found.effort
    elif name == "reasoning_effort":
        found.effort = msgspec.json.decode(value, type=str)
    elif name == "output_config":
        found.effort = effort(msgspec.json.decode(value, type=_Output).effort or "")
    elif name == "top_k":
        found.top_k = msgspec.json.decode(value, type=int)
    else:
        # A bound of tokens under the model's own name has been read with the request.
        return name in BOUNDS
    return True


def _read_thinking(found: Extras, thinking: _Thinking) -> None:
    found.enabled = thinking.type != "disabled" if thinking.type is not None else None
    if thinking.budget_tokens is not None:
        found.budget_tokens = thinking.budget_tokens
    elif thinking.type == "adaptive":
        found.budget_tokens = -1
    if thinking.display is not None:
        found.show = thinking.display != "omitted"
