"""What every `Approvals` promises. A new driver adds itself to `DRIVERS` and has to pass all of it."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heddle.drivers.approvals import (
    HISTORY,
    Approvals,
    ApprovalsError,
    ApprovalsFullError,
    Judgement,
    Proposal,
    UnknownDefinitionError,
)
from heddle.drivers.approvals import sqlite as driver
from heddle.drivers.approvals.memory import MemoryApprovals
from heddle.drivers.approvals.sqlite import MIGRATIONS, SqliteApprovals


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


DRIVERS: dict[str, Callable[[Path, Clock], Approvals]] = {
    "sqlite": lambda folder, clock: SqliteApprovals(folder / "approvals.db", clock),
    "memory": lambda _, clock: MemoryApprovals(clock),
}


@pytest.fixture(params=sorted(DRIVERS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Approvals]:
    made = DRIVERS[request.param](tmp_path, Clock())
    yield made
    made.close()


def proposal(name: str = "read", digest: str = "d1", **fields: object) -> Proposal:
    return Proposal("tool", name, f"content of {digest}".encode(), digest, **fields)  # type: ignore[arg-type]


def test_an_empty_store_has_nothing(store: Approvals):
    assert store.approved("files") == {}
    assert store.approved_set("files") is None
    assert store.pending() == []
    assert store.history("files", "tool", "read") == []


def test_what_is_pinned_is_approved_with_its_content(store: Approvals):
    store.pin("files", [proposal(), proposal("write", "d2")], "set")
    record = store.approved("files")["tool", "read"]
    assert (record.content, record.digest, record.decided_by) == (b"content of d1", "d1", "first use")
    assert record.decided_s > 1_700_000_000
    assert store.approved_set("files") == "set"
    assert store.approved("other") == {}


def test_a_second_pin_changes_nothing_that_is_approved(store: Approvals):
    store.pin("files", [proposal()], "set")
    store.pin("files", [proposal(digest="d2"), proposal("write", "d3")], "set2")
    assert store.approved("files")["tool", "read"].digest == "d1"
    assert store.approved("files")["tool", "write"].digest == "d3"


def test_a_rejected_version_is_not_pinned(store: Approvals):
    store.propose("files", [proposal()])
    store.reject("files", "tool", "read", "d1", "ada")
    store.pin("files", [proposal()], "set")
    assert store.approved("files") == {}
    assert store.decided("files")["tool", "read", "d1"] == "rejected"


def test_a_proposal_waits_beside_what_is_approved(store: Approvals):
    store.pin("files", [proposal()], "set")
    store.propose("files", [proposal(digest="d2", reason="changed", change="schema_widened", notes=("a: b",))])
    (waiting,) = store.pending()
    assert waiting.target == "files"
    assert waiting.proposal == proposal(digest="d2", reason="changed", change="schema_widened", notes=("a: b",))
    assert waiting.approved is not None
    assert waiting.approved.digest == "d1"
    assert store.approved("files")["tool", "read"].digest == "d1"
    assert store.pending("other") == []


def test_an_approval_is_of_one_version_by_somebody(store: Approvals):
    store.pin("files", [proposal()], "set")
    store.propose("files", [proposal(digest="d2")])
    record = store.approve("files", "tool", "read", "d2", "ada")
    assert (record.digest, record.content, record.decided_by) == ("d2", b"content of d2", "ada")
    assert store.pending() == []
    assert [(v.digest, v.state) for v in store.history("files", "tool", "read")] == [("d2", "approved"), ("d1", "seen")]
    assert store.history("files", "tool", "read")[1].decided_by == "first use", "known to have been approved once"


def test_what_changed_again_after_it_was_shown_is_not_what_gets_approved(store: Approvals):
    store.pin("files", [proposal()], "set")
    store.propose("files", [proposal(digest="shown")])
    store.propose("files", [proposal(digest="swapped")])
    store.approve("files", "tool", "read", "shown", "ada")
    assert store.approved("files")["tool", "read"].digest == "shown"
    assert [p.proposal.digest for p in store.pending()] == ["swapped"]


def test_nobody_decides_about_what_was_never_seen(store: Approvals):
    store.pin("files", [proposal()], "set")
    for decide in (store.approve, store.reject):
        with pytest.raises(UnknownDefinitionError, match="never offered"):
            decide("files", "tool", "read", "d9", "ada")
        with pytest.raises(UnknownDefinitionError):
            decide("other", "tool", "read", "d1", "ada")
    assert store.approved("files")["tool", "read"].digest == "d1"


def test_a_rejection_stays_when_it_is_proposed_again(store: Approvals):
    store.propose("files", [proposal()])
    store.reject("files", "tool", "read", "d1", "ada")
    store.propose("files", [proposal()])
    assert store.pending() == []
    store.approve("files", "tool", "read", "d1", "ada")
    assert store.approved("files")["tool", "read"].digest == "d1", "whoever rejected it may think again"


def test_what_was_approved_can_be_rejected(store: Approvals):
    store.pin("files", [proposal()], "set")
    store.reject("files", "tool", "read", "d1", "ada")
    assert store.approved("files") == {}


def test_what_is_withdrawn_waits_no_longer_and_is_remembered(store: Approvals):
    store.propose("files", [proposal()])
    store.withdraw("files", [("tool", "read"), ("tool", "unknown")])
    assert store.pending() == []
    assert store.content("files", "d1") == b"content of d1"
    assert store.content("files", "d2") is None


def test_the_history_is_bounded_and_decisions_are_not_forgotten(store: Approvals):
    store.pin("files", [proposal()], "set")
    store.propose("files", [proposal(digest="bad")])
    store.reject("files", "tool", "read", "bad", "ada")
    for n in range(HISTORY + 10):
        store.propose("files", [proposal(digest=f"flap{n}")])
    kept = {version.digest: version.state for version in store.history("files", "tool", "read")}
    assert len(kept) == HISTORY + 3
    assert kept["d1"] == "approved"
    assert kept["bad"] == "rejected"
    assert kept[f"flap{HISTORY + 9}"] == "pending"
    assert "flap0" not in kept


def test_a_target_cannot_fill_the_store(store: Approvals, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver, "MAX_DEFINITIONS", 3)
    store.pin("files", [proposal()], "set")
    with pytest.raises(ApprovalsFullError):
        store.pin("files", [proposal(f"t{n}") for n in range(3)], "set2")
    assert store.approved_set("files") == "set", "nothing of it was done"
    with pytest.raises(ApprovalsFullError):
        store.propose("files", [proposal(f"t{n}") for n in range(3)])
    assert store.pending() == []
    store.pin("other", [proposal()], "set")


def test_the_generation_moves_with_every_write_and_no_read(store: Approvals):
    before = store.generation()
    store.approved("files")
    store.pending()
    assert store.generation() == before
    store.pin("files", [proposal()], "set")
    after = store.generation()
    assert after != before
    store.propose("files", [proposal(digest="d2")])
    assert store.generation() != after


def test_a_forgotten_target_is_seen_for_the_first_time_again(store: Approvals):
    store.pin("files", [proposal()], "set")
    store.pin("other", [proposal()], "set")
    store.forget("files")
    assert store.approved("files") == {}
    assert store.approved_set("files") is None
    assert store.approved("other")


def test_names_of_any_kind_are_kept_as_they_are(store: Approvals):
    for name in ("", "a'b\"; DROP TABLE definitions; --", "\u202e\u200b", "x" * 8000):
        store.pin("t'; --", [Proposal("resource", name, b"\x00\xff", "d")], "set")
        assert store.approved("t'; --")["resource", name].content == b"\x00\xff"


# The file


def test_other_processes_see_it_at_once(tmp_path: Path):
    with SqliteApprovals(tmp_path / "a.db") as ours, SqliteApprovals(tmp_path / "a.db") as theirs:
        before = theirs.generation()
        ours.pin("files", [proposal()], "set")
        assert theirs.generation() != before
        assert theirs.approved("files")["tool", "read"].digest == "d1"


def test_two_who_see_a_server_first_pin_it_once(tmp_path: Path):
    stores = [SqliteApprovals(tmp_path / "a.db") for _ in range(4)]
    start = threading.Barrier(4)

    def pin(number: int) -> None:
        start.wait(10)
        stores[number].pin("files", [proposal(digest=f"d{number}")], f"set{number}")

    threads = [threading.Thread(target=pin, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({store.approved("files")["tool", "read"].digest for store in stores}) == 1
    for store in stores:
        store.close()


def test_it_survives_its_process(tmp_path: Path):
    with SqliteApprovals(tmp_path / "a.db") as store:
        store.pin("files", [proposal()], "set")
    with SqliteApprovals(tmp_path / "a.db") as store:
        assert store.approved("files")["tool", "read"].digest == "d1"


def test_a_file_from_a_newer_version_is_refused(tmp_path: Path):
    SqliteApprovals(tmp_path / "a.db").close()
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(ApprovalsError, match="newer Heddle"):
        SqliteApprovals(tmp_path / "a.db")


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    SqliteApprovals(tmp_path / "a.db").close()
    monkeypatch.setattr(driver, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE more (a) ; CREATE TABLE sets (a)"))
    with pytest.raises(ApprovalsError, match="already exists"):
        SqliteApprovals(tmp_path / "a.db")
    monkeypatch.setattr(driver, "MIGRATIONS", MIGRATIONS)
    with SqliteApprovals(tmp_path / "a.db") as store:
        assert store.approved("files") == {}


def test_what_is_no_database_is_refused(tmp_path: Path):
    (tmp_path / "a.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ApprovalsError, match=r"a\.db cannot be opened"):
        SqliteApprovals(tmp_path / "a.db")
    with pytest.raises(ApprovalsError):
        SqliteApprovals(tmp_path / "no" / "folder" / "a.db")


def test_nobody_else_can_read_it_and_no_link_is_followed(tmp_path: Path):
    SqliteApprovals(tmp_path / "a.db").close()
    assert (tmp_path / "a.db").stat().st_mode & 0o077 == 0
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(ApprovalsError):
        SqliteApprovals(tmp_path / "link.db")
    assert not (tmp_path / "elsewhere.db").exists()


def test_judgements_are_kept_by_question_and_are_no_decisions(store: Approvals):
    before = store.generation()
    assert store.judgements(["q1", "q2"]) == {}
    store.judge("q1", Judgement(harmful=True, reason="it reads keys", model="m"))
    store.judge("q1", Judgement(harmful=False, reason="it does not", model="m"))
    found = store.judgements(["q1", "q2", "'; DROP TABLE judgements; --"])
    assert list(found) == ["q1"]
    assert (found["q1"].harmful, found["q1"].reason, found["q1"].model) == (False, "it does not", "m")
    assert found["q1"].at_s > 1_700_000_000
    assert store.generation() == before
    assert store.judgements([]) == {}


def test_one_process_asks_and_the_others_wait_until_it_answers_gives_up_or_ends(store: Approvals):
    me, other = os.getpid(), os.getppid()
    assert store.claim("q", other, 60)
    assert not store.claim("q", me, 60)
    assert store.judgements(["q"]) == {}
    store.unclaim("q", me)
    assert not store.claim("q", me, 60), "it is not mine to give up"
    store.unclaim("q", other)
    assert store.claim("q", other, 3)
    for _ in range(3):  # each look at the clock is a second
        store.claim("another", me, 1)
    assert store.claim("q", me, 60), "it took too long"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert store.claim("r", ended.pid, 60)
    assert store.claim("r", me, 60), "it is not there any more"
    store.judge("q", Judgement(harmful=False, reason="", model="m"))
    assert not store.claim("q", me, 60)
    store.unclaim("q", me)
    assert "q" in store.judgements(["q"])


def test_a_first_set_is_begun_once_and_ended_by_its_digest(store: Approvals):
    store.begin("files", [("tool", "read", "d1"), ("tool", "write", "d2")])
    store.begin("files", [("tool", "other", "d3")])
    assert store.approved_set("files") == ""
    assert store.begun("files") == {("tool", "read", "d1"), ("tool", "write", "d2")}
    store.pin("files", [proposal()], "")
    assert store.approved_set("files") == ""
    store.pin("files", [], "whole")
    assert store.begun("files") == frozenset()
    store.pin("files", [proposal("write", "d2")], "")
    assert store.approved_set("files") == "whole", "whoever is late opens nothing again"
    store.begin("files", [("tool", "other", "d3")])
    assert store.approved_set("files") == "whole"
    store.forget("files")
    assert store.approved_set("files") is None


def test_the_oldest_judgements_go_first(store: Approvals, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver, "MAX_JUDGEMENTS", 3)
    for number in range(5):
        store.judge(f"q{number}", Judgement(harmful=False, reason="", model="m"))
    assert sorted(store.judgements([f"q{number}" for number in range(5)])) == ["q2", "q3", "q4"]


def test_a_file_of_the_version_before_is_brought_to_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver, "MIGRATIONS", MIGRATIONS[:1])
    with SqliteApprovals(tmp_path / "approvals.db") as old:
        old._db.execute(
            "INSERT INTO definitions (target, kind, name, digest, content, state, seen_s)"
            " VALUES ('files', 'tool', 'read', 'd1', x'7b7d', 'approved', 1)"
        )
    monkeypatch.undo()
    with SqliteApprovals(tmp_path / "approvals.db") as new:
        assert ("tool", "read") in new.approved("files")
        assert new.claim("q", os.getpid(), 1)
