"""Ways around guards that were tried: each must end in a mask, whatever the format calls the place."""

import asyncio
import json
import time
from typing import Any

import pytest
from tests.unit.policies.test_guard import MAIL, Body, World, gathered, mask, streamed

from heddle.pipeline.errors import CallError

CARD = "4111 1111 1111 1111"
ESCAPED = '"' + "".join(f"\\u{ord(char):04x}" for char in MAIL) + '"'
JOE = MAIL.encode()
TURN = {"role": "user", "content": "hi"}


def sent_in(dialect: str, body: dict[str, Any]) -> bytes:
    """What a provider gets of a request, with e-mail addresses masked."""
    world = World(mask(directions=("request",)))
    asyncio.run(world.ask(dialect=dialect, **body))
    return world.sent


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_chat", {"user": MAIL}),
        ("openai_chat", {"Messages": [{"Role": "user", "Content": MAIL}]}),
        ("openai_chat", {"messages": [{"role": "user", "content": "hi", "Content": MAIL}]}),
        ("openai_chat", {"messages": [{"role": "user", "name": MAIL, "content": "hi"}]}),
        ("openai_chat", {"messages": [{"role": "user", "content": [{"type": "new", "words": [MAIL]}]}]}),
        ("openai_chat", {"messages": [{"role": "user", "content": [{"type": "file", "file": {"filename": MAIL}}]}]}),
        ("openai_chat", {"tools": [{"type": "function", "function": {"name": "f", "description": MAIL}}]}),
        ("openai_chat", {"functions": [{"name": "f", "parameters": {"properties": {"a": {"enum": [MAIL]}}}}]}),
        ("openai_chat", {"response_format": {"type": "json_schema", "json_schema": {"description": MAIL}}}),
        ("openai_chat", {"metadata": {"who": MAIL}}),
        ("openai_chat", {"stop": [MAIL]}),
        ("openai_completions", {"prompt": "hi", "user": MAIL}),
        ("openai_embeddings", {"input": ["hi", MAIL]}),
        ("openai_responses", {"input": "hi", "metadata": {"who": MAIL}}),
        ("openai_responses", {"input": "hi", "tools": [{"type": "function", "description": MAIL}]}),
        ("openai_responses", {"input": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": MAIL}]}]}),
        ("openai_responses", {"input": [{"type": "shell_call_output", "output": [{"stdout": MAIL}]}]}),
        ("openai_responses", {"input": [{"type": "file_search_call", "results": [{"text": MAIL}]}]}),
        ("openai_responses", {"input": [{"role": "user", "content": [{"type": "input_file", "filename": MAIL}]}]}),
        ("openai_responses_count", {"input": MAIL}),
        ("anthropic_messages", {"metadata": {"user_id": MAIL}}),
        ("anthropic_messages", {"tools": [{"name": "f", "input_schema": {"title": MAIL}}]}),
        (
            "anthropic_messages",
            {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": MAIL}]}]},
        ),
        ("anthropic_messages", {"messages": [{"role": "user", "content": [{"type": "new", "words": MAIL}]}]}),
        ("anthropic_count", {"messages": [{"role": "user", "content": MAIL}]}),
        ("gemini", {"contents": [{"parts": [{"function_response": {"name": "f", "response": {"a": MAIL}}}]}]}),
        ("gemini", {"tools": [{"function_declarations": [{"description": MAIL}]}]}),
        ("gemini", {"generationConfig": {"stopSequences": [MAIL]}}),
        ("gemini", {"labels": {"who": MAIL}}),
        ("gemini_count", {"contents": [{"parts": [{"text": MAIL}]}]}),
        ("bedrock_converse", {"additionalModelRequestFields": {"system": MAIL}}),
        (
            "bedrock_converse",
            {"messages": [{"role": "user", "content": [{"searchResult": {"content": [{"text": MAIL}]}}]}]},
        ),
        ("bedrock_converse", {"messages": [{"role": "user", "content": [{"document": {"name": MAIL, "source": {}}}]}]}),
        ("bedrock_converse", {"toolConfig": {"tools": [{"toolSpec": {"description": MAIL}}]}}),
    ],
)
def test_nothing_is_sent_in_another_place(dialect: str, body: dict[str, Any]):
    sent = sent_in(dialect, {"messages": [TURN], **body})
    assert JOE not in sent
    assert b"[EMAIL]" in sent


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"https://{MAIL}/"}}]}]},
        {"tools": [{"type": "mcp", "server_url": "https://x/", "authorization": MAIL, "headers": {"a": MAIL}}]},
    ],
)
def test_places_and_credentials_for_others_are_not_words(body: dict[str, Any]):
    assert JOE in sent_in("openai_chat", body)


