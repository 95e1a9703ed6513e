"""Audit records of a control plane: on the disk, private, none lost at the end."""

import asyncio
import contextlib
from pathlib import Path

from tests.unit.controlplane.access.rig import ask, caller

from heddle.controlplane.access.audit import Occasion
from heddle.controlplane.access.trail import SLOT, Trail
from heddle.drivers.sinks.tail import Cursor, Spooled

ALICE = caller("alice")


def lines(state_dir: Path) -> list[bytes]:
    return [line for path in sorted((state_dir / "spool").glob("audit-*")) for line in path.read_bytes().splitlines()]


async def test_a_record_is_there_at_once_and_what_was_counted_at_the_end(tmp_path: Path):
    trail = Trail(tmp_path)
    keeping = asyncio.create_task(trail.keep())
    trail.audit.request(ALICE, ask("create", "configmaps", "demo"), 201, 3)
    assert len(lines(tmp_path)) == 1
    for _ in range(10):
        trail.audit.request(ALICE, ask("get", "configmaps", "demo", "x"), 403, 0, Occasion(why="no"))
    await asyncio.sleep(0)
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    assert b'"count":8' in lines(tmp_path)[-1]
    assert not trail.degraded
    (segment,) = (tmp_path / "spool").iterdir()
    assert segment.name.startswith(f"audit-{SLOT}-")
    assert segment.stat().st_mode & 0o777 == 0o600


def test_the_exporter_finds_them(tmp_path: Path):
    trail = Trail(tmp_path)
    trail.audit.request(ALICE, ask("delete", "configmaps", "demo", "x"), 200, 4)
    batch = Spooled(tmp_path / "spool").next(Cursor(tmp_path / "cursor.json"), ("audit",))
    assert batch is not None
    assert [b'"verb":"delete"' in line for line in batch.lines] == [True]
