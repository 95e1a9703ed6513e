"""What does a governed tool call cost, next to gateways and proxies for MCP? How much later does it come? What is a
session's price in memory?

Ours checks a key, authorizes the tool, keeps a limit, counts and writes an access record. FastMCP's proxy does none of
that; ContextForge checks a token. An answer counts when the upstream saw its call: gateways that answer with errors are
not measured.
"""

import asyncio
import resource
import time
from dataclasses import dataclass
from statistics import median

import uvloop

from bench.figures import Options, Result, Target
from bench.gateways import Rig
from bench.load import Cost, Report
from bench.mcp_load import CONNECTIONS, Endpoint, paced, reached, requests, wrk
from bench.mcp_peers import PEERS, McpGateway, heddle, installed, upstream

SECONDS = 5.0
WARM_UP_S = 2.0
RATE = 1000
SESSIONS = 5000
ERAS = {"2026-07-28": True, "session": False}
CLAIMS = {"2026-07-28": 12_000, "session": 10_000}
RATIOS = {"fastmcp": 300, "contextforge": 150}


def run(options: Options) -> Result:
    """Both eras, each gateway in turn, `rounds` times; then latency at a steady rate, then sessions."""
    result = Result(
        f"MCP tools/call, {CONNECTIONS} connections",
        ["gateway", "era", "calls/s", "p50 ms", "p99 ms", "CPU us/call", "RSS MB", "errors", "ours / theirs"],
    )
    seconds = options.seconds or SECONDS
    wanted = [name for name in PEERS if name in options.peers and installed(name)]
    for era, modern in ERAS.items():
        _speed(result, era, modern, [n for n in wanted if not (modern and n == "contextforge")], options, seconds)
    if "heddle" in wanted:
        _latency(result, seconds)
        _sessions(result)
    return result


@dataclass
class Asked:
    """A gateway, its sessions, and what it cost in each round."""

    gateway: McpGateway
    sessions: list[str]
    costs: list[Cost]


def _speed(result: Result, era: str, modern: bool, names: list[str], options: Options, seconds: float) -> None:
    with Rig() as rig:
        alone = upstream(rig, "modern" if modern else "legacy")
        asked = {}
        for gateway in [alone, *(PEERS[name](rig, modern) for name in names)]:
            sessions = [] if modern else [gateway.endpoint.open() for _ in range(CONNECTIONS)]
            asked[gateway.name] = Asked(gateway, [one for one in sessions if one], [])
        for one in asked.values():
            _measure(rig, one, min(WARM_UP_S, seconds))
        for _ in range(options.rounds):
            for one in asked.values():
                one.costs.append(_measure(rig, one, seconds))
    _fill(result, era, asked)


def _measure(rig: Rig, asked: Asked, seconds: float) -> Cost:
    """One run of wrk, and the CPU that was used meanwhile. RuntimeError when answers came that no call had reached."""
    gateway = asked.gateway
    path = rig.write(f"{gateway.name}.requests", requests(gateway.endpoint, asked.sessions))
    before, arrived = gateway.process.cpu_s(), reached(rig.upstream)
    report = wrk(gateway.endpoint.port, seconds, path)
    arrived = reached(rig.upstream) - arrived
    if arrived < report.requests - report.errors:
        raise RuntimeError(f"{gateway.name}: {report.requests} answers, but {arrived} calls reached the tool server")
    used = {pid: after - before.get(pid, 0.0) for pid, after in gateway.process.cpu_s().items()}
    worker = max(used, key=lambda pid: used[pid])
    # A slow gateway may answer nothing within a short run.
    calls = max(report.requests, 1)
    size = gateway.process.rss_mb().get(worker, 0.0)
    return Cost(report, used[worker] / calls * 1e6, sum(used.values()) / calls * 1e6, size)


