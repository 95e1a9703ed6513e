"""Does a value have the shape of a struct? Finds everything that is wrong with it, not only the first thing.

Owns the walk from plain data (what YAML gives) to typed structs: unknown fields are errors, wrong values are reported
with path, line, what was expected and what may have been meant, and replaced by their defaults, so that the checks of
meaning (`rules`) can still look at the rest. Single values are in `check_scalars`. It knows no meaning itself.
"""

from functools import cache
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import NODEFAULT, inspect

from heddle.model.check_scalars import Anything, Choice, Flag, Node, Number, Text, either, near
from heddle.model.problem import Place, camel, child, quote, snake, spelling
from heddle.model.reading import BROKEN, Reading

T = TypeVar("T")


def check(value: Any, kind: type[T], reading: Reading, path: str = "") -> T | None:
    """`value` as a `kind`, as far as it is one; None when nothing of it is usable. What is wrong is in
    `reading.report`."""
    of: Any = kind
    made: Any = _root(of).check(value, path, reading)
    return None if made is BROKEN else made


@cache
def _root(kind: type) -> Node:
    return _node(inspect.type_info(kind))


class _Sequence(Node):
    """A list of values of one type; becomes a tuple."""

    expected = "a list"

    def __init__(self, info: inspect.VarTupleType) -> None:
        self._item = _node(info.item_type)
        self._min = info.min_length or 0
        self._max = info.max_length

    def accepts(self, value: Any) -> bool:
        return isinstance(value, list)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        if not isinstance(value, list):
            return self.wrong_kind(value, path, reading)
        if len(value) < self._min:
            return reading.refuse(path, f"expected at least {self._min} item")
        if self._max is not None and len(value) > self._max:
            return reading.refuse(path, f"expected at most {self._max} item")
        check_item = self._item.check
        made = [check_item(item, f"{path}[{index}]", reading) for index, item in enumerate(value)]
        return tuple(item for item in made if item is not BROKEN)


class _Mapping(Node):
    """A mapping from text to values of one type."""

    expected = "a mapping"

    def __init__(self, info: inspect.DictType) -> None:
        self._item = _node(info.value_type)

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        if not isinstance(value, dict):
            return self.wrong_kind(value, path, reading)
        made = {key: self._item.check(item, child(path, key), reading) for key, item in value.items()}
        return {key: item for key, item in made.items() if item is not BROKEN}


class _Field(NamedTuple):
    """One field of a struct, ready to be checked."""

    name: str
    spelled: str
    node: Node
    required: bool
    fallback: Any
    """What stands in for a required value that is wrong or missing; BROKEN when nothing can."""


class _Struct(Node):
    """A mapping with known fields."""

    expected = "a mapping"

    def __init__(self, info: inspect.StructType) -> None:
        self.cls = info.cls
        self.tag = info.tag
        self._tag_field = info.tag_field
        fields = [(f, _node(f.type)) for f in info.fields]
        self._short: dict[str, _Field] = {}
        self._camel: dict[str, _Field] = {}
        for f, node in fields:
            short = spelling(f.name, f.encode_name, in_resources=False)
            self._short[short] = _Field(f.name, short, node, f.required, _fallback(f))
            self._camel[f.encode_name] = self._short[short]._replace(spelled=f.encode_name)
        self._required = [field for field in self._short.values() if field.required]

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        if not isinstance(value, dict):
            return self.wrong_kind(value, path, reading)
        known = self._camel if reading.source.camel else self._short
        made: dict[str, Any] = {}
        for key, item in value.items():
            field = known.get(key)
            if field is None:
                if key != self._tag_field:
                    self._unknown(key, known, path, reading)
                continue
            checked = field.node.check(item, child(path, key), reading)
            if checked is not BROKEN:
                made[field.name] = checked
            elif field.required:
                made[field.name] = field.fallback
        if len(made) < len(known) and self._required:
            self._missing(made, path, reading)
        return BROKEN if BROKEN in made.values() else self.cls(**made)

    def _unknown(self, key: str, known: dict[str, _Field], path: str, reading: Reading) -> None:
        other = camel(key) if reading.source.camel else snake(key)
        names = (*known, self._tag_field) if self._tag_field else tuple(known)
        hint = f"did you mean `{other}`?" if other in known else near(key, names)
        shown = key if hint or _is_word(key) else f"{key[:4]}…"
        hint = hint or f"known here: {', '.join(names)}"
        reading.refuse(child(path, shown), "unknown field", hint)

    def _missing(self, made: dict[str, Any], path: str, reading: Reading) -> None:
        for field in self._required:
            if field.name not in made:
                spelled = msgspec_name(self.cls, field.name) if reading.source.camel else field.spelled
                reading.refuse(child(path, spelled), f"is required: {field.node.expected}")
                made[field.name] = field.fallback


