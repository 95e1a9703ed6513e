"""What is sent to Anthropic: turns, limits, thinking, schemas, and what is refused or noted."""

import base64
import json

import pytest

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
from heddle.wire.llm.anthropic import vendor
from heddle.wire.llm.anthropic.vendor_models import generation
from heddle.wire.llm.anthropic.vendor_schema import fit

NEW, OLD = "claude-opus-4-7", "claude-sonnet-4-5-20250929"
HI = Message(role="user", parts=(Text(text="hi"),))


def sent(*messages, model=NEW, notes=None, **fields):
    fields = {"max_output_tokens": 4000, **fields}
    request = ChatRequest(model="asked", messages=messages or (HI,), **fields)
    return json.loads(vendor.encode_chat(request, model, notes if notes is not None else Notes()))


def noted(**fields):
    notes = Notes()
    body = sent(notes=notes, **fields)
    return body, notes.header().decode()


def content(*parts, role="user"):
    return sent(Message(role=role, parts=parts))["messages"][0]["content"]


def call(ident, arguments="{}"):
    return ToolCall(id=ident, name="f", arguments=arguments)


def test_the_least():
    assert sent() == {
        "model": NEW,
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }


def test_nothing_unstated_is_sent_and_all_that_is_stated_is():
    body, header = noted(
        model="another",
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        stop=("a", "\n"),
        user="u",
        stream=True,
        seed=1,
        presence_penalty=0.1,
        frequency_penalty=0.1,
        logit_bias="{}",
        metadata="{}",
        service_tier="flex",
        other=("store",),
    )
    assert {name: body[name] for name in body if name not in ("model", "messages", "max_tokens")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "stop_sequences": ["a"],
        "metadata": {"user_id": "u"},
        "stream": True,
    }
    assert header == ("dropped=seed,presence_penalty,frequency_penalty,logit_bias,metadata,service_tier,store,stop")


def test_a_temperature_beyond_the_scale_is_its_end():
    body, header = noted(temperature=1.7, model=OLD)
    assert (body["temperature"], header) == (1.0, "emulated=temperature")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"choices": 2}, "n"),
        ({"logprobs": 0}, "logprobs"),
        ({"hosted_tools": (HostedTool(type="web_search"),)}, "tools"),
    ],
)
def test_refused_fields(fields, param):
    with pytest.raises(UntranslatableError) as caught:
        sent(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "part",
    [
        Media(kind="audio", data="AA=="),
        Media(kind="video", url="https://x"),
        Media(kind="image", file_id="f"),
        Media(kind="image", data="AAAA"),
        Media(kind="document", media_type="text/plain", data="!!"),
    ],
)
def test_refused_parts(part):
    with pytest.raises(UntranslatableError):
        content(part)


def test_instructions_are_hoisted_with_their_marks():
    notes = Notes()
    body = sent(
        Message(role="developer", parts=(Text(text="a"), Text(text=" "))),
        HI,
        Message(role="system", parts=(Text(text="b", cache=Cache(ttl="1h")),)),
        notes=notes,
    )
    assert body["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
    assert notes.header() == b"emulated=developer,late_instructions"


def test_instructions_are_text():
    with pytest.raises(UntranslatableError):
        sent(Message(role="system", parts=(Media(kind="image", url="https://x"),)), HI)


def test_neighbours_are_one_turn_and_results_stand_first():
    body = sent(
        HI,
        HI,
        Message(role="assistant", parts=(Text(text="well"), call("a", '{"x": 1.0}'))),
        Message(role="assistant", parts=(call("b"),)),
        Message(role="user", parts=(Text(text="see"), ToolResult(call_id="b", parts=(Text(text="2"),)))),
        Message(role="user", parts=(ToolResult(call_id="a", is_error=True, cache=Cache()),)),
    )
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == [
        {"type": "text", "text": "well"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1.0}},
        {"type": "tool_use", "id": "b", "name": "f", "input": {}},
    ]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "2"}]},
        {"type": "tool_result", "tool_use_id": "a", "is_error": True, "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "see"},
    ]


@pytest.mark.parametrize(
    "messages",
    [
        (HI, Message(role="assistant", parts=(call("a"),))),
        (HI, Message(role="assistant", parts=(call("a"),)), HI),
        (
            HI,
            Message(role="assistant", parts=(call("a"), call("b"))),
            Message(role="user", parts=(ToolResult(call_id="a"),)),
        ),
        (HI, Message(role="user", parts=(ToolResult(call_id="a"),))),
        (
            HI,
            Message(role="assistant", parts=(call("a"),)),
            Message(role="user", parts=(ToolResult(call_id="a"), ToolResult(call_id="a"))),
        ),
    ],
)
def test_calls_and_results_pair(messages):
    with pytest.raises(UntranslatableError, match="every tool call needs its result"):
        sent(*messages)


