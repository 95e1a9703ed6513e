"""Plain JSON values: copied, compared as JSON compares them, their depth bounded.

Owns what the rest of the package does with values whatever their schema says. A stored object is never changed, so
whatever is changed in place is copied here first; a value nested deeper than `MAX_DEPTH` is refused, not recursed into.
*Source:* RFC 8259; Kubernetes API conventions, "Objects".
"""

import json
from typing import Any

import msgspec

from heddle.wire.kube.status import bad_request

MAX_DEPTH = 100
"""Levels of a document; Kubernetes' own kinds have about twenty."""


class Absent:
    """What is not there, which null is."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT = Absent()


def copied(value: Any, depth: int = 0) -> Any:
    """A copy that shares nothing that can be changed. ApiError 400 when it is nested too deeply."""
    if type(value) is dict:
        if depth > MAX_DEPTH:
            raise bad_request(f"the document is nested more than {MAX_DEPTH} levels deep")
        return {key: copied(item, depth + 1) if type(item) in _NESTED else item for key, item in value.items()}
    if type(value) is list:
        if depth > MAX_DEPTH:
            raise bad_request(f"the document is nested more than {MAX_DEPTH} levels deep")
        return [copied(item, depth + 1) if type(item) in _NESTED else item for item in value]
    return value


_NESTED = frozenset({dict, list})


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: `1` is `1.0`, but neither is `true`."""
    if one is other:
        return True
    if type(one) is dict:
        if type(other) is not dict or len(one) != len(other):
            return False
        return all(key in other and same(item, other[key]) for key, item in one.items())
    if type(one) is list:
        if type(other) is not list or len(one) != len(other):
            return False
        return all(same(item, beside) for item, beside in zip(one, other, strict=True))
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)


def encoded(value: Any) -> bytes:
    """A value as JSON, keys in order: equal values are equal bytes, but for `1` and `1.0`."""
    try:
        return msgspec.json.encode(value, order="sorted")
    except UnicodeEncodeError:
        # Half of a pair of surrogates, which JSON can spell and UTF-8 cannot.
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def refuse_deep(value: Any) -> None:
    """ApiError 400 for a value that is nested too deeply to be walked."""
    level: list[Any] = [value] if type(value) in _NESTED else []
    for _ in range(MAX_DEPTH + 1):
        below = [item for one in level for item in (one.values() if type(one) is dict else one)]
        level = [item for item in below if type(item) in _NESTED]
        if not level:
            return
    raise bad_request(f"the document is nested more than {MAX_DEPTH} levels deep")
