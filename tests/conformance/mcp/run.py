"""`python -m tests.conformance.mcp.run`: the public suite through the gateway, and our own look at every scenario.

Without `--url` the server and the gateway are started here. `--save` writes docs/conformance/mcp.md and mcp.json. The
exit code is 1 when a scenario that counts lost a point, when a check was skipped, or when a functional check failed.
"""

import argparse
import asyncio
import datetime
import importlib.metadata
import json
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.conformance.mcp import functional
from tests.conformance.mcp.servers import KINDS, gateway
from tests.conformance.mcp.suite import PROGRAM, REQUIREMENTS, Score, score
from tests.mcp_servers.running import NODE_HOME, ROOT, everything

from heddle import __version__

Failures = dict[str, str]
PAGE = ROOT / "docs" / "conformance" / "mcp.md"
WHY = """\
Servers of the older era ask one question after another and give none of them a name; the newer one asks several at
once, each under a name of the server's choice. The gateway makes up a name for each question as it comes. A client
that answers what it was asked gets on, as the functional column says; the suite looks for the names and the number that
the server would have chosen in the newer era.
"""
CLAIMED = "both"
"""The kind of server that the claim is about; the others are measured and shown."""


def functionally(url: str, found: Score) -> Failures:
    """Scenarios whose content is not what it should be -> how."""
    failures: Failures = {}
    for scenario in found.required:
        try:
            asyncio.run(functional.check(url, found.revision, scenario))
        except Exception as error:
            while isinstance(error, BaseExceptionGroup):  # the client's own task groups
                error = error.exceptions[0]
            failures[scenario] = f"{type(error).__name__}: {error}"[:500]
    return failures


def measured(kind: str, url: str) -> dict[str, Any]:
    """Scores of one server, as they are saved; printed as they come."""
    revisions: dict[str, Any] = {}
    for revision in REQUIREMENTS:
        found = score(url, revision)
        failures = functionally(url, found)
        lost = {name: [f"{c.name}: {c.status} {c.said}" for c in found.lost(name)] for name in found.required}
        revisions[revision] = {
            "passed": len(found.passed),
            "required": REQUIREMENTS[revision],
            "skipped": found.skipped,
            "checks": sum(check.scenario in found.required and check.status != "INFO" for check in found.checks),
            "functional_passed": len(found.required) - len(failures),
            "scenarios": {name: not why for name, why in lost.items()},
            "lost": {name: why for name, why in lost.items() if why},
            "functional_lost": failures,
            "unscored": found.unscored,
        }
        one = revisions[revision]
        print(
            f"{kind:8} {revision}  {one['passed']}/{one['required']} scenarios ({one['checks']} checks, "
            f"{one['skipped']} skipped), functional {one['functional_passed']}/{len(found.required)}"
        )
        for name, why in [*one["lost"].items(), *failures.items()]:
            print(f"           {name}: {why}")
    return revisions


def full(revisions: dict[str, Any]) -> bool:
    """Whether nothing was lost."""
    return all(
        one["passed"] == one["required"] == one["functional_passed"] and not one["skipped"]
        for one in revisions.values()
    )


def versions() -> dict[str, str]:
    """Of everything that took part."""
    suite = json.loads(PROGRAM.parent.parent.joinpath("package.json").read_text())["version"]
    node = subprocess.run([NODE_HOME / ".bin" / "node", "--version"], capture_output=True, text=True, check=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "suite": f"@modelcontextprotocol/conformance {suite}",
        "node": node.stdout.strip().removeprefix("v"),
        "mcp": importlib.metadata.version("mcp"),
        "python": platform.python_version(),
        "heddle": commit.stdout.strip() or __version__,
    }


