"""Vendors that are dead, slow, over their limits or dying in the middle: callers get an answer or an honest error."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator

import openai
import pytest
from tests.e2e.running import RunningMesh, free_ports, running_mesh

CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: shaky, type: scripted}}
    - {{name: steady, type: scripted, options: {{directives: false}}}}
    - {{name: dead, type: openai, base_url: "http://127.0.0.1:DEAD/v1", timeouts: {{connect: 1s}}}}
    - {{name: slow, type: openai, base_url: "http://127.0.0.1:SLOW/v1", timeouts: {{first_byte: 300ms}}}}
    - {{name: rude, type: openai, base_url: "http://127.0.0.1:RUDE/v1"}}
    - {{name: idle, type: scripted, options: {{first_token_s: 5}}}}
    - {{name: locked, type: openai, base_url: "http://127.0.0.1:DEAD/v1", api_key: "${{NOT_SET}}"}}
  retry: {{cooldown: 0s, budget: 1}}
  models:
    - {{name: dead-first, targets: [{{provider: dead}}, {{provider: steady, model: fallback, priority: 1}}]}}
    - {{name: slow-first, targets: [{{provider: slow}}, {{provider: steady, priority: 1}}]}}
    - {{name: shaky-first, targets: [{{provider: shaky}}, {{provider: steady, priority: 1}}]}}
    - {{name: idle-first, targets: [{{provider: idle, first_token: 200ms}}, {{provider: steady, priority: 1}}]}}
    - {{name: locked-first, targets: [{{provider: locked}}, {{provider: steady, priority: 1}}]}}
    - name: no-budget
      targets: [{{provider: locked}}, {{provider: steady, priority: 1}}]
      retry: {{budget: 0, cooldown: 0s}}
    - {{name: same-vendor, targets: [{{provider: shaky}}, {{provider: shaky, model: other, priority: 1}}]}}
    - {{name: again, provider: shaky, retry: {{same_target: true, attempts: 3, cooldown: 0s}}}}
    - {{name: forbidden-next, targets: [{{provider: shaky}}, {{provider: steady, model: secret, priority: 1}}]}}
    - name: all-rude
      targets:
        - {{provider: rude}}
        - {{provider: rude, model: b, priority: 1}}
        - {{provider: rude, model: c, priority: 2}}
      retry: {{attempts: 3, cooldown: 30s, cooldown_after: 3}}
    - name: by-plan
      aliases: [planned]
      targets:
        - {{provider: steady, model: big, when: 'principal.claims.plan == "gold"'}}
        - {{provider: steady, model: small, priority: 1}}
    - {{name: private, provider: steady, access: {{user: gold}}}}
security:
  authentication:
    type: api_key
    keys:
      - {{key: "sk-test-123", user: alice, tenant: t, agent: a}}
      - {{key: "sk-gold", user: gold, tenant: t, agent: a, metadata: {{plan: gold}}}}
authorization:
  policies:
    - {{name: all, match: {{tenant: t}}, resources: ["model:*"], action: allow}}
    - {{name: no-secret, resources: ["model:secret"], action: deny}}
observability: {{logging: {{output: [{{type: file, path: access.log}}]}}}}
"""


class Server:
    """Takes requests and never answers, or hangs up at once; counts what it was asked."""

    def __init__(self, hang_up: bool = False) -> None:
        self.asked = 0
        self._hang_up = hang_up
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.recv(65536)
            self.asked += 1
            if self._hang_up:
                connection.close()
            else:
                self._open.append(connection)

    def close(self) -> None:
        self._listening.close()
        for connection in self._open:
            connection.close()


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, silent: Server, rude: Server) -> Iterator[RunningMesh]:
    ports = {"DEAD": free_ports(1)[0], "SLOW": silent.port, "RUDE": rude.port}
    config = CONFIG
    for name, port in ports.items():
        config = config.replace(name, str(port))
    with running_mesh(tmp_path_factory.mktemp("failover"), config) as running:
        yield running


@pytest.fixture(scope="module")
def silent() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def rude() -> Iterator[Server]:
    server = Server(hang_up=True)
    yield server
    server.close()


def ask(mesh: RunningMesh, model: str, text: str = "hi", key: str = "sk-test-123", **fields: object):
    body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    status, headers, data = mesh.post(body, key=key)
    return status, headers, data if fields.get("stream") else json.loads(data)


def said(data: bytes) -> str:
    lines = [line[6:] for line in data.split(b"\n\n") if line.startswith(b"data: {")]
    chunks = [json.loads(line) for line in lines]
    return "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk.get("choices", []))


