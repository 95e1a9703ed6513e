"""Prints the matrix after its tests: dialects down, vendors across, and what did not pass by name."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.matrix.meshes import Meshes, running_meshes

MARKS = {"passed": "+", "nothing": "o", "impossible": "-", "failed": "X"}
SHORT = {
    "openai_chat": "chat",
    "openai_responses": "responses",
    "anthropic_messages": "anthropic",
    "gemini": "gemini",
    "bedrock_converse": "bedrock",
}


@pytest.fixture(scope="session")
def meshes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshes]:
    with running_meshes(tmp_path_factory.mktemp("matrix")) as running:
        yield running


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One row per dialect and feature. Comes from the reports' properties, which also cross processes."""
    cells: dict[tuple[str, str, str], tuple[str, str]] = {}
    usages = 0
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            said = dict(getattr(report, "user_properties", []))
            if "cell" in said:
                usages += said.get("usages", 0)
                other = next((name for name in ("impossible", "nothing") if outcome == "passed" and name in said), "")
                cells[tuple(said["cell"])] = (other or outcome, said.get(other, ""))
    if cells:
        _write(terminalreporter, cells)
        terminalreporter.write_line(f"usage, in the answer and in the access record, is the vendor's in {usages} calls")


def _write(reporter: Any, cells: dict[tuple[str, str, str], tuple[str, str]]) -> None:
    vendors = list(dict.fromkeys(vendor for _, vendor, _ in cells))
    dialects = list(dict.fromkeys(dialect for dialect, _, _ in cells))
    features = list(dict.fromkeys(feature for _, _, feature in cells))
    reporter.section("real SDKs (rows) by vendor (columns)")
    reporter.write_line(f"{'':36}" + "".join(f"{SHORT[vendor]:>11}" for vendor in vendors))
    for dialect in dialects:
        for feature in features:
            marks = [MARKS.get(cells.get((dialect, vendor, feature), ("",))[0], "") for vendor in vendors]
            if any(marks):
                reporter.write_line(f"{SHORT[dialect]:>10}  {feature:24}" + "".join(f"{mark:>11}" for mark in marks))
    for (dialect, vendor, feature), (mark, reason) in cells.items():
        if reason:
            reporter.write_line(f"{MARKS[mark]} {SHORT[dialect]} to {SHORT[vendor]}, {feature}: {reason}")
    counts = {name: sum(mark == name for mark, _ in cells.values()) for name in MARKS}
    reporter.write_line(
        f"{len(cells)} cells: {counts['passed']} pass (+), {counts['nothing']} pass with no proof to replay (o), "
        f"{counts['impossible']} are impossible and refused (-), {counts['failed']} fail (X)"
    )
