"""Walking a document: typed access that names the place, local references, and an account of what it may cost.

Owns the refusal of what a document must not do: refer to other documents, refer in circles where only a value can
stand, nest without end. A parsed YAML document may contain itself; every walk here is bounded.

*Source:* OpenAPI Specification 3.1.1, sections 4.3 and 4.8.23; RFC 6901 (JSON Pointer) sections 3 to 6.
"""

import math
from collections.abc import Mapping
from datetime import date, time
from typing import Any
from urllib.parse import unquote

from heddle.wire.errors import ProtocolError

MAX_NODES = 1_500_000
"""Values that may be read of one document, all operations together."""
CHARS_PER_NODE = 256
"""Text counts as a value for each so many characters."""
MAX_DATA_DEPTH = 32
"""Of defaults, examples and other plain data."""
MAX_POINTER_CHARS = 1_024
MAX_CHAIN = 16
"""References that may follow each other until a value comes."""


class Account:
    """What reading has cost so far, in values."""

    __slots__ = ("left",)

    def __init__(self, limit: int = MAX_NODES) -> None:
        self.left = limit

    def spend(self, nodes: int, at: str) -> None:
        """Raises ProtocolError when the document costs more than it may."""
        self.left -= nodes
        if self.left < 0:
            detail = f"{at}: the document is too large to be read whole; select fewer of its operations."
            raise ProtocolError(detail, param=at)


class Document:
    """The root of a document, and what reading it has cost."""

    __slots__ = ("account", "root")

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.account = Account()

    def resolve(self, value: Any, at: str) -> tuple[dict[str, Any], str]:
        """The object that `value` is or refers to, and its place. Not for schemas: they may refer in circles."""
        for _ in range(MAX_CHAIN):
            found = object_at(value, at)
            reference = found.get("$ref")
            if reference is None:
                return found, at
            value, at = self.target(reference, f"{at}.$ref")
        raise wrong(at, "references that end somewhere")

    def target(self, reference: Any, at: str) -> tuple[Any, str]:
        """What a reference points to, and the place of that. Raises ProtocolError."""
        self.account.spend(1, at)
        value: Any = self.root
        tokens = pointer_tokens(reference, at)
        for token in tokens:
            value = _child(value, token)
            if value is _MISSING:
                raise ProtocolError(f"{at}: nothing is at the place that it refers to.", param=at)
        return value, ".".join(tokens)

    def data(self, value: Any, at: str, depth: int = 0) -> Any:
        """`value` as plain data that JSON can hold; dates, which YAML reads, become text. Raises ProtocolError."""
        self.account.spend(1, at)
        if depth > MAX_DATA_DEPTH:
            raise ProtocolError(f"{at}: values are nested more than {MAX_DATA_DEPTH} deep.", param=at)
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, str):
            self.account.spend(len(value) // CHARS_PER_NODE, at)
            return text_at(value, at)
        if isinstance(value, float) and math.isfinite(value):
            return value
        if isinstance(value, date | time):
            return value.isoformat()
        if isinstance(value, list):
            return [self.data(inner, f"{at}[{index}]", depth + 1) for index, inner in enumerate(value)]
        if isinstance(value, dict):
            return {text_at(key, at): self.data(inner, f"{at}.{key}", depth + 1) for key, inner in value.items()}
        raise wrong(at, "a value that JSON can hold")


_MISSING = object()


def wrong(at: str, expected: str) -> ProtocolError:
    """An error that says what belongs at a place; it never quotes what is there."""
    return ProtocolError(f"{at}: expected {expected}.", param=at)


def pointer_tokens(reference: Any, at: str) -> list[str]:
    """The steps of a local reference. Raises ProtocolError for those to other documents: they are never fetched."""
    if not isinstance(reference, str) or len(reference) > MAX_POINTER_CHARS:
        raise wrong(at, "a reference")
    if not reference.startswith("#/"):
        raise wrong(at, "a reference inside of this document (`#/...`), others are not fetched")
    return [unquote(token).replace("~1", "/").replace("~0", "~") for token in reference[2:].split("/")]


def _child(value: Any, token: str) -> Any:
    if isinstance(value, dict):
        if token in value:
            return value[token]
        # YAML reads the keys of `responses` as numbers.
        return value.get(int(token), _MISSING) if _is_index(token) else _MISSING
    if isinstance(value, list) and _is_index(token) and int(token) < len(value):
        return value[int(token)]
    return _MISSING


def _is_index(token: str) -> bool:
    return token.isascii() and token.isdigit() and len(token) < 9


def object_at(value: Any, at: str) -> dict[str, Any]:
    """`value`, which must be an object."""
    if not isinstance(value, dict):
        raise wrong(at, "an object")
    return value


def text_at(value: Any, at: str) -> str:
    """`value`, which must be text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise wrong(at, "a string")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise wrong(at, "a string of characters")
    return value


def place(at: str, name: str) -> str:
    """The place of a field; the document itself is the empty one."""
    return f"{at}.{name}" if at else name


def field_text(given: Mapping[str, Any], name: str, at: str, default: str = "") -> str:
    """A field that is text, or `default` where it is absent or null."""
    value = given.get(name)
    return default if value is None else text_at(value, place(at, name))


def field_bool(given: Mapping[str, Any], name: str, at: str, default: bool = False) -> bool:
    """A field that is true or false, or `default` where it is absent."""
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise wrong(place(at, name), "true or false")
    return value


def field_object(given: Mapping[str, Any], name: str, at: str) -> dict[str, Any]:
    """A field that is an object, or an empty one where it is absent."""
    value = given.get(name)
    return {} if value is None else object_at(value, place(at, name))


def field_list(given: Mapping[str, Any], name: str, at: str) -> list[Any]:
    """A field that is an array, or an empty one where it is absent."""
    value = given.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(place(at, name), "an array")
    return value
