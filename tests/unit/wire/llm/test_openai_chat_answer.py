"""Answers of other vendors as OpenAI's own SDK reads them: whole, and accumulated from chunks."""

import json

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from heddle.model.call import Usage
from heddle.wire.canonical.answer import (
    Began,
    ChatAnswer,
    Choice,
    ChoiceEnded,
    Ended,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.canonical.request import Refusal, Text, Thinking, ToolCall
from heddle.wire.llm import openai_chat
from heddle.wire.llm.codec import Dialect
from heddle.wire.llm.codecs import DIALECTS
from heddle.wire.llm.openai_chat_dialect import decode_chat, encode_answer, open_encoder

CREATED = 1_790_000_000
USAGE = Usage(input_tokens=9, output_tokens=5, cached_input_tokens=4, cache_write_tokens=2, reasoning_tokens=3)
LOGPROBS = '[{"token":"a","bytes":null,"logprob":-0.5,"top_logprobs":[]}]'
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def call(**fields):
    body = json.dumps({"model": "asked", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()
    return openai_chat.decode_request(body)


def whole(*choices, usage=USAGE, **fields):
    answer = ChatAnswer(id="c1", model="given", choices=choices, usage=usage)
    body = encode_answer(answer, call(**fields), CREATED)
    return json.loads(body), ChatCompletion.model_validate_json(body, strict=True)


def test_it_is_a_dialect():
    dialect: Dialect = DIALECTS["openai_chat"]
    assert dialect.decode_chat is decode_chat


def test_a_whole_answer():
    body, parsed = whole(Choice(parts=(Text(text="a"), Text(text="b")), logprobs=LOGPROBS))
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "ab", "refusal": None}
    assert (parsed.id, parsed.model, parsed.created, parsed.choices[0].finish_reason) == (
        "c1",
        "given",
        CREATED,
        "stop",
    )
    assert parsed.choices[0].logprobs.content[0].token == "a"
    assert parsed.usage.prompt_tokens_details.cached_tokens == 4
    assert parsed.usage.prompt_tokens_details.cache_write_tokens == 2
    assert parsed.usage.completion_tokens_details.reasoning_tokens == 3
    assert parsed.usage.total_tokens == 14


def test_what_the_vendor_did_not_name_is_what_was_asked_for():
    body = json.loads(encode_answer(ChatAnswer(id="", model="", choices=(Choice(),)), call(), CREATED))
    assert (body["model"], body["id"], "usage" in body) == ("asked", f"chatcmpl-{CREATED}", False)
    assert body["choices"][0]["message"]["content"] == ""


def test_calls_refusals_and_thinking():
    body, parsed = whole(
        Choice(
            parts=(
                Thinking(text="hm", signature="anthropic.sig"),
                Thinking(redacted="anthropic.secret"),
                ToolCall(id="a", name="f", arguments='{"x":1}', signature="gemini.proof"),
                ToolCall(id="b", name="g", signature="bedrock.other"),
            ),
            stop="tool_use",
        ),
        Choice(parts=(Refusal(text="no"),), stop="refusal"),
    )
    first = parsed.choices[0]
    assert (first.finish_reason, first.message.content) == ("tool_calls", None)
    assert [(one.id, one.function.name, one.function.arguments) for one in first.message.tool_calls] == [
        ("a", "f", '{"x":1}'),
        ("b", "g", "{}"),
    ]
    assert (parsed.choices[1].finish_reason, parsed.choices[1].message.refusal) == ("content_filter", "no")
    said = body["choices"][0]["message"]
    assert said["reasoning_content"] == "hm"
    assert said["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "proof"}}
    assert "extra_content" not in said["tool_calls"][1]


def test_proofs_come_back_from_a_replayed_message():
    parts = (
        Thinking(text="hm", signature="anthropic.sig"),
        Thinking(redacted="anthropic.secret"),
        Text(text="so"),
        ToolCall(id="a", name="f", arguments="{}", signature="gemini.proof"),
    )
    _, parsed = whole(Choice(parts=parts, stop="tool_use"))
    replayed = [{"role": "user", "content": "hi"}, parsed.choices[0].message.model_dump(exclude_none=True)]
    body = json.dumps({"model": "m", "messages": replayed}).encode()
    assert decode_chat(body, openai_chat.decode_request(body)).messages[1].parts == parts


def test_callers_of_functions_get_a_function_call():
    functions = [{"name": "f"}]
    calls = (ToolCall(id="a", name="f"), ToolCall(id="b", name="g"))
    _, parsed = whole(Choice(parts=calls, stop="tool_use"), functions=functions)
    said = parsed.choices[0]
    assert (said.finish_reason, said.message.function_call.name) == ("function_call", "f")
    assert [one.id for one in said.message.tool_calls] == ["b"]
    text = _text_of(chunks(CALLS, functions=functions))
    assert '"function_call":{"name":"f","arguments":""}' in text
    assert '"finish_reason":"function_call"' in text


# Streams

TEXT = (
    Began(id="c1", model="given"),
    PartBegan(index=0, kind="thinking"),
    PartDelta(index=0, text="h"),
    PartDelta(index=0, text="m"),
    PartDelta(index=0, signature="anthropic.sig"),
    PartEnded(index=0),
    PartBegan(index=1, kind="text"),
    PartDelta(index=1, text='"a\n', logprobs=LOGPROBS),
    PartDelta(index=1, text="\u2028é"),
    PartEnded(index=1),
    ChoiceEnded(stop="stop_sequence", stop_sequence="x"),
    Used(usage=Usage(input_tokens=1)),
    Used(usage=USAGE),
    Ended(),
)
CALLS = (
    Began(id="c1", model="given"),
    PartBegan(index=0, kind="tool_call", id="a", name="f"),
    PartBegan(index=1, kind="tool_call", id="b", name="g"),
    PartDelta(index=0, text='{"x":'),
    PartDelta(index=0, text="1}"),
    PartDelta(index=0, signature="gemini.proof"),
    PartEnded(index=0),
    PartEnded(index=1),
    ChoiceEnded(stop="tool_use"),
    Used(usage=USAGE),
    Ended(),
)


def chunks(events, **fields):
    encoder = open_encoder(call(stream=True, **fields), CREATED)
    return [encoder.encode(event) for event in events]


def _text_of(pieces):
    return b"".join(pieces).decode()


def accumulated(events, usage=False):
    """What the SDK's own accumulation makes of a stream."""
    sent = []

    def answer(request):
        sent.append(json.loads(request.content))
        stream = chunks(events, **({"stream_options": sent[0]["stream_options"]} if usage else {}))
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(stream))

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as http,
        openai.OpenAI(api_key="x", base_url="http://gateway/v1", http_client=http) as client,
    ):
        extra = {"stream_options": {"include_usage": True}} if usage else {}
        asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **extra}
        with client.chat.completions.stream(**asked) as stream:
            for _ in stream:
                pass
            return stream.get_final_completion()


