"""Gemini as a vendor: what is sent, what is noted or refused, and what its answers mean."""

import json

import pytest

from heddle.model.call import Usage
from heddle.wire.canonical.answer import (
    Began,
    ChoiceEnded,
    Ended,
    Failed,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
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
from heddle.wire.llm.gemini import codec, signatures, vendor
from heddle.wire.llm.gemini.dialect import decode_chat

HI = Message(role="user", parts=(Text(text="hi"),))


def encode(*messages, model="gemini-3-flash", notes=None, **fields):
    request = ChatRequest(model="m", messages=messages or (HI,), **fields)
    return json.loads(vendor.encode_chat(request, model, notes or Notes()))


def contents(*messages, **fields):
    return encode(*messages, **fields)["contents"]


def test_the_smallest():
    assert encode() == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_instructions_stand_apart_and_turns_are_merged():
    notes = Notes()
    sent = encode(
        Message(role="system", parts=(Text(text="a"), Text(text=""))),
        HI,
        Message(role="developer", parts=(Text(text="b"),)),
        HI,
        notes=notes,
    )
    assert sent["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert sent["contents"] == [{"role": "user", "parts": [{"text": "hi"}, {"text": "hi"}]}]
    assert notes.emulated == ["late_instructions"]


def test_every_setting():
    sent = encode(
        max_output_tokens=5,
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        stop=("x",),
        seed=1,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        choices=2,
        logprobs=4,
        format=Format(kind="schema", schema='{"type": "object"}'),
        reasoning=Reasoning(effort="low", show=True),
        service_tier="default",
        tools=(Tool(name="f", description="d", schema='{"type":"object","x":1e999}'), Tool(name="g")),
        tool_choice=ToolChoice(mode="tool", name="f"),
    )
    assert sent["generationConfig"] == {
        "maxOutputTokens": 5,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 3,
        "stopSequences": ["x"],
        "seed": 1,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 4,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
    }
    assert sent["serviceTier"] == "standard"
    assert sent["tools"][0]["functionDeclarations"][1] == {"name": "g"}
    assert sent["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": ["f"]}


def test_schemas_keep_their_bytes():
    request = ChatRequest(model="m", messages=(HI,), tools=(Tool(name="f", schema='{ "x":1e999 }'),))
    assert b'"parametersJsonSchema":{ "x":1e999 }' in vendor.encode_chat(request, "g", Notes())


@pytest.mark.parametrize(
    ("model", "wanted", "config", "emulated"),
    [
        ("gemini-3-pro", Reasoning(effort="high"), {"thinkingLevel": "HIGH"}, []),
        ("gemini-2.5-flash", Reasoning(effort="medium"), {"thinkingBudget": 8192}, ["reasoning_effort"]),
        ("gemini-3-pro", Reasoning(budget_tokens=-1), {"thinkingBudget": -1}, []),
        ("gemini-2.5-flash", Reasoning(enabled=False), {"thinkingBudget": 0}, []),
        ("gemini-2.5-pro", Reasoning(effort="none"), {"thinkingBudget": 128}, ["reasoning_off"]),
        ("gemini-3-pro", Reasoning(enabled=False), {"thinkingLevel": "LOW"}, ["reasoning_off"]),
        ("google/gemini-3-flash", Reasoning(enabled=False), {"thinkingLevel": "MINIMAL"}, ["reasoning_off"]),
        ("gemini-3-flash", Reasoning(show=False), {"includeThoughts": False}, []),
    ],
)
def test_each_family_thinks_in_its_own_way(model, wanted, config, emulated):
    notes = Notes()
    assert encode(model=model, reasoning=wanted, notes=notes)["generationConfig"] == {"thinkingConfig": config}
    assert notes.emulated == emulated


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (
            Media(kind="image", media_type="image/png", data="aGk="),
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        ),
        (Media(kind="document", text="hi"), {"inlineData": {"mimeType": "text/plain", "data": "aGk="}}),
        (
            Media(kind="image", url="https://x/a.JPG?b"),
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x/a.JPG?b"}},
        ),
        (Media(kind="image", url="https://x/a"), {"fileData": {"fileUri": "https://x/a"}}),
        (
            Media(kind="video", file_id="gs://b/o.mp4"),
            {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/o.mp4"}},
        ),
        (Refusal(text="no"), {"text": "no"}),
    ],
)
def test_parts(part, sent):
    assert contents(Message(role="user", parts=(part,))) == [{"role": "user", "parts": [sent]}]


CALLS = Message(
    role="assistant",
    parts=(
        Thinking(text="hm", signature="anthropic.x"),
        Text(text=""),
        ToolCall(id="1", name="f", arguments='{"a":1}', signature="anthropic.y"),
        ToolCall(id="2", name="g", arguments=""),
    ),
)
RESULTS = Message(
    role="user",
    parts=(
        Text(text="and"),
        ToolResult(call_id="1", parts=(Text(text="one"), Text(text="!"))),
        ToolResult(
            call_id="2",
            parts=(Text(text="bad"), Media(kind="image", media_type="image/png", data="aGk=")),
            is_error=True,
        ),
    ),
)


def test_calls_and_results_with_a_history_of_another_vendor():
    notes = Notes()
    assert contents(HI, CALLS, RESULTS, notes=notes)[1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": signatures.FOREIGN},
                {"functionCall": {"id": "2", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "1", "name": "f", "response": {"output": "one!"}}},
                {
                    "functionResponse": {
                        "id": "2",
                        "name": "g",
                        "response": {"error": "bad"},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
                    }
                },
            ],
        },
        {"role": "user", "parts": [{"text": "and"}]},
    ]
    assert (notes.dropped, notes.emulated) == (["thinking"], ["thinking"])


