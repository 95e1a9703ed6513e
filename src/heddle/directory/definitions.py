"""What a tool, a prompt, a resource, a template or a server says of itself, in one form, under one digest.

Owns canonicalisation: two definitions have one digest when, and only when, they say the same. Every field counts,
unknown ones and `_meta` too. Two do not, because they tell of a resource's contents and change with every write:
`size` and `annotations.lastModified`; they are left out only where they are what they should be, a count and a time.

Integers beyond 2^53 are written in full: ECMAScript would round them, and two schemas would look alike.

*Source:* RFC 8785 (JCS) sections 3.2.2 and 3.2.3; RFC 7493 section 2.2; MCP 2026-07-28, schema.
"""

import hashlib
import math
import re
from collections.abc import Iterable
from json.encoder import encode_basestring
from typing import Any, Final, Literal, cast, get_args

import msgspec

from heddle.wire.errors import ProtocolError
from heddle.wire.json import parse_strict

Kind = Literal["tool", "prompt", "resource", "template", "instructions"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
MAX_BYTES = 1024 * 1024
"""Of one definition in canonical form; what is larger is no definition that a model could read."""
MAX_DEPTH = 100
MAX_NAME_CHARS = 8192
"""Of a name or URI."""
_NAMED_BY = {"tool": "name", "prompt": "name", "resource": "uri", "template": "uriTemplate"}
_SAFE = 2**53
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?")


class Definition(msgspec.Struct, frozen=True):
    """One definition, as its backend sent it."""

    kind: Kind
    name: str
    """Of a tool or prompt its name, of a resource its URI, of a template its uriTemplate; empty for instructions."""
    content: bytes
    """Canonical JSON."""
    digest: str
    """SHA-256 of `content`, in hexadecimal."""

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name: what a definition is called within its target."""
        return self.kind, self.name

    def value(self) -> Any:
        """The content, decoded."""
        return msgspec.json.decode(self.content)


def define(kind: Kind, value: object) -> Definition:
    """The definition that `value` is: a decoded JSON object (for instructions a string), or its JSON as bytes.

    Raises ProtocolError when it is not one, or cannot be written in canonical form.
    """
    if isinstance(value, bytes | bytearray | memoryview | msgspec.Raw):
        value = parse_strict(bytes(value))
    name = _name(kind, value)
    content = canonical(_without_volatile(kind, value))
    return Definition(kind, name, content, hashlib.sha256(content).hexdigest())


def set_digest(definitions: Iterable[Definition]) -> str:
    """The digest of everything that a target offers, in whatever order it does."""
    lines = sorted([one.kind, one.name, one.digest] for one in definitions)
    return hashlib.sha256(canonical(lines)).hexdigest()


def canonical(value: object) -> bytes:
    """JSON in the form of RFC 8785. Raises ProtocolError."""
    out: list[str] = []
    _write(value, out, 0)
    try:
        text = "".join(out).encode()
    except UnicodeEncodeError as exc:
        raise ProtocolError("A definition holds half of a surrogate pair.") from exc
    if len(text) > MAX_BYTES:
        raise ProtocolError(f"A definition is larger than {MAX_BYTES} bytes.")
    return text


def _name(kind: Kind, value: object) -> str:
    if kind == "instructions":
        if not isinstance(value, str):
            raise ProtocolError("instructions: expected a string.", param="instructions")
        return ""
    field = _NAMED_BY[kind]
    if not isinstance(value, dict):
        raise ProtocolError(f"A {kind} is an object.", param=kind)
    name = value.get(field)
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS:
        raise ProtocolError(f"{kind}.{field}: expected 1 to {MAX_NAME_CHARS} characters.", param=f"{kind}.{field}")
    return name


def _without_volatile(kind: Kind, value: object) -> object:
    if kind not in ("resource", "template"):
        return value
    fields = dict(cast("dict[str, object]", value))
    size = fields.get("size")
    if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < _SAFE:
        del fields["size"]
    notes = fields.get("annotations")
    if isinstance(notes, dict):
        changed = notes.get("lastModified")
        # A text in its place would be read by a model: only a time is left out.
        if isinstance(changed, str) and _TIME.fullmatch(changed):
            fields["annotations"] = {key: item for key, item in notes.items() if key != "lastModified"}
    return fields


def _write(value: object, out: list[str], depth: int) -> None:
    if isinstance(value, str):
        out.append(encode_basestring(value))
    elif value is None or isinstance(value, bool):
        out.append({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, int | float):
        out.append(_number(value))
    elif depth >= MAX_DEPTH:
        raise ProtocolError(f"A definition is nested more than {MAX_DEPTH} deep.")
    elif isinstance(value, dict):
        _write_object(value, out, depth + 1)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            out.append("," if place else "[")
            _write(item, out, depth + 1)
        out.append("]" if value else "[]")
    else:
        raise ProtocolError("A definition holds what is no JSON.")


def _write_object(value: dict[Any, Any], out: list[str], depth: int) -> None:
    if not all(isinstance(key, str) for key in value):
        raise ProtocolError("A definition holds a key that is no string.")
    for place, key in enumerate(sorted(value, key=_utf16)):
        out += ("," if place else "{", encode_basestring(key), ":")
        _write(value[key], out, depth)
    out.append("}" if value else "{}")


def _utf16(key: str) -> bytes:
    """Section 3.2.3: names are sorted by their UTF-16 code units."""
    return key.encode("utf-16-be", "surrogatepass")


def _number(value: float) -> str:
    """ECMAScript's Number::toString, of which Python's repr has the same digits in another dress."""
    if isinstance(value, int):
        if abs(value).bit_length() > 4096:
            raise ProtocolError("A definition holds a number of more than 1,200 digits.")
        return str(value)
    if not math.isfinite(value):
        raise ProtocolError("A definition holds a number that is beyond what doubles can say.")
    if value.is_integer() and abs(value) < _SAFE:
        return str(int(value))
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(digits) - len(fraction) + int(exponent or 0)
    return ("-" if value < 0 else "") + _decimal(digits.rstrip("0"), point)


def _decimal(digits: str, point: int) -> str:
    """Digits with the decimal point after `point` of them."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    power = point - 1
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"
