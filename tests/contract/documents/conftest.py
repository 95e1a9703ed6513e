"""The drivers, each with documents of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contract.documents.drivers import KEEP, Open, opened
from tests.contract.documents.postgres_server import PostgresServer

from heddle.drivers.documents import Documents
from heddle.drivers.documents.postgres import PostgresDocuments
from heddle.drivers.documents.sqlite import FILE, SqliteDocuments


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One for all tests that ask for it."""
    if not PostgresServer.found():
        pytest.skip("there is no PostgreSQL here")
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(params=["postgres", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Makes objects on the same documents; they are not open."""
    if request.param == "sqlite":
        return lambda: SqliteDocuments(tmp_path / FILE, KEEP)
    dsn = request.getfixturevalue("postgres").database()
    return lambda: PostgresDocuments(dsn, KEEP)


@pytest.fixture
async def documents(reopen: Open) -> AsyncIterator[Documents]:
    """Empty documents, open."""
    async with opened(reopen()) as made:
        yield made
