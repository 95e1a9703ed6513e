"""Gemini at the door: what the path says, what is read of a body, what a rewrite changes, how errors look."""

import json

import pytest

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.gemini import codec, count, embed_content, embeddings, models
from heddle.wire.llm.gemini.target import read_target

GENERATE = "/v1beta/models/gemini-3-pro:generateContent"
STREAM = "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse"
HI = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def body(**fields):
    return json.dumps({**HI, **fields}).encode()


@pytest.mark.parametrize(
    ("target", "model"),
    [
        ("/v1/models/gemini-3-pro:generateContent", "gemini-3-pro"),
        ("/v1alpha/models/gemini-3-pro:generateContent?key=x", "gemini-3-pro"),
        ("/v1beta/models/llama3:8b:generateContent", "llama3:8b"),
        ("/v1beta/models/openai/gpt-4o:generateContent", "openai/gpt-4o"),
        ("/v1beta/models/openai%2Fgpt-4o:generateContent", "openai/gpt-4o"),
        ("/v1beta/models/gr%C3%BCn:generateContent", "grün"),
        ("/v1beta/tunedModels/mine:generateContent", "tunedModels/mine"),
        ("/v1/projects/p/locations/eu-west1/publishers/google/models/g:generateContent", "g"),
        ("/v1beta1/projects/p/locations/l/publishers/meta/models/llama:generateContent", "meta/llama"),
        ("/v1beta1/projects/p/locations/l/models/g:generateContent", "g"),
        ("/v1beta1/publishers/google/models/g:generateContent", "g"),
    ],
)
def test_the_model_stands_in_the_path(target, model):
    assert read_target(target) == (model, "generateContent")
    assert codec.decode_request(body(), target).model == model


@pytest.mark.parametrize(
    ("target", "status", "param"),
    [
        ("/v1/chat/completions", 404, None),
        ("/v1beta/models/g", 404, None),
        ("/v1beta/models/g:predict", 404, None),
        ("/v1beta/models/:generateContent", 404, None),
        ("/v2/models/g:generateContent", 404, None),
        ("/v1beta/models/%ff:generateContent", 400, None),
        ("/v1beta/models/a%0ab:generateContent", 404, None),
        ("/v1beta/models/gemini-*:generateContent", 400, "model"),
        (f"/v1beta/models/{'x' * 257}:generateContent", 400, "model"),
        ("/v1beta/models/g:streamGenerateContent", 400, "alt"),
        ("/v1beta/models/g:streamGenerateContent?alt=json", 400, "alt"),
        ("/v1beta/models/g:streamGenerateContent?alt=sse&alt=json", 400, "alt"),
        ("/v1beta/models/g:countTokens", 404, None),
    ],
)
def test_paths_that_are_refused(target, status, param):
    with pytest.raises(ProtocolError) as caught:
        codec.decode_request(body(), target)
    assert (caught.value.status, caught.value.param) == (status, param)


def test_a_plain_call():
    sent = body(generationConfig={"maxOutputTokens": 10, "candidateCount": 3})
    call = codec.decode_request(sent, GENERATE)
    assert (call.operation, call.dialect, call.body, call.stream) == ("chat", "gemini", sent, False)
    assert (call.max_output_tokens, call.choices, call.include_usage) == (30, 3, False)


def test_a_stream_has_its_usage_anyway():
    call = codec.decode_request(body(), STREAM)
    assert (call.stream, call.include_usage) == (True, True)


