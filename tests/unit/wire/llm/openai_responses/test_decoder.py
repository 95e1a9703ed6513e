"""A vendor's stream as events: bracketing, what servers leave out, ends, and failures that never raise."""

import json

import pytest
from tests.unit.wire.llm.openai_responses.said import CALL, CREATED, LOGPROBS, answer, call, events
from tests.unit.wire.llm.openai_responses.test_reader import event

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
from heddle.wire.canonical.request import Refusal, Text, Thinking
from heddle.wire.llm.openai_responses import dialect, vendor


def run(*frames: bytes) -> list:
    decoder = vendor.open_decoder()
    said = [one for frame in frames for one in decoder.feed(frame)]
    return [*said, *decoder.finish()]


START = event("response.created", response={"id": "resp_1", "model": "o1"})
END = event("response.completed", response={"usage": {"input_tokens": 5, "output_tokens": 3}})


def added(index: int, **item: object) -> bytes:
    return event("response.output_item.added", output_index=index, item=item)


def done(index: int, **item: object) -> bytes:
    return event("response.output_item.done", output_index=index, item=item)


def told(*frames: bytes) -> list:
    """What is said between the beginning and the end."""
    first, *said, ended, used, last = run(START, *frames, END)
    assert (first, last) == (Began(id="resp_1", model="o1"), Ended())
    assert used == Used(usage=Usage(input_tokens=5, output_tokens=3))
    assert isinstance(ended, ChoiceEnded)
    return said


@pytest.mark.parametrize("parallel", [False, True])
def test_what_the_dialect_writes_is_read_back(parallel):
    thought = Thinking(text="Let me see.", signature="Z0")
    given = answer(thought, Text(text="Warp."), Refusal(text="No."), CALL, stop="tool_use")
    encoder = dialect.open_encoder(call(), CREATED)
    read = run(*[encoder.encode(one) for one in events(given, parallel=parallel)])
    texts: dict[int, str] = {}
    for one in read:
        if isinstance(one, PartDelta):
            texts[one.index] = texts.get(one.index, "") + one.text
    began = [one for one in read if isinstance(one, PartBegan)]
    assert {one.kind: texts[one.index] for one in began} == {
        "thinking": "Let me see.",
        "text": "Warp.",
        "refusal": "No.",
        "tool_call": CALL.arguments,
    }
    assert [one.signature for one in read if isinstance(one, PartDelta) and one.signature] == ["openai.Z0"]
    assert sorted(one.index for one in read if isinstance(one, PartEnded)) == [0, 1, 2, 3]
    assert [(one.id, one.name) for one in began if one.kind == "tool_call"] == [(CALL.id, CALL.name)]
    assert read[-3:] == [ChoiceEnded(stop="tool_use"), Used(usage=given.usage), Ended()]


def test_parallel_calls_in_pieces():
    assert told(
        added(0, type="function_call", call_id="a", name="f", arguments=""),
        added(1, type="function_call", call_id="b", name="g", arguments=""),
        event("response.function_call_arguments.delta", output_index=1, delta="{"),
        event("response.function_call_arguments.delta", output_index=0, delta="{}"),
        event("response.function_call_arguments.delta", output_index=1, delta="}"),
        done(1, type="function_call", call_id="b", name="g", arguments="{}"),
        done(0, type="function_call", call_id="a", name="f", arguments="{}"),
    ) == [
        PartBegan(index=0, kind="tool_call", id="a", name="f"),
        PartBegan(index=1, kind="tool_call", id="b", name="g"),
        PartDelta(index=1, text="{"),
        PartDelta(index=0, text="{}"),
        PartDelta(index=1, text="}"),
        PartEnded(index=1),
        PartEnded(index=0),
    ]


