"""Requests in Anthropic's dialect: what each field becomes, and what is named as left over or refused."""

import json

import pytest

from heddle.wire.canonical.request import (
    Cache,
    Format,
    HostedTool,
    Media,
    Message,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.anthropic import codec, dialect

USER = {"role": "user", "content": "hi"}


def decode(*messages, **fields):
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": messages or [USER], **fields}).encode()
    return dialect.decode_chat(body, codec.decode_request(body))


def parts(*blocks, role="user"):
    return decode({"role": role, "content": list(blocks)}).messages[-1].parts


def test_plain_fields():
    request = decode(
        USER,
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        stop_sequences=["a", "b"],
        stream=True,
        metadata={"user_id": "u"},
        service_tier="auto",
        container=None,
        betas=[],
    )
    assert (request.model, request.max_output_tokens, request.stream) == ("m", 9, True)
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (0.5, 0.9, 3, ("a", "b"))
    assert (request.user, request.service_tier, request.other) == ("u", "auto", ())
    assert request.messages == (Message(role="user", parts=(Text(text="hi"),)),)
    assert request.reasoning is None
    assert request.format is None


def test_instructions_come_first_and_may_come_again():
    marked = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]
    request = decode(USER, {"role": "system", "content": "c"}, system=marked)
    assert [message.role for message in request.messages] == ["system", "user", "system"]
    assert request.messages[0].parts == (Text(text="a"), Text(text="b", cache=Cache()))
    assert decode(USER, system="x").messages[0] == Message(role="system", parts=(Text(text="x"),))


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text(text="x", cache=Cache(ttl="1h")),
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            Media(kind="image", media_type="image/png", data="AA=="),
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://x/y"}}, Media(kind="image", url="https://x/y")),
        ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, Media(kind="image", file_id="file_1")),
        (
            {
                "type": "document",
                "title": "t",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "A"},
            },
            Media(kind="document", media_type="application/pdf", data="A", name="t"),
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            Media(kind="document", media_type="text/plain", text="words"),
        ),
        (
            {
                "type": "document",
                "source": {
                    "type": "content",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                },
            },
            Media(kind="document", media_type="text/plain", text="a\n\nb"),
        ),
        (
            {"type": "document", "source": {"type": "content", "content": "a"}},
            Media(kind="document", media_type="text/plain", text="a"),
        ),
        (
            {"type": "search_result", "source": "https://x", "title": "t", "content": [{"type": "text", "text": "a"}]},
            Media(kind="document", media_type="text/plain", text="a", name="t"),
        ),
        ({"type": "tool_result", "tool_use_id": "1", "content": "x"}, ToolResult(call_id="1", parts=(Text(text="x"),))),
        ({"type": "tool_result", "tool_use_id": "1", "is_error": True}, ToolResult(call_id="1", is_error=True)),
        (
            {
                "type": "tool_result",
                "tool_use_id": "1",
                "content": [{"type": "image", "source": {"type": "url", "url": "https://x"}}],
                "cache_control": {"type": "ephemeral"},
            },
            ToolResult(call_id="1", parts=(Media(kind="image", url="https://x"),), cache=Cache()),
        ),
        ({"type": "thinking", "thinking": "hm", "signature": "Sg=="}, Thinking(text="hm", signature="anthropic.Sg==")),
        ({"type": "thinking", "thinking": "hm", "signature": ""}, Thinking(text="hm")),
        ({"type": "thinking", "thinking": "", "signature": "gemini.Sg"}, Thinking(signature="gemini.Sg")),
        ({"type": "redacted_thinking", "data": "xx"}, Thinking(redacted="anthropic.xx")),
        ({"type": "redacted_thinking", "data": "openai.xx"}, Thinking(redacted="openai.xx")),
    ],
)
def test_blocks(block, part):
    assert parts(block) == (part,)


def test_arguments_keep_their_bytes():
    use = b'{"type":"tool_use","id":"i","name":"n","input":{"a": 1.0, "\\u00e9":[ ]}}'
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[%b]}]}' % use
    call = dialect.decode_chat(body, codec.decode_request(body)).messages[0].parts[0]
    assert call == ToolCall(id="i", name="n", arguments='{"a": 1.0, "\\u00e9":[ ]}')


def test_the_proof_of_a_call_follows_it():
    use = {"type": "tool_use", "id": "i", "name": "n", "input": {}}
    proof = {"type": "redacted_thinking", "data": "call.gemini.Sg=="}
    assert parts(use, proof, role="assistant") == (ToolCall(id="i", name="n", signature="gemini.Sg=="),)
    assert parts(proof, use, role="assistant")[0] == Thinking(redacted="anthropic.call.gemini.Sg==")


