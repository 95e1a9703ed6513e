"""What is made of the kinds and lies in the repository is what the code makes now."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from heddle.cli.kind_files import files, json_schema_of, page, write
from heddle.controlplane.expressions import compile_rules
from heddle.controlplane.kinds import served_kinds
from heddle.model.crd import kinds_of_crd
from heddle.wire.kube.schema import Structure

ROOT = Path(__file__).parents[3]
MADE = files()


@pytest.mark.parametrize("folder", ["deploy/crds", "deploy/schemas", "docs/reference/kinds"])
def test_what_lies_there_is_what_is_made(folder: str):
    """When this fails: `python -m heddle.cli.kind_files .`."""
    found = {
        str(path.relative_to(ROOT)): path.read_text()
        for path in (ROOT / folder).rglob("*.*")
        if path.is_file() and path.name != "README.md"
    }
    assert found == {name: text for name, text in MADE.items() if name.startswith(f"{folder}/")}


def test_what_is_no_longer_made_goes(tmp_path: Path):
    (tmp_path / "deploy/crds").mkdir(parents=True)
    for name in ("gone.yaml", "README.md"):
        (tmp_path / "deploy/crds" / name).write_text("x")
    assert set(write(tmp_path)) == set(MADE)
    assert not (tmp_path / "deploy/crds/gone.yaml").exists()
    assert (tmp_path / "deploy/crds/README.md").exists()


@pytest.mark.parametrize("name", [name for name in MADE if name.startswith("deploy/crds/")])
def test_a_definition_defines_what_is_served(name: str):
    served = served_kinds()
    assert not [event for event in yaml.parse(MADE[name]) if isinstance(event, yaml.AliasEvent)]
    for kind in kinds_of_crd(yaml.safe_load(MADE[name])):
        assert kind.schema == served.at(kind.group, kind.version, kind.plural).schema
        Structure(kind.schema)
        compile_rules(kind.schema)


def refused(schema: dict[str, Any], value: Any) -> bool:
    """A small judge: types, unknown and missing fields are enough to tell."""
    if "const" in schema:
        return value != schema["const"]
    if schema.get("type") == "object" and isinstance(value, dict):
        known = schema.get("properties", {})
        unknown = schema.get("additionalProperties") is False and set(value) - set(known)
        missing = set(schema.get("required", ())) - set(value)
        return bool(unknown or missing) or any(refused(known[key], one) for key, one in value.items() if key in known)
    return False


def test_editors_are_told_of_mistakes():
    kind = served_kinds().of("kagent.dev/v1alpha2", "ModelConfig")
    assert kind is not None
    schema = json_schema_of(kind)
    right = {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "ModelConfig",
        "metadata": {"name": "m"},
        "spec": {"model": "m"},
    }
    assert not refused(schema, right)
    assert refused(schema, right | {"kind": "Model"})
    assert refused(schema, right | {"spec": {"model": "m", "temprature": 1}})
    assert refused(schema, right | {"spec": {}})


@pytest.mark.parametrize("name", [name for name in MADE if name.endswith(".json")])
def test_schemas_speak_json_schema_only(name: str):
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            assert not [key for key in value if key.startswith("x-") or key == "nullable"], name
            assert not isinstance(value.get("exclusiveMinimum"), bool)
            for one in value.get("properties", {}).values():
                walk(one)
            walk(value.get("items"))
            walk(value.get("additionalProperties"))

    walk(msgspec.json.decode(MADE[name]))


def test_a_page_says_the_rules_too():
    text = page("kagent")
    assert "## ModelConfig (v1alpha2)" in text
    assert "- apiKeyPassthrough and apiKeySecret are mutually exclusive" in text
    assert "### RemoteMCPServer.status" in text, "what a status holds is said, though it is read freely"
