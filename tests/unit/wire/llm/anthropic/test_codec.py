"""Messages at the door: what is read, what is refused, and how errors look."""

import json

import pytest

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.anthropic import codec, count, models

BODY = {"model": "claude-x", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def body(**fields):
    return json.dumps({**BODY, **fields}).encode()


def test_what_policies_need_is_read():
    call = codec.decode_request(body(stream=True))
    assert (call.operation, call.dialect, call.model) == ("chat", "anthropic_messages", "claude-x")
    assert (call.stream, call.include_usage, call.max_output_tokens, call.choices) == (True, True, 100, 1)
    assert call.body == body(stream=True)
    assert not codec.decode_request(body()).stream


def test_zero_tokens_only_fill_the_cache():
    assert codec.decode_request(body(max_tokens=0)).max_output_tokens == 0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": "a*"}, "model"),
        ({"model": 3}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 2**31}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"max_tokens": None}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_what_is_refused_names_its_place(fields, param):
    with pytest.raises(ProtocolError) as caught:
        codec.decode_request(body(**fields))
    assert caught.value.param == param


def test_a_bound_is_required():
    with pytest.raises(ProtocolError) as caught:
        codec.decode_request(json.dumps({k: v for k, v in BODY.items() if k != "max_tokens"}).encode())
    assert caught.value.param == "max_tokens"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]x", b"\xff", b'{"a":1,"a":2}', b"[" * 300, b"null"])
def test_what_is_no_request(raw):
    for face in (codec, count):
        with pytest.raises(ProtocolError):
            face.decode_request(raw)


def test_a_rewrite_changes_the_model_and_nothing_else():
    raw = b'{"model": "a", "max_tokens":1, "messages" : [ {"role":"user", "content":"\\u00e9"} ]}'
    assert codec.rewrite(raw, model=None, include_usage=True) is raw
    assert codec.rewrite(raw, model="b", include_usage=True) == (
        b'{"model":"b","max_tokens":1,"messages":[ {"role":"user", "content":"\\u00e9"} ]}'
    )


def answer(**usage):
    return json.dumps({"type": "message", "content": [{"type": "text", "text": "12345678"}], "usage": usage}).encode()


def test_cached_tokens_are_part_of_the_input():
    wire = answer(
        input_tokens=10,
        output_tokens=5,
        cache_creation_input_tokens=100,
        cache_read_input_tokens=1000,
        output_tokens_details={"thinking_tokens": 3},
        server_tool_use={"web_search_requests": 2, "web_fetch_requests": 0},
    )
    assert codec.read_usage(wire, 1) == Usage(
        input_tokens=1110, output_tokens=5, cached_input_tokens=1000, cache_write_tokens=100, reasoning_tokens=3
    )


@pytest.mark.parametrize(
    "usage", [{}, {"output_tokens": 3}, {"input_tokens": -1}, {"input_tokens": 1.5}, {"input_tokens": 2**60}]
)
def test_counts_that_cannot_be_are_estimated(usage):
    assert codec.read_usage(answer(**usage), 40) == Usage(input_tokens=10, output_tokens=2, estimated=True)


def test_estimates_survive_odd_content():
    raw = b'{"content":"12345678","usage":null}'
    assert codec.read_usage(raw, 4) == Usage(input_tokens=1, output_tokens=3, estimated=True)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"type":"error"}', b"\xff", b'{"content":[], "usage":[]}'])
def test_what_is_no_message(raw):
    with pytest.raises(ProtocolError, match="not a message"):
        codec.read_usage(raw, 1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_each_status_has_its_error_type(status, kind):
    error = {"type": kind, "message": "No.", "details": {"error_code": "c"}}
    raw = codec.encode_error(status, "server_error", "c", "No.", "model")
    assert json.loads(raw) == {"type": "error", "error": error, "request_id": None}
    assert codec.encode_error_event(status, "k", "c", "No.", None) == b"event: error\ndata: " + raw + b"\n\n"
    assert codec.error_fields(status, "c") == []


def test_counting_is_asked_like_a_message_and_costs_nothing():
    call = count.decode_request(json.dumps({"model": "m", "messages": BODY["messages"]}).encode())
    assert (call.operation, call.dialect, call.max_output_tokens) == ("count_tokens", "anthropic_count", 0)
    assert count.read_usage(b'{"input_tokens": 2095}', 100) == Usage()
    with pytest.raises(ProtocolError, match="not a count"):
        count.read_usage(b'{"tokens": 1}', 100)
    with pytest.raises(ProtocolError):
        count.open_stream(False)
    with pytest.raises(ProtocolError) as caught:
        count.decode_request(b'{"model":"m","messages":[]}')
    assert caught.value.param == "messages"


def estimated(*blocks, **fields):
    asked = {"model": "m", "messages": [{"role": "user", "content": list(blocks)}], **fields}
    return json.loads(count.estimate_count(json.dumps(asked).encode()))["input_tokens"]


def test_an_estimate_grows_with_the_text_wherever_it_is():
    short = estimated({"type": "text", "text": "x"})
    assert estimated({"type": "text", "text": "x" * 4001}) == short + 1000
    assert estimated({"type": "text", "text": "x"}, system="x" * 4000) >= short + 1000
    assert estimated({"type": "text", "text": "x"}, tools=[{"name": "x" * 4000}]) >= short + 1000


def test_an_estimate_counts_an_image_once_whatever_its_size():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}}
    small = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}}
    assert estimated(image) == estimated(small)
    assert estimated(image, small) > estimated(image) + count.MEDIA_TOKENS
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "y" * 4000}}
    assert 1000 < estimated(text) < count.MEDIA_TOKENS


def test_a_list_of_models_has_one_page():
    listed = json.loads(models.encode_list([("a", "x"), ("b", "y")]))
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("a", "b", False)
    assert listed["data"][0] == json.loads(models.encode_model("a", "x"))
    assert json.loads(models.encode_list([])) == {"data": [], "has_more": False, "first_id": None, "last_id": None}
