"""Requests in canonical form: every item and field, what is refused with its place, and what is noted as lost."""

import base64
import time

import msgspec
import pytest
from tests.unit.wire.llm.openai_responses.said import request

from heddle.wire.canonical.request import (
    Cache,
    ChatRequest,
    Format,
    HostedTool,
    Media,
    Message,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_responses import codec, dialect

PNG = base64.b64encode(b"png").decode()
LOOK = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}, "strict": True}


def decode(**fields: object) -> ChatRequest:
    body = request(**fields)
    return dialect.decode_chat(body, codec.decode_request(body))


def items(*given: dict) -> tuple[Message, ...]:
    return decode(input=list(given)).messages


def content(*parts: dict) -> tuple:
    (message,) = items({"role": "user", "content": list(parts)})
    return message.parts


def test_a_text():
    assert decode(instructions="Be brief.") == ChatRequest(
        model="m",
        messages=(
            Message(role="system", parts=(Text(text="Be brief."),)),
            Message(role="user", parts=(Text(text="hi"),)),
        ),
    )


@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer"])
@pytest.mark.parametrize("kind", [{}, {"type": "message"}, {"type": None}])
def test_messages_in_the_easy_form(role, kind):
    assert items({"role": role, "content": "x", **kind}) == (Message(role=role, parts=(Text(text="x"),)),)


def test_a_message_of_the_assistant_as_it_was_answered():
    item = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "phase": "final_answer",
        "content": [
            {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
            {"type": "refusal", "refusal": "b"},
        ],
    }
    assert items(item) == (Message(role="assistant", parts=(Text(text="a"), Refusal(text="b"))),)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_text", "text": "x"}, Text(text="x")),
        (
            {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
            Text(text="x", cache=Cache()),
        ),
        (
            {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            Text(text="x", cache=Cache(ttl="1h")),
        ),
        (
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"},
            Media(kind="image", media_type="image/png", data=PNG, detail="low"),
        ),
        (
            {"type": "input_image", "image_url": f"DATA:image/png;base64,{PNG}".replace("DATA", "data")},
            Media(kind="image", media_type="image/png", data=PNG),
        ),
        ({"type": "input_image", "image_url": "https://x/y.png"}, Media(kind="image", url="https://x/y.png")),
        ({"type": "input_image", "file_id": "file-1"}, Media(kind="image", file_id="file-1")),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"},
            Media(kind="document", media_type="application/pdf", data=PNG, name="a.pdf"),
        ),
        (
            {"type": "input_file", "filename": "a.PDF", "file_data": PNG},
            Media(kind="document", media_type="application/pdf", data=PNG, name="a.PDF"),
        ),
        (
            {"type": "input_file", "filename": "a.docx", "file_data": PNG},
            Media(kind="document", data=PNG, name="a.docx"),
        ),
        (
            {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;charset=utf-8;base64,w6k="},
            Media(kind="document", media_type="text/plain", text="é", name="a.txt"),
        ),
        (
            {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,/w=="},
            Media(kind="document", media_type="text/plain", data="/w==", name="a.txt"),
        ),
        (
            {"type": "input_file", "file_data": f"data:image/png;base64,{PNG}"},
            Media(kind="image", media_type="image/png", data=PNG),
        ),
        ({"type": "input_file", "file_url": "https://x/a"}, Media(kind="document", url="https://x/a")),
        ({"type": "input_file", "file_id": "file-1"}, Media(kind="document", file_id="file-1")),
        (
            {"type": "input_audio", "input_audio": {"data": PNG, "format": "mp3"}},
            Media(kind="audio", media_type="audio/mpeg", data=PNG),
        ),
    ],
)
def test_each_part(part, expected):
    assert content(part) == (expected,)


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_text"}, ".text"),
        ({"type": "input_text", "text": 7}, ".text"),
        ({"type": "refusal"}, ".refusal"),
        ({"text": "x"}, ".type"),
        ({"type": "hologram"}, ".type"),
        ({"type": "input_image"}, ""),
        ({"type": "input_image", "image_url": "https://x", "file_id": "f"}, ""),
        ({"type": "input_image", "image_url": {"url": "https://x"}}, ".image_url"),
        ({"type": "input_image", "image_url": "data:image/png,xx"}, ".image_url"),
        ({"type": "input_image", "image_url": f"data:;base64,{PNG}"}, ".image_url"),
        ({"type": "input_image", "image_url": "data:image/png;base64,"}, ".image_url"),
        ({"type": "input_image", "image_url": "data:image/png;base64,a b="}, ".image_url"),
        ({"type": "input_image", "image_url": "data:image/png;base64,YQ"}, ".image_url"),
        ({"type": "input_image", "image_url": "data:image/png;base64,\u00e9"}, ".image_url"),
        ({"type": "input_file"}, ""),
        ({"type": "input_file", "file_id": "f", "file_url": "https://x"}, ""),
        ({"type": "input_file", "file_data": "%%"}, ".file_data"),
        ({"type": "input_audio"}, ".input_audio"),
        ({"type": "input_audio", "input_audio": {"data": PNG, "format": "ogg"}}, ".input_audio.format"),
        ({"type": "input_audio", "input_audio": {"format": "wav"}}, ".input_audio.data"),
    ],
)
def test_a_part_that_cannot_be_is_refused_by_its_place(part, param):
    with pytest.raises(ProtocolError) as caught:
        content({"type": "input_text", "text": "x"}, part)
    assert caught.value.param == f"input[0].content[1]{param}"
    assert PNG not in caught.value.detail


