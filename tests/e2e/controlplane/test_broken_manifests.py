"""Broken manifests of `tests/data`, sent to a running control plane: each is answered as its author needs it."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.controlplane.plane import Whole

from heddle.controlplane.kinds import served_kinds
from heddle.controlplane.yamldoc import read_documents

FOLDER = Path(__file__).parents[2] / "data" / "broken-manifests"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SETTLED_S = 10.0
MISPLACED = {"kind-of-another-path": "agents", "namespace-of-another-path": "agents"}
"""Manifests that are sent to a path which is not theirs."""


def expected(name: str) -> list[str]:
    return (FOLDER / f"{name}.expected").read_text().splitlines()


def decided_by(*who: str) -> list[str]:
    return [name for name in NAMES if expected(name)[0] in who]


def path_of(value: dict[str, Any], name: str = "") -> str:
    kind = served_kinds().of(value["apiVersion"], value["kind"])
    assert kind is not None
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    inside = f"/namespaces/{value['metadata'].get('namespace') or 'default'}" if kind.namespaced else ""
    return f"{root}{inside}/{kind.plural}" + (f"/{name}" if name else "")


class Author:
    """Sends manifests, and takes away what came to be."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        self.made: list[str] = []

    def send(self, value: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Create, or replace what this author created before."""
        self.namespace(value["metadata"].get("namespace"))
        path = path_of(value, value["metadata"]["name"])
        if path in self.made:
            version = self.whole.call("GET", path)[1]["metadata"]["resourceVersion"]
            value = {**value, "metadata": {"resourceVersion": version, **value["metadata"]}}
            return self.whole.call("PUT", f"{path}?fieldValidation=Strict", value)
        code, told = self.whole.call("POST", f"{path_of(value)}?fieldValidation=Strict", value)
        if code == 201:
            self.made.append(path)
        return code, told

    def namespace(self, name: str | None) -> None:
        if name and name not in ("default", "nowhere"):
            value = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self.whole.call("POST", "/api/v1/namespaces", value)

    def clean(self) -> None:
        for path in reversed(self.made):
            self.whole.call("DELETE", path)


@pytest.fixture
def author(whole: Whole):
    made = Author(whole)
    yield made
    made.clean()


def documents(name: str) -> list[dict[str, Any]]:
    found, problems = read_documents((FOLDER / f"{name}.yaml").read_text())
    assert not problems
    return [one.value for one in found]


@pytest.mark.parametrize("name", decided_by("unknown", "schema", "rules", "naming"))
def test_the_author_is_told_exactly(author: Author, name: str):
    *before, last = documents(name)
    for value in before:
        assert author.send(value)[0] == 201
    code, told = author.send(last)
    status, *causes = expected(name)[1:]
    assert f"{code} {told['reason']}" == status, told
    if status == "400 BadRequest":
        assert all(cause in told["message"] for cause in causes), told
    else:
        said = [f"{one['reason']} {one['field']}: {one['message']}" for one in told["details"]["causes"]]
        assert sorted(said) == causes


@pytest.mark.parametrize("name", decided_by("reading"))
def test_what_cannot_be_read_is_told_with_its_place(whole: Whole, name: str):
    path = FOLDER / f"{name}.yaml"
    command = [sys.executable, "-m", "heddle", "apply", "-f", str(path), "--kubeconfig", str(whole.config)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert expected(name)[1].removeprefix(".: ").rpartition(": ")[2] in ran.stderr
    assert f"{path}:" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("name", ["api-version-unknown", "kind-unknown"])
def test_a_kind_that_is_not_served_has_no_path(whole: Whole, name: str):
    said = whole.kubectl("apply", "-f", str(FOLDER / f"{name}.yaml"), fails=True)
    assert "no matches for kind" in said


@pytest.mark.parametrize("name", [*MISPLACED, "generated-kind-written", "namespace-missing"])
def test_a_request_that_fits_no_path_is_refused(author: Author, name: str):
    value = documents(name)[-1]
    plural = MISPLACED.get(name)
    if plural is None:
        code, told = author.send(value)
    else:
        code, told = author.whole.call("POST", f"/apis/kagent.dev/v1alpha2/namespaces/default/{plural}", value)
    assert f"{code} {told['reason']}" == expected(name)[1], told


def test_a_stale_version_is_a_conflict(author: Author):
    *before, last = documents("stale-version")
    first = before[0] if before else {**last, "metadata": {"name": last["metadata"]["name"]}}
    assert author.send(first)[0] == 201
    code, told = author.send(last)
    assert [f"{code} {told['reason']}", told["message"]] == expected("stale-version")[1:]


def said_of(status: dict[str, Any]) -> set[str]:
    """Every condition of a status as the expectations spell it; those of listeners with their name."""
    groups = [("", status.get("conditions", []))]
    groups += [("", one["conditions"]) for one in status.get("parents", []) + status.get("ancestors", [])]
    groups += [(f"listener {one['name']} ", one["conditions"]) for one in status.get("listeners", [])]
    return {f"{name}{one['type']}={one['status']} {one['reason']}" for name, all_of in groups for one in all_of}


@pytest.mark.parametrize("name", decided_by("condition"))
def test_what_does_not_fit_together_is_said_in_conditions(author: Author, name: str):
    paths = {}
    for value in documents(name):
        assert author.send(value)[0] == 201
        meta = value["metadata"]
        paths[f"{value['kind']} {meta.get('namespace', 'default')}/{meta['name']}"] = path_of(value, meta["name"])
    for line in expected(name)[2:]:
        who, _, condition = line.partition(": ")
        until = time.monotonic() + SETTLED_S
        while condition not in (told := said_of(author.whole.call("GET", paths[who])[1].get("status", {}))):
            assert time.monotonic() < until, (line, told)
            time.sleep(0.05)
