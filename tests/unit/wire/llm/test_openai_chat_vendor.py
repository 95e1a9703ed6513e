"""A canonical request as OpenAI chat asks it, what its rules say, and whole answers of many servers."""

import json

import pytest
from openai.types.chat import completion_create_params
from pydantic import TypeAdapter

from heddle.model.call import Usage
from heddle.wire.canonical.answer import Choice
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
from heddle.wire.canonical.rules import Notes, UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codec import Vendor
from heddle.wire.llm.codecs import VENDORS
from heddle.wire.llm.openai_chat_vendor import decode_answer, encode_chat

HI = (Message(role="user", parts=(Text(text="hi"),)),)
DOCUMENTED = TypeAdapter(completion_create_params.CompletionCreateParams)


def encode(notes=None, messages=HI, **fields):
    body = json.loads(encode_chat(ChatRequest(model="x", messages=messages, **fields), "gpt", notes or Notes()))
    DOCUMENTED.validate_python(body)
    return body


def said(*parts, role="user", **fields):
    return encode(messages=(Message(role=role, parts=parts, **fields),))["messages"]


def test_it_is_a_vendor():
    vendor: Vendor = VENDORS["openai_chat"]
    assert vendor.NAME == "OpenAI chat"


def test_a_plain_call():
    assert encode() == {"model": "gpt", "messages": [{"role": "user", "content": "hi"}]}


def test_streams_are_asked_for_their_usage():
    body = encode(stream=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_numbers_and_the_rest():
    notes = Notes()
    body = encode(
        notes,
        max_output_tokens=5,
        temperature=0.0,
        top_p=0.5,
        top_k=3,
        stop=("a",),
        seed=1,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        choices=2,
        logprobs=0,
        logit_bias='{"1":2}',
        user="u",
        metadata='{"a":"b"}',
        service_tier="flex",
        other=("container",),
    )
    del body["model"], body["messages"]
    assert body == {
        "max_completion_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.5,
        "stop": ["a"],
        "seed": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "n": 2,
        "logprobs": True,
        "logit_bias": {"1": 2},
        "user": "u",
    }
    assert set(notes.dropped) == {"top_k", "metadata", "service_tier", "container"}
    assert encode(logprobs=3)["top_logprobs"] == 3


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        (Reasoning(effort="max"), "max"),
        (Reasoning(effort="none"), "none"),
        (Reasoning(enabled=False), None),
        (Reasoning(enabled=True), None),
        (Reasoning(budget_tokens=-1), None),
        (Reasoning(budget_tokens=4_096), "low"),
        (Reasoning(budget_tokens=10_000), "medium"),
        (Reasoning(enabled=True, budget_tokens=32_000), "high"),
        (None, None),
    ],
)
def test_reasoning(reasoning, effort):
    assert encode(reasoning=reasoning).get("reasoning_effort") == effort


def test_tools():
    tools = (Tool(name="f", description="d", schema='{"type":"object"}', strict=True), Tool(name="g"))
    body = encode(tools=tools, tool_choice=ToolChoice(mode="tool", name="f"), parallel_tools=False)
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    assert body["tools"] == [
        {"type": "function", "function": function},
        {"type": "function", "function": {"name": "g"}},
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert body["parallel_tool_calls"] is False
    assert encode(tools=tools, tool_choice=ToolChoice(mode="required"))["tool_choice"] == "required"
    assert set(encode(tool_choice=ToolChoice(mode="none"), parallel_tools=True)) == {"model", "messages"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Format(kind="text"), {"type": "text"}),
        (Format(kind="json"), {"type": "json_object"}),
        (
            Format(kind="schema", schema='{"a":1}'),
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"a": 1}}},
        ),
        (
            Format(kind="schema", name="n", description="d", schema="{}", strict=True),
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "description": "d", "strict": True}},
        ),
    ],
)
def test_the_form_of_the_answer(wanted, expected):
    assert encode(format=wanted)["response_format"] == expected


