"""Where the texts of MCP messages are: what guards need of results, arguments, questions and notifications.

Owns which members are words and which are not: bytes of pictures and sound, URIs, and whatever peers find each other's
messages by stay as they are. A member that is new or unknown is read like any other text. Values whose form is the
tool's own (`structuredContent`, arguments, data of log messages) are read as JSON, keys and numbers included.
*Source:* Model Context Protocol 2025-11-25 and 2026-07-28: "Tools", "Prompts", "Resources", "Sampling", "Elicitation",
"Logging", "Progress", "Multi round-trip requests".
"""

from collections.abc import Iterator
from typing import Any

from heddle.model.snapshot_guards import Scope
from heddle.wire.llm.slots import Slot

_ARGUMENTS = ("arguments", "argument", "context")
_KEPT = frozenset(
    (
        *("resultType", "ttlMs", "cacheScope", "requestState", "nextCursor", "cursor", "taskId", "progressToken"),
        *("requestId", "elicitationId", "method", "action", "level", "role", "type", "mode", "id", "toolUseId"),
        *("uri", "uriTemplate", "resourceUri", "ui/resourceUri", "url", "mimeType", "blob"),
        *("traceparent", "tracestate", "baggage"),
    )
)
_OF_PROTOCOL = "io.modelcontextprotocol/"
_VALUES = frozenset(("structuredContent", "input", "arguments"))
_SHOWN = frozenset(("text", "message", "systemPrompt", "data"))
"""Texts that judges are shown: what is said, without titles, names and settings."""
_BLOCKS = ("text", "image", "audio", "resource", "resource_link", "tool_use", "tool_result")
_BYTES = ("image", "audio")


def result_slots(result: Any) -> Iterator[Slot]:
    """The texts of a result, questions that it asks included.

    Texts beside structured content, and everything in a result that is an error, are no answer that fits a schema.
    """
    if isinstance(result, dict):
        beside = "structuredContent" in result or result.get("isError") is True
        for slot in _texts("tool_result", result):
            aside = beside and (slot.key != "structuredContent" or result.get("isError") is True)
            yield slot._replace(aside=True) if aside else slot


def said_slots(params: Any) -> Iterator[Slot]:
    """The texts of what a server says or asks while it works."""
    return _texts("tool_result", params)


def argument_slots(params: Any) -> Iterator[Slot]:
    """The texts of the params of a request: arguments, answers to questions, and whatever comes beside them."""
    for name, value in params.items():
        if name in _ARGUMENTS:
            yield Slot("tool_arguments", params, name, "json")
        elif isinstance(value, str):
            yield Slot("tool_arguments", params, name, unshown=True)
        else:
            yield from _within("tool_arguments", value)


def answer_slots(result: Any) -> Iterator[Slot]:
    """The texts of a caller's answer to a server's question."""
    return _texts("tool_arguments", result)


def _texts(scope: Scope, holder: Any) -> Iterator[Slot]:
    for name, value in holder.items() if isinstance(holder, dict) else ():
        if isinstance(value, str):
            if not _is_kept(name, holder):
                yield Slot(scope, holder, name, unshown=name not in _SHOWN)
        elif _is_value(name, value, holder):
            yield Slot(scope, holder, name, "json")
        else:
            yield from _within(scope, value)


def _is_kept(name: str, holder: dict[str, Any]) -> bool:
    if name == "data":
        return holder.get("type") in _BYTES
    return name in _KEPT or name.startswith(_OF_PROTOCOL)


def _within(scope: Scope, value: Any) -> Iterator[Slot]:
    if isinstance(value, dict):
        yield from _texts(scope, value)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, str):
                yield Slot(scope, value, index, unshown=True)
            else:
                yield from _within(scope, item)


def _is_value(name: str, value: Any, holder: dict[str, Any]) -> bool:
    """Whether a member's form is the tool's own: `content` of a form that was filled in, `data` of a log message."""
    if name == "content":
        return isinstance(value, dict) and value.get("type") not in _BLOCKS
    if name == "data":
        return "level" in holder and isinstance(value, (dict, list))
    return name in _VALUES and value is not None
