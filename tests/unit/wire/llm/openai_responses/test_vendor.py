"""The provider's side: what is sent for each feature, what is refused or noted, and what answers mean."""

import json

import pytest
from tests.unit.wire.llm.openai_responses.said import CALL, CREATED, LOGPROBS, OTHER_CALL, answer, call

from heddle.model.call import Usage
from heddle.wire.canonical.answer import ChatAnswer, Choice
from heddle.wire.canonical.request import (
    Cache,
    ChatRequest,
    Format,
    HostedTool,
    Media,
    Message,
    Part,
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
from heddle.wire.llm.openai_responses import codec, dialect, vendor

HI = Message(role="user", parts=(Text(text="hi"),))


def encode(*messages: Message, notes: Notes | None = None, **fields: object) -> dict:
    asked = ChatRequest(model="x", messages=messages or (HI,), **fields)  # type: ignore[arg-type]
    return json.loads(vendor.encode_chat(asked, "o1-pro", notes or Notes()))


def items(*parts: Part, role: str = "user") -> list[dict]:
    return encode(Message(role=role, parts=parts))["input"]  # type: ignore[arg-type]


def test_a_plain_request_says_nothing_more_than_it_must():
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    assert encode() == {"model": "o1-pro", "input": [said], "store": False}


def test_everything_stated_is_sent():
    body = encode(
        stream=True,
        max_output_tokens=99,
        temperature=0.5,
        top_p=0.9,
        parallel_tools=False,
        tools=(Tool(name="look", description="d", schema='{"type":"object"}', strict=True), Tool(name="bare")),
        tool_choice=ToolChoice(mode="tool", name="look"),
        format=Format(kind="schema", name="n", description="d", schema='{"a":1}', strict=True),
        reasoning=Reasoning(effort="high", show=True),
        logprobs=2,
        user="u",
        metadata='{"a":"b"}',
        service_tier="flex",
    )
    del body["input"]
    assert body == {
        "model": "o1-pro",
        "store": False,
        "stream": True,
        "max_output_tokens": 99,
        "temperature": 0.5,
        "top_p": 0.9,
        "parallel_tool_calls": False,
        "tools": [
            {"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}, "strict": True},
            {
                "type": "function",
                "name": "bare",
                "parameters": {"type": "object", "properties": {}},
                "strict": False,
            },
        ],
        "tool_choice": {"type": "function", "name": "look"},
        "text": {
            "format": {"type": "json_schema", "name": "n", "description": "d", "schema": {"a": 1}, "strict": True}
        },
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "top_logprobs": 2,
        "user": "u",
        "metadata": {"a": "b"},
        "service_tier": "flex",
    }


@pytest.mark.parametrize(
    ("reasoning", "said"),
    [
        (Reasoning(enabled=False), {"effort": "none"}),
        (Reasoning(effort="none"), {"effort": "none"}),
        (Reasoning(budget_tokens=1024), {"effort": "low"}),
        (Reasoning(budget_tokens=4097), {"effort": "medium"}),
        (Reasoning(budget_tokens=60_000), {"effort": "high"}),
        (Reasoning(budget_tokens=-1), None),
        (Reasoning(budget_tokens=-1, show=True), {"summary": "auto"}),
    ],
)
def test_reasoning(reasoning, said):
    body = encode(reasoning=reasoning)
    assert body.get("reasoning") == said
    assert ("include" in body) == (said != {"effort": "none"})


def test_json_without_a_schema():
    assert encode(format=Format(kind="json"))["text"] == {"format": {"type": "json_object"}}
    assert "text" not in encode(format=Format(kind="text"))


def test_a_conversation():
    body = encode(
        Message(role="system", parts=(Text(text="s"),)),
        HI,
        Message(
            role="assistant", parts=(Thinking(text="t", signature="openai.Z0"), Text(text="a"), Text(text=""), CALL)
        ),
        Message(role="user", parts=(ToolResult(call_id=CALL.id, parts=(Text(text="r"),)), Text(text="go"))),
        Message(role="developer", parts=(Text(text="d"),)),
        Message(role="assistant", parts=(Refusal(text="n"),)),
        HI,
    )
    assert body["input"] == [
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "s"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "Z0"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a", "annotations": []}],
        },
        {"type": "function_call", "call_id": CALL.id, "name": "look", "arguments": CALL.arguments},
        {"type": "function_call_output", "call_id": CALL.id, "output": "r"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "d"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "n"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    ]
    # Its own thinking is replayed, so this model reasons.
    assert body["include"] == ["reasoning.encrypted_content"]


@pytest.mark.parametrize(
    "foreign", [Thinking(text="t"), Thinking(text="t", signature="anthropic.x"), Thinking(redacted="bedrock.x")]
)
def test_thinking_of_others_stays_here_and_is_noted(foreign):
    notes = Notes()
    body = encode(HI, Message(role="assistant", parts=(foreign, foreign, Text(text="a"))), HI, notes=notes)
    assert [item["type"] for item in body["input"]] == ["message"] * 3
    assert "include" not in body
    assert notes.header() == b"dropped=thinking"


@pytest.mark.parametrize(
    ("media", "said"),
    [
        (
            Media(kind="image", media_type="image/png", data="aGk=", detail="low"),
            {"type": "input_image", "detail": "low", "image_url": "data:image/png;base64,aGk="},
        ),
        (
            Media(kind="image", url="https://x/"),
            {"type": "input_image", "detail": "auto", "image_url": "https://x/"},
        ),
        (
            Media(kind="document", media_type="application/pdf", data="aGk=", name="a.pdf"),
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="},
        ),
        (
            Media(kind="document", data="aGk="),
            {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,aGk="},
        ),
        (Media(kind="document", url="https://x/"), {"type": "input_file", "file_url": "https://x/"}),
        (Media(kind="document", text="t", name="n"), {"type": "input_text", "text": "n:\nt"}),
        (Media(kind="document", text="t"), {"type": "input_text", "text": "t"}),
    ],
)
def test_media(media, said):
    (item,) = items(media)
    assert item["content"] == [said]
    (result,) = items(ToolResult(call_id="1", parts=(Text(text=""), media)))
    assert result["output"] == [said]


@pytest.mark.parametrize(
    ("result", "output"),
    [
        (ToolResult(call_id="1"), ""),
        (ToolResult(call_id="1", parts=(Text(text="a"), Text(text="b"))), "a\nb"),
        (ToolResult(call_id="1", parts=(Text(text="a"),), is_error=True), "Error:\na"),
    ],
)
def test_results(result, output):
    assert items(result) == [{"type": "function_call_output", "call_id": "1", "output": output}]


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        ({"seed": 1, "top_k": 2, "presence_penalty": 0.1, "frequency_penalty": 0.1}, "top_k,seed,presence_penalty"),
        ({"other": ("modalities",)}, "modalities"),
        ({"service_tier": "standard_only"}, "service_tier"),
    ],
)
def test_what_is_dropped_is_noted_and_not_sent(fields, header):
    notes = Notes()
    body = encode(notes=notes, **fields)
    assert set(body) == {"model", "input", "store"}
    assert notes.header().decode().startswith(f"dropped={header}")


def test_marks_and_names_are_dropped():
    notes = Notes()
    marked = Message(role="user", parts=(Text(text="hi", cache=Cache()),), name="bob")
    assert encode(marked, notes=notes) == encode()
    assert notes.header() == b"dropped=participant,cache"


@pytest.mark.parametrize(
    "fields",
    [
        {"stop": ("x",)},
        {"choices": 2},
        {"logit_bias": "{}"},
        {"hosted_tools": (HostedTool(type="web_search_20250305"),)},
    ],
)
def test_what_would_change_the_question_is_refused(fields):
    with pytest.raises(UntranslatableError, match="OpenAI responses"):
        encode(**fields)


@pytest.mark.parametrize(
    ("role", "media"),
    [
        ("user", Media(kind="audio", data="aGk=", media_type="audio/wav")),
        ("user", Media(kind="video", url="https://x/")),
        ("user", Media(kind="image", file_id="file-1")),
        ("assistant", Media(kind="image", data="aGk=", media_type="image/png")),
    ],
)
def test_media_that_cannot_be_put_in(role, media):
    with pytest.raises(UntranslatableError):
        encode(Message(role=role, parts=(media,)), HI)


def answered(*output: dict, **fields: object) -> ChatAnswer:
    body = {"id": "resp_1", "object": "response", "model": "o1-pro", "status": "completed", "output": list(output)}
    return vendor.decode_answer(json.dumps(body | fields, separators=(",", ":")).encode())


def message(*content: dict) -> dict:
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": list(content)}


def test_an_answer_in_full():
    given = answered(
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "encrypted_content": "Z0",
        },
        {"type": "reasoning", "id": "rs_2", "summary": []},
        {"type": "web_search_call", "id": "ws_1", "content": "odd"},
        message({"type": "output_text", "text": "Hi", "annotations": [], "logprobs": json.loads(LOGPROBS)}),
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": '{"at": "loom"}'},
        {"type": "custom_tool_call", "call_id": "2", "name": "patch", "input": "x"},
        usage={"input_tokens": 5, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 2}},
    )
    choice = Choice(
        parts=(
            Thinking(text="a\n\nb", signature="openai.Z0"),
            Text(text="Hi"),
            ToolCall(id="call_1", name="look", arguments='{"at": "loom"}'),
            ToolCall(id="2", name="patch", arguments='{"input":"x"}'),
        ),
        stop="tool_use",
        logprobs=LOGPROBS,
    )
    used = Usage(input_tokens=5, output_tokens=3, cached_input_tokens=2)
    assert given == ChatAnswer(id="resp_1", model="o1-pro", choices=(choice,), usage=used)


