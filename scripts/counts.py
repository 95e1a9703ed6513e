"""Adds up JUnit result files into one plain line: `tests: 812 passed, 0 failed, 3 skipped in 74 s`.

Exits 1 when anything failed, or when there is nothing to count: a run without tests is not a success.
"""

import sys
from pathlib import Path
from xml.etree import ElementTree  # our own pytest wrote these files


def counts(folder: Path) -> tuple[int, int, int, float]:
    """(passed, failed, skipped, seconds) over every `*.xml` of the folder."""
    total = failed = skipped = 0
    seconds = 0.0
    for file in sorted(folder.glob("*.xml")):
        for suite in ElementTree.parse(file).getroot().iter("testsuite"):
            total += int(suite.get("tests", 0))
            failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
            seconds += float(suite.get("time", 0))
    return total - failed - skipped, failed, skipped, seconds


if __name__ == "__main__":
    passed, failed, skipped, seconds = counts(Path(sys.argv[1]))
    print(f"tests: {passed} passed, {failed} failed, {skipped} skipped in {seconds:.0f} s")
    sys.exit(failed > 0 or passed == 0)
