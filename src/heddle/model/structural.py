"""Structural schemas of our structs: what the resource API checks objects by, and what CustomResourceDefinitions say.

Owns the translation of types and marks into openAPIV3Schema; every description is the field's own documentation. What a
structural schema cannot say (a field that is a text or a list) is left open, and checked when it is compiled.
*Source:* apiextensions.k8s.io/v1 JSONSchemaProps; Kubernetes "Specifying a structural schema".
"""

from typing import Any

import msgspec
from msgspec import NODEFAULT
from msgspec import inspect as types

from heddle.model.fielddocs import AnyStruct, class_doc, field_docs, tag_of, unwrap
from heddle.model.kube import Rule, rule

Schema = dict[str, Any]
_ROOT = {
    "apiVersion": {"type": "string", "description": "Group and version of the object's kind."},
    "kind": {"type": "string", "description": "The object's kind."},
    "metadata": {"type": "object", "description": "Name, namespace, labels, annotations and what the API keeps of it."},
}
_PATTERNS = {
    "duration": r"^(0|([0-9]+(\.[0-9]+)?(ms|[smhdw]))+)$",
    "period": r"^([0-9]+(\.[0-9]+)?(ms|[smhdw]))+$",
    "sha256": "^[0-9A-Fa-f]{64}$",
}
"""Of the forms that are one regular expression; the others are checked when they are compiled. An empty text is the
same as none."""


def structural_schema(struct: AnyStruct, *, defaults: bool = True, nullable: bool = False) -> Schema:
    """The schema of a kind's whole objects. Without `defaults` nothing is written into objects: the struct alone knows
    what stands in for a missing field, which is what can change between versions. With `nullable` every field may be
    null, as clients of Kubernetes' own kinds write what they leave out."""
    made = _Writer(defaults=defaults, nullable=nullable).struct(struct)
    made["properties"] |= _ROOT
    for name in ("apiVersion", "kind", "metadata"):
        if name in made.get("required", ()):
            made["required"].remove(name)
    if not made.get("required"):
        made.pop("required", None)
    return made


def bare_schema(struct: AnyStruct) -> Schema:
    """The schema of a struct that is no kind."""
    return _Writer(defaults=False, nullable=False).struct(struct)


class _Writer:
    """Writes one schema. There are no references in one, so a struct inside itself is left open."""

    def __init__(self, *, defaults: bool, nullable: bool) -> None:
        self._defaults = defaults
        self._nullable = nullable
        self._inside: list[AnyStruct] = []

    def struct(self, cls: AnyStruct) -> Schema:
        if cls in self._inside:
            return {"type": "object", "description": class_doc(cls), "x-kubernetes-preserve-unknown-fields": True}
        self._inside.append(cls)
        info = types.type_info(cls)
        assert isinstance(info, types.StructType)
        docs = field_docs(cls)
        properties = {one.encode_name: self._field(one, docs[one.name]) for one in info.fields}
        required = [one.encode_name for one in info.fields if one.required]
        if tag := tag_of(cls):
            properties[tag[0]] = {"type": "string", "enum": [tag[1]], "description": "Which of them it is."}
            required.append(tag[0])
        self._inside.pop()
        made: Schema = {"type": "object", "description": class_doc(cls), "properties": properties}
        if required:
            made["required"] = required
        if rules := getattr(cls, "RULES", ()):
            made["x-kubernetes-validations"] = list(rules)
        return made | getattr(cls, "SAID", {})

    def _field(self, field: types.Field, doc: str) -> Schema:
        made = self.of(field.type)
        marks = unwrap(field.type)[1]
        described: Schema = {"description": doc} if doc else {}
        marked = marks is not None and "default" in (marks.extra_json_schema or {})
        if not marked and self._defaults and (plain := _written(field)) is not None:
            described["default"] = plain
        elif not self._defaults:
            made.pop("default", None)
        if self._nullable:
            described["nullable"] = True
        return made | described

    def of(self, info: types.Type) -> Schema:
        bare, marks = unwrap(info)
        extra = (marks.extra or {}) if marks is not None else {}
        made = self.struct(extra["shape"]) if "shape" in extra else self._plain(bare, extra.get("form", ""))
        said = (marks.extra_json_schema or {}) if marks is not None else {}
        made |= {name: value for name, value in said.items() if name != "description"}
        return {name: value for name, value in made.items() if value is not None}

    def _plain(self, info: types.Type, form: str) -> Schema:
        if isinstance(info, types.UnionType):
            return self._union([one for one in info.types if not isinstance(one, types.NoneType)])
        if isinstance(info, types.StructType):
            return self.struct(info.cls)
        if isinstance(info, types.VarTupleType | types.ListType):
            made: Schema = {"type": "array", "items": self.of(info.item_type)}
            return made | _bounds(minItems=info.min_length, maxItems=info.max_length)
        if isinstance(info, types.DictType):
            return self._mapping(info)
        return _scalar(info, form)

    def _mapping(self, info: types.DictType) -> Schema:
        values = self.of(info.value_type)
        if "type" not in values and "x-kubernetes-int-or-string" not in values:
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        return {"type": "object", "additionalProperties": values}

    def _union(self, members: list[types.Type]) -> Schema:
        if len(members) == 1:
            return self.of(members[0])
        bare = [unwrap(one)[0] for one in members]
        structs = [one.cls for one in bare if isinstance(one, types.StructType)]
        if len(structs) == len(bare) and all(tag_of(one) for one in structs):
            return self._tagged(structs)
        if {type(one) for one in bare} == {types.IntType, types.StrType}:
            both = [{"type": "integer"}, {"type": "string"}]
            return {"anyOf": both, "x-kubernetes-int-or-string": True}
        return {"x-kubernetes-preserve-unknown-fields": True}

    def _tagged(self, alternatives: list[AnyStruct]) -> Schema:
        """One section with the fields of all alternatives, and rules that say which go together."""
        name = (tag_of(alternatives[0]) or ("type", ""))[0]
        made = {str((tag_of(one) or ("", ""))[1]): self.struct(one) for one in alternatives}
        properties: Schema = {name: {"type": "string", "enum": sorted(made), "description": "Which of them it is."}}
        for one in made.values():
            for field, schema in one["properties"].items():
                known = properties.setdefault(field, schema)
                if field != name and _shape(known) != _shape(schema):
                    properties[field] = {"x-kubernetes-preserve-unknown-fields": True}
        return {
            "type": "object",
            "description": " Or: ".join(f"`{tag}`: {one['description']}" for tag, one in made.items()),
            "properties": properties,
            "required": [name],
            "x-kubernetes-validations": _tag_rules(name, made),
        }


