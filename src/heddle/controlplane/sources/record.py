"""The Source object of a source: what people see of it.

Owns its name, its conditions and when they change. It is written when something changed, and only then.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from heddle.model.meta import resource_name
from heddle.model.problem import Problem
from heddle.model.resources_source import HEDDLE_VERSION

MAX_PROBLEMS = 100
MAX_MESSAGE = 2_000


class Seen(NamedTuple):
    """How it goes with a source now."""

    error: str = ""
    """Why it cannot be read; empty when it can."""
    problems: Sequence[Problem] = ()
    objects: int = 0
    commit: str = ""
    commit_time: str = ""


def record_name(source: str) -> str:
    """Name of the Source object of a source, such as `folder-conf` of `folder:conf`."""
    return resource_name(source.replace(":", "-"))


class Record:
    """The Source object of one source."""

    def __init__(self, source: str, kind: Literal["Folder", "Git"], place: str) -> None:
        """`source` is its name with its kind, such as `folder:conf`; `place` shows no credential."""
        self._head = {
            "apiVersion": HEDDLE_VERSION,
            "kind": "Source",
            "metadata": {"name": record_name(source)},
            "spec": {"type": kind, "place": place},
        }
        self._conditions: dict[str, dict[str, Any]] = {}

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self._head["metadata"]["name"])  # type: ignore[index] # it is a mapping

    def written(self, seen: Seen, now_s: float) -> Mapping[str, Any]:
        """The object. `now_s` is Unix time."""
        now = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if seen.error:
            self._say("Fetched", "False", "Unreadable", seen.error, now)
            self._say("Ready", "False", "LastGoodServed", f"what was read last is served on: {seen.error}", now)
        else:
            self._say("Fetched", "True", "Read", "", now)
            if seen.problems:
                count = len(seen.problems)
                first = f"{count} problem{'s' * (count != 1)}, the first: {seen.problems[0].line_text()}"
                self._say("Ready", "False", "Refused", first, now)
            else:
                self._say("Ready", "True", "Served", f"{seen.objects} objects", now)
        status: dict[str, Any] = {
            "conditions": list(self._conditions.values()),
            "objects": seen.objects,
            "problems": [_shown(one) for one in seen.problems[:MAX_PROBLEMS]],
        }
        if seen.commit:
            status |= {"commit": seen.commit, "commitTime": seen.commit_time}
        return {**self._head, "status": status}

    def _say(self, kind: str, status: str, reason: str, message: str, now: str) -> None:
        before = self._conditions.get(kind)
        since = before["lastTransitionTime"] if before is not None and before["status"] == status else now
        said = {"type": kind, "status": status, "reason": reason, "message": message[:MAX_MESSAGE]}
        self._conditions[kind] = {**said, "lastTransitionTime": since}


def _shown(problem: Problem) -> dict[str, Any]:
    shown = {"file": problem.file, "line": problem.line, "path": problem.path, "message": problem.message[:MAX_MESSAGE]}
    return {name: value for name, value in shown.items() if value or name in ("file", "message")}
