"""Bedrock Converse: answers, binary event streams and exceptions in Amazon's form.

Owns their shape. A thought is sealed; the seal must come back with it. Tokens of thinking are output tokens like any
other: Amazon does not count them apart.

*Source:* Amazon Bedrock API Reference, "Converse", "ConverseStream" (events, errors), "TokenUsage"; the service model
`bedrock-runtime-2023-09-30` of botocore 1.44; as of 2026-11.
"""

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.model.provider import Fields
from heddle.providers.scripted.asked import Asked
from heddle.providers.scripted.bedrock_request import REDACTED, THOUGHT, read_request
from heddle.providers.scripted.playing import Trouble
from heddle.providers.scripted.said import Answer, Choice, Counts, Who
from heddle.providers.scripted.seals import seal, sealed
from heddle.wire.eventstream import CONTENT_TYPE, encode

DIALECT = "bedrock_converse"
STREAM_TYPE = CONTENT_TYPE

_EXCEPTIONS = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_IN_STREAM = {
    "InternalServerException": "internalServerException",
    "ServiceUnavailableException": "serviceUnavailableException",
    "ThrottlingException": "throttlingException",
    "ValidationException": "validationException",
}
"""What a stream can end with; anything else is a `modelStreamErrorException`."""
_STOPS = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_use": "tool_use",
    "refusal": "content_filtered",
}
_LATENCY = {"latencyMs": 1}
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

_json = msgspec.json.encode


def _frame(kind: str, value: dict[str, Any]) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    # Amazon pads every event, so that its size says nothing of its text.
    padding = _PADDING[: 1 + len(value) * 7 % len(_PADDING)]
    return encode(headers, _json({**value, "p": padding}))


MALFORMED = _frame("contentBlockDelta", {"contentBlockIndex": 0})[:-1] + b"\0"
"""A frame whose checksum is wrong."""


def read(body: bytes, call: ModelCall) -> Asked:
    """A request. Raises RefusedError for what Amazon refuses."""
    return read_request(body, call.stream)


def fields(who: Who) -> Fields:
    """Header fields of a good answer."""
    return [(b"x-amzn-requestid", _request(who))]


def refuse(trouble: Trouble, who: Who) -> tuple[Fields, bytes]:
    """Fields and body of an exception."""
    kind = f"{_exception(trouble)}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    sent: Fields = [*fields(who), (b"x-amzn-errortype", kind.encode())]
    if trouble.retry_after:
        sent.append((b"retry-after", trouble.retry_after.encode()))
    return sent, _json({"message": trouble.message})


def error_event(trouble: Trouble, who: Who, sent: int) -> bytes:
    """An exception inside a stream."""
    del who, sent
    kind = _IN_STREAM.get(_exception(trouble), "modelStreamErrorException")
    said: dict[str, Any] = {"message": trouble.message}
    if kind == "modelStreamErrorException":
        said |= {"originalStatusCode": trouble.status, "originalMessage": trouble.message}
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode(headers, _json(said))


def whole(answer: Answer, asked: Asked, who: Who) -> bytes:
    """A Converse response."""
    del asked
    choice = answer.choices[0]
    content = [block for block, _, _ in _content(choice, who)]
    message = {"role": "assistant", "content": content}
    return _json(
        {
            "metrics": _LATENCY,
            "output": {"message": message},
            "stopReason": _STOPS[choice.stop],
            "usage": _usage(answer.counts),
        }
    )


def events(answer: Answer, asked: Asked, who: Who) -> Iterator[bytes]:
    """All frames. Only tool calls are announced; text and thinking begin with their first piece."""
    del asked
    choice = answer.choices[0]
    yield _frame("messageStart", {"role": "assistant"})
    for index, (_, start, deltas) in enumerate(_content(choice, who)):
        at = {"contentBlockIndex": index}
        if start:
            yield _frame("contentBlockStart", at | {"start": start})
        for delta in deltas:
            yield _frame("contentBlockDelta", at | {"delta": delta})
        yield _frame("contentBlockStop", at)
    yield _frame("messageStop", {"stopReason": _STOPS[choice.stop]})
    yield _frame("metadata", {"metrics": _LATENCY, "usage": _usage(answer.counts)})


def _request(who: Who) -> bytes:
    return "-".join((who.ident[:8], who.ident[8:12], who.ident[12:16], who.ident[16:20], who.ident[20:])).encode()


def _exception(trouble: Trouble) -> str:
    if trouble.code:
        return "ServiceQuotaExceededException" if trouble.code == "insufficient_quota" else trouble.code
    usual = "InternalServerException" if trouble.status >= 500 else "ValidationException"
    return _EXCEPTIONS.get(trouble.status, usual)


def _usage(counts: Counts) -> dict[str, Any]:
    return {
        "inputTokens": counts.fresh,
        "outputTokens": counts.made,
        "totalTokens": counts.taken + counts.made,
        "cacheReadInputTokens": counts.cached,
        "cacheWriteInputTokens": counts.written,
    }


_Blocks = Iterator[tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]]


def _content(choice: Choice, who: Who) -> _Blocks:
    """Every block, how it is announced in a stream, and the deltas that it is streamed in."""
    if choice.redacted:
        blob = {"redactedContent": base64.b64encode(sealed(REDACTED, who.ident).encode()).decode()}
        yield {"reasoningContent": blob}, {}, [{"reasoningContent": blob}]
    elif choice.thoughts:
        signature = seal(THOUGHT, choice.thought)
        deltas: list[dict[str, Any]] = [{"reasoningContent": {"text": piece}} for piece in choice.thoughts]
        deltas.append({"reasoningContent": {"signature": signature}})
        said = {"text": choice.thought, "signature": signature}
        yield {"reasoningContent": {"reasoningText": said}}, {}, deltas
    text = choice.pieces or choice.refusal
    if text:
        yield {"text": "".join(text)}, {}, [{"text": piece} for piece in text]
    for turn, call in enumerate(choice.calls):
        used = {"toolUseId": f"tooluse_{who.ident[:20]}{turn:02}", "name": call.name}
        block = {"toolUse": used | {"input": _arguments(call.arguments)}}
        yield block, {"toolUse": used}, [{"toolUse": {"input": piece}} for piece in call.pieces]


def _arguments(text: str) -> Any:
    """Arguments that the bound on tokens cut off are no JSON: there are none then."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