@pytest.mark.parametrize(
    ("fields", "stop"),
    [
        ({}, "stop"),
        ({"status": None}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete", "incomplete_details": None}, "length"),
        ({"output": [message({"type": "refusal", "refusal": "n"})]}, "refusal"),
    ],
)
def test_ends(fields, stop):
    assert answered(**fields).choices[0].stop == stop


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "sk-1"}}, "(server_error)"),
        ({"status": "failed"}, "error"),
        ({"status": "queued"}, "complete"),
        ({"status": "in_progress"}, "complete"),
        ({"status": "cancelled"}, "complete"),
    ],
)
def test_a_response_that_failed_or_is_not_finished_is_no_answer(fields, said):
    with pytest.raises(ProtocolError) as caught:
        answered(**fields)
    assert said in caught.value.detail
    assert "sk-1" not in caught.value.detail


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"output":{}}', b'{"output":[7]}', b'{"output":[{"type":"message","content":"x"}]}']
)
def test_what_is_no_response(body):
    with pytest.raises(ProtocolError) as caught:
        vendor.decode_answer(body)
    assert caught.value.malformed


def test_what_the_dialect_writes_the_vendor_reads():
    thought = Thinking(text="t", signature="openai.Z0")
    given = answer(thought, Text(text="a"), Refusal(text="r"), CALL, stop="tool_use")
    read = vendor.decode_answer(dialect.encode_answer(given, call(), CREATED))
    # A proof that left under a vendor's name is one more value to whoever speaks this format.
    assert read.choices[0].parts[1:] == given.choices[0].parts[1:]
    assert (read.usage, read.model, read.choices[0].stop) == (given.usage, given.model, "tool_use")


def test_what_the_vendor_sends_the_dialect_reads():
    messages = (
        HI,
        Message(role="assistant", parts=(Thinking(text="t", signature="openai.Z0"), Text(text="a"), CALL)),
        Message(role="user", parts=(ToolResult(call_id=CALL.id, parts=(Text(text="r"),)),)),
    )
    asked = ChatRequest(
        model="o1-pro",
        messages=messages,
        tools=(Tool(name="look", schema='{"type":"object"}', strict=False),),
        tool_choice=ToolChoice(mode="required"),
        format=Format(kind="schema", name="n", schema='{"a":1}'),
        reasoning=Reasoning(effort="low", show=True),
        logprobs=1,
        metadata='{"a":"b"}',
        user="u",
        stream=True,
    )
    body = vendor.encode_chat(asked, "o1-pro", Notes())
    assert dialect.decode_chat(body, codec.decode_request(body)) == asked


def test_proofs_of_calls_have_no_place_here():
    (_, item) = encode(HI, Message(role="assistant", parts=(OTHER_CALL,)))["input"]
    assert "gemini" not in json.dumps(item)
