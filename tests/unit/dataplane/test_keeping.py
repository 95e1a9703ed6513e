"""Where a worker keeps values, as its configuration changes."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from heddle.dataplane.keeping import Keeping
from heddle.drivers.kv.redis import RedisStores
from heddle.drivers.kv.shared import SharedStores
from heddle.model.snapshot_budgets import StateSpec
from heddle.pipeline.assembly import Clock

KEY = b"k" * 32


@pytest.fixture
def tools(tmp_path: Path) -> Any:
    return SimpleNamespace(state_dir=tmp_path, slot=0, clock=Clock(time.time, time.monotonic), kv=None, closers=[])


async def test_files_unless_a_redis_is_named_and_back_again(tools: Any):
    keeping = Keeping(tools)
    local = tools.kv
    assert isinstance(local, SharedStores)
    local("owners").put(KEY, b"v", 60)
    keeping.follow(StateSpec(counters="redis://127.0.0.1:1/0", password="p"))
    assert tools.kv is local
    keeping.follow(StateSpec(kv="redis://127.0.0.1:1/0"))
    remote = tools.kv
    assert isinstance(remote, RedisStores)
    keeping.follow(StateSpec(kv="redis://127.0.0.1:1/0", counters="redis://127.0.0.1:1/0"))
    assert tools.kv is remote
    keeping.follow(StateSpec())
    assert tools.kv is local
    (close,) = tools.closers
    close()
    assert await tools.kv("owners").get(KEY) == b"v"
    await keeping.close()
    assert keeping._closing is not None
    await keeping._closing
