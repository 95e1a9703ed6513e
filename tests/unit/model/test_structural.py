"""Structural schemas: what each kind of type and mark becomes, and that no kind has anything a cluster would refuse."""

import re
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pytest

from heddle.controlplane.kinds import served_kinds
from heddle.model.config_base import Part, Period
from heddle.model.kinds import Kind
from heddle.model.kube import ATOMIC, OPEN, SET, by, default, form, merged, most, rule, rules, said, shaped
from heddle.model.structural import bare_schema, structural_schema

KINDS = list(served_kinds())


class Inner(Part, frozen=True, kw_only=True):
    """Something inside."""

    name: str
    """Its name."""
    again: "Inner | None" = None
    """One more."""


class One(Part, frozen=True, kw_only=True, tag_field="type", tag="one"):
    """The first."""

    both: int = 0
    """In both."""
    mine: str
    """Only here."""


class Two(Part, frozen=True, kw_only=True, tag_field="type", tag="two"):
    """The second."""

    both: int = 0
    """In both."""
    other: tuple[str, ...] = ()
    """Only there."""


class Everything(Part, frozen=True, kw_only=True):
    """One of each."""

    RULES: ClassVar = (rule("self.count > 0", "count must be above 0"),)
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=9, pattern="^a")]
    """Text."""
    count: Annotated[int, msgspec.Meta(ge=1, lt=10), form("int32")] = 3
    """A count."""
    ratio: Annotated[float, msgspec.Meta(gt=0)] = 0.5
    """A ratio."""
    flag: Annotated[bool, default(False)] = False
    """A flag."""
    choice: Literal["b", "a"] = "b"
    """A choice."""
    code: Literal[302, 301] = 302
    """A number of a few."""
    named: Annotated[tuple[Inner, ...], msgspec.Meta(max_length=3), by("name"), merged("name")] = ()
    """By name."""
    words: Annotated[tuple[str, ...], SET] = ()
    """Distinct."""
    lines: Annotated[tuple[str, ...], ATOMIC] = ()
    """As a whole."""
    labels: Annotated[dict[str, str], most(4)] = msgspec.field(default_factory=dict)
    """Texts by name."""
    anything: Any = None
    """Whatever."""
    open_map: Annotated[dict[str, Any], OPEN] = msgspec.field(default_factory=dict)
    """Open."""
    port: int | str = 80
    """A number or a name."""
    several: str | tuple[str, ...] = ""
    """What a schema cannot say."""
    tagged: One | Two | None = None
    """Either."""
    window: Period = "1m"
    """A form."""
    status: Annotated[dict[str, Any], shaped(Inner)] = msgspec.field(default_factory=dict)
    """Read freely."""
    ruled: Annotated[str, rules(rule("self == oldSelf", "fixed"))] = ""
    """Fixed."""
    bare: Annotated[str, said(default=None, minLength=2)] = "x"
    """No default in objects."""


