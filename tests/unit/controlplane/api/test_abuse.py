"""What somebody would send who means harm, and what they get: a Status, cheaply, and never a trace."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.controlplane.api.rig import CONFIG_MAPS, Rig, running

from heddle.controlplane.api import answer, application, serving
from heddle.controlplane.api.request import MAX_BODY_BYTES
from heddle.drivers.documents import UnavailableError

MODELS = "/apis/kagent.dev/v1alpha2/namespaces/default/modelconfigs"
HEAD = b'{"apiVersion":"kagent.dev/v1alpha2","kind":"ModelConfig","metadata":{"name":"m"},"spec":'
MERGE = "application/merge-patch+json"


async def refused(rig: Rig, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """The Status of a request that must be refused as the caller's mistake, within a moment."""
    began = time.perf_counter()
    answered = await rig.call(method, path, body, **headers)
    assert time.perf_counter() - began < 2
    assert 400 <= answered.status < 500, answered.body[:300]
    assert b"Traceback" not in answered.body
    assert len(answered.body) < 10_000
    return answered.json


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        HEAD + b'{"a":' * 200 + b"1" + b"}" * 202,
        HEAD + b"1" * 5000 + b"}",
        HEAD + b'{"model":123456789012345678901234567890}}',
        HEAD + b'{"model":1e999}}',
        HEAD + b'{"model":NaN}}',
        HEAD + b'{"model":"\xff\xfe"}}',
        HEAD + b'{"model":"\\ud800"}}',
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"{}",
        HEAD,
        b'{"apiVersion":1,"kind":[],"metadata":{}}',
        b'{"apiVersion":"kagent.dev/v1alpha2","kind":"ModelConfig","metadata":[]}',
        b'{"apiVersion":"kagent.dev/v1alpha2","kind":"ModelConfig","metadata":"x","spec":{}}',
        b'{"apiVersion":"kagent.dev/v1alpha2","kind":"ModelConfig","metadata":{"name":"m","labels":{"a":1}}}',
        b'{"apiVersion":"kagent.dev/v1alpha2","kind":"ModelConfig","metadata":{"name":{"a":1}}}',
        b'{"apiVersion":"kagent.dev/v1alpha2","kind":"ModelConfig","metadata":{"name":"m","ownerReferences":[1]}}',
        b'{"apiVersion":"kagent.dev/v1alpha2","kind":"ModelConfig","metadata":{"name":"m","managedFields":"x"}}',
        b'{"apiVersion":"kagent.dev/v1alpha2","kind":"ModelConfig","metadata":{"name":"m"},"spec":[]}',
        b'{"apiVersion":"kagent.dev/v1alpha2","kind":"ModelConfig","metadata":{"name":"m"},"spec":null}',
    ],
)
async def test_broken_bodies(rig: Rig, body: bytes):
    for method, path, media in (
        ("POST", MODELS, "application/json"),
        ("PATCH", f"{MODELS}/m?fieldManager=x", "application/apply-patch+yaml"),
    ):
        await refused(rig, method, path, body, content_type=media)
    assert (await rig.call("GET", MODELS)).json["items"] == []


