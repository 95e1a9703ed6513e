"""What PostgreSQL promises beyond the contract: replicas, connections that break, a server that is away."""

import asyncio
import datetime
import ipaddress
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.contract.documents.cutting import Cutting, Where
from tests.contract.documents.drivers import KEEP, Told, eventually, opened, write
from tests.contract.documents.postgres_server import PostgresServer

from heddle.drivers.documents import ConflictError, Documents, UnavailableError
from heddle.drivers.documents.postgres import PostgresDocuments


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def fragile() -> Iterator[PostgresServer]:
    """One that a test may end."""
    if not PostgresServer.found():
        pytest.skip("there is no PostgreSQL here")
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture
async def replicas(dsn: str) -> AsyncIterator[tuple[Documents, Documents]]:
    """Two on one database, which was empty for both."""
    one, two = PostgresDocuments(dsn, KEEP), PostgresDocuments(dsn, KEEP)
    await asyncio.gather(one.open(), two.open())
    yield one, two
    await asyncio.gather(one.close(), two.close())


# Replicas


async def test_replicas_write_one_sequence(replicas: tuple[Documents, Documents]):
    one, two = replicas
    start = await one.latest()
    writes = [(one, two)[number % 2].write([write(f"n{number}", expected=0)]) for number in range(200)]
    made = [change for (change,) in await asyncio.gather(*writes)]
    assert sorted(change.version for change in made) == list(range(start + 1, start + 201))
    assert await one.changes(start, 500) == await two.changes(start, 500)
    assert await one.latest() == await two.latest() == start + 200
    with pytest.raises(ConflictError):
        await two.write([write("n0", expected=0)])


async def test_each_replica_hears_of_the_others_writes_and_not_of_its_own(replicas: tuple[Documents, Documents]):
    one, two = replicas
    told = Told(one), Told(two)
    await asyncio.sleep(0.1)
    told[0].nudges = told[1].nudges = 0
    await one.write([write()])
    await eventually(lambda: told[1].nudges == 1)
    assert told[0].nudges == 0
    assert len(told[0].changes) == 1


async def test_what_was_acknowledged_anywhere_is_the_latest_everywhere(replicas: tuple[Documents, Documents]):
    one, two = replicas
    for number in range(50):
        (made,) = await one.write([write(f"n{number}")])
        assert await two.latest() == made.version
    answers = await asyncio.gather(*[two.latest() for _ in range(100)])
    assert set(answers) == {made.version}


async def test_replicas_compact_once(replicas: tuple[Documents, Documents]):
    one, two = replicas
    for _ in range(5):
        await one.write([write()])
    latest = await one.latest()
    await asyncio.gather(one.compact(latest), two.compact(latest), one.compact(latest - 1))
    assert await two.changes(latest, 1) == []
    assert len(await two.revisions(write().key)) == KEEP.revisions


# What breaks


@pytest.mark.parametrize("where", ["before", "after"])
async def test_a_connection_lost_in_a_commit_leaves_it_unknown(dsn: str, where: Where):
    async with Cutting(dsn) as relay, opened(PostgresDocuments(relay.dsn)) as documents:
        start, told = await documents.latest(), Told(documents)
        relay.cut(b"COMMIT", where)
        with pytest.raises(UnavailableError, match="whether it was written is not known") as caught:
            await documents.write([write("lost")])
        assert caught.value.unknown
        assert told.nudges, "the store has to look"
        happened = int(where == "after")
        await asyncio.sleep(0.05)
        assert await documents.latest() == start + happened
        assert (await documents.write([write("next", expected=0)]))[0].version == start + happened + 1


@pytest.mark.parametrize("seen", [b"BEGIN", b"FOR UPDATE", b"INSERT INTO"])
async def test_a_connection_lost_before_that_is_made_again_and_nothing_is_written_twice(dsn: str, seen: bytes):
    async with Cutting(dsn) as relay, opened(PostgresDocuments(relay.dsn)) as documents:
        start = await documents.latest()
        relay.cut(seen, "after")
        (made,) = await documents.write([write(expected=0)])
        assert made.version == start + 1
        assert len(await documents.changes(start, 10)) == 1


async def test_connections_that_were_ended_while_idle_are_made_again(postgres: PostgresServer, dsn: str):
    async with opened(PostgresDocuments(dsn)) as documents, opened(PostgresDocuments(dsn)) as other:
        await documents.write([write()])
        told = Told(other)
        database = dsn.rpartition("/")[2]
        end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        postgres.psql(end)
        await asyncio.gather(documents.latest(), documents.changes(0 + 1, 1), documents.write([write("b")]))
        await eventually(lambda: told.nudges > 0)
        told.nudges = 0
        await documents.write([write("c")])
        await eventually(lambda: told.nudges > 0)


