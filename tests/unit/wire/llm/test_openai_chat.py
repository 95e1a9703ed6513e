"""Requests: what is read, what is refused with which param, and what a rewrite leaves alone."""

import json

import pytest

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm import openai_chat, openai_embeddings, openai_models
from heddle.wire.llm.codec import Codec
from heddle.wire.llm.codecs import CODECS

MESSAGES = [{"role": "user", "content": "hi"}]


def chat(**fields):
    return json.dumps({"model": "gpt-4o-mini", "messages": MESSAGES, **fields}).encode()


def test_a_plain_call():
    body = chat()
    call = openai_chat.decode_request(body)
    assert (call.operation, call.dialect, call.model, call.body) == ("chat", "openai_chat", "gpt-4o-mini", body)
    assert (call.stream, call.include_usage, call.max_output_tokens, call.choices) == (False, False, None, 1)


@pytest.mark.parametrize(
    ("fields", "bound"),
    [
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 20}, 20),
        ({"max_tokens": 10, "n": 3}, 30),
        ({"max_tokens": 1, "max_completion_tokens": 5000}, 5000),  # whichever the provider obeys
        ({"max_tokens": 5000, "max_completion_tokens": 1, "n": 2}, 10000),
        ({"max_tokens": None, "n": None}, None),
        ({"n": 128}, None),
    ],
)
def test_the_output_bound_is_an_upper_one(fields, bound):
    assert openai_chat.decode_request(chat(**fields)).max_output_tokens == bound


def test_streams():
    call = openai_chat.decode_request(chat(stream=True, stream_options={"include_usage": True}))
    assert (call.stream, call.include_usage) == (True, True)
    call = openai_chat.decode_request(chat(stream=None, stream_options=None))
    assert (call.stream, call.include_usage) == (False, False)


def test_escaped_keys_mean_what_they_mean():
    call = openai_chat.decode_request(
        b'{"mod\\u0065l":"a","messages":[{"r\\u006fle":"user"}],"\\u006e":2,"max_tokens":3}'
    )
    assert (call.model, call.choices, call.max_output_tokens) == ("a", 2, 6)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"model": "x" * 257}, "model"),
        ({"model": "a\nb"}, "model"),
        ({"model": "a\x00"}, "model"),
        ({"model": "a\x7f"}, "model"),
        ({"model": "a\u202eb"}, "model"),
        ({"model": "a\u2028b"}, "model"),
        ({"model": "claude-*"}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [[]]}, "messages[0]"),
        ({"messages": [{"role": "user"}, {"content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": None}]}, "messages[0].role"),
        ({"stream": "true"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"n": 0}, "n"),
        ({"n": -1}, "n"),
        ({"n": 129}, "n"),
        ({"n": "2"}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"max_completion_tokens": 2**31}, "max_completion_tokens"),
    ],
)
def test_refused_with_its_param(fields, param):
    with pytest.raises(ProtocolError) as caught:
        openai_chat.decode_request(chat(**fields))
    assert (caught.value.param, caught.value.malformed) == (param, False)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null", b"true"])
def test_a_body_that_is_no_object(body):
    with pytest.raises(ProtocolError) as caught:
        openai_chat.decode_request(body)
    assert not caught.value.malformed


def test_nothing_to_change_is_the_same_object():
    body = chat()
    assert openai_chat.rewrite(body, model=None, include_usage=False) is body
    assert openai_embeddings.rewrite(body, model=None, include_usage=True) is body


def test_a_rewrite_keeps_the_bytes_of_what_it_does_not_change():
    messages = b'[ {"role":"user", "content": "\\u00e9\\/ \xc3\xa9"} ]'
    body = b'{ "messages" : %b,"x":1e999,"y":1.0,"model":"a", "z" : null }' % messages
    new = openai_chat.rewrite(body, model="b", include_usage=True)
    assert messages in new
    assert b'"x":1e999,"y":1.0,"model":"b","z":null' in new
    assert json.loads(new)["stream_options"] == {"include_usage": True}


