"""Whole answers said again as streams, and put together again: nothing is lost on the way."""

import json
from typing import Any

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
    Failed,
    PartBegan,
    PartDelta,
    PartEnded,
)
from heddle.wire.canonical.collect import Collector
from heddle.wire.canonical.replay import PIECE_CHARS, events
from heddle.wire.canonical.request import Refusal, Text, Thinking, ToolCall
from heddle.wire.llm.codecs import DIALECTS, VENDORS

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)
parts = st.one_of(
    st.builds(Text, text=text),
    st.builds(Refusal, text=text),
    st.builds(Thinking, text=text, signature=st.sampled_from(("", "anthropic.abc"))),
    st.just(Thinking(redacted="anthropic.xyz")),
    st.builds(
        ToolCall,
        id=st.sampled_from(("call_1", "call_2")),
        name=st.just("weather"),
        arguments=st.sampled_from(("{}", '{"city":"' + "x" * 100 + '"}')),
        signature=st.sampled_from(("", "gemini.abc")),
    ),
)
choices = st.builds(
    Choice,
    parts=st.lists(parts, max_size=4).map(tuple),
    stop=st.sampled_from(("stop", "tool_use", "length")),
    stop_sequence=st.sampled_from(("", "END")),
)
answers = st.builds(
    ChatAnswer,
    id=st.just("a1"),
    model=st.just("m"),
    choices=st.lists(choices, min_size=1, max_size=3).map(tuple),
    usage=st.one_of(st.none(), st.just(Usage(input_tokens=3, output_tokens=4, reasoning_tokens=1))),
)


def collected(answer: ChatAnswer) -> ChatAnswer | None:
    collector = Collector()
    for event in events(answer):
        collector.take(event)
    return collector.answer()


@given(answers)
def test_a_replayed_answer_collects_to_itself(answer: ChatAnswer):
    assert collected(answer) == answer


@given(answers)
def test_pieces_are_small_and_in_the_grammar(answer: ChatAnswer):
    open_parts: set[tuple[int, int]] = set()
    said = list(events(answer))
    assert isinstance(said[0], Began)
    assert isinstance(said[-1], Ended)
    for event in said:
        if isinstance(event, PartBegan):
            open_parts.add((event.choice, event.index))
        elif isinstance(event, PartDelta):
            assert (event.choice, event.index) in open_parts
            assert len(event.text) <= PIECE_CHARS
        elif isinstance(event, PartEnded):
            open_parts.remove((event.choice, event.index))
        elif isinstance(event, ChoiceEnded):
            assert not open_parts


def test_log_probabilities_survive():
    logprobs = '[{"token":"a","logprob":-0.5},{"token":"b","logprob":-1}]'
    answer = ChatAnswer(id="a", model="m", choices=(Choice(parts=(Text(text="ab" * 60),), logprobs=logprobs),))
    got = collected(answer)
    assert got is not None
    assert json.loads(got.choices[0].logprobs) == json.loads(logprobs)
    collector = Collector()
    for event in (
        PartBegan(index=0, kind="text"),
        PartDelta(index=0, text="a", logprobs="[1]"),
        PartDelta(index=0, text="b", logprobs="[2,3]"),
        Ended(),
    ):
        collector.take(event)
    whole = collector.answer()
    assert whole is not None
    assert whole.choices[0].logprobs == "[1,2,3]"


@pytest.mark.parametrize("end", [[], [Failed(detail="x")], [Ended(), Failed(detail="x")]])
def test_a_stream_that_did_not_end_well_is_no_answer(end: list[Any]):
    collector = Collector()
    for event in (Began(id="a"), PartBegan(index=0, kind="text"), PartDelta(index=0, text="x"), *end):
        collector.take(event)
    assert collector.answer() is None


ANSWER = ChatAnswer(
    id="a1",
    model="m",
    choices=(
        Choice(
            parts=(
                Text(text="Let me look: ünï \u2028" * 10),
                ToolCall(id="call_1", name="weather", arguments='{"city": "Paris"}'),
                ToolCall(id="call_2", name="clock", arguments='{"zone": "' + "Z" * 90 + '"}'),
            ),
            stop="tool_use",
        ),
    ),
    usage=Usage(input_tokens=30, output_tokens=12),
)


@pytest.mark.parametrize("dialect", sorted(DIALECTS.keys() & VENDORS.keys()))
def test_every_dialect_streams_what_it_said_whole_and_the_other_way_round(dialect: str):
    face, vendor = DIALECTS[dialect], VENDORS[dialect]
    call = ModelCall(operation="chat", dialect=dialect, model="m", body=b"{}", include_usage=True)
    body = face.encode_answer(ANSWER, call, 1)
    whole = vendor.decode_answer(body)
    encoder = face.open_encoder(call.copy(stream=True), 1)
    stream = b"".join([encoder.encode(event) for event in events(whole)])
    decoder, collector = vendor.open_decoder(), Collector()
    for event in [*decoder.feed(stream), *decoder.finish()]:
        collector.take(event)
    again = collector.answer()
    assert again is not None
    assert again.choices == whole.choices
    assert again.usage == whole.usage
    assert json.loads(face.encode_answer(again, call, 1)) == json.loads(body)
