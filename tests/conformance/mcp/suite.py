"""Runs the public conformance suite and reads what it found, check by check.

A scenario counts when every one of its checks succeeded: a warning, or a check that was skipped, is a point lost. The
suite's own score forgives both.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.mcp_servers.running import NODE_HOME

PROGRAM = NODE_HOME / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
REQUIREMENTS = {"2025-11-25": 30, "2026-07-28": 37}
"""Revision -> how many scenarios it requires of a server."""


@dataclass(frozen=True)
class Check:
    """One line of a scenario's report."""

    scenario: str
    name: str
    status: str
    said: str


@dataclass
class Score:
    """What became of one revision's scenarios."""

    revision: str
    required: list[str]
    checks: list[Check] = field(default_factory=list)

    def lost(self, scenario: str) -> list[Check]:
        """Checks of a scenario that did not simply succeed; a stand-in for a scenario that never ran."""
        mine = [check for check in self.checks if check.scenario == scenario]
        told = [check for check in mine if check.status != "INFO"]
        if not told:
            return [Check(scenario, "ran", "MISSING", "no check was reported")]
        return [check for check in told if check.status != "SUCCESS"]

    @property
    def passed(self) -> list[str]:
        """Required scenarios without a blemish."""
        return [scenario for scenario in self.required if not self.lost(scenario)]

    @property
    def skipped(self) -> int:
        """Checks of required scenarios that were not made."""
        return sum(check.status == "SKIPPED" for check in self.checks if check.scenario in self.required)

    @property
    def full(self) -> bool:
        """All of them, and as many as there should be."""
        return len(self.passed) == len(self.required) == REQUIREMENTS[self.revision]

    @property
    def unscored(self) -> dict[str, bool]:
        """Scenarios the suite ran beyond those required -> whether they passed."""
        names = dict.fromkeys(check.scenario for check in self.checks if check.scenario not in self.required)
        return {name: not [check for check in self.lost(name) if check.status == "FAILURE"] for name in names}


def command(*arguments: str) -> list[str]:
    """The suite's program, run by the Node it came with."""
    return [str(NODE_HOME / ".bin" / "node"), str(PROGRAM), *arguments]


def required(revision: str) -> list[str]:
    """Names of the scenarios that a revision requires of servers."""
    asked = command("list", "--requirements", revision)
    listed = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
    of_servers = listed.partition("Server scenarios")[2].partition("Client scenarios")[0]
    return re.findall(r"^  - (\S+)", of_servers, re.MULTILINE)


def score(url: str, revision: str) -> Score:
    """Asks a server everything that a revision requires."""
    found = Score(revision, required(revision))
    with tempfile.TemporaryDirectory() as folder:
        asked = command("server", "--url", url, "--requirements", revision, "-o", folder)
        subprocess.run(asked, capture_output=True, check=False, timeout=600)
        found.checks.extend(_read(Path(folder)))
    return found


def _read(folder: Path) -> Iterator[Check]:
    for path in sorted(folder.glob("*/checks.json")):
        named = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z", path.parent.name)
        assert named, path.parent.name
        for check in json.loads(path.read_text()):
            yield Check(named[1], check["id"], check["status"], check.get("errorMessage") or "")
