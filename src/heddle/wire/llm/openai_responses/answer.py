"""The response object: a whole answer, and the frame that a streamed one begins and ends with.

Owns its fields. What the request said is repeated as it was written, as the API does; what the gateway cannot know
is null. Nothing is stored, so `store` is false. Parts become items one to one, with ids made from the answer's.

*Source:* OpenAI API reference, "The response object", as of 2026-11.
"""

import re
from hashlib import blake2b
from typing import Any

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.canonical.answer import ChatAnswer, Choice, Stop
from heddle.wire.canonical.request import Part, Refusal, Text, Thinking, ToolCall
from heddle.wire.llm.openai_responses import usage as wire_usage
from heddle.wire.llm.openai_responses.items import ADDITIONAL, additional_tools
from heddle.wire.llm.openai_responses.signatures import sealed, sealed_call
from heddle.wire.llm.openai_responses.tools import Declared, declared, unwrap_input

MAX_BASE_CHARS = 40
"""Item ids are at most 64 characters long, or OpenAI refuses them when they come back."""

_UNFIT = re.compile(r"[^A-Za-z0-9]")
_RAW = msgspec.Raw()
_INCOMPLETE: dict[Stop, str | None] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": None,
}
"""Stops that leave an answer unfinished, and the reason to give. `refusal` does so only without words for it."""


class _Echo(msgspec.Struct, gc=False):
    """What of a request its answer repeats, byte for byte."""

    instructions: msgspec.Raw = _RAW
    max_output_tokens: msgspec.Raw = _RAW
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    parallel_tool_calls: msgspec.Raw = msgspec.Raw(b"true")
    reasoning: msgspec.Raw = msgspec.Raw(b'{"effort":null,"summary":null}')
    safety_identifier: msgspec.Raw = _RAW
    temperature: msgspec.Raw = _RAW
    text: msgspec.Raw = msgspec.Raw(b'{"format":{"type":"text"}}')
    tool_choice: msgspec.Raw = msgspec.Raw(b'"auto"')
    tools: msgspec.Raw = msgspec.Raw(b"[]")
    top_logprobs: msgspec.Raw = msgspec.Raw(b"0")
    top_p: msgspec.Raw = _RAW
    user: msgspec.Raw = _RAW


class _Input(msgspec.Struct, gc=False):
    input: str | list[msgspec.Raw] | None = None


_ECHO = msgspec.json.Decoder(_Echo)
_INPUT = msgspec.json.Decoder(_Input)
_TOOLS = msgspec.json.Decoder(list[msgspec.Raw] | None)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_FILLED = ("metadata", "parallel_tool_calls", "reasoning", "text", "tool_choice", "tools", "top_logprobs")
_DEFAULTS = _Echo()


class Frame:
    """Everything of a response object but its output: made once per call."""

    __slots__ = ("_base", "_fields", "declared")

    def __init__(self, call: ModelCall, created_s: int, ident: str, model: str) -> None:
        echo = _ECHO.decode(call.body)
        self.declared: dict[str, Declared] = declared(_tools(echo, call.body))
        """Tools that the caller calls otherwise than the vendor does."""
        if ident in ("", "resp_"):
            ident = blake2b(call.body + created_s.to_bytes(8, "big"), digest_size=16).hexdigest()
        base = _UNFIT.sub("", ident.removeprefix("resp_"))
        fits = 0 < len(base) <= MAX_BASE_CHARS
        self._base = base if fits else blake2b(ident.encode(), digest_size=16).hexdigest()
        self._fields: dict[str, Any] = {
            "id": ident if ident.startswith("resp_") else f"resp_{self._base}",
            "object": "response",
            "created_at": created_s,
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": model or call.model,
            "output": [],
            "previous_response_id": None,
            "service_tier": None,
            "store": False,
            "truncation": "disabled",
            "usage": None,
        }
        for name in _Echo.__struct_fields__:
            value = getattr(echo, name)
            if bytes(value) in (b"", b"null"):
                value = getattr(_DEFAULTS, name) if name in _FILLED else None
            self._fields[name] = value

    def item_id(self, prefix: str, index: int) -> str:
        """The id of the item at an index of the output: the same for one answer whole and streamed."""
        return f"{prefix}_{self._base}_{index}"

    def begun(self) -> dict[str, Any]:
        """The response as it is when it begins."""
        return self._fields

    def ended(self, output: list[Any], stop: Stop, usage: Usage | None) -> dict[str, Any]:
        """The response as it is at its end."""
        refused = stop == "refusal" and _has_refusal(output)
        whole = stop not in _INCOMPLETE or refused
        return self._fields | {
            "status": "completed" if whole else "incomplete",
            "incomplete_details": None if whole else {"reason": _INCOMPLETE[stop]},
            "output": output,
            "usage": wire_usage.write(usage),
        }


