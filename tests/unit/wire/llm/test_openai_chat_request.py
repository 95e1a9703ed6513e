"""The whole of a chat request in the canonical form, and what is refused with which param."""

import base64
import json

import pytest
from openai.types.chat import completion_create_params

from heddle.wire.canonical.request import (
    Cache,
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
from heddle.wire.llm import openai_chat
from heddle.wire.llm.openai_chat_dialect import decode_chat
from heddle.wire.llm.openai_chat_request import _KNOWN

PNG = base64.b64encode(b"\x89PNG").decode()
USER = [{"role": "user", "content": "hi"}]


def decode(messages=USER, **fields):
    body = json.dumps({"model": "m", "messages": messages, **fields}).encode()
    return decode_chat(body, openai_chat.decode_request(body))


def parts(*content, role="user"):
    (message,) = decode([{"role": role, "content": list(content)}]).messages
    return message.parts


def test_every_role():
    said = decode(
        [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": [{"type": "text", "text": "d"}], "name": "boss"},
            {"role": "user", "content": "u", "name": "ann"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "ra"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "rb"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "t"}, {"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "content": "", "refusal": "never"},
        ]
    ).messages
    assert said == (
        Message(role="system", parts=(Text(text="s"),)),
        Message(role="developer", parts=(Text(text="d"),), name="boss"),
        Message(role="user", parts=(Text(text="u"),), name="ann"),
        Message(
            role="assistant",
            parts=(ToolCall(id="a", name="f", arguments='{"x": 1}'), ToolCall(id="b", name="g", arguments="{}")),
        ),
        Message(role="user", parts=(ToolResult(call_id="a", parts=(Text(text="ra"),)),)),
        Message(role="user", parts=(ToolResult(call_id="b", parts=(Text(text="rb"),)),)),
        Message(role="assistant", parts=(Text(text="t"), Refusal(text="no"))),
        Message(role="assistant", parts=(Refusal(text="never"),)),
    )


def test_images():
    assert parts(
        {"type": "image_url", "image_url": {"url": f"DATA:image/PNG;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
    ) == (
        Media(kind="image", media_type="image/png", data=PNG, detail="low"),
        Media(kind="image", url="https://x/y.png"),
    )


def test_sounds_and_files():
    assert parts(
        {"type": "input_audio", "input_audio": {"data": PNG, "format": "mp3"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": PNG}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;charset=utf-8;base64,aGk="}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}},
        {"type": "file", "file": {"file_data": f"data:image/png;base64,{PNG}"}},
    ) == (
        Media(kind="audio", media_type="audio/mpeg", data=PNG),
        Media(kind="document", media_type="application/pdf", data=PNG, name="a.pdf"),
        Media(kind="document", media_type="application/pdf", data=PNG, name="a.pdf"),
        Media(kind="document", file_id="file-1"),
        Media(kind="document", media_type="text/plain", text="hi", name="a.txt"),
        Media(kind="document", media_type="text/plain", data="/w=="),
        Media(kind="image", media_type="image/png", data=PNG),
    )


def test_cache_marks_of_both_kinds():
    assert parts(
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "c", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
    ) == (Text(text="a", cache=Cache(ttl="1h")), Text(text="b", cache=Cache()), Text(text="c", cache=Cache()))


def test_what_servers_gave_comes_back():
    thinking = [
        {"type": "reasoning.text", "text": "hm", "signature": "anthropic.sig", "index": 0},
        {"type": "reasoning.encrypted", "data": "anthropic.secret", "index": 1},
    ]
    call = {
        "id": "a",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "abc"}},
    }
    (message,) = decode(
        [{"role": "assistant", "reasoning_content": "hm", "reasoning_details": thinking, "tool_calls": [call]}]
    ).messages
    assert message.parts == (
        Thinking(text="hm", signature="anthropic.sig"),
        Thinking(redacted="anthropic.secret"),
        ToolCall(id="a", name="f", signature="gemini.abc"),
    )
    (message,) = decode([{"role": "assistant", "reasoning_content": "hm", "content": "x"}]).messages
    assert message.parts == (Thinking(text="hm"), Text(text="x"))


def test_the_older_form_of_calls():
    asked = decode(
        [
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "r"},
        ],
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    assert asked.messages[1].parts == (ToolCall(id="call_1", name="f", arguments="{}"),)
    assert asked.messages[2].parts == (ToolResult(call_id="call_1", name="f", parts=(Text(text="r"),)),)
    assert asked.tools == (Tool(name="f", schema='{"type": "object"}'),)
    assert asked.tool_choice == ToolChoice(mode="tool", name="f")
    assert asked.parallel_tools is False


def test_tools_keep_the_bytes_of_their_schemas():
    schema = '{"type" :"object", "properties":{"\\u00e9":{"const":1e999}}}'
    function = f'{{"name":"f","description":"d","strict":true,"parameters":{schema}}}'
    tools = f'[{{"type":"function","function":{function},"cache_control":{{"type":"ephemeral"}}}}]'
    body = f'{{"model":"m","messages":[{{"role":"user","content":"u"}}],"tools":{tools}}}'.encode()
    asked = decode_chat(body, openai_chat.decode_request(body))
    assert asked.tools == (Tool(name="f", description="d", schema=schema, strict=True, cache=Cache()),)


def tool(name):
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize(
    ("choice", "expected", "left"),
    [
        ("auto", ToolChoice(mode="auto"), ["f", "g"]),
        ("none", ToolChoice(mode="none"), ["f", "g"]),
        ("required", ToolChoice(mode="required"), ["f", "g"]),
        (tool("g"), ToolChoice(mode="tool", name="g"), ["f", "g"]),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [tool("g")]}},
            ToolChoice(mode="required"),
            ["g"],
        ),
        (None, None, ["f", "g"]),
    ],
)
def test_the_choice_of_tools(choice, expected, left):
    asked = decode(tools=[tool("f"), tool("g")], tool_choice=choice, parallel_tool_calls=True)
    assert (asked.tool_choice, [one.name for one in asked.tools], asked.parallel_tools) == (expected, left, True)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"type": "text"}, Format(kind="text")),
        ({"type": "json_object"}, Format(kind="json")),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True}},
            Format(kind="schema", name="n", schema='{"a": 1}', strict=True),
        ),
        (None, None),
    ],
)
def test_the_form_of_the_answer(wanted, expected):
    assert decode(response_format=wanted).format == expected


