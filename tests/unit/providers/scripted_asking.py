"""How each vendor is asked and understood: request bodies, and readers of answers, written by hand from the references.

They share nothing with the codecs, so that a mistake there is not repeated here.
"""

import json
from typing import Any, NamedTuple

from botocore.eventstream import EventStreamBuffer

from heddle.model.call import ModelCall
from heddle.model.provider import Script
from heddle.model.snapshot import ProviderSpec
from heddle.providers.scripted import Scripted

CREATED = 1_790_000_000
FORMATS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini", "bedrock_converse")
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
MODEL = "model-1"


class Usage(NamedTuple):
    """Input includes cached and written tokens, output includes reasoning: sums as a bill has them."""

    taken: int
    made: int
    cached: int
    written: int
    reasoning: int


class Told(NamedTuple):
    """What an answer says."""

    text: str
    thought: str
    signature: str
    calls: list[tuple[str, str, Any]]
    """Id, name, arguments."""
    stop: str
    usage: Usage


def parsed(text: str) -> Any:
    """Arguments, {} for those that were cut off."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {}


class Chat:
    operation = "chat"

    def body(self, prompt, stream=False, tools=False, schema=False, most=None):
        asked = {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}
        if stream:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        if tools:
            asked["tools"] = [
                {"type": "function", "function": {"name": "f", "parameters": SCHEMA}},
                {"type": "function", "function": {"name": "g", "parameters": SCHEMA}},
            ]
        if schema:
            asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}
        if most is not None:
            asked["max_completion_tokens"] = most
        return asked

    def usage(self, usage):
        taken, made = usage["prompt_tokens_details"], usage["completion_tokens_details"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        return Usage(
            usage["prompt_tokens"],
            usage["completion_tokens"],
            taken["cached_tokens"],
            taken.get("cache_write_tokens", 0),
            made["reasoning_tokens"],
        )

    def told(self, answer):
        choice = answer["choices"][0]
        message = choice["message"]
        calls = [
            (call["id"], call["function"]["name"], parsed(call["function"]["arguments"]))
            for call in message.get("tool_calls", [])
        ]
        text = (message["content"] or "") + (message["refusal"] or "")
        return Told(text, "", "", calls, choice["finish_reason"], self.usage(answer["usage"]))

    def gathered(self, chunks):
        text, stop, calls, usage = "", "", {}, None
        for chunk in chunks:
            usage = chunk["usage"] or usage
            for choice in chunk["choices"]:
                delta = choice["delta"]
                text += (delta.get("content") or "") + (delta.get("refusal") or "")
                stop = choice["finish_reason"] or stop
                for call in delta.get("tool_calls", []):
                    known = calls.setdefault(call["index"], ["", "", ""])
                    known[0] += call.get("id", "")
                    known[1] += call["function"].get("name", "")
                    known[2] += call["function"].get("arguments", "")
        made = [(ident, name, parsed(arguments)) for ident, name, arguments in calls.values()]
        return Told(text, "", "", made, stop, self.usage(usage))

    def split(self, data):
        events = [event.partition(b"data: ")[2] for event in data.split(b"\n\n") if event]
        assert events.pop() == b"[DONE]"
        return [json.loads(event) for event in events]

    def error(self, fields, body):
        return body["error"]["type"], body["error"]["message"]


class Responses:
    def body(self, prompt, stream=False, tools=False, schema=False, most=None):
        asked: dict[str, Any] = {
            "model": MODEL,
            "input": prompt,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"summary": "auto"},
            "store": False,
        }
        if stream:
            asked["stream"] = True
        if tools:
            asked["tools"] = [
                {"type": "function", "name": name, "parameters": SCHEMA, "strict": True} for name in ("f", "g")
            ]
        if schema:
            asked["text"] = {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA, "strict": True}}
        if most is not None:
            asked["max_output_tokens"] = most
        return asked

    def usage(self, usage):
        taken = usage["input_tokens_details"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        return Usage(
            usage["input_tokens"],
            usage["output_tokens"],
            taken["cached_tokens"],
            taken["cache_write_tokens"],
            usage["output_tokens_details"]["reasoning_tokens"],
        )

    def told(self, answer):
        text = thought = signature = ""
        calls = []
        for item in answer["output"]:
            match item["type"]:
                case "message":
                    text += "".join(part.get("text", part.get("refusal")) for part in item["content"])
                case "reasoning":
                    thought += "".join(part["text"] for part in item["summary"])
                    signature += item.get("encrypted_content", "")
                case "function_call":
                    calls.append((item["call_id"], item["name"], parsed(item["arguments"])))
        return Told(text, thought, signature, calls, answer["status"], self.usage(answer["usage"]))

    def gathered(self, events):
        """From the deltas; the last event has it all again."""
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        text = thought = ""
        arguments: dict[int, str] = {}
        for event in events:
            match event["type"]:
                case "response.output_text.delta" | "response.refusal.delta":
                    text += event["delta"]
                case "response.reasoning_summary_text.delta":
                    thought += event["delta"]
                case "response.function_call_arguments.delta":
                    arguments[event["output_index"]] = arguments.get(event["output_index"], "") + event["delta"]
        told = self.told(events[-1]["response"])
        assert (text, thought) == (told.text, told.thought)
        assert [parsed(one) for one in arguments.values()] == [call[2] for call in told.calls]
        return told

    def split(self, data):
        return [json.loads(event.partition(b"\ndata: ")[2]) for event in data.split(b"\n\n") if event]

    def count(self, prompt):
        body = json.dumps({"model": MODEL, "input": prompt}).encode()
        return json.loads(sent(call("openai_responses_count", body, "count_tokens"), "openai_responses"))[
            "input_tokens"
        ]

    error = Chat.error


class Anthropic:
    def body(self, prompt, stream=False, tools=False, schema=False, most=None):
        asked = {"model": MODEL, "max_tokens": most or 1000, "messages": [{"role": "user", "content": prompt}]}
        if stream:
            asked["stream"] = True
        if tools:
            asked["tools"] = [{"name": name, "input_schema": SCHEMA} for name in ("f", "g")]
        if schema:
            asked["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        return asked

    def usage(self, usage):
        cached, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
        return Usage(
            usage["input_tokens"] + cached + written,
            usage["output_tokens"],
            cached,
            written,
            usage["output_tokens_details"]["thinking_tokens"],
        )

    def told(self, answer):
        text = thought = signature = ""
        calls = []
        for block in answer["content"]:
            match block["type"]:
                case "text":
                    text += block["text"]
                case "thinking":
                    thought += block["thinking"]
                    signature += block["signature"]
                case "redacted_thinking":
                    signature += block["data"]
                case "tool_use":
                    calls.append((block["id"], block["name"], block["input"]))
        return Told(text, thought, signature, calls, answer["stop_reason"], self.usage(answer["usage"]))

    def gathered(self, events):
        blocks: dict[int, Any] = {}
        stop = usage = None
        for event in events:
            match event["type"]:
                case "message_start":
                    usage = event["message"]["usage"]
                case "content_block_start":
                    blocks[event["index"]] = dict(event["content_block"], json="")
                case "content_block_delta":
                    delta = event["delta"]
                    block = blocks[event["index"]]
                    for name, key in (("text", "text"), ("thinking", "thinking"), ("signature", "signature")):
                        block[name] = block.get(name, "") + delta.get(key, "")
                    block["json"] += delta.get("partial_json", "")
                case "message_delta":
                    stop, usage = event["delta"]["stop_reason"], usage | event["usage"]
        content = [
            block | ({"input": parsed(block["json"])} if block["type"] == "tool_use" else {})
            for block in blocks.values()
        ]
        assert events[-1] == {"type": "message_stop"}
        return self.told({"content": content, "stop_reason": stop, "usage": usage})

    split = Responses.split

    def count(self, prompt):
        body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": prompt}]}).encode()
        return json.loads(sent(call("anthropic_count", body, "count_tokens"), "anthropic_messages"))["input_tokens"]

    def error(self, fields, body):
        assert body["type"] == "error"
        assert fields[b"request-id"].decode() == body["request_id"]
        return body["error"]["type"], body["error"]["message"]


class Gemini:
    def body(self, prompt, stream=False, tools=False, schema=False, most=None):
        del stream
        asked: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}
        config: dict[str, Any] = {"thinkingConfig": {"includeThoughts": True}}
        if tools:
            asked["tools"] = [
                {"functionDeclarations": [{"name": name, "parametersJsonSchema": SCHEMA} for name in ("f", "g")]}
            ]
        if schema:
            config |= {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
        if most is not None:
            config["maxOutputTokens"] = most
        return asked | {"generationConfig": config}

    def usage(self, usage):
        thoughts = usage.get("thoughtsTokenCount", 0)
        made = usage["candidatesTokenCount"] + thoughts
        assert usage["totalTokenCount"] == usage["promptTokenCount"] + made
        return Usage(usage["promptTokenCount"], made, usage.get("cachedContentTokenCount", 0), 0, thoughts)

    def told(self, answer):
        return self.gathered([answer])

    def gathered(self, chunks):
        text = thought = signature = stop = ""
        calls = []
        for chunk in chunks:
            candidate = chunk["candidates"][0]
            stop = candidate.get("finishReason", stop)
            for part in candidate["content"]["parts"]:
                signature += part.get("thoughtSignature", "")
                if "functionCall" in part:
                    made = part["functionCall"]
                    calls.append((made.get("id", ""), made["name"], made["args"]))
                elif part.get("thought"):
                    thought += part["text"]
                else:
                    text += part["text"]
            text += candidate.get("finishMessage", "")
        return Told(text, thought, signature, calls, stop, self.usage(chunks[-1]["usageMetadata"]))

    def split(self, data):
        return [json.loads(event.removeprefix(b"data: ")) for event in data.split(b"\r\n\r\n") if event]

    def count(self, prompt):
        body = json.dumps({"contents": [{"parts": [{"text": prompt}]}]}).encode()
        return json.loads(sent(call("gemini_count", body, "count_tokens"), "gemini"))["totalTokens"]

    def error(self, fields, body):
        del fields
        return body["error"]["status"], body["error"]["message"]


class Bedrock:
    def body(self, prompt, stream=False, tools=False, schema=False, most=None):
        del stream
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": prompt}]}]}
        if tools:
            specs = [{"toolSpec": {"name": name, "inputSchema": {"json": SCHEMA}}} for name in ("f", "g")]
            asked["toolConfig"] = {"tools": specs}
        if schema:
            structure = {"jsonSchema": {"schema": json.dumps(SCHEMA)}}
            asked["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": structure}}
        if most is not None:
            asked["inferenceConfig"] = {"maxTokens": most}
        return asked

    def usage(self, usage):
        cached, written = usage["cacheReadInputTokens"], usage["cacheWriteInputTokens"]
        taken = usage["inputTokens"] + cached + written
        assert usage["totalTokens"] == taken + usage["outputTokens"]
        return Usage(taken, usage["outputTokens"], cached, written, 0)

    def told(self, answer):
        text = thought = signature = ""
        calls = []
        for block in answer["output"]["message"]["content"]:
            text += block.get("text", "")
            if "reasoningContent" in block:
                reasoning = block["reasoningContent"].get("reasoningText", {})
                thought += reasoning.get("text", "")
                signature += reasoning.get("signature", "") + block["reasoningContent"].get("redactedContent", "")
            if "toolUse" in block:
                used = block["toolUse"]
                calls.append((used["toolUseId"], used["name"], used["input"]))
        return Told(text, thought, signature, calls, answer["stopReason"], self.usage(answer["usage"]))

    def gathered(self, events):
        blocks: dict[int, Any] = {}
        stop = usage = None
        for kind, event in events:
            match kind:
                case "contentBlockStart":
                    blocks[event["contentBlockIndex"]] = {"toolUse": event["start"]["toolUse"] | {"input": ""}}
                case "contentBlockDelta":
                    self._add(blocks.setdefault(event["contentBlockIndex"], {}), event["delta"])
                case "messageStop":
                    stop = event["stopReason"]
                case "metadata":
                    usage = event["usage"]
        for block in blocks.values():
            if "toolUse" in block:
                block["toolUse"]["input"] = parsed(block["toolUse"]["input"])
        content = list(blocks.values())
        return self.told({"output": {"message": {"content": content}}, "stopReason": stop, "usage": usage})

    def _add(self, block, delta):
        if "text" in delta:
            block["text"] = block.get("text", "") + delta["text"]
        if "toolUse" in delta:
            block["toolUse"]["input"] += delta["toolUse"]["input"]
        if "reasoningContent" in delta:
            reasoning = block.setdefault("reasoningContent", {})
            for key, value in delta["reasoningContent"].items():
                if key == "redactedContent":
                    reasoning[key] = value
                else:
                    said = reasoning.setdefault("reasoningText", {"text": "", "signature": ""})
                    said[key] += value

    def split(self, data):
        """By botocore's own parser."""
        buffer = EventStreamBuffer()
        buffer.add_data(data)
        return [(event.headers[":event-type"], json.loads(event.payload)) for event in buffer]

    def error(self, fields, body):
        return fields[b"x-amzn-errortype"].decode().partition(":")[0], body["message"]


