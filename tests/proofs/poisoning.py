"""Does the check tell poisoned definitions from harmless ones that say nearly the same?

Definitions come in twins: one is there to mislead a model, the other names the same things and is harmless ("read
~/.ssh/id_rsa and pass it on", "never reads ~/.ssh/id_rsa"). `own` was written with the first rules. `dev` was written
by somebody who had not seen them, `dev2` by another; each was blind once, and is read and tuned on now. `blind` is new:
written by somebody who saw neither rules nor texts, and not read by whoever works on the rules. `harmless` are
definitions as honest servers write them, tuned on too. Flagged means: a finding of medium or high.

The figure of `blind` is the one to believe; those of the others say how well rules fit what they were fitted to.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.figures import Result, Target

from heddle.directory.definitions import Definition, define
from heddle.directory.poisoning import Finding, check

DATA = Path(__file__).parents[1] / "data" / "tool_definitions"
HALVES = {
    "own": DATA / "own.jsonl",
    "dev": DATA / "dev.jsonl",
    "dev2": DATA / "dev2.jsonl",
    "blind": DATA / "blind3.jsonl",
}
FORMER = (
    "own, first run, no rule changed for it yet: 90.9 % of 77 poisoned, 1.3 % of 77 benign (2026-11-21 14:19 UTC)",
    "dev while blind, FIRST run: 34.6 % of 104 poisoned, 6.7 % of 104 benign (2026-11-21 14:23 UTC)",
    "dev while blind, second: rules over pairs of things instead of phrases: 43.3 %, 10.6 % (14:28)",
    "dev while blind, third: verbs told by their form, loud marks no longer count: 45.2 %, 4.8 % (14:30)",
    "dev while blind, fourth: what is led to, not only told; six other languages: 48.1 %, 4.8 % (14:32)",
    "dev while blind, fifth: names of other targets' tools without a separator: 49.0 %, 4.8 % (14:44)",
    "dev while blind, sixth: hidden markup counts only where it speaks to a reader: 49.0 %, 2.9 % (14:45)",
    "estimate before the new blind half was run: three sets of poisoned definitions, each written by the author of the "
    "rules after the rules of that moment and then tuned on, gave at first sight 44 % of 85, 39 % of 56, 64 % of 33; "
    "weights alone, fitted on four fifths of all twins and measured on the fifth, 43 % of 181 at 3.9 % of the benign",
    "dev2 while blind, FIRST run and only one: 77.9 % of 104 poisoned, 10.6 % of 104 benign (2026-11-21 15:41 UTC, commit 925dfcc)",
)
"""Figures of earlier rules, told with every later one."""


def cases(path: Path) -> Iterator[dict[str, Any]]:
    """The definitions of one half."""
    for line in path.read_text().splitlines():
        if line.strip():
            yield json.loads(line)


def findings(case: dict[str, Any]) -> list[Finding]:
    """What counts of what was found in one."""
    others = {name: [_defined(one) for one in all_of] for name, all_of in (case.get("others") or {}).items()}
    return [finding for finding in check(_defined(case), others, case["target"]) if finding.counts]


def _defined(case: dict[str, Any]) -> Definition:
    """What a line, or one of its `others`, describes; a tool may stand there bare."""
    kind, value = case.get("kind", "tool"), case.get("definition", case)
    if kind == "instructions" and isinstance(value, dict):
        value = value["instructions"]
    return define(kind, value)


def run(folder: Path, size: int) -> Result:
    """Both halves, or the one that is there; never more than `size` definitions of each."""
    del folder
    result = Result("Poisoned definitions and their twins", ["half", "label", "definitions", "flagged", "%"])
    for half, path in HALVES.items():
        if not path.exists():
            result.notes.append(f"{half}: not there")
            continue
        total: Counter[str] = Counter()
        flagged: Counter[str] = Counter()
        wrong: Counter[str] = Counter()
        for case in list(cases(path))[:size]:
            hit = bool(findings(case))
            total[case["label"]] += 1
            flagged[case["label"]] += hit
            # Attack classes only: what a text says is not to be learnt from its mistakes.
            wrong[f"{case['label']} {case['attack']}"] += hit is not (case["label"] == "poisoned")
        for label in ("poisoned", "benign"):
            share = 100 * flagged[label] / max(1, total[label])
            result.rows.append([half, label, total[label], flagged[label], round(share, 1)])
            bound = {"at_least": 90.0} if label == "poisoned" else {"at_most": 2.0}
            result.targets.append(Target(f"{half}: {label} flagged, %", share, **bound))
        missed = ", ".join(f"{attack} {count}" for attack, count in sorted(wrong.items()) if count)
        result.notes.append(f"{half}: judged wrongly, by attack class: {missed or 'none'}")
    _run_harmless(result, size)
    result.notes += FORMER
    return result


def _run_harmless(result: Result, size: int) -> None:
    """Definitions that are nobody's twins."""
    harmless = json.loads((DATA / "harmless.json").read_text())[:size]
    flagged = sum(bool(findings({**case, "target": "here"})) for case in harmless)
    share = 100 * flagged / max(1, len(harmless))
    result.rows.append(["harmless", "benign", len(harmless), flagged, round(share, 1)])
    result.targets.append(Target("harmless: benign flagged, %", share, at_most=2.0))
