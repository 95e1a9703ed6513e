"""JSON Schema of the short form and of each kind, for editors to complete and check from.

Owns the translation of our types into JSON Schema; every description comes from the field's own documentation.
*Source:* JSON Schema 2020-12.
"""

from typing import Any

import msgspec
from msgspec import NODEFAULT
from msgspec import inspect as types

from heddle.model.config import Config
from heddle.model.fielddocs import AnyStruct, class_doc, field_docs, tag_of, unwrap
from heddle.model.problem import spelling
from heddle.model.resources import KINDS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PATTERNS = {
    "duration": r"^(0|([0-9]+(\.[0-9]+)?(ms|[smhdw]))+)$",
    "period": r"^([0-9]+(\.[0-9]+)?(ms|[smhdw]))+$",
    "sha256": "^[0-9A-Fa-f]{64}$",
}
"""Of the forms that are one regular expression; the others are described only, and checked by `heddle validate`."""


def kinds() -> dict[str, AnyStruct]:
    """What a schema can be printed of: `short` and the name of each kind."""
    return {"short": Config, **{kind: struct for (_, kind), struct in KINDS.items()}}


def json_schema(kind: str = "short") -> dict[str, Any]:
    """The JSON Schema of `short` or a kind. Raises KeyError for another name."""
    struct = kinds()[kind]
    writer = _Writer(camel=kind != "short")
    body = writer.struct(struct)
    title = "Heddle configuration" if kind == "short" else kind
    schema: dict[str, Any] = {"$schema": _DIALECT, "title": title, **body, "$defs": writer.definitions}
    for version, name in KINDS:
        if name == kind:
            schema["properties"]["apiVersion"] = {"const": version}
    return schema


class _Writer:
    """Writes one schema; structs that are used become definitions."""

    def __init__(self, *, camel: bool) -> None:
        self._camel = camel
        self.definitions: dict[str, Any] = {}

    def struct(self, cls: AnyStruct) -> dict[str, Any]:
        info = types.type_info(cls)
        assert isinstance(info, types.StructType)
        docs, properties, required = field_docs(cls), {}, []
        tag = tag_of(cls)
        if tag is not None:
            properties[tag[0]] = {"const": tag[1]}
            required.append(tag[0])
        for field in info.fields:
            name = spelling(field.name, field.encode_name, in_resources=self._camel)
            properties[name] = {**self.of(field.type), "description": docs[field.name], **_default(field)}
            if field.required:
                required.append(name)
        made = {
            "type": "object",
            "description": class_doc(cls),
            "properties": properties,
            "additionalProperties": False,
        }
        return {**made, "required": required} if required else made

    def of(self, info: types.Type) -> dict[str, Any]:
        bare, marks = unwrap(info)
        if isinstance(bare, types.UnionType):
            members = [self.of(member) for member in bare.types if not isinstance(member, types.NoneType)]
            return members[0] if len(members) == 1 else {"anyOf": members}
        if isinstance(bare, types.StructType):
            return self._reference(bare.cls)
        if isinstance(bare, types.VarTupleType):
            least = {"minItems": bare.min_length} if bare.min_length else {}
            return {"type": "array", "items": self.of(bare.item_type), **least}
        if isinstance(bare, types.DictType):
            return {"type": "object", "additionalProperties": self.of(bare.value_type)}
        return _scalar(bare, marks)

    def _reference(self, cls: AnyStruct) -> dict[str, Any]:
        if cls.__name__ not in self.definitions:
            self.definitions[cls.__name__] = {}  # holds the place, should a struct contain itself
            self.definitions[cls.__name__] = self.struct(cls)
        return {"$ref": f"#/$defs/{cls.__name__}"}


def _scalar(info: types.Type, marks: types.Metadata | None) -> dict[str, Any]:
    if isinstance(info, types.LiteralType):
        return {"enum": sorted(info.values, key=str)}
    if isinstance(info, types.IntType | types.FloatType):
        bounds = {"minimum": info.ge, "maximum": info.le}
        word = "integer" if isinstance(info, types.IntType) else "number"
        return {"type": word, **{name: bound for name, bound in bounds.items() if bound is not None}}
    if isinstance(info, types.StrType):
        form = (marks.extra or {}).get("form", "") if marks is not None else ""
        pattern = info.pattern or _PATTERNS.get(form)
        return {"type": "string", **({"pattern": pattern} if pattern else {})}
    return {"type": "boolean"} if isinstance(info, types.BoolType) else {}


def _default(field: types.Field) -> dict[str, Any]:
    if field.default is NODEFAULT or field.default in (None, "", ()):
        return {}
    if isinstance(field.default, msgspec.Struct):
        return {}
    return {"default": msgspec.to_builtins(field.default)}