def test_numbers_and_the_rest():
    asked = decode(
        max_tokens=5,
        max_completion_tokens=7,
        temperature=0,
        top_p=0.5,
        top_k=3,
        stop=["a", ""],
        seed=-1,
        presence_penalty=1,
        frequency_penalty=-1,
        n=2,
        reasoning_effort="high",
        logprobs=True,
        top_logprobs=2,
        logit_bias={"1": 5},
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        stream=True,
    )
    assert (asked.max_output_tokens, asked.temperature, asked.top_p, asked.top_k) == (7, 0.0, 0.5, 3)
    assert (asked.stop, asked.seed, asked.presence_penalty, asked.frequency_penalty) == (("a",), -1, 1.0, -1.0)
    assert (asked.choices, asked.reasoning, asked.logprobs) == (2, Reasoning(effort="high"), 2)
    assert (asked.logit_bias, asked.metadata) == ('{"1": 5}', '{"a": "b"}')
    assert (asked.user, asked.service_tier, asked.stream, asked.other) == ("u", "flex", True, ())


def test_nothing_stated_is_nothing():
    plain = decode()
    assert plain == decode(**dict.fromkeys(sorted(_KNOWN - {"model", "messages"})), store=False, verbosity=None)
    assert decode(max_tokens=5).max_output_tokens == 5
    assert decode(stop="x").stop == ("x",)
    assert decode(logprobs=True).logprobs == 0
    assert decode(safety_identifier="s").user == "s"


def test_what_has_no_place_is_named():
    asked = decode(verbosity="low", prompt_cache_key="k", store=True, user="u", safety_identifier="s", zzz=1)
    assert set(asked.other) == {"verbosity", "prompt_cache_key", "store", "safety_identifier", "zzz"}
    assert decode(web_search_options={}).hosted_tools == (HostedTool(type="web_search"),)


def test_every_documented_field_is_read_or_named():
    documented = set(completion_create_params.CompletionCreateParamsBase.__annotations__) | {"stream"}
    unread = documented - _KNOWN
    assert unread == {
        "audio",
        "moderation",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "store",
        "verbosity",
    }
    assert set(decode(**dict.fromkeys(unread, "x")).other) == unread


@pytest.mark.parametrize("data", ["aG k=", "aGk=\n", "aGk", "aGk=aGk=", "a_k=", "é"])
def test_base64_has_one_form(data):
    with pytest.raises(ProtocolError, match="base64"):
        parts({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}})


def said(content):
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": said(None)}, "messages[0].content"),
        ({"messages": said([{"type": "video_url"}])}, "messages[0].content[0].type"),
        ({"messages": said([{"text": "x"}])}, "messages[0].content[0].type"),
        ({"messages": said([{"type": "text"}])}, "messages[0].content[0].text"),
        (
            {"messages": said([{"type": "image_url", "image_url": {"url": "ftp://x"}}])},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": said([{"type": "image_url", "image_url": {"url": "data:image/png,xx"}}])},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": said([{"type": "image_url", "image_url": {"url": "data:image/png;base64,a b"}}])},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": said([{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}])},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": said([{"type": "input_audio", "input_audio": {"data": PNG, "format": "ogg"}}])},
            "messages[0].content[0].input_audio.format",
        ),
        ({"messages": said([{"type": "file", "file": {}}])}, "messages[0].content[0].file"),
        (
            {"messages": said([{"type": "file", "file": {"file_id": "x", "file_data": PNG}}])},
            "messages[0].content[0].file",
        ),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "x", "type": "function"}]}]},
            "messages[0].tool_calls[0].function",
        ),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": 1}}}, "tool_choice.function.name"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [tool("h")]}}},
            "tool_choice",
        ),
        ({"function_call": 3}, "function_call"),
        ({"response_format": {"type": "yaml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"reasoning_effort": "some"}, "reasoning_effort"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": []}, "logit_bias"),
        ({"metadata": "x"}, "metadata"),
        ({"seed": 10**30}, "seed"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": [1]}, "stop[0]"),
    ],
)
def test_refused_with_its_place(fields, param):
    with pytest.raises(ProtocolError) as caught:
        decode(**{"messages": USER, **fields})
    assert caught.value.param == param
    assert not isinstance(caught.value, UntranslatableError)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "c"}}}, "tool_choice"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "x", "type": "custom"}]}]},
            "messages[0].tool_calls[0].type",
        ),
    ],
)
def test_what_cannot_be_translated_says_so(fields, param):
    with pytest.raises(UntranslatableError) as caught:
        decode(**{"messages": USER, **fields})
    assert caught.value.param == param
