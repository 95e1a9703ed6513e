"""The reference configuration, byte for byte as users have it: validated, started, and led to its first answer."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.e2e.running import RunningMesh, eventually, free_ports
from tests.e2e.servers import Asked, reply, serving
from tests.e2e.test_identity import account

REFERENCE = Path(__file__).parents[2] / "examples" / "reference" / "gateway.yaml"
SHA256 = "233bcb55dc646c8edce9be23a4fa322fd4cef6537c19b275c989e594b658cebf"
CALL = {"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def validated() -> dict[str, object]:
    command = [sys.executable, "-m", "heddle", "validate", "--format", "json", "-f", str(REFERENCE)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    shown: dict[str, object] = json.loads(done.stdout)
    return shown


def test_it_is_the_file_that_users_have():
    assert hashlib.sha256(REFERENCE.read_bytes()).hexdigest() == SHA256


def test_it_is_valid_and_says_what_is_not_active(validated):
    assert validated["valid"] is True
    assert validated["inactive"] == ["listener a2a (A2A)", "a2a"]
    assert "listener llm on 0.0.0.0:8080, mcp on 0.0.0.0:8081;" in validated["active"]
    assert {problem["severity"] for problem in validated["problems"]} == {"warning"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("listeners[1]", "virtual server `default` offers nothing"),
        ("listeners[2]", "listener `a2a` is not bound"),
        ("a2a", "not active yet"),
        ("authorization.policies[0].match", "policy `prod-policy` can match nobody"),
        ("authorization.policies[1].match", "policy `dev-policy` can match nobody"),
        ("rate_limiting[1].match", "limit `prod-budget` can match nobody"),
        ("security.authentication", "no policy allows them anything"),
        ("llm.providers[0].api_key_secret", "will be answered 503"),
    ],
)
def test_every_warning_stands_at_its_line(validated, path, text):
    (problem,) = [one for one in validated["problems"] if one["path"] == path and text in one["message"]]
    lines = REFERENCE.read_text().splitlines()
    last = path.rpartition(".")[2].partition("[")[0]
    line = lines[problem["line"] - 1]
    assert line.startswith(("  - name: ", "    - name: ")) or line.strip().startswith(f"{last}:")


@contextmanager
def reference_mesh(folder: Path, changes: dict[str, str], environ: dict[str, str]) -> Iterator[RunningMesh]:
    """The reference file on loopback and free ports, with collectors that nobody is; and with `changes`."""
    port, mcp, a2a, admin_port, nobody = free_ports(5)
    text = REFERENCE.read_text()
    changes = {
        "0.0.0.0": "127.0.0.1",
        "port: 8080": f"port: {port}",
        "port: 8081": f"port: {mcp}",
        "port: 8082": f"port: {a2a}",
        "jaeger-collector.observability.svc:4317": f"127.0.0.1:{nobody}",
        "elasticsearch.logging.svc:9200": f"127.0.0.1:{nobody}",
        **changes,
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    config = folder / "gateway.yaml"
    config.write_text(text + f"admin: {{address: 127.0.0.1, port: {admin_port}}}\n")
    mesh = RunningMesh(config, folder / "state", port, admin_port, environ=environ)
    try:
        yield mesh.start()
        assert mesh.stop() == 0
    finally:
        mesh.kill()


def test_as_it_stands_it_starts_and_refuses_for_the_right_reason(tmp_path):
    with reference_mesh(tmp_path, {}, {}) as mesh:
        status, _, data = mesh.post(CALL, key=None)
        assert (status, json.loads(data)["error"]["code"]) == (401, "invalid_api_key")
        assert mesh.post(CALL, key="sk-anything")[0] == 401
        # Whether a token is good cannot be found out without a cluster: that is nobody's fault but the gateway's.
        status, _, data = mesh.post(CALL, key=account("dev-team"))
        assert (status, json.loads(data)["error"]["code"]) == (503, "identity_unavailable")
        listeners = mesh.running()["snapshot"]["listeners"]
        assert [one["name"] for one in listeners] == ["llm", "mcp", "a2a"]
        # Tools are served, though there are none yet, to the same callers.
        mesh.port = listeners[1]["port"]
        assert mesh.post(CALL, path="/mcp", key="sk-anything")[0] == 401
        mesh.port = listeners[2]["port"]
        with pytest.raises(OSError, match="refused"):
            mesh.post(CALL)
        assert "can match nobody" in mesh.log


def test_step_by_step_it_is_made_to_answer(tmp_path):
    tokens = {name: account(name, iss="https://in-cluster") for name in ("dev-team", "prod-team", "production")}

    def api(asked: Asked) -> bytes:
        token = json.loads(asked.body)["spec"]["token"]
        name = next((name for name, known in tokens.items() if known == token), None)
        user = {"username": f"system:serviceaccount:{name}:builder"}
        status = {"authenticated": name is not None, "user": user}
        return reply(201, json.dumps({"status": status}).encode())

    def provider(asked: Asked) -> bytes:
        assert asked.header("authorization") == "Bearer sk-vendor"
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        return reply(200, json.dumps({"object": "chat.completion", "choices": [], "usage": usage}).encode())

    with serving(api) as server, serving(provider) as vendor:
        (tmp_path / "token").write_text("gateway")
        cluster = {
            "    service_account_validation: true": "    service_account_validation: true\n"
            f"    api_server: {server.url}\n    token_file: {tmp_path}/token"
        }
        first = tmp_path / "first"
        first.mkdir()
        with reference_mesh(first, cluster, {}) as mesh:
            answers = {name: mesh.post(CALL, key=token) for name, token in tokens.items()}
            assert {name: status for name, (status, _, _) in answers.items()} == dict.fromkeys(tokens, 403)
            # One is refused at the door, the others by the policies, which name other namespaces.
            assert b"may not authenticate here" in answers["production"][2]
            assert b"may not authenticate here" not in answers["dev-team"][2]

        # The names that the policies meant, and where its provider is.
        names = {"namespace: production": "namespace: prod-team", "namespace: development": "namespace: dev-team"}
        at = {"      api_key_secret": f"      base_url: {vendor.url}/v1\n      api_key_secret"}
        second = tmp_path / "second"
        second.mkdir()
        with reference_mesh(second, cluster | names | at, {}) as mesh:
            assert mesh.post({**CALL, "model": "gpt-5"}, key=tokens["prod-team"])[0] == 403
            for name in ("prod-team", "dev-team"):
                status, _, data = mesh.post(CALL, key=tokens[name])
                assert (status, json.loads(data)["error"]["code"]) == (503, "provider_unconfigured")
            assert b"openai-credentials" in data

            # A secret that arrives while it runs is taken up.
            (second / "secrets" / "openai-credentials").mkdir(parents=True)
            before = mesh.running()["version"]
            (second / "secrets" / "openai-credentials" / "api-key").write_text("sk-vendor\n")
            eventually(lambda: mesh.running()["version"] != before)
            status, headers, _ = mesh.post(CALL, key=tokens["dev-team"])
            assert status == 200
            assert headers["x-ratelimit-limit-tokens"] == "1000000"
        assert [asked.target for asked in vendor.asked] == ["/v1/chat/completions"]
