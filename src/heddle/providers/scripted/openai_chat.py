"""OpenAI chat completions, in OpenAI's form to the byte order of a real server's fields.

Owns the shape of answers and chunks. Its models do not show what they think: only the count of it is told.

*Source:* OpenAI API reference, "Create chat completion", "The chat completion object" and "... chunk object", 2026-11.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.model.provider import Fields
from heddle.providers.scripted import openai_errors
from heddle.providers.scripted.asked import Asked
from heddle.providers.scripted.openai_chat_request import read_request
from heddle.providers.scripted.playing import SSE, Trouble
from heddle.providers.scripted.said import Answer, Call, Choice, Counts, Who
from heddle.wire import sse

DIALECT = "openai_chat"
FINGERPRINT = "fp_heddle_offline"
STREAM_TYPE = SSE
MALFORMED = b'data: {"choices": [}\n\n'

_REASONS = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_use": "tool_calls",
    "refusal": "stop",
}

_encode = msgspec.json.encode


def read(body: bytes, call: ModelCall) -> Asked:
    """A request. Raises RefusedError for what OpenAI refuses."""
    del call
    return read_request(body)


def fields(who: Who) -> Fields:
    """Header fields of a good answer."""
    return openai_errors.fields(who)


def refuse(trouble: Trouble, who: Who) -> tuple[Fields, bytes]:
    """Fields and body of an error."""
    return openai_errors.refuse(trouble, who)


def error_event(trouble: Trouble, who: Who, sent: int) -> bytes:
    """An error inside a stream."""
    del who, sent
    return sse.encode(openai_errors.error_body(trouble))


def whole(answer: Answer, asked: Asked, who: Who) -> bytes:
    """A chat completion."""
    choices = [
        {
            "index": index,
            "message": _message(choice, who),
            "logprobs": None,
            "finish_reason": _reason(choice, asked),
        }
        for index, choice in enumerate(answer.choices)
    ]
    return _encode({**_base(asked, who), "choices": choices, "usage": _usage(answer.counts)})


def events(answer: Answer, asked: Asked, who: Who) -> Iterator[bytes]:
    """All chunks: the choices take turns, then usage if asked, then the terminator."""
    base = _base(asked, who)
    tail: dict[str, Any] = {"usage": None} if asked.usage_asked else {}
    turns = [_deltas(choice, asked, who) for choice in answer.choices]
    waiting = dict(enumerate(turns))
    while waiting:
        for index in list(waiting):
            move = next(waiting[index], None)
            if move is None:
                del waiting[index]
                continue
            delta, reason = move
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
            yield sse.encode(_encode({**base, "choices": [choice], **tail}))
    if asked.usage_asked:
        yield sse.encode(_encode({**base, "choices": [], "usage": _usage(answer.counts)}))
    yield sse.encode(b"[DONE]")


def _base(asked: Asked, who: Who) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{who.ident[:29]}",
        "object": "chat.completion.chunk" if asked.stream else "chat.completion",
        "created": who.created_s,
        "model": who.model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def _reason(choice: Choice, asked: Asked) -> str:
    # A function forced by name ends with "stop" (tool_choice, "finish_reason" in the guide on function calling).
    return "stop" if choice.stop == "tool_use" and asked.choice == "named" else _REASONS[choice.stop]


def _usage(counts: Counts) -> dict[str, Any]:
    taken: dict[str, int] = {"cached_tokens": counts.cached, "audio_tokens": 0}
    if counts.written:
        taken["cache_write_tokens"] = counts.written
    return {
        "prompt_tokens": counts.taken,
        "completion_tokens": counts.made,
        "total_tokens": counts.taken + counts.made,
        "prompt_tokens_details": taken,
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _message(choice: Choice, who: Who) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
    if choice.refusal:
        message |= {"content": None, "refusal": "".join(choice.refusal)}
    if choice.calls:
        message["content"] = choice.text or None
        message["tool_calls"] = [_call(turn, call, who, call.arguments) for turn, call in enumerate(choice.calls)]
    message["annotations"] = []
    return message


def _call(turn: int, call: Call, who: Who, arguments: str) -> dict[str, Any]:
    ident = f"call_{f'{who.ident}{turn}'[-24:]}"
    return {"id": ident, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _deltas(choice: Choice, asked: Asked, who: Who) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The deltas of one choice, the role first, the finish reason last."""
    silent = bool(choice.calls or choice.refusal) and not choice.pieces
    yield {"role": "assistant", "content": None if silent else "", "refusal": None}, None
    for piece in choice.refusal:
        yield {"refusal": piece}, None
    for piece in choice.pieces:
        yield {"content": piece}, None
    for turn, call in enumerate(choice.calls):
        yield {"tool_calls": [{"index": turn, **_call(turn, call, who, "")}]}, None
        for piece in call.pieces:
            yield {"tool_calls": [{"index": turn, "function": {"arguments": piece}}]}, None
    yield {}, _reason(choice, asked)
