"""Clients of every version by servers of every kind: what is not declared impossible works."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.eras.backends import DIRECT, Addresses, addresses
from tests.eras.features import ANSWERS, FEATURES, capabilities
from tests.eras.impossible import BACKENDS, VERSIONS, impossible
from tests.eras.wire import KINDS, MODERN

CELLS = [
    (version, backend, feature)
    for version in VERSIONS
    for backend in (["http"] if DIRECT else BACKENDS)
    for feature in FEATURES
]


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    with addresses(tmp_path_factory.mktemp("eras")) as running:
        yield running


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("version", "backend", "feature"), CELLS)
async def test_cell(where: Addresses, version: str, backend: str, feature: str, record_property: Any) -> None:
    record_property("era", (version, backend, feature))
    reason = impossible(version, "stateless" if DIRECT and version == MODERN else backend, feature)
    if reason is not None:
        record_property("why", reason.why)
    kind = KINDS[version]
    async with kind(where.of(backend, kind), version, capabilities(version), ANSWERS) as session:
        session.own_server = backend == "stdio"
        await (reason.instead if reason is not None else FEATURES[feature])(session)
