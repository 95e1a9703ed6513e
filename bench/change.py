"""What does one change cost the control plane, beside a hundred objects, a thousand and ten thousand?

Owns the question by CPU time, which a busy machine does not change much: of the API's write alone, and of everything
that follows from one: the write, the compiler, the delta to gateways, their answers, and the conditions that are
written of the object. What the compiler costs by itself is what `compiling` asks.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.distribution import PAUSE_S, Lines, cpu_s
from bench.figures import Options, Result, Target
from bench.gateways import HOME
from heddle.controlplane.access.authority import Authority
from heddle.controlplane.access.caller import ADMINS
from heddle.drivers.kube import Reach
from heddle.drivers.kube.client import Api
from heddle.net.client import Client

SIZES = (100, 1_000, 10_000)
GATEWAYS = 10
CHANGES = 60
WRITES = 300
"""Changes where nothing follows from them: they cost little."""
WARM = 10
"""Changes that are not counted."""
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes"


async def changes(plane: Lines, port: int, state: Path, size: int, *, followed: bool) -> tuple[float, float]:
    """CPU ms of one change, and the median of milliseconds until it was answered, and acknowledged where `followed`."""
    authority = Authority(state, time.time)
    pair = authority.issue("bench", (ADMINS,), 3_600)
    ca, certificate, key = (pem.decode() for pem in (authority.ca_pem, pair.certificate, pair.key))
    client = Client()
    api = Api(Reach(server=f"https://127.0.0.1:{port}", ca=ca, certificate=certificate, key=key), client)
    took: list[float] = []
    used_s, count = 0.0, CHANGES if followed else WRITES
    for number in range(-WARM, count):
        if number == 0:
            used_s = cpu_s(plane.process.pid)
        route = (number * 37) % size
        patch = {"spec": {"hostnames": [f"t{route}-{number}.example"]}}
        begun_s = time.monotonic()
        path = f"{ROUTES}/route-{route:05}"
        await api.send("PATCH", path, body=patch, headers={"content-type": "application/merge-patch+json"})
        if followed:
            await asyncio.to_thread(plane.next)
        took.append((time.monotonic() - begun_s) * 1e3)
        if followed:
            await asyncio.sleep(PAUSE_S)
    used_s = cpu_s(plane.process.pid) - used_s
    api.close()
    await client.close()
    return used_s * 1e3 / count, median(took[WARM:])


def measure(size: int, gateways: int) -> tuple[float, float]:
    """Likewise, of a control plane with so many routes; with no gateways, of its API and store alone."""
    with tempfile.TemporaryDirectory(dir=HOME, prefix="plane-") as folder:
        arguments = ("--state", folder, "--routes", str(size), "--gateways", str(gateways))
        plane = Lines("bench.distribution_plane", *arguments)
        simulated: Lines | None = None
        try:
            said = plane.next()
            if gateways:
                port = str(said["gateways"])
                simulated = Lines(
                    "bench.distribution_gateways", "--state", folder, "--port", port, "--gateways", str(gateways)
                )
                simulated.next()
                plane.next()
                # What was compiled at the start is told in conditions, a batch at a time.
                settled(plane.process.pid)
            return asyncio.run(changes(plane, said["api"], Path(folder), size, followed=bool(gateways)))
        finally:
            if simulated is not None:
                simulated.end()
            plane.end()


def settled(pid: int) -> None:
    """Return when a process does next to nothing."""
    for _ in range(60):
        before_s = cpu_s(pid)
        time.sleep(0.5)
        if cpu_s(pid) - before_s < 0.05:
            return


def run(options: Options) -> Result:
    """Each size, with gateways and without."""
    del options
    HOME.mkdir(exist_ok=True)
    columns = ["objects", "API write, CPU ms", "answered, ms", "all of it, CPU ms", "acknowledged, ms"]
    result = Result("One change in a control plane", columns)
    result.rows = [[size, *measure(size, 0), *measure(size, GATEWAYS)] for size in SIZES]
    few, many = result.rows[0], result.rows[-1]
    for at, what in ((1, "a write"), (3, "all that follows from one")):
        growth = float(many[at] or 0) / max(float(few[at] or 0), 0.01)
        result.targets.append(Target(f"{what} among {SIZES[-1]:,}, in those among {SIZES[0]}", growth, at_most=1.5))
    result.notes.append(f"{GATEWAYS} simulated gateways, connected by TLS, each sent all routes.")
    return result


if __name__ == "__main__":
    from bench.figures import show

    found = run(Options(None, 1, [], None))
    for row in found.rows:
        print(*map(show, row))
    for target in found.targets:
        print(target.what, round(target.value, 2))
