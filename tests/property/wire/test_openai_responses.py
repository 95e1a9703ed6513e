"""Responses: any split of a stream gives the same, garbage never crashes, and what is written is read back."""

import json
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.wire.llm.openai_responses.said import CALL, CREATED, answer, call, events

from heddle.wire.canonical.answer import Event, Failed, PartDelta
from heddle.wire.canonical.request import Refusal, Text, Thinking, ToolCall
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_responses import codec, dialect, vendor

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
PARTS = st.lists(
    st.one_of(
        st.builds(Text, text=WORDS),
        st.builds(Refusal, text=WORDS),
        st.builds(Thinking, text=WORDS, signature=st.sampled_from(["", "openai.Z0", "anthropic.c2ln"])),
        st.builds(ToolCall, id=WORDS, name=st.just("look"), arguments=WORDS),
    ),
    max_size=4,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        *("type", "role", "content", "text", "image_url", "file_data", "call_id", "name", "arguments", "output"),
        *("summary", "encrypted_content", "delta", "response", "usage", "item", "output_index", "error", "code"),
        *("input", "tools", "tool_choice", "format", "schema", "reasoning", "effort", "status", "model", "logprobs"),
    ]
)
TYPES = st.sampled_from(
    [
        *("message", "function_call", "function_call_output", "reasoning", "custom_tool_call", "namespace", "custom"),
        *("additional_tools", "custom_tool_call_output"),
        *("input_text", "input_image", "input_file", "output_text", "refusal", "json_schema", "function"),
        *("response.created", "response.output_item.added", "response.output_item.done", "response.completed"),
        *("response.output_text.delta", "response.function_call_arguments.delta", "response.failed", "error"),
    ]
)
SHAPED = st.recursive(
    JSON | TYPES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner | TYPES, max_size=6),
    max_leaves=12,
)


def stream(parts: list, parallel: bool) -> bytes:
    encoder = dialect.open_encoder(call(), CREATED)
    return b"".join(encoder.encode(event) for event in events(answer(*parts), parallel=parallel))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def decoded(chunks: list[bytes]) -> list[Event]:
    decoder = vendor.open_decoder()
    return [*(event for chunk in chunks for event in decoder.feed(chunk)), *decoder.finish()]


@calm
@given(PARTS, st.booleans(), st.lists(st.integers(0, 20_000), max_size=8))
def test_any_split_gives_the_same(parts, parallel, places):
    data = stream(parts, parallel)
    chunks = cut(data, places)
    assert decoded(chunks) == decoded([data])
    reader = codec.open_stream(False)
    assert b"".join(reader.feed(chunk) for chunk in chunks) == data
    reader.finish()
    assert reader.failure is None


@calm
@given(PARTS, st.booleans())
def test_what_is_written_is_read_back(parts, parallel):
    said = decoded([stream(parts, parallel)])
    texts: dict[int, str] = {}
    for event in said:
        if isinstance(event, PartDelta):
            texts[event.index] = texts.get(event.index, "") + event.text
    wanted = [part.arguments if isinstance(part, ToolCall) else part.text for part in parts]
    assert sorted(texts.values()) == sorted(wanted)
    whole = vendor.decode_answer(dialect.encode_answer(answer(*parts), call(), CREATED))
    read = [part for part in whole.choices[0].parts if not isinstance(part, Thinking)]
    assert read == [part for part in parts if not isinstance(part, Thinking)]


@calm
@given(st.lists(st.binary(max_size=60)))
def test_garbage_in_a_stream_is_a_failure(chunks):
    assert isinstance(decoded(chunks)[-1], Failed)
    reader = codec.open_stream(False)
    for chunk in chunks:
        reader.feed(chunk)
    reader.finish()
    assert reader.failure is not None


@calm
@given(st.lists(st.dictionaries(NAMES, SHAPED, max_size=6) | SHAPED, max_size=6))
def test_events_of_any_shape_never_raise_and_end_once(shapes):
    data = b"".join(b"data: %b\n\n" % json.dumps(shape).encode() for shape in shapes)
    said = decoded([data])
    assert type(said[-1]).__name__ in ("Failed", "Ended")
    assert sum(type(event).__name__ in ("Failed", "Ended") for event in said) == 1
    reader = codec.open_stream(False)
    reader.feed(data)
    reader.finish()
    assert reader.done == (reader.failure is None)


def refused(read: Callable[[bytes], object], body: bytes) -> ProtocolError | None:
    try:
        read(body)
    except ProtocolError as exc:
        return exc
    return None


@calm
@given(st.dictionaries(NAMES, SHAPED, max_size=8), st.lists(st.dictionaries(NAMES, SHAPED, max_size=6), max_size=3))
def test_requests_of_any_shape_are_read_and_answered_or_refused(fields, items):
    body = json.dumps({"model": "m", "input": items or "x"} | fields | {"model": "m"}).encode()
    refusal = refused(lambda data: dialect.decode_chat(data, codec.decode_request(data)), body)
    if refusal is None:
        asked = codec.decode_request(body)
        assert json.loads(dialect.encode_answer(answer(CALL), asked, CREATED))["model"] == "claude"
    else:
        assert refusal.detail
        assert refusal.param or not isinstance(refusal, UntranslatableError)


@calm
@given(SHAPED)
def test_answers_of_any_shape_are_read_or_refused(shape):
    body = json.dumps(shape).encode()
    for read in (vendor.decode_answer, lambda data: codec.read_usage(data, 1)):
        refusal = refused(read, body)
        assert refusal is None or refusal.malformed or "provider" in refusal.detail
