"""The public suite's scenarios through the gateway, and the content behind each."""

import json
from collections.abc import Iterator

import pytest
from tests.conformance.mcp import functional
from tests.conformance.mcp.run import PAGE
from tests.conformance.mcp.servers import gateway
from tests.conformance.mcp.suite import REQUIREMENTS, required, score
from tests.mcp_servers.running import node


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    assert node(), "see .bench/node.log"
    with gateway(tmp_path_factory.mktemp("conformance")) as running:
        yield running


@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("ignore:.*deprecated", "ignore:.*is removed as of")
@pytest.mark.parametrize("revision", REQUIREMENTS)
async def test_every_scenario_says_what_it_should(url: str, revision: str) -> None:
    scenarios = required(revision)
    assert len(scenarios) == REQUIREMENTS[revision]
    assert set(scenarios) <= functional.CHECKS.keys(), "each has a functional check"
    for scenario in scenarios:
        try:
            await functional.check(url, revision, scenario)
        except Exception as error:
            raise AssertionError(f"{scenario}: {error!r}") from error


@pytest.mark.timeout(240)
@pytest.mark.parametrize("revision", REQUIREMENTS)
def test_the_public_suite(url: str, revision: str) -> None:
    found = score(url, revision)
    assert {name: found.lost(name) for name in found.required if found.lost(name)} == {}
    assert not found.skipped
    assert found.full


def test_the_score_that_is_written_down() -> None:
    saved = json.loads(PAGE.with_suffix(".json").read_text())["servers"]["both"]
    assert {revision: one["passed"] for revision, one in saved.items()} == REQUIREMENTS
    assert {revision: one["functional_passed"] for revision, one in saved.items()} == REQUIREMENTS
    assert not any(one["skipped"] for one in saved.values())