@pytest.mark.parametrize("fast", [True, False])
async def test_a_server_that_was_away_is_back_within_two_seconds(fragile: PostgresServer, fast: bool):
    async with opened(PostgresDocuments(fragile.database(), patience_s=0.3)) as documents:
        (made,) = await documents.write([write()])
        await asyncio.to_thread(fragile.stop)
        began = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            await documents.write([write("b")])
        assert not caught.value.unknown
        assert time.monotonic() - began < 2
        with pytest.raises(UnavailableError):
            await documents.latest()
        if not fast:
            await asyncio.sleep(1)
        await asyncio.to_thread(fragile.start)
        began = time.monotonic()
        while True:
            try:
                (after,) = await documents.write([write("c")])
                break
            except UnavailableError:
                pass
        assert time.monotonic() - began < 2
        assert after.version == made.version + 1
        assert await documents.latest() == after.version


async def test_writers_wait_for_a_server_that_restarts(fragile: PostgresServer):
    async with opened(PostgresDocuments(fragile.database(), patience_s=10)) as documents:
        await documents.write([write()])
        await asyncio.to_thread(fragile.stop)
        waiting = [asyncio.create_task(documents.write([write(f"n{number}")])) for number in range(20)]
        await asyncio.to_thread(fragile.start)
        assert all(len(made) == 1 for made in await asyncio.gather(*waiting))


async def test_who_gave_up_while_it_was_away_wrote_nothing(fragile: PostgresServer):
    async with opened(PostgresDocuments(fragile.database(), patience_s=10)) as documents:
        (made,) = await documents.write([write()])
        await asyncio.to_thread(fragile.stop)
        first = asyncio.create_task(documents.write([write("first")]))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(documents.write([write("second")]))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.to_thread(fragile.start)
        await first
        assert [one.key.name for one in await documents.changes(made.version, 10)] == ["first"]


# Addresses and rights


async def test_there_is_no_server(dsn: str):
    with pytest.raises(UnavailableError, match="PostgreSQL cannot be used"):
        await PostgresDocuments("postgres://u:HIDDEN@127.0.0.1:1/x").open()
    with pytest.raises(UnavailableError, match="does not exist"):
        await PostgresDocuments(dsn + "nowhere").open()
    with pytest.raises(UnavailableError, match="SSL"):
        await PostgresDocuments(dsn + "?sslmode=require").open()


@pytest.mark.parametrize(
    "bad",
    [
        "postgres://u:HIDDEN/word@host/x",
        "http://u:HIDDEN@host/x",
        "HIDDEN",
        "",
        "postgres://u:HIDDEN@host:port/x",
        "postgres://u:HIDDEN@127.0.0.1:1/x?sslmode=maybe",
        "postgres://u:HIDDEN@[::1/x",
    ],
)
async def test_an_address_that_is_none_shows_no_password(bad: str):
    documents = PostgresDocuments(bad)
    with pytest.raises((ValueError, UnavailableError)) as caught:
        await documents.open()
    shown = repr(documents) + str(caught.value) + repr(caught.value.__cause__)
    assert "HIDDEN" not in shown
    assert "PostgreSQL" in str(caught.value)


async def test_a_database_of_a_newer_program_is_refused(postgres: PostgresServer, dsn: str):
    async with opened(PostgresDocuments(dsn)):
        pass
    postgres.psql("UPDATE heddle_format SET number = 99", dsn.rpartition("/")[2])
    with pytest.raises(ValueError, match=r"newer Heddle \(format 99, known is 1\)"):
        await PostgresDocuments(dsn).open()


async def test_what_the_database_refuses_was_not_written(postgres: PostgresServer, dsn: str):
    async with opened(PostgresDocuments(dsn)) as documents:
        await documents.write([write()])
        database = dsn.rpartition("/")[2]
        postgres.psql("ALTER TABLE heddle_changes ADD CONSTRAINT no CHECK (version < 3)", database)
        with pytest.raises(UnavailableError, match="violates check constraint") as caught:
            await documents.write([write("b")])
        assert not caught.value.unknown
        postgres.psql("ALTER TABLE heddle_changes DROP CONSTRAINT no", database)
        assert await documents.write([write("b")])


def certificate() -> tuple[bytes, bytes]:
    """Of 127.0.0.1, by itself; and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postgres")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return made.public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)


async def test_tls_is_as_the_address_says(fragile: PostgresServer, tmp_path: Path):
    right, wrong = tmp_path / "right.pem", tmp_path / "wrong.pem"
    content, key = certificate()
    right.write_bytes(content)
    wrong.write_bytes(certificate()[0])
    address = fragile.database()
    fragile.stop()
    fragile.speak_tls(content, key)
    fragile.start()
    async with opened(PostgresDocuments(f"{address}?sslmode=verify-full&sslrootcert={right}")) as documents:
        assert await documents.write([write()])
        assert fragile.psql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                            " WHERE application_name = 'heddle'") == "t"  # fmt: skip
    with pytest.raises(UnavailableError, match="certificate"):
        await PostgresDocuments(f"{address}?sslmode=verify-full&sslrootcert={wrong}").open()
    other = address.replace("127.0.0.1", "localhost")
    with pytest.raises(UnavailableError, match="certificate"):
        await PostgresDocuments(f"{other}?sslmode=verify-full&sslrootcert={right}").open()


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ValueError, match=r"heddle-mesh\[postgres\]"):
        PostgresDocuments("postgres://h/x")


def test_it_is_imported_only_then():
    program = "import sys, heddle.drivers.documents.postgres; print('asyncpg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