def test_either_spelling_is_read():
    call = codec.decode_request(body(generation_config={"max_output_tokens": "7", "candidate_count": 2.0}), GENERATE)
    assert (call.max_output_tokens, call.choices) == (14, 2)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"contents": []}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": ["hi"]}, "contents[0]"),
        ({"contents": [{"role": "assistant", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"role": 1, "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [3]}]}, "contents[0].parts[0]"),
        ({"generationConfig": []}, "generationConfig"),
        ({"generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"maxOutputTokens": 2**31}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"maxOutputTokens": True}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {"candidateCount": 129}}, "generationConfig.candidateCount"),
        ({"generationConfig": {"candidateCount": 1, "candidate_count": 9}}, "generationConfig.candidateCount"),
        ({"generationConfig": {}, "generation_config": {}}, "generationConfig"),
        ({"model": "models/other"}, "model"),
    ],
)
def test_refused_with_its_place(fields, param):
    with pytest.raises(ProtocolError) as caught:
        codec.decode_request(body(**fields), GENERATE)
    assert (caught.value.param, caught.value.malformed) == (param, False)


@pytest.mark.parametrize("sent", [b"", b"{", b'{"a":1,"a":2}', b"\xff", b"[" * 300, b'{"contents":NaN}'])
def test_what_is_no_strict_json(sent):
    with pytest.raises(ProtocolError) as caught:
        codec.decode_request(sent, GENERATE)
    assert caught.value.malformed


def test_a_rewrite_keeps_the_bytes():
    sent = body()
    assert codec.rewrite(sent, model="other", include_usage=True) is sent
    named = b'{ "model":"models/gemini-3-pro", "x": 1e999 ,"contents":[]}'
    assert (
        codec.rewrite(named, model="other", include_usage=False) == b'{"model":"models/other","x":1e999,"contents":[]}'
    )


def test_usage_adds_thoughts_and_what_tools_brought():
    counts = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 157,
    }
    answer = json.dumps({"candidates": [], "usageMetadata": counts}).encode()
    assert codec.read_usage(answer, 9) == Usage(
        input_tokens=107, output_tokens=50, cached_input_tokens=60, reasoning_tokens=30
    )


@pytest.mark.parametrize("counts", [{}, {"promptTokenCount": -1}, {"promptTokenCount": 1, "candidatesTokenCount": 1.5}])
def test_impossible_usage_is_estimated(counts):
    candidate = {"content": {"parts": [{"text": "x" * 40}]}}
    answer = json.dumps({"candidates": [candidate], "usageMetadata": counts}).encode()
    assert codec.read_usage(answer, 10) == Usage(input_tokens=3, output_tokens=10, estimated=True)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[]", b"{}", b'{"error":{}}', b"\xff", b'{"candidates":'])
def test_what_is_no_answer_is_refused(answer):
    with pytest.raises(ProtocolError):
        codec.read_usage(answer, 1)
    with pytest.raises(ProtocolError):
        embeddings.read_usage(answer, 1)
    with pytest.raises(ProtocolError):
        embed_content.read_usage(answer, 1)
    with pytest.raises(ProtocolError):
        count.read_usage(answer, 1)


def test_errors_have_the_form_of_google():
    error = json.loads(codec.encode_error(429, "rate_limit_error", "rate_limit_exceeded", 'Slow "down".', None))[
        "error"
    ]
    assert (error["code"], error["status"], error["message"]) == (429, "RESOURCE_EXHAUSTED", 'Slow "down".')
    assert error["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    error = json.loads(codec.encode_error(418, "a", "b", "c", "contents[0]"))["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert error["details"][1]["fieldViolations"] == [{"field": "contents[0]", "description": "c"}]
    assert codec.encode_error_event(500, "a", "b", "c\n", None).startswith(
        b'data: {"error":{"code":500,"message":"c\\n"'
    )
    assert codec.error_fields(500, "x") == []


BATCH = "/v1beta/models/e:batchEmbedContents"
ONE = {"content": {"parts": [{"text": "a"}]}}


def test_embeddings_of_both_forms():
    batch = json.dumps({"requests": [{**ONE, "model": "models/e"}, ONE]}).encode()
    call = embeddings.decode_request(batch, BATCH)
    assert (call.operation, call.dialect, call.model, call.max_output_tokens) == (
        "embeddings",
        "gemini_embeddings",
        "e",
        0,
    )
    single = json.dumps({**ONE, "model": "models/e"}).encode()
    for module in (embeddings, embed_content):
        assert module.decode_request(single, "/v1beta/models/e:embedContent").dialect == "gemini_embed_content"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "requests"),
        ({"requests": []}, "requests"),
        ({"requests": [{}]}, "requests[0].content"),
        ({"requests": [ONE, {"content": {"parts": []}}]}, "requests[1].content"),
        ({"requests": [{**ONE, "model": "models/f"}]}, "requests[0].model"),
        ({"requests": [ONE] * 2049}, "requests"),
    ],
)
def test_batches_that_are_refused(fields, param):
    with pytest.raises(ProtocolError) as caught:
        embeddings.decode_request(json.dumps(fields).encode(), BATCH)
    assert caught.value.param == param


def test_a_renamed_batch_renames_each_request():
    sent = b'{"requests":[{"model":"models/e","content":{"parts":[{"text":"\\u00e9"}]}},{"content":{}}]}'
    assert embeddings.rewrite(sent, model=None, include_usage=True) is sent
    assert embeddings.rewrite(sent, model="f", include_usage=True) == sent.replace(b"models/e", b"models/f")
    lone = b'{"requests":{"model":"models/e","content":{}}}'
    assert embeddings.rewrite(lone, model="f", include_usage=True) == lone.replace(b"models/e", b"models/f")


def test_usage_of_embeddings():
    said = b'{"embeddings":[],"usageMetadata":{"promptTokenCount":5}}'
    assert embeddings.read_usage(said, 9) == Usage(input_tokens=5)
    assert embed_content.read_usage(b'{"embedding":{}}', 9) == Usage(input_tokens=3, estimated=True)


def test_counting():
    target = "/v1beta/models/g:countTokens"
    call = count.decode_request(body(), target)
    assert (call.operation, call.dialect, call.model) == ("count_tokens", "gemini_count", "g")
    whole = json.dumps({"generateContentRequest": {**HI, "model": "models/g"}}).encode()
    assert count.decode_request(whole, target).model == "g"
    assert (
        json.loads(count.rewrite(whole, model="h", include_usage=False))["generateContentRequest"]["model"]
        == "models/h"
    )
    assert count.rewrite(body(), model="h", include_usage=False) == body()
    assert count.read_usage(b'{"totalTokens":3}', 9) == Usage()
    for wrong in ({**HI, "generateContentRequest": HI}, {"generateContentRequest": {}}, {}):
        with pytest.raises(ProtocolError):
            count.decode_request(json.dumps(wrong).encode(), target)


def test_an_estimate_counts_words_and_files():
    parts = [{"text": "x" * 39}, {"inlineData": {"mimeType": "image/png", "data": "A" * 4000}}]
    sent = json.dumps({"contents": [{"role": "user", "parts": parts}]}).encode()
    assert json.loads(count.estimate_count(sent)) == {"totalTokens": 10 + count.MEDIA_TOKENS}


def test_what_does_not_stream():
    for module in (embeddings, embed_content, count):
        with pytest.raises(ProtocolError):
            module.open_stream(False)


def test_the_list_of_models():
    listed = json.loads(models.encode_list([("a", "p"), ("b/c", "q")]))
    assert [model["name"] for model in listed["models"]] == ["models/a", "models/b/c"]
    assert json.loads(models.encode_model("a", "p"))["displayName"] == "a"
