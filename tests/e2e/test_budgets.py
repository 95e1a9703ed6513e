"""Budgets and the ledger through the front door: crowds, kills, lost files, and what people are shown."""

import base64
import concurrent.futures
import hashlib
import hmac
import http.client
import http.server
import json
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import openai
import pytest
from click.testing import CliRunner
from openai import OpenAI
from tests.e2e.running import CONFIG, RunningMesh, eventually, running_mesh

from heddle.cli.main import main
from heddle.drivers.ledger.reading import Reading

LIMIT_USD = 0.002
BUDGETED = (
    CONFIG
    + """\
    - {{name: others, match: {{tenant: other-team}}, resources: ["model:*"], action: allow}}
budgets:
  - {{name: team, match: {{tenant: dev-team}}, key: [tenant], limit_usd: 0.002,
     calendar: {{period: month, zone: Europe/Berlin}}}}
  - {{name: each, match: {{tenant: dev-team}}, key: [tenant, user], limit_usd: 0.0015, window: 24h}}
  - {{name: short, match: {{user: dave}}, limit_tokens: 600, sliding: 24h, key: [session]}}
"""
)


def call(tokens: int = 40, text: str = "hi", **fields: object) -> dict[str, object]:
    return {
        "model": "gpt-4o-mini",
        "max_tokens": tokens,
        "messages": [{"role": "user", "content": text}],
        **fields,
    }


def entries(mesh: RunningMesh):
    return list(Reading(mesh.state / "ledger"))


def spent_usd(mesh: RunningMesh, **where: str) -> float:
    return sum(one.nano_usd for one in entries(mesh) if all(getattr(one, k) == v for k, v in where.items())) / 1e9


def heddle(mesh: RunningMesh, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, [*arguments, "--state", str(mesh.state)])
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    with running_mesh(tmp_path_factory.mktemp("budgets"), BUDGETED, workers=2) as mesh:
        yield mesh


def test_200_callers_at_once_never_pass_a_budget(mesh: RunningMesh):
    barrier = threading.Barrier(200)

    def one(number: int) -> tuple[int, bytes]:
        key = "sk-test-123" if number % 2 else "sk-bob-456"
        barrier.wait(30)
        status, _, data = mesh.post(call(60, f"call {number}"), key=key)
        return status, data

    answers = []
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        answers += pool.map(one, range(200))
    while True:  # and one by one, until it is really spent
        alice, bob = mesh.post(call(60)), mesh.post(call(60), key="sk-bob-456")
        answers += [(alice[0], alice[2]), (bob[0], bob[2])]
        if alice[0] == bob[0] == 429:
            break
    statuses = [status for status, _ in answers]
    assert set(statuses) == {200, 429}
    eventually(lambda: len(entries(mesh)) == statuses.count(200))
    assert 0.7 * LIMIT_USD < spent_usd(mesh) <= LIMIT_USD
    assert spent_usd(mesh, user="alice") <= 0.0015
    assert spent_usd(mesh, user="bob") <= 0.0015
    refused = json.loads(next(data for status, data in answers if status == 429))["error"]
    assert (refused["type"], refused["code"]) == ("insufficient_quota", "budget_exceeded")
    assert heddle(mesh, "ledger", "verify")[0] == 0


def test_the_sdk_does_not_repeat_what_no_repeating_helps(mesh: RunningMesh):
    before = mesh.metric("heddle_budget_refusals_total")
    client = OpenAI(base_url=mesh.url, api_key="sk-test-123", max_retries=3)
    with client, pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(**call(2000))
    assert refused.value.code == "budget_exceeded"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert mesh.metric("heddle_budget_refusals_total") == before + 1