def test_a_turn_of_any_length_is_read_in_little_time():
    count = 40_000
    calls = [{"type": "function_call", "call_id": f"c{i}", "name": "f", "arguments": "{}"} for i in range(count)]
    answers = [{"type": "function_call_output", "call_id": f"c{i}", "output": "x"} for i in range(count)]
    body = msgspec.json.encode({"model": "m", "input": [{"role": "user", "content": "x"}, *calls, *answers]})
    call = codec.decode_request(body)
    began_s = time.process_time()
    read = dialect.decode_chat(body, call).messages
    assert time.process_time() - began_s < 1.5
    assert [len(message.parts) for message in read] == [1, count, count]


def test_a_turn_with_tools():
    assert items(
        {"role": "user", "content": "look"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"role": "assistant", "content": "I look."},
        {"type": "function_call", "id": "fc_1", "call_id": "1", "name": "look", "arguments": '{"a": 1}'},
        {"type": "function_call", "call_id": "2", "name": "look", "arguments": ""},
        {"type": "function_call_output", "call_id": "1", "output": "seen"},
        {
            "type": "function_call_output",
            "call_id": "2",
            "output": [{"type": "input_text", "text": "and"}, {"type": "input_image", "image_url": "https://x"}],
        },
        {"role": "user", "content": "so?"},
        {"role": "user", "content": "well?"},
    ) == (
        Message(role="user", parts=(Text(text="look"),)),
        Message(
            role="assistant",
            parts=(
                Thinking(text="Hm."),
                Text(text="I look."),
                ToolCall(id="1", name="look", arguments='{"a": 1}'),
                ToolCall(id="2", name="look"),
            ),
        ),
        Message(
            role="user",
            parts=(
                ToolResult(call_id="1", parts=(Text(text="seen"),)),
                ToolResult(call_id="2", parts=(Text(text="and"), Media(kind="image", url="https://x"))),
            ),
        ),
        Message(role="user", parts=(Text(text="so?"),)),
        Message(role="user", parts=(Text(text="well?"),)),
    )


@pytest.mark.parametrize("output", ["", []])
def test_an_empty_result(output):
    (message,) = items({"type": "function_call_output", "call_id": "1", "output": output})
    assert message.parts == (ToolResult(call_id="1"),)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"encrypted_content": "Z0FB"}, Thinking(signature="openai.Z0FB")),
        ({"encrypted_content": "anthropic.c2ln"}, Thinking(signature="anthropic.c2ln")),
        ({"encrypted_content": "gemini.c2ln"}, Thinking(signature="gemini.c2ln")),
        ({"encrypted_content": "bedrock.c2ln"}, Thinking(signature="bedrock.c2ln")),
        ({"encrypted_content": "redacted.anthropic.eHg="}, Thinking(redacted="anthropic.eHg=")),
        ({"content": [{"type": "reasoning_text", "text": "raw"}]}, Thinking(text="raw")),
        ({"summary": [{"text": "a"}, {"text": "b"}], "encrypted_content": None}, Thinking(text="a\n\nb")),
    ],
)
def test_reasoning(fields, expected):
    (message,) = items({"type": "reasoning", "id": "rs_1", **fields})
    assert message == Message(role="assistant", parts=(expected,))


def test_reasoning_that_only_the_vendor_has_is_noted_as_lost():
    read = decode(input=[{"role": "user", "content": "x"}, {"type": "reasoning", "id": "rs_1", "summary": []}])
    assert [message.role for message in read.messages] == ["user"]
    assert read.other == ("reasoning",)


