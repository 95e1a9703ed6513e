"""Reads a request in a vendor's literal shape, and says what is wrong with it so that each format can word it.

Owns the reading of msgspec's messages. The shapes themselves stand beside each format.
"""

import re
from typing import Any, Literal, TypeVar

import msgspec

T = TypeVar("T")

_UNKNOWN = re.compile(r"contains unknown field `([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_EXPECTED = re.compile(r"Expected `([^`]+)`(?:, got `([^`]+)`)?")
_INDEX = re.compile(r"\[(\d+)\]")


class Strict(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A shape of a vendor that refuses fields it does not know."""


class ShapeError(Exception):
    """A request that has not the format's shape."""

    def __init__(self, problem: Literal["unknown", "missing", "type", "value", "json"], path: str, wanted: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.problem = problem
        self.path = path
        """`messages[0].content`, the field itself included."""
        self.wanted = wanted
        """Type, with problem `type`."""

    @property
    def dotted(self) -> str:
        """`messages.0.content`."""
        return _INDEX.sub(r".\1", self.path).lstrip(".")


def read(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """`body` in the decoder's shape. Raises ShapeError."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise _described(str(exc)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ShapeError("json", "", "") from None


def convert(value: Any, shape: type[T], path: str) -> T:
    """A value inside a body, in its shape. Raises ShapeError."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as exc:
        error = _described(str(exc))
        joined = f"{path}{'' if error.path.startswith('[') or not error.path else '.'}{error.path}"
        raise ShapeError(error.problem, joined, error.wanted) from None


def _described(text: str) -> ShapeError:
    message, _, at = text.partition(" - at `$")
    path = at.rstrip("`").removeprefix(".")
    for problem, pattern in (("unknown", _UNKNOWN), ("missing", _MISSING)):
        found = pattern.search(message)
        if found is not None:
            return ShapeError(problem, f"{path}.{found[1]}" if path else found[1], "")  # type: ignore[arg-type]
    expected = _EXPECTED.search(message)
    if expected is None or expected[2] is None:
        return ShapeError("value", path, "")
    return ShapeError("type", path, expected[1].removesuffix(" | null"))
