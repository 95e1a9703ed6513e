"""`python -m tests.proofs.run [proof]...`: the long forms of what the tests do in short, with a dated result of each.

A proof starts its own mesh on loopback and ends it. With --save its result goes to docs/proofs/. The exit code says
whether every claim was kept.
"""

import argparse
import datetime
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.figures import Result, machine
from tests.proofs import away, fuzz, guards, kills, ledger, mcp_faults, orphans, poisoning, replicas, slow, store

PROOFS: dict[str, tuple[int, Callable[[Path, int], Result]]] = {
    "fuzz": (100_000, fuzz.run),
    "slow": (1_000, slow.run),
    "kills": (20, kills.run),
    "guards": (10_000, guards.run),
    "ledger": (20, ledger.run),
    "orphans": (60, orphans.run),
    "poisoning": (10_000, poisoning.run),
    "mcp-faults": (60, mcp_faults.run),
    "store": (200, store.run),
    "control-plane-away": (600, away.run),
    "control-plane-kills": (40, replicas.run),
}
"""Name -> its size (inputs, stalled callers of each kind, kills, rounds beside each fault, seconds), what runs it."""
PAGES = Path(__file__).parents[2] / "docs" / "proofs"


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.proofs.run", description="Proves what the requirement claims."
    )
    parser.add_argument("proofs", nargs="*", choices=[[], *PROOFS], help="default: all of them")
    parser.add_argument("--size", type=int, help="inputs, stalled callers of each kind, or kills (default: as claimed)")
    parser.add_argument("--save", action="store_true", help="write docs/proofs/NAME.md")
    return parser.parse_args()


def page(name: str, result: Result) -> str:
    """A dated page."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    command = shlex.join(["python", "-m", "tests.proofs.run", name])
    purpose = (sys.modules[PROOFS[name][1].__module__].__doc__ or "").strip()
    return f"# {result.title}\n\n{purpose}\n\nRun {now} with `{command}` on: {machine()}.\n\n{body(result)}"


def body(result: Result) -> str:
    """The result below a page's own title."""
    return result.text().partition("\n\n")[2]


def main() -> int:
    """Run every proof, also when one before it failed."""
    # Ended from outside, a proof still ends the mesh it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = arguments()
    kept = True
    for name in chosen.proofs or PROOFS:
        size, run = PROOFS[name]
        with tempfile.TemporaryDirectory(prefix=f"heddle-{name}-") as folder:
            result = run(Path(folder), chosen.size or size)
        print(result.text(), flush=True)
        kept = kept and all(target.met for target in result.targets)
        if chosen.save:
            PAGES.mkdir(parents=True, exist_ok=True)
            (PAGES / f"{name}.md").write_text(page(name, result))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
