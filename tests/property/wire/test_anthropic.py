"""Anthropic's format: any split of the bytes says the same, nothing is ever a crash, and what we write we read."""

import json

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heddle.model.call import ModelCall, Usage
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
from heddle.wire.canonical.rules import Notes
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.anthropic import codec, count, dialect, vendor
from heddle.wire.llm.anthropic.passing import StreamReader
from heddle.wire.llm.anthropic.vendor_schema import fit

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
CALL = ModelCall(operation="chat", dialect="anthropic_messages", model="m", body=b"{}", stream=True)


def event(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


EVENTS = st.sampled_from(
    [
        event("message_start", message={"id": "i", "model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("content_block_start", index=1, content_block={"type": "tool_use", "id": "a", "name": "f", "input": {}}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "é\n"}),
        event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": "{}"}),
        event("content_block_stop", index=0),
        event("content_block_stop", index=1),
        event("ping"),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7}),
        event("message_stop"),
        event("error", error={"type": "overloaded_error", "message": "x"}),
        event("ping").replace(b"\n", b"\r\n"),
        b"data: {oops}\n\n",
        b": comment\n\n",
        b"event: message_stop\nda",
    ]
)


def pieces_of(data, places):
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def passed(pieces):
    reader = StreamReader()
    out = b"".join([reader.feed(piece) for piece in pieces])
    reader.finish()
    return out, reader.done, reader.failure and reader.failure.detail, reader.usage(50), reader.text_chars


def decoded(pieces):
    decoder = vendor.open_decoder()
    said = [event for piece in pieces for event in decoder.feed(piece)]
    return [*said, *decoder.finish()]


@calm
@given(st.lists(EVENTS, max_size=10), st.lists(st.integers(0, 2000), max_size=8))
def test_any_split_of_a_stream_is_read_the_same(events, places):
    data = b"".join(events)
    pieces = pieces_of(data, places)
    split, whole = passed(pieces), passed([data])
    assert split[1:] == whole[1:]
    # Where a CR LF is cut, its LF may travel with the next event or be lost with a broken one.
    assert split[0].replace(b"\r\n", b"\n").rstrip(b"\r\n") == whole[0].replace(b"\r\n", b"\n").rstrip(b"\r\n")
    # Cut off at the end, and glued to what follows, the name is no name.
    assert (b"event: message_stop\ndata: " in whole[0]) == whole[1]
    assert decoded(pieces) == decoded([data])


@calm
@given(st.lists(EVENTS, max_size=12))
def test_events_keep_the_grammar(events):
    said = decoded(events)
    assert isinstance(said[-1], (Ended, Failed))
    assert not any(isinstance(e, (Ended, Failed)) for e in said[:-1])
    began = [e.index for e in said if isinstance(e, PartBegan)]
    ended = [e.index for e in said if isinstance(e, PartEnded)]
    assert began == list(range(len(began)))
    assert len(ended) == len(set(ended))
    if isinstance(said[-1], Ended):
        assert sorted(ended) == began
        assert [type(e) for e in said].count(ChoiceEnded) == 1
        assert isinstance(said[0], Began)
    going: set[int] = set()
    for one in said:
        if isinstance(one, PartBegan):
            going.add(one.index)
        elif isinstance(one, PartEnded):
            going.remove(one.index)
        elif isinstance(one, PartDelta):
            assert one.index in going


@calm
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_a_stream_of_garbage_is_never_a_crash(chunks):
    assert not passed(chunks)[1]
    assert isinstance(decoded(chunks)[-1], Failed)


@calm
@given(st.sampled_from(["message_start", "content_block_start", "content_block_delta", "message_delta", "error"]), JSON)
def test_events_of_any_shape_are_never_a_crash(kind, value):
    fields = value if isinstance(value, dict) else {"delta": value, "message": value, "content_block": value}
    start = event("message_start", message={})
    data = [start, f"event: {kind}\ndata: {json.dumps({**fields, 'type': kind})}\n\n".encode()]
    passed(data)
    decoded(data)


@calm
@given(st.binary(max_size=200))
def test_garbage_is_refused(body):
    for face in (codec, count):
        try:
            face.decode_request(body)
        except ProtocolError as exc:
            assert exc.detail  # noqa: PT017
    for read in (
        lambda: codec.read_usage(body, 1),
        lambda: count.read_usage(body, 1),
        lambda: vendor.decode_answer(body),
    ):
        try:
            read()
        except ProtocolError as exc:
            assert exc.detail  # noqa: PT017


FIELDS = st.sampled_from(
    ["system", "tools", "tool_choice", "thinking", "output_config", "output_format", "metadata", "stop_sequences",
     "temperature", "top_k", "cache_control", "service_tier", "mcp_servers", "container"]
)  # fmt: skip
BLOCKS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "x"]
        )
    },
    optional={
        "text": TEXT | JSON,
        "source": JSON
        | st.fixed_dictionaries({"type": st.sampled_from(["url", "base64", "text"]), "data": TEXT, "url": TEXT}),
        "content": JSON,
        "id": TEXT,
        "name": TEXT,
        "input": JSON,
        "tool_use_id": TEXT,
        "thinking": TEXT,
        "signature": TEXT,
        "data": TEXT,
    },
)


