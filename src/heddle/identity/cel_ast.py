"""Reads a compiled CEL expression: which variables, and which keys of map variables, it can touch.

Owns a reader of exactly the parts of `cel.expr.CheckedExpr` and `ParsedExpr` that this needs, written out because a
gateway has no other use for a protobuf runtime. Nothing is evaluated here.

*Source:* google/cel-spec, proto/cel/expr/{checked,syntax}.proto; Protocol Buffers encoding, "Message structure".
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

# Field numbers of cel.expr.Expr and of the messages inside it.
_ID, _CONST, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _COMPREHENSION = 2, 3, 4, 5, 6, 7, 8, 9
_CONST_STRING, _CONST_BYTES = 6, 7
_SELECT_OPERAND, _SELECT_FIELD, _SELECT_TEST_ONLY = 1, 2, 3
_CALL_TARGET, _CALL_FUNCTION, _CALL_ARGUMENT = 1, 2, 3
_ENTRY_MAP_KEY, _ENTRY_VALUE = 3, 4
_COMPREHENSION_EXPRESSIONS = (2, 4, 5, 6, 7)
_CHECKED_EXPR, _PARSED_EXPR, _PARSED_SOURCE, _SOURCE_POSITIONS = 4, 2, 3, 4
_ANY_VALUE = 2

Path = tuple[str, ...]
"""A variable, then the constant keys that are read below it."""
_Field = tuple[int, int | bytes]


@dataclass(slots=True)
class References:
    """What an expression reads."""

    paths: set[Path] = field(default_factory=set)
    nul: bool = False
    """A string or bytes constant holds a NUL, which the evaluator would cut off there."""


def references(serialized: bytes, variables: Collection[str]) -> References:
    """Everything a checked expression can read of `variables`; their names contain dots, so no local shadows one."""
    found = References()
    pending = [_only(_only(serialized, _ANY_VALUE), _CHECKED_EXPR)]
    while pending:
        node = pending.pop()
        path = _path(node, variables)
        if path is not None:
            found.paths.add(path)
        else:
            found.nul = found.nul or _holds_nul(node)
            pending.extend(_children(node))
    return found


def presence_tests(serialized: bytes) -> list[tuple[str, int]]:
    """`has(a.b)` of a merely parsed expression as (`a.b`, offset in characters), for plain dotted names."""
    parsed = _only(serialized, _ANY_VALUE)
    source = _only(parsed, _PARSED_SOURCE)
    tests = []
    pending = [_only(parsed, _PARSED_EXPR)]
    while pending:
        node = pending.pop()
        select = _only(node, _SELECT)
        name = _dotted(node)
        if select and name and _number(select, _SELECT_TEST_ONLY):
            tests.append((name, _offset(source, _number(node, _ID))))
        pending.extend(_children(node))
    return tests


def _path(node: bytes, variables: Collection[str]) -> Path | None:
    """`node` as a variable with constant keys below it; None when it is anything else."""
    ident = _only(node, _IDENT)
    if ident:
        name = _only(ident, 1).decode()
        return (name,) if name in variables else None
    parent, key = _step(node)
    path = _path(parent, variables) if parent else None
    if path is None:
        return None
    # `"a" in x.y` may search a list for a value: below a variable it is only known that `x.y` is read.
    return path if len(path) > 1 and _only(_only(node, _CALL), _CALL_FUNCTION) == b"@in" else (*path, key)


def _step(node: bytes) -> tuple[bytes, str]:
    """The container and the constant key of `a.key`, `has(a.key)`, `a["key"]` and `"key" in a`; empty for others."""
    select = _only(node, _SELECT)
    if select:
        return _only(select, _SELECT_OPERAND), _only(select, _SELECT_FIELD).decode()
    call = _only(node, _CALL)
    function, arguments = _only(call, _CALL_FUNCTION), list(_all(call, _CALL_ARGUMENT))
    if function not in {b"_[_]", b"@in"} or len(arguments) != 2:
        return b"", ""
    container, key = arguments if function == b"_[_]" else reversed(arguments)
    text = _only(_only(key, _CONST), _CONST_STRING)
    if not text or 0 in text:
        return b"", ""
    return container, text.decode()


def _dotted(node: bytes) -> str:
    names: list[str] = []
    while select := _only(node, _SELECT):
        names.append(_only(select, _SELECT_FIELD).decode())
        node = _only(select, _SELECT_OPERAND)
    ident = _only(node, _IDENT)
    return ".".join([_only(ident, 1).decode(), *reversed(names)]) if ident else ""


def _holds_nul(node: bytes) -> bool:
    constant = _only(node, _CONST)
    return 0 in _only(constant, _CONST_STRING) or 0 in _only(constant, _CONST_BYTES)


def _children(node: bytes) -> Iterator[bytes]:
    for number, value in _fields(node):
        if not isinstance(value, bytes):
            continue
        if number == _SELECT:
            yield _only(value, _SELECT_OPERAND)
        elif number == _CALL:
            yield from _all(value, _CALL_TARGET)
            yield from _all(value, _CALL_ARGUMENT)
        elif number == _LIST:
            yield from _all(value, 1)
        elif number == _STRUCT:
            for entry in _all(value, 2):
                yield from _all(entry, _ENTRY_MAP_KEY)
                yield from _all(entry, _ENTRY_VALUE)
        elif number == _COMPREHENSION:
            for part in _COMPREHENSION_EXPRESSIONS:
                yield from _all(value, part)


def _offset(source: bytes, node_id: int) -> int:
    for entry in _all(source, _SOURCE_POSITIONS):
        if _number(entry, 1) == node_id:
            return _number(entry, 2)
    return 0


def _all(message: bytes, number: int) -> Iterator[bytes]:
    for found, value in _fields(message):
        if found == number and isinstance(value, bytes):
            yield value


def _only(message: bytes, number: int) -> bytes:
    """The bytes of a field, or empty when it is not there; the last one wins, as protobuf has it."""
    value = b""
    for each in _all(message, number):
        value = each
    return value


def _number(message: bytes, number: int) -> int:
    for found, value in _fields(message):
        if found == number and isinstance(value, int):
            return value
    return 0


def _fields(message: bytes) -> Iterator[_Field]:
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, position = _varint(message, position)
        else:
            size = 8 if kind == 1 else 4
        yield tag >> 3, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