def test_what_is_said_twice_is_sent_as_it_was_read():
    world = World(mask(directions=("request",)))
    first = b'{"messages":[{"role":"user","content":"%s","content":"hi"}]}'
    call = json.dumps({"messages": [TURN]}).encode()
    for body in (first % JOE, first.replace(b'"hi"', b'"\\u0022\\u0022hi"') % JOE):
        asyncio.run(world.ask())
        world.exchange.call.body = body
        asyncio.run(world.handler(world.exchange))
        assert JOE not in world.sent
    world.exchange.call.body = call
    asyncio.run(world.handler(world.exchange))
    assert world.sent is call


def test_results_of_tools_that_are_json_are_read_decoded():
    for content in (f'{{"a": {ESCAPED}}}', f"[{ESCAPED}]", MAIL, f"[see {MAIL}]", f'{{"a": {MAIL}}}'):
        body = {"messages": [{"role": "tool", "tool_call_id": "t", "content": content}]}
        sent = json.loads(sent_in("openai_chat", body))["messages"][0]["content"]
        assert "[EMAIL]" in sent, content
    untouched = '{"a": "\\u00e9\\/", "b": [1.50, true]}'
    body = {"messages": [{"role": "tool", "tool_call_id": "t", "content": untouched}]}
    assert json.loads(sent_in("openai_chat", body))["messages"][0]["content"] == untouched


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, **fields}]}


TOLD = {"content": [{"token": MAIL, "logprob": -0.1, "top_logprobs": []}]}


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_chat", choice(message={"reasoning_details": [{"type": "reasoning.text", "text": MAIL}]})),
        ("openai_chat", choice(message={"content": [{"type": "text", "text": MAIL}]}, logprobs=TOLD)),
        (
            "openai_chat",
            choice(message={"tool_calls": [{"function": {"arguments": f'{{"a": "{MAIL}"}}'}}]}, logprobs=TOLD),
        ),
        ("openai_chat", choice(message={"tool_calls": [{"function": {"arguments": f"{{'a': '{MAIL}'}}"}}]})),
        ("openai_chat", choice(message={"audio": {"data": "x", "transcript": MAIL}})),
        ("openai_chat", {"choices": [choice()["choices"][0], {"index": 1, "message": {"content": MAIL}}]}),
        ("openai_completions", {"choices": [{"text": f"to {MAIL}", "logprobs": {"tokens": [MAIL]}}]}),
        (
            "gemini",
            {
                "candidates": [
                    {"content": {"parts": [{"text": MAIL}]}, "logprobsResult": {"chosenCandidates": [{"token": MAIL}]}}
                ]
            },
        ),
        ("gemini", {"candidates": [{"content": {"parts": [{"text": "joe@exa"}, {"text": "mple.com"}]}}]}),
        ("gemini", {"candidates": [{"groundingMetadata": {"groundingSupports": [{"segment": {"text": MAIL}}]}}]}),
        (
            "anthropic_messages",
            {"content": [{"type": "text", "text": "x", "citations": [{"cited_text": MAIL, "document_title": MAIL}]}]},
        ),
        ("anthropic_messages", {"content": [{"type": "new", "words": {"a": MAIL}}]}),
        ("openai_responses", {"output": [{"type": "file_search_call", "results": [{"text": MAIL}]}]}),
        ("openai_responses", {"output": [{"type": "new_call", "words": MAIL}]}),
        (
            "openai_responses",
            {"output": [{"type": "message", "content": [{"text": "x", "annotations": [{"title": MAIL}]}]}]},
        ),
        (
            "bedrock_converse",
            {"output": {"message": {"content": [{"citationsContent": {"content": [{"text": MAIL}]}}]}}},
        ),
    ],
)
def test_nothing_is_answered_in_another_place(dialect: str, body: dict[str, Any]):
    world = World(mask(directions=("response",)))
    world.body = json.dumps(body).encode()
    answer = asyncio.run(world.ask(dialect=dialect)).body
    assert isinstance(answer, bytes)
    assert JOE not in answer
    assert b"joe@" not in answer
    assert b"[EMAIL]" in answer


