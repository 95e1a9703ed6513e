"""Real clients by servers of every kind."""

from collections.abc import Iterator

import pytest
from tests.eras.backends import DIRECT, Addresses, addresses
from tests.eras.impossible import BACKENDS
from tests.eras.sdks import ASK, EXPECTED, OF_EVERY_SERVER, OVER_SSE, SDK_FEATURES
from tests.eras.wire import OldSse, Streamable
from tests.mcp_servers.running import node


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    with addresses(tmp_path_factory.mktemp("sdks")) as running:
        yield running


@pytest.mark.timeout(90)
@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize("backend", ["http"] if DIRECT else BACKENDS)
@pytest.mark.parametrize("client", ASK)
async def test_client(where: Addresses, client: str, backend: str) -> None:
    if client.startswith("typescript"):
        assert node(), "see .bench/node.log"
    url = where.of(backend, OldSse if client in OVER_SSE else Streamable)
    heard = await ASK[client](url, backend != "openapi")
    assert {"echo", "add"} <= set(heard.pop("tools"))
    if backend == "openapi":
        assert heard == {name: EXPECTED[name] for name in OF_EVERY_SERVER if name != "tools"}
        return
    assert "Start with echo." in heard.pop("instructions")
    assert heard == EXPECTED
    assert {*heard, "tools", "instructions"} == set(SDK_FEATURES)