def _tools(echo: _Echo, body: bytes) -> list[msgspec.Raw]:
    tools = _TOOLS.decode(echo.tools) or []
    if ADDITIONAL.encode() in body:
        items = _INPUT.decode(body).input
        for _, more in additional_tools(items if isinstance(items, list) else []):
            tools += more
    return tools


def encode_answer(answer: ChatAnswer, call: ModelCall, created_s: int) -> bytes:
    """A whole answer. The format has one choice: of several, which it cannot ask for, the first is taken."""
    frame = Frame(call, created_s, answer.id, answer.model)
    choice = answer.choices[0] if answer.choices else Choice()
    output: list[Any] = []
    logprobs = choice.logprobs
    for part in choice.parts:
        if isinstance(part, Text) and part.text:
            content = text_content(part.text, pieces(logprobs))
            logprobs = ""
            output.append(message_item(frame.item_id("msg", len(output)), [content]))
        else:
            output += _items(part, frame, len(output))
    return msgspec.json.encode(frame.ended(output, choice.stop, answer.usage))


def _items(part: Part, frame: Frame, index: int) -> list[dict[str, Any]]:
    if isinstance(part, Refusal) and part.text:
        return [message_item(frame.item_id("msg", index), [refusal_content(part.text)])]
    if isinstance(part, Thinking) and part != Thinking():
        return [reasoning_item(frame.item_id("rs", index), part.text, sealed(part.signature, part.redacted))]
    if isinstance(part, ToolCall):
        known = frame.declared.get(part.name)
        prefix = "ctc" if known is not None and known.custom else "fc"
        items = [call_item(frame.item_id(prefix, index), part.id, part.name, known, part.arguments or "{}")]
        if part.signature:
            proof = sealed_call(part.id, part.signature)
            items.append(reasoning_item(frame.item_id("rs", index + 1), "", proof))
        return items
    return []


def message_item(ident: str, content: list[Any], status: str = "completed") -> dict[str, Any]:
    """A message of the assistant."""
    return {"id": ident, "type": "message", "status": status, "role": "assistant", "content": content}


def text_content(text: str, logprobs: list[msgspec.Raw]) -> dict[str, Any]:
    """An `output_text`."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def refusal_content(text: str) -> dict[str, Any]:
    """A `refusal`."""
    return {"type": "refusal", "refusal": text}


def reasoning_item(ident: str, text: str, content: str, status: str = "completed") -> dict[str, Any]:
    """A `reasoning` item; `content` is its `encrypted_content`, empty for none."""
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {
        "id": ident,
        "type": "reasoning",
        "status": status,
        "summary": summary,
        "encrypted_content": content or None,
    }


def call_item(
    ident: str, call_id: str, name: str, known: Declared | None, arguments: str, status: str = "completed"
) -> dict[str, Any]:
    """A `function_call`, or the `custom_tool_call` it stands for. Empty arguments belong to a call that begins."""
    custom = known is not None and known.custom
    item: dict[str, Any] = {"id": ident, "type": "custom_tool_call" if custom else "function_call", "status": status}
    item |= {"call_id": call_id, "name": known.name if known is not None else name}
    if known is not None and known.namespace:
        item["namespace"] = known.namespace
    item["input" if custom else "arguments"] = unwrap_input(arguments) if custom and arguments else arguments
    return item


def pieces(logprobs: str) -> list[msgspec.Raw]:
    """The elements of a list of log probabilities, which have the same form in chat and here."""
    return _LIST.decode(logprobs) if logprobs else []


def _has_refusal(output: list[Any]) -> bool:
    return any(part["type"] == "refusal" for item in output for part in item.get("content") or ())