def test_older_models_want_no_signature():
    notes = Notes()
    sent = contents(HI, CALLS, RESULTS, model="gemini-2.5-flash", notes=notes)
    assert "thoughtSignature" not in json.dumps(sent)
    assert notes.emulated == []


def test_own_signatures_go_back_verbatim():
    said = Message(
        role="assistant",
        parts=(
            Thinking(text="hm", signature="gemini.AA=="),
            Text(text="so"),
            Thinking(signature="gemini.BB=="),
            ToolCall(id="1", name="f", signature="gemini.CC=="),
            ToolCall(id="2", name="f"),
        ),
    )
    notes = Notes()
    assert contents(HI, said, notes=notes)[1]["parts"] == [
        {"text": "hm", "thought": True, "thoughtSignature": "AA=="},
        {"text": "so"},
        {"text": "", "thoughtSignature": "BB=="},
        {"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "CC=="},
        {"functionCall": {"id": "2", "name": "f", "args": {}}},
    ]
    assert (notes.dropped, notes.emulated) == ([], [])


def test_what_is_left_out_is_noted():
    notes = Notes()
    encode(
        Message(role="user", name="bob", parts=(Text(text="x", cache=Cache()),)),
        tools=(Tool(name="f", strict=True),),
        parallel_tools=False,
        user="u",
        metadata="{}",
        service_tier="scale",
        other=("store",),
        notes=notes,
    )
    assert sorted(notes.dropped) == [
        "cache", "metadata", "parallel_tools_off", "participant", "service_tier", "store", "tool_strict", "user",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": '{"1":2}'}, "logit_bias"),
        ({"hosted_tools": (HostedTool(type="web_search"),)}, "tools"),
        ({"messages": (Message(role="user", parts=(Media(kind="image", file_id="file-1"),)),)}, "messages[0]"),
        ({"messages": (Message(role="user", parts=(Media(kind="image", url="ftp://x/"),)),)}, "messages"),
    ],
)
def test_what_cannot_cross_is_refused(fields, param):
    request = ChatRequest(**{"model": "m", "messages": (HI,), **fields})
    with pytest.raises(UntranslatableError) as caught:
        vendor.encode_chat(request, "g", Notes())
    assert caught.value.param == param


@pytest.mark.parametrize(
    "message",
    [
        Message(role="system", parts=(Text(text="only"),)),
        Message(role="user", parts=(Text(text=""),)),
        Message(role="assistant", parts=(ToolCall(id="1", name="f", arguments="[1]"),)),
        Message(role="assistant", parts=(ToolCall(id="1", name="f", arguments="{"),)),
        Message(role="user", parts=(ToolResult(call_id="1"),)),
        Message(role="user", parts=(Media(kind="image", data="aGk="),)),
        Message(role="user", parts=(Media(kind="image", url="https://[x"),)),
        Message(role="system", parts=(ToolCall(id="1", name="f"),)),
    ],
)
def test_what_cannot_be_said(message):
    with pytest.raises(ProtocolError) as caught:
        contents(message, *([HI] if message.parts and isinstance(message.parts[0], ToolCall) else []))
    assert caught.value.param == "messages"


