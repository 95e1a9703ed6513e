"""The schemas of a document as JSON Schemas that stand alone.

Owns references: what one points to is written in its place, what is part of a cycle goes under `$defs`, and so does
everything when the whole would become too large. Owns the direction: what a client only reads is no part of inputs,
what it only writes no part of outputs. A schema costs as many values as are written; doubling references are refused
long before they fill memory.

*Source:* OpenAPI Specification 3.0.4 sections 4.7.23 and 4.7.24, 3.1.1 sections 4.8.23 and 4.8.24; JSON Schema 2020-12,
core section 8.2.4.
"""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from heddle.wire.errors import ProtocolError
from heddle.wire.openapi import keywords
from heddle.wire.openapi.cycles import Cycles
from heddle.wire.openapi.reading import CHARS_PER_NODE, MAX_CHAIN, Document, object_at, pointer_tokens, text_at, wrong

Direction = Literal["input", "output"]
Schema = dict[str, Any]

MAX_DEPTH = 64
"""Schemas inside of schemas."""
MAX_INLINE = 2_000
"""Values of a schema whose references are written in place; beyond it they are named."""
MAX_SCHEMA = 10_000
"""Values of one tool's input."""

_HIDDEN = {"input": "readOnly", "output": "writeOnly"}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,96}")
_ANNOTATIONS = frozenset({"title", "description", "default", "deprecated", "examples", "readOnly", "writeOnly"})


class TooLargeError(ProtocolError):
    """A schema of more values, or nested deeper, than a tool may have."""


class _TooDeepError(TooLargeError):
    """Where it stands decides, not its size alone."""


class Room(NamedTuple):
    """How many values a schema may take."""

    inline: int = MAX_INLINE
    named: int = MAX_SCHEMA


class _Piece(NamedTuple):
    """What a reference points to, translated."""

    schema: Schema
    size: int
    height: int
    needed: dict[str, str]


class _Draft:
    """A schema that is being written."""

    __slots__ = ("deepest", "left", "named", "needed")

    def __init__(self, named: bool, left: int) -> None:
        self.named = named
        """Whether every reference becomes a name."""
        self.left = left
        self.deepest = 0
        self.needed: dict[str, str] = {}
        """Reference -> its name under `$defs`."""


