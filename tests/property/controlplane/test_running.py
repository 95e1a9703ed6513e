"""A gateway can run whatever the compiler makes: what is wrong with an object never reaches it."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.property.controlplane.objects import crowds
from tests.property.controlplane.test_compiling import afresh, bodies

from heddle.dataplane.gateway import Runtime
from heddle.dataplane.guards import build_guards
from heddle.drivers.sealing import Sealing
from heddle.model.assembly import assemble
from heddle.model.snapshot import Snapshot
from heddle.net.client import Client
from heddle.pipeline.assembly import Clock, Tools
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.spool import Spool


async def run(snapshot: Snapshot, folder: Path) -> None:
    """Build what a worker would run, and let go of it."""
    clock = Clock(time.time, time.monotonic)
    sealing = Sealing(folder / "seal", now=clock.now)
    spool = Spool(folder / "spool", 0)
    tools = Tools(clock=clock, client=Client(), metrics=Metrics.in_memory(), counters=None, audit=spool.audit,
                  state_dir=folder, guards=build_guards, sealing=sealing)  # type: ignore[arg-type]  # fmt: skip
    runtime = Runtime(snapshot, tools, spool)
    runtime.close()


@pytest.mark.parametrize("seed", range(25))
def test_a_gateway_runs_what_comes_of_any_objects(seed: int, tmp_path: Path) -> None:
    snapshot = assemble(bodies(afresh(crowds(seed)).full()), "v")
    asyncio.run(run(snapshot, tmp_path))


def test_there_is_something_to_run() -> None:
    made = [assemble(bodies(afresh(crowds(seed)).full()), "v") for seed in range(25)]
    for field in ("listeners", "providers", "models", "authorization", "limits", "budgets", "guards", "caching"):
        assert sum(bool(getattr(one, field)) for one in made) >= 3, field
    assert all(one.mcp.servers and one.mcp.targets for one in made)