def test_a_stream_without_a_bound_ends_honestly_when_its_budget_is_spent(mesh: RunningMesh):
    long = {**call(text="[[length 900]] tell me everything"), "stream": True}
    del long["max_tokens"]
    status, data = cut(mesh, long)
    assert status == 200
    assert b'"budget_exceeded"' in data
    assert b"[DONE]" not in data
    eventually(lambda: [one for one in entries(mesh) if one.user == "dave"])
    (entry,) = [one for one in entries(mesh) if one.user == "dave"]
    assert entry.estimated
    assert entry.reason == "budget_exceeded"
    # Another session has a balance of its own.
    assert mesh.post(call(20), key="sk-other-000", x_heddle_session="another")[0] == 200


def cut(mesh: RunningMesh, body: dict[str, object]) -> tuple[int, bytes]:
    """What arrives of a stream that is cut."""
    connection = http.client.HTTPConnection("127.0.0.1", mesh.port, timeout=30)
    fields = {"content-type": "application/json", "authorization": "Bearer sk-other-000"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), fields)
    response = connection.getresponse()
    data = b""
    try:
        while piece := response.read1(65536):
            data += piece
    except http.client.IncompleteRead as exc:
        data += exc.partial
    else:
        raise AssertionError("the stream must be cut, so that nobody takes it for complete")
    finally:
        response.close()
        connection.close()
    return response.status, data


def test_balances_outlive_restarts_and_the_loss_of_their_file(mesh: RunningMesh):
    used = len(entries(mesh))
    assert mesh.restart().post(call(60))[0] == 429
    mesh.stop()
    (mesh.state / "limits.bin").unlink()
    mesh.start()
    assert "rebuilt from" in mesh.log
    assert mesh.post(call(60))[0] == 429
    assert mesh.post(call(60), key="sk-bob-456")[0] == 429
    assert len(entries(mesh)) == used
    assert heddle(mesh, "ledger", "verify")[0] == 0


def test_people_see_what_was_spent(mesh: RunningMesh):
    code, text = heddle(mesh, "usage", "--by", "tenant,user")
    assert code == 0
    assert sorted(line.split()[:2] for line in text.splitlines()[1:3]) == [["dev-team", "alice"], ["dev-team", "bob"]]
    total = json.loads(heddle(mesh, "usage", "--format", "json")[1])["total"]["usd"]
    assert total == pytest.approx(spent_usd(mesh))
    status, body = mesh.get("/usage?by=user", authorized=True)
    assert status == 200
    assert json.loads(body)["total"]["usd"] == pytest.approx(total)
    assert mesh.get("/usage")[0] == 401
    assert mesh.get("/usage?by=nothing", authorized=True)[0] == 400
    budgets = {one["name"]: one for one in json.loads(mesh.get("/budgets", authorized=True)[1])}
    assert budgets["team"]["balances"][0]["key"] == {"tenant": "dev-team"}
    assert budgets["team"]["balances"][0]["used"] <= LIMIT_USD
    shown = CliRunner().invoke(main, ["status", "--state", str(mesh.state), "--admin", f"127.0.0.1:{mesh.admin_port}"])
    assert "budget     team: $0.002" in shown.output
    assert "tenant=dev-team" in shown.output


def test_heads_can_be_anchored_elsewhere(mesh: RunningMesh, tmp_path):
    anchor = tmp_path / "heads.json"
    anchor.write_text(heddle(mesh, "ledger", "head")[1])
    assert heddle(mesh, "ledger", "verify", "--anchor", str(anchor))[0] == 0


UNBOUNDED = (
    CONFIG
    + """\
budgets: [{{name: all, limit_usd: 1000, window: 24h}}]
ledger: {{anchor_every: 1s}}
observability: {{logging: {{output: [{{type: file, path: access.log}}]}}}}
"""
)


