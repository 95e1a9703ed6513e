"""Anthropic messages: answers, events, errors and limits in Anthropic's form.

Owns the shape of messages and events. A thought is sealed; the seal must come back with it.

*Source:* Anthropic API reference, "Create a Message", "Streaming messages", "Errors", "Rate limits" (response headers);
the stream accumulator of its Python SDK 2.12, 2026-11.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.model.provider import Fields
from heddle.providers.scripted.anthropic_request import REDACTED, THOUGHT, read_request
from heddle.providers.scripted.asked import Asked
from heddle.providers.scripted.playing import SSE, Trouble
from heddle.providers.scripted.said import Answer, Choice, Counts, Who
from heddle.providers.scripted.seals import seal, sealed

DIALECT = "anthropic_messages"
STREAM_TYPE = SSE
MALFORMED = b'event: content_block_delta\ndata: {"type": [}\n\n'

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STOPS = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_use": "tool_use",
    "refusal": "refusal",
}

_encode = msgspec.json.encode


def read(body: bytes, call: ModelCall) -> Asked:
    """A request. Raises RefusedError for what Anthropic refuses."""
    del call
    return read_request(body)


def fields(who: Who) -> Fields:
    """Header fields of a good answer: limits come with every one."""
    return [(b"request-id", _request(who)), *_limits(who, 49)]


def refuse(trouble: Trouble, who: Who) -> tuple[Fields, bytes]:
    """Fields and body of an error."""
    sent: Fields = [(b"request-id", _request(who)), (b"x-should-retry", _retries(trouble.status))]
    if trouble.status == 429:
        sent += _limits(who, 0)
    if trouble.retry_after:
        sent.append((b"retry-after", trouble.retry_after.encode()))
    return sent, _encode(_error(trouble, who))


def error_event(trouble: Trouble, who: Who, sent: int) -> bytes:
    """An error inside a stream."""
    del sent
    return _event(_error(trouble, who))


def whole(answer: Answer, asked: Asked, who: Who) -> bytes:
    """A message."""
    del asked
    choice = answer.choices[0]
    content = [block for block, _ in _content(choice, who)]
    message = _message(who, _usage(answer.counts)) | {"content": content} | _stop(choice)
    return _encode(message)


def events(answer: Answer, asked: Asked, who: Who) -> Iterator[bytes]:
    """All events of a message."""
    del asked
    choice = answer.choices[0]
    begun = _usage(answer.counts._replace(made=1, reasoning=0))
    yield _event({"type": "message_start", "message": _message(who, begun)})
    for index, (block, deltas) in enumerate(_content(choice, who)):
        yield _event({"type": "content_block_start", "index": index, "content_block": _begun(block)})
        if index == 0:
            yield _event({"type": "ping"})
        for delta in deltas:
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})
    usage = _usage(answer.counts)
    for name in ("service_tier", "cache_creation"):
        del usage[name]
    yield _event({"type": "message_delta", "delta": _stop(choice), "usage": usage})
    yield _event({"type": "message_stop"})


def _request(who: Who) -> bytes:
    return f"req_{who.ident[:24]}".encode()


def _retries(status: int) -> bytes:
    return b"true" if status in (408, 409, 429) or status >= 500 else b"false"


def _limits(who: Who, left: int) -> Fields:
    reset = datetime.fromtimestamp(who.created_s, UTC) + timedelta(seconds=1)
    moment = reset.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    return [
        (b"anthropic-ratelimit-requests-limit", b"50"),
        (b"anthropic-ratelimit-requests-remaining", str(left).encode()),
        (b"anthropic-ratelimit-requests-reset", moment),
    ]


def _error(trouble: Trouble, who: Who) -> dict[str, Any]:
    usual = "api_error" if trouble.status >= 500 else "invalid_request_error"
    error: dict[str, Any] = {"type": _KINDS.get(trouble.status, usual), "message": trouble.message}
    if trouble.code:
        error["details"] = {"error_code": trouble.code}
    return {"type": "error", "error": error, "request_id": _request(who).decode()}


def _event(value: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), _encode(value))


def _message(who: Who, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": who.model,
        "id": f"msg_{who.ident[:24]}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage,
    }


def _stop(choice: Choice) -> dict[str, Any]:
    refused = choice.stop == "refusal"
    details = {"type": "refusal", "category": None, "explanation": "".join(choice.refusal)} if refused else None
    return {
        "stop_reason": _STOPS[choice.stop],
        "stop_sequence": choice.stop_sequence or None,
        "stop_details": details,
    }


def _usage(counts: Counts) -> dict[str, Any]:
    return {
        "input_tokens": counts.fresh,
        "cache_creation_input_tokens": counts.written,
        "cache_read_input_tokens": counts.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": counts.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": counts.made,
        "output_tokens_details": {"thinking_tokens": counts.reasoning},
        "service_tier": "standard",
    }


def _content(choice: Choice, who: Who) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Every block, and the deltas that it is streamed in."""
    if choice.redacted:
        yield {"type": "redacted_thinking", "data": sealed(REDACTED, who.ident)}, []
    elif choice.thoughts:
        signature = seal(THOUGHT, choice.thought)
        deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": piece} for piece in choice.thoughts]
        deltas.append({"type": "signature_delta", "signature": signature})
        yield {"type": "thinking", "thinking": choice.thought, "signature": signature}, deltas
    text = choice.pieces or choice.refusal
    if text:
        said = [{"type": "text_delta", "text": piece} for piece in text]
        yield {"type": "text", "text": "".join(text)}, said
    for turn, call in enumerate(choice.calls):
        used = {"type": "tool_use", "id": f"toolu_{who.ident[:22]}{turn:02}", "name": call.name}
        pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *call.pieces]]
        yield used | {"input": _arguments(call.arguments)}, pieces


def _arguments(text: str) -> Any:
    """Arguments that the bound on tokens cut off are no JSON: a whole answer then has none."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}


def _begun(block: dict[str, Any]) -> dict[str, Any]:
    """A block as it is before its deltas."""
    empty = {"thinking": "", "signature": "", "text": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items()}
