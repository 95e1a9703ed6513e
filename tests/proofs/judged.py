"""`python -m tests.proofs.judged --url URL --model NAME`: how well a model judges the definitions of tests/data.

Asks what the mesh asks, word for word, reads answers as it does, and prints what share of poisoned and of harmless
definitions it would hold back. Any service that speaks OpenAI's chat completions will do: a listener of a mesh, a
vendor, a model on this machine. With --out the answers are kept, in the form of `judged.jsonl.gz`.
"""

import argparse
import gzip
import hashlib
import json
import os
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tests.proofs.poisoning_data import DATA, HALVES, HARMLESS, cases, defined, findings_in, others_of

from heddle.directory.judging import (
    INSTRUCTIONS,
    Judged,
    Neighbours,
    Question,
    Unanswered,
    UnreadableError,
    Verdict,
    place_of,
    question,
    read_verdict,
)

RECORDED = DATA / "judged.jsonl.gz"
"""Answers of a large general model, 2026-11-21."""
UNREAD = "no verdict"


class Answered(NamedTuple):
    """One recorded answer."""

    question: str
    """SHA-256 of instructions and question."""
    answer: str


def asked(case: dict[str, Any]) -> Question:
    """What is asked about a definition of the corpus. Raises ValueError for one that is too long to be asked about."""
    found = question(defined(case), case["target"], Neighbours(others_of(case), case["target"]))
    if found is None:
        raise ValueError(f"{case['id']} is too long to be judged")
    return found


def fingerprint(one: Question) -> str:
    """What an answer belongs to: an answer to other words proves nothing."""
    return hashlib.sha256(f"{INSTRUCTIONS}\0{one.text}".encode()).hexdigest()


def recorded(path: Path = RECORDED) -> dict[tuple[str, str], Answered]:
    """Recorded answers by half and id."""
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    return {(one["of"], one["id"]): Answered(one["question"], one["answer"]) for one in lines}


def verdict(case: dict[str, Any], answered: Answered) -> Verdict | str:
    """What a recorded answer says; a text where it is none, or an answer to other words."""
    if answered.question != fingerprint(asked(case)):
        return "recorded for other words"
    try:
        return read_verdict(answered.answer)
    except UnreadableError:
        return UNREAD


def held_back(case: dict[str, Any], said: Verdict | str, overrules: str = "all") -> bool:
    """Whether the mesh would hold it back, with `poisoning: quarantine`."""
    one = defined(case)
    answer = Unanswered(said) if isinstance(said, str) else said
    judged = Judged({place_of(one): answer}, overrules)  # type: ignore[arg-type]
    return any(finding.counts for finding in judged.weigh(one, findings_in(case)))


def corpus(halves: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Definitions with the half they are of."""
    for half in halves:
        for case in cases({**HALVES, **HARMLESS}[half]):
            yield half, case


class Endpoint:
    """A service that is asked."""

    def __init__(self, url: str, model: str, key: str, parameters: dict[str, Any]) -> None:
        self._url, self._model, self._key, self._parameters = url, model, key, parameters

    def ask(self, case: dict[str, Any]) -> str:
        """The text of its answer. Raises OSError, ValueError, LookupError."""
        messages = [
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": asked(case).text},
        ]
        body = json.dumps({**self._parameters, "model": self._model, "messages": messages}).encode()
        headers = {"content-type": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._url, body, headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return str(json.load(answer)["choices"][0]["message"]["content"] or "")


def main(words: list[str] | None = None) -> int:
    """Ask about all of it, a few at a time."""
    chosen = _arguments(words)
    endpoint = Endpoint(
        chosen.url, chosen.model, os.environ.get(chosen.key_variable, ""), json.loads(chosen.parameters)
    )
    todo = list(corpus(chosen.halves))
    todo = todo[:: max(1, len(todo) // chosen.sample)] if chosen.sample else todo
    total: Counter[tuple[str, str]] = Counter()
    held: Counter[tuple[str, str]] = Counter()
    lines, unread = [], 0

    def ask(one: tuple[str, dict[str, Any]]) -> str:
        try:
            return endpoint.ask(one[1])
        except (OSError, ValueError, LookupError, TypeError) as exc:
            return f"not answered: {type(exc).__name__}"

    with ThreadPoolExecutor(chosen.at_once) as pool:
        for number, ((half, case), text) in enumerate(zip(todo, pool.map(ask, todo), strict=True), 1):
            answered = Answered(fingerprint(asked(case)), text)
            said = verdict(case, answered)
            unread += said == UNREAD
            total[half, case["label"]] += 1
            held[half, case["label"]] += held_back(case, said, chosen.overrules)
            lines.append({"of": half, "id": case["id"], **answered._asdict()})
            print(f"\r{number} of {len(todo)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for (half, label), count in sorted(total.items()):
        print(f"{half:<15} {label:<9} {held[half, label]:>5} of {count:>5} held back  {held[half, label] / count:6.1%}")
    print(f"{unread} answers were no verdict, and hold back what they were about")
    if chosen.out:
        write(chosen.out, lines)
    return 0


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    """Keep answers."""
    lines = sorted(lines, key=lambda one: (one["of"], one["id"]))
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def _arguments(words: list[str] | None) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.judged", description=summary, epilog=rest)
    parser.add_argument("--url", required=True, help="where a chat completion is posted, e.g. .../v1/chat/completions")
    parser.add_argument("--model", required=True, help="model that judges")
    parser.add_argument("--key-variable", default="JUDGE_KEY", help="variable with the API key (default: JUDGE_KEY)")
    parser.add_argument("--parameters", default="{}", help='further members, as JSON: {"temperature": 0}')
    parser.add_argument("--halves", nargs="+", choices=[*HALVES, *HARMLESS], default=["blind", "at_judge", "own"])
    parser.add_argument("--sample", type=int, default=0, help="ask about some so many, evenly spread (default: all)")
    parser.add_argument("--overrules", choices=["all", "medium", "none"], default="all", help="as of `mcp.judge`")
    parser.add_argument("--at-once", type=int, default=4, help="questions under way (default: 4)")
    parser.add_argument("--out", type=Path, help="keep the answers here")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
