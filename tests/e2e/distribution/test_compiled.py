"""A whole control plane and gateways: objects in, snapshots out, verdicts back as conditions and GatewayStatuses."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.distribution.rig import EDGE, Gateway, until

from heddle.controlplane.distribution import reporting
from heddle.controlplane.distribution.listening import Listening
from heddle.controlplane.distribution.running import Gateways
from heddle.controlplane.process import ControlPlane, Settings
from heddle.dataplane.subscription import client
from heddle.dataplane.subscription.reaching import join
from heddle.drivers.documents import Author, ConflictError, Key, Write
from heddle.model.snapshot import Snapshot
from heddle.wire.delta import Interest

EVERYTHING = Interest("*")
HEDDLE, GATEWAY_API = "heddle.dev", "gateway.networking.k8s.io"
KINDS = {
    "gateways": (GATEWAY_API, "v1", "Gateway"),
    "backends": (HEDDLE, "v1alpha1", "Backend"),
    "models": (HEDDLE, "v1alpha1", "Model"),
    "policies": (HEDDLE, "v1alpha1", "Policy"),
}


class Whole:
    """A control plane that can be started again, and what is declared in it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.port = 0

    async def start(self) -> "Whole":
        self.plane = ControlPlane(Settings(state_dir=self.state, port=0))
        await self.plane.start()
        self.gateways = Gateways(self.plane.store, self.plane.authority, self.state, Listening(port=self.port))
        await self.gateways.start({}, str(self.state))
        self.port = self.gateways.address[1]
        return self

    async def stop(self) -> None:
        await self.gateways.stop()
        await self.plane.stop()

    def key(self, plural: str, name: str) -> Key:
        return Key(f"{plural}.{KINDS[plural][0]}", "default", name)

    async def declare(self, plural: str, name: str, spec: dict[str, Any] | None) -> None:
        """As the API would write it."""
        key = self.key(plural, name)
        before = self.plane.store.get(key)
        body = None
        if spec is not None:
            metadata = {"name": name, "namespace": "default", "uid": str(uuid.uuid4()), "generation": 1}
            metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
            if before is not None:
                metadata = {**before.object["metadata"], "generation": before.object["metadata"]["generation"] + 1}
                del metadata["resourceVersion"]
            group, version, kind = KINDS[plural]
            made = {"apiVersion": f"{group}/{version}", "kind": kind, "metadata": metadata, "spec": spec}
            body = json.dumps(made).encode()
        await self.plane.store.write([Write(key, body, None, Author("test"), time.time())])

    def condition(self, plural: str, name: str, kind: str) -> dict[str, Any]:
        stored = self.plane.store.get(self.key(plural, name))
        found = stored.object.get("status", {}).get("conditions", []) if stored is not None else []
        return next((one for one in found if one["type"] == kind), {"status": "", "message": ""})

    def status(self, name: str) -> dict[str, Any]:
        stored = self.plane.store.get(Key(reporting.RESOURCE, "default", name))
        return dict(stored.object["status"]) if stored is not None else {}

    async def gateway(self, name: str, interest: Interest, folder: Path) -> Gateway:
        await asyncio.to_thread(folder.mkdir, exist_ok=True)
        distribution = self.gateways.distribution
        assert distribution is not None
        token = distribution.joining.token(name, interest)
        identity = await join(("127.0.0.1", self.port), token, folder / "gateway.pem")
        return Gateway(self, identity, folder)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(client, "LONGEST_RETRY_S", 0.1)
    monkeypatch.setattr(reporting, "TURN_S", 0.05)
    monkeypatch.setattr(reporting, "QUIET_S", 0.2)
    monkeypatch.setattr(reporting, "BEHIND_S", 0.2)


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    whole = await Whole(tmp_path / "plane").start()
    for name, port in (("edge", 18080), ("inner", 18081)):
        listeners = [{"name": "llm", "protocol": "HTTP", "port": port}]
        await whole.declare("gateways", name, {"gatewayClassName": "heddle", "listeners": listeners})
    await whole.declare("policies", "open", {"authentication": [{"type": "none"}]})
    await whole.declare("backends", "offline", {"provider": {"name": "offline", "type": "scripted"}})
    await whole.declare("models", "first", {"name": "first", "provider": "offline"})
    yield whole
    await whole.stop()


async def settled(whole: Whole, gateway: Gateway) -> None:
    """Everything that is declared runs, and is said to."""
    await until(lambda: gateway.models == ["first"], 30)
    await until(lambda: whole.status("edge-1").get("version") == gateway.subscription.held.at.short, 60)
    await until(lambda: whole.status("edge-1").get("current"), 30)


async def test_what_is_declared_runs_and_is_said_to_run(whole: Whole, tmp_path: Path):
    gateway = await whole.gateway("edge-1", EDGE, tmp_path / "g")
    assert whole.condition("gateways", "edge", "Programmed")["status"] != "True"
    gateway.subscription.start()
    await until(lambda: gateway.models == ["first"])
    assert [one.port for one in gateway.runs[-1].listeners] == [18080], "the other Gateway's listener is not its own"
    await until(lambda: whole.condition("gateways", "edge", "Programmed")["status"] == "True")
    await settled(whole, gateway)
    status = whole.status("edge-1")
    assert status["version"] == gateway.subscription.held.at.short == status["sentVersion"]
    assert (status["gateway"], status["connected"], status["software"]) == ("edge", True, "1")
    assert whole.condition("gateways", "inner", "Programmed")["status"] != "True", "nobody serves it"
    await whole.declare("models", "second", {"name": "second", "provider": "offline"})
    await until(lambda: gateway.models == ["first", "second"])
    await whole.declare("models", "first", None)
    await until(lambda: gateway.models == ["second"])
    await gateway.subscription.stop()
    await until(lambda: whole.status("edge-1")["connected"] is False)


