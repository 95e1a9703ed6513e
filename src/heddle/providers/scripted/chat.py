"""The offline model's chat completions, in OpenAI's form to the byte order of a real server's fields.

Owns the request fields it obeys (messages, n, stop, both token bounds, tools, tool_choice, parallel_tool_calls,
response_format, stream options) and the shape of answers and chunks.

*Source:* OpenAI API reference, "Create chat completion", "The chat completion object" and "... chunk object", 2026-11.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from heddle.model.provider import Script, Step
from heddle.providers.scripted import envelope, prose
from heddle.providers.scripted.directives import Directives, Fault, parse
from heddle.providers.scripted.sample import Sampler
from heddle.wire import sse
from heddle.wire.json import type_error

DIALECT = "openai_chat"
FINGERPRINT = "fp_heddle_offline"
MAX_CALLS = 8
"""Tools called in one answer."""
MAX_SEARCHED_CHARS = 20_000
"""How far into a prompt tool names are looked for: many tools times a large prompt would hold up other calls."""

_encode = msgspec.json.encode


class Pace(NamedTuple):
    """How fast and how much it talks; 0 means at once, and as much as there is to say."""

    first_token_s: float = 0.0
    tokens_per_s: float = 0.0
    length: int = 0


class _Message(msgspec.Struct, gc=False):
    role: str
    content: str | list[dict[str, Any]] | None = None


class _Function(msgspec.Struct, gc=False):
    name: str
    parameters: dict[str, Any] | None = None


class _Tool(msgspec.Struct, gc=False):
    function: _Function
    type: str = "function"


class _Named(msgspec.Struct, gc=False):
    name: str


class _ToolChoice(msgspec.Struct, gc=False):
    function: _Named
    type: str = "function"


class _JsonSchema(msgspec.Struct, gc=False):
    schema: dict[str, Any] | None = None


class _ResponseFormat(msgspec.Struct, gc=False):
    type: str = "text"
    json_schema: _JsonSchema | None = None


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _Request(msgspec.Struct, gc=False):
    messages: list[_Message]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: _ResponseFormat | None = None
    metadata: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Request).decode


class _Call(NamedTuple):
    """One tool call of an answer; `pieces` of its arguments."""

    id: str
    name: str
    pieces: list[str]


class _Choice(NamedTuple):
    """What one choice says, before it is put into a form."""

    pieces: list[str]
    calls: list[_Call]
    finish_reason: str

    @property
    def tokens(self) -> int:
        return len(self.pieces) + sum(1 + len(call.pieces) for call in self.calls)


class _Plan(NamedTuple):
    """A whole answer, before it is put into a form."""

    base: dict[str, Any]
    choices: list[_Choice]
    input_tokens: int
    usage_asked: bool


def play(body: bytes, model: str, created_s: int, pace: Pace, obey: bool) -> Script:
    """The answer to a chat request as `model`; `obey` follows directives. An invalid request is answered with 400."""
    ident = envelope.request_id(body, created_s)
    try:
        request = _decode(body)
    except msgspec.ValidationError as exc:
        error = type_error(str(exc))
        return envelope.refusal(ident, error.detail, error.param)
    prompt, asked = _prompt(request, obey)
    if asked.fault is not None and asked.fault.kind == "error" and not asked.fault.after:
        return envelope.failure(ident, asked.fault, asked.delay_s)
    plan = _plan(request, prompt, asked, _Identity(ident, model, created_s), pace.length)
    delay_s = asked.delay_s + pace.first_token_s
    rate = pace.tokens_per_s if asked.tokens_per_s is None else asked.tokens_per_s
    gap_s = 1.0 / rate if rate else 0.0
    if request.stream:
        return Script(200, envelope.headers(envelope.SSE, ident), _stream(plan, delay_s, gap_s, asked.fault))
    whole_s = delay_s + gap_s * sum(choice.tokens for choice in plan.choices)
    steps = envelope.spoiled(envelope.halves(whole_s, _whole(plan)), asked.fault)
    return Script(200, envelope.headers(envelope.JSON, ident), steps)


class _Identity(NamedTuple):
    ident: str
    model: str
    created_s: int


def _prompt(request: _Request, obey: bool) -> tuple[str, Directives]:
    """What the user said last, and the directives in it and in `metadata.heddle`."""
    said = next((_text(m.content) for m in reversed(request.messages) if m.role == "user"), "")
    if not obey:
        return said, Directives()
    extra = (request.metadata or {}).get("heddle")
    prompt, asked = parse(f"{said}\n{extra}" if isinstance(extra, str) else said)
    return (parse(said)[0] if isinstance(extra, str) else prompt), asked


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, list):
        return " ".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content or ""


def _plan(request: _Request, prompt: str, asked: Directives, who: _Identity, length: int) -> _Plan:
    base = {
        "id": f"chatcmpl-{who.ident[:29]}",
        "object": "chat.completion.chunk" if request.stream else "chat.completion",
        "created": who.created_s,
        "model": who.model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }
    calls = _calls(request, prompt, who.ident)
    length = asked.length or length
    choices = []
    for index in range(request.n or 1):
        if calls:
            choices.append(_calling(calls, request))
        else:
            choices.append(_saying(_words(request, prompt, asked, who.model, index), request, length))
    texts = [_text(message.content) for message in request.messages]
    taken = prose.input_tokens(texts)
    if request.tools:
        taken += -(-len(_encode(request.tools)) // 4)
    options = request.stream_options
    return _Plan(base, choices, taken, options is not None and bool(options.include_usage))


def _words(request: _Request, prompt: str, asked: Directives, model: str, index: int) -> str:
    """The text of choice `index`."""
    if asked.say is not None:
        return asked.say
    form = request.response_format
    if form is not None and form.type == "json_schema" and form.json_schema is not None:
        schema = form.json_schema.schema or {}
        return _encode(Sampler(schema, prompt).value(schema)).decode()
    if form is not None and form.type == "json_object":
        return _encode({"model": model, "heard": prompt[:160], "words": len(prompt.split())}).decode()
    results: list[str] = []
    for message in reversed(request.messages):
        if message.role != "tool":
            break
        results.insert(0, _text(message.content))
    text = prose.tool_reply(results) if results else prose.reply(model, prompt, len(request.messages))
    return f"({index + 1}) {text}" if index else text


def _saying(text: str, request: _Request, length: int) -> _Choice:
    structured = request.response_format is not None and request.response_format.type != "text"
    if length and not structured:
        text = prose.of_length(text, length)
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    pieces, reason = _cut(prose.tokens(prose.until_stop(text, stops)), _most(request))
    return _Choice(pieces, [], reason or "stop")


def _most(request: _Request) -> int | None:
    return request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens


def _cut(pieces: list[str], most: int | None) -> tuple[list[str], str]:
    return (pieces, "") if most is None or len(pieces) <= most else (pieces[:most], "length")


def _calls(request: _Request, prompt: str, ident: str) -> list[_Call]:
    """The tools to call: those that tool_choice or the prompt names, none right after their results."""
    tools, choice = request.tools or [], request.tool_choice
    if isinstance(choice, _ToolChoice):
        tools = [tool for tool in tools if tool.function.name == choice.function.name]
    elif choice == "none" or not tools:
        return []
    elif choice == "required":
        tools = _mentioned(tools, prompt) or tools[:1]
    elif request.messages and request.messages[-1].role == "tool":
        return []
    else:
        tools = _mentioned(tools, prompt)
    if request.parallel_tool_calls is False:
        tools = tools[:1]
    return [_call(tool.function, prompt, f"{ident}{turn}") for turn, tool in enumerate(tools[:MAX_CALLS])]


def _mentioned(tools: list[_Tool], prompt: str) -> list[_Tool]:
    """The tools that the prompt names, in the order it does; `get_time` may be written as two words."""
    said = prompt[:MAX_SEARCHED_CHARS].lower()
    found = []
    for turn, tool in enumerate(tools):
        name = tool.function.name.lower()
        places = [place for form in (name, name.replace("_", " ")) if name and (place := said.find(form)) >= 0]
        if places:
            found.append((min(places), turn))
    return [tools[turn] for _, turn in sorted(found)]


def _call(function: _Function, prompt: str, ident: str) -> _Call:
    schema = function.parameters or {}
    value = Sampler(schema, prompt).value(schema) if schema else {}
    arguments = _encode(value if isinstance(value, dict) else {}).decode()
    return _Call(f"call_{ident[-24:]}", function.name, prose.tokens(arguments))


def _calling(calls: list[_Call], request: _Request) -> _Choice:
    left, made = _most(request), []
    for call in calls:
        pieces, cut = _cut(call.pieces, left)
        made.append(call._replace(pieces=pieces))
        if cut:
            return _Choice([], made, "length")
        left = None if left is None else max(0, left - len(pieces))
    # A function forced by name ends with "stop" (tool_choice, "finish_reason" in the guide on function calling).
    return _Choice([], made, "stop" if isinstance(request.tool_choice, _ToolChoice) else "tool_calls")


def _usage(plan: _Plan) -> dict[str, Any]:
    made = sum(choice.tokens for choice in plan.choices)
    return {
        "prompt_tokens": plan.input_tokens,
        "completion_tokens": made,
        "total_tokens": plan.input_tokens + made,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _whole(plan: _Plan) -> bytes:
    choices = [
        {
            "index": index,
            "message": _message(choice),
            "logprobs": None,
            "finish_reason": choice.finish_reason,
        }
        for index, choice in enumerate(plan.choices)
    ]
    return _encode({**plan.base, "choices": choices, "usage": _usage(plan)})


def _message(choice: _Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(choice.pieces), "refusal": None}
    if choice.calls:
        message["content"] = None
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": "".join(c.pieces)}}
            for c in choice.calls
        ]
    message["annotations"] = []
    return message


def _stream(plan: _Plan, delay_s: float, gap_s: float, fault: Fault | None) -> Iterator[Step]:
    """Chunk by chunk: the first after `delay_s`, the others `gap_s` apart."""

    def paced() -> Iterator[Step]:
        wait_s = delay_s
        for event in _events(plan):
            yield Step(wait_s, event)
            wait_s = gap_s

    return envelope.spoiled(paced(), fault)


def _events(plan: _Plan) -> Iterator[bytes]:
    """All events: the choices take turns, then usage if asked, then the terminator."""
    tail: dict[str, Any] = {"usage": None} if plan.usage_asked else {}
    turns = [_deltas(choice) for choice in plan.choices]
    waiting = dict(enumerate(turns))
    while waiting:
        for index in list(waiting):
            move = next(waiting[index], None)
            if move is None:
                del waiting[index]
                continue
            delta, reason = move
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
            yield sse.encode(_encode({**plan.base, "choices": [choice], **tail}))
    if plan.usage_asked:
        yield sse.encode(_encode({**plan.base, "choices": [], "usage": _usage(plan)}))
    yield sse.encode(b"[DONE]")


def _deltas(choice: _Choice) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The deltas of one choice, the role first, the finish reason last."""
    yield {"role": "assistant", "content": None if choice.calls else "", "refusal": None}, None
    for piece in choice.pieces:
        yield {"content": piece}, None
    for turn, call in enumerate(choice.calls):
        head = {"index": turn, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [head]}, None
        for piece in call.pieces:
            yield {"tool_calls": [{"index": turn, "function": {"arguments": piece}}]}, None
    yield {}, choice.finish_reason