@pytest.mark.parametrize("model", ["dead-first", "slow-first", "locked-first"])
def test_a_vendor_that_cannot_answer_is_not_noticed(mesh: RunningMesh, model: str):
    status, _, answer = ask(mesh, model)
    assert (status, answer["object"]) == (200, "chat.completion")
    status, _, data = ask(mesh, model, stream=True)
    assert status == 200
    assert data.endswith(b"data: [DONE]\n\n")


def test_a_vendor_without_its_credential_costs_no_attempts(mesh: RunningMesh):
    assert all(ask(mesh, "no-budget")[0] == 200 for _ in range(12))


@pytest.mark.parametrize("fault", ["error 500", "error 503", "error 429", "disconnect", "error 401"])
@pytest.mark.parametrize("stream", [False, True])
def test_failures_before_the_answer_lead_to_the_next_target(mesh: RunningMesh, fault: str, stream: bool):
    status, _, _ = ask(mesh, "shaky-first", f"[[{fault}]] hello", stream=stream)
    assert status == 200


def test_the_callers_own_mistake_does_not(mesh: RunningMesh):
    status, _, answer = ask(mesh, "shaky-first", "[[error 400]] hello")
    assert status == 400
    assert answer["error"]["message"]


def test_a_stream_that_stalls_before_its_first_token_is_left(mesh: RunningMesh):
    began = time.monotonic()
    status, _, data = ask(mesh, "idle-first", stream=True)
    assert status == 200
    assert said(data)
    assert time.monotonic() - began < 4.0


def test_a_stream_that_begins_and_stalls_before_any_text_is_left_too(mesh: RunningMesh):
    # After one event, which carries the role and nothing else.
    status, _, data = ask(mesh, "shaky-first", "[[disconnect after=1]] hello", stream=True)
    assert status == 200
    assert data.endswith(b"data: [DONE]\n\n")
    assert data.count(b'"role":"assistant"') == 1


def test_after_the_first_token_the_stream_ends_with_an_error(mesh: RunningMesh):
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(mesh, "shaky-first", "[[disconnect after=4]] [[length 20]]", stream=True)
    data = caught.value.partial
    assert said(data)
    assert b"[DONE]" not in data
    assert json.loads(data.rstrip().rpartition(b"data: ")[2])["error"]["code"] == "upstream_broken"


def test_a_spent_quota_does_not_lead_to_the_same_vendor(mesh: RunningMesh):
    status, _, answer = ask(mesh, "same-vendor", "[[error 429 code=insufficient_quota]] x")
    assert status == 429
    assert answer["error"]["code"] == "insufficient_quota"
    status, _, _ = ask(mesh, "shaky-first", "[[error 429 code=insufficient_quota]] x")
    assert status == 200


def test_the_same_target_is_tried_again_after_a_pause(mesh: RunningMesh):
    began = time.monotonic()
    status, _, _ = ask(mesh, "again", "[[error 503]]")
    assert status == 503
    assert 0.3 < time.monotonic() - began < 5.0


def test_a_long_retry_after_is_the_callers_to_wait(mesh: RunningMesh):
    began = time.monotonic()
    status, headers, _ = ask(mesh, "again", "[[error 429 retry-after=60]]")
    assert (status, headers["retry-after"]) == (429, "60")
    assert time.monotonic() - began < 2.0


def test_failover_skips_what_policies_forbid(mesh: RunningMesh):
    status, _, _ = ask(mesh, "forbidden-next", "[[error 500]]")
    assert status == 500
    assert ask(mesh, "forbidden-next")[0] == 200


def test_when_all_targets_are_down_the_load_on_them_does_not_multiply(mesh: RunningMesh, rude: Server):
    calls = 100
    for _ in range(calls):
        status, _, answer = ask(mesh, "all-rude")
        assert status == 502
        assert answer["error"]["code"] == "upstream_broken"
    # Three targets of three failures each cool down once; then every call makes one attempt.
    assert calls <= rude.asked <= calls * 1.2


def test_conditions_choose_by_claims(mesh: RunningMesh):
    assert ask(mesh, "by-plan")[2]["model"] == "small"
    assert ask(mesh, "by-plan", key="sk-gold")[2]["model"] == "big"
    assert ask(mesh, "planned", key="sk-gold")[2]["model"] == "big"


def test_access_hides_a_model_from_others(mesh: RunningMesh):
    assert ask(mesh, "private", key="sk-gold")[0] == 200
    status, _, answer = ask(mesh, "private")
    assert (status, answer["error"]["code"]) == (404, "model_not_found")
    for key, seen in (("sk-gold", True), ("sk-test-123", False)):
        with openai.OpenAI(base_url=mesh.url, api_key=key, max_retries=0) as client:
            names = {model.id for model in client.models.list()}
            assert ("private" in names) is seen
            assert "planned" in names