async def test_what_one_gateway_resource_cannot_have_holds_up_nobody_else_s_changes(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    gateway = await whole.gateway("edge-1", Interest("*"), tmp_path / "g")
    gateway.subscription.start()
    await until(lambda: whole.condition("gateways", "inner", "Programmed")["status"] == "True")
    gateway.lacks = {"default/inner/llm": "listener default/inner/llm: cannot listen: in use"}
    await whole.declare("models", "second", {"name": "second", "provider": "offline"})
    await until(lambda: gateway.models == ["first", "second"])
    await until(lambda: whole.condition("gateways", "inner", "Programmed")["status"] == "False")
    assert "in use" in whole.condition("gateways", "inner", "Programmed")["message"]
    assert whole.condition("gateways", "edge", "Programmed")["status"] == "True"
    await until(lambda: whole.status("edge-1")["version"] == gateway.subscription.held.at.short)
    status = whole.status("edge-1")
    assert (status["rejected"]["path"], status["current"]) == ("listener/default/inner/llm", False)
    assert status["version"] == status["sentVersion"]
    await whole.declare("models", "third", {"name": "third", "provider": "offline"})
    await until(lambda: gateway.models == ["first", "second", "third"])
    # Who comes back is asked again, and nothing has to change for that.
    gateway.lacks = {}
    await gateway.subscription.stop()
    gateway.subscription.start()
    await until(lambda: whole.status("edge-1").get("current"))
    await until(lambda: whole.condition("gateways", "inner", "Programmed")["status"] == "True")
    await gateway.subscription.stop()


async def test_what_somebody_else_changes_all_the_time_holds_up_no_other_condition(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
):
    busy, write, refused = whole.key("models", "busy"), whole.plane.store.write, 0

    async def contended(writes: Sequence[Write]) -> Sequence[Any]:
        nonlocal refused
        if any(one.key == busy and one.author.agent == "compiler" for one in writes) and refused < 1_000_000:
            refused += 1
            raise ConflictError(busy, 1)
        return await write(writes)

    monkeypatch.setattr(whole.plane.store, "write", contended)
    names = [f"calm{number}" for number in range(20)]
    for name in ("busy", *names):
        await whole.declare("models", name, {"name": name, "provider": "offline"})
    for name in names:
        await until(lambda name=name: whole.condition("models", name, "Accepted")["status"] == "True", 10)  # type: ignore[misc]
    assert refused
    assert not whole.condition("models", "busy", "Accepted")["status"]
    refused = 1_000_000
    await until(lambda: whole.condition("models", "busy", "Accepted")["status"] == "True", 10)


async def test_a_rejection_is_said_of_what_was_rejected(whole: Whole, tmp_path: Path):
    gateway = await whole.gateway("edge-1", EDGE, tmp_path / "g")

    def refuse(snapshot: Snapshot) -> str:
        return "no such model" if any(one.name == "bad" for one in snapshot.models) else ""

    gateway.refuse = refuse
    gateway.path = "model/bad"
    gateway.subscription.start()
    await until(lambda: whole.condition("gateways", "edge", "Programmed")["status"] == "True")
    await whole.declare("models", "bad", {"name": "bad", "provider": "offline"})
    await until(lambda: whole.status("edge-1").get("rejected"))
    assert whole.status("edge-1")["rejected"]["message"] == "no such model"
    assert gateway.models == ["first"]
    await until(lambda: whole.condition("models", "bad", "Programmed")["status"] == "False")
    assert "edge-1: no such model" in whole.condition("models", "bad", "Programmed")["message"]
    assert whole.condition("models", "first", "Programmed")["status"] != "False"
    await whole.declare("models", "bad", None)
    await until(lambda: whole.status("edge-1").get("rejected") is None)
    await until(lambda: whole.condition("gateways", "edge", "Programmed")["status"] == "True")
    await gateway.subscription.stop()


async def test_nothing_is_written_while_nothing_happens(whole: Whole, tmp_path: Path):
    gateway = await whole.gateway("edge-1", EVERYTHING, tmp_path / "g")
    gateway.subscription.start()
    await settled(whole, gateway)
    await until(lambda: whole.condition("gateways", "inner", "Programmed")["status"] == "True")
    for _ in range(10):
        version = whole.plane.store.version
        await asyncio.sleep(0.7)
        if whole.plane.store.version == version:
            break
    assert whole.plane.store.version == version
    await gateway.subscription.stop()


async def test_gateways_that_did_not_come_back_after_a_crash_are_away(whole: Whole, tmp_path: Path, monkeypatch):
    gateway = await whole.gateway("edge-1", EDGE, tmp_path / "g")
    gateway.subscription.start()
    await settled(whole, gateway)
    for task in whole.gateways._tasks:
        task.cancel()
    await gateway.subscription.stop()
    await whole.stop()
    monkeypatch.setattr(reporting, "RETURN_S", 0.2)
    await whole.start()
    assert whole.status("edge-1")["connected"] is True, "as it was written last"
    await until(lambda: whole.status("edge-1")["connected"] is False)
    assert whole.status("edge-1")["address"] != ""


async def test_after_a_restart_gateways_go_on_with_what_they_have(whole: Whole, tmp_path: Path):
    gateway = await whole.gateway("edge-1", EDGE, tmp_path / "g")
    gateway.subscription.start()
    await settled(whole, gateway)
    runs = len(gateway.runs)
    await whole.stop()
    await whole.start()
    await until(lambda: gateway.subscription.connected)
    await asyncio.sleep(0.3)
    assert len(gateway.runs) == runs
    await gateway.subscription.stop()
