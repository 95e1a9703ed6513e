"""Streams of this dialect: on their way through, and written for callers whose vendor speaks another one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.model.call import ModelCall, Usage
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
from heddle.wire.llm.gemini import codec, vendor
from heddle.wire.llm.gemini.dialect import encode_answer, open_encoder

CALL = ModelCall(operation="chat", dialect="gemini", model="asked", body=b"{}", stream=True)


def chunk(text="a", finish=None, index=0, **fields):
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": index, "finishReason": finish}
    return json.dumps({"candidates": [candidate], **fields}).encode()


def sse(*chunks, end=b"\r\n\r\n"):
    return b"".join(b"data: %b%b" % (one, end) for one in chunks)


def read(*pieces):
    stream = codec.open_stream(False)
    out = b"".join([stream.feed(piece) for piece in pieces])
    stream.finish()
    return stream, out


USED = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 1, "cachedContentTokenCount": 4}
WHOLE = sse(chunk("hello"), chunk(" you", usageMetadata={"promptTokenCount": 9}), chunk("", "STOP", usageMetadata=USED))


@pytest.mark.parametrize("data", [WHOLE, WHOLE.replace(b"\r\n", b"\n"), b": hi\n\n" + WHOLE])
def test_a_whole_stream_passes_untouched(data):
    stream, out = read(data)
    assert (out, stream.failure, stream.done, stream.events) == (data, None, True, 3)
    assert stream.usage(4) == Usage(input_tokens=9, output_tokens=3, cached_input_tokens=4, reasoning_tokens=1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        sse(chunk()),
        sse(chunk("a", "FINISH_REASON_UNSPECIFIED")),
        sse(chunk("a", "STOP"), chunk("b", index=1)),
        sse(chunk("a", "STOP")) + b"data: {",
        sse(b"nonsense"),
        sse(b"[]"),
        sse(chunk("a", "STOP"), b'{"error":{"code":503,"status":"UNAVAILABLE","message":"secret"}}'),
        b"data: " + b"x" * 2_000_000,
    ],
)
def test_what_is_not_whole_fails(data):
    stream, _ = read(data)
    assert stream.failure is not None
    assert not stream.done
    assert "secret" not in stream.failure.detail


def test_an_error_is_not_forwarded():
    stream, out = read(sse(chunk()), sse(b'{"error":{"status":"UNAVAILABLE"}}'), sse(chunk("b", "STOP")))
    assert out == sse(chunk())
    assert "UNAVAILABLE" in stream.failure.detail


def test_an_unknown_object_is_the_callers_to_judge():
    odd = b'{"candidates":[{"content":"new"}]}'
    stream, out = read(sse(odd, chunk("a", "STOP")))
    assert (stream.failure, out) == (None, sse(odd, chunk("a", "STOP")))


def test_a_blocked_prompt_is_an_end():
    stream, _ = read(sse(b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}'))
    assert (stream.failure, stream.usage(1)) == (None, Usage(input_tokens=3))


def test_usage_of_a_stream_that_broke_is_an_estimate():
    stream, _ = read(sse(chunk("x" * 40)))
    assert stream.usage(10) == Usage(input_tokens=3, output_tokens=10, estimated=True)
    stream, _ = read(sse(chunk("x", usageMetadata=USED)))
    assert stream.usage(10).estimated
    assert stream.usage(10).input_tokens == 9


@st.composite
def cuts(draw, data):
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


MIXED = b"\xef\xbb\xbf" + WHOLE[:-4] + b"\n\n"


@given(cuts(MIXED))
def test_any_split_gives_the_same(pieces):
    stream, out = read(*pieces)
    assert (out, stream.failure, stream.events) == (MIXED[3:], None, 3)
    assert stream.usage(1) == Usage(input_tokens=9, output_tokens=3, cached_input_tokens=4, reasoning_tokens=1)


CALLING = json.dumps(
    {
        "candidates": [
            {"content": {"parts": [{"functionCall": {"name": "f", "args": {"é": 1}}}]}, "finishReason": "STOP"}
        ]
    }
).encode()
VENDORS = sse(chunk("a", responseId="r"), chunk("b"), CALLING)


@given(cuts(VENDORS))
def test_any_split_gives_the_same_events(pieces):
    whole, cut = vendor.open_decoder(), vendor.open_decoder()
    expected = [*whole.feed(VENDORS), *whole.finish()]
    events = [event for piece in pieces for event in cut.feed(piece)]
    assert [*events, *cut.finish()] == expected
    assert isinstance(expected[-1], Ended)


NAMES = ("candidates", "content", "parts", "text", "functionCall", "args", "index", "finishReason", "error",
         "usageMetadata", "promptTokenCount", "promptFeedback", "thought")  # fmt: skip
SCALAR = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
JSON = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(JSON | st.binary(max_size=20), max_size=4))
def test_garbage_never_crashes(given_values):
    data = sse(*[one if isinstance(one, bytes) else json.dumps(one).encode() for one in given_values])
    decoder = vendor.open_decoder()
    events = [*decoder.feed(data), *decoder.finish()]
    assert events[-1].__class__.__name__ in ("Failed", "Ended")
    stream, _ = read(data)
    assert stream.done or stream.failure is not None
    stream.usage(1)


# Written for callers


def written(*events):
    encoder = open_encoder(CALL, 0)
    data = b"".join([encoder.encode(event) for event in events])
    return [json.loads(one.removeprefix(b"data: ")) for one in data.split(b"\n\n") if one]


def said(*events):
    return [one["candidates"][0]["content"]["parts"][0] for one in written(*events)]


def test_a_stream_of_another_vendor():
    usage = Usage(input_tokens=10, output_tokens=8, cached_input_tokens=4, reasoning_tokens=3)
    chunks = written(
        Began(id="r", model="m"),
        PartBegan(index=0, kind="thinking"),
        PartDelta(index=0, text="hm"),
        PartDelta(index=0, signature="anthropic.x"),
        PartEnded(index=0),
        PartBegan(index=1, kind="tool_call", id="1", name="f"),
        PartBegan(index=2, kind="text"),
        PartDelta(index=1, text='{"a":'),
        PartDelta(index=2, text="hi"),
        PartDelta(index=2, text=""),
        PartDelta(index=1, text="1}", signature="gemini.AA=="),
        PartEnded(index=1),
        PartEnded(index=2),
        ChoiceEnded(stop="tool_use"),
        Used(usage=usage),
        Ended(),
    )
    parts = [one["candidates"][0]["content"]["parts"][0] for one in chunks]
    signature = parts[1].pop("thoughtSignature")
    assert parts == [
        {"text": "hm", "thought": True},
        {"text": "", "thought": True},
        {"text": "hi"},
        {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "AA=="},
        {"text": ""},
    ]
    assert signature == "aGVkZGxlLnNpZ25hdHVyZS5hbnRocm9waWMueA=="
    assert [one["candidates"][0].get("finishReason") for one in chunks] == [None, None, None, None, "STOP"]
    assert all((one["responseId"], one["modelVersion"]) == ("r", "m") for one in chunks)
    assert chunks[-1]["usageMetadata"] == {
        "promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 18, "thoughtsTokenCount": 3,
        "cachedContentTokenCount": 4,
    }  # fmt: skip


def test_arguments_that_are_no_object_are_a_malformed_call():
    events = (
        PartBegan(index=0, kind="tool_call", id="1", name="f"),
        PartDelta(index=0, text='{"a'),
        PartEnded(index=0),
        ChoiceEnded(stop="length"),
        Ended(),
    )
    (last,) = written(*events)
    assert last["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"
    answer = ChatAnswer(id="r", model="m", choices=(Choice(parts=(ToolCall(id="1", name="f", arguments="{"),)),))
    assert json.loads(encode_answer(answer, CALL, 0))["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"


def test_a_call_without_arguments_has_an_empty_object():
    events = (PartBegan(index=0, kind="tool_call", id="1", name="f"), PartEnded(index=0))
    assert said(*events) == [{"functionCall": {"id": "1", "name": "f", "args": {}}}]


def test_a_refusal_is_text():
    events = (PartBegan(index=0, kind="refusal"), PartDelta(index=0, text="no"), PartEnded(index=0))
    assert said(*events) == [{"text": "no"}]


def test_a_whole_answer_of_another_vendor():
    likely = '[{"token":"a","logprob":-0.5,"bytes":null,"top_logprobs":[{"token":"b","logprob":-1.0}]}]'
    answer = ChatAnswer(
        id="r",
        model="",
        choices=(
            Choice(
                parts=(
                    Thinking(text="t", signature="gemini.AA=="),
                    Thinking(redacted="anthropic.x"),
                    Text(text="a"),
                    Refusal(text="no"),
                    ToolCall(id="1", name="f", arguments='{"x":1e999}'),
                ),
                stop="length",
                logprobs=likely,
            ),
            Choice(stop="refusal"),
        ),
        usage=Usage(input_tokens=1, output_tokens=2),
    )
    body = encode_answer(answer, CALL, 0)
    assert b'"args":{"x":1e999}' in body
    read_back = json.loads(body.replace(b"1e999", b"1"))
    first, second = read_back["candidates"]
    assert first["finishReason"] == "MAX_TOKENS"
    assert first["content"]["parts"][0] == {"text": "t", "thought": True, "thoughtSignature": "AA=="}
    assert first["content"]["parts"][2:4] == [{"text": "a"}, {"text": "no"}]
    assert first["logprobsResult"] == {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.0}]}],
    }
    assert (second["finishReason"], second["index"]) == ("SAFETY", 1)
    assert read_back["modelVersion"] == "asked"
