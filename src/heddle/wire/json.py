"""Strict JSON: one reading of a body, so that what policies judged is what the provider gets.

Owns the decision of what counts as JSON at the gateway's edge. Two parsers that disagree about a document are a
hole (duplicate keys, lone surrogates, a byte-order mark), so everything on which readers are known to differ is
refused: duplicate keys at any depth, invalid UTF-8, unpaired surrogates, NaN and Infinity, comments, trailing
commas or data, nesting beyond 200, integers beyond 4,300 digits. Large exponents (`1e999`) are grammatical and
pass: the body is forwarded as it was written, never re-encoded from a float.

*Source:* RFC 8259 sections 2 to 9; RFC 7493 (I-JSON) sections 2.1 and 2.3 for surrogates and duplicate names.
"""

import re
from typing import Any, Final, TypeVar

import jiter
import msgspec

from heddle.wire.errors import ProtocolError

T = TypeVar("T")

_PLACE: Final = re.compile(r" at line (\d+) column (\d+)$")
_DUPLICATE: Final = "Detected duplicate key"
_TYPES: Final = {
    "array": "an array",
    "bool": "a boolean",
    "float": "a number",
    "int": "an integer",
    "object": "an object",
    "str": "a string",
}
_MISMATCH: Final = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")


def parse_strict(body: bytes) -> Any:
    """The value of a JSON document. Raises ProtocolError (malformed) with line and column, never with contents."""
    try:
        return jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as exc:
        # The original text quotes duplicate keys, which are the caller's data: it is not chained.
        raise ProtocolError(_describe(str(exc)), malformed=True) from None


def convert(value: Any, shape: type[T]) -> T:
    """`value`, already parsed, as a struct of `shape`; fields it does not name are ignored.

    Raises ProtocolError with `param` set to the path of the first field that has another type.
    """
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as exc:
        raise type_error(str(exc)) from exc


def type_error(text: str) -> ProtocolError:
    """A msgspec validation message in a caller's words: `messages: expected an array, got an object`."""
    message, _, path = text.partition(" - at `$")
    param = path.rstrip("`").removeprefix(".")
    missing = _MISSING.search(message)
    if missing is not None:
        param = f"{param}.{missing[1]}" if param else missing[1]
        return ProtocolError(f"{param}: this field is required.", param=param)
    mismatch = _MISMATCH.search(message)
    if mismatch is None:
        return ProtocolError(f"{param or 'body'}: not an acceptable value.", param=param or None)
    wanted, got = mismatch[1].removesuffix(" | null"), mismatch[2]
    detail = f"{param or 'The request body'}: expected {_named(wanted)}, got {_named(got)}."
    return ProtocolError(detail, param=param or None)


def _named(types: str) -> str:
    return " or ".join(_TYPES.get(name, name) for name in types.split(" | "))


def _describe(text: str) -> str:
    found = _PLACE.search(text)
    if found is None:
        return "The request body is not valid JSON."
    problem = "an object repeats a key" if text.startswith(_DUPLICATE) else text[: found.start()]
    return f"The request body is not valid JSON: {problem} (line {found[1]}, column {found[2]})."