def _tag_rules(name: str, made: dict[str, Schema]) -> list[Rule]:
    """Which fields go with which tag."""
    found: list[Rule] = []
    for field in dict.fromkeys(field for one in made.values() for field in one["properties"] if field != name):
        tags = [f"'{tag}'" for tag, one in made.items() if field in one["properties"]]
        if len(tags) < len(made):
            listed = ", ".join(tags)
            found.append(rule(f"!has(self.{field}) || self.{name} in [{listed}]", f"{field} is for {listed} only"))
    for tag, one in made.items():
        other = f"self.{name} != '{tag}'"
        needed = [field for field in one["required"] if field != name]
        found += [rule(f"{other} || has(self.{field})", f"{field} is required for '{tag}'") for field in needed]
        own = one.get("x-kubernetes-validations", ())
        found += [each | {"rule": f"{other} || ({each['rule']})"} for each in own]
    return found


def _shape(schema: Any) -> Any:
    """A schema without what is only for people."""
    if isinstance(schema, dict):
        return {key: _shape(value) for key, value in schema.items() if key not in ("description", "default")}
    return schema


def _bounds(**bounds: Any) -> Schema:
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _scalar(info: types.Type, form: str) -> Schema:
    if isinstance(info, types.LiteralType):
        word = "string" if isinstance(info.values[0], str) else "integer"
        return {"type": word, "enum": sorted(info.values)}
    if isinstance(info, types.IntType | types.FloatType):
        return {"type": "integer" if isinstance(info, types.IntType) else "number", **_number_bounds(info)}
    if isinstance(info, types.StrType):
        pattern = info.pattern or _PATTERNS.get(form)
        if form in _PATTERNS and pattern:
            pattern = f"^$|{pattern}"
        return {
            "type": "string",
            **_bounds(pattern=pattern, minLength=info.min_length, maxLength=info.max_length),
        }
    if isinstance(info, types.BoolType):
        return {"type": "boolean"}
    return {"x-kubernetes-preserve-unknown-fields": True}


def _number_bounds(info: types.IntType | types.FloatType) -> Schema:
    made = _bounds(minimum=info.ge, maximum=info.le)
    if info.gt is not None:
        made |= {"minimum": info.gt, "exclusiveMinimum": True}
    if info.lt is not None:
        made |= {"maximum": info.lt, "exclusiveMaximum": True}
    return made


def _written(field: types.Field) -> Any:
    """What is written into objects for a missing field: a default that is not the type's own zero, and not a
    section."""
    default = field.default
    if default is NODEFAULT or isinstance(default, msgspec.Struct) or not default:
        return None
    return msgspec.to_builtins(default)
