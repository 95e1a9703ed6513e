"""Does a guarded stream say exactly what the guarded whole text would say?

Random answers with planted, near, cut, touching, overlapping and escaped matches, as text and inside of streamed tool
arguments, are written in every dialect, cut into random events and random network reads, and guarded with twenty
recognisers, two patterns and a phrase. What the caller gathers is compared with a search of the whole text that has no
automaton: every recogniser, at every place, at every length. It shares the recognisers themselves with the engine, as
they were read (trees of patterns, check digits); their reading is compared with Python's `re` in `tests/property`.
"""

import time
from pathlib import Path

from bench.figures import Result, Target
from tests.property.guards_cases import run as one
from tests.property.guards_streams import DIALECTS


def run(folder: Path, size: int) -> Result:
    """`size` answers in each dialect."""
    del folder
    result = Result("Guards in streams", ["dialect", "answers", "different from the whole text", "s"])
    differing = 0
    for dialect in DIALECTS:
        began, wrong = time.monotonic(), []
        for seed in range(size):
            try:
                one(dialect, seed)
            except AssertionError:
                wrong.append(seed)
        differing += len(wrong)
        result.rows.append([dialect, size, len(wrong), round(time.monotonic() - began, 1)])
        result.notes += [f"{dialect}: seeds {wrong[:5]}"] if wrong else []
    result.targets = [
        Target("answers that differ", float(differing), at_most=0),
        Target("answers in all dialects", float(size * len(DIALECTS)), at_least=10_000),
    ]
    return result
