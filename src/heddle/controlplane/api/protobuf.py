"""Protobuf bodies of Kubernetes' own kinds, as plain JSON data.

Owns the wire format and the envelope; which field has which number is in `protobuf_fields`. Read only: answers are
JSON, which every client that sends protobuf accepts. Fields that are not known are left out, as protobuf has it.
*Source:* Kubernetes API concepts, "Kubernetes Protobuf encoding"; Protocol Buffers encoding.
"""

import base64
import functools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from heddle.controlplane.api.protobuf_fields import MESSAGES
from heddle.wire.kube.status import ApiError, bad_request

MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_TIME_S = 253_402_300_799
"""The last second of the year 9999; JSON has no later times."""
_UNKNOWN = "Unknown"


class _Field(NamedTuple):
    name: str
    form: str
    """`s` text, `i` number, `b` truth, `y` bytes, or a message."""
    many: str
    """`[` list, `{` map, or ''."""
    kept: bool
    """Zero is something else than absent."""


class _BadError(Exception):
    """Not what the encoding allows."""


def decode(raw: bytes) -> dict[str, Any]:
    """The object in a body. Raises ApiError 400, and 415 for a kind that has no protobuf here."""
    if raw[:4] != MAGIC:
        raise bad_request("the body is not Kubernetes protobuf: it does not begin with `k8s` and a zero")
    try:
        envelope = _message(_UNKNOWN, memoryview(raw)[4:])
        about = envelope.get("typeMeta") or {}
        api_version, kind = about.get("apiVersion", ""), about.get("kind", "")
        name = _message_of(api_version, kind)
        value = _message(name, memoryview(base64.b64decode(envelope.get("raw", ""))))
    except (_BadError, UnicodeDecodeError, msgspec.MsgspecError, RecursionError) as exc:
        raise bad_request("the body is not the protobuf that it says it is") from exc
    return {"apiVersion": api_version, "kind": kind, **value}


def _message_of(api_version: str, kind: str) -> str:
    for name in (f"{api_version.partition('/')[0]}.{kind}", kind):
        if name in MESSAGES:
            return name
    shown = f"{api_version[:60]}, Kind={kind[:60]}"
    message = f"{shown} cannot be sent as protobuf - accepted media types include: application/json, application/yaml"
    raise ApiError(415, "UnsupportedMediaType", message)


@functools.cache
def _fields(name: str) -> dict[int, _Field]:
    found = {}
    for word in MESSAGES[name].split():
        number, field, form = word.split(":")
        kept = form.startswith("?")
        form = form.removeprefix("?")
        many = form[0] if form[0] in "[{" else ""
        found[int(number)] = _Field(field, form.strip("[]{}"), many, kept)
    return found


def _message(name: str, raw: memoryview) -> dict[str, Any]:
    fields = _fields(name)
    made: dict[str, Any] = {}
    for number, value in _parts(raw):
        field = fields.get(number)
        if field is None:
            continue
        if field.many == "[":
            made.setdefault(field.name, []).append(_value(field.form, value))
        elif field.many == "{":
            key, below = _entry(field.form, value)
            made.setdefault(field.name, {})[key] = below
        else:
            decoded = _value(field.form, value)
            # Go writes zeros of fields that are no pointers; in JSON they are absent.
            if field.kept or decoded not in ("", 0, False, None, {}):
                made[field.name] = decoded
    return made


def _parts(raw: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at, end = 0, len(raw)
    while at < end:
        tag, at = _varint(raw, at)
        number, form = tag >> 3, tag & 7
        if form == _VARINT:
            value, at = _varint(raw, at)
            yield number, value
            continue
        if form == _BYTES:
            size, at = _varint(raw, at)
        elif form in (_FIXED64, _FIXED32):
            size = 8 if form == _FIXED64 else 4
        else:
            raise _BadError
        if not number or size > end - at:
            raise _BadError
        yield number, raw[at : at + size]
        at += size


def _varint(raw: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(raw):
            raise _BadError
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise _BadError


def _entry(form: str, value: int | memoryview) -> tuple[str, Any]:
    key, below = "", _value(form, memoryview(b"")) if form in "sy" else None
    if isinstance(value, int):
        raise _BadError
    for number, part in _parts(value):
        if number == 1:
            key = _value("s", part)
        elif number == 2:
            below = _value(form, part)
    return key, below


def _value(form: str, value: int | memoryview) -> Any:
    if form in ("i", "b"):
        if not isinstance(value, int):
            raise _BadError
        return bool(value) if form == "b" else _signed(value)
    if isinstance(value, int):
        raise _BadError
    if form == "s":
        return bytes(value).decode()
    if form == "y":
        return base64.b64encode(value).decode()
    special = _SPECIAL.get(form)
    return special(value) if special is not None else _message(form, value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _numbers(raw: memoryview) -> dict[int, int]:
    found = {}
    for number, value in _parts(raw):
        if isinstance(value, int):
            found[number] = _signed(value)
    return found


def _time(raw: memoryview, unit: str = "seconds") -> str | None:
    found = _numbers(raw)
    seconds, nanos = found.get(1), found.get(2, 0)
    if seconds is None and not nanos:
        return None
    if not 0 <= (seconds or 0) <= _MAX_TIME_S or not 0 <= nanos < 1_000_000_000:
        raise _BadError
    then = datetime.fromtimestamp(seconds or 0, UTC).replace(microsecond=nanos // 1000)
    return then.replace(tzinfo=None).isoformat(timespec=unit) + "Z"


def _micro_time(raw: memoryview) -> str | None:
    return _time(raw, "microseconds")


def _int_or_string(raw: memoryview) -> int | str:
    made = _message("IntOrString", raw)
    text: str = made.get("strVal", "")
    number: int = made.get("intVal", 0)
    return text if made.get("type") == 1 else number


def _fields_v1(raw: memoryview) -> Any:
    for number, value in _parts(raw):
        if number == 1 and not isinstance(value, int):
            return msgspec.json.decode(value)
    return {}


def _items(raw: memoryview) -> list[str]:
    """A list that is a message of its own."""
    return [_value("s", value) for number, value in _parts(raw) if number == 1]


_SPECIAL = {
    "Time": _time,
    "MicroTime": _micro_time,
    "IntOrString": _int_or_string,
    "FieldsV1": _fields_v1,
    "Items": _items,
}
