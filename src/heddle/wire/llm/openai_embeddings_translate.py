"""OpenAI embeddings on either side of a translation.

Owns the two ways in which a vector is written: numbers, or base64 of little-endian 32-bit floats, which OpenAI's SDK
asks for unless told otherwise. Input that is already tokens cannot be translated: another vendor's vocabulary differs.

*Source:* OpenAI API reference, "Create embeddings" and "The embedding object"; openai 3.52 `resources.embeddings`.
"""

import base64
import binascii
import struct
from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.wire.canonical.embeddings import EmbedAnswer, EmbedRequest, leave_out
from heddle.wire.canonical.rules import Notes, UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict
from heddle.wire.llm import openai_usage
from heddle.wire.llm.codec import estimate_tokens

_FLOAT_BYTES = 4


class _Request(msgspec.Struct, gc=False):
    input: Any
    encoding_format: str | None = None
    dimensions: int | None = None
    user: str | None = None


class _Vector(msgspec.Struct, gc=False):
    embedding: list[float] | str
    index: int | None = None


class _Answer(msgspec.Struct, gc=False):
    data: list[_Vector]
    model: str | None = None
    usage: openai_usage.WireUsage | None = None


MAX_INPUTS = 2_048
"""As OpenAI bounds them."""

_ANSWER = msgspec.json.Decoder(_Answer)
_PLACED = ("model", *_Request.__struct_fields__)


def decode_embed(body: bytes, call: ModelCall) -> EmbedRequest:
    """The whole of a request that `openai_embeddings.decode_request` has accepted. Raises ProtocolError."""
    stated = parse_strict(body)
    request = convert(stated, _Request)
    inputs = [request.input] if isinstance(request.input, str) else request.input
    if not all(isinstance(text, str) for text in inputs):
        raise UntranslatableError("input: tokens cannot be translated to another vendor; send text.", param="input")
    if len(inputs) > MAX_INPUTS:
        raise ProtocolError(f"input: expected at most {MAX_INPUTS} texts.", param="input")
    return EmbedRequest(
        model=call.model,
        inputs=tuple(inputs),
        dimensions=request.dimensions,
        encoding_format=request.encoding_format or "",
        user=request.user or "",
        other=tuple(sorted(name for name, value in stated.items() if name not in _PLACED and value is not None)),
    )


def encode_embeddings(answer: EmbedAnswer, request: EmbedRequest, call: ModelCall) -> bytes:
    """An answer, its vectors written as the caller asked; usage is estimated when the vendor did not say."""
    write: Any = _pack if request.encoding_format == "base64" else list
    data = [
        {"object": "embedding", "index": index, "embedding": write(vector)}
        for index, vector in enumerate(answer.vectors)
    ]
    tokens = estimate_tokens(len(call.body)) if answer.usage is None else answer.usage.input_tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": answer.model or call.model, "usage": usage})


def encode_embed(request: EmbedRequest, model: str, notes: Notes) -> bytes:
    """The body for `model`; notes what is left out."""
    leave_out(request, ("task", "title"), notes)
    body: dict[str, Any] = {"model": model, "input": request.inputs, "encoding_format": "float"}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.user:
        body["user"] = request.user
    return msgspec.json.encode(body)


def decode_embeddings(body: bytes, inputs: int) -> EmbedAnswer:
    """An answer with one vector for each of so many inputs. Raises ProtocolError when it is none."""
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not a list of embeddings.", malformed=True) from exc
    placed = {number if item.index is None else item.index: item for number, item in enumerate(answer.data)}
    if len(answer.data) != inputs or sorted(placed) != list(range(inputs)):
        raise ProtocolError("The answer does not have one embedding for each input.")
    return EmbedAnswer(
        vectors=tuple(_unpack(placed[number].embedding) for number in range(inputs)),
        model=answer.model or "",
        usage=openai_usage.read(answer.usage) if answer.usage is not None else None,
    )


def _pack(vector: tuple[float, ...]) -> str:
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except OverflowError as exc:
        raise ProtocolError("An embedding has a number that 32 bits cannot hold.") from exc


def _unpack(written: list[float] | str) -> tuple[float, ...]:
    if isinstance(written, list):
        return tuple(written)
    try:
        raw = base64.b64decode(written, validate=True)
        return struct.unpack(f"<{len(raw) // _FLOAT_BYTES}f", raw)
    except (binascii.Error, ValueError, struct.error) as exc:
        raise ProtocolError("An embedding is neither numbers nor 32-bit floats in base64.") from exc