def test_what_only_the_end_of_an_item_says():
    assert told(
        done(0, type="reasoning", summary=[{"text": "a"}, {"text": "b"}], encrypted_content="Z0"),
        done(1, type="message", content=[{"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "n"}]),
        done(2, type="function_call", call_id="a", name="f", arguments="{}"),
        done(3, type="web_search_call"),
    ) == [
        PartBegan(index=0, kind="thinking"),
        PartDelta(index=0, text="a\n\nb"),
        PartDelta(index=0, signature="openai.Z0"),
        PartEnded(index=0),
        PartBegan(index=1, kind="text"),
        PartDelta(index=1, text="x"),
        PartBegan(index=2, kind="refusal"),
        PartDelta(index=2, text="n"),
        PartEnded(index=1),
        PartEnded(index=2),
        PartBegan(index=3, kind="tool_call", id="a", name="f"),
        PartDelta(index=3, text="{}"),
        PartEnded(index=3),
    ]


def test_what_was_said_is_not_said_again():
    item = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}
    said = told(
        event("response.output_text.delta", output_index=0, content_index=0, delta="x", logprobs=json.loads(LOGPROBS)),
        event("response.output_text.done", output_index=0, content_index=0, text="x"),
        done(0, **item),
        done(0, **item),
    )
    # Whitespace in carried JSON is the vendor's.
    assert json.loads(said[1].logprobs) == json.loads(LOGPROBS)
    assert [type(one) for one in said] == [PartBegan, PartDelta, PartEnded]


def test_paragraphs_of_a_summary_are_one_thought_and_raw_reasoning_does_not_double_it():
    said = told(
        added(0, type="reasoning"),
        event("response.reasoning_summary_part.added", output_index=0, summary_index=0),
        event("response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta="a"),
        event("response.reasoning_text.delta", output_index=0, content_index=0, delta="raw"),
        event("response.reasoning_summary_part.added", output_index=0, summary_index=1),
        event("response.reasoning_summary_text.delta", output_index=0, summary_index=1, delta="b"),
        done(0, type="reasoning", summary=[{"text": "a"}, {"text": "b"}]),
    )
    assert "".join(one.text for one in said if isinstance(one, PartDelta)) == "a\n\nb"


def test_parts_that_never_end_are_ended():
    assert told(event("response.output_text.delta", output_index=0, content_index=0, delta="x")) == [
        PartBegan(index=0, kind="text"),
        PartDelta(index=0, text="x"),
        PartEnded(index=0),
    ]


def test_a_beginning_that_never_came():
    said = run(event("response.output_text.delta", delta="x"), END)
    assert said[0] == Began()
    assert run(END)[0] == Began()


@pytest.mark.parametrize(
    ("last", "stop"),
    [
        (END, "stop"),
        (event("response.incomplete", response={"incomplete_details": {"reason": "content_filter"}}), "content_filter"),
        (event("response.incomplete", response={"incomplete_details": {"reason": "max_output_tokens"}}), "length"),
        (event("response.incomplete"), "length"),
    ],
)
def test_ends(last, stop):
    said = run(START, last, END, b"data: garbage\n\n")
    assert ChoiceEnded(stop=stop) in said
    assert said.count(Ended()) == 1
    assert said[-1] == Ended()


@pytest.mark.parametrize(
    ("last", "status", "retryable"),
    [
        (event("response.failed", response={"error": {"code": "server_error", "message": "sk-1"}}), 502, True),
        (event("response.failed", response={"error": {"code": "rate_limit_exceeded"}}), 429, True),
        (event("response.failed", response={"error": {"code": "insufficient_quota"}}), 429, False),
        (event("response.failed", response={"error": {"code": "invalid_prompt"}}), 400, False),
        (event("response.failed", response={"error": {"code": "context_length_exceeded"}}), 400, False),
        (event("response.failed", response={"error": {"code": "data_residency_mismatch"}}), 502, False),
        (event("response.failed", response={"error": {"code": ["sk-1"]}}), 502, True),
        (event("response.failed"), 502, True),
        (event("error", code="rate_limit_exceeded", message="sk-1"), 429, True),
        (event("error", error={"code": "rate_limit_exceeded", "message": "sk-1"}), 429, True),
        (event("error"), 502, True),
        (event("response.completed", response={"usage": "sk-1"}), 502, False),
        (event("response.output_text.delta", delta=["sk-1"]), 502, False),
        (event("response.function_call_arguments.delta", output_index=9, delta="sk-1"), 502, False),
        (b"data: {\n\n", 502, False),
        (b"data: [DONE]\n\n", 502, False),
        (b"data: \xff\n\n", 502, False),
        (b"data: " + b"[" * 100_000 + b"\n\n", 502, False),
        (b"x" * 17_000_000, 502, False),
        (b"", 502, False),
    ],
)
def test_failures_end_the_stream(last, status, retryable):
    said = run(START, last, END) if last else run(START)
    failed = said[-1]
    assert isinstance(failed, Failed)
    assert said == [Began(id="resp_1", model="o1"), failed]
    assert (failed.status, failed.retryable) == (status, retryable)
    assert "sk-1" not in failed.detail


def test_unknown_events_are_nothing():
    assert told(event("response.future", delta={"a": 1}, output_index="x"), b": comment\n\n", b"data: {}\n\n") == []


@pytest.mark.parametrize("index", [-1, 10**9, 10**30])
def test_absurd_indexes_are_only_names(index):
    delta = event("response.output_text.delta", output_index=index, content_index=index, delta="x")
    assert told(delta) == [PartBegan(index=0, kind="text"), PartDelta(index=0, text="x"), PartEnded(index=0)]
