"""A control plane that is away, in processes of their own: gateways elsewhere, and the one beside it."""

import http.client
import os
import signal
import time
from pathlib import Path

import pytest
from tests.e2e.running import RunningMesh, eventually, free_ports
from tests.proofs.away import GATEWAY, MODEL, SHARED, Load, away


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_call_fails_while_the_control_plane_is_away_and_a_gateway_restarts(tmp_path: Path):
    load = away(tmp_path, 3)
    assert load.failed == []
    assert load.calls > 100


class Beside:
    """`heddle up -f DIR`."""

    def __init__(self, folder: Path) -> None:
        port, admin_port, api, stream = free_ports(4)
        self.declared = folder / "declared"
        self.declared.mkdir()
        self.file = self.declared / "mesh.yaml"
        self.file.write_text(GATEWAY.format(name="edge", port=port, admin_port=admin_port) + SHARED)
        self.add("first")
        arguments = ("--api", f"127.0.0.1:{api}", "--gateways", f"127.0.0.1:{stream}")
        self.mesh = RunningMesh(self.declared, folder / "state", port, admin_port, arguments=arguments)

    def add(self, model: str) -> None:
        with self.file.open("a") as file:
            file.write(MODEL.format(name=model))

    @property
    def plane(self) -> dict[str, object]:
        found = self.mesh.running()["control_plane"]
        assert isinstance(found, dict)
        return found

    def follows(self) -> bool:
        return bool(self.plane["connected"] and self.plane["digest"])

    def models(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.mesh.port, timeout=10)
        try:
            connection.request("GET", "/v1/models")
            return connection.getresponse().read().decode()
        finally:
            connection.close()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_mesh_serves_at_once_then_follows_the_control_plane_beside_it_and_outlives_it(tmp_path: Path):
    beside = Beside(tmp_path)
    mesh = beside.mesh
    try:
        mesh.start()
        with Load([mesh.port, mesh.port]) as load:
            eventually(beside.follows, 60)
            beside.add("second")
            eventually(lambda: "second" in beside.models(), 20)
            pid = beside.plane["pid"]
            assert isinstance(pid, int)
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.3)
            assert "second" in beside.models()
            eventually(lambda: beside.plane["pid"] not in (0, pid), 30)
            eventually(beside.follows, 60)
            beside.add("third")
            eventually(lambda: "third" in beside.models(), 30)
        assert load.failed == []
        assert mesh.stop() == 0
        mesh.start()
        assert "third" in beside.models()
        pid = beside.plane["pid"]
        mesh.kill()
        eventually(lambda: not Path(f"/proc/{pid}/fd").exists() or not os.listdir(f"/proc/{pid}/fd"), 30)
    finally:
        mesh.kill()