def page(saved: dict[str, Any]) -> str:
    """The score, for people."""
    version = saved["versions"]
    lines = [
        "# MCP conformance",
        "",
        f"The public suite ({version['suite']}) through the gateway, in front of an everything-server on the official",
        f"Python SDK (mcp {version['mcp']}). A scenario counts when every one of its checks succeeded: warnings and",
        "skipped checks lose the point, too. The functional column is our own: the official Python client asks what",
        "each scenario is about, and the content of the answer is compared: some checks of the suite pass on any text.",
        "",
        f"Run {saved['date']} by `make conformance-mcp`; Node {version['node']}, Python {version['python']}, "
        f"heddle {version['heddle']}.",
        "",
        "| server behind the gateway | revision | scenarios | checks | skipped | functional |",
        "|---|---|---|---|---|---|",
    ]
    for kind, revisions in saved["servers"].items():
        for revision, one in revisions.items():
            lines.append(
                f"| {KINDS.get(kind, kind)} | {revision} | {one['passed']}/{one['required']} | {one['checks']} | "
                f"{one['skipped']} | {one['functional_passed']}/{one['required']} |"
            )
    for kind, revisions in saved["servers"].items():
        lost = {
            f"{revision} {name}": why
            for revision, one in revisions.items()
            for name, why in [*one["lost"].items(), *one["functional_lost"].items()]
        }
        if lost:
            lines += ["", f"Lost in front of {KINDS.get(kind, kind)}:", ""]
            lines += [f"- {name}: {why if isinstance(why, str) else '; '.join(why)}" for name, why in lost.items()]
    if any(one["lost"] for revisions in saved["servers"].values() for one in revisions.values()):
        lines += ["", *WHY.splitlines()]
    lines += ["", "## Scenarios", "", *_scenarios(saved["servers"][next(iter(saved["servers"]))])]
    return "\n".join(lines) + "\n"


def _scenarios(revisions: dict[str, Any]) -> list[str]:
    """Each scenario and what became of it, before the first server."""
    names = list(dict.fromkeys(name for one in revisions.values() for name in one["scenarios"]))
    extra = list(dict.fromkeys(name for one in revisions.values() for name in one["unscored"]))
    beyond = "Beyond what is required, not scored by the suite:"
    return [*_rows(revisions, "scenarios", names), "", beyond, "", *_rows(revisions, "unscored", extra)]


def _rows(revisions: dict[str, Any], field: str, names: list[str]) -> list[str]:
    marks = {True: "passed", False: "lost", None: ""}
    found = {name: [marks[one[field].get(name)] for one in revisions.values()] for name in names}
    head = ["| scenario | " + " | ".join(revisions) + " |", "|---" * (len(revisions) + 1) + "|"]
    return [*head, *(f"| {name} | " + " | ".join(row) + " |" for name, row in found.items())]


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.mcp.run")
    parser.add_argument("--url", help="ask this server, whatever it is, and start nothing")
    parser.add_argument("--direct", action="store_true", help="ask the everything-server itself: no gateway")
    parser.add_argument("--server", action="append", choices=list(KINDS), help="kind of server (default: all of them)")
    parser.add_argument("--save", action="store_true", help=f"write {PAGE.relative_to(ROOT)} and mcp.json")
    return parser.parse_args()


def main() -> int:
    """Asks, prints, saves."""
    chosen = arguments()
    servers: dict[str, Any] = {}
    with ExitStack() as stack:
        if chosen.url or chosen.direct:
            servers["direct"] = measured("direct", chosen.url or stack.enter_context(everything("http", "both")))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for kind in [] if servers else chosen.server or KINDS:
            with gateway(folder / kind, kind) as url:
                servers[kind] = measured(kind, url)
    if chosen.save:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
        saved = {"date": now, "versions": versions(), "servers": servers}
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(saved))
        PAGE.with_suffix(".json").write_text(json.dumps(saved, indent=2) + "\n")
    claimed = servers.get(CLAIMED) or next(iter(servers.values()))
    return 0 if full(claimed) else 1


if __name__ == "__main__":
    sys.exit(main())
