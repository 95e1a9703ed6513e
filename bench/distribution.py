"""How soon does the last of a thousand gateways run a change, and what do they cost a control plane that is idle?

Owns: the three processes of the question, and what is timed: from the request that changes one of 5,000 routes, through
the API, the store on the disk and the compiler, to the moment at which the control plane has read the last
acknowledgement. Refuses: measuring what a gateway's workers need for it, which is what `reload` asks.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.figures import Options, Result, Target
from bench.gateways import HOME
from bench.processes import TICKS_PER_S
from heddle.controlplane.access.authority import Authority
from heddle.controlplane.access.caller import ADMINS
from heddle.drivers.kube import Reach
from heddle.drivers.kube.client import Api
from heddle.net.client import Client

GATEWAYS = 1_000
ROUTES = 5_000
CHANGES = 100
IDLE_S = 10.0
PAUSE_S = 0.15
"""Between two changes: longer than the tenth of a second for which changes are gathered."""
PATIENCE_S = 10.0


class Lines:
    """A child that says what it does in lines of JSON."""

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def next(self) -> dict[str, Any]:
        """The next line. Raises RuntimeError when it ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        """Have it end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(20)


def cpu_s(pid: int) -> float:
    """Seconds of the processor that a process has used."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])) / TICKS_PER_S


def _rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


async def _changes(plane: Lines, said: dict[str, Any], state: Path, count: int) -> list[float]:
    """Seconds that each change took to be acknowledged by all."""
    authority = Authority(state, time.time)
    pair = authority.issue("bench", (ADMINS,), 3_600)
    ca, certificate, key = (pem.decode() for pem in (authority.ca_pem, pair.certificate, pair.key))
    server = f"https://127.0.0.1:{said['api']}"
    client = Client()
    api = Api(Reach(server=server, ca=ca, certificate=certificate, key=key), client)
    took: list[float] = []
    for number in range(count):
        route = (number * 37) % ROUTES
        path = f"/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/route-{route:05}"
        patch = {"spec": {"hostnames": [f"t{route}-{number}.example"]}}
        begun_s = time.monotonic()
        await api.send("PATCH", path, body=patch, headers={"content-type": "application/merge-patch+json"})
        at_s = (await asyncio.to_thread(plane.next))["at_s"]
        took.append(at_s - begun_s)
        await asyncio.sleep(PAUSE_S)
    api.close()
    await client.close()
    return took


def run(options: Options) -> Result:
    """One change at a time; then nothing at all, for a while."""
    count = min(options.calls or CHANGES, CHANGES)
    result = Result(
        "Changes to a thousand gateways",
        [
            "gateways",
            "routes",
            "changes",
            "median ms",
            "p99 ms",
            "max ms",
            "plane CPU ms",
            "idle % of a core",
            "RSS MB",
        ],
    )
    HOME.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME, prefix="plane-") as folder:
        state = Path(folder)
        plane = Lines(
            "bench.distribution_plane", "--state", folder, "--routes", str(ROUTES), "--gateways", str(GATEWAYS)
        )
        gateways: Lines | None = None
        try:
            said = plane.next()
            gateways = Lines(
                "bench.distribution_gateways",
                *("--state", folder, "--port", str(said["gateways"]), "--gateways", str(GATEWAYS)),
            )
            connected = gateways.next()
            plane.next()
            time.sleep(5)
            before_s, begun_s = cpu_s(said["pid"]), time.monotonic()
            time.sleep(options.seconds or IDLE_S)
            idle = 100 * (cpu_s(said["pid"]) - before_s) / (time.monotonic() - begun_s)
            rss = _rss_mb(said["pid"])
            used_s = cpu_s(said["pid"]), cpu_s(gateways.process.pid)
            took = sorted(asyncio.run(_changes(plane, said, state, count)))
            used_ms = [
                1000 * (now_s - then_s) / count
                for now_s, then_s in zip((cpu_s(said["pid"]), cpu_s(gateways.process.pid)), used_s, strict=True)
            ]
            rss = max(rss, _rss_mb(said["pid"]))
        finally:
            if gateways is not None:
                gateways.end()
            plane.end()
    p99 = took[min(int(len(took) * 0.99), len(took) - 1)] * 1000
    result.rows.append([GATEWAYS, ROUTES, count, median(took) * 1000, p99, took[-1] * 1000, used_ms[0], idle, rss])
    result.targets += [
        Target("ms from a change to the last acknowledgement, p99", p99, at_most=250),
        Target("% of a core, idle with all connected", idle, at_most=5),
        Target("MB of the control plane with all connected", rss, at_most=300),
    ]
    result.notes.append(
        f"All {connected['connected']} connected in {connected['took_s']:.1f} s, each by mTLS 1.3 with its own "
        "certificate. Gateways are simulated in one process: ten hold their state and check its digest, the others "
        "that each change begins where theirs ended. The plane, the gateways and the caller share "
        f"{os.cpu_count()} cores; a change costs the simulated gateways {used_ms[1]:.0f} ms of CPU together."
    )
    return result
