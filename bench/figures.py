"""What a question answers with: a table, figures by name, and the figures that are claimed.

Owns: rendering, the JSON under .bench/results, and docs/benchmarks.md.
Refuses: measuring.
"""

import datetime
import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Options:
    """How long and with whom a question is asked."""

    seconds: float | None
    """Length of one measured run; None takes the question's own."""
    rounds: int
    """How often each gateway is measured, in turns; medians are shown."""
    peers: list[str]
    """Names of `gateways.GATEWAYS` to measure."""
    calls: int | None
    """Calls of the questions that count calls (memory, reload); None takes the claimed number."""


@dataclass(frozen=True, slots=True)
class Target:
    """A figure we claim: `at_most` or `at_least` a bound."""

    what: str
    value: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool:
        """Whether the measured figure keeps the claim."""
        return not (
            (self.at_most is not None and self.value > self.at_most)
            or (self.at_least is not None and self.value < self.at_least)
        )

    def line(self) -> str:
        """The claim and how it went, in one line."""
        bound = f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"
        return f"{'met   ' if self.met else 'MISSED'} {self.what}: {show(self.value)} ({bound})"


@dataclass(slots=True)
class Result:
    """The answer to one question."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[Cell]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def table(self) -> str:
        """The rows as a Markdown table, aligned so that a terminal reads it too."""
        cells = [list(self.columns), *[[show(cell) for cell in row] for row in self.rows]]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(r, widths, strict=True)) + " |" for r in cells
        ]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(lines)

    def text(self) -> str:
        """Title, table, notes and claims."""
        parts = [f"## {self.title}", self.table(), *self.notes]
        if self.targets:
            parts.append("\n".join(f"- {target.line()}" for target in self.targets))
        return "\n\n".join(parts) + "\n"


def show(cell: Cell) -> str:
    """A cell as people write it: three significant digits, thousands apart."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        digits = 0 if abs(cell) >= 100 else 1 if abs(cell) >= 10 else 2
        return f"{cell:,.{digits}f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def machine() -> str:
    """Processor, cores, Python and kernel in one line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, Linux {platform.release()}"


def record(folder: Path, question: str, result: Result, command: str, build: str) -> None:
    """Writes the result as JSON, to compare runs with and to make the page from. `build` of ours: compiled or not."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    content = {"machine": machine(), "date": now, "command": command, "build": build, **asdict(result)}
    (folder / f"{question}.json").write_text(json.dumps(content, indent=1))


def recorded(folder: Path, questions: Iterable[str]) -> list[tuple[Result, str]]:
    """The last result of each question that has one, and when and how it was measured."""
    found = []
    for question in questions:
        try:
            content = json.loads((folder / f"{question}.json").read_text())
        except FileNotFoundError:
            continue
        how = f"Measured {content.pop('date')} with `{content.pop('command', 'python -m bench.run')}`"
        how += f", ours {content.pop('build', 'interpreted')}, Python {content.pop('machine').partition('Python ')[2]}."
        content["targets"] = [Target(**target) for target in content["targets"]]
        found.append((Result(**content), how))
    return found


def page(sections: Sequence[tuple[Result, str]]) -> str:
    """docs/benchmarks.md."""
    head = (
        "# Benchmarks\n\n"
        f"On: {machine()}.\n\n"
        "Loopback; each gateway is one process held to one core, the mock upstream and the load generator share the\n"
        "other. Medians of interleaved rounds. CPU is user + system time from /proc, so it says what a call costs\n"
        "whatever else the core did. Ratios carry over to another machine, absolute figures do not: run it on yours.\n"
        "Each claim is listed with what was measured, kept or missed. *Compiled* is ours with its hot path compiled,\n"
        "as `make compiled` and the wheel of a platform have it; *interpreted* is the same code as it is (ADR 17).\n"
    )
    return head + "\n" + "\n".join(f"{result.text()}\n{how}\n" for result, how in sections)
