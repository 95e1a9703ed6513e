"""That a target lasts from one snapshot to the next exactly when nothing of it changed."""

import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from heddle.dataplane.mcp.lasting import Lasting, lasts
from heddle.model.snapshot_mcp import HttpSpec, McpTargetSpec, StdioSpec
from heddle.model.snapshot_mcp_auth import BearerAuth
from heddle.net.client import Client
from heddle.pipeline.assembly import Clock, Tools
from heddle.telemetry.metrics import Metrics

FILES = McpTargetSpec(name="files", connect=HttpSpec(url="http://127.0.0.1:9/mcp"))


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    clock = Clock(time.time, time.monotonic)
    return Tools(clock, Client(), Metrics.in_memory(), None, lambda _: None, tmp_path)  # type: ignore[arg-type]


def snapshot(tools: Tools) -> Tools:
    """The tools as another snapshot of the same worker has them."""
    return replace(tools, closers=[])


def drop(tools: Tools) -> None:
    while tools.closers:
        tools.closers.pop()()


async def test_what_is_declared_as_before_goes_on(tools: Tools):
    first, second = snapshot(tools), snapshot(tools)
    upstream = Lasting.of(first).upstream(FILES, first, 60.0)
    assert Lasting.of(second).upstream(FILES, second, 60.0) is upstream
    drop(first)
    assert Lasting.of(second).kept["files"].upstream is upstream
    assert tools.client.connection_counts() == {"mcp:files": 0}, "its place is still there"
    drop(second)
    assert not Lasting.of(second).kept
    assert tools.client.connection_counts() == {}


async def test_what_changed_is_made_anew_and_the_former_ends_with_its_snapshot(tools: Tools):
    first, second = snapshot(tools), snapshot(tools)
    former = Lasting.of(first).upstream(FILES, first, 60.0)
    changed = msgspec.structs.replace(FILES, max_concurrent=3)
    now = Lasting.of(second).upstream(changed, second, 60.0)
    assert now is not former
    drop(first)
    assert Lasting.of(second).kept["files"].upstream is now
    drop(second)
    assert not Lasting.of(second).kept


async def test_a_snapshot_that_cannot_be_built_leaves_nothing(tools: Tools):
    broken = McpTargetSpec(name="files", connect=HttpSpec(url="http://127.0.0.1:9/mcp", ca_file="/does/not/exist"))
    with pytest.raises(ValueError, match="CA file"):
        Lasting.of(tools).upstream(broken, tools, 60.0)
    assert not Lasting.of(tools).kept


def test_files_and_credentials_bind_a_target_to_its_snapshot():
    assert lasts(FILES)
    assert lasts(McpTargetSpec(name="t", connect=StdioSpec(command=("x",))))
    assert not lasts(McpTargetSpec(name="t", connect=HttpSpec(url="http://h/mcp", ca_file="/ca.pem")))
    assert not lasts(msgspec.structs.replace(FILES, auth=BearerAuth(credential="s")))
