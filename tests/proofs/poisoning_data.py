"""The corpus of tests/data/tool_definitions, as those read it who measure with it."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from heddle.directory.definitions import Definition, define
from heddle.directory.poisoning import Finding, check

DATA = Path(__file__).parents[1] / "data" / "tool_definitions"
HALVES = {
    "own": DATA / "own.jsonl",
    "own2": DATA / "own2.jsonl",
    "dev": DATA / "dev.jsonl",
    "dev2": DATA / "dev2.jsonl",
    "dev3": DATA / "dev3.jsonl",
    "dev4": DATA / "dev4.jsonl",
    "more": DATA / "more.jsonl.gz",
    "blind": DATA / "blind5.jsonl",
    "at_judge": DATA / "at_judge.jsonl",
}
"""Twins."""
HARMLESS = {"harmless": DATA / "harmless.json", "more_harmless": DATA / "more_harmless.jsonl.gz"}
"""Definitions that are nobody's twins."""


def cases(path: Path) -> Iterator[dict[str, Any]]:
    """The definitions of one half."""
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
    lines = json.loads(text) if path.suffix == ".json" else map(json.loads, filter(str.strip, text.split("\n")))
    for number, one in enumerate(lines):
        yield {"id": f"h{number:04}", "label": "benign", "target": "here", "others": {}, **one}


def defined(case: dict[str, Any]) -> Definition:
    """What a line, or one of its `others`, describes; a tool may stand there bare."""
    kind, value = case.get("kind", "tool"), case.get("definition", case)
    if kind == "instructions" and isinstance(value, dict):
        value = value["instructions"]
    return define(kind, value)


def others_of(case: dict[str, Any]) -> dict[str, list[Definition]]:
    """What other targets offer."""
    return {name: [defined(one) for one in all_of] for name, all_of in (case.get("others") or {}).items()}


def findings_in(case: dict[str, Any]) -> list[Finding]:
    """What the rules find in one, remarks too."""
    return check(defined(case), others_of(case), case["target"])


def findings(case: dict[str, Any]) -> list[Finding]:
    """What counts of it."""
    return [finding for finding in findings_in(case) if finding.counts]
