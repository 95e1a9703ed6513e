"""Gemini: answers, chunks and errors in Google's form.

Owns their shape. Every chunk of a stream is an answer of its own; calls come whole. The first of a turn's calls has a
seal that must come back with it.

*Source:* Gemini API reference, "models.generateContent", "GenerateContentResponse"; "Thought signatures"; "Text
generation" (streaming); AIP-193 (errors), as of 2026-11.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.model.provider import Fields
from heddle.providers.scripted.asked import Asked
from heddle.providers.scripted.gemini_request import CALL, Echo, read_request
from heddle.providers.scripted.playing import Trouble
from heddle.providers.scripted.said import Answer, Choice, Counts, Who
from heddle.providers.scripted.seals import seal

DIALECT = "gemini"
STREAM_TYPE = b"text/event-stream"
MALFORMED = b'data: {"candidates": [}\r\n\r\n'

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_REASONS = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "tool_use": "STOP",
    "refusal": "SAFETY",
}
_TYPE = "type.googleapis.com/google.rpc."
_QUOTA = "insufficient_quota"

_encode = msgspec.json.encode


def read(body: bytes, call: ModelCall) -> Asked:
    """A request. Raises RefusedError for what Google refuses."""
    return read_request(body, call.upstream_model or call.model, call.stream)


def fields(who: Who) -> Fields:
    """Header fields of a good answer."""
    del who
    return [(b"server", b"scaffolding on HTTPServer2"), (b"vary", b"Origin, X-Origin, Referer")]


def refuse(trouble: Trouble, who: Who) -> tuple[Fields, bytes]:
    """Fields and body of an error. Limits have no header: all that is said of them is in the details."""
    error = _error(trouble)
    details: list[dict[str, Any]] = []
    if trouble.status == 429:
        per = "Day" if trouble.code == _QUOTA else "Minute"
        name = f"GenerateRequestsPer{per}PerProjectPerModel-FreeTier"
        metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
        details.append(
            {"@type": f"{_TYPE}QuotaFailure", "violations": [{"quotaMetric": metric, "quotaId": name}]},
        )
    if trouble.retry_after:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{trouble.retry_after}s"})
    if trouble.code and trouble.code != _QUOTA:
        info = {"reason": trouble.code, "domain": "googleapis.com"}
        details.append({"@type": f"{_TYPE}ErrorInfo", **info})
    if details:
        error["error"]["details"] = details
    return fields(who), _encode(error)


def error_event(trouble: Trouble, who: Who, sent: int) -> bytes:
    """An error inside a stream."""
    del who, sent
    return _event(_error(trouble))


def whole(answer: Answer, asked: Asked, who: Who) -> bytes:
    """A response."""
    candidates = []
    for index, choice in enumerate(answer.choices):
        parts = list(_parts(choice, asked.own, who, pieces=False))
        candidates.append(_candidate(index, parts, choice))
    return _encode({"candidates": candidates, **_tail(who, _usage(answer.counts))})


def events(answer: Answer, asked: Asked, who: Who) -> Iterator[bytes]:
    """All chunks: parts one by one, the reason with the last of a candidate, all counts with the last of all."""
    begun = {"promptTokenCount": answer.counts.taken, "totalTokenCount": answer.counts.taken}
    last = len(answer.choices) - 1
    for index, choice in enumerate(answer.choices):
        for part in _parts(choice, asked.own, who, pieces=True):
            yield _event({"candidates": [_candidate(index, [part], None)], **_tail(who, begun)})
        usage = _usage(answer.counts) if index == last else begun
        yield _event({"candidates": [_candidate(index, [{"text": ""}], choice)], **_tail(who, usage)})


def _error(trouble: Trouble) -> dict[str, Any]:
    usual = "INTERNAL" if trouble.status >= 500 else "FAILED_PRECONDITION"
    status = _STATUSES.get(trouble.status, usual)
    return {"error": {"code": trouble.status, "message": trouble.message, "status": status}}


def _event(value: dict[str, Any]) -> bytes:
    return b"data: %b\r\n\r\n" % _encode(value)


def _candidate(index: int, parts: list[dict[str, Any]], choice: Choice | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if choice is not None:
        candidate["finishReason"] = _REASONS[choice.stop]
        if choice.stop == "refusal":
            candidate["finishMessage"] = "".join(choice.refusal)
    return candidate | {"index": index}


def _tail(who: Who, usage: dict[str, Any]) -> dict[str, Any]:
    return {"usageMetadata": usage, "modelVersion": who.model, "responseId": who.ident[:22]}


def _usage(counts: Counts) -> dict[str, Any]:
    said: dict[str, Any] = {
        "promptTokenCount": counts.taken,
        "candidatesTokenCount": counts.made - counts.reasoning,
        "totalTokenCount": counts.taken + counts.made,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": counts.taken}],
    }
    if counts.cached:
        said["cachedContentTokenCount"] = counts.cached
        said["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": counts.cached}]
    if counts.reasoning:
        said["thoughtsTokenCount"] = counts.reasoning
    return said


def _parts(choice: Choice, echo: Echo, who: Who, pieces: bool) -> Iterator[dict[str, Any]]:
    if choice.thoughts and echo.show and not choice.redacted:
        for text in choice.thoughts if pieces else [choice.thought]:
            yield {"text": text, "thought": True}
    if choice.pieces:
        for text in choice.pieces if pieces else [choice.text]:
            yield {"text": text}
    for turn, call in enumerate(choice.calls):
        arguments = _arguments(call.arguments)
        said: dict[str, Any] = {"name": call.name, "args": arguments}
        if echo.identified:
            said["id"] = f"{who.ident[:7]}{turn}"
        part: dict[str, Any] = {"functionCall": said}
        if turn == 0 and (choice.thoughts or echo.identified):
            part["thoughtSignature"] = seal(CALL, call.name, arguments)
        yield part


def _arguments(text: str) -> Any:
    """Arguments that the bound on tokens cut off are no JSON: there are none then."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