@pytest.mark.parametrize(
    "patch",
    [
        (MERGE, b"[]"),
        (MERGE, b"[" * 100_000),
        (MERGE, b'{"metadata":null}'),
        (MERGE, b'{"metadata":{"uid":"x"}}'),
        (MERGE, b'{"metadata":{"name":"other"}}'),
        (MERGE, b'{"metadata":{"namespace":"other"}}'),
        (MERGE, b'{"metadata":{"resourceVersion":"abc"}}'),
        (MERGE, b'{"kind":"Secret"}'),
        (MERGE, b'{"data":{"a":{"b":"c"}}}'),
        (MERGE, b'{"metadata":{"labels":{"not ok":"x"}}}'),
        (MERGE, b'{"metadata":{"finalizers":["no/t/ok"]}}'),
        ("application/json-patch+json", b"{}"),
        ("application/json-patch+json", b'[{"op":"copy","from":"","path":"/data"}]'),
        ("application/json-patch+json", b'[{"op":"replace","path":"","value":1}]'),
        ("application/json-patch+json", b'[{"op":"remove","path":"/metadata"}]'),
        ("application/json-patch+json", b'[{"op":"remove","path":"/kind"}]'),
        ("application/json-patch+json", json.dumps([{"op": "test", "path": "/data/a", "value": 1}] * 20_000).encode()),
        ("application/strategic-merge-patch+json", b'{"$patch":"what"}'),
        ("application/strategic-merge-patch+json", b'{"metadata":{"$retainKeys":7}}'),
    ],
)
async def test_broken_patches(rig: Rig, patch: tuple[str, bytes]):
    await rig.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"a": "b"}})
    before = (await rig.call("GET", f"{CONFIG_MAPS}/a")).body
    answered = await rig.call("PATCH", f"{CONFIG_MAPS}/a", patch[1], content_type=patch[0])
    assert answered.status in {200, 400, 409, 413, 415, 422}, answered.body[:300]
    after = (await rig.call("GET", f"{CONFIG_MAPS}/a")).json
    assert (after["kind"], after["metadata"]["name"]) == ("ConfigMap", "a")
    assert answered.status != 200 or json.loads(before)["metadata"]["uid"] == after["metadata"]["uid"]


async def test_a_body_that_doubles_itself_is_stopped(rig: Rig):
    await rig.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"a": "b" * 1000}})
    patch = [{"op": "copy", "from": "/data", "path": f"/data/x{n}"} for n in range(40)]
    await refused(rig, "PATCH", f"{CONFIG_MAPS}/a", patch, content_type="application/json-patch+json")


async def test_too_large(rig: Rig):
    body = b'{"metadata":{"name":"a"},"data":{"a":"' + b"x" * MAX_BODY_BYTES + b'"}}'
    found = await refused(rig, "POST", CONFIG_MAPS, body, content_length=str(len(body)))
    assert (found["code"], found["reason"]) == (413, "RequestEntityTooLarge")
    found = await refused(rig, "POST", CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"a": "x" * 1_100_000}})
    assert found["code"] == 422
    wide = {"metadata": {"name": "a", "annotations": {"a": "x" * 300_000}}}
    assert (await refused(rig, "POST", CONFIG_MAPS, wide))["code"] == 422


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"a{n}=b" for n in range(1000)),
        "labelSelector=%ff",
        "labelSelector=" + "a," * 5000,
        "labelSelector=" + "(" * 5000,
        "fieldSelector=" + "metadata.name%3D" * 500,
        "limit=-1",
        "limit=99999999999999999999999",
        "continue=" + "A" * 5000,
        "continue=eyJ2IjotMSwiYXQiOi01LCJvZiI6IngifQ",
        "resourceVersion=" + "9" * 400,
        "resourceVersion=-1",
        "watch=1&timeoutSeconds=abc",
        "watch=1&timeoutSeconds=-1",
        "watch=1&timeoutSeconds=" + "9" * 400,
        "watch=1&timeoutSeconds=%D9%A1",
    ],
)
async def test_broken_queries(rig: Rig, query: str):
    await refused(rig, "GET", f"{CONFIG_MAPS}?{query}")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/default/configmaps/..%2fsecrets",
        "/api/v1/namespaces/..",
        "/api//v1",
        "/%00",
        "/api/v1/namespaces/default/configmaps/%ff",
        "/api/v1/namespaces/default/configmaps/a/b/c",
    ],
)
async def test_paths_that_could_mean_two_things(rig: Rig, path: str):
    assert (await rig.call("GET", path)).status == 404


async def test_nobody_acts_for_somebody_else(rig: Rig):
    for name in ("impersonate_user", "impersonate_group", "impersonate_extra_x", "impersonate_uid"):
        found = await refused(rig, "GET", CONFIG_MAPS, **{name: "admin"})
        assert (found["code"], "impersonation" in found["message"]) == (403, True)


