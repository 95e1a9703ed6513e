"""What stands in a column of `kubectl get`: a JSONPath read from an object, written as its type wants.

Owns the subset of JSONPath that columns use: fields, indices, `[*]`, `[?(@.field=="value")]`.
*Source:* apiextensions.k8s.io/v1 CustomResourceColumnDefinition; kubectl's JSONPath.
"""

import functools
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

Step = Callable[[list[Any]], list[Any]]

_TOKEN = re.compile(
    r"""\.(?P<field>(?:[^.\[\]\\]|\\.)+)
    |\[(?P<index>-?\d+)\]
    |\[(?P<all>\*)\]
    |\[(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\]
    |\[\?\(@\.(?P<by>[A-Za-z0-9_.]+)\s*==\s*(?P<q>['"])(?P<value>.*?)(?P=q)\)\]""",
    re.VERBOSE,
)


@functools.lru_cache(maxsize=512)
def compiled(path: str) -> tuple[Step, ...]:
    """Steps of a path. Raises ValueError for one outside the subset."""
    text = path.strip()
    text = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    text = text.removeprefix("$")
    steps, at = [], 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"{path!r} is no JSONPath that columns can use: {text[at:]!r}")
        steps.append(_step(token))
        at = token.end()
    return tuple(steps)


def _step(token: re.Match[str]) -> Step:
    if token["by"] is not None:
        return functools.partial(_where, token["by"].split("."), token["value"])
    if token["index"] is not None:
        return functools.partial(_at, int(token["index"]))
    if token["all"] is not None:
        return _all
    name = token["field"].replace("\\.", ".") if token["field"] is not None else token["quoted"]
    return functools.partial(_field, name)


def _field(name: str, values: list[Any]) -> list[Any]:
    return [value[name] for value in values if isinstance(value, dict) and name in value]


def _at(index: int, values: list[Any]) -> list[Any]:
    return [value[index] for value in values if isinstance(value, list) and -len(value) <= index < len(value)]


def _all(values: list[Any]) -> list[Any]:
    return [item for value in values for item in _items(value)]


def _items(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()


def _where(path: list[str], wanted: str, values: list[Any]) -> list[Any]:
    found = []
    for item in _all(values):
        below = item
        for name in path:
            below = below.get(name) if isinstance(below, dict) else None
        if below == wanted:
            found.append(item)
    return found


def cell(steps: tuple[Step, ...], kind: str, value: Any, now_s: float) -> Any:
    """What a column shows of an object; None where it has nothing to show."""
    values = [value]
    for step in steps:
        values = step(values)
        if not values:
            return None
    if len(values) > 1:
        return ",".join(str(one) for one in values)
    return _written(values[0], kind, now_s)


def _written(found: Any, kind: str, now_s: float) -> Any:
    if found is None:
        return None
    if kind == "date":
        return age(str(found), now_s)
    if kind in {"integer", "number", "boolean"}:
        return found if isinstance(found, int | float) else None
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, list):
        return ",".join(str(one) for one in found)
    return str(found)


def age(text: str, now_s: float) -> str:
    """How long ago a time was, as kubectl writes it: `5s`, `3m20s`, `5h`, `12d`."""
    try:
        then = datetime.fromisoformat(text).timestamp()
    except ValueError:
        return "<unknown>"
    seconds = int(now_s - then)
    if seconds < -1:
        return "<invalid>"
    return _duration(max(seconds, 0))


_HOUR_S, _DAY_S, _YEAR_S = 3600, 86_400, 365 * 86_400
_UNITS = (
    (60, "m", 1, "s", 600, 3 * _HOUR_S),
    (_HOUR_S, "h", 60, "m", 8 * _HOUR_S, 2 * _DAY_S),
    (_DAY_S, "d", _HOUR_S, "h", 8 * _DAY_S, 2 * _YEAR_S),
    (_YEAR_S, "y", _DAY_S, "d", 8 * _YEAR_S, 0),
)
"""(unit, its letter, the one below, its letter, until when both are shown, until when the unit alone is)."""


def _duration(seconds: int) -> str:
    """Two units while the larger is small, one beyond: what is exact enough at each age."""
    if seconds < 120:
        return f"{seconds}s"
    for unit_s, unit, small_s, small, both_until_s, until_s in _UNITS:
        if seconds < both_until_s:
            return _two(seconds // unit_s, unit, seconds % unit_s // small_s, small)
        if seconds < until_s:
            return f"{seconds // unit_s}{unit}"
    return f"{seconds // _YEAR_S}y"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"
