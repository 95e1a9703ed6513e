"""What is written down of calls to tool servers, how often it has to be made anew, and whose names it takes."""

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from heddle.dataplane import recording
from heddle.dataplane.recording import Recorder
from heddle.drivers.ledger import Entry
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot import ListenerSpec, LoggingSpec, ObservabilitySpec, SinkSpec, Snapshot, TracingSpec
from heddle.model.snapshot_budgets import LedgerSpec
from heddle.net.body import Body
from heddle.net.message import Peer, Request
from heddle.pipeline.assembly import Clock
from heddle.pipeline.errors import Reason
from heddle.pipeline.exchange import Exchange
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.spool import Spool
from heddle.telemetry.trace import fresh

ALICE = Principal(tenant="dev", user="alice", agent="planner", key_id="key-a")
LISTENER = ListenerSpec(name="mcp", address="127.0.0.1", port=0, protocol="MCP")


def tool(name: str = "fs__read", stable: str = "files/read_file", **fields: Any) -> McpCall:
    target, _, own = stable.partition("/")
    base: dict[str, Any] = {"method": "tools/call", "server": "default", "version": "2026-07-28", "kind": "tool"}
    return McpCall(**{**base, "name": name, "target": target, "target_name": own, "size": 120, **fields})


class World:
    """A recorder, and what it wrote."""

    def __init__(self, folder: Path, ratio: float = 0.0) -> None:
        self.folder = folder
        self.metrics = Metrics.in_memory()
        self.entries: list[Entry] = []
        snapshot = Snapshot(
            version="v",
            ledger=LedgerSpec(enabled=True),
            observability=ObservabilitySpec(
                logging=LoggingSpec(sinks=(SinkSpec(type="stdout"),)),
                tracing=TracingSpec(enabled=True, endpoint="c:4317", sample_ratio=ratio),
            ),
        )
        self.spool = Spool(folder / "spool", 0)
        self.spool.configure(snapshot.observability)
        tools: Any = SimpleNamespace(
            closers=[], metrics=self.metrics, clock=Clock(time.time, time.monotonic),
            ledger=SimpleNamespace(append=self.entries.append),
        )  # fmt: skip
        self.recorder = Recorder(snapshot, tools, self.spool)
        self.ratio = ratio

    async def end(self, call: McpCall, *, path: str = "/mcp", asked: bool = True, **fields: Any) -> dict[str, Any]:
        """The access record of a call that ended."""
        request = Request("POST", path, "", [(b"host", b"h")], Body.of(b""), Peer("127.0.0.1", 1, False))
        exchange = Exchange(request, LISTENER, call.method, fresh(self.ratio), time.monotonic() - 0.01)
        exchange.principal, exchange.mcp = ALICE, call
        exchange.upstream_s = time.monotonic() - 0.005 if asked else 0.0
        for name, value in fields.items():
            setattr(exchange, name, value)
        self.recorder.record(exchange, 200, 77)
        await asyncio.sleep(0)
        return self.written("access")[-1]

    def written(self, kind: str) -> list[dict[str, Any]]:
        self.spool.flush()
        paths = sorted((self.folder / "spool").glob(f"{kind}-*.jsonl"))
        return [msgspec.json.decode(line) for path in paths for line in path.read_bytes().splitlines()]

    def counted(self, outcome: str, tool: str = "fs__read", target: str = "files") -> float:
        return self.metrics.counter(names.MCP_CALLS, server="default", target=target, tool=tool, outcome=outcome).value

    @property
    def kinds(self) -> int:
        return len(self.recorder._kinds)


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = World(tmp_path)
    yield made
    made.spool.close()


async def test_a_record_has_both_names_of_a_tool(world: World) -> None:
    record = await world.end(tool(session="0123abcd", cost_usd=0.5))
    assert {name: record.get(name) for name in ("server", "target", "tool", "target_tool", "session")} == {
        "server": "default", "target": "files", "tool": "fs__read", "target_tool": "read_file", "session": "0123abcd",
    }  # fmt: skip
    assert (record["operation"], record["protocol_version"]) == ("tools/call", "2026-07-28")
    assert (record["bytes_in"], record["bytes_out"], record["cost_usd"]) == (120, 77, 0.5)
    assert record["upstream_ms"] > 0
    assert "prompt" not in record


async def test_prompts_and_resources_bear_their_own_names(world: World) -> None:
    prompt = await world.end(tool("ask", "files/ask", method="prompts/get", kind="prompt"))
    resource = await world.end(tool("file:///a", "files/file:///a", method="resources/read", kind="resource"))
    assert (prompt["prompt"], resource["resource"]) == ("ask", "file:///a")
    assert "tool" not in {**prompt, **resource}
    assert world.counted("ok", "") == 2


