"""Gemini's embedContent and batchEmbedContents, with the offline model's vectors.

*Source:* Gemini API reference, "models.embedContent", "models.batchEmbedContents", "EmbedContentRequest", 2026-11.
"""

from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.model.provider import Script, Step
from heddle.providers.scripted import gemini
from heddle.providers.scripted.asked import RefusedError
from heddle.providers.scripted.directives import Directives, parse
from heddle.providers.scripted.embeddings import MAX_DIMENSIONS, embed
from heddle.providers.scripted.gemini_request import shaped
from heddle.providers.scripted.playing import JSON, Trouble, failed, fault_trouble, request_id
from heddle.providers.scripted.said import Who
from heddle.providers.scripted.shape import Strict

BATCH = "gemini_embeddings"
SINGLE = "gemini_embed_content"
DIALECTS = (BATCH, SINGLE)
MAX_REQUESTS = 100
"""Of a batch."""


class _Part(Strict, rename="camel"):
    text: str


class _Content(Strict, rename="camel"):
    parts: list[_Part]
    role: str | None = None


class _Request(Strict, rename="camel"):
    content: _Content
    model: str | None = None
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class _Batch(Strict, rename="camel"):
    requests: list[_Request]
    model: str | None = None


_encode = msgspec.json.encode


def play(call: ModelCall, body: bytes, dimensions: int, obey: bool) -> Script:
    """The answer to either kind of request; `dimensions` unless it asks otherwise."""
    who = Who(request_id(body, 0), call.upstream_model or call.model, 0)
    try:
        requests = _read(call, body)
    except RefusedError as exc:
        return failed(gemini, who, Trouble(exc.status, exc.message, exc.code, exc.param), 0.0)
    texts = [" ".join(part.text for part in request.content.parts) for request in requests]
    told = parse(texts[0])[1] if obey else Directives()
    trouble = fault_trouble(told)
    if trouble is not None:
        return failed(gemini, who, trouble, told.delay_s)
    made = [
        {"values": embed(parse(text)[0] if obey else text, request.output_dimensionality or dimensions)}
        for text, request in zip(texts, requests, strict=True)
    ]
    said: dict[str, Any] = {"embedding": made[0]} if call.dialect == SINGLE else {"embeddings": made}
    said["usageMetadata"] = {"promptTokenCount": sum(-(-len(text) // 4) for text in texts)}
    fields = [(b"content-type", JSON), *gemini.fields(who)]
    return Script(200, fields, iter([Step(told.delay_s, _encode(said))]))


def _read(call: ModelCall, body: bytes) -> list[_Request]:
    requests: list[_Request] = [shaped(body, _Request)] if call.dialect == SINGLE else shaped(body, _Batch).requests
    if not 1 <= len(requests) <= MAX_REQUESTS:
        raise RefusedError(f"* BatchEmbedContentsRequest.requests: expected 1 to {MAX_REQUESTS}")
    for request in requests:
        if not 1 <= (request.output_dimensionality or 1) <= MAX_DIMENSIONS:
            raise RefusedError(f"* EmbedContentRequest.output_dimensionality: expected 1 to {MAX_DIMENSIONS}")
    return requests
