"""Does a value have the shape of a struct? Finds everything that is wrong with it, not only the first thing.

Owns the walk from plain data (what YAML gives) to typed structs: unknown fields are errors, wrong values are
reported with
path, line, what was expected and what may have been meant, and replaced by their defaults, so that the checks of
meaning
(`rules`) can still look at the rest. It knows no meaning itself.
"""

import re
from functools import cache
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import NODEFAULT, inspect

from heddle.model.formats import complaint
from heddle.model.problem import Place, Report, Source, camel, child, did_you_mean, quote, snake

BROKEN: Any = object()
"""Stands for a value that could not be made; it never leaves this module."""
T = TypeVar("T")


class Note(NamedTuple):
    """A value that the outside world must be asked about."""

    mark: str
    """`file` or `secret`."""
    place: Place
    text: str


class Reading:
    """The check of one document: where it stands, what was found."""

    __slots__ = ("notes", "report", "source")

    def __init__(self, report: Report, source: Source) -> None:
        self.report = report
        self.source = source
        self.notes: list[Note] = []

    def refuse(self, path: str, message: str, hint: str = "") -> Any:
        """Report an error at `path`, once; BROKEN."""
        place = Place(self.source, path)
        self.report.error(place, message, hint)
        self.report.mark_broken(place)
        return BROKEN


def check(value: Any, kind: type[T], reading: Reading, path: str = "") -> T | None:
    """`value` as a `kind`, as far as it is one; None when nothing of it is usable. What is wrong is in
    `reading.report`."""
    made: Any = _node(inspect.type_info(kind)).check(value, path, reading)
    return None if made is BROKEN else made


class _Node:
    """Checks values of one type."""

    expected = "a value"
    private = True
    """Values of this type, or typed here by mistake, may be secrets: messages tell their kind only."""

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        """The typed value, or BROKEN after reporting why."""
        raise NotImplementedError

    def accepts(self, value: Any) -> bool:
        """Whether the value is of the right kind at all: how a union chooses among its members."""
        raise NotImplementedError

    def wrong_kind(self, value: Any, path: str, reading: Reading) -> Any:
        """Refuse a value of another kind."""
        if value is None:
            return reading.refuse(path, f"is empty, expected {self.expected}", "remove the line, or give it a value")
        got = _kind(value) if self.private else _describe(value)
        return reading.refuse(path, f"expected {self.expected}, got {got}", _kind_hint(value, self))


class _Text(_Node):
    """A string: lengths, pattern, declared form."""

    expected = "text"

    def __init__(self, info: inspect.StrType, extra: dict[str, Any]) -> None:
        self._min = info.min_length or 0
        self._max = info.max_length
        self._pattern = re.compile(info.pattern) if info.pattern else None
        self.form: str = extra.get("form", "")
        self.private = bool(extra.get("secret") or extra.get("private"))
        self._mark = "secret" if extra.get("secret") else "file" if self.form == "file" else ""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        if not isinstance(value, str):
            return self.wrong_kind(value, path, reading)
        wrong = complaint(self.form, value) if self.form else self._measure(value)
        if wrong:
            # What stands before an @ in a URL may be a password.
            shown = "" if self.private or "@" in value else f", got {quote(value)}"
            hint = "environment references are read in secrets only" if "${" in value and not self._mark else ""
            return reading.refuse(path, f"{wrong}{shown}", hint)
        if self._mark and value:
            reading.notes.append(Note(self._mark, Place(reading.source, path), value))
        return value

    def _measure(self, value: str) -> str:
        if len(value) < self._min:
            return f"expected at least {self._min} characters"
        if self._max is not None and len(value) > self._max:
            return f"expected at most {self._max} characters"
        if self._pattern is not None and not self._pattern.search(value):
            return f"expected text like {self._pattern.pattern}"
        return ""


class _Number(_Node):
    """An integer or a float, with bounds."""

    private = False

    def __init__(self, info: inspect.IntType | inspect.FloatType) -> None:
        self._kinds = (int,) if isinstance(info, inspect.IntType) else (int, float)
        self._ge, self._le = info.ge, info.le
        self.expected = "a whole number" if isinstance(info, inspect.IntType) else "a number"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, self._kinds) and not isinstance(value, bool)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        if not self.accepts(value):
            return self.wrong_kind(value, path, reading)
        if self._ge is not None and value < self._ge:
            return reading.refuse(path, f"expected at least {self._ge}, got {quote(value)}")
        if self._le is not None and value > self._le:
            return reading.refuse(path, f"expected at most {self._le}, got {quote(value)}")
        return value if self._kinds == (int,) else float(value)


