"""What goes on from an earlier turn, through the real door: proofs of thinking, and responses that a vendor keeps."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.e2e.running import RunningMesh, running_mesh
from tests.e2e.servers import Asked, Server, reply, serving

CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: thinker, type: anthropic, base_url: "@URL@/anthropic", api_key: sk-ours}}
    - {{name: keeper, type: openai, base_url: "@URL@/keeper/v1", api_key: sk-ours}}
    - {{name: other, type: openai, base_url: "@URL@/other/v1", api_key: sk-ours}}
  models:
    - {{name: claude, provider: thinker, model: claude-sonnet-4-5}}
    - {{name: gpt, targets: [{{provider: keeper, weight: 1}}, {{provider: other, weight: 1}}]}}
security:
  authentication:
    type: api_key
    keys:
      - {{key: sk-test-123, user: ann, tenant: t, agent: a}}
      - {{key: sk-bob-456, user: bob, tenant: t, agent: a}}
"""
THINKING = {"type": "thinking", "thinking": "Paris is in France.", "signature": "EqQBCkgIYBAB=="}
CALLS = [{"type": "tool_use", "id": f"toolu_{i}", "name": "weather", "input": {"city": "Paris"}} for i in (1, 2)]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def sse(*events: dict[str, Any]) -> bytes:
    data = b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)
    return reply(200, data, content_type="text/event-stream")


def thinks(asked: Asked) -> bytes:
    body = json.loads(asked.body)
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_sequence": None}
    usage = {"input_tokens": 9, "output_tokens": 5}
    content = [THINKING, *CALLS] if len(body["messages"]) == 1 else [{"type": "text", "text": "Sunny."}]
    reason = "tool_use" if len(content) > 1 else "end_turn"
    if not body.get("stream"):
        return reply(200, json.dumps({**head, "content": content, "stop_reason": reason, "usage": usage}).encode())
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**head, "content": [], "stop_reason": None, "usage": usage}}
    ]
    for index, block in enumerate(content):
        events += [{"index": index, **event} for event in block_events(block)]
    end = {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}
    return sse(*events, end, {"type": "message_stop"})


def block_events(block: dict[str, Any]) -> list[dict[str, Any]]:
    def delta(kind: str, **fields: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "delta": {"type": kind, **fields}}

    if block["type"] == "thinking":
        begun: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
        said = [delta("thinking_delta", thinking="Paris is "), delta("thinking_delta", thinking="in France.")]
        said.append(delta("signature_delta", signature=block["signature"]))
    elif block["type"] == "tool_use":
        begun = {**block, "input": {}}
        said = [delta("input_json_delta", partial_json='{"city":'), delta("input_json_delta", partial_json='"Paris"}')]
    else:
        begun, said = {"type": "text", "text": ""}, [delta("text_delta", text=block["text"])]
    return [{"type": "content_block_start", "content_block": begun}, *said, {"type": "content_block_stop"}]


def keeps(asked: Asked) -> bytes:
    body = json.loads(asked.body)
    name = f"resp_{asked.target.split('/')[1]}_{body['input'] if isinstance(body['input'], str) else 'items'}"
    message = {
        "type": "message",
        "id": f"msg_{name}",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
    }
    usage = {
        "input_tokens": 3,
        "output_tokens": 2,
        "total_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    response = {
        "id": name,
        "object": "response",
        "created_at": 1,
        "model": body["model"],
        "status": "completed",
        "store": body.get("store", True),
        "output": [message],
        "usage": usage,
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
    }
    if not body.get("stream"):
        return reply(200, json.dumps(response).encode())
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    return sse(
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.completed", "sequence_number": 1, "response": response},
    )


def answer(asked: Asked) -> bytes:
    return thinks(asked) if asked.target.startswith("/anthropic") else keeps(asked)


Stage = tuple[RunningMesh, Server]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("kept")
    with serving(answer) as server, running_mesh(folder, CONFIG.replace("@URL@", server.url), workers=2) as mesh:
        yield mesh, server


def client(stage: Stage, key: str = "sk-test-123") -> openai.OpenAI:
    return openai.OpenAI(base_url=stage[0].url, api_key=key, max_retries=0)


