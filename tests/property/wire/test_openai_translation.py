"""OpenAI chat translated: any split gives the same events, garbage never crashes, what is written is read again."""

import json

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
from heddle.wire.canonical.request import (
    ChatRequest,
    Media,
    Message,
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
from heddle.wire.llm import openai_chat, openai_chat_dialect, openai_chat_vendor
from heddle.wire.llm.codecs import CODECS, DIALECTS

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
CALL = ModelCall(operation="chat", dialect="openai_chat", model="m", body=b"{}", stream=True, include_usage=True)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
KINDS = ("text", "thinking", "refusal", "tool_call")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
FUNCTIONS = st.fixed_dictionaries({}, optional={"name": WORDS | JSON, "arguments": WORDS | JSON})
CALLS = st.lists(
    st.fixed_dictionaries({}, optional={"index": st.integers(-1, 3) | JSON, "id": WORDS | JSON, "function": FUNCTIONS}),
    max_size=3,
)
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": WORDS | JSON,
        "refusal": WORDS | JSON,
        "reasoning": WORDS | JSON,
        "tool_calls": CALLS | JSON,
        "function_call": FUNCTIONS,
    },
)
CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(-1, 2),
        "delta": DELTAS,
        "message": DELTAS,
        "finish_reason": st.sampled_from(["stop", "tool_calls", "length", "odd", "error", None]),
        "logprobs": JSON,
    },
)
CHUNKS = st.fixed_dictionaries({}, optional={"id": WORDS, "choices": st.lists(CHOICES, max_size=3), "usage": JSON})


@st.composite
def answers(draw):
    """Whole answers as this format can say them: thinking, text, refusal, then calls; each at most once but calls."""
    choices = []
    for _ in range(draw(st.integers(1, 3))):
        said = [draw(st.none() | st.builds(kind, text=WORDS)) for kind in (Thinking, Text, Refusal)]
        calls = [ToolCall(id=f"c{i}", name=draw(WORDS), arguments=draw(WORDS)) for i in range(draw(st.integers(0, 3)))]
        parts = (*(part for part in said if part is not None), *calls)
        stop = "tool_use" if calls else "refusal" if said[2] is not None else "length"
        choices.append(Choice(parts=parts, stop="length" if stop == "refusal" else stop))
    usage = Usage(input_tokens=draw(st.integers(0, 99)), output_tokens=draw(st.integers(0, 99)))
    return ChatAnswer(id="c1", model="g", choices=tuple(choices), usage=usage)


def streamed(answer, cut):
    """The events of a whole answer, its texts in pieces."""
    yield Began(id=answer.id, model=answer.model)
    for number, choice in enumerate(answer.choices):
        for index, part in enumerate(choice.parts):
            if isinstance(part, ToolCall):
                yield PartBegan(choice=number, index=index, kind="tool_call", id=part.id, name=part.name)
            else:
                kind = {Thinking: "thinking", Text: "text", Refusal: "refusal"}[type(part)]
                yield PartBegan(choice=number, index=index, kind=kind)
            text = part.arguments if isinstance(part, ToolCall) else part.text
            for at in range(0, len(text), cut):
                yield PartDelta(choice=number, index=index, text=text[at : at + cut])
            yield PartEnded(choice=number, index=index)
        yield ChoiceEnded(choice=number, stop=choice.stop)
    yield Used(usage=answer.usage)
    yield Ended()


def gathered(events):
    """A whole answer from events, which must be in the grammar's order."""
    parts, open_parts, ended, usage, over = {}, set(), {}, None, False
    for event in events:
        assert not over
        if isinstance(event, PartBegan):
            assert event.choice not in ended
            assert event.index == len(parts.setdefault(event.choice, []))
            parts[event.choice].append([event, ""])
            open_parts.add((event.choice, event.index))
        elif isinstance(event, PartDelta):
            assert (event.choice, event.index) in open_parts
            parts[event.choice][event.index][1] += event.text
        elif isinstance(event, PartEnded):
            open_parts.remove((event.choice, event.index))
        elif isinstance(event, ChoiceEnded):
            assert not [one for one in open_parts if one[0] == event.choice]
            assert event.choice not in ended
            ended[event.choice] = event.stop
        elif isinstance(event, Used):
            usage = event.usage
        elif isinstance(event, Ended | Failed):
            over = True
    assert over
    return parts, ended, usage


@calm
@given(answers(), st.integers(1, 4), st.integers(1, 200))
def test_what_is_streamed_out_is_read_in_again(answer, cut, size):
    encoder, decoder = openai_chat_dialect.open_encoder(CALL, 1), openai_chat_vendor.open_decoder()
    sent = b"".join(encoder.encode(event) for event in streamed(answer, cut))
    events = [event for at in range(0, len(sent), size) for event in decoder.feed(sent[at : at + size])]
    events += decoder.finish()
    assert isinstance(events[-1], Ended)
    parts, ended, usage = gathered(events)
    assert usage == answer.usage
    for number, choice in enumerate(answer.choices):
        assert ended[number] == choice.stop
        got = parts.get(number, [])
        assert [one.kind for one, _ in got] == [KINDS[_kind(part)] for part in choice.parts]
        assert [text for _, text in got] == [
            part.arguments if isinstance(part, ToolCall) else part.text for part in choice.parts
        ]