def properties() -> dict[str, Any]:
    made: dict[str, Any] = bare_schema(Everything)["properties"]
    return made


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("text", {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a"}),
        ("count", {"type": "integer", "minimum": 1, "maximum": 10, "exclusiveMaximum": True, "format": "int32"}),
        ("ratio", {"type": "number", "minimum": 0, "exclusiveMinimum": True}),
        ("flag", {"type": "boolean"}),
        ("choice", {"type": "string", "enum": ["a", "b"]}),
        ("code", {"type": "integer", "enum": [301, 302]}),
        ("words", {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}),
        ("lines", {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"}),
        ("labels", {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 4}),
        ("anything", {"x-kubernetes-preserve-unknown-fields": True}),
        ("openMap", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        ("port", {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}),
        ("several", {"x-kubernetes-preserve-unknown-fields": True}),
        ("window", {"type": "string", "pattern": r"^$|^([0-9]+(\.[0-9]+)?(ms|[smhdw]))+$"}),
        ("ruled", {"type": "string", "x-kubernetes-validations": [{"message": "fixed", "rule": "self == oldSelf"}]}),
        ("bare", {"type": "string", "minLength": 2}),
    ],
)
def test_what_a_type_becomes(field: str, expected: dict[str, Any]):
    made = properties()[field]
    assert {key: value for key, value in made.items() if key != "description"} == expected
    assert made["description"]


def test_a_list_by_name_says_how_it_merges():
    made = properties()["named"]
    assert (made["x-kubernetes-list-type"], made["x-kubernetes-list-map-keys"]) == ("map", ["name"])
    assert (made["x-kubernetes-patch-strategy"], made["x-kubernetes-patch-merge-key"]) == ("merge", "name")
    assert made["maxItems"] == 3
    assert made["items"]["required"] == ["name"]


def test_a_struct_inside_itself_is_left_open():
    again = properties()["named"]["items"]["properties"]["again"]
    assert again == {
        "type": "object", "description": "One more.", "x-kubernetes-preserve-unknown-fields": True
    }  # fmt: skip


def test_a_mapping_that_is_read_freely_has_the_schema_of_its_shape():
    assert set(properties()["status"]["properties"]) == {"name", "again"}


def test_alternatives_are_one_section_with_rules():
    made = properties()["tagged"]
    assert set(made["properties"]) == {"type", "both", "mine", "other"}
    assert made["properties"]["type"]["enum"] == ["one", "two"]
    assert made["required"] == ["type"]
    said_of = {one["message"]: one["rule"] for one in made["x-kubernetes-validations"]}
    assert said_of == {
        "mine is for 'one' only": "!has(self.mine) || self.type in ['one']",
        "other is for 'two' only": "!has(self.other) || self.type in ['two']",
        "mine is required for 'one'": "self.type != 'one' || has(self.mine)",
    }


def test_defaults_are_written_where_upstream_writes_them():
    written = {name: one.get("default") for name, one in structural_schema(Everything)["properties"].items()}
    assert written["count"] == 3
    assert written["choice"] == "b"
    assert written["flag"] is False, "a zero is written where it is marked"
    assert written["words"] is None
    assert written["bare"] is None, "and a default is not where that is marked"
    none = structural_schema(Everything, defaults=False)["properties"]
    assert not [name for name, one in none.items() if "default" in one]


def test_clients_of_kubernetes_own_kinds_may_write_null():
    made = structural_schema(Everything, nullable=True)
    assert all(
        one["nullable"] for name, one in made["properties"].items() if name not in ("apiVersion", "kind", "metadata")
    )


def test_the_rules_of_a_struct_are_those_of_its_schema():
    assert bare_schema(Everything)["x-kubernetes-validations"] == list(Everything.RULES)


def structural(schema: dict[str, Any], path: str, found: list[str]) -> None:
    """What an API server would refuse: see "Specifying a structural schema"."""
    if "type" not in schema and not (
        {"x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"} & set(schema)
    ):
        found.append(f"{path}: no type")
    if {"title", "$ref", "examples", "uniqueItems", "const", "prefixItems"} & set(schema):
        found.append(f"{path}: a word that is not allowed")
    if schema.get("additionalProperties") is False or ("properties" in schema and "additionalProperties" in schema):
        found.append(f"{path}: additionalProperties")
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        found.append(f"{path}: a list of nothing")
    if schema.get("x-kubernetes-list-type") == "map":
        items = schema["items"]
        needed = items.get("required", ())
        keys = [key for key in schema["x-kubernetes-list-map-keys"] if key not in needed]
        found += [f"{path}: key {key} may be missing" for key in keys if "default" not in items["properties"][key]]
    if "default" in schema and schema["default"] is None:
        found.append(f"{path}: null as default")
    if set(schema.get("required", ())) - set(schema.get("properties", {})):
        found.append(f"{path}: requires what it does not know")
    for name, one in schema.get("properties", {}).items():
        structural(one, f"{path}.{name}", found)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            structural(schema[key], f"{path}[]", found)


@pytest.mark.parametrize(
    "kind", [one for one in KINDS if not one.builtin], ids=lambda one: f"{one.resource}/{one.version}"
)
def test_every_kind_is_structural(kind: Kind):
    found: list[str] = []
    structural(kind.schema, kind.kind, found)
    assert not found


def unseen(schema: dict[str, Any], path: str, found: list[str]) -> None:
    """Fields that rules name and cannot see: an API server knows none without a type, and refuses the definition."""
    known = schema.get("properties", {})
    for one in schema.get("x-kubernetes-validations", ()):
        named = set(re.findall(r"has\(self\.(\w+)\)", one["rule"]))
        found += [f"{path}: {name} in {one['rule']}" for name in named if "type" not in known.get(name, {})]
    for name, one in known.items():
        unseen(one, f"{path}.{name}", found)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            unseen(schema[key], f"{path}[]", found)


@pytest.mark.parametrize("kind", KINDS, ids=lambda one: f"{one.resource}/{one.version}")
def test_rules_see_every_field_they_name(kind: Kind):
    found: list[str] = []
    unseen(kind.schema, kind.kind, found)
    assert not found


@pytest.mark.parametrize("kind", KINDS, ids=lambda one: f"{one.resource}/{one.version}")
def test_every_field_of_every_kind_is_described(kind: Kind):
    def walk(schema: dict[str, Any], path: str) -> None:
        assert schema.get("description"), path
        for name, one in schema.get("properties", {}).items():
            walk(one, f"{path}.{name}")
        items = schema.get("items", {})
        for name, one in items.get("properties", {}).items():
            walk(one, f"{path}[].{name}")

    walk(kind.schema, kind.kind)