def test_a_call_gets_its_proof_back():
    _, called = items(
        {"role": "user", "content": "x"},
        {"type": "function_call", "call_id": "a|b", "name": "look", "arguments": "{}"},
        {"type": "reasoning", "summary": [], "encrypted_content": "call.a|b|gemini.cHJvb2Y="},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
    )
    assert called.parts == (
        ToolCall(id="a|b", name="look", signature="gemini.cHJvb2Y="),
        ToolCall(id="c", name="look"),
    )


CUSTOM = {
    "type": "custom",
    "name": "patch",
    "description": "Edits.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"},
}


def test_custom_tools_are_functions_of_one_string():
    read = decode(
        tools=[CUSTOM],
        tool_choice={"type": "custom", "name": "patch"},
        input=[
            {"type": "custom_tool_call", "call_id": "1", "name": "patch", "input": 'a "b"'},
            {"type": "custom_tool_call_output", "call_id": "1", "output": "done"},
        ],
    )
    (tool,) = read.tools
    assert (tool.name, tool.strict) == ("patch", None)
    assert tool.description == "Edits.\n\n`input` must match this lark grammar:\nstart: X"
    assert '"input"' in tool.schema
    assert read.tool_choice == ToolChoice(mode="tool", name="patch")
    assert read.messages[0].parts == (ToolCall(id="1", name="patch", arguments='{"input":"a \\"b\\""}'),)
    assert read.messages[1].parts == (ToolResult(call_id="1", parts=(Text(text="done"),)),)
    assert read.other == ("tools.format",)


def test_tools_in_a_namespace_carry_it_in_their_name():
    inner = [{"type": "function", "name": "find"}, {"type": "custom", "name": "run"}]
    read = decode(
        tools=[
            {"type": "namespace", "name": "crm", "description": "x", "tools": inner},
            {"type": "namespace", "name": "mcp__a__", "tools": inner[:1]},
        ],
        input=[{"type": "function_call", "call_id": "1", "name": "find", "namespace": "crm", "arguments": "{}"}],
    )
    assert [tool.name for tool in read.tools] == ["crm__find", "crm__run", "mcp__a__find"]
    assert read.messages[0].parts == (ToolCall(id="1", name="crm__find"),)


def test_tools_declared_in_the_input_are_known_from_the_start():
    more = {"type": "additional_tools", "role": "developer", "tools": [CUSTOM, {"type": "tool_search"}]}
    read = decode(tools=[LOOK], input=[{"role": "user", "content": "x"}, more, {"role": "user", "content": "y"}])
    assert [tool.name for tool in read.tools] == ["look", "patch"]
    assert read.hosted_tools == (HostedTool(type="tool_search"),)
    assert [message.role for message in read.messages] == ["user", "user"]


def test_tools():
    read = decode(
        tools=[LOOK, {"type": "function", "name": "bare", "parameters": None}, {"type": "web_search", "name": 7}],
        parallel_tool_calls=False,
    )
    assert read.tools == (
        Tool(name="look", description="Looks.", schema='{"type": "object"}', strict=True),
        Tool(name="bare"),
    )
    assert read.hosted_tools == (HostedTool(type="web_search"),)
    assert read.parallel_tools is False


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", ToolChoice(mode="auto")),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        ({"type": "function", "name": "look"}, ToolChoice(mode="tool", name="look")),
    ],
)
def test_tool_choices(choice, expected):
    assert decode(tools=[LOOK], tool_choice=choice).tool_choice == expected


def test_allowed_tools_are_those_that_are_offered():
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]}
    read = decode(tools=[LOOK, {"type": "function", "name": "other"}], tool_choice=allowed)
    assert [tool.name for tool in read.tools] == ["look"]
    assert read.tool_choice == ToolChoice(mode="required")


def test_all_other_fields():
    read = decode(
        stream=True,
        max_output_tokens=99,
        temperature=0.5,
        top_p=0.9,
        reasoning={"effort": "high", "summary": "auto"},
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        top_logprobs=3,
        metadata={"a": "b"},
        user="old",
        safety_identifier="new",
        service_tier="flex",
        store=False,
        background=False,
        truncation="disabled",
        stream_options={"include_obfuscation": False},
        previous_response_id=None,
    )
    assert (read.stream, read.max_output_tokens, read.temperature, read.top_p) == (True, 99, 0.5, 0.9)
    assert read.reasoning == Reasoning(effort="high", show=True)
    assert (read.logprobs, read.metadata, read.user, read.service_tier) == (3, '{"a": "b"}', "new", "flex")
    assert read.other == ()