@calm
@given(st.lists(st.lists(BLOCKS, max_size=3), min_size=1, max_size=3), st.dictionaries(FIELDS, JSON, max_size=4))
def test_requests_of_any_shape_are_translated_or_refused(turns, fields):
    messages = [{"role": ("user", "assistant")[i % 2], "content": turn} for i, turn in enumerate(turns)]
    body = json.dumps({"model": "m", "max_tokens": 5, "messages": messages, **fields}).encode()
    assert json.loads(count.estimate_count(body))["input_tokens"] > 0
    try:
        request = dialect.decode_chat(body, codec.decode_request(body))
        sent = vendor.encode_chat(request, "claude-opus-4-7", Notes())
    except ProtocolError as exc:
        assert exc.detail  # noqa: PT017
    else:
        again = dialect.decode_chat(sent, codec.decode_request(sent))
        assert [m.role for m in again.messages if m.role != "system"]


PARTS = st.lists(st.tuples(st.sampled_from(["text", "thinking", "tool_call"]), st.lists(TEXT, max_size=4)), max_size=4)


@calm
@given(PARTS, st.lists(st.integers(0, 2000), max_size=8), st.randoms(use_true_random=False))
def test_what_we_write_we_read(parts, places, random):
    """Parts told all at once, their deltas in any order, arrive whole and in their order."""
    usage = Usage(input_tokens=9, output_tokens=2, cached_input_tokens=3, cache_write_tokens=1, reasoning_tokens=1)
    told = [(index, piece) for index, (_, pieces) in enumerate(parts) for piece in pieces]
    order = [index for index, _ in told]
    random.shuffle(order)
    left = {index: list(pieces) for index, (_, pieces) in enumerate(parts)}
    deltas = [PartDelta(index=index, text=left[index].pop(0)) for index in order]
    ends = [PartEnded(index=index) for index in range(len(parts))]
    random.shuffle(ends)
    events = [
        Began(id="i", model="m"),
        *[PartBegan(index=i, kind=kind, id=f"c{i}", name="f") for i, (kind, _) in enumerate(parts)],
        *deltas,
        *ends,
        ChoiceEnded(stop="stop_sequence", stop_sequence="s"),
        Used(usage=usage),
        Ended(),
    ]
    encoder = dialect.open_encoder(CALL, 0)
    data = b"".join([encoder.encode(one) for one in events])
    pieces = pieces_of(data, places)
    assert passed(pieces)[:3] == (data, True, None)
    said = decoded(pieces)
    assert said[-3:] == [ChoiceEnded(stop="stop_sequence", stop_sequence="s"), Used(usage=usage), Ended()]
    texts: dict[int, str] = {}
    for one in said:
        if isinstance(one, PartDelta):
            texts[one.index] = texts.get(one.index, "") + one.text
    expected = ["".join(p) or ("{}" if kind == "tool_call" else "") for kind, p in parts]
    assert [texts[i] for i in sorted(texts)] == [text for text in expected if text]


@calm
@given(JSON)
def test_a_fitted_schema_fits(schema):
    fitted, changed = fit(json.dumps(schema))
    again, more = fit(bytes(fitted).decode())
    assert not more
    assert changed or bytes(again) == bytes(fitted)
    assert msgspec.json.decode(fitted) == schema or changed
