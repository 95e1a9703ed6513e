"""Broken manifests of `tests/data`: what is wrong with each is told exactly as it is written there."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from heddle.controlplane.api.naming import metadata_causes, name_causes
from heddle.controlplane.compiling import Compiler, Surroundings
from heddle.controlplane.expressions import check_rules
from heddle.controlplane.kinds import served_kinds
from heddle.controlplane.yamldoc import MAX_BYTES, read_documents
from heddle.drivers.documents import Key
from heddle.model.kinds import Kind
from heddle.model.prices import PriceTable
from heddle.wire.kube.schema import Structure, default, prune, validate

FOLDER = Path(__file__).parents[2] / "data" / "broken-manifests"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
WHO = {"reading", "unknown", "schema", "rules", "naming", "request", "condition"}


def expected(name: str) -> list[str]:
    return (FOLDER / f"{name}.expected").read_text().splitlines()


def decided_by(*who: str) -> list[str]:
    return [name for name in NAMES if expected(name)[0] in who]


@cache
def structure(api_version: str, kind: str) -> tuple[Kind, Structure]:
    found = served_kinds().of(api_version, kind)
    assert found is not None
    return found, Structure(found.schema)


def ready(value: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """As the API has it when it checks: pruned and defaulted."""
    _, shape = structure(value["apiVersion"], value["kind"])
    made = copy.deepcopy(value)
    unknown = prune(made, shape)
    default(made, shape)
    return made, unknown


def documents(name: str) -> list[dict[str, Any]]:
    found, problems = read_documents((FOLDER / f"{name}.yaml").read_text())
    assert not problems
    return [one.value for one in found]


def test_there_are_enough_and_each_says_who_notices():
    assert len(NAMES) >= 100
    assert {path.stem for path in FOLDER.glob("*.expected")} == set(NAMES)
    assert {expected(name)[0] for name in NAMES} == WHO


@pytest.mark.parametrize("name", decided_by("schema", "rules", "unknown"))
def test_the_author_is_told_exactly(name: str):
    values = documents(name)
    old = ready(values[0])[0] if len(values) > 1 else None
    new, unknown = ready(values[-1])
    kind, shape = structure(new["apiVersion"], new["kind"])
    causes = validate(new, shape)
    who = "unknown" if unknown else "schema" if causes else "rules"
    told = [f'unknown field "{path}"' for path in unknown]
    if not unknown:
        causes = causes or check_rules(new, old, kind.schema)
        told = sorted(f"{one.reason} {one.field}: {one.message}" for one in causes)
    status = "400 BadRequest" if unknown else "422 Invalid"
    assert [who, status, *told] == expected(name)


@pytest.mark.parametrize("name", decided_by("naming"))
def test_names_that_cannot_be_are_told_exactly(name: str):
    (value,) = documents(name)
    kind, _ = structure(value["apiVersion"], value["kind"])
    causes = [*name_causes(kind, value["metadata"]["name"]), *metadata_causes(value["metadata"])]
    assert ["naming", "422 Invalid", *(f"{one.reason} {one.field}: {one.message}" for one in causes)] == expected(name)


@pytest.mark.parametrize("name", decided_by("reading"))
def test_what_cannot_be_read_is_told_with_its_place(name: str):
    found, problems = read_documents((FOLDER / f"{name}.yaml").read_text())
    told = [f"{where or '.'}: {message}" for _, where, message in problems]
    if not problems and not isinstance(found[0].value, dict):
        told = ["expected a mapping at the top of the document"]
    assert told[0] == expected(name)[1]


@pytest.mark.parametrize("name", decided_by("condition", "naming"))
def test_what_is_noticed_later_passes_schema_and_rules(name: str):
    for value in documents(name):
        new, unknown = ready(value)
        kind, shape = structure(new["apiVersion"], new["kind"])
        assert not unknown
        assert [*validate(new, shape), *check_rules(new, None, kind.schema)] == []


def said_of(status: dict[str, Any]) -> set[str]:
    """Every condition of a status as the expectations spell it; those of listeners with their name."""
    groups = [("", status.get("conditions", []))]
    groups += [("", one["conditions"]) for one in status.get("parents", [])]
    groups += [(f"listener {one['name']} ", one["conditions"]) for one in status.get("listeners", [])]
    return {f"{name}{one['type']}={one['status']} {one['reason']}" for name, all_of in groups for one in all_of}


@pytest.mark.parametrize("name", decided_by("condition"))
def test_what_does_not_fit_together_is_said_in_conditions(name: str):
    compiler = Compiler(Surroundings({}, ".", lambda _kind, _type: PriceTable(), lambda: 1.8e9, "default"))
    kinds: dict[Key, str] = {}
    for age, value in enumerate(documents(name)):
        new, _ = ready(value)
        kind, _ = structure(new["apiVersion"], new["kind"])
        meta = new["metadata"]
        meta |= {"uid": str(age), "generation": 1, "resourceVersion": str(age + 1)}
        meta["creationTimestamp"] = f"2026-01-01T00:00:0{age}Z"
        key = Key(kind.stored_as, meta["namespace"] if kind.namespaced else "", meta["name"])
        kinds[key] = kind.kind
        compiler.change(key, new)
    compiler.settle()
    told = {f"{kinds[key]} {key.namespace}/{key.name}": said_of(status) for key, status in compiler.conditions(1.8e9)}
    for line in expected(name)[2:]:
        who, _, condition = line.partition(": ")
        assert condition in told[who], told


def test_a_bomb_is_refused_before_it_goes_off():
    text = (FOLDER / "yaml-alias-bomb.yaml").read_text()
    found, problems = read_documents(text)
    assert problems
    assert all(len(str(one.value)) < 10 * len(text) for one in found)


def test_the_largest_manifest_that_is_read_is_checked_in_time():
    """4 MiB of one text, and 20,000 items where 20 may stand: cheap to refuse."""
    big = documents("agent-too-many-tools")[0]
    big["spec"]["description"] = "x" * MAX_BYTES
    big["spec"]["declarative"]["tools"] *= 1000
    new, _ = ready(big)
    _, shape = structure(new["apiVersion"], new["kind"])
    (cause,) = validate(new, shape)
    assert cause.reason == "FieldValueTooMany"
    assert len(cause.message) < 500
