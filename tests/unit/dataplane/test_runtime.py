"""What a worker keeps of its snapshots: connections while a provider stays, nothing once it is gone or refused."""

import time
from pathlib import Path
from typing import Any

import pytest

from heddle import plugins
from heddle.dataplane.gateway import Gateway, Runtime
from heddle.model.snapshot import AuthzRule, ProviderSpec, Snapshot
from heddle.net.client import Client
from heddle.pipeline.assembly import Clock, Tools
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.spool import Spool


@pytest.fixture
async def tools(tmp_path: Path) -> Any:
    client, spool = Client(), Spool(tmp_path / "spool", 0)
    clock = Clock(time.time, time.monotonic)
    yield Tools(clock, client, Metrics.in_memory(), None, spool.audit, tmp_path)  # type: ignore[arg-type]
    await client.close()


def snapshot(version: str, *providers: str, **fields: object) -> Snapshot:
    specs = tuple(ProviderSpec(name=name, type="openai", base_url=f"https://{name}.test/v1") for name in providers)
    return Snapshot(version=version, providers=specs, **fields)  # type: ignore[arg-type]


def runtime(tools: Tools, tmp_path: Path, of: Snapshot) -> Runtime:
    return Runtime(of, tools, Spool(tmp_path / "spool", 0))


async def test_reloads_keep_the_origins_of_providers_that_stay(tools: Tools, tmp_path: Path):
    gateway = Gateway(runtime(tools, tmp_path, snapshot("v0", "a", "b")), tools)
    kept, gone = tools.client._origins
    for number in range(20):
        gateway.swap(runtime(tools, tmp_path, snapshot(f"v{number}", "a", "b")))
        gateway.inflight()
    assert tools.client._origins == [kept, gone]
    gateway.swap(runtime(tools, tmp_path, snapshot("last", "a")))
    gateway.inflight()
    assert tools.client._origins == [kept]


async def test_an_origin_waits_for_the_last_call_of_its_snapshot(tools: Tools, tmp_path: Path):
    gateway = Gateway(runtime(tools, tmp_path, snapshot("v0", "a")), tools)
    former = gateway.runtime
    former.recorder.inflight = 1
    gateway.swap(runtime(tools, tmp_path, snapshot("v1", "b")))
    assert gateway.inflight() == 1
    assert len(tools.client._origins) == 2
    former.recorder.inflight = 0
    gateway.inflight()
    assert [origin.owner for origin in tools.client._origins] == ["b"]


async def test_a_snapshot_that_cannot_be_built_leaves_nothing_behind(tools: Tools, tmp_path: Path):
    bad = snapshot("bad", "a", "b")
    broken = ProviderSpec(name="c", type="openai", base_url="https://c.test/v1", ca_file=str(tmp_path / "absent.pem"))
    with pytest.raises(ValueError, match="CA file"):
        runtime(tools, tmp_path, Snapshot(version="bad", providers=(*bad.providers, broken)))
    assert tools.client._origins == []


async def test_closers_of_a_failed_build_run(tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    closed: list[str] = []

    def build(_: Snapshot, given: Tools) -> None:
        given.closers.append(lambda: closed.append("closed"))

    load = plugins.load
    monkeypatch.setattr(plugins, "names", lambda group: ["mine", "authorization"])
    monkeypatch.setattr(plugins, "load", lambda group, name: build if name == "mine" else load(group, name))
    rule = AuthzRule(name="odd", action="allow", when="this is no CEL")
    with pytest.raises(ValueError, match="odd"):
        runtime(tools, tmp_path, snapshot("bad", "a", authorization=(rule,)))
    assert closed == ["closed"]
