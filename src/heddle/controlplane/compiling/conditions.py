"""Conditions, and statuses made of them.

Owns when `lastTransitionTime` moves (only with `status`), `observedGeneration`, and that what others wrote into a
status stays: other types of conditions, other controllers' parents and ancestors.
*Source:* Kubernetes API conventions, "Typical status properties"; Gateway API v1, RouteParentStatus; GEP-713,
PolicyAncestorStatus.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from heddle.controlplane.compiling.objects import generation_of, items, mapping, shortened

CONTROLLER = "heddle.dev/control-plane"
"""Who says something of a parent or an ancestor."""
Truth = Literal["True", "False", "Unknown"]
_IDENTITY = ("name", "parentRef", "ancestorRef", "controllerName")
_LISTED = ("listeners", "parents", "ancestors")


class Condition(NamedTuple):
    """One thing that is so of an object."""

    type: str
    status: Truth
    reason: str
    message: str = ""


class Fault(NamedTuple):
    """Why something is not as it should be."""

    reason: str
    message: str


def judged(kind: str, faults: Iterable[Fault], good: str = "", message: str = "") -> Condition:
    """True when there are no faults; otherwise the first one's reason, and what is said of all."""
    found = list(faults)
    if not found:
        return Condition(kind, "True", good or kind, message)
    said = "; ".join(dict.fromkeys(one.message for one in found))
    return Condition(kind, "False", found[0].reason, shortened(said))


def render(wanted: dict[str, Any], raw: dict[str, Any], now_s: float) -> dict[str, Any]:
    """The status of an object: what it has, with what is `wanted` in its place. `wanted` may hold conditions at its
    top and in the entries of `listeners`, `parents` and `ancestors`."""
    had = mapping(raw.get("status"))
    generation = generation_of(raw)
    made = {**had, **{name: value for name, value in wanted.items() if name not in (*_LISTED, "conditions")}}
    if "conditions" in wanted:
        made["conditions"] = _conditions(wanted["conditions"], had.get("conditions"), generation, now_s)
        if generation and "listeners" not in wanted:
            # Kinds of the Gateway API say it of each condition only.
            made["observedGeneration"] = generation
    for field in _LISTED:
        if field in wanted:
            made[field] = _entries(wanted[field], items(had.get(field)), generation, now_s)
    return made


def _entries(wanted: list[dict[str, Any]], had: list[Any], generation: int, now_s: float) -> list[dict[str, Any]]:
    before = {_identity(one): one for one in had if isinstance(one, dict)}
    foreign = [one for one in before.values() if one.get("controllerName", CONTROLLER) != CONTROLLER]
    made = []
    for entry in wanted:
        known = before.get(_identity(entry), {})
        conditions = _conditions(entry["conditions"], known.get("conditions"), generation, now_s)
        made.append({**entry, "conditions": conditions})
    return [*foreign, *made]


def _identity(entry: dict[str, Any]) -> str:
    parts = [entry.get(name) for name in _IDENTITY]
    return repr([sorted(one.items(), key=str) if isinstance(one, dict) else one for one in parts])


def _conditions(wanted: Iterable[Condition], had: Any, generation: int, now_s: float) -> list[dict[str, Any]]:
    before = {one.get("type"): one for one in items(had) if isinstance(one, dict)}
    made = {one.type: _condition(one, before.get(one.type, {}), generation, now_s) for one in wanted}
    kept = [one for kind, one in before.items() if kind not in made]
    return [*made.values(), *kept]


def _condition(condition: Condition, before: dict[str, Any], generation: int, now_s: float) -> dict[str, Any]:
    same = before.get("status") == condition.status and isinstance(before.get("lastTransitionTime"), str)
    made: dict[str, Any] = {"type": condition.type, "status": condition.status}
    if generation:
        # Left out where the object has none: an observed generation of 0 would never be the object's.
        made["observedGeneration"] = generation
    made["lastTransitionTime"] = before["lastTransitionTime"] if same else timestamp(now_s)
    made["reason"] = condition.reason
    made["message"] = condition.message
    return made


def timestamp(now_s: float) -> str:
    """RFC 3339, in UTC, whole seconds."""
    return datetime.fromtimestamp(int(now_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
