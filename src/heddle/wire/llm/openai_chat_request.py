"""The whole of an OpenAI chat request, in the canonical form: what a caller of this dialect asks another vendor.

Owns what each field means. Older spellings (`functions`, `function_call`, role `function`, `max_tokens`) mean what
the newer ones do. What a compatible server is known to return and callers replay (`reasoning_content`,
`reasoning_details`, `extra_content`) is taken back. A field without a place in the canonical form is named in
`other`, or refused where leaving it out would change what is asked.

*Source:* OpenAI API reference, "Create chat completion", as of 2026-11; OpenRouter, "Reasoning tokens", for
`reasoning_details`; Google, "OpenAI compatibility", for `extra_content.google.thought_signature`.
"""

from typing import Annotated

import msgspec

from heddle.model.call import ModelCall
from heddle.wire.canonical.request import (
    ChatRequest,
    Media,
    Message,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.json import type_error
from heddle.wire.llm.openai_chat_parts import AssistantPart, TextPart, ToolPart, UserPart, read_part
from heddle.wire.llm.openai_chat_tools import (
    Format,
    Function,
    WireTool,
    read_format,
    read_function_choice,
    read_tool_choice,
    read_tools,
)

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What every JSON reader can hold; larger numbers parse here, and nobody could be sent them."""

EFFORTS = frozenset(("none", "minimal", "low", "medium", "high", "xhigh", "max"))


class _Called(msgspec.Struct, gc=False):
    name: str
    arguments: str


class _Google(msgspec.Struct, gc=False):
    thought_signature: str | None = None


class _Extra(msgspec.Struct, gc=False):
    google: _Google | None = None


class _Call(msgspec.Struct, gc=False):
    id: str
    type: str = "function"
    function: _Called | None = None
    extra_content: _Extra | None = None


class ReasoningDetail(msgspec.Struct, gc=False):
    """One of `reasoning_details`."""

    type: str
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None


class _System(msgspec.Struct, tag="system", tag_field="role", gc=False):
    content: str | list[TextPart]
    name: str | None = None


class _Developer(msgspec.Struct, tag="developer", tag_field="role", gc=False):
    content: str | list[TextPart]
    name: str | None = None


class _User(msgspec.Struct, tag="user", tag_field="role", gc=False):
    content: str | list[UserPart]
    name: str | None = None


class _Assistant(msgspec.Struct, tag="assistant", tag_field="role", gc=False):
    content: str | list[AssistantPart] | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Called | None = None
    audio: dict[str, str] | None = None
    reasoning_content: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None


class _Tool(msgspec.Struct, tag="tool", tag_field="role", gc=False):
    tool_call_id: str
    content: str | list[ToolPart] | None = None


class _FunctionResult(msgspec.Struct, tag="function", tag_field="role", gc=False):
    name: str
    content: str | None = None


class _Request(msgspec.Struct, gc=False):
    messages: list[_System | _Developer | _User | _Assistant | _Tool | _FunctionResult]
    tools: list[WireTool] | None = None
    functions: list[Function] | None = None
    tool_choice: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Int64 | None = None
    stop: str | list[str] | None = None
    seed: Int64 | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_format: Format | None = None
    reasoning_effort: str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: msgspec.Raw = msgspec.Raw()
    user: str | None = None
    safety_identifier: str | None = None
    metadata: msgspec.Raw = msgspec.Raw()
    service_tier: str | None = None
    modalities: list[str] | None = None
    web_search_options: msgspec.Raw = msgspec.Raw()


_REQUEST = msgspec.json.Decoder(_Request)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_HARMLESS = {"model", "n", "stream", "stream_options"}
"""Read by `decode_request`, or about how the answer travels."""
_KNOWN = _HARMLESS | {field.encode_name for field in msgspec.structs.fields(_Request)}
_UNSTATED = (b"null", b"", b"{}")


def decode_chat(body: bytes, call: ModelCall) -> ChatRequest:
    """The whole request; see `codec.Dialect`."""
    try:
        asked, fields = _REQUEST.decode(body), _FIELDS.decode(body)
    except msgspec.ValidationError as exc:
        raise type_error(str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The request body is not valid JSON.", malformed=True) from exc
    if asked.modalities is not None and "audio" in asked.modalities:
        raise UntranslatableError("modalities: spoken answers cannot be translated.", param="modalities")
    searches = bytes(asked.web_search_options) not in (b"null", b"")
    defined, hosted = read_tools(asked.tools or [], asked.functions or [], searches)
    tools, choice = read_tool_choice(asked.tool_choice, defined)
    return ChatRequest(
        model=call.model,
        messages=_messages(asked),
        tools=tools,
        hosted_tools=hosted,
        tool_choice=choice or read_function_choice(asked.function_call),
        # The older form has room for one call in an answer.
        parallel_tools=False if asked.functions else asked.parallel_tool_calls,
        max_output_tokens=asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        stop=_stops(asked.stop),
        seed=asked.seed,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        choices=call.choices,
        format=read_format(asked.response_format),
        reasoning=_reasoning(asked.reasoning_effort),
        logprobs=_logprobs(asked),
        logit_bias=_object(asked.logit_bias, "logit_bias"),
        user=asked.user or asked.safety_identifier or "",
        metadata=_object(asked.metadata, "metadata"),
        service_tier=asked.service_tier or "",
        stream=call.stream,
        other=_other(fields, asked),
    )


def _messages(asked: _Request) -> tuple[Message, ...]:
    messages: list[Message] = []
    functions: dict[str, str] = {}
    for index, said in enumerate(asked.messages):
        place = f"messages[{index}]"
        if isinstance(said, _Assistant):
            messages.append(_assistant(said, index))
            if said.function_call is not None:
                functions[said.function_call.name] = _made_id(index)
        elif isinstance(said, _Tool):
            result = ToolResult(call_id=said.tool_call_id, parts=_result_parts(said.content, place))
            messages.append(Message(role="user", parts=(result,)))
        elif isinstance(said, _FunctionResult):
            messages.append(_function_result(said, functions, place))
        elif isinstance(said, _User):
            messages.append(Message(role="user", parts=_content(said.content, place), name=said.name or ""))
        else:
            role: Role = "system" if isinstance(said, _System) else "developer"
            messages.append(Message(role=role, parts=_content(said.content, place), name=said.name or ""))
    return tuple(messages)


def _content(
    content: str | list[UserPart] | list[TextPart] | list[ToolPart], place: str
) -> tuple[Text | Media | Refusal, ...]:
    if isinstance(content, str):
        return (Text(text=content),)
    return tuple([read_part(part, f"{place}.content[{index}]") for index, part in enumerate(content)])


def _result_parts(content: str | list[ToolPart] | None, place: str) -> tuple[Text | Media, ...]:
    parts = _content(content or "", place)
    return tuple([part for part in parts if not isinstance(part, Refusal)])


def _made_id(index: int) -> str:
    """For calls of the older form, which has no ids: unique, as a message holds one."""
    return f"call_{index}"


def _function_result(said: _FunctionResult, functions: dict[str, str], place: str) -> Message:
    call_id = functions.get(said.name)
    if call_id is None:
        raise ProtocolError(f"{place}: no assistant message before it calls this function.", param=place)
    result = ToolResult(call_id=call_id, name=said.name, parts=_result_parts(said.content, place))
    return Message(role="user", parts=(result,))


def _assistant(said: _Assistant, index: int) -> Message:
    place = f"messages[{index}]"
    if said.audio is not None:
        raise UntranslatableError(f"{place}.audio: a spoken answer kept by the vendor.", param=f"{place}.audio")
    parts: list[Part] = list(_thoughts(said))
    if said.content:
        content = said.content
        if isinstance(content, str):
            parts.append(Text(text=content))
        else:
            parts += [read_part(part, f"{place}.content[{i}]") for i, part in enumerate(content)]
    if said.refusal:
        parts.append(Refusal(text=said.refusal))
    parts += [_call(call, f"{place}.tool_calls[{i}]") for i, call in enumerate(said.tool_calls or ())]
    if said.function_call is not None:
        called = said.function_call
        parts.append(ToolCall(id=_made_id(index), name=called.name, arguments=called.arguments or "{}"))
    return Message(role="assistant", parts=tuple(parts), name=said.name or "")


def _thoughts(said: _Assistant) -> list[Thinking]:
    """Details carry proofs and say it all; the plain text is for servers without them."""
    thoughts = []
    for detail in said.reasoning_details or ():
        if detail.data:
            thoughts.append(Thinking(redacted=detail.data))
        elif detail.text or detail.summary or detail.signature:
            text = detail.text or detail.summary or ""
            thoughts.append(Thinking(text=text, signature=detail.signature or ""))
    if not thoughts and said.reasoning_content:
        thoughts.append(Thinking(text=said.reasoning_content))
    return thoughts


def _call(call: _Call, place: str) -> ToolCall:
    if call.type != "function":
        raise UntranslatableError(f"{place}.type: only calls of functions can be translated.", param=f"{place}.type")
    if call.function is None:
        raise ProtocolError(f"{place}.function: this field is required.", param=f"{place}.function")
    google = call.extra_content.google if call.extra_content is not None else None
    signature = google.thought_signature if google is not None else None
    return ToolCall(
        id=call.id,
        name=call.function.name,
        arguments=call.function.arguments or "{}",
        signature=f"gemini.{signature}" if signature else "",
    )


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    given = [stop] if isinstance(stop, str) else stop or []
    return tuple([sequence for sequence in given if sequence])


def _reasoning(effort: str | None) -> Reasoning | None:
    if effort is None:
        return None
    if effort not in EFFORTS:
        expected = ", ".join(sorted(EFFORTS))
        raise ProtocolError(f"reasoning_effort: expected one of {expected}.", param="reasoning_effort")
    return Reasoning(effort=effort)


def _logprobs(asked: _Request) -> int | None:
    if not asked.logprobs:
        if asked.top_logprobs:
            raise ProtocolError("top_logprobs: needs logprobs to be true.", param="top_logprobs")
        return None
    if asked.top_logprobs is not None and not 0 <= asked.top_logprobs <= 20:
        raise ProtocolError("top_logprobs: expected an integer from 0 to 20.", param="top_logprobs")
    return asked.top_logprobs or 0


def _object(raw: msgspec.Raw, param: str) -> str:
    """The JSON text of an object, empty when there is nothing in it."""
    text = bytes(raw)
    if text in _UNSTATED:
        return ""
    if not text.startswith(b"{"):
        raise ProtocolError(f"{param}: expected an object.", param=param)
    return text.decode()


def _other(fields: dict[str, msgspec.Raw], asked: _Request) -> tuple[str, ...]:
    """Stated fields without a place. `store: false` states nothing that a translation would not keep."""
    names = [name for name, raw in fields.items() if name not in _KNOWN and bytes(raw) != b"null"]
    if asked.user and asked.safety_identifier and asked.user != asked.safety_identifier:
        names.append("safety_identifier")
    if "store" in names and bytes(fields["store"]) == b"false":
        names.remove("store")
    return tuple(names)