def test_a_callers_own_request_survives_both_directions():
    sent = {
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "hi"}, {"fileData": {"fileUri": "gs://b/o.png", "mimeType": "image/png"}}],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "t", "thought": True, "thoughtSignature": "AAAA"},
                    {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "BBBB"},
                ],
            },
            {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"output": "x"}}}]},
        ],
        "systemInstruction": {"parts": [{"text": "s"}]},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {
            "seed": 1,
            "thinkingConfig": {"thinkingLevel": "LOW"},
            "responseMimeType": "application/json",
        },
    }
    body = json.dumps(sent).encode()
    request = decode_chat(body, codec.decode_request(body, "/v1beta/models/gemini-3-pro:generateContent"))
    notes = Notes()
    assert json.loads(vendor.encode_chat(request, "gemini-3-pro", notes)) == sent
    assert notes.header() == b""


# Answers


def answered(*parts, finish="STOP", **fields):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return json.dumps({"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-3", **fields}).encode()


def test_a_whole_answer():
    answer = vendor.decode_answer(
        answered(
            {"text": "h", "thought": True},
            {"text": "m", "thought": True, "thoughtSignature": "AA=="},
            {"text": "a"},
            {"text": "b", "thoughtSignature": "BB=="},
            {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "CC=="},
            {"functionCall": {"name": "f", "args": {"x": 1}, "id": "mine"}},
            usageMetadata={"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 5},
        )
    )
    assert (answer.id, answer.model) == ("r1", "gemini-3")
    assert answer.usage == Usage(input_tokens=3, output_tokens=9, reasoning_tokens=5)
    (choice,) = answer.choices
    made = choice.parts[3].id
    assert choice.parts == (
        Thinking(text="hm", signature="gemini.AA=="),
        Text(text="ab"),
        Thinking(signature="gemini.BB=="),
        ToolCall(id=made, name="f", arguments='{"x": 1}', signature="gemini.CC=="),
        ToolCall(id="mine", name="f", arguments='{"x": 1}'),
    )
    assert choice.stop == "tool_use"
    assert made.startswith("call_")
    assert len(made) == 29


def test_made_ids_are_stable_and_apart():
    body = answered(*[{"functionCall": {"name": "f", "args": {}}}] * 3)
    ids = [part.id for part in vendor.decode_answer(body).choices[0].parts]
    assert len(set(ids)) == 3
    assert ids == [part.id for part in vendor.decode_answer(body).choices[0].parts]
    other = answered(*[{"functionCall": {"name": "f", "args": {}}}], responseId="r2")
    assert vendor.decode_answer(other).choices[0].parts[0].id not in ids


@pytest.mark.parametrize(
    ("finish", "stop"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("OTHER", "content_filter"),
        ("SOMETHING_NEW", "content_filter"),
        ("CONTINUATION", "pause"),
    ],
)
def test_why_it_ended(finish, stop):
    assert vendor.decode_answer(answered({"text": "a"}, finish=finish)).choices[0].stop == stop


def test_a_blocked_prompt():
    body = b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}'
    answer = vendor.decode_answer(body)
    assert [(choice.stop, choice.parts) for choice in answer.choices] == [("content_filter", ())]
    assert answer.usage == Usage(input_tokens=3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"candidates":[]}',
        b'{"candidates":[{"content":{"parts":[{"text":3}]}}]}',
        answered({"text": "a"}, finish=None),
        answered({"text": "a"}, finish="MALFORMED_FUNCTION_CALL"),
        answered({"inlineData": {"mimeType": "image/png", "data": ""}}),
        answered({"functionCall": {"name": "f", "willContinue": True}}),
    ],
)
def test_what_is_no_answer(body):
    with pytest.raises(ProtocolError):
        vendor.decode_answer(body)


def test_log_probabilities():
    candidate = {
        "content": {"parts": [{"text": "é"}]},
        "finishReason": "STOP",
        "logprobsResult": {
            "chosenCandidates": [{"token": "é", "logProbability": -0.5}],
            "topCandidates": [{"candidates": [{"token": "e", "logProbability": -1}]}],
        },
    }
    (choice,) = vendor.decode_answer(json.dumps({"candidates": [candidate]}).encode()).choices
    assert json.loads(choice.logprobs) == [
        {
            "token": "é",
            "logprob": -0.5,
            "bytes": [195, 169],
            "top_logprobs": [{"token": "e", "logprob": -1, "bytes": [101]}],
        }
    ]


