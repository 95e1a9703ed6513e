"""The control plane is killed under load and stays away, a gateway is restarted meanwhile: no call fails.

Two gateways on machines of their own, as far as the control plane can tell, and callers as a balancer in front of them
is: a connection that is refused goes to the other one, anything else that is no answer has failed. While the control
plane is away, one gateway ends as it is asked to and starts again from what it kept; then the control plane comes back,
and a change reaches both.
"""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Result, Target
from tests.e2e.running import eventually, free_ports

GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: default}}
spec:
  gatewayClassName: heddle
  addresses: [{{type: IPAddress, value: 127.0.0.1}}]
  infrastructure: {{parametersRef: {{group: heddle.dev, kind: GatewayParameters, name: {name}}}}}
  listeners:
    - {{name: llm, protocol: HTTP, port: {port}}}
---
apiVersion: heddle.dev/v1alpha1
kind: GatewayParameters
metadata: {{name: {name}, namespace: default}}
spec:
  admin: {{address: 127.0.0.1, port: {admin_port}}}
---
"""
SHARED = """\
apiVersion: heddle.dev/v1alpha1
kind: Backend
metadata: {name: offline, namespace: default}
spec: {provider: {name: offline, type: scripted, options: {tokens_per_s: 0, first_token_s: 0}}}
---
apiVersion: heddle.dev/v1alpha1
kind: Policy
metadata: {name: open, namespace: default}
spec: {authentication: [{type: none}]}
---
"""
MODEL = """\
apiVersion: heddle.dev/v1alpha1
kind: Model
metadata: {{name: {name}, namespace: default}}
spec: {{name: {name}, provider: offline}}
---
"""
CALLERS = 4
CALLS_PER_S = 50
"""Of all callers together: what is asked here is whether any fails, and not how many are borne."""


class Running:
    """A process of the proof, started again as it was."""

    def __init__(self, folder: Path, name: str, *command: str) -> None:
        self.log = folder / f"{name}.out"
        self._command = [sys.executable, "-m", *command]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Running":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=dict(os.environ))
        return self

    def stop(self) -> int:
        """As asked; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(20)

    def kill(self) -> None:
        """However it is."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Machines:
    """A control plane and two gateways that joined it."""

    def __init__(self, folder: Path) -> None:
        self.ports = dict(zip("ab", free_ports(2), strict=True))
        admin_ports = dict(zip("ab", free_ports(2), strict=True))
        api, stream = free_ports(2)
        self.declared = folder / "declared"
        self.declared.mkdir(parents=True)
        gateways = [GATEWAY.format(name=n, port=self.ports[n], admin_port=admin_ports[n]) for n in "ab"]
        (self.declared / "mesh.yaml").write_text("".join(gateways) + SHARED + MODEL.format(name="first"))
        state = folder / "plane"
        self.plane = Running(
            folder,
            "plane",
            *("heddle.controlplane.whole", "--state", str(state), "--port", str(api)),
            *("--gateways-port", str(stream), "--folder", str(self.declared)),
        ).start()
        eventually(lambda: (state / "control-plane" / "ca.crt").exists(), 60)
        self.gateways = {}
        for name in "ab":
            made = [sys.executable, "-m", "heddle", "gateway-token", name, "--state", str(state)]
            token = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
            arguments = ["--control-plane", f"127.0.0.1:{stream}", "--join", token, "--state", str(folder / name)]
            self.gateways[name] = Running(folder, f"gateway-{name}", "heddle", "gateway", *arguments).start()

    def models(self, name: str) -> set[str]:
        """What a gateway offers; nothing while it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=5)
        try:
            connection.request("GET", "/v1/models")
            return {one["id"] for one in json.loads(connection.getresponse().read())["data"]}
        except (OSError, http.client.HTTPException):
            return set()
        finally:
            connection.close()

    def serving(self, model: str, *names: str) -> Callable[[], bool]:
        """A condition."""
        return lambda: all(model in self.models(name) for name in names or "ab")

    def end(self) -> None:
        """Everything."""
        for one in (*self.gateways.values(), self.plane):
            one.kill()


class Load:
    """Calls, one after another by several callers, until the block is left."""

    def __init__(self, ports: list[int], calls_per_s: float = 800) -> None:
        """At most so many calls a second."""
        self._ports, self._pause_s = ports, CALLERS / calls_per_s
        self._stop = threading.Event()
        self.calls = 0
        self.failed: list[str] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(CALLERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, number: int) -> None:
        body = json.dumps({"model": "first", "messages": [{"role": "user", "content": "hello"}]})
        while not self._stop.is_set():
            number += 1
            outcome = self._once(body, number)
            with self._lock:
                self.calls += 1
                if outcome:
                    self.failed.append(outcome)
            time.sleep(self._pause_s)

    def _once(self, body: str, number: int) -> str:
        """Why it failed; empty when it was answered."""
        for turn in range(len(self._ports)):
            connection = http.client.HTTPConnection("127.0.0.1", self._ports[(number + turn) % 2], timeout=20)
            try:
                connection.connect()
            except ConnectionRefusedError:
                continue
            except OSError as exc:
                return f"connect: {exc!r}"
            try:
                connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
                return "" if answer.status == 200 else f"{answer.status} {content[:200]!r}"
            except (OSError, http.client.HTTPException) as exc:
                return repr(exc)
            finally:
                connection.close()
        return "nobody listens"


@contextlib.contextmanager
def machines(folder: Path) -> Iterator[Machines]:
    """Running, with both gateways serving."""
    made = Machines(folder)
    try:
        eventually(made.serving("first"), 90)
        yield made
    finally:
        made.end()


def away(folder: Path, seconds: float, calls_per_s: float = 800) -> Load:
    """Have the control plane away for so long; what became of the calls."""
    with machines(folder) as made, Load(list(made.ports.values()), calls_per_s) as load:
        time.sleep(1)
        made.plane.kill()
        time.sleep(seconds / 3)
        assert made.gateways["a"].stop() == 0
        time.sleep(1)
        made.gateways["a"].start()
        eventually(made.serving("first"), 60)
        time.sleep(max(seconds * 2 / 3, 1))
        made.plane.start()
        with (made.declared / "mesh.yaml").open("a") as file:
            file.write(MODEL.format(name="second"))
        eventually(made.serving("second"), 90)
    return load


def run(folder: Path, size: int) -> Result:
    """Away for `size` seconds."""
    load = away(folder / "away", size, CALLS_PER_S)
    result = Result("The control plane away under load", ["seconds away", "calls", "failed"])
    result.rows.append([size, load.calls, len(load.failed)])
    result.targets.append(Target("calls", float(load.calls), at_least=size * CALLS_PER_S / 4))
    result.targets.append(Target("failed calls", float(len(load.failed)), at_most=0))
    result.notes += [f"`{one[:300]}`" for one in load.failed[:5]]
    return result
