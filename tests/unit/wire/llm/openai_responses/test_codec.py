"""The door: what of a request is read, what is refused with which param, and what a whole answer used."""

import json

import pytest
from tests.unit.wire.llm.openai_responses.said import request

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codec import Codec, Dialect, Vendor
from heddle.wire.llm.codecs import CODECS, DIALECTS, VENDORS
from heddle.wire.llm.openai_responses import codec


def test_the_faces_are_listed():
    door: Codec = CODECS["openai_responses"]
    side: Dialect = DIALECTS["openai_responses"]
    vendor: Vendor = VENDORS["openai_responses"]
    assert (door.DIALECT, vendor.NAME) == ("openai_responses", "OpenAI responses")
    assert side.decode_chat


def test_a_plain_call():
    body = request(stream=True, max_output_tokens=16)
    call = codec.decode_request(body)
    assert (call.operation, call.dialect, call.model, call.body) == ("chat", "openai_responses", "m", body)
    assert (call.stream, call.max_output_tokens, call.choices) == (True, 16, 1)
    # Nothing has to be asked for, so that streams of the same dialect go through untouched.
    assert call.include_usage


@pytest.mark.parametrize(
    "fields",
    [
        {"input": [{"role": "user", "content": "x"}]},
        {"input": [{"type": "function_call_output", "call_id": "1", "output": "x"}]},
        {"input": [{"id": "msg_1"}]},
        {"input": None, "previous_response_id": "resp_1"},
        {"input": [], "conversation": {"id": "conv_1"}},
        {"input": "", "prompt": {"id": "pmpt_1"}},
        {"background": True, "tools": [{"type": "unheard_of", "x": 1}]},
    ],
)
def test_what_the_vendor_may_judge_passes(fields):
    assert codec.decode_request(request(**fields)).model == "m"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"model": "gpt-*"}, "model"),
        ({"input": ""}, "input"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": {}}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"role": "user"}, {"role": 1}]}, "input[1].role"),
        ({"input": [{"type": []}]}, "input[0].type"),
        ({"stream": 1}, "stream"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 2**31}, "max_output_tokens"),
        ({"max_output_tokens": 10**30}, "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"background": "yes"}, "background"),
        ({"previous_response_id": 7}, "previous_response_id"),
    ],
)
def test_refused_with_its_param(fields, param):
    with pytest.raises(ProtocolError) as caught:
        codec.decode_request(request(**fields))
    assert (caught.value.param, caught.value.malformed) == (param, False)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"model":"a","model":"b","input":"x"}', b'{"model":"\xff"}', b"[" * 9999]
)
def test_what_is_not_strict_json(body):
    with pytest.raises(ProtocolError) as caught:
        codec.decode_request(body)
    assert caught.value.malformed


def test_a_rewrite_changes_the_model_and_no_other_byte():
    body = b'{"input":[{"role":"user","content":"\\u00e9"}],"x":1e999,"model":"a"}'
    assert codec.rewrite(body, model=None, include_usage=True) is body
    assert codec.rewrite(body, model="b", include_usage=True) == body.replace(b'"a"', b'"b"')


OUTPUT = [
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "r" * 4}], "encrypted_content": "z" * 99},
    {"type": "message", "content": [{"type": "output_text", "text": "t" * 8}, {"type": "refusal", "refusal": "n" * 4}]},
    {"type": "function_call", "name": "f", "arguments": "a" * 8},
    {"type": "custom_tool_call", "name": "f", "input": "i" * 4},
    {"type": "web_search_call", "action": {"query": "q"}},
]


def answered(**fields):
    return json.dumps({"object": "response", "output": OUTPUT, **fields}).encode()


def test_usage_as_reported():
    said = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 6},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 15,
    }
    assert codec.read_usage(answered(usage=said), 100) == Usage(
        input_tokens=10, output_tokens=5, cached_input_tokens=4, cache_write_tokens=6, reasoning_tokens=3
    )


def test_details_never_exceed_their_whole():
    said = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 6},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 30},
    }
    used = codec.read_usage(answered(usage=said), 100)
    assert (used.cached_input_tokens, used.cache_write_tokens, used.reasoning_tokens) == (10, 0, 5)


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        {"input_tokens": 3},
        {"input_tokens": -1, "output_tokens": 2},
        {"input_tokens": 1, "output_tokens": 1.5},
    ],
)
def test_counts_that_are_not_there_or_cannot_be_are_estimated(said):
    used = codec.read_usage(answered(usage=said), 100)
    assert used == Usage(input_tokens=25, output_tokens=7, estimated=True)


def test_output_in_an_unknown_form_is_still_counted():
    assert codec.read_usage(b'{"output":"abcdef"}', 4) == Usage(input_tokens=1, output_tokens=2, estimated=True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"choices":[]}', b"\xff", b"[" * 100_000])
def test_what_is_no_answer(body):
    with pytest.raises(ProtocolError):
        codec.read_usage(body, 1)


def test_an_error_event_says_it_flat_and_nested():
    event = codec.encode_error_event(502, "server_error", "upstream_broken", 'It "broke"\n.', "x")
    head, data = event.removesuffix(b"\n\n").split(b"\n")
    said = json.loads(data.removeprefix(b"data: "))
    assert head == b"event: error"
    assert said["type"] == "error"
    assert (said["code"], said["message"], said["param"]) == ("upstream_broken", 'It "broke"\n.', "x")
    assert said["error"] == {
        "type": "server_error",
        "code": "upstream_broken",
        "message": 'It "broke"\n.',
        "param": "x",
    }
