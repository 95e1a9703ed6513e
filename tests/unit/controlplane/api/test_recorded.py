"""Every recorded exchange with a real API server, in order. What is answered otherwise: recorded_differences.py."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.controlplane.api.recorded_differences import DIFFERENCES
from tests.unit.controlplane.api.rig import Answer, Rig, running

from heddle.controlplane.kinds import served_kinds
from heddle.model.crd import kinds_of_crd
from heddle.model.kinds import Kinds

GOLDEN = Path(__file__).parents[3] / "golden" / "kubernetes-api"


def kinds() -> Kinds:
    """Kubernetes' own, and those of the recording in place of ours."""
    recorded = [kind for doc in yaml.safe_load_all((GOLDEN / "crds.yaml").read_text()) for kind in kinds_of_crd(doc)]
    return Kinds([*(kind for kind in served_kinds() if kind.builtin), *recorded])


def filled(text: str, known: dict[str, dict[str, str]]) -> str:
    """`$RV(x)` and `$UID(x)` as last answered."""
    text = re.sub(r"\$RV\((.*?)\)", lambda m: known[m[1]]["resourceVersion"], text)
    return re.sub(r"\$UID\((.*?)\)", lambda m: known[m[1]]["uid"], text)


async def replay(rig: Rig, step: dict[str, Any], known: dict[str, dict[str, str]]) -> Answer:
    body = step["body"]
    raw = None if body is None else body if isinstance(body, str) else json.dumps(body)
    headers = {name.lower().replace("-", "_"): value for name, value in step["headers"].items()}
    path = filled(step["path"], known)
    content = None if raw is None else filled(raw, known).encode()
    answer = await rig.call(step["method"], path, content, user_agent="probe/1", **headers)
    if answer.header("content-type") == "application/json" and answer.status < 300:
        meta = answer.json.get("metadata", {})
        if "name" in meta and "resourceVersion" in meta:
            known[meta["name"]] = meta
    return answer


def masked(value: Any, names: dict[str, str]) -> Any:
    """An answer without what differs from run to run."""
    if isinstance(value, dict):
        made = {}
        for key, below in value.items():
            if key in {"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "time"}:
                if key != "time":
                    made[key] = "*"
            elif key == "managedFields":
                made[key] = sorted((masked(one, names) for one in below), key=_owner)
            elif key == "causes":
                made[key] = sorted((masked(one, names) for one in below), key=json.dumps)
            else:
                made[key] = masked(below, names)
        return made
    if isinstance(value, list):
        return [masked(one, names) for one in value]
    return masked_text(value) if isinstance(value, str) else value


def _owner(one: dict[str, Any]) -> tuple[str, str, str]:
    return one.get("manager", ""), one.get("operation", ""), one.get("subresource", "")


def masked_text(text: str) -> str:
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "*", text)
    text = re.sub(r"(?<=ResourceVersion in record \()\d+|(?<=current: )\d+", "*", text)
    text = re.sub(r"^gen-[a-z0-9]{5}$", "gen-*", text)
    listed = re.fullmatch(r"(.* is invalid: )\[(.*)\]", text)
    return f"{listed[1]}{sorted(re.split(r', (?=spec|metadata|status)', listed[2]))}" if listed else text


def shown(answer: Answer) -> Any:
    if answer.header("content-type") == "application/json":
        return masked(answer.json, {})
    return {"TEXT": answer.body.decode()}


def steps(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLDEN / name).read_text().splitlines()]


@pytest.mark.parametrize("name", ["rest", "server-side-apply"])
async def test_the_recorded_exchanges_are_answered_as_recorded(tmp_path: Path, name: str):
    known: dict[str, dict[str, str]] = {}
    wrong = []
    async with running(tmp_path, kinds()) as rig:
        for step in steps(f"{name}.jsonl"):
            answer = await replay(rig, step, known)
            if f"{name}: {step['step']}" in DIFFERENCES:
                status, message = DIFFERENCES[f"{name}: {step['step']}"][:2]
                assert answer.status == status, step["step"]
                assert message in answer.body.decode(), step["step"]
                assert (answer.status, shown(answer)) != (step["status"], masked(step["answer"], {})), step["step"]
                continue
            ours = (answer.status, answer.header("content-type"), answer.header("warning"), shown(answer))
            theirs = (step["status"], step["content_type"], step["warning"], masked(step["answer"], {}))
            if ours != theirs:
                wrong.append((step["step"], theirs, ours))
    for one in wrong:
        print(one[0], *one[1:], sep="\n   ")
    assert not [one[0] for one in wrong]


@pytest.mark.parametrize("name", [f"apply-random-{number:02}" for number in range(1, 9)])
async def test_random_applies_are_answered_as_recorded(tmp_path: Path, name: str):
    known: dict[str, dict[str, str]] = {}
    wrong = []
    async with running(tmp_path, kinds()) as rig:
        for number, step in enumerate(steps(f"{name}.jsonl")):
            answer = await replay(rig, step, known)
            if (answer.status, shown(answer)) != (step["status"], masked(step["answer"], {})):
                wrong.append((number, step["step"]))
    assert not wrong


def test_every_difference_is_of_a_recorded_step():
    recorded = Counter(
        f"{name}: {one['step']}" for name in ("rest", "server-side-apply") for one in steps(f"{name}.jsonl")
    )
    assert not [name for name in DIFFERENCES if recorded[name] != 1]
    assert all(len(reason) > 40 for _, _, reason in DIFFERENCES.values())