def sent(stage: Stage) -> Any:
    return json.loads(stage[1].asked[-1].body)


def turn(stage: Stage, streamed: bool) -> list[dict[str, Any]]:
    """A first turn; its calls as the SDK's users keep them, without what the SDK does not know."""
    question = [{"role": "user", "content": "Weather in Paris?"}]
    fields: dict[str, Any] = {"model": "claude", "messages": question, "tools": [TOOL]}
    with client(stage) as one:
        if streamed:
            with one.chat.completions.stream(**fields) as events:
                message = events.get_final_completion().choices[0].message
        else:
            message = one.chat.completions.create(**fields).choices[0].message
    calls = [
        {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
        for c in message.tool_calls
    ]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in calls]
    return [*question, {"role": "assistant", "content": None, "tool_calls": calls}, *results]


@pytest.mark.parametrize("streamed", [False, True])
def test_thinking_goes_back_to_its_vendor_through_any_worker(stage: Stage, streamed: bool):
    history = turn(stage, streamed)
    for _ in range(6):
        with client(stage) as one:
            got = one.chat.completions.create(model="claude", messages=history, tools=[TOOL])  # type: ignore[call-overload]
        assert got.choices[0].message.content == "Sunny."
        assistant = sent(stage)["messages"][1]
        assert assistant == {"role": "assistant", "content": [THINKING, *CALLS]}


def test_another_caller_replays_without_it(stage: Stage):
    history = turn(stage, False)
    with client(stage, "sk-bob-456") as one:
        one.chat.completions.create(model="claude", messages=history, tools=[TOOL])  # type: ignore[call-overload]
    assert sent(stage)["messages"][1]["content"] == CALLS


@pytest.mark.parametrize("streamed", [False, True])
def test_a_caller_goes_on_where_its_response_is_kept(stage: Stage, streamed: bool):
    for number in range(6):
        question = f"q{number}{streamed}"
        with client(stage) as one:
            if streamed:
                with one.responses.stream(model="gpt", input=question) as events:
                    first = events.get_final_response()
            else:
                first = one.responses.create(model="gpt", input=question)
        place = first.id.split("_")[1]
        for _ in range(4):
            with client(stage) as one:
                one.responses.create(model="gpt", input="more", previous_response_id=first.id)
            assert stage[1].asked[-1].target == f"/{place}/v1/responses"
            assert sent(stage)["previous_response_id"] == first.id


def test_nobody_goes_on_from_anothers(stage: Stage):
    with client(stage) as one:
        mine = one.responses.create(model="gpt", input="secret")
    before = len(stage[1].asked)
    item = {"type": "item_reference", "id": mine.output[0].id}
    with client(stage, "sk-bob-456") as bob:
        for fields in (
            {"previous_response_id": mine.id, "input": "x"},
            {"input": [item]},
            {"conversation": "conv_1", "input": "x"},
        ):
            with pytest.raises(openai.NotFoundError, match="not found"):
                bob.responses.create(model="gpt", **fields)  # type: ignore[call-overload]
        with pytest.raises(openai.NotFoundError, match="Previous response with id"):
            bob.responses.create(model="gpt", input="x", previous_response_id=mine.id, stream=True)
    assert len(stage[1].asked) == before
    with client(stage) as one:
        one.responses.create(model="gpt", input=[item])  # type: ignore[list-item]


def test_background_is_refused(stage: Stage):
    with client(stage) as one, pytest.raises(openai.BadRequestError, match="background"):
        one.responses.create(model="gpt", input="x", background=True)


def test_other_vendors_proofs_do_not_reach_openai(stage: Stage):
    def reasoning(content: str) -> dict[str, Any]:
        return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content}

    message = {"role": "user", "content": "hi"}
    history = [message, reasoning("anthropic.abc"), reasoning("gAAAAA=="), message]
    with client(stage) as one:
        one.responses.create(model="gpt", input=history, store=False)  # type: ignore[arg-type]
    assert sent(stage)["input"] == [message, reasoning("gAAAAA=="), message]
