"""Streamed answers of each dialect: written from pieces of a text and of a tool's arguments, and read back."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from heddle.wire import eventstream, sse


class Said(NamedTuple):
    """What a caller gathers from a stream."""

    text: str
    arguments: str
    whole: tuple[str, ...] = ()
    """What a stream repeats at its end."""


def _sse(events: Sequence[Any], named: bool = False) -> bytes:
    frames = []
    for event in events:
        head = f"event: {event['type']}\n" if named else ""
        frames.append(f"{head}data: {json.dumps(event)}\n\n".encode())
    return b"".join(frames)


def _events(data: bytes) -> list[Any]:
    splitter = sse.Splitter()
    payloads = [sse.payload(frame) for frame in splitter.feed(data)]
    assert not splitter.rest
    return [json.loads(text) for text in payloads if text.startswith(b"{")]


def openai_chat(texts: Sequence[str], arguments: Sequence[str]) -> bytes:
    def chunk(delta: Any, finish: str | None = None) -> Any:
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}  # fmt: skip

    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": text}) for text in texts]
    call = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}
    events.append(chunk({"tool_calls": [call]}))
    events += [chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in arguments]
    return _sse([*events, chunk({}, "tool_calls")]) + b"data: [DONE]\n\n"


def read_openai_chat(data: bytes) -> Said:
    assert data.endswith(b"data: [DONE]\n\n")
    text = arguments = ""
    finished = False
    for event in _events(data):
        for choice in event["choices"]:
            assert not finished
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or ():
                arguments += call["function"]["arguments"]
            finished = choice["finish_reason"] is not None
    assert finished
    return Said(text, arguments)


def anthropic(texts: Sequence[str], arguments: Sequence[str]) -> bytes:
    def block(index: int, start: Any, deltas: Sequence[Any]) -> list[Any]:
        return [
            {"type": "content_block_start", "index": index, "content_block": start},
            *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": index},
        ]

    events = [{"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": {}}}]
    events += block(0, {"type": "text", "text": ""}, [{"type": "text_delta", "text": text} for text in texts])
    start = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    events += block(1, start, [{"type": "input_json_delta", "partial_json": piece} for piece in arguments])
    events += [{"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}}, {"type": "message_stop"}]
    return _sse(events, named=True)


def read_anthropic(data: bytes) -> Said:
    said = {"text": "", "partial_json": ""}
    open_block = None
    for event in _events(data):
        if event["type"] == "content_block_start":
            open_block = event["index"]
        elif event["type"] == "content_block_stop":
            assert open_block == event["index"]
            open_block = None
        elif event["type"] == "content_block_delta":
            assert open_block == event["index"]
            for field in said:
                said[field] += event["delta"].get(field, "")
    assert event["type"] == "message_stop"
    return Said(said["text"], said["partial_json"])


def gemini(texts: Sequence[str], arguments: Sequence[str]) -> bytes:
    def response(parts: Any, **more: Any) -> Any:
        return {"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0, **more}], "responseId": "r"}

    events = [response([{"text": text}]) for text in texts]
    args = json.loads("".join(arguments))
    events.append(response([{"functionCall": {"name": "f", "args": args}}], finishReason="STOP"))
    return _sse(events)


def read_gemini(data: bytes) -> Said:
    text, arguments = "", ""
    for event in _events(data):
        for part in event["candidates"][0]["content"]["parts"]:
            if "functionCall" in part:
                arguments = json.dumps(part["functionCall"]["args"])
            else:
                assert not arguments
                text += part["text"]
    return Said(text, arguments)


def openai_responses(texts: Sequence[str], arguments: Sequence[str]) -> bytes:
    text, args = "".join(texts), "".join(arguments)
    at = {"item_id": "i", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"id": "i", "type": "message", "role": "assistant", "content": [part]}
    call_at = {"item_id": "j", "output_index": 1}
    call = {"id": "j", "type": "function_call", "name": "f", "call_id": "c", "arguments": args}
    events: list[Any] = [
        {"type": "response.created", "response": {"id": "r", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []} for piece in texts),
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": message},
        {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}},
        *({"type": "response.function_call_arguments.delta", **call_at, "delta": piece} for piece in arguments),
        {"type": "response.function_call_arguments.done", **call_at, "arguments": args},
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        {"type": "response.completed", "response": {"id": "r", "output": [message, call]}},
    ]
    return _sse([{**event, "sequence_number": number} for number, event in enumerate(events)], named=True)


def read_openai_responses(data: bytes) -> Said:
    text = arguments = ""
    whole = []
    events = _events(data)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        kind = event["type"]
        if kind == "response.output_text.delta":
            text += event["delta"]
        elif kind == "response.function_call_arguments.delta":
            arguments += event["delta"]
        elif kind == "response.output_text.done":
            whole.append(event["text"])
        elif kind == "response.content_part.done":
            whole.append(event["part"]["text"])
        elif kind == "response.function_call_arguments.done":
            whole.append(event["arguments"])
        elif kind == "response.completed":
            message, call = event["response"]["output"]
            whole += [message["content"][0]["text"], call["arguments"]]
    return Said(text, arguments, tuple(whole))


def bedrock(texts: Sequence[str], arguments: Sequence[str]) -> bytes:
    def frame(name: str, value: Any) -> bytes:
        headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
        return eventstream.encode(headers, json.dumps(value).encode())

    def delta(index: int, value: Any) -> bytes:
        return frame("contentBlockDelta", {"contentBlockIndex": index, "delta": value})

    return b"".join(
        [
            frame("messageStart", {"role": "assistant"}),
            *(delta(0, {"text": text}) for text in texts),
            frame("contentBlockStop", {"contentBlockIndex": 0}),
            frame("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"name": "f", "toolUseId": "t"}}}),
            *(delta(1, {"toolUse": {"input": piece}}) for piece in arguments),
            frame("contentBlockStop", {"contentBlockIndex": 1}),
            frame("messageStop", {"stopReason": "tool_use"}),
            frame("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}),
        ]
    )


def read_bedrock(data: bytes) -> Said:
    text = arguments = ""
    stopped: list[int] = []
    for frame in eventstream.Splitter().feed(data):
        told = eventstream.decode(frame)
        value = json.loads(told.payload)
        if told.headers[":event-type"] == "contentBlockStop":
            stopped.append(value["contentBlockIndex"])
        elif told.headers[":event-type"] == "contentBlockDelta":
            assert value["contentBlockIndex"] not in stopped
            text += value["delta"].get("text", "")
            arguments += value["delta"].get("toolUse", {}).get("input", "")
    assert told.headers[":event-type"] == "metadata"
    return Said(text, arguments)


DIALECTS = {
    "openai_chat": (openai_chat, read_openai_chat),
    "anthropic_messages": (anthropic, read_anthropic),
    "gemini": (gemini, read_gemini),
    "openai_responses": (openai_responses, read_openai_responses),
    "bedrock_converse": (bedrock, read_bedrock),
}
