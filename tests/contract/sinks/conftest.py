"""What sinks are lent in tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from heddle.drivers.sinks.base import SinkTools
from heddle.drivers.sinks.http import Poster
from heddle.net.client import Client


@pytest.fixture
async def tools(tmp_path: Path) -> AsyncIterator[SinkTools]:
    client = Client()
    yield SinkTools(Poster(client), tmp_path)
    await client.close()