def sse(*chunks):
    return b"".join(
        b"data: %b\r\n\r\n" % (chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode()) for chunk in chunks
    )


def run(data):
    decoder = vendor.open_decoder()
    return [*decoder.feed(data), *decoder.finish()]


def test_a_stream():
    used = {"promptTokenCount": 3, "candidatesTokenCount": 1}
    events = run(
        sse(
            answered({"text": "h", "thought": True}, finish=None, usageMetadata={"promptTokenCount": 3}),
            answered({"text": "m", "thought": True, "thoughtSignature": "AA=="}, finish=None),
            answered({"text": "a"}, finish=None),
            answered({"text": "b"}, {"functionCall": {"name": "f", "args": {"x": 1}, "id": "1"}}, finish=None),
            answered({"text": ""}, usageMetadata=used),
        )
    )
    assert events == [
        Began(id="r1", model="gemini-3", usage=Usage(input_tokens=3)),
        PartBegan(index=0, kind="thinking"),
        PartDelta(index=0, text="h"),
        PartDelta(index=0, text="m", signature="gemini.AA=="),
        PartEnded(index=0),
        PartBegan(index=1, kind="text"),
        PartDelta(index=1, text="a"),
        PartDelta(index=1, text="b"),
        PartEnded(index=1),
        PartBegan(index=2, kind="tool_call", id="1", name="f"),
        PartDelta(index=2, text='{"x": 1}'),
        PartEnded(index=2),
        ChoiceEnded(stop="tool_use"),
        Used(usage=Usage(input_tokens=3, output_tokens=1)),
        Ended(),
    ]


def test_made_ids_are_the_same_whole_and_streamed():
    body = answered({"text": "a"}, {"functionCall": {"name": "f", "args": {}}})
    (began,) = [event for event in run(sse(body)) if isinstance(event, PartBegan) and event.kind == "tool_call"]
    assert began.id == vendor.decode_answer(body).choices[0].parts[1].id


def test_candidates_are_apart():
    def chunk(index, text, finish=None):
        return {"candidates": [{"index": index, "content": {"parts": [{"text": text}]}, "finishReason": finish}]}

    events = run(sse(chunk(0, "a"), chunk(1, "b"), chunk(0, "c", "STOP"), chunk(1, "d", "MAX_TOKENS")))
    assert [(e.choice, e.text) for e in events if isinstance(e, PartDelta)] == [(0, "a"), (1, "b"), (0, "c"), (1, "d")]
    assert [(e.choice, e.stop) for e in events if isinstance(e, ChoiceEnded)] == [(0, "stop"), (1, "length")]
    assert run(sse(chunk(0, "a", "STOP"), chunk(1, "b")))[-1] == Failed(
        detail="The provider ended the stream before the answer was complete."
    )


@pytest.mark.parametrize(
    ("data", "failed"),
    [
        (b"", (502, False)),
        (sse(answered({"text": "a"}, finish=None)), (502, False)),
        (sse(answered({"text": "a"})) + b"data: {", (502, False)),
        (sse(answered({"text": "a"}), answered({"text": "b"})), (502, False)),
        (sse(answered({"text": "a"}, finish="MALFORMED_FUNCTION_CALL")), (502, True)),
        (sse(answered({"fileData": {"fileUri": "x"}})), (502, False)),
        (sse(b"{"), (502, False)),
        (sse(b'{"candidates":3}'), (502, False)),
        (sse(b'{"candidates":[{"index":999}]}'), (502, False)),
        (sse(b'{"error":{"code":503,"status":"UNAVAILABLE","message":"secret"}}'), (503, True)),
        (sse(b'{"error":{"code":403}}'), (502, True)),
        (sse(b'{"error":"x"}'), (502, True)),
        (b"data: " + b"x" * 2_000_000, (502, False)),
    ],
)
def test_a_stream_that_breaks(data, failed):
    last = run(data)[-1]
    assert isinstance(last, Failed)
    assert (last.status, last.retryable) == failed
    assert "secret" not in last.detail


def test_nothing_follows_a_failure():
    decoder = vendor.open_decoder()
    assert len(decoder.feed(sse(b"{", answered({"text": "a"})))) == 1
    assert decoder.feed(sse(answered({"text": "a"}))) == []
    assert decoder.finish() == []


def test_a_blocked_prompt_in_a_stream():
    events = run(sse(b'{"promptFeedback":{"blockReason":"SAFETY"}}'))
    assert events == [Began(), ChoiceEnded(stop="content_filter"), Ended()]