def _fill(result: Result, era: str, asked: dict[str, Asked]) -> None:
    speeds = {name: median(cost.report.rps for cost in one.costs) for name, one in asked.items()}
    ours = speeds.get("heddle")
    for name, one in asked.items():
        reports: list[Report] = [cost.report for cost in one.costs]
        result.rows.append(
            [
                name,
                era,
                speeds[name],
                median(report.p50_ms for report in reports),
                median(report.p99_ms for report in reports),
                median(cost.worker_us for cost in one.costs),
                one.costs[-1].worker_rss_mb,
                sum(report.errors for report in reports),
                ours / speeds[name] if ours and speeds[name] else None,
            ]
        )
        if ours and speeds[name] and name in RATIOS:
            what = f"our calls/s / {name}'s, {era}"
            result.targets.append(Target(what, ours / speeds[name], at_least=RATIOS[name]))
    if ours:
        errors = sum(cost.report.errors for cost in asked["heddle"].costs)
        result.targets.append(Target(f"calls/s, {era}", ours, at_least=CLAIMS[era]))
        result.targets.append(Target(f"errors, {era}", float(errors), at_most=0))


def _latency(result: Result, seconds: float) -> None:
    """How much later the median call comes at a steady rate than from the upstream itself."""
    for era, modern in ERAS.items():
        with Rig() as rig:
            alone = upstream(rig, "modern" if modern else "legacy")
            ours = heddle(rig, modern)
            took = {gateway.name: _paced(gateway.endpoint, seconds) for gateway in (alone, ours)}
        added = took["heddle"] - took[alone.name]
        result.rows.append(["heddle", f"{era}, {RATE}/s", float(RATE), took["heddle"], None, None, None, None, None])
        result.targets.append(Target(f"added p50 ms at {RATE} calls/s, {era}", added, at_most=0.5))


def _paced(endpoint: Endpoint, seconds: float) -> float:
    sessions = [] if endpoint.modern else [endpoint.open() for _ in range(CONNECTIONS)]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(paced(endpoint, sessions, RATE, min(WARM_UP_S, seconds)))
        return runner.run(paced(endpoint, sessions, RATE, seconds))


def _sessions(result: Result) -> None:
    """Memory of many sessions, each of which has called the tool; then of as many that listen, too."""
    with Rig() as rig:
        upstream(rig, "legacy")
        ours = heddle(rig, False)
        time.sleep(1.0)
        idle = sum(ours.process.rss_mb().values())
        sessions = [ours.endpoint.open() for _ in range(SESSIONS)]
        if not all(ours.endpoint.works(session) for session in sessions):
            raise RuntimeError("a session does not work")
        grown = sum(ours.process.rss_mb().values()) - idle
        result.rows.append(["heddle", f"{SESSIONS} sessions", None, None, None, None, idle + grown, 0, None])
        result.targets.append(Target(f"MB of {SESSIONS} sessions beyond idle", grown, at_most=60))
        listening = asyncio.run(_listening(ours, sessions[: _descriptors()]))
        what = f"{listening[0]} sessions that listen"
        result.rows.append(["heddle", what, None, None, None, None, listening[1], 0, None])


def _descriptors() -> int:
    """How many streams can be held at once: both ends' limit, less what else is open."""
    return min(SESSIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)


async def _listening(ours: McpGateway, sessions: list[str]) -> tuple[int, float]:
    """Opens the stream of each session; how many, and the gateway's MB while they are open."""
    open_streams = []
    for session in sessions:
        reader, writer = await asyncio.open_connection("127.0.0.1", ours.endpoint.port)
        fields = {"host": "127.0.0.1", **ours.endpoint.fields(session), "accept": "text/event-stream"}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"GET {ours.endpoint.path} HTTP/1.1\r\n{head}\r\n".encode())
        status = await asyncio.wait_for(reader.readline(), 10)
        if b" 200 " not in status:
            raise RuntimeError(f"a stream is not opened: {status!r}")
        open_streams.append(writer)
    size = sum(ours.process.rss_mb().values())
    for writer in open_streams:
        writer.close()
    return len(open_streams), size
