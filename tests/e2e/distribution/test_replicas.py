"""A gateway of two control planes goes to the other when one is gone; a mesh keeps its resources in a database."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.documents.postgres_server import PostgresServer
from tests.e2e.running import eventually, free_ports
from tests.proofs.away import GATEWAY, MODEL, SHARED, Running
from tests.proofs.replicas_rig import Replica, running

from heddle.controlplane.replicas.database import DATABASE
from heddle.controlplane.replicas.keys import make_key_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not PostgresServer.found(), reason="no PostgreSQL on this machine"),
]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    made = PostgresServer()
    yield made
    made.close()


def serves(port: int, model: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v1/models")
        return model in {one["id"] for one in json.loads(connection.getresponse().read())["data"]}
    except (OSError, http.client.HTTPException, KeyError, ValueError):
        return False
    finally:
        connection.close()


def heddle(*arguments: str) -> str:
    command = [sys.executable, "-m", "heddle", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_gateway_joins_one_follows_two_and_misses_neither(tmp_path: Path, server: PostgresServer):
    address, key = server.database(), tmp_path / "key"
    make_key_file(key)
    port, admin_port = free_ports(2)
    replicas = [Replica(tmp_path, name, address, key) for name in "ab"]
    first, second = replicas
    applied = tmp_path / "mesh.yaml"
    applied.write_text(GATEWAY.format(name="edge", port=port, admin_port=admin_port) + SHARED + MODEL.format(name="m0"))
    gateway = Running(tmp_path, "gateway", "heddle", "gateway")
    with running(*replicas):
        for one in replicas:
            one.start()
        files = {one: str(one.wait().kubeconfig(tmp_path / f"{one.port}.yaml")) for one in replicas}
        heddle("apply", "--kubeconfig", files[first], "-f", str(applied))
        # Made where one runs, used where the other does.
        token = heddle("gateway-token", "edge", "--state", str(first.state))
        places = f"127.0.0.1:{second.stream},127.0.0.1:{first.stream}"
        arguments = ["gateway", "--control-plane", places, "--join", token, "--state", str(tmp_path / "gateway")]
        gateway = Running(tmp_path, "gateway", "heddle", *arguments).start()
        try:
            eventually(lambda: serves(port, "m0"), 60)
            for number, gone in enumerate((second, first, second), 1):
                other = replicas[1 - replicas.index(gone)]
                gone.kill()
                name = f"m{number}"
                applied.write_text(MODEL.format(name=name))
                heddle("apply", "--kubeconfig", files[other], "-f", str(applied))
                eventually(lambda name=name: serves(port, name), 40)  # type: ignore[misc]
                gone.start().wait()
            assert gateway.stop() == 0
        finally:
            gateway.kill()
    assert "Traceback" not in gateway.log.read_text()


def test_a_mesh_keeps_its_resources_in_a_database_and_starts_elsewhere_with_them(
    tmp_path: Path, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    address, key = server.database(), tmp_path / "key"
    make_key_file(key)
    monkeypatch.setenv(DATABASE, address)
    port, admin_port, *ports = free_ports(6)
    declared = tmp_path / "declared"
    declared.mkdir()
    text = GATEWAY.format(name="edge", port=port, admin_port=admin_port) + SHARED + MODEL.format(name="first")
    (declared / "mesh.yaml").write_text(text)
    for number, arguments in enumerate((["-f", str(declared)], [])):
        api, stream = ports[2 * number : 2 * number + 2]
        places = ["--api", f"127.0.0.1:{api}", "--gateways", f"127.0.0.1:{stream}", "--key-file", str(key)]
        state = tmp_path / f"machine-{number}"
        mesh = Running(tmp_path, f"mesh-{number}", "heddle", "up", *arguments, *places, "--state", str(state)).start()
        try:
            eventually(lambda: serves(port, "first"), 60)
            assert mesh.process is not None
            eventually(lambda state=state: (state / "state.kept").exists(), 60)  # type: ignore[misc]
            for pid in (mesh.process.pid, *_children(mesh.process.pid)):
                assert address.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
            assert mesh.stop() == 0, mesh.log.read_text()[-2_000:]
        finally:
            mesh.kill()
        assert "Traceback" not in mesh.log.read_text()
    authorities = {(tmp_path / f"machine-{n}" / "control-plane" / "authority.pem").read_bytes() for n in range(2)}
    assert len(authorities) == 1


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_control_plane_alone_says_what_is_wrong(tmp_path: Path):
    api, stream = free_ports(2)
    state = ["--state", str(tmp_path / "state"), "--api", f"127.0.0.1:{api}", "--gateways", f"127.0.0.1:{stream}"]
    command = [
        sys.executable,
        "-m",
        "heddle",
        "control-plane",
        "--database",
        "postgresql://nobody@127.0.0.1:1/none",
        *state,
    ]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert ran.returncode == 1
    assert "the control plane cannot start: PostgreSQL cannot be used" in ran.stderr
    assert "Traceback" not in ran.stderr