def test_there_must_be_something_to_say():
    with pytest.raises(UntranslatableError, match="needs a message"):
        sent(Message(role="system", parts=(Text(text="a"),)))
    with pytest.raises(UntranslatableError, match="needs a message"):
        sent(Message(role="user", parts=(Text(text=" \n"),)))


def test_foreign_identifiers_are_spelled_anew_and_still_pair():
    body = sent(
        HI,
        Message(role="assistant", parts=(call("a.b"), call("a:b"), call("a_b"), call(""))),
        Message(role="user", parts=tuple(ToolResult(call_id=i) for i in ("a_b", "a:b", "a.b", ""))),
    )
    used = [block["id"] for block in body["messages"][1]["content"]]
    assert used == ["a_b", "a_b_2", "a_b_3", "call"]
    assert [b["tool_use_id"] for b in body["messages"][2]["content"]] == ["a_b_3", "a_b_2", "a_b", "call"]


def test_only_own_thinking_goes_back_and_first():
    notes = Notes()
    foreign = (Thinking(text="g", signature="gemini.x"), Thinking(text="unproven"), Thinking(redacted="bedrock.x"))
    own = (Thinking(text="hm", signature="anthropic.Sg=="), Thinking(redacted="anthropic.xx"))
    body = sent(HI, Message(role="assistant", parts=(Text(text="a"), *foreign, *own)), HI, notes=notes)
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "Sg=="},
        {"type": "redacted_thinking", "data": "xx"},
        {"type": "text", "text": "a"},
    ]
    assert notes.header() == b"dropped=thinking"


def test_thinking_between_calls_keeps_its_place():
    thought = Thinking(text="hm", signature="anthropic.S")
    body = sent(
        HI,
        Message(role="assistant", parts=(thought, call("a"), thought, call("b"))),
        Message(role="user", parts=(ToolResult(call_id="a"), ToolResult(call_id="b"))),
    )
    kinds = [block["type"] for block in body["messages"][1]["content"]]
    assert kinds == ["thinking", "tool_use", "thinking", "tool_use"]


def test_arguments_that_are_no_object():
    body = sent(
        HI,
        Message(role="assistant", parts=(call("a", '{"x'),)),
        Message(role="user", parts=(ToolResult(call_id="a"),)),
    )
    assert body["messages"][1]["content"][0]["input"] == {"INVALID_JSON": '{"x'}


def test_empty_text_is_left_out_and_its_mark_is_not():
    blocks = content(Text(text="a"), Text(text=" \n", cache=Cache()), Refusal(text="no"), Text(text=""))
    assert blocks == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "no"},
    ]


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n0").decode()


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Media(kind="image", media_type="image/webp", data="AA==", detail="low"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "AA=="}},
        ),
        (
            Media(kind="image", data=PNG, cache=Cache()),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (Media(kind="image", url="https://x"), {"type": "image", "source": {"type": "url", "url": "https://x"}}),
        (
            Media(kind="document", data="AA==", name="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                "title": "a.pdf",
            },
        ),
        (Media(kind="document", url="https://x"), {"type": "document", "source": {"type": "url", "url": "https://x"}}),
        (
            Media(kind="document", text="words"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        ),
        (
            Media(kind="document", media_type="text/csv", data=base64.b64encode("é,b".encode()).decode()),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é,b"}},
        ),
    ],
)
def test_media(part, block):
    assert content(part) == [block]
    answered = sent(
        HI,
        Message(role="assistant", parts=(call("a"),)),
        Message(role="user", parts=(ToolResult(call_id="a", parts=(part,)),)),
    )
    assert answered["messages"][2]["content"][0]["content"] == [block]


def test_tools():
    schema = '{"type": "object", "properties": {"n": {"type": "number", "minimum": 1.0}}}'
    body, header = noted(
        tools=(
            Tool(name="f", description="d", schema=schema, cache=Cache()),
            Tool(name="g"),
            Tool(name="h", schema="{ }"),
            Tool(name="s", schema=schema, strict=True),
        )
    )
    assert body["tools"] == [
        {"name": "f", "description": "d", "input_schema": json.loads(schema), "cache_control": {"type": "ephemeral"}},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        {"name": "h", "input_schema": {"type": "object"}},
        {
            "name": "s",
            "strict": True,
            "input_schema": {
                "type": "object",
                "properties": {"n": {"type": "number", "description": "(minimum: 1.0)"}},
                "additionalProperties": False,
            },
        },
    ]
    assert "tool_choice" not in body
    assert header == "emulated=tool_strict"