@pytest.mark.parametrize(
    ("fields", "logprobs"),
    [
        ({}, None),
        ({"include": ["message.output_text.logprobs"]}, 0),
        ({"top_logprobs": 0}, None),
        ({"top_logprobs": 2}, 2),
    ],
)
def test_log_probabilities(fields, logprobs):
    assert decode(**fields).logprobs == logprobs


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"format": {"type": "text"}}, Format(kind="text")),
        ({"format": {"type": "json_object"}}, Format(kind="json")),
        (
            {"format": {"type": "json_schema", "name": "n", "description": "d", "schema": {"a": 1e2}, "strict": True}},
            Format(kind="schema", name="n", description="d", schema='{"a": 100.0}', strict=True),
        ),
        ({"verbosity": None}, None),
    ],
)
def test_formats(given, expected):
    assert decode(text=given).format == expected


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"store": True}, ("store",)),
        ({"truncation": "auto"}, ("truncation",)),
        ({"text": {"verbosity": "low"}}, ("text.verbosity",)),
        ({"reasoning": {"mode": "pro"}}, ("reasoning.mode",)),
        ({"reasoning": {"mode": "standard", "context": "auto"}}, ()),
        ({"stream_options": {"include_obfuscation": True}}, ("stream_options",)),
        ({"include": ["file_search_call.results"]}, ("include",)),
        ({"prompt_cache_key": "k", "unheard_of": 1, "nothing": None}, ("prompt_cache_key", "unheard_of")),
        ({"tools": [{**LOOK, "defer_loading": True}]}, ("tools.defer_loading",)),
    ],
)
def test_what_has_no_counterpart_is_named(fields, lost):
    assert decode(**fields).other == lost


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"background": True}, "background"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": "x"}, {"id": "msg_1"}]}, "input[1]"),
        ({"input": [{"type": "web_search_call", "id": "ws_1", "action": {"output": 1}}]}, "input[0]"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0]"),
        ({"input": [{"type": "<b>\n"}]}, "input[0]"),
        ({"tools": [LOOK], "tool_choice": {"type": "web_search_preview"}}, "tool_choice"),
    ],
)
def test_what_only_the_vendor_has_is_refused_by_name(fields, param):
    with pytest.raises(UntranslatableError) as caught:
        decode(**fields)
    assert caught.value.param == param
    assert caught.value.detail.startswith(f"{param}: ")
    assert "<b>" not in caught.value.detail


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"instructions": 1}, "instructions"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "1", "name": "f", "arguments": {}}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "1"}]}, "input[0].output"),
        (
            {
                "input": [
                    {"type": "function_call_output", "call_id": "1", "output": [{"type": "refusal", "refusal": "x"}]}
                ]
            },
            "input[0].output[0].type",
        ),
        ({"input": [{"type": "reasoning", "summary": "x"}]}, "input[0].summary"),
        ({"tools": {}}, "tools"),
        ({"tools": ["x"]}, "tools[0]"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [LOOK, {"type": "function"}]}, "tools[1].name"),
        ({"tools": [{"type": "function", "name": ""}]}, "tools[0].name"),
        ({"tools": [LOOK, LOOK]}, "tools[1].name"),
        ({"tools": [{**LOOK, "parameters": []}]}, "tools[0].parameters"),
        ({"tools": [{**LOOK, "strict": "yes"}]}, "tools[0].strict"),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp", "name": "x"}]}]},
            "tools[0].tools[0].type",
        ),
        ({"input": [{"type": "additional_tools"}]}, "input[0].tools"),
        (
            {"tools": [LOOK], "input": [{"type": "additional_tools", "tools": [LOOK]}]},
            "input[0].tools[0].name",
        ),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "x"}}, "tool_choice.mode"),
        ({"tool_choice": 7}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"metadata": "x"}, "metadata"),
        ({"temperature": "hot"}, "temperature"),
        ({"include": "x"}, "include"),
    ],
)
def test_what_cannot_be_is_refused_by_its_place(fields, param):
    with pytest.raises(ProtocolError) as caught:
        decode(**fields)
    assert caught.value.param == param


def test_carried_json_keeps_its_bytes():
    schema = b'{ "b":1e999, "a":"\\u00e9" }'
    body = b'{"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":%b}]}' % schema
    read = dialect.decode_chat(body, codec.decode_request(body))
    assert read.tools[0].schema == schema.decode()


def test_a_number_beyond_floats_is_refused():
    body = b'{"model":"m","input":"x","temperature":1e999}'
    with pytest.raises(ProtocolError):
        dialect.decode_chat(body, codec.decode_request(body))
