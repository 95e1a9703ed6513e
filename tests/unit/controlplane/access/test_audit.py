"""What is written down, and what never is."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.controlplane.access.rig import NOW_S, Rig, ask

from heddle.controlplane.access import Access, Attributes, Caller
from heddle.controlplane.access.audit import Audit, Occasion, changed_paths
from heddle.model.snapshot import ObservabilitySpec
from heddle.telemetry.records import MAX_LISTED, AuditRecord, encode_audit
from heddle.telemetry.spool import Spool
from heddle.wire.kube.status import ApiError

ALICE = Caller("alice", ("dev", "system:authenticated"), "", {"heddle.dev/credential": ("certificate:ab12",)})
SECRET = "hunter2-hunter2"


@pytest.fixture
def written() -> list[AuditRecord]:
    return []


@pytest.fixture
def audit(written: list[AuditRecord]) -> Audit:
    return Audit(written.append)


def secret(value: str) -> dict[str, Any]:
    return {"metadata": {"name": "s", "resourceVersion": "1"}, "data": {"password": value}}


def test_a_write_is_written_down_with_what_it_changed(audit: Audit, written: list[AuditRecord]):
    old, new = secret("b25l"), secret(SECRET)
    new["metadata"]["resourceVersion"] = "2"
    at = Occasion("192.0.2.7", "req-1", old, new)
    audit.request(ALICE, ask("update", "secrets", "demo", "s"), 200, 42, at)
    (record,) = written
    assert (record.kind, record.outcome, record.verb, record.code) == ("api", "allow", "update", 200)
    assert (record.principal.user, record.groups) == ("alice", ALICE.groups)
    assert (record.principal.method, record.principal.key_id) == ("certificate", "ab12")
    assert (record.resource, record.source, record.trace_id) == ("secrets/demo/s", "192.0.2.7", "req-1")
    assert (record.changes, record.detail) == (("data.password",), "resourceVersion 42")
    assert SECRET.encode() not in encode_audit(record)


@pytest.mark.parametrize("code", [401, 403, 429])
def test_every_refusal_is_written_down(audit: Audit, written: list[AuditRecord], code: int):
    audit.request(ALICE, ask("get", "agents.kagent.dev", "demo", "a"), code, 0, Occasion(why="cannot"))
    (record,) = written
    assert (record.outcome, record.code, record.detail) == ("deny", code, "cannot")
    assert record.resource == "agents.kagent.dev/demo/a"


@pytest.mark.parametrize("verb", ["get", "list", "watch"])
def test_reading_secrets_is_written_down_and_other_reading_is_not(audit: Audit, written: list[AuditRecord], verb: str):
    audit.request(ALICE, ask(verb, "agents.kagent.dev", "demo"), 200)
    audit.request(ALICE, ask("get", "/version"), 200)
    assert written == []
    audit.request(ALICE, ask(verb, "secrets", "demo"), 200)
    assert len(written) == 1


@pytest.mark.parametrize("code", [400, 409, 422, 500])
def test_a_write_that_failed_is_written_down_without_what_the_error_quotes(
    audit: Audit, written: list[AuditRecord], code: int
):
    at = Occasion(why=f"Invalid value: {SECRET}", old=secret("a"), new=secret(SECRET))
    audit.request(ALICE, ask("update", "secrets", "demo", "s"), code, 0, at)
    (record,) = written
    assert (record.outcome, record.detail, record.changes) == ("error", "", ())
    assert SECRET.encode() not in encode_audit(record)


def test_a_dry_run_is_called_one(audit: Audit, written: list[AuditRecord]):
    audit.request(ALICE, ask("create", "secrets", "demo"), 201, 0, Occasion(new=secret("a"), dry_run=True))
    assert written[0].detail == "dry run"


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2, "b": 3}, ["a", "b"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, ["a.c"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["a[1]"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ["a[0].b"]),
        ({"a": 1}, {"a": {"b": 1}}, ["a"]),
        ({"metadata": {"resourceVersion": "1", "managedFields": []}}, {"metadata": {"resourceVersion": "2"}}, []),
        (None, {"a": 1}, []),
        ({"a": 1}, None, []),
    ],
)
def test_what_was_changed(old: Any, new: Any, paths: list[str]):
    assert changed_paths(old, new) == paths


def test_what_is_listed_is_bounded():
    assert len(changed_paths({}, {str(number): number for number in range(10_000)})) == MAX_LISTED
    deep: Any = 1
    for _ in range(500):
        deep = {"a": deep}
    (path,) = changed_paths(deep, {"a": {"a": {"a": 2}}})
    assert path == "a.a.a"
    other: Any = 2
    for _ in range(500):
        other = {"a": other}
    (path,) = changed_paths(deep, other)
    assert path.count("a") == 32


async def test_who_could_not_prove_who_they_are_is_written_down_without_their_token(tmp_path: Path):
    written: list[AuditRecord] = []
    rig = Rig(tmp_path)
    access = Access(rig.store, rig.authority, rig.clock, written.append)
    with pytest.raises(ApiError):
        await access.authenticate({"authorization": f"Bearer {SECRET}"}, None, source="192.0.2.7", path="/api")
    (record,) = written
    assert (record.kind, record.outcome, record.code, record.source) == ("authn", "deny", 401, "192.0.2.7")
    assert SECRET.encode() not in encode_audit(record)


def test_the_records_are_on_the_disk_at_once_and_private(tmp_path: Path):
    spool = Spool(tmp_path / "spool", 2_000, now=lambda: NOW_S)
    spool.configure(ObservabilitySpec())
    audit = Audit(spool.audit)
    audit.request(ALICE, Attributes("create", "kagent.dev", "agents", "", "demo", ""), 201, 7)
    for _ in range(100):
        audit.request(ALICE, ask("get", "secrets", "demo", "s"), 403, 0, Occasion("192.0.2.7", why="no"))
    (segment,) = (tmp_path / "spool").glob("audit-*.jsonl")
    assert segment.stat().st_mode & 0o777 == 0o600
    assert len(segment.read_bytes().splitlines()) == 3, "equal refusals are counted after the first few"
    spool.close()
    lines = segment.read_bytes().splitlines()
    assert b'"count":98' in lines[-1]
    assert b'"verb":"create"' in lines[0]
    assert b'"groups":["dev","system:authenticated"]' in lines[0]