def test_instructions_are_system_messages_where_they_stood():
    notes = Notes()
    body = encode(
        notes,
        messages=(
            Message(role="system", parts=(Text(text="a"), Text(text=""), Text(text="b"))),
            *HI,
            Message(role="developer", parts=(Text(text="c"),)),
        ),
    )
    assert [one["role"] for one in body["messages"]] == ["system", "user", "system"]
    assert body["messages"][0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert notes.emulated == ["developer"]


def test_what_a_user_says():
    assert said(Text(text="a"), name="ann") == [{"role": "user", "content": "a", "name": "ann"}]
    assert said(
        Text(text="a"),
        Text(text=""),
        Media(kind="image", media_type="image/png", data="aGk=", detail="low"),
        Media(kind="image", url="https://x"),
        Media(kind="document", media_type="application/pdf", data="aGk=", name="a.pdf"),
        Media(kind="document", media_type="text/plain", text="words", name="a.txt"),
        Media(kind="audio", media_type="audio/wav", data="aGk="),
    ) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://x"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
                {"type": "text", "text": "a.txt\n\nwords"},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
            ],
        }
    ]


def test_results_come_first_and_their_media_after_all_of_them():
    image = Media(kind="image", media_type="image/png", data="aGk=")
    assert said(
        Text(text="go on"),
        ToolResult(call_id="a", parts=(Text(text="one"), image)),
        ToolResult(call_id="b", parts=(Text(text="no"),), is_error=True),
    ) == [
        {"role": "tool", "tool_call_id": "a", "content": "one"},
        {"role": "tool", "tool_call_id": "b", "content": "Error: no"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Returned by the tool call a:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                {"type": "text", "text": "go on"},
            ],
        },
    ]
    assert [one["role"] for one in said(Text(text="go on"), ToolResult(call_id="a"))] == ["tool", "user"]
    assert said(ToolResult(call_id="a")) == [{"role": "tool", "tool_call_id": "a", "content": ""}]


def test_what_an_assistant_said():
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert said(Text(text="x"), ToolCall(id="a", name="f"), role="assistant") == [
        {"role": "assistant", "content": "x", "tool_calls": [call]}
    ]
    assert said(ToolCall(id="a", name="f"), role="assistant")[0]["content"] is None
    assert said(Refusal(text="no"), role="assistant") == [{"role": "assistant", "content": "", "refusal": "no"}]


def test_thinking_without_a_proof_goes_back_and_none_with():
    notes = Notes()
    thoughts = (Thinking(text="open"), Thinking(text="signed", signature="anthropic.x"), Text(text="y"))
    body = encode(notes, messages=(Message(role="assistant", parts=thoughts), *HI))
    assert body["messages"][0] == {"role": "assistant", "content": "y", "reasoning_content": "open"}
    assert (notes.dropped, notes.emulated) == (["thinking"], [])
    notes = Notes()
    encode(notes, messages=(Message(role="assistant", parts=thoughts[:1]), *HI))
    assert (notes.dropped, notes.emulated) == ([], ["thinking"])


def test_cache_marks_are_left_out():
    notes = Notes()
    assert encode(notes, messages=(Message(role="user", parts=(Text(text="hi", cache=Cache()),)),)) == encode()
    assert notes.dropped == ["cache"]


@pytest.mark.parametrize(
    ("part", "place"),
    [
        (Media(kind="document", url="https://x"), "messages[0]"),
        (Media(kind="video", media_type="video/mp4", data="aGk="), "messages[0]"),
        (Media(kind="image", file_id="f"), "messages[0]"),
        (Media(kind="audio", media_type="audio/ogg", data="aGk="), "messages[0]"),
        (Media(kind="document", data="aGk="), "messages[0]"),
    ],
)
def test_what_it_cannot_take(part, place):
    with pytest.raises(UntranslatableError) as caught:
        said(part)
    assert caught.value.param == place


def test_tools_of_other_vendors_are_refused():
    with pytest.raises(UntranslatableError, match="OpenAI chat"):
        encode(hosted_tools=(HostedTool(type="web_search"),))


# Whole answers


def answer(message, finish="stop", **fields):
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **fields}
    return decode_answer(json.dumps({"id": "c1", "model": "g", "choices": [choice]}).encode()).choices[0]


