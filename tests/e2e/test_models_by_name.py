"""Which models a caller may name: patterns are configuration's, a key's list is about names, policies about both."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.e2e.running import RunningMesh, running_mesh

CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: offline, type: scripted, options: {{tokens_per_s: 0, first_token_s: 0}}}}
    - {{name: google, type: gemini, base_url: "http://127.0.0.1:9", api_key: k, timeouts: {{connect: 1s}}}}
    - {{name: cloud, type: vertex, base_url: "http://127.0.0.1:9", api_key: k, options: {{project: p}}}}
  models:
    - {{name: fast, provider: offline, model: gpt-4o-mini}}
    - {{name: large, provider: offline, model: gpt-5-large}}
    - {{name: "claude-*", provider: offline}}
    - {{name: "google/*", provider: cloud}}
    - {{name: "models/*", targets: [{{provider: google}}]}}
    - {{name: "*", provider: google}}
security:
  authentication:
    type: api_key
    keys:
      - {{key: "sk-haiku", user: alice, tenant: t, agent: p, models: ["claude-haiku"]}}
      - {{key: "sk-fast", user: bob, tenant: t, agent: p, models: ["fast", "large"]}}
      - {{key: "sk-any", user: carol, tenant: t, agent: p}}
authorization:
  policies:
    - {{name: mesh-users, match: {{tenant: t}}, resources: ["model:*"], action: allow}}
    - {{name: no-gpt-5, resources: ["model:gpt-5*"], action: deny}}
    - {{name: no-ultra, resources: ["model:gemini-ultra"], action: deny}}
    - {{name: no-opus, when: 'call.model.startsWith("claude-opus")', action: deny}}
rate_limiting:
  - {{name: one-haiku, match: {{model: claude-haiku}}, key: [user, model], limit: 1, window: 24h, limit_by: requests}}
observability: {{logging: {{output: [{{type: file, path: access.log}}]}}}}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    folder: Path = tmp_path_factory.mktemp("names")
    with running_mesh(folder, CONFIG) as running:
        yield running


def listed(mesh: RunningMesh, name: str) -> tuple[int, bytes]:
    """GET /v1/models/NAME."""
    connection = http.client.HTTPConnection("127.0.0.1", mesh.port, timeout=5)
    try:
        connection.request("GET", f"/v1/models/{name}", headers={"authorization": "Bearer sk-haiku"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def chat(model: str) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("key", ["sk-haiku", "sk-any"])
@pytest.mark.parametrize("model", ["claude-*", "claude-h*", "*", "claude-haiku*", "*/claude-haiku"])
def test_a_call_cannot_name_a_pattern(mesh: RunningMesh, key: str, model: str) -> None:
    for path, body in (("chat/completions", chat(model)), ("embeddings", {"model": model, "input": "x"})):
        status, _, answer = mesh.post(body, path=f"/v1/{path}", key=key)
        assert (status, b'"param":"model"' in answer) == (400, True), answer


def test_a_limit_on_one_model_counts_that_model_and_is_not_led_around(mesh: RunningMesh) -> None:
    answers = [mesh.post(chat(name), key="sk-any")[0] for name in ("claude-haiku", "claude-h*", "claude-haiku")]
    assert answers == [200, 400, 429]
    assert mesh.post(chat("claude-sonnet"), key="sk-any")[0] == 200


def test_a_keys_own_list_is_about_the_name_that_was_asked_for(mesh: RunningMesh) -> None:
    assert mesh.post(chat("fast"), key="sk-fast")[0] == 200
    assert mesh.post(chat("claude-sonnet"), key="sk-fast")[0] == 403


def test_policies_judge_what_a_name_resolves_to_and_the_record_names_them(mesh: RunningMesh) -> None:
    for model, key, policy in (("large", "sk-fast", "no-gpt-5"), ("claude-opus-4", "sk-any", "no-opus")):
        status, record = mesh.recorded(chat(model), key=key)
        assert (status, record["reason"], record["policy"]) == (403, "forbidden", policy)


def test_one_model_is_shown_by_a_name_that_a_call_may_have_or_as_it_is_listed(mesh: RunningMesh) -> None:
    for name, expected in (("claude-*", 200), ("claude-haiku", 200), ("claude-h*", 404), ("claude-" + "x" * 300, 404)):
        status, answer = listed(mesh, quote(name))
        assert status == expected, (name, answer)
        assert len(answer) < 600


# Plain, under a pattern of one place and of targets, and with the publisher, at two doors.
@pytest.mark.parametrize("model", ["gemini-ultra", "models/gemini-ultra", "models/models/gemini-ultra"])
@pytest.mark.parametrize("publisher", ["", "google/"])
def test_a_vendors_longer_name_for_a_model_leads_around_no_policy(
    mesh: RunningMesh, model: str, publisher: str
) -> None:
    if publisher:
        model = publisher + model.replace("models/", publisher)
    status, record = mesh.recorded(chat(model), key="sk-any")
    assert (status, record["policy"], record["upstream_model"]) == (403, "no-ultra", "gemini-ultra")
    path = f"/v1beta/models/{quote(model, safe='')}:generateContent"
    status, record = mesh.recorded({"contents": [{"parts": [{"text": "hi"}]}]}, key="sk-any", path=path)
    assert (status, record["policy"]) == (403, "no-ultra")


@pytest.mark.parametrize("model", [".", ".."])
def test_a_step_of_a_path_is_no_name(mesh: RunningMesh, model: str) -> None:
    status, _, answer = mesh.post(chat(model), key="sk-any")
    assert (status, b'"param":"model"' in answer) == (400, True), answer
    bodies: dict[str, dict[str, object]] = {
        f"/v1beta/models/{model}:generateContent": {"contents": [{"parts": [{"text": "hi"}]}]},
        f"/model/{quote(model)}/converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
        "/v1/messages": {**chat(model), "max_tokens": 9},
    }
    for path, body in bodies.items():
        assert mesh.post(body, path=path, key="sk-any")[0] == 400, path
