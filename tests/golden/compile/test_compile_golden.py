"""Each case: resources, a line of `====`, the parts and conditions they come to. HEDDLE_WRITE_GOLDEN=1 writes it anew.

Of each part its name, whom it is for, the secrets it needs and what in it is not the default; of each object its
conditions, and those of its listeners, parents and ancestors.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from heddle.controlplane.compiling import Compiler, Published, Surroundings
from heddle.controlplane.compiling.objects import BY_KIND
from heddle.drivers.documents import Key
from heddle.model.assembly import assemble
from heddle.model.parts import BODIES, decode_part, kind_of_part
from heddle.model.prices import PriceTable

CASES = sorted(Path(__file__).parent.glob("*.txt"))
AROUND = Surroundings({"PRESENT": "s3cret-value"}, "/etc/mesh", lambda *_: PriceTable(), lambda: 1.8e9, "default")


def keyed(raw: dict[str, Any]) -> Key:
    kind = raw["kind"]
    meta = raw["metadata"]
    namespace = "" if kind == "Namespace" else meta.setdefault("namespace", "default")
    return Key(BY_KIND[raw["apiVersion"].rpartition("/")[0], kind], namespace, meta["name"])


def compiled(text: str) -> str:
    compiler = Compiler(AROUND)
    for raw in yaml.safe_load_all(text):
        compiler.change(keyed(raw), raw)
    compiler.settle()
    parts = compiler.full()
    assemble({name: part.body for name, part in parts.items()})
    lines = [shown(name, part) for name, part in sorted(parts.items())]
    for key, status in compiler.conditions(1_800_000_000):
        lines += [f"{key.resource.partition('.')[0]} {key.namespace}/{key.name}", *said(status)]
    return "\n".join(lines) + "\n"


def shown(name: str, part: Published) -> str:
    found = decode_part(name, part.body)
    value = msgspec.msgpack.decode(found.body, type=BODIES[kind_of_part(name)])
    text = "***" if name.startswith("secret/") else msgspec.json.encode(changed(value)).decode().replace("\\u0000", "@")
    audience = "all" if part.audience is None else ",".join(sorted(part.audience)) or "nobody"
    return f"{name} [{audience}]{' needs ' + ', '.join(found.secrets) if found.secrets else ''}\n  {text}"


def changed(value: Any) -> Any:
    """A struct without the fields that have their defaults."""
    if isinstance(value, msgspec.Struct):
        cls = type(value)
        required = len(cls.__struct_fields__) - len(cls.__struct_defaults__)
        defaults = dict(zip(cls.__struct_fields__[required:], cls.__struct_defaults__, strict=True))
        fields = {name: getattr(value, name) for name in cls.__struct_fields__}
        kept = {name: changed(one) for name, one in fields.items() if name not in defaults or one != defaults[name]}
        return {name: one for name, one in kept.items() if one not in ({}, [])}
    if isinstance(value, tuple | list):
        return [changed(one) for one in value]
    return value


def said(status: dict[str, Any]) -> list[str]:
    lines = [condition(one) for one in status.get("conditions", [])]
    for field in ("listeners", "parents", "ancestors"):
        for entry in status.get(field, []):
            ref = entry.get("name") or entry.get("parentRef") or entry.get("ancestorRef")
            routes = f", routes {entry['attachedRoutes']}" if "attachedRoutes" in entry else ""
            lines.append(f"  {field[:-1]} {ref}{routes}")
            lines += [f"  {condition(one)}" for one in entry["conditions"]]
    return lines


def condition(one: dict[str, Any]) -> str:
    assert one["lastTransitionTime"] == "2027-01-15T08:00:00Z"
    message = f": {one['message']}" if one["message"] else ""
    return f"  {one['type']}={one['status']} {one['reason']}{message}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_compiles_to(case: Path):
    given, _, expected = case.read_text().partition("\n====\n")
    got = compiled(given)
    if os.environ.get("HEDDLE_WRITE_GOLDEN"):
        case.write_text(f"{given}\n====\n{got}")
    assert got == expected
    assert "s3cret" not in got


def test_there_are_cases():
    assert len(CASES) >= 10