def _is_word(key: str) -> bool:
    """Whether what is no field's name could have been meant as one. A secret that slipped there must not be shown."""
    return len(key) <= 32 and sum(char.isdigit() for char in key) <= 3


class _Tagged(Node):
    """A mapping that is one of several structs, told apart by one field."""

    def __init__(self, infos: list[inspect.StructType]) -> None:
        self._tag_field = str(infos[0].tag_field)
        self._nodes = {str(info.tag): _node(info) for info in infos}
        self.expected = f"a mapping with `{self._tag_field}`"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        if not isinstance(value, dict):
            return self.wrong_kind(value, path, reading)
        tag = value.get(self._tag_field)
        node = self._nodes.get(tag) if isinstance(tag, str) else None
        if node is not None:
            return node.check(value, path, reading)
        expected = either(tuple(self._nodes))
        place = child(path, self._tag_field)
        if tag is None:
            reading.refuse(place, f"is required: {expected}")
        else:
            reading.refuse(place, f"expected {expected}, got {quote(tag)}", near(str(tag), tuple(self._nodes)))
        reading.report.mark_broken(Place(reading.source, path))
        return BROKEN


class _Union(Node):
    """One of several kinds, told apart by the kind of the value."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self.expected = " or ".join(dict.fromkeys(node.expected for node in nodes))

    def accepts(self, value: Any) -> bool:
        return any(node.accepts(value) for node in self._nodes)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        for node in self._nodes:
            if node.accepts(value):
                return node.check(value, path, reading)
        return self.wrong_kind(value, path, reading)


def msgspec_name(cls: type[msgspec.Struct], name: str) -> str:
    """How a field is spelled in resources."""
    return cls.__struct_encode_fields__[cls.__struct_fields__.index(name)]


@cache
def _struct_node(cls: type[msgspec.Struct]) -> Node:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return _Struct(info)


def _node(info: inspect.Type) -> Node:
    """The checker of a type."""
    extra: dict[str, Any] = {}
    if isinstance(info, inspect.Metadata):
        extra, info = info.extra or {}, info.type
    if isinstance(info, inspect.StrType):
        return Text(info, extra)
    if isinstance(info, inspect.StructType):
        return _struct_node(info.cls)
    if isinstance(info, inspect.UnionType):
        return _union(info)
    simple: dict[type, Any] = {
        inspect.IntType: Number,
        inspect.FloatType: Number,
        inspect.LiteralType: Choice,
        inspect.VarTupleType: _Sequence,
        inspect.DictType: _Mapping,
    }
    make = simple.get(type(info))
    if make is not None:
        node: Node = make(info)
        return node
    return Flag() if isinstance(info, inspect.BoolType) else Anything()


def _union(info: inspect.UnionType) -> Node:
    """None is left out: an empty value is refused everywhere, because `allowed:` with its list commented out must
    not mean "all"."""
    structs = [member for member in info.types if isinstance(member, inspect.StructType)]
    nodes: list[Node] = [
        _node(member) for member in info.types if not isinstance(member, inspect.StructType | inspect.NoneType)
    ]
    if len(structs) > 1:
        nodes.insert(0, _Tagged(structs))
    elif structs:
        nodes.insert(0, _node(structs[0]))
    return nodes[0] if len(nodes) == 1 else _Union(nodes)


def _fallback(field: inspect.Field) -> Any:
    kind = field.type.type if isinstance(field.type, inspect.Metadata) else field.type
    blanks: dict[type, Any] = {inspect.StrType: "", inspect.IntType: 0, inspect.VarTupleType: (), inspect.DictType: {}}
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    return blanks.get(type(kind), BROKEN) if field.default is NODEFAULT else field.default