def test_a_schema_that_is_sent_keeps_its_bytes():
    schema = '{"type": "object",  "properties": {"a": {"const": 1.0}}}'
    raw = vendor.encode_chat(
        ChatRequest(model="m", messages=(HI,), tools=(Tool(name="f", schema=schema),)), NEW, Notes()
    )
    assert schema.encode() in raw


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, True, {"type": "auto", "disable_parallel_tool_use": False}),
        (ToolChoice(mode="auto"), None, {"type": "auto"}),
        (ToolChoice(mode="required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice(mode="tool", name="f"), None, {"type": "tool", "name": "f"}),
        (ToolChoice(mode="none"), False, {"type": "none"}),
    ],
)
def test_tool_choice(choice, parallel, expected):
    fields = {"tool_choice": choice, "parallel_tools": parallel}
    assert sent(tools=(Tool(name="f"),), **fields)["tool_choice"] == expected
    assert "tool_choice" not in sent(**fields)


@pytest.mark.parametrize(
    ("reasoning", "model", "thinking", "effort", "header"),
    [
        (None, NEW, None, None, ""),
        (Reasoning(), NEW, None, None, ""),
        (Reasoning(show=True), NEW, None, None, ""),
        (Reasoning(enabled=False), NEW, {"type": "disabled"}, None, ""),
        (Reasoning(enabled=False, effort="low"), NEW, {"type": "disabled"}, "low", ""),
        (Reasoning(effort="none"), OLD, {"type": "disabled"}, None, ""),
        (Reasoning(enabled=False), "claude-fable-5", None, None, "dropped=reasoning_off"),
        (Reasoning(effort="high"), NEW, {"type": "adaptive"}, "high", ""),
        (Reasoning(effort="minimal"), NEW, {"type": "adaptive"}, "low", "emulated=reasoning_effort"),
        (
            Reasoning(enabled=True, budget_tokens=-1, show=True),
            NEW,
            {"type": "adaptive", "display": "summarized"},
            None,
            "",
        ),
        (Reasoning(budget_tokens=2000), NEW, {"type": "adaptive"}, "low", "emulated=reasoning_budget"),
        (Reasoning(budget_tokens=9000, effort="high"), NEW, {"type": "adaptive"}, "high", "emulated=reasoning_budget"),
        (Reasoning(budget_tokens=9000), NEW, {"type": "adaptive"}, "medium", "emulated=reasoning_budget"),
        (Reasoning(budget_tokens=20000), NEW, {"type": "adaptive"}, "high", "emulated=reasoning_budget"),
        (
            Reasoning(budget_tokens=2000, show=False),
            OLD,
            {"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
            None,
            "",
        ),
        (
            Reasoning(budget_tokens=10),
            OLD,
            {"type": "enabled", "budget_tokens": 1024},
            None,
            "emulated=reasoning_budget",
        ),
        (
            Reasoning(budget_tokens=9000),
            OLD,
            {"type": "enabled", "budget_tokens": 2000},
            None,
            "emulated=reasoning_budget",
        ),
        (Reasoning(effort="low"), OLD, {"type": "enabled", "budget_tokens": 2048}, None, "emulated=reasoning_effort"),
        (Reasoning(enabled=True), OLD, {"type": "enabled", "budget_tokens": 2000}, None, "emulated=reasoning_budget"),
    ],
)
def test_thinking(reasoning, model, thinking, effort, header):
    body, said = noted(reasoning=reasoning, model=model)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert said == header
    assert body["max_tokens"] == 4000


def test_a_bound_too_small_to_think_in():
    body, header = noted(reasoning=Reasoning(effort="high"), model=OLD, max_output_tokens=1000)
    assert "thinking" not in body
    assert header == "dropped=reasoning_budget; emulated=reasoning_effort"


@pytest.mark.parametrize(
    ("model", "reasoning", "most"),
    [
        (NEW, None, 8192),
        ("claude-opus-5", None, 16384),
        ("claude-opus-5", Reasoning(enabled=False), 8192),
        ("claude-mythos-preview", Reasoning(enabled=False), 16384),
        ("another", None, 8192),
        (NEW, Reasoning(effort="high"), 16384),
        (OLD, Reasoning(budget_tokens=10000), 18192),
        (OLD, Reasoning(enabled=False), 8192),
    ],
)
def test_a_bound_that_is_not_stated_is_declared(model, reasoning, most):
    body, header = noted(model=model, reasoning=reasoning, max_output_tokens=None)
    assert body["max_tokens"] == most
    assert "max_output_tokens" in header.partition("emulated=")[2]
    assert sent(max_output_tokens=0)["max_tokens"] == 0


@pytest.mark.parametrize(
    ("model", "budgeted"),
    [
        ("claude-3-7-sonnet-20250219", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-opus-4-1-20250805", True),
        ("claude-opus-4-5", True),
        ("claude-haiku-4-5@20251001", True),
        ("claude-opus-4-6", False),
        ("claude-sonnet-4-6", False),
        ("claude-opus-5", False),
        ("claude-sonnet-5-20260901", False),
        ("claude-fable-5-1", False),
        ("another", False),
    ],
)
def test_generations_of_models(model, budgeted):
    thinking = sent(model=model, reasoning=Reasoning(budget_tokens=2000))["thinking"]
    assert (thinking["type"] == "enabled") == budgeted


def test_structured_output_is_native():
    closed = '{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}'
    body, header = noted(format=Format(kind="schema", name="x", schema=closed, strict=True))
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": json.loads(closed)}}
    assert header == ""
    body, header = noted(
        format=Format(kind="schema", schema='{"type":"object"}'), reasoning=Reasoning(effort="low"), model=NEW
    )
    assert body["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}},
    }
    assert header == "emulated=format_schema"


def test_json_without_a_schema_is_asked_for():
    body, header = noted(format=Format(kind="json"))
    assert "JSON object" in body["system"][-1]["text"]
    assert header == "emulated=format_json"
    assert "system" not in sent(format=Format(kind="text"))


def test_names_in_a_schema_are_no_keywords():
    given = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "minimum": {"type": "string"},
            "oneOf": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        },
        "enum": [{"maximum": 1}],
    }
    raw = json.dumps(given)
    assert (bytes(fit(raw)[0]).decode(), fit(raw)[1]) == (raw, False)


