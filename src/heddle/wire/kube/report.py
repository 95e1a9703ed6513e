"""What is wrong with a value, gathered: how much of it, in which words, at which places.

Owns the bound on causes and on the values that are repeated in them.
*Source:* apimachinery pkg/util/validation/field; recorded answers of kube-apiserver 1.36.
"""

from collections.abc import Callable
from typing import Any

from heddle.wire.kube.status import Cause
from heddle.wire.kube.values import encoded

MAX_CAUSES = 64
"""Causes that are told of one object."""
MAX_SHOWN = 256
"""Characters of a value that are repeated."""

Path = tuple["Path | None", str | int]
"""A place: the one above it, and the last step."""
Check = Callable[[Any, "Path | None", "Report"], None]
"""Looks at a value at a place, and notes what is wrong with it."""


class Report:
    """What is wrong, at most `limit` things of it."""

    __slots__ = ("causes", "limit")

    def __init__(self, limit: int = MAX_CAUSES) -> None:
        self.causes: list[Cause] = []
        self.limit = limit

    @property
    def full(self) -> bool:
        """Nothing more is noted."""
        return len(self.causes) >= self.limit

    def add(self, reason: str, message: str, path: "Path | None") -> None:
        """Note a failure at a place."""
        if not self.full:
            self.causes.append(Cause(reason, message, dotted(path)))

    def invalid(self, value: Any, path: "Path | None", detail: str) -> None:
        """Note `Invalid value: ...`."""
        self.add("FieldValueInvalid", f"Invalid value: {shown(value)}: {dotted(path)} in body {detail}", path)


def dotted(path: "Path | None") -> str:
    """A place as `spec.tools[0].name`."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")


def shown(value: Any) -> str:
    """A value as messages repeat it, cut when it is long."""
    text = encoded(value).decode()
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def type_of(value: Any) -> str:
    """The JSON type of a value; an integer is told from a number."""
    return _TYPES.get(type(value), "object")


_TYPES: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}
