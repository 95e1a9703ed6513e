"""Defaults, overrides and instructions of a model, as its vendor gets them, and as budgets reserve them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running import RunningMesh, running_mesh
from tests.e2e.servers import Asked, Server, reply, serving

CONFIG = """\
listeners:
  - {{{{name: llm, address: 127.0.0.1, port: {{port}}, protocol: HTTP}}}}
admin: {{{{address: 127.0.0.1, port: {{admin_port}}}}}}
llm:
  providers:
    - {{{{name: own, type: vllm, base_url: "{vendor}/v1"}}}}
    - {{{{name: claude, type: anthropic, base_url: "{vendor}", api_key: sk-ant-x}}}}
  models:
    - name: house
      provider: own
      defaults: {{{{temperature: 0.25, max_output_tokens: 50}}}}
      overrides: {{{{seed: 7}}}}
      prompt: {{{{system: "Be brief."}}}}
    - {{{{name: thinker, provider: claude, defaults: {{{{seed: 1, top_k: 3}}}}, prompt: {{{{system: "Be brief."}}}}}}}}
    - {{{{name: plain, provider: own}}}}
    - {{{{name: tight, provider: own, overrides: {{{{max_output_tokens: 5000}}}}}}}}
security: {{{{authentication: {{{{type: none}}}}}}}}
rate_limiting:
  - {{{{name: most, match: {{{{model: tight}}}}, key: [model], limit: 1000, window: 1h, limit_by: tokens}}}}
"""
CHAT = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ok"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "ok"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


def vendor(asked: Asked) -> bytes:
    return reply(200, json.dumps(MESSAGE if asked.target == "/v1/messages" else CHAT).encode())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningMesh, Server]]:
    folder: Path = tmp_path_factory.mktemp("parameters")
    with serving(vendor) as server, running_mesh(folder, CONFIG.format(vendor=server.url)) as mesh:
        yield mesh, server


def sent(server: Server) -> dict[str, object]:
    return json.loads(server.asked[-1].body)


def ask(model: str, **fields: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}


def test_a_server_gets_them_under_its_own_names(world: tuple[RunningMesh, Server]) -> None:
    mesh, server = world
    assert mesh.post(ask("house", seed=1))[0] == 200
    assert sent(server) == {
        "model": "house",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "temperature": 0.25,
        "max_tokens": 50,
        "seed": 7,
    }


def test_what_a_caller_states_stays(world: tuple[RunningMesh, Server]) -> None:
    mesh, server = world
    assert mesh.post(ask("house", temperature=1, max_tokens=9))[0] == 200
    assert {name: sent(server)[name] for name in ("temperature", "max_tokens")} == {"temperature": 1, "max_tokens": 9}


def test_a_body_without_changes_is_the_callers(world: tuple[RunningMesh, Server]) -> None:
    mesh, server = world
    body = b'{ "model":"plain", "messages":[{"role":"user","content":"hi"}] }'
    assert mesh.post(body)[0] == 200
    assert server.asked[-1].body == body


def test_they_cross_into_another_format_or_it_is_said(world: tuple[RunningMesh, Server]) -> None:
    mesh, server = world
    status, fields, _ = mesh.post(ask("thinker", max_tokens=9))
    assert (status, fields["x-heddle-translation"]) == (200, "dropped=seed")
    assert (sent(server)["system"], sent(server)["top_k"]) == ([{"type": "text", "text": "Be brief."}], 3)
    body = {**ask("thinker"), "max_tokens": 9, "system": [{"type": "text", "text": "Mine."}]}
    status, fields, _ = mesh.post(body, path="/v1/messages")
    assert (status, fields["x-heddle-translation"]) == (200, "dropped=seed")
    assert sent(server)["system"] == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Mine."}]


def test_an_override_of_the_bound_is_what_limits_reserve(world: tuple[RunningMesh, Server]) -> None:
    mesh, server = world
    before = len(server.asked)
    assert mesh.post(ask("tight", max_tokens=1))[0] == 429
    assert len(server.asked) == before