@pytest.mark.parametrize(
    ("message", "finish", "expected"),
    [
        ({"content": "hi"}, "stop", Choice(parts=(Text(text="hi"),))),
        ({"content": "hi"}, "length", Choice(parts=(Text(text="hi"),), stop="length")),
        ({"content": "hi"}, "eos", Choice(parts=(Text(text="hi"),))),
        ({"content": ""}, "content_filter", Choice(stop="content_filter")),
        ({"content": None, "refusal": "no"}, "stop", Choice(parts=(Refusal(text="no"),), stop="refusal")),
        (
            {"content": "x", "reasoning_content": "hm"},
            "stop",
            Choice(parts=(Thinking(text="hm"), Text(text="x"))),
        ),
        ({"content": "x", "reasoning": "hm"}, "stop", Choice(parts=(Thinking(text="hm"), Text(text="x")))),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "x"},
                ]
            },
            "stop",
            Choice(parts=(Thinking(text="hm"), Text(text="x"))),
        ),
        (
            {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": '{"x": 1}'}}]},
            "stop",
            Choice(parts=(ToolCall(id="a", name="f", arguments='{"x": 1}'),), stop="tool_use"),
        ),
        (
            {"tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}, {"function": {"name": "g"}}]},
            "tool_calls",
            Choice(
                parts=(
                    ToolCall(id="call_c1_0", name="f", arguments='{"x":1}'),
                    ToolCall(id="call_c1_1", name="g", arguments="{}"),
                ),
                stop="tool_use",
            ),
        ),
        (
            {"function_call": {"name": "f", "arguments": ""}},
            "function_call",
            Choice(parts=(ToolCall(id="call_c1_0", name="f"),), stop="tool_use"),
        ),
    ],
)
def test_whole_answers(message, finish, expected):
    assert answer(message, finish) == expected


def test_the_stop_sequence_that_vllm_tells():
    assert answer({"content": "x"}, stop_reason="END") == Choice(
        parts=(Text(text="x"),), stop="stop_sequence", stop_sequence="END"
    )
    assert answer({"content": "x"}, stop_reason=128009).stop == "stop"


def test_log_probabilities_keep_their_form():
    token = {"token": "x", "logprob": -0.5, "bytes": [1], "top_logprobs": []}
    assert json.loads(answer({"content": "x"}, logprobs={"content": [token], "refusal": None}).logprobs) == [token]
    assert answer({"content": "x"}, logprobs={"tokens": ["x"]}).logprobs == ""
    assert answer({"content": "x"}, logprobs=[1]).logprobs == ""


def test_choices_are_in_the_order_of_their_indexes():
    choices = [{"index": i, "message": {"content": str(i)}, "finish_reason": "stop"} for i in (1, 0)]
    got = decode_answer(json.dumps({"choices": choices}).encode())
    assert [choice.parts for choice in got.choices] == [(Text(text="0"),), (Text(text="1"),)]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 9},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(input_tokens=9, output_tokens=5, cached_input_tokens=4, cache_write_tokens=5, reasoning_tokens=2),
        ),
        # xAI counts reasoning beside the completion
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 34,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            Usage(input_tokens=9, output_tokens=25, reasoning_tokens=20),
        ),
        # DeepSeek
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "prompt_cache_hit_tokens": 8},
            Usage(input_tokens=9, output_tokens=5, cached_input_tokens=8),
        ),
        ({"prompt_tokens": -1, "completion_tokens": 5}, None),
    ],
)
def test_usage(usage, expected):
    body = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
    assert decode_answer(json.dumps(body).encode()).usage == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"choices":[]}',
        b'{"choices":null}',
        b'{"error":{"message":"x"}}',
        b'{"choices":[{"finish_reason":"stop"}]}',
        b'{"choices":[{"message":{"content":"x"}}]}',
        b'{"choices":[{"message":{"content":"x"},"finish_reason":"error"}]}',
        b'{"choices":[{"message":{"tool_calls":[{"id":"a"}]},"finish_reason":"stop"}]}',
    ],
)
def test_what_is_no_answer(body):
    with pytest.raises(ProtocolError):
        decode_answer(body)
