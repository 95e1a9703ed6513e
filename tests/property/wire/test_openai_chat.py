"""Whatever arrives: a call or a ProtocolError, and a rewrite that changes what it says and no more."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heddle.wire.errors import ProtocolError
from heddle.wire.llm import openai_chat, openai_embeddings
from heddle.wire.llm.openai_stream import StreamReader

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["model", "messages", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "input", "dimensions"]
)
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
VALID = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


@calm
@given(st.binary(max_size=200))
def test_garbage_is_refused(body):
    for codec in (openai_chat, openai_embeddings):
        try:
            codec.decode_request(body)
        except ProtocolError as exc:
            assert exc.detail  # noqa: PT017


@calm
@given(st.dictionaries(FIELDS, JSON), st.booleans())
def test_wrong_types_are_refused_with_a_param(fields, from_valid):
    body = json.dumps({**VALID, **fields} if from_valid else fields).encode()
    for codec in (openai_chat, openai_embeddings):
        try:
            call = codec.decode_request(body)
        except ProtocolError as exc:
            assert exc.param or exc.malformed  # noqa: PT017
        else:
            assert call.choices >= 1
            assert call.max_output_tokens is None or call.max_output_tokens >= 0


@calm
@given(st.dictionaries(st.text(), JSON), st.text(min_size=1), st.booleans(), st.sampled_from([None, 1]))
def test_a_rewrite_changes_what_it_says_and_no_more(fields, model, include_usage, indent):
    asked = {**fields, **VALID}
    asked.pop("stream_options", None)
    body = json.dumps(asked, indent=indent).encode()
    openai_chat.decode_request(json.dumps(VALID).encode())
    new = json.loads(openai_chat.rewrite(body, model=model, include_usage=include_usage))
    expected = {**asked, "model": model}
    if include_usage:
        expected["stream_options"] = {"include_usage": True}
    assert new == expected
    assert list(new) == list(expected)


CHUNKS = st.lists(
    st.sampled_from(
        [
            b'data: {"choices":[{"index":0,"delta":{"content":"ab"},"finish_reason":null}]}\n\n',
            b'data: {"choices":[{"index":1,"delta":{"content":"cd"}}]}\r\n\r\n',
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
            b'data: {"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}\n\n',
            b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n',
            b'data: {"error":{"message":"x"}}\n\n',
            b": ping\n\n",
            b"data: {oops}\n\n",
            b"data: [DONE]\n\n",
            b"data: [DO",
        ]
    ),
    max_size=8,
)


def run(chunks, hide):
    reader = StreamReader(hide)
    out = b"".join(reader.feed(chunk) for chunk in chunks)
    reader.finish()
    return out, reader.done, reader.failure and reader.failure.detail, reader.usage(50), reader.text_chars


@calm
@given(CHUNKS, st.lists(st.integers(0, 1000), max_size=8), st.booleans())
def test_any_split_of_a_stream_is_read_the_same(events, places, hide):
    data = b"".join(events)
    places = sorted({place % (len(data) + 1) for place in places})
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    split, whole = run(pieces, hide), run([data], hide)
    assert split[1:] == whole[1:]
    # Where a CR LF is cut, its LF may travel with the next event or be lost with a broken one.
    assert split[0].replace(b"\r\n", b"\n").rstrip(b"\r\n") == whole[0].replace(b"\r\n", b"\n").rstrip(b"\r\n")
    assert (b"[DONE]" in whole[0]) == whole[1]


@calm
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_a_stream_of_garbage_is_never_a_crash(chunks):
    run(chunks, True)