def test_tools():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    request = decode(
        USER,
        tools=[
            {
                "name": "f",
                "description": "d",
                "input_schema": schema,
                "strict": True,
                "cache_control": {"type": "ephemeral"},
            },
            {"type": "custom", "name": "g", "input_schema": {}, "input_examples": [{}], "defer_loading": True},
            {"type": "web_search_20260318", "name": "web_search", "max_uses": 3},
        ],
        mcp_servers=[{"type": "url", "url": "https://x", "name": "s"}],
    )
    first, second = request.tools
    assert first == Tool(name="f", description="d", schema=json.dumps(schema), strict=True, cache=Cache())
    assert second == Tool(name="g", schema="{}")
    assert request.hosted_tools == (HostedTool(type="web_search_20260318"), HostedTool(type="mcp_servers"))
    assert request.other == ("tools.defer_loading", "tools.input_examples")


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(mode="required"), False),
        ({"type": "tool", "name": "f", "disable_parallel_tool_use": False}, ToolChoice(mode="tool", name="f"), True),
        ({"type": "none"}, ToolChoice(mode="none"), None),
    ],
)
def test_tool_choice(choice, expected, parallel):
    request = decode(USER, tool_choice=choice)
    assert (request.tool_choice, request.parallel_tools) == (expected, parallel)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(enabled=True, budget_tokens=2048)),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            Reasoning(enabled=True, budget_tokens=-1, show=True),
        ),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
            Reasoning(enabled=True, budget_tokens=-1, effort="max", show=False),
        ),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low")),
        ({"output_config": {}}, None),
    ],
)
def test_thinking(fields, expected):
    assert decode(USER, **fields).reasoning == expected


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_structured_output(place):
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    request = decode(USER, **{place: {"format": wanted} if place == "output_config" else wanted})
    assert request.format == Format(kind="schema", schema='{"type": "object"}')
    assert request.other == ()


def test_what_has_no_place_is_named_once():
    document = {
        "type": "document",
        "context": "c",
        "citations": {"enabled": True},
        "source": {"type": "url", "url": "u"},
    }
    request = decode(
        {"role": "user", "content": [document, document]},
        container="c1",
        speed="fast",
        thinking={"type": "between_tools"},
        output_config={"task_budget": {"type": "tokens"}},
        nothing=None,
    )
    assert sorted(request.other) == [
        "citations",
        "container",
        "context",
        "output_config.task_budget",
        "speed",
        "thinking.type",
    ]


def test_the_mark_of_the_whole_request_stands_on_its_last_part():
    thought = {"type": "thinking", "thinking": "x", "signature": "y"}
    request = decode(
        USER, {"role": "assistant", "content": [thought]}, cache_control={"type": "ephemeral", "ttl": "1h"}
    )
    assert request.messages[0].parts == (Text(text="hi", cache=Cache(ttl="1h")),)
    assert request.other == ()


@pytest.mark.parametrize(
    "kind", ["server_tool_use", "web_search_tool_result", "container_upload", "mcp_tool_use", "no word", ""]
)
def test_blocks_of_hosted_tools_cannot_leave_anthropic(kind):
    with pytest.raises(UntranslatableError) as caught:
        parts({"type": kind, "id": "x", "content": {"type": "error"}, "input": {}})
    assert caught.value.param == "messages[0].content[0].type"


def test_a_place_of_processing_is_not_given_up():
    with pytest.raises(UntranslatableError) as caught:
        decode(USER, inference_geo="us")
    assert caught.value.param == "inference_geo"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "tool", "content": "x"}, "messages[0].role"),
        ({"role": "user"}, "messages[0].content"),
        ({"role": "user", "content": 1}, "messages[0].content"),
        ({"role": "user", "content": [{}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0].text"),
        ({"role": "user", "content": [{"type": "image"}]}, "messages[0].content[0].source"),
        (
            {"role": "user", "content": [{"type": "image", "source": {"type": "x"}}]},
            "messages[0].content[0].source.type",
        ),
        (
            {"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]},
            "messages[0].content[0].source.url",
        ),
        ({"role": "user", "content": [{"type": "image", "source": []}]}, "messages[0].content[0].source"),
        ({"role": "user", "content": [{"type": "tool_use", "id": "i", "name": "n"}]}, "messages[0].content[0].input"),
        ({"role": "user", "content": [{"type": "tool_use", "input": {}}]}, "messages[0].content[0].id"),
        ({"role": "user", "content": [{"type": "tool_result", "content": "x"}]}, "messages[0].content[0].tool_use_id"),
        (
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": 7}]},
            "messages[0].content[0].content",
        ),
        (
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "thinking", "thinking": ""}]}
                ],
            },
            "messages[0].content[0].content",
        ),
    ],
)
def test_what_is_refused_names_its_place(message, param):
    with pytest.raises(ProtocolError) as caught:
        decode(message)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"name": "f", "input_schema": "x"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "x"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 0}}, "thinking.budget_tokens"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format"),
        ({"output_format": {"type": "xml", "schema": {}}}, "output_format"),
        ({"temperature": "hot"}, "temperature"),
        ({"system": 1}, "system"),
    ],
)
def test_fields_that_are_refused_name_their_place(fields, param):
    with pytest.raises(ProtocolError) as caught:
        decode(USER, **fields)
    assert caught.value.param == param
