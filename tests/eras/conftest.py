"""Prints the matrix after its tests: versions and servers across, features down."""

from typing import Any

from tests.eras.impossible import BACKENDS, VERSIONS

MARKS = {"passed": "+", "impossible": "-", "failed": "X"}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One row per feature and version. Comes from the reports' properties, which also cross processes."""
    cells: dict[tuple[str, str, str], str] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            said = dict(getattr(report, "user_properties", []))
            if "era" in said:
                cells[tuple(said["era"])] = "impossible" if outcome == "passed" and "why" in said else outcome
    if cells:
        _write(terminalreporter, cells)


def _write(reporter: Any, cells: dict[tuple[str, str, str], str]) -> None:
    reporter.section("MCP clients (rows) by tool servers (columns)")
    reporter.write_line(f"{'':47}" + "".join(f"{backend:>11}" for backend in BACKENDS))
    for feature in dict.fromkeys(feature for _, _, feature in cells):
        for version in VERSIONS:
            marks = [MARKS.get(cells.get((version, backend, feature), ""), "") for backend in BACKENDS]
            if any(marks):
                reporter.write_line(f"{version}  {feature:35}" + "".join(f"{mark:>11}" for mark in marks))
    counts = {name: sum(mark == name for mark in cells.values()) for name in MARKS}
    reporter.write_line(
        f"{len(cells)} cells: {counts['passed']} work (+), {counts['impossible']} are impossible (-), "
        f"{counts['failed']} fail (X)"
    )