def _kind(part):
    return [Text, Thinking, Refusal, ToolCall].index(type(part))


@calm
@given(answers())
def test_what_is_written_whole_is_read_whole(answer):
    assert openai_chat_vendor.decode_answer(openai_chat_dialect.encode_answer(answer, CALL, 1)) == answer


@calm
@given(st.lists(CHUNKS | JSON, max_size=8), st.booleans(), st.lists(st.integers(1, 60), max_size=12))
def test_any_split_gives_the_same_events(chunks, ended, cuts):
    sent = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    sent += b"data: [DONE]\n\n" if ended else b""
    whole = openai_chat_vendor.open_decoder()
    expected = [*whole.feed(sent), *whole.finish()]
    gathered(expected)
    decoder, events, at = openai_chat_vendor.open_decoder(), [], 0
    for cut in cuts:
        events += decoder.feed(sent[at : at + cut])
        at += cut
    events += [*decoder.feed(sent[at:]), *decoder.finish()]
    assert events == expected
    encoder = openai_chat_dialect.open_encoder(CALL, 1)
    for event in events:
        if not isinstance(event, Failed):
            assert isinstance(encoder.encode(event), bytes)


@calm
@given(st.binary(max_size=200) | CHUNKS.map(json.dumps).map(str.encode))
def test_garbage_never_crashes(data):
    try:
        assert openai_chat_vendor.decode_answer(data).choices
    except ProtocolError as exc:
        assert exc.detail  # noqa: PT017
    decoder = openai_chat_vendor.open_decoder()
    assert isinstance([*decoder.feed(b"data: " + data + b"\n\n"), *decoder.finish()][-1], Failed)


ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "robot"])
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "input_audio", "file", "refusal", "x"])},
    optional=dict.fromkeys(("text", "image_url", "input_audio", "file", "refusal", "cache_control"), WORDS | JSON),
)
SAID = st.fixed_dictionaries(
    {"role": ROLES},
    optional={
        "content": WORDS | st.lists(PARTS, max_size=3) | JSON,
        "tool_calls": CALLS | JSON,
        "tool_call_id": WORDS,
        "name": WORDS,
    },
)
STATED = st.dictionaries(
    st.sampled_from(
        [
            "tools",
            "functions",
            "tool_choice",
            "function_call",
            "stop",
            "seed",
            "temperature",
            "response_format",
            "reasoning_effort",
            "logprobs",
            "top_logprobs",
            "logit_bias",
            "metadata",
            "modalities",
            "top_k",
            "user",
            "prompt",
            "suffix",
            "echo",
            "best_of",
            "max_tokens",
            "zzz",
        ]
    ),
    WORDS | JSON,
    max_size=4,
)


@calm
@given(st.lists(SAID, min_size=1, max_size=4), STATED, st.sampled_from(["openai_chat", "openai_completions"]))
def test_whatever_is_asked_is_translated_or_refused(messages, stated, dialect):
    body = json.dumps({"model": "m", "messages": messages, "prompt": "x", **stated}).encode()
    try:
        asked = DIALECTS[dialect].decode_chat(body, CODECS[dialect].decode_request(body))
        json.loads(openai_chat_vendor.encode_chat(asked, "m", Notes()))
    except ProtocolError as exc:
        assert exc.param or exc.malformed  # noqa: PT017


PNG = Media(kind="image", media_type="image/png", data="aGk=")
USER = st.builds(Message, role=st.just("user"), parts=st.tuples(st.builds(Text, text=WORDS), st.just(PNG)))
ASSISTANT = st.builds(
    Message,
    role=st.just("assistant"),
    parts=st.tuples(st.builds(Text, text=WORDS), st.builds(ToolCall, id=WORDS, name=WORDS, arguments=WORDS)),
)
RESULT = st.builds(
    Message,
    role=st.just("user"),
    parts=st.tuples(st.builds(ToolResult, call_id=WORDS, parts=st.tuples(st.builds(Text, text=WORDS)))),
)
SYSTEM = st.builds(Message, role=st.just("system"), parts=st.tuples(st.builds(Text, text=WORDS)))
REQUESTS = st.builds(
    ChatRequest,
    model=st.just("m"),
    messages=st.lists(USER | ASSISTANT | RESULT | SYSTEM, min_size=1, max_size=5).map(tuple),
    tools=st.just((Tool(name="f", schema='{"type":"object"}', strict=True),)),
    tool_choice=st.sampled_from([None, ToolChoice(mode="required"), ToolChoice(mode="tool", name="f")]),
    max_output_tokens=st.none() | st.integers(1, 9),
    temperature=st.none() | st.floats(0, 2),
    stop=st.lists(WORDS, max_size=3).map(tuple),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    choices=st.integers(1, 4),
    user=WORDS,
    stream=st.booleans(),
)


@calm
@given(REQUESTS)
def test_a_request_survives_being_asked(request):
    try:
        body = openai_chat_vendor.encode_chat(request, "m", Notes())
    except UntranslatableError:
        raise AssertionError("everything in it can be carried") from None
    assert openai_chat_dialect.decode_chat(body, openai_chat.decode_request(body)) == request
