"""How a worker speaks with the others, as its configuration changes."""

import gc
import os
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.contract.bus.meeting import Ear, eventually

from heddle.dataplane import sockets
from heddle.dataplane.bus import Speaking
from heddle.dataplane.worker import Worker
from heddle.drivers.bus.memory import MemoryBus
from heddle.drivers.bus.redis import RedisBus
from heddle.drivers.bus.unix import UnixBus
from heddle.drivers.counters.shared import prepare
from heddle.drivers.sealing import Sealing
from heddle.model.snapshot import SERVED_PROTOCOLS, ListenerSpec, Snapshot
from heddle.model.snapshot_budgets import StateSpec
from heddle.model.snapshot_mcp import McpSessionSpec, McpSpec
from heddle.pipeline.assembly import Clock
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics

TOOLS = ListenerSpec(name="tools", protocol="MCP", address="127.0.0.1", port=0)
PLAIN = Snapshot(version="1")
SPEAKS = Snapshot(version="2", listeners=(TOOLS,))
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def tools(tmp_path: Path) -> Any:
    clock = Clock(time.time, time.monotonic)
    metrics = Metrics.in_memory()
    return SimpleNamespace(state_dir=tmp_path, clock=clock, metrics=metrics, bus=MemoryBus(), closers=[])


async def test_nothing_is_opened_before_it_is_needed(tools: Any, tmp_path: Path):
    speaking = Speaking(tools)
    speaking.follow(PLAIN)
    assert isinstance(tools.bus, MemoryBus)
    assert os.listdir(tmp_path) == []
    speaking.follow(SPEAKS)
    assert isinstance(tools.bus, UnixBus)
    await speaking.close()
    assert os.listdir(tmp_path / "bus") == ["machine"], "who leaves takes its socket along"


async def test_an_address_and_its_subscriptions_survive_every_change(tools: Any):
    speaking = Speaking(tools)
    speaking.follow(SPEAKS)
    local, ear = tools.bus, Ear(tools.bus, "t")
    for count, url in enumerate([NOWHERE, NOWHERE, "", NOWHERE, "redis://127.0.0.1:2/0"], 1):
        speaking.follow(Snapshot(version=str(count), listeners=(TOOLS,) if count % 2 else (), state=StateSpec(kv=url)))
        assert isinstance(tools.bus, RedisBus) == bool(url)
        assert tools.bus.address == local.address
        tools.bus.publish("t", b"")
        await eventually(lambda count=count: len(ear.heard) == count)
    assert len(tools.closers) == 2
    for close in tools.closers:
        close()
    await speaking.close()


async def test_what_is_given_up_is_counted(tools: Any):
    speaking = Speaking(tools)
    speaking.follow(SPEAKS)
    for _ in range(3):
        tools.bus.publish("", b"")
        speaking.count()
    assert tools.metrics.counter(names.BUS_DROPPED).value == 3
    await speaking.close()


async def test_a_folder_that_cannot_be_used_refuses_the_snapshot(tools: Any, tmp_path: Path):
    (tmp_path / "bus").write_text("a file")
    speaking = Speaking(tools)
    with pytest.raises(OSError):
        speaking.follow(SPEAKS)
    assert isinstance(tools.bus, MemoryBus)
    await speaking.close()


# In a worker


@pytest.fixture
def state(tmp_path: Path) -> Path:
    prepare(tmp_path / "limits.bin", 1).close()
    return tmp_path


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def sealed_with(*keys: str) -> Snapshot:
    return Snapshot(version="v", listeners=(TOOLS,), mcp=McpSpec(sessions=McpSessionSpec(keys=keys)))


async def test_a_worker_speaks_and_seals_as_its_configuration_says_and_lets_go_of_all(state: Path):
    before = open_files()
    worker = Worker(state, 0)
    await worker.apply(sealed_with(), listening())
    own = worker.tools.sealing.seal("p", b"own")
    await worker.apply(sealed_with("k" * 32), {})
    shared = worker.tools.sealing.seal("p", b"shared")
    assert Sealing(keys=("k" * 32,)).open("p", shared) == b"shared"
    assert worker.tools.sealing.open("p", own) == b"own"
    assert isinstance(worker.tools.bus, UnixBus)
    await worker.drain(0.0)
    worker.close()
    assert open_files() == before
    assert os.listdir(state / "bus") == ["machine"]


async def test_keys_that_cannot_be_had_refuse_the_snapshot(state: Path):
    (state / "seal.keys").write_bytes(b"nonsense")
    (state / "seal.keys").chmod(0o600)
    worker = Worker(state, 0)
    with pytest.raises(ValueError, match=r"^seal\.keys is damaged"):
        await worker.apply(sealed_with(), {})
    assert not (state / "bus").exists()
    await worker.drain(0.0)
    worker.close()


def listening() -> dict[str, socket.socket]:
    """The listener's socket, where workers serve its protocol."""
    if TOOLS.protocol not in SERVED_PROTOCOLS:
        return {}
    return {sockets.key(TOOLS): sockets.open_listener("tools", TOOLS.address, TOOLS.port)}
