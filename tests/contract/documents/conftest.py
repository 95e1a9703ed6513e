"""The drivers, each with documents of its own."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.contract.documents.drivers import Open, opened, sqlite

from heddle.drivers.documents import Documents

DRIVERS: dict[str, Callable[[Path], Open]] = {"sqlite": sqlite}


@pytest.fixture(params=sorted(DRIVERS))
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Makes objects on the same documents; they are not open."""
    return DRIVERS[request.param](tmp_path)


@pytest.fixture
async def documents(reopen: Open) -> AsyncIterator[Documents]:
    """Empty documents, open."""
    async with opened(reopen()) as made:
        yield made