def test_kill_9_loses_no_settled_usage(tmp_path):
    """Every answer that a caller has is in the ledger, whole or streamed, whoever was killed meanwhile."""
    with running_mesh(tmp_path, UNBOUNDED, workers=2) as mesh:
        answered: dict[str, int] = {}
        stop = threading.Event()

        def load(number: int) -> None:
            while not stop.is_set():
                trace = secrets.token_hex(16)
                stream = {"stream": True, "stream_options": {"include_usage": True}} if number % 2 else {}
                try:
                    status, _, data = mesh.post(call(30, **stream), traceparent=f"00-{trace}-00f067aa0ba902b7-00")
                except (OSError, http.client.HTTPException):
                    continue
                if status == 200 and (not stream or data.rstrip().endswith(b"[DONE]")):
                    answered[trace] = total_tokens(data)

        threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for turn in range(5):
            time.sleep(0.5)
            pids = mesh.running()["workers"]
            os.kill(pids[turn % 2], signal.SIGKILL)
            eventually(lambda gone=pids[turn % 2]: gone not in mesh.running()["workers"])
            eventually(lambda: mesh.get("/readyz")[0] == 200)
        stop.set()
        for thread in threads:
            thread.join()
        kept = {one.trace: one.input + one.output for one in entries(mesh)}
        assert len(answered) > 100
        assert not [trace for trace, tokens in answered.items() if kept.get(trace) != tokens]
        code, text = heddle(mesh, "ledger", "verify")
        assert code == 0, text
        eventually(lambda: [one for one in mesh.audits() if one["audit"] == "ledger"])


def total_tokens(data: bytes) -> int:
    if data.startswith(b"{"):
        return int(json.loads(data)["usage"]["total_tokens"])
    said = [json.loads(line[6:]) for line in data.splitlines() if line.startswith(b"data: {")]
    return int(next(one["usage"]["total_tokens"] for one in said[::-1] if one.get("usage")))


@contextmanager
def webhook() -> Iterator[tuple[int, list[tuple[dict[str, str], bytes]]]]:
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(500 if len(got) == 1 else 204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_warning_arrives_signed_once(tmp_path):
    secret = "a secret of enough length"
    with webhook() as (port, got):
        text = CONFIG + (
            "budgets: [{{name: warned, limit_tokens: 1000, window: 24h, warn_at: [0.02], "
            f"webhook: {{{{url: 'http://127.0.0.1:{port}/hook', secret: '{secret}'}}}}}}}}]\n"
        )
        with running_mesh(tmp_path, text, workers=2) as mesh:
            for _ in range(4):
                mesh.post(call(20))
            eventually(lambda: len(got) >= 2)
            time.sleep(1.5)
    assert len(got) == 2, "refused once, repeated once"
    fields, body = got[1]
    content = b".".join((fields["webhook-id"].encode(), fields["webhook-timestamp"].encode(), body))
    digest = hmac.new(secret.encode(), content, hashlib.sha256).digest()
    assert fields["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert json.loads(body)["data"]["budget"] == "warned"


def test_without_budgets_there_is_no_ledger_unless_asked(tmp_path):
    with running_mesh(tmp_path / "off", CONFIG) as mesh:
        assert mesh.post(call())[0] == 200
        assert not (mesh.state / "ledger").exists()
        code, text = heddle(mesh, "usage")
        assert code == 1
        assert "ledger: {enabled: true}" in text
    with running_mesh(tmp_path / "on", CONFIG + "ledger: {{enabled: true}}\n") as mesh:
        assert mesh.post(call())[0] == 200
        assert [one.user for one in entries(mesh)] == ["alice"]
        # Nobody turns a spent budget on by surprise: one that is declared now knows of what was spent before it.
        mesh.rewrite(mesh.config.read_text() + "budgets: [{name: late, key: [user], limit_tokens: 10, window: 24h}]\n")
        assert mesh.post(call(1))[0] == 429


def test_a_price_of_ones_own(tmp_path):
    text = CONFIG.replace(
        "security:\n", "  prices: [{{model: gpt-4o-mini, input: 1000, output: 2000, per_call: 1}}]\nsecurity:\n", 1
    )
    with running_mesh(tmp_path, text + "ledger: {{enabled: true}}\n") as mesh:
        assert mesh.post(call())[0] == 200
        (entry,) = entries(mesh)
        assert entry.nano_usd == 10**9 + entry.input * 10**6 + entry.output * 2 * 10**6
