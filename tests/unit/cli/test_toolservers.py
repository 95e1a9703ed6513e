"""What `heddle status` tells of tool servers, out of the numbers of several workers."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from heddle.cli import status as status_module
from heddle.cli.main import main
from heddle.cli.toolservers import target_states
from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_mcp import HttpSpec, McpSpec, McpTargetSpec, StdioSpec
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics

TARGETS = (
    McpTargetSpec(name="files", connect=StdioSpec(command=("files",))),
    McpTargetSpec(name="notes", connect=HttpSpec(url="http://127.0.0.1:1/mcp")),
)
SNAPSHOT = Snapshot(version="v", mcp=McpSpec(targets=TARGETS))


def worker(folder: Path, slot: int) -> Metrics:
    return Metrics(folder / f"metrics-{slot}.bin")


def test_workers_are_counted_and_the_one_that_knows_most_is_believed(tmp_path: Path) -> None:
    first, second = worker(tmp_path, 0), worker(tmp_path, 1)
    for metrics, healthy in ((first, 1), (second, 0)):
        metrics.gauge(names.MCP_TARGET_HEALTHY, target="files").set(healthy)
        metrics.gauge(names.MCP_TARGET_HEALTHY, target="gone").set(1)
    first.gauge(names.MCP_TOOLS, target="files", version="2025-11-25").set(0)
    first.gauge(names.MCP_TOOLS, target="files", version="2026-07-28").set(12)
    second.gauge(names.MCP_TOOLS, target="files", version="2026-07-28").set(3)
    first.gauge(names.DEFINITIONS_WITHHELD, target="files").set(2)
    (tmp_path / "metrics-9.bin").write_bytes(b"torn")
    states = target_states(tmp_path, SNAPSHOT)
    assert states["files"] == {
        "kind": "stdio", "workers": 2, "healthy": 1, "tools": 12, "withheld": 2, "version": "2026-07-28",
    }  # fmt: skip
    assert states["notes"]["version"] == ""
    assert "gone" not in states
    first.close()
    second.close()


STATE = {"kind": "http", "workers": 2, "healthy": 2, "tools": 4, "withheld": 0, "version": "2026-07-28"}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "healthy, 4 tools"),
        ({"withheld": 1}, "healthy, 4 tools, 1 withheld, see `heddle tools list --pending`"),
        ({"healthy": 1}, "healthy for 1 of 2 workers, 4 tools"),
        ({"healthy": 0}, "unhealthy, 4 tools"),
        ({"healthy": 0, "tools": 0, "version": ""}, "unhealthy"),
        ({"version": ""}, "not asked yet"),
    ],
)
def test_a_target_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    shown = {"heddle": "1", "uptime_s": 1, "version": "v", "workers": [1], "restarts": 0, "virtual_keys": 0}
    shown |= {"rejected": "", "stdio_host": 7, "mcp_targets": {"notes": STATE | changed}}
    shown["snapshot"] = {"mcp": {"servers": [{"name": "default", "path": "/mcp", "targets": [{"target": "notes"}]}]}}
    monkeypatch.setattr(status_module.Mesh, "ask", lambda self, path: shown)
    children = [{"sessions": 2}, {"sessions": 1}]
    running = {"children": children, "restarts": 4, "command": "notes", "error": "exited with 1"}
    monkeypatch.setattr(status_module, "host_status", lambda state: {"notes": running})
    result = CliRunner().invoke(main, ["status", "--state", str(tmp_path)])
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("target")]
    assert line.split(None, 4)[1:3] == ["notes", "http"]
    assert line.endswith(f" {told}")
    assert "server     default      /mcp             notes" in result.output
    assert "2 running, 3 sessions, 4 restarts: notes" in result.output
    assert "exited with 1" in result.output