def test_bounds_move_into_descriptions_wherever_they_are():
    given = {
        "$defs": {"d": {"type": "object", "properties": {}}},
        "oneOf": [{"type": "string", "description": "A name.", "maxLength": 3, "minLength": 1}],
        "items": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/d"}},
    }
    fitted, changed = fit(json.dumps(given))
    assert changed
    assert json.loads(bytes(fitted)) == {
        "$defs": {"d": {"type": "object", "properties": {}, "additionalProperties": False}},
        "anyOf": [{"type": "string", "description": "A name. (maxLength: 3, minLength: 1)"}],
        "items": {"type": "array", "items": {"$ref": "#/$defs/d"}, "description": "(minItems: 2)"},
    }
    assert fit("{")[1] is False


@pytest.mark.parametrize(
    ("model", "reasoning", "stated", "kept"),
    [
        ("another", None, {"temperature": 0.5, "top_p": 0.9, "top_k": 3}, {"temperature", "top_p", "top_k"}),
        (
            "claude-3-7-sonnet-20250219",
            None,
            {"temperature": 0.5, "top_p": 0.9, "top_k": 3},
            {"temperature", "top_p", "top_k"},
        ),
        (OLD, None, {"temperature": 0.5, "top_p": 0.9, "top_k": 3}, {"temperature", "top_k"}),
        (OLD, None, {"top_p": 0.9}, {"top_p"}),
        ("claude-opus-4-6", None, {"temperature": 0.5, "top_p": 0.9}, {"temperature"}),
        (OLD, Reasoning(effort="low"), {"temperature": 0.5, "top_p": 0.96, "top_k": 3}, {"top_p"}),
        (OLD, Reasoning(effort="low"), {"temperature": 1.0, "top_k": 3}, {"temperature"}),
        (OLD, Reasoning(enabled=False), {"temperature": 0.5, "top_k": 3}, {"temperature", "top_k"}),
        (NEW, None, {"temperature": 1.7, "top_p": 0.9, "top_k": 3}, set()),
        ("claude-mythos-preview", None, {"temperature": 0.5}, set()),
        ("claude-opus-5.5", None, {"temperature": 0.5}, set()),
    ],
)
def test_samplers_that_a_model_refuses_are_left_out_and_noted(model, reasoning, stated, kept):
    body, header = noted(model=model, reasoning=reasoning, **stated)
    assert {name: body[name] for name in stated if name in body} == {name: stated[name] for name in kept}
    dropped = header.partition("dropped=")[2].partition(";")[0]
    assert set(filter(None, dropped.split(","))) == stated.keys() - kept


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("claude-3-7-sonnet-20250219", (3, 7)),
        ("claude-3-opus-latest", (3, 0)),
        ("claude-opus-4-20250514", (4, 0)),
        ("anthropic/claude-sonnet-4-6", (4, 6)),
        ("claude-haiku-4-5@20251001", (4, 5)),
        ("claude-opus-5", (5, 0)),
        ("claude-fable-5-1", (5, 1)),
        ("claude-mythos-preview", (5, 0)),
        ("claude-instant", None),
        ("gpt-4.1", None),
    ],
)
def test_versions_are_read_from_names(model, version):
    assert generation(model) == version
