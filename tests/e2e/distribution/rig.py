"""Distribution with a source of the test's own, and gateways that follow it, in one loop over real sockets."""

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from heddle.controlplane.access.authority import Authority
from heddle.controlplane.distribution import Distribution, Listening, Part, Settled, serve
from heddle.controlplane.distribution.joining import Joining
from heddle.dataplane.subscription.client import About, RejectedError, Subscription
from heddle.dataplane.subscription.identity import Identity
from heddle.dataplane.subscription.kept import FILE, Kept
from heddle.dataplane.subscription.reaching import join
from heddle.drivers.sealing import Sealing
from heddle.model.parts import SnapshotPart, encode_body, encode_part
from heddle.model.snapshot import ListenerSpec, ModelSpec, Snapshot
from heddle.wire.delta import Interest

EDGE = Interest("default/edge")
INNER = Interest("default/inner")


def part(name: str, body: object, *gateways: str, secrets: tuple[str, ...] = ()) -> tuple[str, Part]:
    """For these gateways, or for all."""
    data = encode_part(SnapshotPart(body=encode_body(body), secrets=secrets))
    return name, Part(data, frozenset(gateways) if gateways else None)


def listener(name: str, *gateways: str) -> tuple[str, Part]:
    return part(f"listener/{name}", ListenerSpec(name=name, address="127.0.0.1", port=8080, protocol="HTTP"), *gateways)


def model(name: str, *gateways: str) -> tuple[str, Part]:
    return part(f"model/{name}", ModelSpec(name=name, provider="p"), *gateways)


def provider(name: str, secret: str, *gateways: str) -> tuple[str, Part]:
    body = {"spec": {"name": name, "type": "openai", "credential": "\0" + secret}}
    return part(f"provider/{name}", body, *gateways, secrets=(secret,))


def secret(name: str, value: str, *gateways: str) -> tuple[str, Part]:
    return part(f"secret/{name}", value, *gateways)


class FakeSource:
    """What a compiler would have settled on, said by the test."""

    def __init__(self, parts: Iterable[tuple[str, Part]], version: int = 1, lineage: str = "one") -> None:
        self.lineage = lineage
        self.version = version
        self.pending: dict[str, Part | None] | None = dict(parts)
        self.all = dict(parts)
        self.failures = 0

    def change(self, *parts: tuple[str, Part | None]) -> None:
        self.version += 1
        self.pending = {**(self.pending or {}), **dict(parts)}
        for name, part in parts:
            if part is None:
                self.all.pop(name, None)
            else:
                self.all[name] = part

    async def settle(self) -> Settled | None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the compiler has a defect")
        pending, self.pending = self.pending, None
        return Settled(self.version, pending) if pending is not None else None

    def again(self) -> "FakeSource":
        """The same store, read by another process."""
        return FakeSource(self.all.items(), self.version, self.lineage)


class Plane:
    """A control plane that can be ended and started."""

    def __init__(self, state: Path, source: FakeSource) -> None:
        self.state = state
        self.source = source
        self.authority = Authority(state, time.time)
        self.joining = Joining(state, self.authority)
        self.port = 0
        self.running: Distribution | None = None

    async def start(self) -> "Plane":
        self.running = await serve(self.source, self.authority, self.joining, Listening(port=self.port))
        self.port = self.running.address[1]
        return self

    async def stop(self) -> None:
        if self.running is not None:
            await self.running.close()
            self.running = None

    async def restart(self) -> None:
        await self.stop()
        self.source = self.source.again()
        await self.start()

    def change(self, *parts: tuple[str, Part | None]) -> None:
        self.source.change(*parts)
        if self.running is not None:
            self.running.changed()

    def record(self, name: str) -> object:
        assert self.running is not None
        return self.running.roll.get(name)


class Gateway:
    """What follows; `runs` is every snapshot its workers took."""

    def __init__(self, plane: Plane, identity: Identity, state: Path, place: tuple[str, int] | None = None) -> None:
        self.runs: list[Snapshot] = []
        self.said: list[str] = []
        self.refuse: Callable[[Snapshot], str] = lambda _: ""
        self.path = "listeners/web"
        """What is named when it refuses."""
        self.pause_s = 0.0
        self.lacks: dict[str, str] = {}
        """Listeners that it cannot have."""
        self.kept = Kept(state / FILE, identity.interest, Sealing(state / "seal.keys"))
        self.subscription = Subscription(
            [place or ("127.0.0.1", plane.port)], identity, About("node", "1"), self.kept, self.take, self.said.append
        )

    async def take(self, snapshot: Snapshot) -> dict[str, str]:
        await asyncio.sleep(self.pause_s)
        why = self.refuse(snapshot)
        if why:
            raise RejectedError(why, self.path)
        self.runs.append(snapshot)
        return self.lacks

    @property
    def models(self) -> list[str]:
        return sorted(one.name for one in self.runs[-1].models) if self.runs else []


async def joined(plane: Plane, name: str, interest: Interest, folder: Path) -> Identity:
    """A gateway's identity, had by a token."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    return await join(("127.0.0.1", plane.port), plane.joining.token(name, interest), folder / "gateway.pem")


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """AssertionError when `condition` does not come true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not so within {within_s} s"
        await asyncio.sleep(0.005)
