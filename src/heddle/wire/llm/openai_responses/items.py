"""The input of a request: items to messages.

Owns the grouping. What one speaker said in a row is one message: a model's reasoning, words and calls, and the
results of parallel calls. Items that stand for something the vendor keeps or runs are refused by their place.

*Source:* OpenAI API reference, "Create a model response": `input`.
"""

import re
from collections.abc import Callable

import msgspec

from heddle.wire.canonical.request import Media, Message, Part, Role, Text, Thinking, ToolCall, ToolResult
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_responses.reading import Content, bad, decode, parts
from heddle.wire.llm.openai_responses.signatures import unsealed, unsealed_call
from heddle.wire.llm.openai_responses.tools import carried_name, wrap_input

ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "developer"}

ADDITIONAL = "additional_tools"
"""Type of the item that declares more tools in the middle of the input."""

_PLAIN = re.compile(r"[a-z0-9_]{1,64}")


class _Head(msgspec.Struct, gc=False):
    type: str | None = None
    role: str | None = None


class _Message(msgspec.Struct, gc=False):
    role: str
    content: str | list[Content] | None = None


class _Call(msgspec.Struct, gc=False):
    call_id: str
    name: str
    arguments: str = ""
    input: str = ""
    namespace: str | None = None


class _Output(msgspec.Struct, gc=False):
    call_id: str
    output: str | list[Content] | None = None
    name: str | None = None
    namespace: str | None = None


class _Said(msgspec.Struct, gc=False):
    text: str = ""


class _Reasoning(msgspec.Struct, gc=False):
    summary: list[_Said] | None = None
    content: list[_Said] | None = None
    encrypted_content: str | None = None


class _Additional(msgspec.Struct, gc=False):
    tools: list[msgspec.Raw]


_HEAD = msgspec.json.Decoder(_Head)
_ADDITIONAL = msgspec.json.Decoder(_Additional)
_MESSAGE = msgspec.json.Decoder(_Message)
_CALL = msgspec.json.Decoder(_Call)
_OUTPUT = msgspec.json.Decoder(_Output)
_REASONING = msgspec.json.Decoder(_Reasoning)


def read_items(items: list[msgspec.Raw]) -> list[Message]:
    """The messages of an input. Raises ProtocolError, UntranslatableError for what only the vendor has.

    Reasoning that is only a name of what the vendor keeps becomes a message without parts.
    """
    messages: list[Message] = []
    # Of each message; gathered, not added up, as callers choose how many items a turn has.
    gathered: list[list[Part]] = []
    proofs: dict[str, str] = {}
    last = ""
    for index, raw in enumerate(items):
        at = f"input[{index}]"
        head = decode(_HEAD, raw, at)
        kind = head.type or ("message" if head.role else "item_reference")
        if kind == ADDITIONAL:
            continue
        proof = _proof(raw, at) if kind == "reasoning" else None
        if proof is not None:
            proofs[proof[0]] = proof[1]
            continue
        reader = _READERS.get(kind)
        if reader is None:
            raise _only_there(kind, at)
        message = reader(raw, at)
        turn = _turn(kind, message)
        if turn and turn == last:
            messages[-1] = message
            gathered[-1] += message.parts
        else:
            messages.append(message)
            gathered.append(list(message.parts))
        last = turn
    whole = [msgspec.structs.replace(one, parts=tuple(of)) for one, of in zip(messages, gathered, strict=True)]
    return _with_proofs(whole, proofs)


def additional_tools(items: list[msgspec.Raw]) -> list[tuple[str, list[msgspec.Raw]]]:
    """Place and tools of items that declare some: elsewhere all are known from the start. Raises ProtocolError."""
    found = []
    for index, raw in enumerate(items):
        at = f"input[{index}]"
        if decode(_HEAD, raw, at).type == ADDITIONAL:
            found.append((f"{at}.tools", decode(_ADDITIONAL, raw, at).tools))
    return found


def _turn(kind: str, message: Message) -> str:
    """What neighbours must have in common to be one message; empty for those that stay apart."""
    if message.role == "assistant":
        return "assistant"
    return "results" if kind.endswith("_output") else ""


def _only_there(kind: str, at: str) -> ProtocolError:
    named = f"`{kind}`" if _PLAIN.fullmatch(kind) else "this type"
    detail = f"{at}: an item of {named} exists only at the vendor that made it, and cannot be carried to another."
    return UntranslatableError(detail, param=at)


def _message(raw: msgspec.Raw, at: str) -> Message:
    item = decode(_MESSAGE, raw, at)
    role = ROLES.get(item.role)
    if role is None:
        raise bad(f"{at}.role", "`user`, `assistant`, `system` or `developer`")
    return Message(role=role, parts=parts(item.content, f"{at}.content"))


def _function_call(raw: msgspec.Raw, at: str) -> Message:
    item = decode(_CALL, raw, at)
    return _called(item, item.arguments or "{}")


def _custom_call(raw: msgspec.Raw, at: str) -> Message:
    item = decode(_CALL, raw, at)
    return _called(item, wrap_input(item.input))


def _called(item: _Call, arguments: str) -> Message:
    name = carried_name(item.name, item.namespace or "")
    return Message(role="assistant", parts=(ToolCall(id=item.call_id, name=name, arguments=arguments),))


def _result(raw: msgspec.Raw, at: str) -> Message:
    item = decode(_OUTPUT, raw, at)
    said: list[Text | Media] = []
    for index, part in enumerate(parts(item.output, f"{at}.output")):
        if not isinstance(part, (Text, Media)):
            raise bad(f"{at}.output[{index}].type", "text, an image or a file")
        if part != Text(text=""):
            said.append(part)
    name = carried_name(item.name, item.namespace or "") if item.name else ""
    return Message(role="user", parts=(ToolResult(call_id=item.call_id, name=name, parts=tuple(said)),))


def _reasoning(raw: msgspec.Raw, at: str) -> Message:
    item = decode(_REASONING, raw, at)
    text = "\n\n".join([one.text for one in item.summary or item.content or ()])
    thinking = unsealed(text, item.encrypted_content or "")
    said = thinking != Thinking()
    return Message(role="assistant", parts=(thinking,) if said else ())


def _proof(raw: msgspec.Raw, at: str) -> tuple[str, str] | None:
    return unsealed_call(decode(_REASONING, raw, at).encrypted_content or "")


def _with_proofs(messages: list[Message], proofs: dict[str, str]) -> list[Message]:
    if not proofs:
        return messages
    return [
        msgspec.structs.replace(message, parts=tuple([_with_proof(part, proofs) for part in message.parts]))
        for message in messages
    ]


def _with_proof(part: Part, proofs: dict[str, str]) -> Part:
    if isinstance(part, ToolCall) and part.id in proofs:
        return msgspec.structs.replace(part, signature=proofs[part.id])
    return part


_READERS: dict[str, Callable[[msgspec.Raw, str], Message]] = {
    "message": _message,
    "function_call": _function_call,
    "custom_tool_call": _custom_call,
    "function_call_output": _result,
    "custom_tool_call_output": _result,
    "reasoning": _reasoning,
}
