"""OpenAI responses: the response object, its items and events.

Owns their shape. A thought is an item of its own, shown only as a summary and only if that is asked for; what can be
sent back of it is sealed.

*Source:* OpenAI API reference, "The response object", "Streaming events"; the event types and accumulator of its
Python SDK 3.52, 2026-11.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.model.provider import Fields
from heddle.providers.scripted import openai_errors
from heddle.providers.scripted.asked import Asked
from heddle.providers.scripted.openai_responses_request import AFTER_REASONING, REASONING, Echo, read_request
from heddle.providers.scripted.playing import SSE, Trouble
from heddle.providers.scripted.said import Answer, Call, Choice, Counts, Who
from heddle.providers.scripted.seals import sealed

DIALECT = "openai_responses"
STREAM_TYPE = SSE
MALFORMED = b'event: response.output_text.delta\ndata: {"type": [}\n\n'

_encode = msgspec.json.encode

Said = Iterator[dict[str, Any]]
"""Events, without their numbers."""


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
    """An error inside a stream: the server's own as `response.failed`, any other as `error`."""
    code = trouble.code or ("rate_limit_exceeded" if trouble.status == 429 else "server_error")
    if trouble.status < 500:
        return _event({"type": "error", "code": code, "message": trouble.message, "param": None}, sent)
    response = _frame({}, who) | {"status": "failed", "error": {"code": code, "message": trouble.message}}
    return _event({"type": "response.failed", "response": response}, sent)


def whole(answer: Answer, asked: Asked, who: Who) -> bytes:
    """A response."""
    echo: Echo = asked.own
    choice = answer.choices[0]
    output = [item.whole() for item in _items(choice, echo, who)]
    return _encode(_ended(_frame(echo.fields, who), choice, output, answer.counts))


def events(answer: Answer, asked: Asked, who: Who) -> Iterator[bytes]:
    """All events of a response, numbered."""
    for number, event in enumerate(_all(answer, asked, who)):
        yield _event(event, number)


def _all(answer: Answer, asked: Asked, who: Who) -> Said:
    echo: Echo = asked.own
    choice = answer.choices[0]
    frame = _frame(echo.fields, who)
    yield {"type": "response.created", "response": frame}
    yield {"type": "response.in_progress", "response": frame}
    items = _items(choice, echo, who)
    for index, item in enumerate(items):
        yield {"type": "response.output_item.added", "output_index": index, "item": item.begun()}
        yield from item.said(index)
        yield {"type": "response.output_item.done", "output_index": index, "item": item.whole()}
    ended = _ended(frame, choice, [item.whole() for item in items], answer.counts)
    yield {"type": f"response.{ended['status']}", "response": ended}


def _event(value: dict[str, Any], number: int) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), _encode({**value, "sequence_number": number}))


def _frame(echoed: dict[str, Any], who: Who) -> dict[str, Any]:
    """The response as it is when it begins."""
    frame: dict[str, Any] = {
        "id": f"resp_{who.ident}",
        "object": "response",
        "created_at": who.created_s,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": who.model,
        "output": [],
        "previous_response_id": None,
        "service_tier": "default",
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    return frame | echoed


def _ended(frame: dict[str, Any], choice: Choice, output: list[Any], counts: Counts) -> dict[str, Any]:
    cut = choice.stop == "length"
    return frame | {
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "completed_at": None if cut else frame["created_at"],
        "output": output,
        "usage": {
            "input_tokens": counts.taken,
            "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": counts.written},
            "output_tokens": counts.made,
            "output_tokens_details": {"reasoning_tokens": counts.reasoning},
            "total_tokens": counts.taken + counts.made,
        },
    }


def _items(choice: Choice, echo: Echo, who: Who) -> list["_Reasoning | _Message | _Called"]:
    items: list[_Reasoning | _Message | _Called] = []
    if choice.thoughts:
        items.append(_Reasoning([] if choice.redacted else choice.thoughts, echo, who))
    cut = choice.stop == "length"
    if choice.pieces or choice.refusal:
        items.append(_Message(choice, who, "incomplete" if cut and not choice.calls else "completed"))
    led_to = AFTER_REASONING if choice.thoughts else ""
    for turn, call in enumerate(choice.calls):
        last = cut and turn == len(choice.calls) - 1
        items.append(_Called(call, f"{who.ident}{turn}", led_to, "incomplete" if last else "completed"))
    return items


class _Reasoning:
    """A thought."""

    def __init__(self, thoughts: list[str], echo: Echo, who: Who) -> None:
        self._id = f"rs_{who.ident}"
        self._thoughts = thoughts if echo.summary else []
        self._sealed = {"encrypted_content": sealed(REASONING, self._id)} if echo.encrypted else {}

    def begun(self) -> dict[str, Any]:
        return {"id": self._id, "type": "reasoning", "summary": [], **self._sealed}

    def whole(self) -> dict[str, Any]:
        text = "".join(self._thoughts)
        return self.begun() | {"summary": [{"type": "summary_text", "text": text}] if text else []}

    def said(self, index: int) -> Said:
        if not self._thoughts:
            return
        at = {"item_id": self._id, "output_index": index, "summary_index": 0}
        text = "".join(self._thoughts)
        name = "response.reasoning_summary"
        yield {"type": f"{name}_part.added", **at, "part": {"type": "summary_text", "text": ""}}
        for piece in self._thoughts:
            yield {"type": f"{name}_text.delta", **at, "delta": piece}
        yield {"type": f"{name}_text.done", **at, "text": text}
        yield {"type": f"{name}_part.done", **at, "part": {"type": "summary_text", "text": text}}


class _Message:
    """Text, or the words of a refusal."""

    def __init__(self, choice: Choice, who: Who, status: str) -> None:
        self._id = f"msg_{who.ident}"
        self._refusal = bool(choice.refusal)
        self._pieces = choice.refusal or choice.pieces
        self._status = status

    def begun(self) -> dict[str, Any]:
        return {"id": self._id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}

    def whole(self) -> dict[str, Any]:
        return self.begun() | {"status": self._status, "content": [self._part("".join(self._pieces))]}

    def said(self, index: int) -> Said:
        at = {"item_id": self._id, "output_index": index, "content_index": 0}
        text = "".join(self._pieces)
        name, key = ("refusal", "refusal") if self._refusal else ("output_text", "text")
        extra: dict[str, Any] = {} if self._refusal else {"logprobs": []}
        yield {"type": "response.content_part.added", **at, "part": self._part("")}
        for piece in self._pieces:
            yield {"type": f"response.{name}.delta", **at, "delta": piece, **extra}
        yield {"type": f"response.{name}.done", **at, key: text, **extra}
        yield {"type": "response.content_part.done", **at, "part": self._part(text)}

    def _part(self, text: str) -> dict[str, Any]:
        if self._refusal:
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


class _Called:
    """A function call."""

    def __init__(self, call: Call, ident: str, led_to: str, status: str) -> None:
        self._call = call
        self._id = f"fc_{ident}{led_to}"
        self._call_id = f"call_{ident[-24:]}"
        self._status = status

    def begun(self) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "function_call",
            "status": "in_progress",
            "arguments": "",
            "call_id": self._call_id,
            "name": self._call.name,
        }

    def whole(self) -> dict[str, Any]:
        return self.begun() | {"status": self._status, "arguments": self._call.arguments}

    def said(self, index: int) -> Said:
        at = {"item_id": self._id, "output_index": index}
        for piece in self._call.pieces:
            yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
        yield {"type": "response.function_call_arguments.done", **at, "arguments": self._call.arguments}
