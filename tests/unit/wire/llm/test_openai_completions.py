"""The older text completions: at the door, on the way through, and served by a chat model."""

import json

import pytest
from openai.types import Completion

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
from heddle.wire.canonical.request import Message, Refusal, Text, Thinking
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm import openai_completions
from heddle.wire.llm.codec import Codec, Dialect
from heddle.wire.llm.codecs import CODECS, DIALECTS
from heddle.wire.llm.openai_completions_dialect import decode_chat, encode_answer, open_encoder

CREATED = 1_790_000_000
DONE = b"data: [DONE]\n\n"


def request(**fields):
    return json.dumps({"model": "m", "prompt": "once", **fields}).encode()


def decode(**fields):
    return openai_completions.decode_request(request(**fields))


def test_it_has_its_faces():
    codec: Codec = CODECS["openai_completions"]
    dialect: Dialect = DIALECTS["openai_completions"]
    assert (codec.DIALECT, dialect.decode_chat) == ("openai_completions", decode_chat)


def test_a_plain_call():
    call = decode()
    assert (call.operation, call.dialect, call.model, call.stream) == ("completions", "openai_completions", "m", False)
    assert (call.max_output_tokens, call.choices, call.body) == (None, 1, request())
    call = decode(stream=True, stream_options={"include_usage": True})
    assert (call.stream, call.include_usage) == (True, True)


@pytest.mark.parametrize(
    ("fields", "bound", "choices"),
    [
        ({"max_tokens": 5}, 5, 1),
        ({"max_tokens": 5, "n": 2}, 10, 2),
        ({"max_tokens": 5, "best_of": 3}, 15, 1),
        ({"max_tokens": 5, "n": 2, "best_of": 3, "prompt": ["a", "b"]}, 30, 4),
        ({"max_tokens": 5, "prompt": [1, 2, 3]}, 5, 1),
        ({"max_tokens": 5, "prompt": [[1], [2, 3]]}, 10, 2),
        ({"max_tokens": 0}, 0, 1),
        ({"prompt": None}, None, 1),
    ],
)
def test_the_bound_counts_all_that_is_generated(fields, bound, choices):
    call = decode(**fields)
    assert (call.max_output_tokens, call.choices) == (bound, choices)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "a*"}, "model"),
        ({"prompt": {}}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"n": 0}, "n"),
        ({"best_of": 129}, "best_of"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_refused_with_its_param(fields, param):
    with pytest.raises(ProtocolError) as caught:
        decode(**fields)
    assert caught.value.param == param


def test_a_rewrite_asks_for_usage():
    new = json.loads(openai_completions.rewrite(request(stream=True), model="n", include_usage=True))
    assert new == {"model": "n", "prompt": "once", "stream": True, "stream_options": {"include_usage": True}}


def test_usage_is_read_or_estimated():
    body = {"choices": [{"text": "x" * 40}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    assert openai_completions.read_usage(json.dumps(body).encode(), 8) == Usage(input_tokens=3, output_tokens=2)
    del body["usage"]
    expected = Usage(input_tokens=2, output_tokens=10, estimated=True)
    assert openai_completions.read_usage(json.dumps(body).encode(), 8) == expected
    with pytest.raises(ProtocolError):
        openai_completions.read_usage(b'{"error":"x"}', 8)


def chunk(text, finish=None, **fields):
    choice = {"text": text, "index": 0, "finish_reason": finish}
    return b"data: " + json.dumps({"object": "text_completion", "choices": [choice], **fields}).encode() + b"\n\n"


def test_a_stream_passes_untouched_and_its_text_is_counted():
    reader = openai_completions.open_stream(False)
    sent = chunk("a" * 10) + chunk("b" * 10, "stop") + DONE
    for size in (1, 7, len(sent)):
        reader = openai_completions.open_stream(False)
        assert b"".join(reader.feed(sent[at : at + size]) for at in range(0, len(sent), size)) == sent
        reader.finish()
        assert (reader.done, reader.failure) == (True, None)
        assert reader.usage(8) == Usage(input_tokens=2, output_tokens=5, estimated=True)


def test_a_stream_without_an_end_is_broken():
    reader = openai_completions.open_stream(False)
    reader.feed(chunk("a") + DONE)
    reader.finish()
    assert reader.failure is not None


def test_usage_that_was_not_asked_for_is_hidden():
    reader = openai_completions.open_stream(True)
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    assert reader.feed(chunk("a", "stop") + usage + DONE) == chunk("a", "stop") + DONE
    assert reader.usage(8) == Usage(input_tokens=3, output_tokens=2)


# Served by a chat model


def translate(**fields):
    body = request(**fields)
    return decode_chat(body, openai_completions.decode_request(body))


def test_the_prompt_is_one_user_message():
    asked = translate(
        prompt=["once"], n=2, max_tokens=5, stop="x", temperature=1, logit_bias={"1": 2}, user="u", top_k=1
    )
    assert asked.messages == (Message(role="user", parts=(Text(text="once"),)),)
    assert (asked.model, asked.choices, asked.max_output_tokens, asked.stop) == ("m", 2, 5, ("x",))
    assert (asked.temperature, asked.user, asked.other) == (1.0, "u", ("top_k",))
    assert json.loads(asked.logit_bias) == {"1": 2}
    assert translate(echo=False, suffix=None, best_of=1, logprobs=None).other == ()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"best_of": 2}, "best_of"),
        ({"logprobs": 0}, "logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_what_chat_cannot_do(fields, param):
    with pytest.raises(UntranslatableError) as caught:
        translate(**fields)
    assert caught.value.param == param


def test_wrong_types_are_refused():
    with pytest.raises(ProtocolError) as caught:
        translate(temperature="hot")
    assert caught.value.param == "temperature"


def test_an_answer_is_a_completion():
    answer = ChatAnswer(
        id="c",
        model="",
        choices=(
            Choice(parts=(Thinking(text="hm"), Text(text="upon"))),
            Choice(parts=(Refusal(text="no"),), stop="refusal"),
        ),
        usage=Usage(input_tokens=1, output_tokens=2),
    )
    parsed = Completion.model_validate_json(encode_answer(answer, decode(), CREATED), strict=True)
    assert [(one.text, one.finish_reason) for one in parsed.choices] == [("upon", "stop"), ("no", "content_filter")]
    assert (parsed.model, parsed.usage.total_tokens) == ("m", 3)


@pytest.mark.parametrize("include_usage", [False, True])
def test_a_streamed_answer(include_usage):
    encoder = open_encoder(decode(stream=True, stream_options={"include_usage": include_usage}), CREATED)
    events = [
        Began(id="c", model="g"),
        PartBegan(index=0, kind="thinking"),
        PartDelta(index=0, text="hm"),
        PartEnded(index=0),
        PartBegan(index=1, kind="text"),
        PartDelta(index=1, text="up"),
        PartDelta(index=1, text="on"),
        PartEnded(index=1),
        ChoiceEnded(stop="length"),
        Used(usage=Usage(input_tokens=1, output_tokens=2)),
        Ended(),
    ]
    sent = b"".join(encoder.encode(event) for event in events)
    assert sent.endswith(DONE)
    # As the SDK does: its type does not know that the reason is null until the end.
    parsed = [Completion.construct(**json.loads(piece[6:])) for piece in sent.split(b"\n\n")[:-2]]
    assert "".join(choice.text for one in parsed for choice in one.choices) == "upon"
    assert [choice.finish_reason for one in parsed for choice in one.choices] == [None, None, "length"]
    assert {one.id for one in parsed} == {"c"}
    assert (parsed[-1].usage is not None) == include_usage