def test_a_structured_answer_stays_json():
    world = World(mask(recognisers=("card", "email"), directions=("response",)))
    said = f'{{"card": 4111111111111111, "mail": {ESCAPED}, "sum": 1.50}}'
    world.body = json.dumps(choice(message={"content": said})).encode()
    answer = json.loads(asyncio.run(world.ask()).body)  # type: ignore[arg-type]
    expected = {"card": "[CARD]", "mail": "[EMAIL]", "sum": 1.5}
    assert json.loads(answer["choices"][0]["message"]["content"]) == expected
    for size in (1, 3, 7):
        world.body = Body(streamed(*(said[at : at + size] for at in range(0, len(said), size))))
        data = asyncio.run(gathered(asyncio.run(world.ask())))
        assert json.loads(gathered_content(data)) == expected


def gathered_content(data: bytes) -> str:
    events = [json.loads(line[6:]) for line in data.splitlines() if line.startswith(b"data: {")]
    return "".join(one["delta"].get("content") or "" for event in events for one in event["choices"])


def sse(*events: dict[str, Any]) -> list[bytes]:
    named = [b"event: %b\n" % event["type"].encode() if "type" in event else b"" for event in events]
    return [name + b"data: " + json.dumps(event).encode() + b"\n\n" for name, event in zip(named, events, strict=True)]


