"""One source brought into the store: what it declares is applied, what it no longer declares is pruned.

Owns the order, and what failure means: an object that is refused stays as it was, harms no other, and is tried again.
Only what the source owns is ever pruned, and nothing of a file that cannot be read now. Namespaces that objects stand
in and nobody declares are made, and left behind: others may have put something into them.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple, Protocol

import msgspec

from heddle.controlplane.sources.declared import DECLARED_IN, Declaration, place_of
from heddle.drivers.documents import Key
from heddle.model.kinds import Kind
from heddle.model.problem import Place, Problem
from heddle.wire.kube.status import ApiError

_FIRST = ("Namespace", "CustomResourceDefinition", "Secret", "ConfigMap", "ServiceAccount", "ClusterRole", "Role")
"""Kinds that others stand in or refer to."""
AT_ONCE = 16
"""Applies under way at a time: the store commits them together."""


_NAMESPACE = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False, schema={})


class Owned(NamedTuple):
    """An object in the store that the source owns."""

    key: Key
    kind: Kind
    file: str
    """File that declared it when it was last applied."""


class Writer(Protocol):
    """The API, as one source writes to it. Raises ApiError for what is refused, ConnectionError and TimeoutError when
    nobody knows."""

    async def apply(self, kind: Kind, value: Mapping[str, Any], why: str) -> None:
        """Server-side apply as the source, its name being the field manager, never by force."""
        ...

    async def delete(self, kind: Kind, key: Key, why: str) -> None:
        """Delete an object; none there is no error."""
        ...

    async def owned(self) -> list[Owned]:
        """Everything that the source owns."""
        ...

    async def record(self, value: Mapping[str, Any]) -> None:
        """Write the Source object, its status included, as the control plane."""
        ...


class Outcome(NamedTuple):
    """What came of bringing a source in."""

    applied: int
    pruned: int
    problems: list[Problem]
    """What was refused, with file and line."""


class Sync:
    """One source. Remembers what was applied, so that an unchanged object costs nothing."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._applied: dict[Key, bytes] = {}
        self._owned: dict[Key, Owned] | None = None
        self._namespaces: set[str] = set()

    def forget(self) -> None:
        """Look again at what is there, and apply everything again."""
        self._applied.clear()
        self._namespaces.clear()
        self._owned = None

    async def bring(self, declared: Sequence[Declaration], keep: Iterable[str] = (), why: str = "") -> Outcome:
        """Apply and prune. `keep` are files that cannot be read now: what they declared before stays."""
        if self._owned is None:
            self._owned = {one.key: one for one in await self._writer.owned()}
        unique, problems = _unique(declared)
        fresh = [one for one in sorted(unique.values(), key=_order) if self._applied.get(one.key) != _content(one)]
        await self._make_room(unique, fresh, why)
        applied = 0
        for batch in _batches(fresh):
            # All of a batch have ended when one of them fails: none writes behind the next attempt.
            done = await asyncio.gather(*(self._apply(one, why) for one in batch), return_exceptions=True)
            for one, problem in zip(batch, done, strict=True):
                if isinstance(problem, BaseException):
                    raise problem
                if problem is not None:
                    self._applied.pop(one.key, None)
                    problems.append(problem)
                    continue
                applied += 1
                self._applied[one.key] = _content(one)
                self._owned[one.key] = Owned(one.key, one.kind, one.value["metadata"]["annotations"][DECLARED_IN])
        pruned = 0
        kept = set(keep)
        for gone in [one for key, one in self._owned.items() if key not in unique and one.file not in kept]:
            problem = await self._prune(gone, why)
            if problem is None:
                pruned += 1
                del self._owned[gone.key]
                self._applied.pop(gone.key, None)
            else:
                problems.append(problem)
        return Outcome(applied, pruned, problems)

    async def _make_room(self, unique: Mapping[Key, Declaration], fresh: Sequence[Declaration], why: str) -> None:
        """Make the namespaces that are missing. Where that is refused, each object in one is told so by itself."""
        wanted = {one.key.namespace for one in fresh} - {"", "default"} - self._namespaces
        for name in sorted(wanted):
            if Key("namespaces", "", name) not in unique:
                value = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                with contextlib.suppress(ApiError):
                    await self._writer.apply(_NAMESPACE, value, why)
                    self._namespaces.add(name)

    async def _apply(self, one: Declaration, why: str) -> Problem | None:
        try:
            await self._writer.apply(one.kind, one.value, why)
        except ApiError as exc:
            causes = (exc.details or {}).get("causes") or ()
            others = exc.code == 409 and any(cause.get("reason") == "FieldManagerConflict" for cause in causes)
            hint = "delete it there, or leave the fields out here" if others else ""
            return _problem(place_of(exc, one), exc.message, hint)
        return None

    async def _prune(self, gone: Owned, why: str) -> Problem | None:
        try:
            await self._writer.delete(gone.kind, gone.key, why)
        except ApiError as exc:
            if exc.code == 404:
                return None
            where = f"{gone.kind.kind} {gone.key.name}"
            return Problem("error", gone.file, 0, "", f"{where} is no longer declared, and cannot be deleted: {exc}")
        return None


def _content(one: Declaration) -> bytes:
    return msgspec.json.encode(one.value)


def _batches(ordered: Sequence[Declaration]) -> Iterator[Sequence[Declaration]]:
    """What may be applied at once: nothing that others refer to, and no more than the API's share."""
    for _, group in groupby(ordered, _order):
        same = list(group)
        yield from (same[start : start + AT_ONCE] for start in range(0, len(same), AT_ONCE))


def _order(one: Declaration) -> int:
    return _FIRST.index(one.kind.kind) if one.kind.kind in _FIRST else len(_FIRST)


def _problem(place: Place, message: str, hint: str = "") -> Problem:
    return Problem("error", place.source.file, place.source.line(place.path), place.path, message, hint)


def _unique(declared: Sequence[Declaration]) -> tuple[dict[Key, Declaration], list[Problem]]:
    """The first declaration of each object; the others are problems."""
    found: dict[Key, Declaration] = {}
    problems: list[Problem] = []
    for one in declared:
        first = found.setdefault(one.key, one)
        if first is not one:
            where = f"{first.source.file}:{first.source.line(first.place().path)}"
            message = f"there is already a {one.kind.kind} `{one.key.name}`, at {where}"
            problems.append(_problem(one.place("metadata.name"), message))
    return found, problems
