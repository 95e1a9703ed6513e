"""A control plane with many routes, which says when every gateway runs what was declared last.

Owns: filling the store, past the API, with what a large mesh declares; from then on it is the control plane as it is.
Prints a line of JSON when it serves, and one each time the last of the expected gateways has acknowledged.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import uvloop

from heddle.controlplane import tuning
from heddle.controlplane.access.caller import CONTROL_PLANE
from heddle.controlplane.distribution.listening import Listening
from heddle.controlplane.distribution.running import Gateways
from heddle.controlplane.process import ControlPlane, Settings
from heddle.controlplane.store import Store
from heddle.drivers.documents import Author, Key, Write

ROUTES = "httproutes.gateway.networking.k8s.io"
BATCH = 500


def metadata(name: str) -> dict[str, Any]:
    """As the API would have made it."""
    made = {"uid": str(uuid.uuid4()), "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1}
    return {"name": name, "namespace": "default", **made}


def declared(count: int) -> list[tuple[Key, dict[str, Any]]]:
    """A Gateway, who may call it, a Service, and so many routes."""
    api = "gateway.networking.k8s.io/v1"
    gateway: dict[str, Any] = {
        "gatewayClassName": "heddle",
        "listeners": [{"name": "web", "protocol": "HTTP", "port": 8080}],
    }
    gateway["addresses"] = [{"type": "IPAddress", "value": "127.0.0.1"}]
    policy = {"authentication": [{"type": "none"}]}
    service = {"ports": [{"port": 80}]}
    found = [
        (
            Key("gateways.gateway.networking.k8s.io", "default", "edge"),
            {"apiVersion": api, "kind": "Gateway", "metadata": metadata("edge"), "spec": gateway},
        ),
        (
            Key("policies.heddle.dev", "default", "open"),
            {"apiVersion": "heddle.dev/v1alpha1", "kind": "Policy", "metadata": metadata("open"), "spec": policy},
        ),
        (
            Key("services", "default", "app"),
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata("app"), "spec": service},
        ),
    ]
    for number in range(count):
        rule = {
            "matches": [{"path": {"type": "PathPrefix", "value": f"/tenant-{number}"}}],
            "backendRefs": [{"name": "app", "port": 80, "weight": 1}],
        }
        spec = {"parentRefs": [{"name": "edge"}], "hostnames": [f"t{number}.example"], "rules": [rule]}
        name = f"route-{number:05}"
        body = {"apiVersion": api, "kind": "HTTPRoute", "metadata": metadata(name), "spec": spec}
        found.append((Key(ROUTES, "default", name), body))
    return found


async def fill(store: Store, count: int) -> None:
    """Write them all."""
    objects = declared(count)
    author = Author(CONTROL_PLANE.name, "bench", "create")
    for start in range(0, len(objects), BATCH):
        batch = objects[start : start + BATCH]
        await store.write([Write(key, json.dumps(body).encode(), 0, author, time.time()) for key, body in batch])


async def say_when_all_run(gateways: Gateways, expected: int) -> None:
    """Print it once for each state."""
    distribution = gateways.distribution
    assert distribution is not None
    hub, told, news = distribution.hub, "", asyncio.Event()
    distribution.roll.on_change(lambda _: news.set())
    while True:
        await news.wait()
        news.clear()
        followers = hub.followers()
        if len(followers) < expected or followers[0].view.at.digest == told:
            continue
        at = followers[0].view.at
        if all(follower.base.digest == at.digest for follower in followers):
            told = at.digest
            print(json.dumps({"all": at.version, "at_s": time.monotonic()}), flush=True)


async def run(state: Path, routes: int, expected: int) -> None:
    """Serve until SIGTERM; where no gateway is expected, the API alone."""
    plane = ControlPlane(Settings(state_dir=state, port=0))
    await plane.start()
    await fill(plane.store, routes)
    if expected:
        gateways = Gateways(plane.store, plane.authority, state, Listening(port=0))
        await gateways.start()
        saying = asyncio.create_task(say_when_all_run(gateways, expected))
    port = gateways.address[1] if expected else 0
    tuning.settle()
    print(json.dumps({"api": plane.address[1], "gateways": port, "pid": os.getpid()}), flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    if expected:
        saying.cancel()
        await gateways.stop()
    await plane.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--routes", type=int, required=True)
    parser.add_argument("--gateways", type=int, required=True)
    given = parser.parse_args()
    tuning.tune()
    sys.exit(uvloop.run(run(given.state, given.routes, given.gateways)))