async def test_an_error_of_ours_is_a_number_in_the_log(tmp_path: Any, caplog: pytest.LogCaptureFixture):
    def broken(*_: Any) -> list[Any]:
        raise RuntimeError("the password is hunter2")

    async with running(tmp_path, check_rules=broken) as rig:
        with caplog.at_level(logging.ERROR, "heddle.api"):
            answered = await rig.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
    assert (answered.status, answered.json["reason"]) == (500, "InternalError")
    assert b"hunter2" not in answered.body
    number = answered.json["message"].rsplit(" ", 1)[1]
    assert number in caplog.text


async def test_a_store_that_hangs_is_not_waited_for_for_ever(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(application, "REQUEST_TIMEOUT_S", 0.05)

    async def hang(_: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(rig.store, "write", hang)
    answered = await rig.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
    assert (answered.status, answered.json["reason"], answered.header("retry-after")) == (504, "Timeout", "1")


async def test_a_store_that_is_away_is_a_503(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    async def away(*_: Any) -> Any:
        raise UnavailableError("connection to 10.0.0.1 refused, password=x")

    monkeypatch.setattr(rig.store, "write", away)
    answered = await rig.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
    assert (answered.status, answered.json["reason"]) == (503, "ServiceUnavailable")
    assert b"10.0.0.1" not in answered.body


async def test_an_object_that_is_deleted_by_uid_is_that_object(rig: Rig):
    made = (await rig.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})).json
    await rig.call("DELETE", f"{CONFIG_MAPS}/a")
    await rig.call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
    body = {"preconditions": {"uid": made["metadata"]["uid"]}}
    assert (await refused(rig, "DELETE", f"{CONFIG_MAPS}/a", body))["reason"] == "Conflict"


async def test_what_only_the_server_writes_is_not_taken_from_a_body(rig: Rig):
    given = {
        "uid": "mine",
        "creationTimestamp": "1999-01-01T00:00:00Z",
        "generation": 77,
        "deletionTimestamp": "1999-01-01T00:00:00Z",
    }
    made = (await rig.call("POST", CONFIG_MAPS, {"metadata": {"name": "a", **given}})).json["metadata"]
    assert made["uid"] != "mine"
    assert made["creationTimestamp"].startswith("2025")
    assert "deletionTimestamp" not in made
    del given["uid"]
    changed = (await rig.call("PATCH", f"{CONFIG_MAPS}/a", {"metadata": given}, content_type=MERGE)).json["metadata"]
    assert (changed["creationTimestamp"], changed.get("deletionTimestamp")) == (made["creationTimestamp"], None)


async def test_a_warning_cannot_smuggle_a_header(rig: Rig):
    body = {"apiVersion": "kagent.dev/v1alpha2", "kind": "ModelConfig", "metadata": {"name": "m"}}
    body["spec"] = {"provider": "OpenAI", "model": "x", 'a\r\nset-cookie: "x\u2028é': 1}  # type: ignore[assignment]
    answered = await rig.call("POST", MODELS, body)
    assert answered.status == 201
    assert "\r" not in str(answered.header("warning"))
    assert "\n" not in str(answered.header("warning"))
    assert answered.header("set-cookie") is None


async def test_a_reader_who_does_not_read_is_cut_off():
    class Stuck:
        stalled = True
        aborted = False

    class Asked:
        connection = Stuck()

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            await asyncio.sleep(10)

    with pytest.raises(answer.ReaderTooSlowError):
        await answer.send_stream(answer.Stream(chunks(), write_timeout_s=0.05), Asked(), send)  # type: ignore[arg-type]


def test_bounds_are_where_they_are_documented():
    assert serving.MAX_HEAD_BYTES == 64 * 1024
    assert serving.MAX_FIELDS == 100
