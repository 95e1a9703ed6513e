"""A whole answer of Converse in the canonical form.

Owns the reading of content blocks that a model writes. A block that cannot be carried makes the whole answer
unreadable: a part must not be lost in silence. An answer names neither itself nor its model.

*Source:* Amazon Bedrock API Reference, "ConverseResponse", "ContentBlock", "StopReason", as of 2026-11.
"""

import msgspec

from heddle.wire.canonical.answer import ChatAnswer, Choice
from heddle.wire.canonical.request import Part, Text, Thinking, ToolCall
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.bedrock import usage as bedrock_usage
from heddle.wire.llm.bedrock.names import BROKEN_STOPS, TO_STOP, own

MALFORMED = "The model's answer was malformed, as its provider says."


class _ToolUse(msgspec.Struct, gc=False):
    toolUseId: str  # noqa: N815
    name: str
    input: msgspec.Raw = msgspec.Raw(b"{}")
    type: str | None = None


class _ReasoningText(msgspec.Struct, gc=False):
    text: str = ""
    signature: str | None = None


class _Reasoning(msgspec.Struct, gc=False):
    reasoningText: _ReasoningText | None = None  # noqa: N815
    redactedContent: str | None = None  # noqa: N815


class _Words(msgspec.Struct, gc=False):
    text: str = ""


class _Cited(msgspec.Struct, gc=False):
    content: list[_Words] | None = None


class _Block(msgspec.Struct, gc=False):
    text: str | None = None
    toolUse: _ToolUse | None = None  # noqa: N815
    reasoningContent: _Reasoning | None = None  # noqa: N815
    citationsContent: _Cited | None = None  # noqa: N815


class _Message(msgspec.Struct, gc=False):
    content: list[_Block]


class _Output(msgspec.Struct, gc=False):
    message: _Message


class Extra(msgspec.Struct, gc=False):
    """`additionalModelResponseFields`, as far as the encoder asks for it."""

    stop_sequence: str | None = None


class _Answer(msgspec.Struct, gc=False):
    output: _Output
    stopReason: str  # noqa: N815
    usage: bedrock_usage.WireUsage | None = None
    additionalModelResponseFields: Extra | None = None  # noqa: N815


_decode = msgspec.json.Decoder(_Answer).decode


def decode_answer(body: bytes) -> ChatAnswer:
    """A whole answer. Raises ProtocolError when it is none, or the model's words could not be understood."""
    try:
        wire = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not one of Converse.", malformed=True) from exc
    if wire.stopReason in BROKEN_STOPS:
        raise ProtocolError(MALFORMED)
    parts = [part for block in wire.output.message.content for part in _parts(block)]
    extra = wire.additionalModelResponseFields
    choice = Choice(
        parts=tuple(parts),
        # A reason unknown here has still ended a whole answer.
        stop=TO_STOP.get(wire.stopReason, "stop"),
        stop_sequence=extra.stop_sequence or "" if extra is not None else "",
    )
    usage = bedrock_usage.read(wire.usage) if wire.usage is not None else None
    return ChatAnswer(id="", model="", choices=(choice,), usage=usage)


def _parts(block: _Block) -> list[Part]:
    if block.text is not None:
        return [Text(text=block.text)]
    if block.toolUse is not None and block.toolUse.type is None:
        use = block.toolUse
        return [ToolCall(id=use.toolUseId, name=use.name, arguments=_arguments(use.input))]
    if block.reasoningContent is not None:
        return _thinking(block.reasoningContent)
    if block.citationsContent is not None:
        return [Text(text="".join([words.text for words in block.citationsContent.content or ()]))]
    raise ProtocolError("The answer has content of a kind that cannot be carried.")


def _arguments(document: msgspec.Raw) -> str:
    text = bytes(document).decode()
    return msgspec.json.decode(document, type=str) if text.startswith('"') else text


def _thinking(block: _Reasoning) -> list[Part]:
    said = block.reasoningText
    if said is not None:
        return [Thinking(text=said.text, signature=own(said.signature or ""))]
    return [Thinking(redacted=own(block.redactedContent))] if block.redactedContent else []
