"""/tools over HTTP: who may, what is answered, and that nobody approves what they were not shown."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from heddle.dataplane.admin import AdminServer, Sources
from heddle.dataplane.admin_tools import ToolDecisions
from heddle.directory.definitions import Definition, define
from heddle.drivers.approvals import ApprovalsError, Proposal
from heddle.drivers.approvals.sqlite import SqliteApprovals
from heddle.model.snapshot import AdminSpec
from heddle.net.body import Body
from heddle.net.message import Peer, Request
from heddle.telemetry.records import AuditRecord


def tool(name: str, description: str) -> Definition:
    return define("tool", {"name": name, "description": description, "inputSchema": {"type": "object"}})


def proposal(one: Definition, *notes: str) -> Proposal:
    return Proposal(one.kind, one.name, one.content, one.digest, "changed", "wording", notes)


OLD, NEW, NEWER = tool("read", "Reads."), tool("read", "Reads a file."), tool("read", "Reads any file.")


class World:
    def __init__(self, folder: Path) -> None:
        self.records: list[AuditRecord] = []
        self.store = SqliteApprovals(folder / "approvals.db")
        self.decisions = ToolDecisions(lambda: SqliteApprovals(folder / "approvals.db"), lambda: ["files"])
        sources = Sources(lambda: (True, ""), lambda: b"", dict, self.records.append)
        sources.tools = self.decisions
        self.server = AdminServer(AdminSpec(port=0), "token", sources)
        self.store.pin("files", [proposal(OLD)], "set")
        self.store.propose("files", [proposal(NEW, "description: other words")])

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

    async def decide(self, what: str, digest: str, **fields: str) -> tuple[int, Any]:
        named = {"target": "files", "kind": "tool", "name": "read", "digest": digest}
        return await self.ask("POST", f"/tools/{what}", named, **fields)

    def close(self) -> None:
        self.store.close()
        self.decisions.close()


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = World(tmp_path)
    yield made
    made.close()


ABOUT = urlencode({"target": "files", "kind": "tool", "name": "read"})


async def test_a_change_is_shown_and_approved(world: World):
    status, found = await world.ask("GET", "/tools?state=pending")
    assert status == 200
    (row,) = found["tools"]
    assert (row["target"], row["name"], row["pending"], row["change"]) == ("files", "read", NEW.digest, "wording")
    status, shown = await world.ask("GET", f"/tools/diff?{ABOUT}")
    assert status == 200
    assert (shown["digest"], shown["approved"], shown["state"]) == (NEW.digest, OLD.digest, "pending")
    assert '-  "description": "Reads.",' in shown["diff"]
    assert '+  "description": "Reads a file.",' in shown["diff"]
    status, decided = await world.decide("approve", NEW.digest, x_heddle_actor="ann")
    assert (status, decided["state"], decided["decided_by"]) == (200, "approved", "ann")
    assert world.store.approved("files")["tool", "read"].digest == NEW.digest
    assert (await world.ask("GET", "/tools?state=pending"))[1] == {"tools": []}
    (record,) = [one for one in world.records if one.kind == "definition"]
    assert (record.outcome, record.resource, record.entry, record.source) == ("approved", "tool:read", "files", "::1")
    assert record.detail == f"target=files, digest={NEW.digest}, by ann"


async def test_what_changed_after_it_was_shown_is_not_approved(world: World):
    world.store.propose("files", [proposal(NEWER)])
    status, told = await world.decide("approve", NEW.digest)
    assert status == 400
    assert "changed after it was shown" in told["error"]["message"]
    assert world.store.approved("files")["tool", "read"].digest == OLD.digest
    assert not [one for one in world.records if one.kind == "definition"]
    assert (await world.decide("approve", NEWER.digest))[0] == 200


@pytest.mark.parametrize("digest", ["", NEW.digest[:12], NEW.digest[:63], "0" * 64])
async def test_nothing_is_approved_by_less_than_its_digest(world: World, digest: str):
    status, _ = await world.decide("approve", digest)
    assert status in (400, 404)
    assert world.store.approved("files")["tool", "read"].digest == OLD.digest


async def test_a_rejected_version_stays_so_until_somebody_approves_it(world: World):
    assert (await world.decide("reject", NEW.digest))[1]["state"] == "rejected"
    assert (await world.ask("GET", "/tools?state=pending"))[1] == {"tools": []}
    (row,) = (await world.ask("GET", "/tools"))[1]["tools"]
    assert (row["state"], row["approved"], row["rejected"]) == ("approved", OLD.digest, [NEW.digest])
    assert (await world.decide("approve", NEW.digest))[0] == 200
    versions = (await world.ask("GET", f"/tools/history?{ABOUT}"))[1]["versions"]
    assert [(one["digest"], one["state"]) for one in versions] == [(NEW.digest, "approved"), (OLD.digest, "seen")]
    assert versions[1]["decided_by"] == "first use"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/tools"), ("GET", f"/tools/diff?{ABOUT}"), ("GET", f"/tools/history?{ABOUT}"),
     ("POST", "/tools/approve"), ("POST", "/tools/reject"), ("GET", "/tools/nowhere")],
)  # fmt: skip
async def test_nobody_without_the_token(world: World, method: str, path: str):
    body = {"target": "files", "kind": "tool", "name": "read", "digest": NEW.digest}
    status, _ = await world.ask(method, path, body if method == "POST" else None, token="guess")
    assert status == 401
    assert [(one.kind, one.outcome) for one in world.records] == [("admin", "deny")]
    assert world.store.approved("files")["tool", "read"].digest == OLD.digest


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/tools/", None, 404),
        ("GET", "/tools/nowhere", None, 404),
        ("GET", "/tools?state=odd", None, 400),
        ("GET", "/tools?colour=red", None, 400),
        ("GET", "/tools/diff", None, 400),
        ("GET", "/tools/diff?target=files&kind=odd&name=read", None, 400),
        ("GET", "/tools/diff?target=files&kind=tool&name=other", None, 404),
        ("GET", f"/tools/diff?{ABOUT}&digest={'0' * 64}", None, 404),
        ("GET", "/tools/history?target=%1b%5b2J&kind=tool&name=%e2%80%ae", None, 404),
        ("GET", "/tools/approve", None, 405),
        ("POST", "/tools", {}, 405),
        ("POST", "/tools/approve", b"[" * 5000, 400),
        ("POST", "/tools/approve", {"target": "files"}, 400),
        ("POST", "/tools/approve", {"target": "files", "kind": "tool", "digest": 5}, 400),
        ("POST", "/tools/approve", {"target": "files", "kind": "tool", "name": "read", "digest": "0", "more": 1}, 400),
        ("POST", "/tools/approve", b" " * 70_000, 400),
    ],
)
async def test_what_makes_no_sense_is_told(world: World, method: str, path: str, body: object, status: int):
    got, told = await world.ask(method, path, body)
    assert got == status, told
    assert told["error"]["message"].isprintable()
    assert world.store.approved("files")["tool", "read"].digest == OLD.digest


async def test_a_body_that_a_page_could_send_is_refused(world: World):
    headers = [(b"host", b"127.0.0.1"), (b"authorization", b"Bearer token"), (b"content-type", b"text/plain")]
    request = Request("POST", "/tools/approve", "", headers, Body.of(b"{}"), Peer("::1", 1, False))
    assert (await world.server.handle(request)).status == 415


async def test_who_decided_is_written_fit_to_be_shown(world: World):
    await world.decide("approve", NEW.digest, x_heddle_actor="ann\x1b[2J" + "x" * 200)
    by = world.store.approved("files")["tool", "read"].decided_by
    assert by.isprintable()
    assert len(by) <= 64


async def test_a_store_that_cannot_be_opened_is_told_and_takes_nothing_else_down(tmp_path: Path):
    def broken() -> SqliteApprovals:
        raise ApprovalsError("approvals.db cannot be opened: disk on fire")

    world = World(tmp_path)
    world.decisions._open = broken
    status, told = await world.ask("GET", "/tools")
    assert (status, "disk on fire" in told["error"]["message"]) == (503, True)
    assert (await world.ask("GET", "/config"))[0] == 200
    world.close()


async def test_targets_nobody_has_decided_about_are_not_invented(world: World):
    assert (await world.ask("GET", "/tools?target=other"))[1] == {"tools": []}
    assert [row["target"] for row in (await world.ask("GET", "/tools"))[1]["tools"]] == ["files"]
