"""A Kubernetes API server in place of our own store: followed, away, restarted, written to. The server is ours."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heddle.controlplane.access.caller import ADMINS
from heddle.controlplane.kinds import served_kinds
from heddle.controlplane.process import ControlPlane, Settings
from heddle.controlplane.sources.cluster import ClusterStore
from heddle.controlplane.sources.kubernetes import Reflector, key_of
from heddle.drivers.documents import Author, ConflictError, Key, UnavailableError, Write
from heddle.drivers.kube import Reach
from heddle.drivers.kube.client import Api
from heddle.model.kinds import Kind
from heddle.net.client import Client
from heddle.wire.kube.status import ApiError, expired

KINDS = served_kinds()
MAPS, BACKENDS = KINDS.resource("configmaps"), KINDS.resource("backends.heddle.dev")
assert MAPS is not None
assert BACKENDS is not None
FOLLOWED = ("configmaps", "backends.heddle.dev", "models.heddle.dev")


class Rig:
    """A server, and a client of it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.port = 0
        self.client = Client()

    async def start(self) -> None:
        self.plane = ControlPlane(Settings(state_dir=self.state, port=self.port, grace_s=0.5))
        await self.plane.start()
        self.port = self.plane.address[1]

    def api(self) -> Api:
        pair = self.plane.authority.issue("ada", [ADMINS], 3600)
        reach = Reach(
            server=f"https://127.0.0.1:{self.port}",
            ca=self.plane.authority.ca_pem.decode(),
            certificate=pair.certificate.decode(),
            key=pair.key.decode(),
        )
        return Api(reach, self.client)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    await made.start()
    try:
        yield made
    finally:
        await made.client.close()
        await made.plane.stop()


@contextlib.asynccontextmanager
async def followed(rig: Rig) -> AsyncIterator[ClusterStore]:
    store = ClusterStore(rig.api(), KINDS, FOLLOWED)
    async with asyncio.timeout(20):
        await store.start()
    try:
        yield store
    finally:
        await store.stop()


def config_map(name: str, value: str = "1") -> dict[str, Any]:
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"v": value}}


def backend(name: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "default"}
    spec = {"provider": {"type": "scripted"}}
    return {"apiVersion": "heddle.dev/v1alpha1", "kind": "Backend", "metadata": meta, "spec": spec}


async def until(condition: Any) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - what happens is what is looked for
            await asyncio.sleep(0.02)


async def test_everything_is_listed_then_followed(rig: Rig):
    api = rig.api()
    await api.apply(MAPS, config_map("a"), "t")
    async with followed(rig) as store:
        key = Key("configmaps", "default", "a")
        assert store.get(key).object["data"] == {"v": "1"}  # type: ignore[union-attr]
        assert [one.key.name for one in store.list("namespaces")] == ["default", "kube-system"]
        watch, begun = store.watch("configmaps", None, store.version), store.version
        await api.apply(MAPS, config_map("a", "2"), "t")
        await api.apply(MAPS, config_map("b"), "t")
        await api.send("DELETE", "/api/v1/namespaces/default/configmaps/a")
        events = [await asyncio.wait_for(anext(watch), 10) for _ in range(3)]
        assert [(one.kind, one.stored.key.name) for one in events] == [
            ("MODIFIED", "a"),
            ("ADDED", "b"),
            ("DELETED", "a"),
        ]
        assert [one.stored.version for one in events] == [begun + 1, begun + 2, begun + 3]
        assert events[0].previous.object["data"] == {"v": "1"}
        assert store.get(key) is None
    api.close()


async def test_a_server_that_is_away_loses_nothing(rig: Rig):
    api = rig.api()
    await api.apply(MAPS, config_map("a"), "t")
    async with followed(rig) as store:
        await rig.plane.stop()
        await asyncio.sleep(1)
        assert store.get(Key("configmaps", "default", "a")) is not None
        with pytest.raises(UnavailableError):
            await store.write([Write(Key("backends.heddle.dev", "", "x"), b'{"metadata":{"name":"x"},"status":{}}', 0,
                                     Author("t"), 0.0)])  # fmt: skip
        await rig.start()
        fresh = rig.api()
        await fresh.apply(MAPS, config_map("b"), "t")
        await until(lambda: store.get(Key("configmaps", "default", "b")) is not None)
        fresh.close()