def test_the_sdk_accumulates_text():
    got = accumulated(TEXT, usage=True)
    assert got.choices[0].message.content == '"a\n\u2028é'
    assert got.choices[0].finish_reason == "stop"
    assert got.choices[0].logprobs.content[0].token == "a"
    assert (got.id, got.model, got.created) == ("c1", "given", CREATED)
    assert got.usage.prompt_tokens_details.cached_tokens == 4
    said = got.choices[0].message.model_dump()
    assert said["reasoning_content"] == "hm"
    assert said["reasoning_details"][0]["signature"] == "anthropic.sig"
    assert said["reasoning_details"][0]["text"] == "hm"


def test_the_sdk_accumulates_parallel_calls():
    got = accumulated(CALLS).choices[0]
    assert got.finish_reason == "tool_calls"
    assert [(one.id, one.function.name, one.function.arguments) for one in got.message.tool_calls] == [
        ("a", "f", '{"x":1}'),
        ("b", "g", "{}"),
    ]
    extra = got.message.tool_calls[0].model_dump()["extra_content"]
    assert extra == {"google": {"thought_signature": "proof"}}


def test_usage_is_for_those_who_asked():
    asked = _text_of(chunks(TEXT, stream_options={"include_usage": True}))
    assert asked.count('"usage":null') == asked.count('"finish_reason"') > 0
    assert '"choices":[],"usage":{"prompt_tokens":9' in asked
    assert "usage" not in _text_of(chunks(TEXT))


@pytest.mark.parametrize("events", [TEXT, CALLS])
def test_every_chunk_is_one_of_the_sdks(events):
    pieces = [piece for piece in _text_of(chunks(events)).split("\n\n") if piece]
    assert pieces[-1] == "data: [DONE]"
    for piece in pieces[:-1]:
        parsed = ChatCompletionChunk.model_validate_json(piece.removeprefix("data: "), strict=True)
        assert parsed.object == "chat.completion.chunk"
        assert len(parsed.choices) == 1
    assert json.loads(pieces[0][6:])["choices"][0]["delta"]["role"] == "assistant"


def test_what_a_vendor_wrote_over_several_lines_stays_one_event():
    token = '[{"token":"a",\n\n\r\n"logprob":-0.5}]'
    delta = PartDelta(index=0, text="a", logprobs=token)
    piece = chunks((Began(), PartBegan(index=0, kind="text"), delta))[-1]
    assert piece.count(b"\n") == 2
    assert b"\r" not in piece
    assert json.loads(piece[6:])["choices"][0]["logprobs"]["content"] == [{"token": "a", "logprob": -0.5}]


def test_nothing_is_said_before_the_first_part():
    assert chunks([Began(id="c1")]) == [b""]


def test_each_choice_begins_and_ends_for_itself():
    events = (
        Began(),
        PartBegan(index=0, kind="text"),
        PartDelta(index=0, text="a"),
        PartBegan(choice=1, index=0, kind="refusal"),
        PartDelta(choice=1, index=0, text="no"),
        PartEnded(choice=1, index=0),
        ChoiceEnded(choice=1, stop="refusal"),
        PartEnded(index=0),
        ChoiceEnded(stop="length"),
        ChoiceEnded(choice=2, stop="stop"),
        Ended(),
    )
    seen = [json.loads(piece[6:])["choices"][0] for piece in _text_of(chunks(events, n=3)).split("\n\n")[:-2]]
    assert [one["index"] for one in seen if one["delta"].get("role")] == [0, 1, 2]
    assert {one["index"]: one["finish_reason"] for one in seen if one["finish_reason"]} == {
        0: "length",
        1: "content_filter",
        2: "stop",
    }
