"""Owners, namespaces and Events: what goes when something else is gone."""

import asyncio
from typing import Any

from tests.unit.controlplane.api.rig import CONFIG_MAPS, Rig

from heddle.controlplane.api import expiring, housekeeping
from heddle.controlplane.api.collecting import Collector
from heddle.drivers.documents import Key

MERGE = "application/merge-patch+json"


async def make(rig: Rig, name: str, *owners: Any, path: str = CONFIG_MAPS, **meta: Any) -> Any:
    if owners:
        meta["ownerReferences"] = [reference(one) for one in owners]
    made = await rig.call("POST", path, {"metadata": {"name": name, **meta}})
    assert made.status == 201, made.body
    return made.json


def reference(owner: Any) -> dict[str, Any]:
    named = {"apiVersion": owner["apiVersion"], "kind": owner["kind"]}
    return named | {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "blockOwnerDeletion": True}


async def gone(rig: Rig, *names: str, path: str = CONFIG_MAPS) -> bool:
    for _ in range(200):
        if all([(await rig.call("GET", f"{path}/{name}")).status == 404 for name in names]):
            return True
        await asyncio.sleep(0.01)
    return False


async def settled(rig: Rig) -> None:
    """Whatever the control plane does of its own accord is done."""
    version = -1
    while version != rig.store.version:
        version = rig.store.version
        await asyncio.sleep(0.1)


async def there(rig: Rig, name: str, path: str = CONFIG_MAPS) -> bool:
    await settled(rig)
    return (await rig.call("GET", f"{path}/{name}")).status == 200


async def test_dependents_go_after_their_owner(rig: Rig):
    owner = await make(rig, "owner")
    child = await make(rig, "child", owner)
    await make(rig, "grandchild", child)
    await make(rig, "other")
    assert (await rig.call("DELETE", f"{CONFIG_MAPS}/owner")).json["status"] == "Success"
    assert await gone(rig, "child", "grandchild")
    assert await there(rig, "other")


async def test_who_has_another_owner_stays(rig: Rig):
    first, second = await make(rig, "first"), await make(rig, "second")
    await make(rig, "child", first, second)
    await rig.call("DELETE", f"{CONFIG_MAPS}/first")
    assert await there(rig, "child")
    await rig.call("DELETE", f"{CONFIG_MAPS}/second")
    assert await gone(rig, "child")