class Schemas:
    """Translates the schemas of one document in one direction; what several tools refer to is translated once."""

    __slots__ = ("_beyond", "_cycles", "_direction", "_document", "_pieces", "_siblings")

    def __init__(self, document: Document, cycles: Cycles, direction: Direction, *, siblings: bool) -> None:
        self._document = document
        self._cycles = cycles
        self._direction: Direction = direction
        self._siblings = siblings
        """Whether what stands beside a reference counts: not before OpenAPI 3.1."""
        self._pieces: dict[tuple[str, bool], _Piece] = {}
        self._beyond: dict[tuple[str, bool], int] = {}
        """Place, and whether references are named -> it needs more than so many values."""

    def translate(self, value: Any, at: str, room: Room) -> tuple[Schema, int]:
        """A schema with the `$defs` that it needs, and its size. Raises ProtocolError; for the size, TooLargeError."""
        value, at = self._root(value, at)
        try:
            return self._whole(value, at, _Draft(named=False, left=room.inline))
        except TooLargeError:
            return self._whole(value, at, _Draft(named=True, left=room.named))

    def _root(self, value: Any, at: str) -> tuple[Any, str]:
        """The outermost schema is never a name: clients want to see that it is an object."""
        for _ in range(MAX_CHAIN):
            if not isinstance(value, dict) or "$ref" not in value or (self._siblings and len(value) > 1):
                return value, at
            value, at = self._document.target(value["$ref"], f"{at}.$ref")
        raise wrong(at, "references that end somewhere")

    def _whole(self, value: Any, at: str, draft: _Draft) -> tuple[Schema, int]:
        room = draft.left
        root = self._within((at, draft.named), room, lambda: self._schema(value, at, draft, 0))
        defs: dict[str, Schema] = {}
        while missing := [reference for reference, name in draft.needed.items() if name not in defs]:
            for reference in missing:
                defs[draft.needed[reference]] = self._piece(reference, at, draft, 1)
        if defs:
            root = {**root, "$defs": {name: defs[name] for name in sorted(defs)}}
        return root, room - draft.left

    def _schema(self, value: Any, at: str, draft: _Draft, depth: int) -> Schema:
        self._spend(draft, 1, at)
        if depth > MAX_DEPTH:
            raise _TooDeepError(f"{at}: schemas are nested more than {MAX_DEPTH} deep.", param=at)
        draft.deepest = max(draft.deepest, depth)
        if isinstance(value, bool):
            return {} if value else {"not": {}}
        given = object_at(value, at)
        if "$ref" in given:
            return self._reference(given, at, draft, depth)
        written: Schema = {}
        for key, inner in given.items():
            if inner is not None or key in keywords.DATA:
                self._keyword(written, key, inner, (f"{at}.{key}", draft, depth + 1))
        self._properties(given, written, (f"{at}.properties", draft, depth + 1))
        return keywords.finish(given, written, at)

    def _keyword(self, written: Schema, key: str, value: Any, where: tuple[str, _Draft, int]) -> None:
        at, draft, depth = where
        if key == "additionalProperties" and isinstance(value, bool):
            written[key] = value
        elif key in keywords.ONE_SCHEMA:
            written[key] = self._schema(value, at, draft, depth)
        elif key in keywords.SCHEMA_LISTS:
            if not isinstance(value, list) or not value:
                raise wrong(at, "an array of schemas")
            written[key] = [self._schema(inner, f"{at}[{i}]", draft, depth) for i, inner in enumerate(value)]
        elif key in keywords.NAMED_SCHEMAS:
            inside = object_at(value, at).items()
            written[key] = {text_at(n, at): self._schema(inner, f"{at}.{n}", draft, depth) for n, inner in inside}
        elif key in keywords.DATA or key == "example":
            self._data(written, key, value, where)
        elif key in keywords.DATA_LISTS:
            if not isinstance(value, list):
                raise wrong(at, "an array")
            self._data(written, key, value, where)
        elif (scalar := keywords.scalar(key, value, at)) is not None:
            written[key] = scalar
            self._spend(draft, _size(scalar), at)

    def _data(self, written: Schema, key: str, value: Any, where: tuple[str, _Draft, int]) -> None:
        at, draft, _ = where
        before = self._document.account.left
        data = self._document.data(value, at)
        size = before - self._document.account.left
        self._take(draft, size, at)
        if key == "example":
            written.setdefault("examples", [data])
        else:
            written[key] = data

    def _properties(self, given: Schema, written: Schema, where: tuple[str, _Draft, int]) -> None:
        """Properties that exist in this direction, and which of them are required."""
        if given.get("properties") is None:
            return
        at, draft, depth = where
        hidden = set()
        shown: dict[str, Schema] = {}
        for name, inner in object_at(given["properties"], at).items():
            place = f"{at}.{text_at(name, at)}"
            if self._is_hidden(inner, place):
                hidden.add(name)
            else:
                shown[name] = self._schema(inner, place, draft, depth)
        written["properties"] = shown
        required = [name for name in written.pop("required", ()) if name not in hidden]
        if required:
            written["required"] = required

    def _is_hidden(self, value: Any, at: str) -> bool:
        """Whether a property does not exist in this direction; beside a reference, `allOf` is how documents say it."""
        flag = _HIDDEN[self._direction]
        for _ in range(MAX_CHAIN):
            if not isinstance(value, dict):
                return False
            members = value.get("allOf")
            beside = members if isinstance(members, list) else ()
            if any(isinstance(stated, dict) and stated.get(flag) is True for stated in (value, *beside)):
                return True
            if "$ref" not in value:
                return False
            value, at = self._document.target(value["$ref"], f"{at}.$ref")
        return False

    def _reference(self, given: Schema, at: str, draft: _Draft, depth: int) -> Schema:
        reference = given["$ref"]
        pointer_tokens(reference, f"{at}.$ref")
        if draft.named or self._cycles.has(reference):
            self._document.target(reference, f"{at}.$ref")
            draft.needed[reference] = _name_of(reference)
            found: Schema = {"$ref": f"#/$defs/{draft.needed[reference]}"}
        else:
            found = self._piece(reference, f"{at}.$ref", draft, depth)
        beside = {key: value for key, value in given.items() if key != "$ref"}
        if not beside or not self._siblings:
            return found
        stated = self._schema(beside, at, draft, depth)
        if stated.keys() <= _ANNOTATIONS or "$ref" in found:
            return {**found, **stated}
        return {**stated, "allOf": [found, *stated.get("allOf", ())]}

    def _piece(self, reference: str, at: str, draft: _Draft, depth: int) -> Schema:
        key = reference, draft.named
        piece = self._pieces.get(key)
        if piece is None:
            piece = self._pieces[key] = self._translated(reference, at, draft, depth)
        elif depth + piece.height > MAX_DEPTH:
            raise _TooDeepError(f"{at}: schemas are nested more than {MAX_DEPTH} deep.", param=at)
        self._spend(draft, piece.size, at)
        draft.needed.update(piece.needed)
        draft.deepest = max(draft.deepest, depth + piece.height)
        return piece.schema

    def _translated(self, reference: str, at: str, draft: _Draft, depth: int) -> _Piece:
        inner = _Draft(draft.named, draft.left)
        target, place = self._document.target(reference, at)
        schema = self._within((place, draft.named), draft.left, lambda: self._schema(target, place, inner, depth))
        return _Piece(schema, draft.left - inner.left, max(0, inner.deepest - depth), inner.needed)

    def _within(self, key: tuple[str, bool], room: int, write: Callable[[], Schema]) -> Schema:
        """What `write` returns. What was too large for as much room once is not tried again."""
        if room <= self._beyond.get(key, -1):
            raise _too_large(key[0])
        try:
            return write()
        except _TooDeepError:
            # Where it stands decides, and it may stand elsewhere.
            raise
        except TooLargeError:
            self._beyond[key] = room
            raise

    def _spend(self, draft: _Draft, size: int, at: str) -> None:
        self._document.account.spend(size, at)
        self._take(draft, size, at)

    def _take(self, draft: _Draft, size: int, at: str) -> None:
        draft.left -= size
        if draft.left < 0:
            raise _too_large(at)


def _size(scalar: Any) -> int:
    if isinstance(scalar, str):
        return len(scalar) // CHARS_PER_NODE
    return len(scalar) if isinstance(scalar, list | dict) else 0


def _too_large(at: str) -> TooLargeError:
    return TooLargeError(f"{at}: the schema is larger than a tool's may be.", param=at)


def _name_of(reference: str) -> str:
    """Under `$defs`: a component's own name, or one that the place alone decides, whatever else a tool refers to."""
    tokens = reference.split("/")
    if len(tokens) == 4 and tokens[1:3] == ["components", "schemas"] and _PLAIN_NAME.fullmatch(tokens[3]):
        return tokens[3]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", tokens[-1])[:64]
    return f"{plain}_{sha256(reference.encode()).hexdigest()[:8]}"
