"""Gemini embeddings on either side of a translation, in the batch form and the single one.

Owns the settings' two places: in each request, where the Gemini API has them, or in its `embedContentConfig`, where
Vertex AI does. What is written has the batch form. The requests of one batch must agree in their settings to be
translated: other formats state them once.

*Source:* Gemini API reference, "models.batchEmbedContents", "EmbedContentRequest"; Vertex AI reference,
"EmbedContentConfig"; google-genai 3.4, which sends either, 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.wire.canonical.embeddings import EmbedAnswer, EmbedRequest, leave_out
from heddle.wire.canonical.rules import Notes, UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.gemini import usage as counts
from heddle.wire.llm.gemini.codec import resource
from heddle.wire.llm.gemini.embeddings import DIALECT, used
from heddle.wire.llm.gemini.fields import Fields

_CONFIG = "embedContentConfig"
_PLACED = ("model", "content", "taskType", "title", "outputDimensionality", _CONFIG, "requests")


class _Values(msgspec.Struct, gc=False):
    values: list[float]


class _Answer(msgspec.Struct, gc=False, rename="camel"):
    embeddings: list[_Values]
    usage_metadata: counts.WireUsage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def decode_embed(body: bytes, call: ModelCall) -> EmbedRequest:
    """The whole of a request of either form that has been accepted. Raises ProtocolError."""
    fields = Fields(body)
    single = call.dialect != DIALECT
    asked = [_one(request, call.model) for request in ([fields] if single else fields.objects("requests"))]
    first = asked[0]
    if any(msgspec.structs.replace(one, inputs=first.inputs) != first for one in asked):
        detail = "requests: their settings must be the same to be translated."
        raise UntranslatableError(detail, param="requests")
    beside = () if single else tuple(name for name in fields if name not in _PLACED)
    inputs = tuple(text for one in asked for text in one.inputs)
    return msgspec.structs.replace(first, inputs=inputs, other=first.other + beside)


def _one(request: Fields, model: str) -> EmbedRequest:
    config = request.object(_CONFIG) or Fields(b"{}", request.path(_CONFIG))
    at = [config if name in config else request for name in ("taskType", "title", "outputDimensionality")]
    return EmbedRequest(
        model=model,
        inputs=(_text(request),),
        task=at[0].text("taskType"),
        title=at[1].text("title"),
        dimensions=at[2].whole("outputDimensionality", 1),
        other=tuple(sorted({name for stated in (request, config) for name in stated if name not in _PLACED})),
    )


def _text(request: Fields) -> str:
    content = request.object("content")
    parts = content.objects("parts") if content is not None else []
    if any("text" not in part for part in parts):
        at = request.path("content")
        raise UntranslatableError(f"{at}: only text can be translated.", param=at)
    return "".join(part.text("text") for part in parts)


def encode_embeddings(answer: EmbedAnswer, request: EmbedRequest, call: ModelCall) -> bytes:
    """An answer in the form that was asked for."""
    del request
    vectors = [{"values": vector} for vector in answer.vectors]
    body: dict[str, Any] = {"embeddings": vectors} if call.dialect == DIALECT else {"embedding": vectors[0]}
    if answer.usage is not None:
        tokens = answer.usage.input_tokens
        body["usageMetadata"] = {"promptTokenCount": tokens, "totalTokenCount": tokens}
    return msgspec.json.encode(body)


def encode_embed(request: EmbedRequest, model: str, notes: Notes) -> bytes:
    """The body for `model`, in the batch form; notes what is left out."""
    leave_out(request, ("user",), notes)
    settings: dict[str, Any] = {"model": resource(model)}
    if request.task:
        settings["taskType"] = request.task
    if request.title:
        settings["title"] = request.title
    if request.dimensions is not None:
        settings["outputDimensionality"] = request.dimensions
    requests = [{**settings, "content": {"parts": [{"text": text}]}} for text in request.inputs]
    return msgspec.json.encode({"requests": requests})


def decode_embeddings(body: bytes, inputs: int) -> EmbedAnswer:
    """An answer with one vector for each of so many inputs. Raises ProtocolError when it is none."""
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not a list of embeddings.", malformed=True) from exc
    if len(answer.embeddings) != inputs:
        raise ProtocolError("The answer does not have one embedding for each input.")
    vectors = tuple(tuple(item.values) for item in answer.embeddings)
    return EmbedAnswer(vectors=vectors, usage=used(answer.usage_metadata))
