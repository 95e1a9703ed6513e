"""The real SDKs, unmodified, one class each: they ask, and say what they heard.

Usage is summed as `Usage` is, by the SDK's own types. What a dialect does not count apart is 0 here.
"""

import json
from collections.abc import Iterable
from contextlib import closing
from typing import Any, Protocol

import anthropic
import boto3
import openai
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as google
from tests.matrix.asking import MAX_TOKENS, PIXEL, PIXEL_BASE64, RESULT, SCHEMA, TOOLS, Ask, Failed, Heard
from tests.matrix.meshes import KEY
from tests.unit.providers.scripted_asking import Usage

NOTES = "x-heddle-translation"


class Caller(Protocol):
    """One SDK."""

    def ask(self, ask: Ask) -> Heard:
        """The answer. Raises what the SDK raises."""
        ...

    def failed(self, error: Exception) -> Failed:
        """What an exception of the SDK says."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


class OpenAIChat:
    """`openai`, chat completions."""

    def __init__(self, url: str) -> None:
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)

    def ask(self, ask: Ask) -> Heard:
        return self._streamed(ask) if ask.stream else self._whole(ask)

    def _whole(self, ask: Ask) -> Heard:
        raw = self._client.chat.completions.with_raw_response.create(**self._request(ask))
        return self._heard(raw.parse(), raw.headers.get(NOTES, ""))

    def _streamed(self, ask: Ask) -> Heard:
        asked = self._request(ask) | {"stream_options": {"include_usage": True}}
        with self._client.chat.completions.stream(**asked) as stream:
            for _ in stream:
                pass
            return self._heard(stream.get_final_completion(), "")

    def _request(self, ask: Ask) -> dict[str, Any]:
        content: Any = ask.prompt
        if ask.image:
            url = f"data:image/png;base64,{PIXEL_BASE64}"
            content = [{"type": "text", "text": ask.prompt}, {"type": "image_url", "image_url": {"url": url}}]
        messages: list[Any] = [{"role": "user", "content": content}]
        if ask.history is not None:
            messages.append(ask.history.native)
            messages += [{"role": "tool", "tool_call_id": call[0], "content": RESULT} for call in ask.history.calls]
        asked: dict[str, Any] = {"model": ask.model, "messages": messages, "extra_headers": ask.fields}
        asked["max_completion_tokens"] = MAX_TOKENS
        if ask.tools:
            asked["tools"] = [
                {"type": "function", "function": {"name": name, "description": text, "parameters": SCHEMA}}
                for name, text in TOOLS.items()
            ]
        if ask.schema:
            form = {"name": "answer", "schema": SCHEMA, "strict": True}
            asked["response_format"] = {"type": "json_schema", "json_schema": form}
        if ask.think:
            asked["reasoning_effort"] = "low"
        if ask.choices > 1:
            asked["n"] = ask.choices
        return asked

    def _heard(self, answer: Any, notes: str) -> Heard:
        choice = answer.choices[0]
        message = choice.message
        texts = tuple(one.message.content or "" for one in answer.choices)
        calls = [
            (call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()
        ]
        assert choice.finish_reason == ("tool_calls" if calls else "stop")
        used = answer.usage
        assert used.total_tokens == used.prompt_tokens + used.completion_tokens
        usage = Usage(
            used.prompt_tokens,
            used.completion_tokens,
            used.prompt_tokens_details.cached_tokens,
            used.prompt_tokens_details.cache_write_tokens or 0,
            used.completion_tokens_details.reasoning_tokens,
        )
        native = {"role": "assistant", "content": message.content}
        if calls:
            native["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
                for call in message.tool_calls
            ]
        return Heard(message.content or "", "", calls, usage, notes, native, texts)

    def failed(self, error: Exception) -> Failed:
        return _sdk_failure(error, openai.APIStatusError, openai.APIError)

    def close(self) -> None:
        self._client.close()


class OpenAIResponses:
    """`openai`, responses."""

    def __init__(self, url: str) -> None:
        self._client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)

    def ask(self, ask: Ask) -> Heard:
        if not ask.stream:
            raw = self._client.responses.with_raw_response.create(**self._request(ask))
            return self._heard(raw.parse(), raw.headers.get(NOTES, ""))
        with self._client.responses.stream(**self._request(ask)) as stream:
            for event in stream:
                if event.type in ("error", "response.failed"):
                    raise StreamError(str(event))
            return self._heard(stream.get_final_response(), "")

    def _request(self, ask: Ask) -> dict[str, Any]:
        content: Any = ask.prompt
        if ask.image:
            url = f"data:image/png;base64,{PIXEL_BASE64}"
            image = {"type": "input_image", "image_url": url, "detail": "auto"}
            content = [{"type": "input_text", "text": ask.prompt}, image]
        items: list[Any] = [{"role": "user", "content": content}]
        if ask.history is not None:
            items += ask.history.native
            items += [
                {"type": "function_call_output", "call_id": call[0], "output": RESULT} for call in ask.history.calls
            ]
        asked: dict[str, Any] = {"model": ask.model, "input": items, "extra_headers": ask.fields, "store": False}
        asked |= {"max_output_tokens": MAX_TOKENS, "include": ["reasoning.encrypted_content"]}
        if ask.tools:
            asked["tools"] = [
                {"type": "function", "name": name, "description": text, "parameters": SCHEMA, "strict": True}
                for name, text in TOOLS.items()
            ]
        if ask.schema:
            form = {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}
            asked["text"] = {"format": form}
        if ask.think:
            asked["reasoning"] = {"effort": "low", "summary": "auto"}
        return asked

    def _heard(self, answer: Any, notes: str) -> Heard:
        assert answer.status == "completed"
        calls, thought = [], ""
        for item in answer.output:
            if item.type == "function_call":
                calls.append((item.call_id, item.name, json.loads(item.arguments)))
            elif item.type == "reasoning":
                thought += "".join(part.text for part in item.summary)
        used = answer.usage
        assert used.total_tokens == used.input_tokens + used.output_tokens
        usage = Usage(
            used.input_tokens,
            used.output_tokens,
            used.input_tokens_details.cached_tokens,
            used.input_tokens_details.cache_write_tokens,
            used.output_tokens_details.reasoning_tokens,
        )
        native = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output]
        return Heard(answer.output_text, thought, calls, usage, notes, native)

    def failed(self, error: Exception) -> Failed:
        if isinstance(error, StreamError):
            return Failed(0, "StreamError", str(error), "")
        return _sdk_failure(error, openai.APIStatusError, openai.APIError)

    def close(self) -> None:
        self._client.close()


class StreamError(Exception):
    """An error event, which this SDK hands out rather than raises."""


class AnthropicMessages:
    """`anthropic`."""

    def __init__(self, url: str) -> None:
        self._client = anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0)

    def ask(self, ask: Ask) -> Heard:
        if not ask.stream:
            raw = self._client.messages.with_raw_response.create(**self._request(ask))
            return self._heard(raw.parse(), raw.headers.get(NOTES, ""))
        with self._client.messages.stream(**self._request(ask)) as stream:
            return self._heard(stream.get_final_message(), stream.response.headers.get(NOTES, ""))

    def _request(self, ask: Ask) -> dict[str, Any]:
        content: Any = ask.prompt
        if ask.image:
            source = {"type": "base64", "media_type": "image/png", "data": PIXEL_BASE64}
            content = [{"type": "image", "source": source}, {"type": "text", "text": ask.prompt}]
        messages: list[Any] = [{"role": "user", "content": content}]
        if ask.history is not None:
            results = [{"type": "tool_result", "tool_use_id": call[0], "content": RESULT} for call in ask.history.calls]
            messages += [{"role": "assistant", "content": ask.history.native}, {"role": "user", "content": results}]
        asked: dict[str, Any] = {"model": ask.model, "messages": messages, "max_tokens": MAX_TOKENS}
        asked["extra_headers"] = ask.fields
        if ask.tools:
            asked["tools"] = [
                {"name": name, "description": text, "input_schema": SCHEMA} for name, text in TOOLS.items()
            ]
        if ask.schema:
            asked["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        if ask.think:
            asked["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        return asked

    def _heard(self, answer: Any, notes: str) -> Heard:
        calls = [(block.id, block.name, block.input) for block in answer.content if block.type == "tool_use"]
        assert answer.stop_reason == ("tool_use" if calls else "end_turn")
        text = "".join(block.text for block in answer.content if block.type == "text")
        thought = "".join(block.thinking for block in answer.content if block.type == "thinking")
        used = answer.usage
        cached, written = used.cache_read_input_tokens or 0, used.cache_creation_input_tokens or 0
        details = used.output_tokens_details
        usage = Usage(
            used.input_tokens + cached + written,
            used.output_tokens,
            cached,
            written,
            details.thinking_tokens if details is not None else 0,
        )
        return Heard(text, thought, calls, usage, notes, answer.content)

    def failed(self, error: Exception) -> Failed:
        return _sdk_failure(error, anthropic.APIStatusError, anthropic.APIError)

    def close(self) -> None:
        self._client.close()


class Gemini:
    """`google-genai`."""

    def __init__(self, url: str) -> None:
        self._client = genai.Client(api_key=KEY, http_options=google.HttpOptions(base_url=url))

    def ask(self, ask: Ask) -> Heard:
        asked = self._request(ask)
        if not ask.stream:
            answer = self._client.models.generate_content(**asked)
            notes = answer.sdk_http_response.headers.get(NOTES, "")
            return self._heard([answer], notes)
        return self._heard(list(self._client.models.generate_content_stream(**asked)), "")

    def _request(self, ask: Ask) -> dict[str, Any]:
        parts = [google.Part(text=ask.prompt)]
        if ask.image:
            parts.append(google.Part.from_bytes(data=PIXEL, mime_type="image/png"))
        contents = [google.Content(role="user", parts=parts)]
        if ask.history is not None:
            contents.append(ask.history.native)
            results = [
                google.Part(
                    function_response=google.FunctionResponse(id=ident or None, name=name, response={"output": RESULT})
                )
                for ident, name, _ in ask.history.calls
            ]
            contents.append(google.Content(role="user", parts=results))
        config: dict[str, Any] = {"max_output_tokens": MAX_TOKENS, "http_options": {"headers": ask.fields}}
        config["automatic_function_calling"] = {"disable": True}
        if ask.tools:
            declared = [
                {"name": name, "description": text, "parameters_json_schema": SCHEMA} for name, text in TOOLS.items()
            ]
            config["tools"] = [{"function_declarations": declared}]
        if ask.schema:
            config |= {"response_mime_type": "application/json", "response_json_schema": SCHEMA}
        if ask.choices > 1:
            config["candidate_count"] = ask.choices
        if ask.think:
            config["thinking_config"] = {"thinking_budget": 1024, "include_thoughts": True}
        return {"model": ask.model, "contents": contents, "config": config}

    def _heard(self, answers: list[Any], notes: str) -> Heard:
        parts: list[Any] = []
        reason = None
        for answer in answers:
            for candidate in (answer.candidates or ())[:1]:
                reason = candidate.finish_reason or reason
                parts += (candidate.content and candidate.content.parts) or []
        assert reason == google.FinishReason.STOP
        calls = [
            (part.function_call.id or "", part.function_call.name, part.function_call.args)
            for part in parts
            if part.function_call
        ]
        text = "".join(part.text for part in parts if part.text and not part.thought)
        thought = "".join(part.text for part in parts if part.text and part.thought)
        used = answers[-1].usage_metadata
        thoughts = used.thoughts_token_count or 0
        made = (used.candidates_token_count or 0) + thoughts
        assert used.total_token_count == used.prompt_token_count + made
        usage = Usage(used.prompt_token_count, made, used.cached_content_token_count or 0, 0, thoughts)
        kept = [part for part in parts if part.function_call or part.thought_signature or part.text]
        texts = tuple(
            one.content.parts[0].text for one in answers[0].candidates or () if one.content and one.content.parts
        )
        return Heard(text, thought, calls, usage, notes, google.Content(role="model", parts=kept), texts)

    def failed(self, error: Exception) -> Failed:
        if not isinstance(error, genai_errors.APIError):
            raise error
        response = error.response
        fields = getattr(response, "headers", {}) or {}
        begun = getattr(response, "status_code", 0) in (0, 200)
        status = 0 if begun else error.code
        return Failed(status, error.status or "", error.message or "", fields.get("retry-after", ""))

    def close(self) -> None:
        self._client.close()


class Bedrock:
    """`boto3`. Over plain HTTP it sends no bearer key by itself: it is unsigned, and given the key as a field."""

    def __init__(self, url: str) -> None:
        self._client = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=url,
            config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, proxies={}),
        )
        self._fields: dict[str, str] = {}
        self._client.meta.events.register("before-send.bedrock-runtime.*", self._put_fields)

    def _put_fields(self, request: Any, **_: Any) -> None:
        for name, value in {"Authorization": f"Bearer {KEY}", **self._fields}.items():
            request.headers[name] = value

    def ask(self, ask: Ask) -> Heard:
        self._fields = ask.fields
        asked = self._request(ask)
        if not ask.stream:
            answer = self._client.converse(**asked)
            return self._heard(answer, answer["output"]["message"]["content"])
        answer = self._client.converse_stream(**asked)
        with closing(answer["stream"]) as events:
            blocks = self._gathered(answer, events)
        return self._heard(answer, blocks)

    def _gathered(self, answer: dict[str, Any], events: Iterable[dict[str, Any]]) -> list[Any]:
        """The blocks of a stream; its end goes into `answer`."""
        blocks: dict[int, Any] = {}
        for event in events:
            if "contentBlockStart" in event:
                start = event["contentBlockStart"]
                blocks[start["contentBlockIndex"]] = {"toolUse": start["start"]["toolUse"] | {"input": ""}}
            elif "contentBlockDelta" in event:
                delta = event["contentBlockDelta"]
                _add(blocks.setdefault(delta["contentBlockIndex"], {}), delta["delta"])
            elif "messageStop" in event:
                answer["stopReason"] = event["messageStop"]["stopReason"]
            elif "metadata" in event:
                answer["usage"] = event["metadata"]["usage"]
        for block in blocks.values():
            if "toolUse" in block:
                block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
        return list(blocks.values())

    def _request(self, ask: Ask) -> dict[str, Any]:
        content: list[Any] = [{"text": ask.prompt}]
        if ask.image:
            content.append({"image": {"format": "png", "source": {"bytes": PIXEL}}})
        messages: list[Any] = [{"role": "user", "content": content}]
        if ask.history is not None:
            results = [
                {"toolResult": {"toolUseId": call[0], "content": [{"text": RESULT}]}} for call in ask.history.calls
            ]
            messages += [{"role": "assistant", "content": ask.history.native}, {"role": "user", "content": results}]
        asked: dict[str, Any] = {"modelId": ask.model, "messages": messages}
        asked["inferenceConfig"] = {"maxTokens": MAX_TOKENS}
        if ask.tools:
            specs = [
                {"toolSpec": {"name": name, "description": text, "inputSchema": {"json": SCHEMA}}}
                for name, text in TOOLS.items()
            ]
            asked["toolConfig"] = {"tools": specs}
        if ask.schema:
            structure = {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "answer"}}
            asked["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": structure}}
        if ask.think:
            asked["additionalModelRequestFields"] = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
        return asked

    def _heard(self, answer: Any, content: list[Any]) -> Heard:
        calls = [
            (block["toolUse"]["toolUseId"], block["toolUse"]["name"], block["toolUse"]["input"])
            for block in content
            if "toolUse" in block
        ]
        assert answer["stopReason"] == ("tool_use" if calls else "end_turn")
        reasoned = [
            block["reasoningContent"].get("reasoningText", {}) for block in content if "reasoningContent" in block
        ]
        used = answer["usage"]
        cached, written = used.get("cacheReadInputTokens", 0), used.get("cacheWriteInputTokens", 0)
        taken = used["inputTokens"] + cached + written
        assert used["totalTokens"] == taken + used["outputTokens"]
        fields = answer["ResponseMetadata"]["HTTPHeaders"]
        return Heard(
            "".join(block.get("text", "") for block in content),
            "".join(one.get("text", "") for one in reasoned),
            calls,
            Usage(taken, used["outputTokens"], cached, written, 0),
            fields.get(NOTES, ""),
            content,
        )

    def failed(self, error: Exception) -> Failed:
        if isinstance(error, EventStreamError):
            return Failed(0, "EventStreamError", str(error), "")
        assert isinstance(error, ClientError), error
        meta = error.response["ResponseMetadata"]
        told = error.response["Error"]
        return Failed(meta["HTTPStatusCode"], told["Code"], told["Message"], meta["HTTPHeaders"].get("retry-after", ""))

    def close(self) -> None:
        self._client.close()


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    """A piece of a block; an SDK's user has to put them together."""
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    if "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    if "reasoningContent" in delta:
        reasoning = block.setdefault("reasoningContent", {})
        for name, value in delta["reasoningContent"].items():
            if name == "redactedContent":
                reasoning[name] = reasoning.get(name, b"") + value
            else:
                said = reasoning.setdefault("reasoningText", {"text": ""})
                said[name] = said.get(name, "") + value


def _sdk_failure(error: Exception, with_status: type[Exception], any_error: type[Exception]) -> Failed:
    """Of the SDKs of OpenAI and Anthropic, which are made alike."""
    assert isinstance(error, any_error), repr(error)
    kind = type(error).__name__
    if isinstance(error, with_status):
        response = error.response  # type: ignore[attr-defined]
        begun = response.status_code == 200
        return Failed(0 if begun else response.status_code, kind, str(error), response.headers.get("retry-after", ""))
    return Failed(0, kind, str(error), "")


CALLERS: dict[str, type[Any]] = {
    "openai_chat": OpenAIChat,
    "openai_responses": OpenAIResponses,
    "anthropic_messages": AnthropicMessages,
    "gemini": Gemini,
    "bedrock_converse": Bedrock,
}
"""Dialect -> its SDK."""