def test_stream_options_keep_their_other_fields():
    body = chat(stream=True, stream_options={"include_obfuscation": False, "include_usage": False})
    new = json.loads(openai_chat.rewrite(body, model=None, include_usage=True))
    assert new["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert new["model"] == "gpt-4o-mini"
    again = openai_chat.rewrite(chat(stream_options=None), model=None, include_usage=True)
    assert json.loads(again)["stream_options"] == {"include_usage": True}


def test_a_model_name_cannot_break_out_of_its_string():
    new = json.loads(openai_chat.rewrite(chat(), model='x","n":"9', include_usage=False))
    assert new["model"] == 'x","n":"9'
    assert "n" not in new


def answer(**fields):
    message = {"role": "assistant", "content": "x" * 40}
    return json.dumps({"choices": [{"index": 0, "message": message}], **fields}).encode()


def test_usage_with_details():
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    assert openai_chat.read_usage(answer(usage=usage), 9) == Usage(
        input_tokens=100, output_tokens=50, cached_input_tokens=80, reasoning_tokens=30
    )


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": 5, "completion_tokens": -1},
        {"prompt_tokens": 1.5, "completion_tokens": 1},
        {"completion_tokens": 1},
    ],
)
def test_usage_that_is_missing_or_impossible_is_estimated(usage):
    fields = {} if usage is None else {"usage": usage}
    assert openai_chat.read_usage(answer(**fields), 10) == Usage(input_tokens=3, output_tokens=10, estimated=True)


def test_more_cached_than_sent_cannot_be():
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}
    assert openai_chat.read_usage(answer(usage=usage), 9).cached_input_tokens == 5


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"object":"error"}', b"\xff", b'{"choices":'])
def test_what_is_no_answer_is_refused(body):
    with pytest.raises(ProtocolError):
        openai_chat.read_usage(body, 1)


def test_errors_have_the_form_of_openai():
    body = openai_chat.encode_error(429, "rate_limit_error", "rate_limit_exceeded", 'Slow "down".', None)
    shape = {"message": 'Slow "down".', "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}
    assert json.loads(body) == {"error": shape}
    assert openai_chat.encode_error_event(500, "a", "b", "c\n", "d") == (
        b'data: {"error":{"message":"c\\n","type":"a","param":"d","code":"b"}}\n\n'
    )


@pytest.mark.parametrize("value", ["hi", ["a", "b"], [1, 2, 3], [[1, 2], [3]]])
def test_embeddings_take_the_four_forms_of_input(value):
    body = json.dumps({"model": "e", "input": value, "encoding_format": "base64", "dimensions": 8}).encode()
    call = openai_embeddings.decode_request(body)
    assert (call.operation, call.model, call.stream, call.max_output_tokens) == ("embeddings", "e", False, 0)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": {}}, "input"),
        ({"input": [1.5]}, "input[0]"),
        ({"input": [["a"]]}, "input[0][0]"),
        ({"model": "text-*"}, "model"),
        ({"model": ""}, "model"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
    ],
)
def test_embeddings_refused(fields, param):
    with pytest.raises(ProtocolError) as caught:
        openai_embeddings.decode_request(json.dumps({"model": "e", "input": "x", **fields}).encode())
    assert caught.value.param == param


def test_embeddings_usage():
    assert openai_embeddings.read_usage(b'{"data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}', 1) == Usage(
        input_tokens=8
    )
    assert openai_embeddings.read_usage(b'{"data":[]}', 8) == Usage(input_tokens=2, estimated=True)
    with pytest.raises(ProtocolError):
        openai_embeddings.read_usage(b'{"error":{}}', 8)
    with pytest.raises(ProtocolError):
        openai_embeddings.open_stream(True)


def test_the_list_of_models():
    listed = json.loads(openai_models.encode_list([("a", "p"), ("b-*", "q")]))
    assert listed == {
        "object": "list",
        "data": [
            {"id": "a", "object": "model", "created": 0, "owned_by": "p"},
            {"id": "b-*", "object": "model", "created": 0, "owned_by": "q"},
        ],
    }
    assert json.loads(openai_models.encode_model("a", "p", 5))["created"] == 5


def test_every_codec_is_found_by_the_dialect_of_its_calls():
    codec: Codec = CODECS["openai_chat"]
    assert codec.decode_request(chat()).dialect == "openai_chat"
    embedding = CODECS["openai_embeddings"].decode_request(b'{"model":"m","input":"x"}')
    assert embedding.dialect == "openai_embeddings"


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_completions", "openai_responses"])
def test_further_models_that_no_policy_would_judge_are_refused(dialect: str):
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "prompt": "x",
        "input": "x",
        "models": ["big"],
    }
    if dialect == "openai_responses":
        del body["prompt"]
    with pytest.raises(ProtocolError) as caught:
        CODECS[dialect].decode_request(json.dumps(body).encode())
    assert caught.value.param == "models"
