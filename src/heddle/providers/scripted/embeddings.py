"""The offline model's embeddings: unit vectors that depend on the words of a text, and on nothing else.

Each word adds a few signed weights at places chosen by its digest, so that texts that share words lie near each
other. That is lexical similarity, good for trying things out; it knows nothing of meaning.

*Source:* OpenAI API reference, "Create embeddings"; base64 is little-endian float32.
"""

import base64
import math
import re
import struct
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from heddle.model.provider import Script, Step
from heddle.providers.scripted import openai_chat
from heddle.providers.scripted.asked import RefusedError
from heddle.providers.scripted.directives import Directives, parse
from heddle.providers.scripted.openai_errors import unfit
from heddle.providers.scripted.playing import JSON, Trouble, failed, fault_trouble, request_id, spoiled
from heddle.providers.scripted.said import Who
from heddle.providers.scripted.shape import ShapeError, Strict, read

DIALECT = "openai_embeddings"
MAX_DIMENSIONS = 4096
MAX_INPUTS = 2048
MAX_WORDS = 20_000
"""Words of one input that count; the rest is ignored."""

_WORD = re.compile(r"\w+")
_PLACES = struct.Struct("<8H")


class _Request(Strict):
    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None


_DECODER = msgspec.json.Decoder(_Request)
_encode = msgspec.json.encode


def play(body: bytes, model: str, dimensions: int, obey: bool) -> Script:
    """The answer to an embeddings request; `dimensions` unless it asks otherwise. 400 for an invalid request."""
    who = Who(request_id(body, 0), model, 0)
    try:
        request = _read(body)
    except RefusedError as exc:
        return failed(openai_chat, who, Trouble(exc.status, exc.message, exc.code, exc.param), 0.0)
    texts = _texts(request.input)
    told = parse(" ".join(texts[:1]))[1] if obey else Directives()
    trouble = fault_trouble(told)
    if trouble is not None:
        return failed(openai_chat, who, trouble, told.delay_s)
    if obey:
        texts = [parse(text)[0] for text in texts]
    steps = _after(
        Step(told.delay_s, b""), _steps(texts, model, request.dimensions or dimensions, request.encoding_format)
    )
    fields = [(b"content-type", JSON), *openai_chat.fields(who)]
    return Script(200, fields, spoiled(steps, told.fault, openai_chat, who))


def _read(body: bytes) -> _Request:
    try:
        request = read(_DECODER, body)
    except ShapeError as exc:
        raise unfit(exc) from exc
    if (request.dimensions or 0) > MAX_DIMENSIONS:
        raise RefusedError(f"dimensions: expected at most {MAX_DIMENSIONS}.", "dimensions")
    if len(_texts(request.input)) > MAX_INPUTS:
        raise RefusedError(f"input: expected at most {MAX_INPUTS} inputs.", "input")
    return request


def _texts(given: str | list[Any]) -> list[str]:
    """The inputs; an array of integers is one input of tokens."""
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [" ".join(map(str, given))]
    return [one if isinstance(one, str) else " ".join(map(str, one)) for one in given if not isinstance(one, int)]


def _after(first: Step, steps: Iterator[Step]) -> Iterator[Step]:
    yield first
    yield from steps


def _steps(texts: list[str], model: str, dimensions: int, encoding: str | None) -> Iterator[Step]:
    """One step per input, so that a large batch does not keep others waiting."""
    yield Step(0.0, b'{"object":"list","data":[')
    for index, text in enumerate(texts):
        vector = embed(text, dimensions)
        value = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if encoding == "base64" else vector
        item = _encode({"object": "embedding", "index": index, "embedding": value})
        yield Step(0.0, item if index == 0 else b"," + item)
    used = sum(-(-len(text) // 4) for text in texts)
    usage = {"prompt_tokens": used, "total_tokens": used}
    yield Step(0.0, b'],"model":%b,"usage":%b}' % (_encode(model), _encode(usage)))


def embed(text: str, dimensions: int) -> list[float]:
    """The unit vector of `text`."""
    vector = [0.0] * dimensions
    words = _WORD.findall(text.lower())[:MAX_WORDS] or [text]
    for word in words:
        for place in _PLACES.unpack(blake2b(word.encode("utf-8", "replace"), digest_size=16).digest()):
            vector[(place >> 1) % dimensions] += 1.0 if place & 1 else -1.0
    norm = math.sqrt(sum(x * x for x in vector))
    if norm == 0.0:  # the words cancelled each other
        vector[0] = norm = 1.0
    return [x / norm for x in vector]
