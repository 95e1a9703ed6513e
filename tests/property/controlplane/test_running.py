"""A gateway can run whatever the compiler makes: what is wrong with an object never reaches it."""

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from tests.property.controlplane.objects import histories
from tests.property.controlplane.test_compiling import afresh, bodies

from heddle.dataplane.gateway import Runtime
from heddle.dataplane.guards import build_guards
from heddle.drivers.documents import Key
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


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories())
def test_a_gateway_runs_what_comes_of_any_objects(history: list[tuple[Key, dict[str, Any] | None]]) -> None:
    compiler = afresh({key: raw for key, raw in history if raw is not None})
    snapshot = assemble(bodies(compiler.full()), "v")
    with TemporaryDirectory() as folder:
        asyncio.run(run(snapshot, Path(folder)))
