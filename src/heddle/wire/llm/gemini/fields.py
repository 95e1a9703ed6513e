"""An object of protobuf's JSON: read by its fields' names in either spelling, with errors that name the place.

Owns what that JSON allows beyond the plain one: `maxOutputTokens` and `max_output_tokens` are one field (SDKs send
both spellings, sometimes in one body), null is not stated, whole numbers may be strings, bytes may be base64 in either
alphabet, with padding or without, and one value may stand where a list is expected. Stated in both spellings a field
could be read in two ways: that is refused. Values that are only carried stay the bytes they were.

*Source:* Protocol Buffers, "ProtoJSON Format"; Gemini API reference for single values in place of lists.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from heddle.wire.errors import ProtocolError

MAX_ITEMS = 20_000
"""Longest list that is read item by item: more than a conversation has, and no burden to refuse."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_SNAKE = re.compile(r"_+([a-z0-9])")
_TO_STANDARD = str.maketrans("-_", "+/")


def camel(name: str) -> str:
    """`max_output_tokens` as `maxOutputTokens`; other names as they are."""
    return _SNAKE.sub(lambda found: found[1].upper(), name) if "_" in name else name


def is_list(value: msgspec.Raw) -> bool:
    """Whether a JSON value is a list."""
    return memoryview(value)[:1].tobytes() == b"["


def value_of(raw: bytes | msgspec.Raw, at: str) -> Any:
    """A JSON value. Raises ProtocolError for numbers that nobody can hold (`1e999` is grammatical)."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError(f"{at}: not an acceptable value.", param=at) from exc


class Fields:
    """The stated fields of one object. `at` is its path; empty for the body itself. Accessors raise ProtocolError."""

    __slots__ = ("_given", "at")

    def __init__(self, raw: bytes | msgspec.Raw, at: str = "") -> None:
        self.at = at
        try:
            values = _OBJECT.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise ProtocolError(f"{at or 'The request body'}: expected an object.", param=at or None) from exc
        self._given: dict[str, msgspec.Raw] = {}
        for name, value in values.items():
            if memoryview(value).nbytes == 4 and bytes(value) == b"null":
                continue
            known = camel(name)
            if known in self._given:
                raise self.refusal(known, "is stated twice, in two spellings")
            self._given[known] = value

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def path(self, name: str) -> str:
        """The path of a field."""
        return f"{self.at}.{name}" if self.at else name

    def refusal(self, name: str, problem: str) -> ProtocolError:
        """An error about a field: `contents[0].role: <problem>.`"""
        return ProtocolError(f"{self.path(name)}: {problem}.", param=self.path(name))

    def raw(self, name: str) -> str:
        """The JSON text of a field; empty when it is not stated."""
        return bytes(self._given[name]).decode() if name in self._given else ""

    def text(self, name: str) -> str:
        """A string; empty when it is not stated."""
        value = self._value(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.refusal(name, "expected a string")
        return value

    def flag(self, name: str) -> bool | None:
        """A boolean; None when it is not stated."""
        value = self._value(name)
        if value is not None and not isinstance(value, bool):
            raise self.refusal(name, "expected a boolean")
        return value

    def whole(self, name: str, least: int = -(2**31), most: int = 2**31 - 1) -> int | None:
        """A whole number within bounds; None when it is not stated."""
        value = self._value(name)
        if value is None:
            return None
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refusal(name, f"expected an integer from {least} to {most}")
        return value

    def number(self, name: str) -> float | None:
        """A finite number; None when it is not stated."""
        value = self._value(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
            raise self.refusal(name, "expected a number")
        return float(value)

    def base64(self, name: str) -> str:
        """Bytes as padded base64 in the standard alphabet; empty when they are not stated."""
        given = self.text(name)
        if not given:
            return ""
        text = given.translate(_TO_STANDARD).rstrip("=")
        text += "=" * (-len(text) % 4)
        try:
            base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise self.refusal(name, "expected base64") from exc
        return text

    def object(self, name: str) -> "Fields | None":
        """An object; None when it is not stated."""
        return Fields(self._given[name], self.path(name)) if name in self._given else None

    def objects(self, name: str) -> "list[Fields]":
        """A list of objects, or one that stands for a list of one; empty when it is not stated."""
        return [Fields(item, at) for item, at in self._items(name)]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings, or one that stands for a list of one; empty when it is not stated."""
        items = []
        for item, at in self._items(name):
            value = value_of(item, at)
            if not isinstance(value, str):
                raise ProtocolError(f"{at}: expected a string.", param=at)
            items.append(value)
        return tuple(items)

    def _items(self, name: str) -> list[tuple[msgspec.Raw, str]]:
        if name not in self._given:
            return []
        value, at = self._given[name], self.path(name)
        if not is_list(value):
            return [(value, at)]
        items = _LIST.decode(value)
        if len(items) > MAX_ITEMS:
            raise self.refusal(name, f"more than {MAX_ITEMS} items cannot be translated")
        return [(item, f"{at}[{index}]") for index, item in enumerate(items)]

    def _value(self, name: str) -> Any:
        return value_of(self._given[name], self.path(name)) if name in self._given else None