async def test_in_the_foreground_dependents_go_first(rig: Rig):
    owner = await make(rig, "owner")
    await make(rig, "child", owner, finalizers=["x.dev/wait"])
    answered = await rig.call("DELETE", f"{CONFIG_MAPS}/owner", {"propagationPolicy": "Foreground"})
    assert answered.json["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert await there(rig, "owner")
    assert (await rig.call("GET", f"{CONFIG_MAPS}/child")).json["metadata"]["deletionTimestamp"]
    await rig.call("PATCH", f"{CONFIG_MAPS}/child", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert await gone(rig, "child", "owner")


async def test_orphans_stay_and_forget_their_owner(rig: Rig):
    owner = await make(rig, "owner")
    await make(rig, "child", owner)
    await rig.call("DELETE", f"{CONFIG_MAPS}/owner?propagationPolicy=Orphan")
    assert await gone(rig, "owner")
    assert await there(rig, "child")
    assert "ownerReferences" not in (await rig.call("GET", f"{CONFIG_MAPS}/child")).json["metadata"]


async def test_who_is_born_to_nobody_goes(rig: Rig):
    owner = await make(rig, "owner")
    owner["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000"
    await make(rig, "child", owner)
    assert await gone(rig, "child")
    assert await there(rig, "owner")


async def test_an_owner_in_another_namespace_is_none_and_no_reason(rig: Rig):
    elsewhere = "/api/v1/namespaces/kube-system/configmaps"
    owner = await make(rig, "owner", path=elsewhere)
    await make(rig, "child", owner)
    assert await there(rig, "child")


async def test_an_owner_of_a_kind_that_is_not_served_is_left_alone(rig: Rig):
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "uid": "u"}}
    await make(rig, "child", owner)
    assert await there(rig, "child")


async def test_the_cost_of_a_change_is_what_hangs_on_it(rig: Rig):
    collector = Collector(rig.api.core)
    for number in range(1000):
        meta = {"uid": f"u{number}", "ownerReferences": [{"uid": f"o{number % 100}"}]}
        collector.learn(Key("configmaps", "default", f"c{number}"), {"metadata": meta})
    assert len(collector._dependents["o7"]) == 10
    for number in range(1000):
        collector.learn(Key("configmaps", "default", f"c{number}"), None)
        collector.forget(f"u{number}")
    assert not collector._dependents
    assert not collector._owners
    assert not collector._uids


# Namespaces


async def test_a_namespace_takes_its_contents_along(rig: Rig):
    await rig.call("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    inside = "/api/v1/namespaces/n/configmaps"
    await make(rig, "a", path=inside, finalizers=["x.dev/wait"])
    await make(rig, "b", path=inside)
    answered = (await rig.call("DELETE", "/api/v1/namespaces/n")).json
    assert answered["status"]["phase"] == "Terminating"
    assert await gone(rig, "b", path=inside)
    refused = (await rig.call("POST", inside, {"metadata": {"name": "c"}})).json
    assert (refused["code"], refused["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    await rig.call("PATCH", f"{inside}/a", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert await gone(rig, "n", path="/api/v1/namespaces")
    assert (await rig.call("POST", inside, {"metadata": {"name": "c"}})).status == 404


async def test_nobody_finalizes_a_namespace_by_hand(rig: Rig):
    await rig.call("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    await rig.call("PATCH", "/api/v1/namespaces/n", {"spec": {"finalizers": []}}, content_type=MERGE)
    assert (await rig.call("GET", "/api/v1/namespaces/n")).json["spec"] == {"finalizers": ["kubernetes"]}


async def test_the_namespaces_that_clients_expect_stay(rig: Rig):
    for name in ("default", "kube-system"):
        assert (await rig.call("DELETE", f"/api/v1/namespaces/{name}")).status == 403
    assert (await rig.call("DELETE", "/api/v1/namespaces")).status == 405


async def test_what_was_missed_is_looked_at_again(rig: Rig, monkeypatch: Any):
    owner = await make(rig, "owner")
    await make(rig, "child", owner)
    await settled(rig)
    happened = Collector.happened

    async def missed(collector: Collector, event: Any) -> None:
        raise RuntimeError("an event was lost")

    monkeypatch.setattr(housekeeping, "RETRY_S", 0.01)
    monkeypatch.setattr(Collector, "happened", missed)
    await rig.call("DELETE", f"{CONFIG_MAPS}/owner")
    assert await gone(rig, "child")
    monkeypatch.setattr(Collector, "happened", happened)
    await make(rig, "next", await make(rig, "other"))
    await rig.call("DELETE", f"{CONFIG_MAPS}/other")
    assert await gone(rig, "next")


# Events


async def test_events_are_forgotten(rig: Rig):
    path = "/api/v1/namespaces/default/events"
    about = {
        "involvedObject": {"kind": "ConfigMap", "name": "x", "namespace": "default"},
        "reason": "r",
        "type": "Normal",
    }
    for name, seen in (("old", "2025-10-09T08:53:20Z"), ("again", "2025-10-09T09:53:20Z")):
        await rig.call("POST", path, {"metadata": {"name": name}, "message": "m", "lastTimestamp": seen, **about})
    rig.clock.now_s += expiring.TTL_S + 1
    assert await expiring.forget(rig.api.core) == 1
    assert (await rig.call("GET", f"{path}/old")).status == 404
    assert (await rig.call("GET", f"{path}/again")).status == 200


async def test_the_oldest_events_make_room(rig: Rig, monkeypatch: Any):
    monkeypatch.setattr(expiring, "MAX_EVENTS", 2)
    about = {
        "involvedObject": {"kind": "ConfigMap", "name": "x", "namespace": "default"},
        "reason": "r",
        "type": "Normal",
    }
    for name in "abc":
        rig.clock.now_s += 1
        await rig.call(
            "POST", "/api/v1/namespaces/default/events", {"metadata": {"name": name}, "message": "m", **about}
        )
    assert await expiring.forget(rig.api.core) == 1
    assert (await rig.call("GET", "/api/v1/namespaces/default/events/a")).status == 404
