"""Bedrock: any split gives the same answer, garbage never crashes, and both faces of the format undo each other."""

import json
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
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
    Used,
)
from heddle.wire.canonical.request import Text, Thinking, ToolCall
from heddle.wire.errors import ProtocolError
from heddle.wire.eventstream import encode
from heddle.wire.llm.bedrock import codec, dialect, vendor

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CALL = ModelCall(operation="chat", dialect=codec.DIALECT, model="m", body=b"{}", stream=True)
USAGE = Usage(input_tokens=9, output_tokens=4, cached_input_tokens=2, cache_write_tokens=1)
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10)
PARTS = st.lists(
    st.one_of(
        st.builds(Text, text=WORDS),
        st.builds(Thinking, text=WORDS, signature=WORDS.map(lambda value: f"bedrock.{value}")),
        st.builds(ToolCall, id=WORDS, name=WORDS, arguments=st.dictionaries(WORDS, WORDS).map(json.dumps)),
    ),
    max_size=4,
)
KINDS = {Text: "text", Thinking: "thinking", ToolCall: "tool_call"}


def said(part):
    return part.arguments if isinstance(part, ToolCall) else part.text


def events_of(parts, order):
    """A grammatical stream whose parts overlap as `order` has it."""
    queues = []
    for index, part in enumerate(parts):
        more = {"id": part.id, "name": part.name} if isinstance(part, ToolCall) else {}
        text = said(part)
        queue = [PartBegan(index=index, kind=KINDS[type(part)], **more)]
        queue += [PartDelta(index=index, text=piece) for piece in (text[:3], text[3:]) if piece]
        if isinstance(part, Thinking):
            queue.append(PartDelta(index=index, signature=part.signature))
        queues.append([*queue, PartEnded(index=index)])
    events, open_queues = [Began()], []
    for step in [*order, *[0] * 100]:
        if queues and (not open_queues or step % 3 == 0):
            open_queues.append(queues.pop(0))
            events.append(open_queues[-1].pop(0))
        elif open_queues:
            queue = open_queues[step % len(open_queues)]
            events.append(queue.pop(0))
            open_queues = [queue for queue in open_queues if queue]
    return [*events, ChoiceEnded(stop="stop"), Used(usage=USAGE), Ended()]


def gathered(events):
    texts, signatures, begun = {}, {}, {}
    for event in events:
        if isinstance(event, PartBegan):
            begun[event.index] = (event.kind, event.id, event.name)
        elif isinstance(event, PartDelta):
            texts[event.index] = texts.get(event.index, "") + event.text
            signatures[event.index] = signatures.get(event.index, "") + event.signature
    return [(begun[index], texts.get(index, ""), signatures.get(index, "")) for index in sorted(begun)]


def cut(data, places):
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def decoded(chunks):
    decoder = vendor.open_decoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + list(decoder.finish())


@calm
@given(parts=PARTS, order=st.lists(st.integers(0, 9), max_size=30), places=st.lists(st.integers(0, 3000), max_size=6))
def test_what_is_streamed_is_read_again_whatever_overlaps_and_however_it_is_cut(parts, order, places):
    given_events = events_of(parts, order)
    encoder = dialect.open_encoder(CALL, 0)
    data = b"".join([encoder.encode(event) for event in given_events])
    events = decoded(cut(data, places))
    assert events == decoded([data])
    assert sorted(gathered(events)) == sorted(gathered(given_events))
    assert events[-3:] == given_events[-3:]
    reader = codec.open_stream(False)
    assert b"".join([reader.feed(chunk) for chunk in cut(data, places)]) == data
    assert reader.done
    assert reader.usage(1) == USAGE


@calm
@given(parts=PARTS)
def test_a_whole_answer_is_read_again(parts):
    answer = ChatAnswer(id="", model="", choices=(Choice(parts=tuple(parts)),), usage=USAGE)
    assert vendor.decode_answer(dialect.encode_answer(answer, CALL, 0)) == answer


_WORDS = """
text toolUse input name toolUseId delta contentBlockIndex start stopReason usage inputTokens reasoningContent
reasoningText signature redactedContent messages role content system cachePoint image source bytes format toolConfig
tools output message document toolResult json status additionalModelRequestFields thinking
"""
NAMES = st.sampled_from(_WORDS.split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
EVENTS = st.sampled_from(
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "x"]
)


@calm
@given(frames=st.lists(st.tuples(EVENTS, st.one_of(JSON.map(json.dumps).map(str.encode), st.binary(max_size=9)))))
def test_no_stream_crashes_and_what_fails_says_so_once(frames):
    data = b"".join([encode({":event-type": name, ":message-type": "event"}, body) for name, body in frames])
    events = decoded([data])
    assert [isinstance(event, Failed | Ended) for event in events].count(True) == 1
    assert isinstance(events[-1], Failed | Ended)
    reader = codec.open_stream(False)
    reader.feed(data)
    reader.finish()
    assert reader.done or reader.failure is not None
    reader.usage(1)


@calm
@given(value=JSON)
def test_no_body_crashes(value):
    body = json.dumps(value).encode()
    for read in (
        lambda: codec.decode_request(body, "/model/m/converse"),
        lambda: dialect.decode_chat(body, CALL),
        lambda: codec.read_usage(body, 1),
        lambda: vendor.decode_answer(body),
    ):
        with suppress(ProtocolError):
            read()


@calm
@given(target=st.text(max_size=20), prefix=st.sampled_from(["", "/model/"]), suffix=st.sampled_from(["", "/converse"]))
def test_no_target_crashes(target, prefix, suffix):
    try:
        model, _ = codec.read_target(prefix + target + suffix)
    except ProtocolError:
        return
    assert model.isprintable()