class _Flag(_Node):
    """true or false."""

    expected = "true or false"
    private = False

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        return value if isinstance(value, bool) else self.wrong_kind(value, path, reading)


class _Choice(_Node):
    """One of a closed set of words."""

    private = False

    def __init__(self, info: inspect.LiteralType) -> None:
        self._values = tuple(str(value) for value in info.values)
        self.expected = _either(self._values)

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        if not isinstance(value, str):
            return self.wrong_kind(value, path, reading)
        if value not in self._values:
            return reading.refuse(path, f"expected {self.expected}, got {quote(value)}", _near(value, self._values))
        return value


class _Anything(_Node):
    """Any plain data."""

    def accepts(self, value: Any) -> bool:
        del value
        return True

    def check(self, value: Any, path: str, reading: Reading) -> Any:
        del path, reading
        return value


class _Sequence(_Node):
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


class _Mapping(_Node):
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
    node: _Node
    required: bool
    fallback: Any
    """What stands in for a required value that is wrong or missing; BROKEN when nothing can."""


class _Struct(_Node):
    """A mapping with known fields."""

    expected = "a mapping"

    def __init__(self, info: inspect.StructType) -> None:
        self.cls = info.cls
        self.tag = info.tag
        self._tag_field = info.tag_field
        fields = [(f, _node(f.type)) for f in info.fields]
        self._short = {f.name: _Field(f.name, f.name, node, f.required, _fallback(f)) for f, node in fields}
        self._camel = {f.encode_name: self._short[f.name]._replace(spelled=f.encode_name) for f, _ in fields}
        self._required = [field.name for field in self._short.values() if field.required]

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
        hint = f"did you mean `{other}`?" if other in known else _near(key, names)
        hint = hint or f"known here: {', '.join(names)}"
        reading.refuse(child(path, key), "unknown field", hint)

    def _missing(self, made: dict[str, Any], path: str, reading: Reading) -> None:
        for name in self._required:
            if name not in made:
                field = self._short[name]
                spelled = msgspec_name(self.cls, name) if reading.source.camel else name
                reading.refuse(child(path, spelled), f"is required: {field.node.expected}")
                made[name] = field.fallback


class _Tagged(_Node):
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
        expected = _either(tuple(self._nodes))
        place = child(path, self._tag_field)
        if tag is None:
            reading.refuse(place, f"is required: {expected}")
        else:
            reading.refuse(place, f"expected {expected}, got {quote(tag)}", _near(str(tag), tuple(self._nodes)))
        reading.report.mark_broken(Place(reading.source, path))
        return BROKEN


class _Union(_Node):
    """One of several kinds, told apart by the kind of the value."""

    def __init__(self, nodes: list[_Node]) -> None:
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
def _struct_node(cls: type[msgspec.Struct]) -> _Node:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return _Struct(info)


def _node(info: inspect.Type) -> _Node:
    """The checker of a type."""
    extra: dict[str, Any] = {}
    if isinstance(info, inspect.Metadata):
        extra, info = info.extra or {}, info.type
    if isinstance(info, inspect.StrType):
        return _Text(info, extra)
    if isinstance(info, inspect.StructType):
        return _struct_node(info.cls)
    if isinstance(info, inspect.UnionType):
        return _union(info)
    simple: dict[type, Any] = {
        inspect.IntType: _Number,
        inspect.FloatType: _Number,
        inspect.LiteralType: _Choice,
        inspect.VarTupleType: _Sequence,
        inspect.DictType: _Mapping,
    }
    make = simple.get(type(info))
    if make is not None:
        node: _Node = make(info)
        return node
    return _Flag() if isinstance(info, inspect.BoolType) else _Anything()


def _union(info: inspect.UnionType) -> _Node:
    """None is left out: an empty value is refused everywhere, because `allowed:` with its list commented out must
    not mean "all"."""
    structs = [member for member in info.types if isinstance(member, inspect.StructType)]
    nodes: list[_Node] = [
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


def _describe(value: Any) -> str:
    return _kind(value) if isinstance(value, dict | list) else quote(value)


def _kind(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "something else")


def _kind_hint(value: Any, node: _Node) -> str:
    if isinstance(node, _Text) and isinstance(value, int | float):
        timed = node.form in ("duration", "period") and not isinstance(value, bool)
        return f"give it a unit, such as {value}s" if timed else "quote it"
    return "put it in [brackets]" if isinstance(node, _Sequence) and not isinstance(value, dict) else ""


def _near(word: str, known: tuple[str, ...]) -> str:
    return did_you_mean(word, known) or did_you_mean(word.lower(), tuple(known), 0.6)


def _either(values: tuple[str, ...]) -> str:
    quoted = [f"`{value}`" for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