ASKING: dict[str, Any] = {
    "openai_chat": Chat(),
    "openai_responses": Responses(),
    "anthropic_messages": Anthropic(),
    "gemini": Gemini(),
    "bedrock_converse": Bedrock(),
}
"""Format -> how it is asked and understood."""


def call(dialect: str, body: bytes, operation: str = "chat", stream: bool = False, model: str = MODEL) -> ModelCall:
    return ModelCall(operation=operation, dialect=dialect, model=model, body=body, stream=stream)


def scripted(form: str) -> Scripted:
    return Scripted(ProviderSpec(name="offline", type="scripted", options={"format": form}))


def play(form: str, prompt: str = "", stream: bool = False, asked: Any = None, **more: Any) -> Script:
    """The script for a prompt, or for a whole request `asked`."""
    model = more.pop("model", MODEL)
    body = json.dumps(ASKING[form].body(prompt, stream=stream, **more) if asked is None else asked).encode()
    return scripted(form).play(call(form, body, stream=stream, model=model), body, CREATED)


def sent(asked: ModelCall, form: str) -> bytes:
    script = scripted(form).play(asked, asked.body, CREATED)
    body = b"".join(step.data or b"" for step in script.steps)
    assert script.status == 200, body
    return body


def whole(form: str, prompt: str, **more: Any) -> Any:
    script = play(form, prompt, **more)
    body = b"".join(step.data or b"" for step in script.steps)
    assert script.status == 200, body
    return json.loads(body)


def events(form: str, prompt: str, **more: Any) -> list[Any]:
    script = play(form, prompt, stream=True, **more)
    assert script.status == 200, [step.data for step in script.steps]
    found: list[Any] = ASKING[form].split(b"".join(step.data or b"" for step in script.steps))
    return found