async def test_calls_of_one_kind_are_made_once_and_sessions_do_not_part_them(world: World) -> None:
    for number in range(50):
        record = await world.end(tool(session=f"s{number}"))
        assert record["session"] == f"s{number}"
    assert world.kinds == 1
    await world.end(tool(tool_error=True))
    await world.end(tool("fs__write", "files/write"))
    assert world.kinds == 3
    assert (world.counted("ok"), world.counted("tool_error")) == (50, 1)


async def test_names_that_lead_nowhere_are_neither_kept_nor_labels(world: World) -> None:
    for number in range(20):
        record = await world.end(tool(f"guess-{number}", ""), asked=False, reason=Reason.NOT_FOUND)
        assert record["tool"] == f"guess-{number}"
    assert world.kinds == 0
    assert world.counted("error", "unknown", "") == 20
    assert b"guess" not in world.metrics.render()


async def test_what_callers_write_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_KINDS", 30)
    for number in range(100):
        await world.end(tool(f"a://{number}", "files/x", method="resources/read", kind="resource"))
    assert 0 < world.kinds <= 30
    before = world.kinds
    long = "a://" + "x" * 5_000
    record = await world.end(tool(long, f"files/{long}", method="resources/read", kind="resource"))
    await world.end(tool(), path="/mcp" + "/" * 200)
    assert world.kinds == before
    assert len(record["resource"]) == 256
    assert b"a://" not in world.metrics.render()


async def test_a_record_cannot_be_forged_by_a_name(world: World) -> None:
    record = await world.end(tool('x"}\n{"status":500}\x1b[2J\u202e', ""), reason=Reason.NOT_FOUND)
    assert record["tool"].startswith('x"}\n')
    lines = b"".join(path.read_bytes() for path in (world.folder / "spool").glob("access-*"))
    assert lines.count(b"\n") == 1
    assert lines.isascii()


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (None, "ok"),
        (Reason.FORBIDDEN, "denied"),
        (Reason.LIMITED, "limited"),
        (Reason.GUARDED, "guarded"),
        (Reason.UPSTREAM_UNREACHABLE, "unavailable"),
        (Reason.UPSTREAM_TIMEOUT, "unavailable"),
        (Reason.UPSTREAM_ERROR, "error"),
        (Reason.BAD_REQUEST, "error"),
    ],
)
async def test_outcomes(world: World, reason: Reason | None, outcome: str) -> None:
    await world.end(tool(), reason=reason)
    assert world.counted(outcome) == 1
    assert world.metrics.histogram(names.MCP_CALL_DURATION, server="default", target="files").count == 1


async def test_lists_are_no_calls_of_tools_and_sessions_are_counted(world: World) -> None:
    await world.end(tool("", "", method="tools/list", kind="server"))
    await world.end(tool("", "", method="initialize", kind="server"))
    await world.end(tool("", "", method="initialize", kind="server"), reason=Reason.BAD_REQUEST)
    assert b"heddle_mcp_calls_total{" not in world.metrics.render()
    assert world.metrics.counter(names.MCP_SESSIONS, server="default").value == 1


async def test_a_tool_costs_once_its_target_was_asked(world: World) -> None:
    await world.end(tool(cost_usd=0.25))
    await world.end(tool(cost_usd=0.25), reason=Reason.GUARDED)
    free = await world.end(tool(cost_usd=0.25), asked=False, reason=Reason.FORBIDDEN)
    await world.end(tool())
    assert "cost_usd" not in free
    cost = world.metrics.counter(names.MCP_COST_USD, server="default", tool="fs__read", tenant="other")
    assert cost.value == 0.5
    first, second = world.entries
    assert (first.tool, first.target, first.server, first.nano_usd) == (
        "files/read_file",
        "files",
        "default",
        25 * 10**7,
    )
    assert (first.tenant, first.user, first.key, first.model) == ("dev", "alice", "key-a", "")
    assert (first.operation, second.reason) == ("tools/call", "guarded")


async def test_rounds_of_one_call_cost_once(world: World) -> None:
    asking = await world.end(tool(cost_usd=0.25, asks_back=True))
    again = await world.end(tool(cost_usd=0.25))
    assert ("cost_usd" in asking, again["cost_usd"], len(world.entries)) == (False, 0.25, 1)
    assert (world.counted("asking"), world.counted("ok")) == (1, 1)


async def test_what_goes_on_with_a_call_is_not_another(world: World) -> None:
    await world.end(tool("", "", kind="server"))
    assert b"heddle_mcp_calls_total{" not in world.metrics.render()


async def test_a_span_knows_the_id_of_its_request(tmp_path: Path) -> None:
    world = World(tmp_path, ratio=1.0)
    await world.end(tool(request_id=b'"r-1"'))
    (span,) = world.written("spans")
    assert (span["request_id"], span["call"]["tool"]) == ("r-1", "fs__read")
    assert "content" not in json.dumps(span)
    world.spool.close()
