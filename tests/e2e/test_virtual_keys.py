"""Virtual keys through the front door: at once on every worker, refused at once, kept through kills; with real SDKs."""

import concurrent.futures
import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anthropic
import boto3
import openai
import pytest
from click.testing import CliRunner
from google import genai
from google.genai import errors as google_errors
from tests.e2e.net.rig import make_certificates
from tests.e2e.running import CONFIG, RunningMesh, eventually, running_mesh

from heddle.cli.main import main

MODEL = "gpt-4o-mini"
VIRTUAL = (
    CONFIG
    + """\
    - {{name: made, match: {{tenant: made}}, resources: ["model:*"], action: allow}}
ledger: {{enabled: true}}
observability: {{logging: {{output: [{{type: file, path: access.log}}]}}}}
"""
)
ASK = {"model": MODEL, "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}


def admin(mesh: RunningMesh, method: str, path: str, body: object = None) -> Any:
    headers = {"authorization": f"Bearer {mesh.token}", "content-type": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", mesh.admin_port, timeout=60)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        data = response.read()
        assert response.status in (200, 201), data
        return json.loads(data)


def create(mesh: RunningMesh, **said: object) -> Any:
    return admin(mesh, "POST", "/keys", {"tenant": "made", "user": "ann", "agent": "bot", **said})


def heddle(mesh: RunningMesh, *arguments: str) -> tuple[int, str]:
    where = ["--state", str(mesh.state), "--admin", f"127.0.0.1:{mesh.admin_port}"]
    result = CliRunner().invoke(main, [*arguments, *where])
    return result.exit_code, result.output


class Kept:
    """Connections that stay open: enough that every worker has some."""

    def __init__(self, mesh: RunningMesh, count: int = 24) -> None:
        self.connections = [http.client.HTTPConnection("127.0.0.1", mesh.port, timeout=30) for _ in range(count)]

    def ask(self, secret: str) -> list[int]:
        """The same head on each of them, as a caller that keeps its connection sends it."""
        headers = {"content-type": "application/json", "authorization": f"Bearer {secret}"}
        return [self._one(connection, headers) for connection in self.connections]

    @staticmethod
    def _one(connection: http.client.HTTPConnection, headers: dict[str, str]) -> int:
        connection.request("POST", "/v1/chat/completions", json.dumps(ASK), headers)
        response = connection.getresponse()
        response.read()
        return response.status

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with running_mesh(tmp_path_factory.mktemp("keys"), VIRTUAL, workers=2) as mesh:
        yield mesh


@pytest.fixture
def kept(mesh: RunningMesh) -> Iterator[Kept]:
    made = Kept(mesh)
    yield made
    made.close()


def test_a_key_opens_on_every_worker_once_it_is_told_and_on_none_once_it_is_revoked(mesh: RunningMesh, kept: Kept):
    made = create(mesh)
    assert set(kept.ask(made["secret"])) == {200}
    assert set(kept.ask(made["secret"])) == {200}, "what heads remember"
    admin(mesh, "DELETE", f"/keys/{made['id']}")
    assert set(kept.ask(made["secret"])) == {401}
    assert set(kept.ask("sk-test-123")) == {200}, "configured keys are not touched"


def test_revoking_under_load_lets_nothing_slip_through(mesh: RunningMesh):
    made, told = create(mesh), []

    def call() -> list[tuple[float, int]]:
        kept, answers = Kept(mesh, 2), []
        for _ in range(60):
            begun = time.monotonic()
            answers += [(begun, status) for status in kept.ask(made["secret"])[-1:]]
        kept.close()
        return answers

    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        calls = [pool.submit(call) for _ in range(8)]
        time.sleep(0.1)
        admin(mesh, "DELETE", f"/keys/{made['id']}")
        told.append(time.monotonic())
        answers = [answer for future in calls for answer in future.result()]
    after = [status for begun, status in answers if begun > told[0] + 0.05]
    assert after
    assert set(after) == {401}
    assert 200 in {status for _, status in answers}


def test_both_secrets_open_while_they_overlap(mesh: RunningMesh, kept: Kept):
    made = create(mesh)
    rotated = admin(mesh, "POST", f"/keys/{made['id']}/rotate", {"overlap": "3s"})
    assert set(kept.ask(made["secret"])) == set(kept.ask(rotated["secret"])) == {200}
    eventually(lambda: set(kept.ask(made["secret"])) == {401})
    assert set(kept.ask(rotated["secret"])) == {200}
    last = admin(mesh, "POST", f"/keys/{made['id']}/rotate", {"overlap": "0"})
    assert set(kept.ask(rotated["secret"])) == {401}
    assert set(kept.ask(last["secret"])) == {200}


def test_disabling_is_taken_back(mesh: RunningMesh, kept: Kept):
    made = create(mesh)
    at = f"/keys/{made['id']}"
    admin(mesh, "PATCH", at, {"disabled": True})
    assert set(kept.ask(made["secret"])) == {401}
    admin(mesh, "PATCH", at, {"disabled": False})
    assert set(kept.ask(made["secret"])) == {200}
    admin(mesh, "PATCH", at, {"models": ["claude-*"]})
    assert set(kept.ask(made["secret"])) == {403}


def test_limits_of_its_own_hold_over_workers_and_rotations(mesh: RunningMesh, kept: Kept):
    made, other = (create(mesh, limits=[{"limit": 10, "window": "24h"}]) for _ in range(2))
    assert sorted(kept.ask(made["secret"])) == [200] * 10 + [429] * 14
    rotated = admin(mesh, "POST", f"/keys/{made['id']}/rotate", {"overlap": "0"})
    assert set(kept.ask(rotated["secret"])) == {429}, "the id stays, and so does what was counted"
    admin(mesh, "PATCH", f"/keys/{made['id']}", {"limits": [{"limit": 15, "window": "24h"}]})
    assert kept.ask(rotated["secret"]).count(200) == 5
    assert kept.ask(other["secret"]).count(200) == 10


def test_a_budget_of_its_own_holds_and_outlives_restarts_and_the_loss_of_counters(mesh: RunningMesh):
    made = create(mesh, budgets=[{"limit_tokens": 600, "window": "7d"}])
    statuses = [mesh.post(ASK, key=made["secret"])[0] for _ in range(40)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    _, _, data = mesh.post(ASK, key=made["secret"])
    assert json.loads(data)["error"]["code"] == "budget_exceeded"
    mesh.restart()
    assert mesh.post(ASK, key=made["secret"])[0] == 429
    mesh.stop()
    (mesh.state / "limits.bin").unlink()
    mesh.start()
    statuses = [mesh.post(ASK, key=made["secret"])[0] for _ in range(4)]
    assert statuses[-1] == 429
    code, text = heddle(mesh, "keys", "show", made["id"])
    assert code == 0
    assert "600 tokens per 7d" in text


def test_what_was_acknowledged_outlives_a_kill_of_the_parent(mesh: RunningMesh):
    gone, stays = create(mesh), create(mesh, name="stays")
    admin(mesh, "DELETE", f"/keys/{gone['id']}")
    rotated = admin(mesh, "POST", f"/keys/{stays['id']}/rotate", {"overlap": "0"})
    last = create(mesh, name="last")
    assert mesh.process is not None
    mesh.process.send_signal(signal.SIGKILL)
    mesh.process.wait()
    mesh.start()
    assert mesh.post(ASK, key=gone["secret"])[0] == 401
    assert mesh.post(ASK, key=stays["secret"])[0] == 401
    assert mesh.post(ASK, key=rotated["secret"])[0] == 200
    assert mesh.post(ASK, key=last["secret"])[0] == 200


def test_a_worker_that_takes_anothers_place_knows_all_keys(mesh: RunningMesh):
    made, gone = create(mesh), create(mesh)
    admin(mesh, "DELETE", f"/keys/{gone['id']}")
    before = mesh.running()["workers"]
    for pid in before:  # type: ignore[attr-defined]
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: set(mesh.running()["workers"]).isdisjoint(before) and mesh.get("/readyz")[0] == 200)  # type: ignore[call-overload,arg-type]
    kept = Kept(mesh)
    assert set(kept.ask(made["secret"])) == {200}
    assert set(kept.ask(gone["secret"])) == {401}
    kept.close()


def test_a_reload_keeps_keys_and_can_turn_them_off(mesh: RunningMesh):
    made = create(mesh)
    before = mesh.config.read_text()
    mesh.rewrite(before.replace("type: api_key", "type: api_key\n    virtual: false"))
    assert mesh.post(ASK, key=made["secret"])[0] == 401
    code, text = heddle(mesh, "keys", "create")
    assert code == 1
    assert "accepts no virtual keys" in text
    mesh.rewrite(before)
    assert mesh.post(ASK, key=made["secret"])[0] == 200


def test_a_configuration_that_lists_a_virtual_key_is_rejected(mesh: RunningMesh):
    made = create(mesh)
    before = mesh.config.read_text()
    mesh.rewrite(before.replace("    keys:\n", f"    keys:\n      - {{key: {made['secret']}, user: eve}}\n", 1))
    rejected = str(mesh.running()["rejected"])
    assert made["id"] in rejected
    assert made["secret"] not in rejected
    mesh.config.write_text(before)
    eventually(lambda: mesh.running()["rejected"] == "")


def test_the_command_line_and_what_is_left_of_a_secret(mesh: RunningMesh):
    code, text = heddle(mesh, "keys", "create", "--tenant", "made", "--name", "cli", "--secret-only")
    assert code == 0
    secret = text.strip()
    assert mesh.post(ASK, key=secret)[0] == 200
    (listed,) = json.loads(heddle(mesh, "keys", "list", "--name", "cli", "--json")[1])["keys"]
    assert heddle(mesh, "keys", "update", listed["id"], "--limit", "requests=60/1m", "--expires", "1d")[0] == 0
    assert heddle(mesh, "keys", "revoke", listed["id"])[0] == 0
    assert mesh.post(ASK, key=secret)[0] == 401
    assert heddle(mesh, "keys", "show", listed["id"])[0] == 1
    assert "virtual" in heddle(mesh, "status")[1]

    def outcomes() -> list[object]:
        return [one["outcome"] for one in mesh.audits() if one.get("resource") == f"key:{listed['id']}"]

    eventually(lambda: outcomes() == ["created", "updated", "revoked"])
    everything = b"".join(path.read_bytes() for path in mesh.state.rglob("*") if path.is_file())
    everything += mesh.log_file.read_bytes() + mesh.get("/config", authorized=True)[1]
    assert secret.encode() not in everything


# Real SDKs, each with its own way of sending a key.


def hi(client: openai.OpenAI) -> str | None:
    return client.chat.completions.create(**ASK).choices[0].message.content  # type: ignore[call-overload,no-any-return]


def test_openai(mesh: RunningMesh):
    made = create(mesh)
    with openai.OpenAI(base_url=mesh.url, api_key=made["secret"], max_retries=0) as client:
        assert hi(client)
        admin(mesh, "DELETE", f"/keys/{made['id']}")
        with pytest.raises(openai.AuthenticationError):
            hi(client)


def test_anthropic(mesh: RunningMesh):
    made = create(mesh)
    url = f"http://127.0.0.1:{mesh.port}"
    with anthropic.Anthropic(base_url=url, api_key=made["secret"], max_retries=0) as client:
        asked: Any = {**ASK, "model": "claude-x"}
        assert client.messages.create(**asked).content
        admin(mesh, "DELETE", f"/keys/{made['id']}")
        with pytest.raises(anthropic.AuthenticationError):
            client.messages.create(**asked)


def test_google(mesh: RunningMesh):
    made = create(mesh)
    options = genai.types.HttpOptions(base_url=f"http://127.0.0.1:{mesh.port}")
    with genai.Client(api_key=made["secret"], http_options=options) as client:
        assert client.models.generate_content(model=MODEL, contents="hi").text
        admin(mesh, "DELETE", f"/keys/{made['id']}")
        with pytest.raises(google_errors.ClientError) as refused:
            client.models.generate_content(model=MODEL, contents="hi")
    assert refused.value.code == 401


def test_google_by_hand_with_the_key_in_the_url(mesh: RunningMesh):
    made = create(mesh)
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    path = f"/v1beta/models/{MODEL}:generateContent"
    status, _, data = mesh.post(body, path=f"{path}?key={made['secret']}", key=None)
    assert status == 401
    assert "x-goog-api-key" in json.loads(data)["error"]["message"]
    assert mesh.post(body, path=path, key=None, x_goog_api_key=made["secret"])[0] == 200


def test_bedrock_with_a_bearer_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ca, cert, key = make_certificates(tmp_path)  # boto3 sends such keys over TLS only
    text = VIRTUAL.replace("protocol: HTTP", f"protocol: HTTP, tls: {{{{cert_file: {cert}, key_file: {key}}}}}")
    asked: Any = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    with running_mesh(tmp_path, text, workers=2) as mesh:
        made = create(mesh)
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", made["secret"])
        at: Any = {"endpoint_url": f"https://127.0.0.1:{mesh.port}", "verify": ca, "region_name": "eu-west-1"}
        with closing(boto3.session.Session().client("bedrock-runtime", **at)) as client:
            assert client.converse(**asked)["output"]["message"]["content"]
            admin(mesh, "DELETE", f"/keys/{made['id']}")
            with pytest.raises(client.exceptions.ClientError) as refused:
                client.converse(**asked)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 401


def test_no_keys_in_the_configuration_at_all(tmp_path: Path):
    text = VIRTUAL.replace("    keys:\n", "")
    text = "".join(line for line in text.splitlines(keepends=True) if "- {{key:" not in line)
    with running_mesh(tmp_path, text, workers=2) as mesh:
        assert "warning" not in mesh.log
        assert mesh.post(ASK)[0] == 401
        assert mesh.post(ASK, key=create(mesh)["secret"])[0] == 200
