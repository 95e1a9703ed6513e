"""What the store acknowledged outlives its process: the short form of `tests.proofs.store`."""

from pathlib import Path

import pytest
from tests.contract.documents.postgres_server import PostgresServer
from tests.proofs.store import Heard, Told, compare, kill_again_and_again, on_postgres, on_sqlite

KILLS = 10


def test_on_sqlite(tmp_path: Path):
    told = on_sqlite(tmp_path, KILLS)
    assert told.acknowledged >= 10 * KILLS
    assert told == Told(acknowledged=told.acknowledged)


@pytest.mark.slow
def test_on_postgres_with_two_replicas(tmp_path: Path):
    if not PostgresServer.found():
        pytest.skip("there is no PostgreSQL here")
    told, beside = on_postgres(tmp_path, KILLS, 1)
    assert told.acknowledged >= 10 * KILLS
    assert told == Told(acknowledged=told.acknowledged)
    assert beside.while_killed_s <= 2
    assert beside.while_ended_s <= beside.away_s + 2


def test_what_is_wrong_is_found(tmp_path: Path):
    """The comparison finds what the proof claims there is none of."""
    heard, address = Heard(), str(tmp_path / "resources.db")
    kill_again_and_again(address, tmp_path, heard, 1)
    assert compare(address, [heard]) == Told(acknowledged=len(heard.wrote))
    version, name, value = heard.wrote[-1]
    heard.wrote.append([version + 1_000_000, name, value])
    heard.wrote.append([version, name, "another"])
    heard.events.append(heard.events[2])
    del heard.events[1]
    heard.events[3] = ["ADDED", heard.events[3][1], "n0", "another"]
    found = compare(address, [heard])
    assert (found.lost, found.repeated, found.missed, found.untrue) == (2, 1, 1, 1)
