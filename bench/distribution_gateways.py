"""A thousand gateways in one process: their connections, certificates and verdicts are real, their workers are not.

Owns: what is simulated, which is that a few hold their state and check every update's digest over it, and the others
only that each change begins where the one before ended: a thousand copies of the state would not fit beside it.
"""

import argparse
import asyncio
import json
import ssl
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

from heddle.controlplane.access.authority import Authority
from heddle.controlplane.access.caller import GATEWAYS
from heddle.controlplane.distribution.joining import group_of, user_of
from heddle.dataplane.subscription.identity import SERVER_NAME, server_context
from heddle.wire.delta import (
    HEARTBEAT_S,
    Ack,
    Busy,
    Delta,
    Full,
    Held,
    Hello,
    Interest,
    Ping,
    Point,
    Refused,
    Resync,
    encode,
    frames_to_gateway,
)

EDGE = Interest("default/edge")
WHOLE = 10
"""So many hold their state."""


class Simulated(asyncio.Protocol):
    """A gateway."""

    def __init__(self, name: str, *, whole: bool) -> None:
        self._name = name
        self._held = Held()
        self._at = Point()
        self._whole = whole
        self._frames = frames_to_gateway()
        self._transport: asyncio.Transport | None = None
        self.updates = 0
        self.bytes = 0
        self.faults = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(encode(Hello(self._name, "bench", "1", EDGE)))

    def ping(self) -> None:
        assert self._transport is not None
        self._transport.write(encode(Ping()))

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        for message in self._frames.feed(data):
            if isinstance(message, Full | Delta):
                self._take(message)
            elif isinstance(message, Busy | Refused):
                self.faults += 1
                print(message, file=sys.stderr)

    def _take(self, update: Full | Delta) -> None:
        assert self._transport is not None
        self.updates += 1
        if isinstance(update, Delta) and update.base.digest != self._at.digest:
            self.faults += 1
            self._transport.write(encode(Resync()))
            return
        if self._whole:
            self._held = self._held.after(update)
        self._at = update.to
        self._transport.write(encode(Ack(update.to)))


def contexts(state: Path, count: int) -> list[ssl.SSLContext]:
    """A certificate for each."""
    authority = Authority(state, time.time)
    made = []
    path = state / "bench.pem"
    for number in range(count):
        pair = authority.issue(user_of(f"bench-{number}"), (GATEWAYS, group_of(EDGE.gateway)), 86_400)
        path.write_bytes(pair.key + pair.certificate)
        context = server_context(authority.ca_pem.decode())
        context.load_cert_chain(path)
        made.append(context)
    path.unlink()
    return made


async def run(state: Path, port: int, count: int) -> None:
    """Connect all, then live until standard input closes."""
    loop = asyncio.get_running_loop()
    made = await asyncio.to_thread(contexts, state, count)
    gateways: list[Simulated] = []
    begun_s = time.monotonic()
    for start in range(0, count, 50):
        batch = made[start : start + 50]
        opened = await asyncio.gather(
            *(
                loop.create_connection(
                    lambda name=f"bench-{start + at}", whole=start + at < WHOLE: Simulated(name, whole=whole),  # type: ignore[misc]
                    "127.0.0.1",
                    port,
                    ssl=context,
                    server_hostname=SERVER_NAME,
                )
                for at, context in enumerate(batch)
            )
        )
        gateways += [protocol for _, protocol in opened]
    print(json.dumps({"connected": len(gateways), "took_s": time.monotonic() - begun_s}), flush=True)
    over = loop.run_in_executor(None, sys.stdin.buffer.read)
    while not over.done():
        for gateway in gateways:
            gateway.ping()
            # Spread over the beat, as those of machines that started at different times are.
            await asyncio.sleep(HEARTBEAT_S / count)
            if over.done():
                break
    faults, updates = sum(one.faults for one in gateways), sum(one.updates for one in gateways)
    print(json.dumps({"faults": faults, "updates": updates, "bytes": sum(one.bytes for one in gateways)}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gateways", type=int, required=True)
    given = parser.parse_args()
    uvloop.run(run(given.state, given.port, given.gateways))