def deltas(*values: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return [{"choices": [{"index": 0, "delta": value, "finish_reason": None, **fields}]} for value in values]


def details(text: str) -> dict[str, Any]:
    return {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": text}]}


def heard(name: str, text: str) -> dict[str, Any]:
    return {"type": f"response.{name}.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": text}


PROBABLE = [{"token": MAIL, "logprob": -0.1}]
PIECES = [
    {"content": "to "},
    {"content": "joe"},
    {"content": "@example.com"},
    {"content": " now"},
    {},
]
STREAMS: list[tuple[str, list[dict[str, Any]]]] = [
    ("openai_chat", deltas(details("joe@exa"), details("mple.com "), {"content": "hi"})),
    ("openai_chat", deltas({"thoughts": "joe@exa"}, {"thoughts": "mple.com "})),
    ("openai_chat", deltas({"audio": {"transcript": "joe@exa"}}, {"audio": {"transcript": "mple.com "}})),
    ("openai_chat", [{"choices": [{"index": 0, "delta": {}, "message": {"content": MAIL}}]}]),
    ("openai_chat", [{"choices": [{"index": [], "delta": {"content": f"{MAIL} "}}]}]),
    ("openai_responses", [heard("shell_call_command", "joe@exa"), heard("shell_call_command", "mple.com ")]),
    ("openai_responses", [{"type": "response.shell_call_output_content.delta", "delta": {"stdout": MAIL}}]),
    ("openai_responses", [{"type": "response.output_text.annotation.added", "annotation": {"title": MAIL}}]),
    ("anthropic_messages", [{"type": "content_block_start", "index": 0, "content_block": {"type": "new", "a": MAIL}}]),
    ("anthropic_messages", [{"type": "content_block_delta", "index": [], "delta": {"type": "new_delta", "a": MAIL}}]),
    ("gemini", [{"candidates": [{"index": {}, "citationMetadata": {"title": MAIL}}]}]),
]


def stream_of(dialect: str, events: list[dict[str, Any]]) -> bytes:
    world = World(mask(directions=("response",)))
    world.body = Body(sse(*events))
    return asyncio.run(gathered(asyncio.run(world.ask(dialect=dialect))))


@pytest.mark.parametrize(("dialect", "events"), STREAMS)
def test_nothing_is_streamed_in_another_place(dialect: str, events: list[dict[str, Any]]):
    data = stream_of(dialect, events)
    assert b"joe@" not in data
    assert b"[EMAIL]" in data


def test_probabilities_in_streams_do_not_tell_what_was_held_back_or_masked():
    told = [{"token": "joe@", "logprob": -0.1}]
    chat = deltas(*PIECES, logprobs={"content": told})
    chat += deltas({"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]}, logprobs={"content": told})
    words = [f"{piece['content']}" for piece in PIECES[:-1]]
    gemini = [{"candidates": [{"index": 0, "content": {"parts": [{"text": word}]}}]} for word in words]
    gemini.append({"candidates": [{"index": 0, "finishReason": "STOP", "logprobsResult": {"chosenCandidates": told}}]})
    responses = [{**heard("output_text", word), "logprobs": told} for word in words[1:]]
    for dialect, events in (("openai_chat", chat[1:]), ("gemini", gemini), ("openai_responses", responses)):
        assert b"joe@" not in stream_of(dialect, events), dialect
    untouched = sse(*deltas({"content": "12 "}, {"content": "- 5 "}, logprobs={"content": [{"token": "x"}]}))
    world = World(mask(directions=("response",)))
    world.body = Body(list(untouched))
    assert asyncio.run(gathered(asyncio.run(world.ask()))) == b"".join(untouched)


@pytest.mark.parametrize("depth", [300, 600, 900])
def test_nesting_is_refused_or_read_never_a_crash(depth: int):
    world = World(mask())
    nested = json.loads("[" * depth + json.dumps(MAIL) + "]" * depth)
    turn = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": nested}}]}
    try:
        asyncio.run(world.ask(dialect="anthropic_messages", messages=[turn]))
    except CallError as exc:
        refused = exc
    else:
        refused = None
    assert refused is None or refused.answer.status == 400
    assert JOE not in world.sent


HOSTILE = "".join(("4111 1111 1111 111 ", "a.b-c_d+e@f.g-h.", "AKIA0000", "eyJhbGciOi.", "192.168.1.", "-----BEGIN "))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(HOSTILE * 500, id="prose"),
        pytest.param(json.dumps({"a": HOSTILE * 500}), id="json"),
        pytest.param("[" + ",".join(["4111111111111111"] * 4000), id="numbers"),
        pytest.param("[" * 50_000, id="brackets"),
        pytest.param("1" * 50_000, id="digits"),
        pytest.param("x" * 3_000_000, id="nothing"),
    ],
)
@pytest.mark.parametrize("role", ["user", "tool", "assistant"])
async def test_no_call_holds_a_worker_for_long(content: str, role: str):
    world = World(mask(recognisers=("pii", "secret", "injection_heuristics"), directions=("request",)))
    turn: dict[str, Any] = {"role": role, "content": content}
    if role == "assistant":
        turn = {"role": role, "tool_calls": [{"function": {"name": "f", "arguments": content}}]}
    # The first round also compiles what is needed for the first time; the quickest is what a call takes.
    longest = min([await held(world, turn) for _ in range(3)])
    assert longest < 0.1, f"{longest * 1000:.1f} ms"


async def held(world: World, turn: dict[str, Any]) -> float:
    """Seconds of CPU for which one call lets nobody else have a turn, at most."""
    longest, since = 0.0, 0.0

    async def other() -> None:
        nonlocal longest, since
        while True:
            longest, since = max(longest, time.thread_time() - since), time.thread_time()
            await asyncio.sleep(0)

    beside = asyncio.ensure_future(other())
    await asyncio.sleep(0)
    longest, since = 0.0, time.thread_time()
    await world.ask(messages=[turn])
    beside.cancel()
    return max(longest, time.thread_time() - since)
