"""Embeddings between OpenAI's form and Gemini's, in both directions."""

import base64
import json
import struct

import pytest

from heddle.model.call import Usage
from heddle.wire.canonical.embeddings import EmbedAnswer, EmbedRequest
from heddle.wire.canonical.rules import Notes, UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm import openai_embeddings
from heddle.wire.llm import openai_embeddings_translate as openai
from heddle.wire.llm.codecs import EMBED_DIALECTS, EMBED_VENDORS
from heddle.wire.llm.gemini import embed_translate as gemini
from heddle.wire.llm.gemini import embeddings

BATCH = "/v1beta/models/e:batchEmbedContents"
SINGLE = "/v1beta/models/e:embedContent"


def from_openai(**fields):
    body = json.dumps({"model": "e", "input": "a", **fields}).encode()
    call = openai_embeddings.decode_request(body)
    return openai.decode_embed(body, call), call


def from_gemini(target, **fields):
    body = json.dumps(fields).encode()
    call = embeddings.decode_request(body, target)
    return gemini.decode_embed(body, call), call


def content(*texts):
    return {"content": {"parts": [{"text": text} for text in texts]}}


def test_what_openai_asks():
    request, _ = from_openai(input=["a", "b"], dimensions=8, encoding_format="base64", user="u", extra=1, none=None)
    assert request == EmbedRequest(
        model="e", inputs=("a", "b"), dimensions=8, encoding_format="base64", user="u", other=("extra",)
    )
    assert from_openai()[0].inputs == ("a",)


@pytest.mark.parametrize("tokens", [[1, 2], [[1], [2]]])
def test_tokens_are_refused(tokens):
    with pytest.raises(UntranslatableError) as caught:
        from_openai(input=tokens)
    assert caught.value.param == "input"


def test_what_gemini_asks():
    settings = {"taskType": "RETRIEVAL_DOCUMENT", "title": "t", "outputDimensionality": 8}
    asked = EmbedRequest(model="e", inputs=("ab", "c"), task="RETRIEVAL_DOCUMENT", title="t", dimensions=8)
    both = [{**content("a", "b"), **settings, "model": "models/e"}, {**content("c"), **settings}]
    assert from_gemini(BATCH, requests=both)[0] == asked
    nested = [{**content("ab"), "embedContentConfig": settings}, {**content("c"), "embedContentConfig": settings}]
    assert from_gemini(BATCH, requests=nested)[0] == asked
    single, _ = from_gemini(SINGLE, **content("a"), output_dimensionality="8", autoTruncate=True)
    assert single == EmbedRequest(model="e", inputs=("a",), dimensions=8, other=("autoTruncate",))


@pytest.mark.parametrize(
    ("requests", "param"),
    [
        ([content("a"), {**content("b"), "taskType": "X"}], "requests"),
        ([{"content": {"parts": [{"inlineData": {}}]}}], "requests[0].content"),
    ],
)
def test_what_gemini_asks_and_others_cannot(requests, param):
    with pytest.raises(UntranslatableError) as caught:
        from_gemini(BATCH, requests=requests)
    assert caught.value.param == param


def test_what_gemini_is_asked():
    notes = Notes()
    request, _ = from_openai(input=["a", "b"], dimensions=8, user="u", extra=1)
    one = {"model": "models/x", "outputDimensionality": 8}
    assert json.loads(gemini.encode_embed(request, "x", notes)) == {
        "requests": [{**one, **content("a")}, {**one, **content("b")}]
    }
    assert notes.dropped == ["user", "extra"]


def test_what_openai_is_asked():
    notes = Notes()
    request, _ = from_gemini(BATCH, requests=[{**content("a"), "taskType": "X", "title": "t"}])
    assert json.loads(openai.encode_embed(request, "x", notes)) == {
        "model": "x", "input": ["a"], "encoding_format": "float",
    }  # fmt: skip
    assert notes.dropped == ["task", "title"]


VECTORS = ((0.5, -1.25), (2.0, 3.0))


def test_vectors_in_base64():
    request, call = from_openai(input=["a", "b"], encoding_format="base64")
    answer = json.loads(openai.encode_embeddings(EmbedAnswer(vectors=VECTORS), request, call))
    assert struct.unpack("<2f", base64.b64decode(answer["data"][0]["embedding"])) == VECTORS[0]
    assert answer["usage"]["prompt_tokens"] == -(-len(call.body) // 4)
    assert openai.decode_embeddings(json.dumps(answer).encode(), 2).vectors == VECTORS


def test_vectors_as_numbers_and_usage():
    request, call = from_openai(input=["a", "b"])
    answer = openai.encode_embeddings(EmbedAnswer(vectors=VECTORS, usage=Usage(input_tokens=7)), request, call)
    assert json.loads(answer)["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert openai.decode_embeddings(answer, 2) == EmbedAnswer(vectors=VECTORS, model="e", usage=Usage(input_tokens=7))


def test_vectors_come_in_the_order_of_the_inputs():
    rows = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    assert openai.decode_embeddings(json.dumps({"data": rows}).encode(), 2).vectors == ((1.0,), (2.0,))


def test_what_gemini_answers():
    answer = EmbedAnswer(vectors=VECTORS, usage=Usage(input_tokens=7))
    request, call = from_gemini(BATCH, requests=[content("a"), content("b")])
    assert gemini.decode_embeddings(gemini.encode_embeddings(answer, request, call), 2) == answer
    request, call = from_gemini(SINGLE, **content("a"))
    single = json.loads(gemini.encode_embeddings(EmbedAnswer(vectors=VECTORS[:1]), request, call))
    assert single == {"embedding": {"values": [0.5, -1.25]}}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"embeddings":[]}', b'{"embeddings":[{"values":["x"]}]}'])
def test_what_is_no_answer_of_gemini(body):
    with pytest.raises(ProtocolError):
        gemini.decode_embeddings(body, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"data":[]}',
        b'{"data":[{"index":1,"embedding":[]}]}',
        b'{"data":[{"embedding":"?"}]}',
        b'{"data":[{"embedding":"AAAAAAA="}]}',
    ],
)
def test_what_is_no_answer_of_openai(body):
    with pytest.raises(ProtocolError):
        openai.decode_embeddings(body, 1)


def test_a_number_too_large_for_base64():
    request, call = from_openai(encoding_format="base64")
    with pytest.raises(ProtocolError):
        openai.encode_embeddings(EmbedAnswer(vectors=((1e300,),)), request, call)


def test_they_are_registered():
    assert set(EMBED_DIALECTS) == {"gemini_embed_content", "gemini_embeddings", "openai_embeddings"}
    assert set(EMBED_VENDORS) == {"gemini_embeddings", "openai_embeddings"}