async def test_conditions_are_written_back_and_nothing_else(rig: Rig):
    api = rig.api()
    made = await api.apply(BACKENDS, backend("b"), "t")
    async with followed(rig) as store:
        key = Key("backends.heddle.dev", "default", "b")
        known = store.get(key)
        assert known is not None
        condition = {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        value = {**known.object, "spec": {"provider": {"type": "openai"}}, "status": {"conditions": [condition]}}
        write = Write(key, msgspec.json.encode(value), known.version, Author("t"), 0.0)
        await store.write([write])
        await until(lambda: "status" in store.get(key).object)  # type: ignore[union-attr]
        live = await api.send("GET", "/apis/heddle.dev/v1alpha1/namespaces/default/backends/b")
        assert live["status"]["conditions"] == [condition]
        assert live["spec"] == made["spec"]
        assert live["metadata"]["generation"] == made["metadata"]["generation"]
        with pytest.raises(ConflictError):
            await store.write([write])
    api.close()


@pytest.mark.parametrize("key", ["${HOME}", "file:/etc/passwd"])
async def test_nobody_there_may_use_this_machine(rig: Rig, key: str):
    """Whoever may write a Backend in a cluster must not read the environment of the control plane by it."""
    api = rig.api()
    spec = {"provider": {"type": "openai", "apiKey": key}}
    await api.apply(BACKENDS, {**backend("evil"), "spec": spec}, "t")
    await api.apply(BACKENDS, backend("good"), "t")
    async with followed(rig) as store:
        assert [one.key.name for one in store.list("backends.heddle.dev")] == ["good"]
        live: dict[str, Any] = {}
        async with asyncio.timeout(10):
            while "status" not in live:
                await asyncio.sleep(0.05)
                live = await api.send("GET", "/apis/heddle.dev/v1alpha1/namespaces/default/backends/evil")
        (condition,) = live["status"]["conditions"]
        assert (condition["status"], condition["reason"]) == ("False", "NotPermitted")
        await api.apply(BACKENDS, {**backend("good"), "spec": spec}, "t", force="true")
        await until(lambda: store.list("backends.heddle.dev") == [])
        version = int(live["metadata"]["resourceVersion"])
        await asyncio.sleep(0.5)
        after = await api.send("GET", "/apis/heddle.dev/v1alpha1/namespaces/default/backends/evil")
        assert int(after["metadata"]["resourceVersion"]) == version, "what is said once is not said again"
    api.close()


async def test_a_kind_that_is_not_served_holds_nothing_up(rig: Rig):
    kind = msgspec.structs.replace(BACKENDS, plural="nothings")
    store = ClusterStore(rig.api(), type(KINDS)([*KINDS, kind]), ("nothings.heddle.dev", "configmaps"))
    async with asyncio.timeout(10):
        await store.start()
    assert store.list("nothings.heddle.dev") == []
    await store.stop()


class Scripted:
    """An API whose answers are written down: exceptions are raised, lists of events streamed."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def list(self, kind: Kind) -> Any:
        self.asked.append("list")
        return self._next()

    async def watch(self, kind: Kind, version: str) -> AsyncIterator[dict[str, Any]]:
        self.asked.append(f"watch {version}")
        for event in self._next():
            if isinstance(event, Exception):
                raise event
            yield event

    def _next(self) -> Any:
        if not self.answers:
            raise asyncio.CancelledError
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Seen:
    def __init__(self) -> None:
        self.names: set[str] = set()

    def replace(self, kind: Kind, objects: Any) -> None:
        self.names = {key_of(kind, one).name for one in objects}

    def put(self, kind: Kind, value: Any) -> None:
        self.names.add(value["metadata"]["name"])

    def drop(self, kind: Kind, value: Any) -> None:
        self.names.discard(value["metadata"]["name"])


class Listed:
    def __init__(self, version: str, *names: str) -> None:
        self.version = version
        self.items = [{"metadata": {"name": name}} for name in names]


def event(what: str, version: str, name: str = "") -> dict[str, Any]:
    return {"type": what, "object": {"metadata": {"resourceVersion": version, "name": name}}}


async def reflected(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> tuple[Scripted, Seen, list[str], list[float]]:
    api, seen, said, slept = Scripted(*answers), Seen(), [], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("heddle.controlplane.sources.kubernetes.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await Reflector(api, MAPS, seen, said.append).run()  # type: ignore[arg-type]
    return api, seen, said, slept


async def test_a_watch_goes_on_where_it_ended_also_after_bookmarks(monkeypatch: pytest.MonkeyPatch):
    first = [event("ADDED", "7", "b"), event("BOOKMARK", "9")]
    api, seen, _, slept = await reflected(monkeypatch, Listed("5", "a"), first, [event("DELETED", "11", "a")])
    assert api.asked == ["list", "watch 5", "watch 9", "watch 11"]
    assert seen.names == {"b"}
    assert slept == [0.0, 0.0], "a watch that ends is no failure"


async def test_too_old_means_list_again(monkeypatch: pytest.MonkeyPatch):
    answers = [Listed("5", "a"), [expired("too old")], Listed("20", "c"), expired("too old"), Listed("30", "d")]
    api, seen, said, slept = await reflected(monkeypatch, *answers)
    assert api.asked == ["list", "watch 5", "list", "watch 20", "list", "watch 30"]
    assert seen.names == {"d"}
    assert slept[0] == 0.0
    assert slept[1] > 0, "a server that always says so is not asked at once for ever"
    assert said == []


async def test_failures_are_waited_out_longer_and_longer_and_told_once(monkeypatch: pytest.MonkeyPatch):
    away = [ConnectionError("away")] * 9
    api, seen, said, slept = await reflected(monkeypatch, Listed("5", "a"), *away, [event("ADDED", "6", "b")])
    assert api.asked == ["list", *["watch 5"] * 10, "watch 6"]
    assert seen.names == {"a", "b"}
    assert said == ["configmaps: away"]
    assert all(later > earlier * 0.9 for earlier, later in zip(slept[:5], slept[2:7], strict=True))
    assert max(slept) <= 30.0


async def test_a_server_that_asks_for_time_gets_it(monkeypatch: pytest.MonkeyPatch):
    busy = ApiError(429, "TooManyRequests", "busy", {"retryAfterSeconds": 17})
    _, _, said, slept = await reflected(monkeypatch, busy, Listed("5", "a"))
    assert slept[0] >= 17
    assert said == ["configmaps: busy"]
