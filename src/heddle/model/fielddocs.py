"""The documentation of configuration fields, read from where it is written: the literal under each field.

Owns the reading of source text and the words for types. `heddle explain`, the JSON Schema and the reference page are
made
of it, so that none can say anything else than the code.
"""

import ast
import inspect
import textwrap
from functools import cache
from typing import Any, NamedTuple

import msgspec
from msgspec import NODEFAULT
from msgspec import inspect as types

from heddle.model.problem import spelling

AnyStruct = type[msgspec.Struct]


class FieldView(NamedTuple):
    """What there is to say about one field."""

    name: str
    type: str
    """In words: `duration, e.g. 30s`, `list of names`."""
    doc: str
    required: bool
    default: str
    """As it would be written in YAML; `unset` where nothing is."""
    choices: tuple[str, ...]
    """Allowed values of a closed set; empty for an open one."""
    sections: tuple[AnyStruct, ...]
    """Structs that the value, or each item of it, can be."""
    many: bool
    """The value can be a list of sections."""


@cache
def class_doc(cls: AnyStruct) -> str:
    """The first paragraph of a struct's docstring, on one line."""
    return " ".join((cls.__doc__ or "").partition("\n\n")[0].split())


@cache
def field_docs(cls: AnyStruct) -> dict[str, str]:
    """Field name -> documentation on one line, fields of base structs included."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, msgspec.Struct) and base.__struct_fields__:
            found |= _own_docs(base)
    return found


@cache
def fields_of(cls: AnyStruct, *, camel: bool = False) -> tuple[FieldView, ...]:
    """All fields of a struct, required ones first, spelled as in the short form or as in resources."""
    info = types.type_info(cls)
    assert isinstance(info, types.StructType)
    docs = field_docs(cls)
    views = [_view(field, docs[field.name], camel) for field in info.fields]
    return tuple(sorted(views, key=lambda view: not view.required))


def tag_of(cls: AnyStruct) -> tuple[str, str] | None:
    """The field and value that tell a struct apart from its alternatives; None when it has none."""
    config = cls.__struct_config__
    return (config.tag_field, str(config.tag)) if config.tag_field else None


@cache
def shape_of(cls: AnyStruct, name: str) -> AnyStruct | None:
    """The struct that says what is in a mapping that is read freely; None for other fields. `name` as in resources."""
    info = types.type_info(cls)
    assert isinstance(info, types.StructType)
    marks = {one.encode_name: unwrap(one.type)[1] for one in info.fields}.get(name)
    shape: AnyStruct | None = (marks.extra or {}).get("shape") if marks is not None else None
    return shape


def unwrap(info: types.Type) -> tuple[types.Type, types.Metadata | None]:
    """A type and the marks on it."""
    return (info.type, info) if isinstance(info, types.Metadata) else (info, None)


def alternatives(info: types.Type) -> list[types.Type]:
    """The members of a union, without None; a type itself otherwise."""
    bare, _ = unwrap(info)
    if not isinstance(bare, types.UnionType):
        return [info]
    return [member for member in bare.types if not isinstance(member, types.NoneType)]


def _own_docs(cls: AnyStruct) -> dict[str, str]:
    """Documentation of the fields declared in this class itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    (definition,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    found: dict[str, str] = {}
    for field, after in zip(definition.body, definition.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[field.target.id] = " ".join(str(after.value.value).split())
    return found


def _view(field: types.Field, doc: str, camel: bool) -> FieldView:
    members = alternatives(field.type)
    sections = tuple(dict.fromkeys(section for member in members for section in _sections(member)))
    bare = [unwrap(member)[0] for member in members]
    return FieldView(
        name=spelling(field.name, field.encode_name, in_resources=camel),
        type=_words(members),
        doc=doc,
        required=field.required,
        default=_default(field),
        choices=tuple(dict.fromkeys(str(value) for member in bare for value in _choices(member))),
        sections=sections,
        many=any(isinstance(member, types.VarTupleType) for member in bare),
    )


def _sections(info: types.Type) -> list[AnyStruct]:
    found: list[AnyStruct] = []
    for member in alternatives(info):
        bare, _ = unwrap(member)
        if isinstance(bare, types.StructType):
            found.append(bare.cls)
        elif isinstance(bare, types.VarTupleType):
            found += _sections(bare.item_type)
    return found


def _choices(info: types.Type) -> list[Any]:
    if isinstance(info, types.LiteralType):
        return list(info.values)
    return _choices(unwrap(info.item_type)[0]) if isinstance(info, types.VarTupleType) else []


def _words(members: list[types.Type]) -> str:
    return " or ".join(dict.fromkeys(_word(member) for member in members))


def _word(info: types.Type) -> str:
    bare, marks = unwrap(info)
    described = (marks.extra_json_schema or {}).get("description") if marks is not None else None
    if described:
        return str(described)
    if isinstance(bare, types.VarTupleType):
        return f"list of {_words(alternatives(bare.item_type))}"
    if isinstance(bare, types.DictType):
        return f"mapping of names to {_words(alternatives(bare.value_type))}"
    if isinstance(bare, types.IntType | types.FloatType):
        return _number_words(bare)
    plain: dict[type, str] = {
        types.StrType: "text",
        types.BoolType: "true or false",
        types.LiteralType: "one of a set",
        types.StructType: "section",
        types.AnyType: "anything",
    }
    return plain.get(type(bare), "value")


def _number_words(info: types.IntType | types.FloatType) -> str:
    word = "whole number" if isinstance(info, types.IntType) else "number"
    if info.ge is not None and info.le is not None and info.le <= 65_535:
        return f"{word}, {info.ge:g} to {info.le:g}"
    return f"{word}, at least {info.ge:g}" if info.ge is not None else word


def _default(field: types.Field) -> str:
    if field.default is NODEFAULT or field.default in (None, "", ()):
        return "unset"
    if isinstance(field.default, msgspec.Struct):
        return "see its fields"
    plain = msgspec.to_builtins(field.default)
    return msgspec.json.encode(plain).decode().strip('"') if plain != {} else "unset"
