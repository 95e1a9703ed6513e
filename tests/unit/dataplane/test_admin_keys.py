"""/keys over HTTP: who may, what is answered, and what is on record afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest

from heddle.controlplane.keys import Keys
from heddle.controlplane.keystore import KeyStore
from heddle.dataplane.admin import AdminServer, Sources
from heddle.model.snapshot import AdminSpec, ApiKeyAuthn, Snapshot
from heddle.model.virtual_keys import KeyStoreError
from heddle.net.body import Body
from heddle.net.message import Peer, Request
from heddle.telemetry.records import AuditRecord


class World:
    def __init__(self, folder: Path) -> None:
        self.records: list[AuditRecord] = []
        self.store = KeyStore(folder / "keys.db")
        keys = Keys(self.store, self.publish)
        keys.follow(Snapshot(version="v", authentication=(ApiKeyAuthn(virtual=True),)))
        sources = Sources(lambda: (True, ""), lambda: b"", dict, self.records.append)
        sources.keys = keys
        self.server = AdminServer(AdminSpec(port=0), "token", sources)

    async def publish(self, changed: object, gone: object) -> None:
        pass

    async def ask(
        self, method: str, path: str, body: object = None, token: str = "token", **fields: str
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = [(b"host", b"127.0.0.1"), (b"authorization", b"Bearer " + token.encode())]
        headers += [(b"content-type", b"application/json")] if data else []
        headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
        path, _, query = path.partition("?")
        reply = await self.server.handle(Request(method, path, query, headers, Body.of(data), Peer("::1", 1, False)))
        assert isinstance(reply.body, bytes)
        return reply.status, json.loads(reply.body)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_the_life_of_a_key(world: World):
    status, made = await world.ask("POST", "/keys", {"name": "ci", "tenant": "dev"}, x_heddle_actor="ann")
    assert status == 201
    at = f"/keys/{made['id']}"
    assert (await world.ask("GET", at))[1] == {name: value for name, value in made.items() if name != "secret"}
    assert (await world.ask("GET", "/keys?tenant=dev"))[1]["keys"][0]["id"] == made["id"]
    assert (await world.ask("GET", "/keys?tenant=other"))[1]["keys"] == []
    assert (await world.ask("PATCH", at, {"disabled": True}))[1]["disabled"] is True
    status, rotated = await world.ask("POST", f"{at}/rotate")
    assert (status, rotated["id"]) == (200, made["id"])
    assert rotated["secret"] != made["secret"]
    assert (await world.ask("POST", f"{at}/rotate", {"overlap": "0"}))[0] == 200
    assert (await world.ask("DELETE", at))[0] == 200
    assert (await world.ask("GET", at))[0] == 404
    kinds = [(one.kind, one.outcome, one.resource) for one in world.records]
    outcomes = ("created", "updated", "rotated", "rotated", "revoked")
    assert kinds == [("key", outcome, f"key:{made['id']}") for outcome in outcomes]
    assert world.records[0].detail == "name=ci, tenant=dev, by ann"
    assert world.records[0].source == "::1"
    written = repr(world.records)
    assert made["secret"] not in written
    assert rotated["secret"] not in written


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/keys"), ("POST", "/keys"), ("GET", "/keys/x"), ("PATCH", "/keys/x"), ("DELETE", "/keys/x"),
     ("POST", "/keys/x/rotate"), ("GET", "/keys/x/nowhere")],
)  # fmt: skip
async def test_nobody_without_the_token(world: World, method: str, path: str):
    status, _ = await world.ask(method, path, {"user": "eve"}, token="guess")
    assert status == 401
    assert [(one.kind, one.outcome) for one in world.records] == [("admin", "deny")]
    assert world.store.all() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/keys", b"[]", 400),
        ("POST", "/keys", b"{", 400),
        ("POST", "/keys", b"\xff", 400),
        ("POST", "/keys", b'{"a":' * 30_000, 400),
        ("POST", "/keys", b'{"metadata": {"x": "' + b"y" * 70_000 + b'"}}', 400),
        ("POST", "/keys", {"unknown": 1}, 400),
        ("POST", "/keys", None, 415),
        ("GET", "/keys?color=red", None, 400),
        ("PUT", "/keys", {}, 405),
        ("POST", "/keys/key-1", {}, 405),
        ("GET", "/keys/key-1/rotate", None, 405),
        ("POST", "/keys//rotate", {}, 404),
        ("GET", "/keys/", None, 404),
        ("GET", "/keys/a/b/c", None, 404),
        ("POST", "/keys/key-1/rotate", {"overlap": 3}, 400),
        ("POST", "/keys/key-1/rotate", {"overlp": "3h"}, 400),
        ("POST", "/keys/key-1/rotate", {"overlap": "soon"}, 400),
        ("DELETE", "/keys/key-1", None, 404),
    ],
)
async def test_what_makes_no_sense_is_told_and_changes_nothing(
    world: World, method: str, path: str, body: object, status: int
):
    got, answer = await world.ask(method, path, body)
    assert got == status, answer
    assert answer["error"]["message"].endswith(".")
    assert world.records == []
    assert world.store.all() == []


async def test_a_full_disk_is_an_answer(world: World, monkeypatch: pytest.MonkeyPatch):
    def fail(_: object) -> None:
        raise KeyStoreError("the keys cannot be written: database or disk is full")

    monkeypatch.setattr(world.store, "put", fail)
    status, answer = await world.ask("POST", "/keys", {})
    assert status == 503
    assert answer["error"]["message"] == "The keys cannot be written: database or disk is full."
    assert world.records == []
