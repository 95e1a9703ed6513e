"""`python -m bench.run [question]...`: asks the questions, prints a table for each, keeps the figures.

Owns: the command line of the bench. With --check the exit code says whether every claim was kept.
"""

import argparse
import shlex
import signal
import sys
from collections.abc import Callable

from bench import (
    cache,
    change,
    chat,
    compiling,
    controlplane,
    distribution,
    guards,
    mcp,
    memory,
    reload,
    start,
    store,
    stream,
    sweep,
    translation,
)
from bench.figures import Options, Result, page, record, recorded
from bench.gateways import GATEWAYS, HOME, ROOT, available, package
from bench.mcp_peers import PEERS

QUESTIONS: dict[str, Callable[[Options], Result]] = {
    "chat": chat.run,
    "stream": stream.run,
    "sweep": sweep.run,
    "memory": memory.run,
    "start": start.run,
    "reload": reload.run,
    "guards": guards.run,
    "cache": cache.run,
    "translation": translation.run,
    "mcp": mcp.run,
    "controlplane": controlplane.run,
    "change": change.run,
    "compiling": compiling.run,
    "distribution": distribution.run,
    "store": store.run,
}
ABOUT_OURS_ALONE = {
    "change",
    "compiling",
    "controlplane",
    "distribution",
    "sweep",
    "memory",
    "reload",
    "guards",
    "cache",
    "translation",
    "store",
}


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description="Measures the gateway beside its peers.")
    parser.add_argument("questions", nargs="*", choices=[[], *QUESTIONS], help="default: all of them")
    parser.add_argument("--seconds", type=float, help="length of one measured run (default: the question's own)")
    parser.add_argument("--rounds", type=int, default=3, help="measured runs of each gateway, interleaved (3)")
    peers = list(dict.fromkeys([*GATEWAYS, *PEERS]))
    parser.add_argument("--peers", default=",".join(peers), help="comma-separated: " + ", ".join(peers))
    parser.add_argument("--calls", type=int, help="calls of memory and reload (1,000,000 and 500,000)")
    parser.add_argument("--check", action="store_true", help="exit 1 when a claimed figure is missed")
    parser.add_argument("--save", action="store_true", help="write docs/benchmarks.md")
    return parser.parse_args()


def main() -> int:
    """Asks every question, also when one before it failed."""
    # Ended from outside, the bench still ends what it started: SystemExit unwinds the rigs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = arguments()
    options = Options(chosen.seconds, max(chosen.rounds, 1), chosen.peers.split(","), chosen.calls)
    command = shlex.join(["python", "-m", "bench.run", *sys.argv[1:]])
    build = "interpreted" if package() == ROOT / "src" else "compiled"
    results: list[Result] = []
    failed: list[str] = []
    for question in chosen.questions or QUESTIONS:
        if question in ABOUT_OURS_ALONE and "heddle" not in available(options.peers):
            continue
        print(f"asking: {question} ...", file=sys.stderr, flush=True)
        try:
            result = QUESTIONS[question](options)
        except RuntimeError as error:
            print(f"{question}: {error}", file=sys.stderr)
            failed.append(question)
            continue
        print(result.text(), flush=True)
        record(HOME / "results", question, result, command, build)
        results.append(result)
    if chosen.save and results:
        # All of them: a question that was not asked now keeps its last answer, with its date.
        (ROOT / "docs" / "benchmarks.md").write_text(page(recorded(HOME / "results", QUESTIONS)))
    missed = [f"{result.title}: {target.line()}" for result in results for target in result.targets if not target.met]
    print("\n".join(missed) if missed else f"every claim kept ({sum(len(r.targets) for r in results)})")
    return 1 if failed or (chosen.check and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
