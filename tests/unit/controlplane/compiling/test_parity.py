"""A folder means the same whether files are loaded or its resources come through the API."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from heddle.controlplane.compiling import Compiler, Surroundings
from heddle.controlplane.compiling.objects import BY_KIND
from heddle.controlplane.load import load
from heddle.controlplane.prices import price_table
from heddle.drivers.documents import Key
from heddle.model.assembly import assemble
from heddle.model.snapshot import ModelSpec, Snapshot

ROOT = Path(__file__).parents[4]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
ENVIRON = {"OPENAI_API_KEY": "k" * 40, "ANTHROPIC_API_KEY": "a" * 40}
ORDERLESS = ("listeners", "providers", "authorization", "limits", "budgets", "targets", "servers")
"""Fields whose order says nothing: the compiler has the order of age and name, files that of their lines."""


def through_the_compiler(path: Path) -> tuple[Snapshot, Snapshot]:
    loaded = load([path], environ=ENVIRON)
    assert loaded.snapshot is not None
    compiler = Compiler(Surroundings(ENVIRON, str(path.parent), price_table, lambda: 1.8e9, "default"))
    for resource in loaded.resources:
        raw = msgspec.json.decode(msgspec.json.encode(resource))
        kind = (raw["apiVersion"].rpartition("/")[0], raw["kind"])
        compiler.change(Key(BY_KIND[kind], "default", raw["metadata"]["name"]), raw)
    compiler.settle()
    parts = {name: part.body for name, part in compiler.full().items()}
    return loaded.snapshot, assemble(parts)


def plain(value: Any, field: str = "") -> Any:
    """Plain data, without places of declaration, and in one order where there is none."""
    if isinstance(value, dict):
        return {name: plain(one, name) for name, one in value.items() if name not in ("source", "version", "files")}
    if isinstance(value, list):
        made = [plain(one) for one in value]
        return sorted(made, key=str) if field in ORDERLESS else made
    return value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_compiled_as_it_is_loaded(path: Path):
    from_files, from_objects = (
        plain(msgspec.json.decode(msgspec.json.encode(one))) for one in through_the_compiler(path)
    )
    # What files leave to the gateway is said: without models every name is that of the sole provider.
    sole = (
        msgspec.structs.asdict(ModelSpec(name="*", provider=from_files["providers"][0]["name"]))
        if from_files["providers"]
        else {}
    )
    implied = plain(msgspec.json.decode(msgspec.json.encode([sole])))
    from_files["models"] = from_files["models"] or (implied if sole else [])
    for field, value in from_files.items():
        assert from_objects[field] == value, field


def test_there_are_examples():
    assert len(EXAMPLES) >= 3
