"""Which rules are for which caller: glob comparison, and an index over `MatchSpec`.

Owns the meaning of a match, so that authorization, limits and whatever comes later agree on it. It
refuses regular expressions: `*` stands for any run of characters and everything else, dots
included, for itself (CVE-2026-39350 was a dot read as "any character"). Comparison is by code
point: nothing is folded, trimmed or normalised.

*Source:* architecture.md, "Authorization, everywhere the same".
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from operator import itemgetter
from typing import Generic, TypeVar

from heddle.model.principal import Principal
from heddle.model.snapshot_match import MatchSpec

T = TypeVar("T")

_Values = tuple[str, str, str, str]
"""tenant, user, agent and model of a call, in this order everywhere in this file."""
_Shape = tuple[int, ...]
"""Positions in `_Values` that a group of specs compares exactly."""
_Residue = tuple[tuple[int, "Globs"], ...]

MAX_EXPANSION = 1024
"""Most index entries that one spec may take; beyond it its longest list is compared by scanning a set instead."""

TOOL_KEYS = frozenset({"server", "tool"})
"""Parts of a limit's key that only calls to MCP servers have."""

_BY_ORDER = itemgetter(0)


def is_glob(pattern: str) -> bool:
    """Whether `pattern` stands for more than itself."""
    return "*" in pattern


def glob_match(pattern: str, text: str) -> bool:
    """Whether the whole of `text` matches `pattern`, in time linear in both; an empty text matches nothing.

    Greedy from the left is enough for `*` alone: the leftmost place of each literal part leaves the most for the rest.
    """
    if not text:
        return False
    head, *middle = pattern.split("*")
    if not middle:
        return pattern == text
    tail = middle.pop()
    end = len(text) - len(tail)
    if end < len(head) or not text.startswith(head) or not text.endswith(tail):
        return False
    position = len(head)
    for part in middle:
        position = text.find(part, position, end)
        if position < 0:
            return False
        position += len(part)
    return True


def globs_overlap(one: str, other: str) -> bool:
    """Whether some text matches both patterns; time is the product of their lengths."""
    # reach[j]: the part of `one` read so far can share a text with other[:j].
    reach = [True] + [False] * len(other)
    for j, char in enumerate(other):
        reach[j + 1] = reach[j] and char == "*"
    for char in one:
        row = [reach[0] and char == "*"]
        for j, against in enumerate(other):
            if char == "*" or against == "*":
                row.append(reach[j + 1] or row[j])
            else:
                row.append(reach[j] and char == against)
        reach = row
    return reach[-1]


def about_models(spec: MatchSpec) -> bool:
    """Whether a spec is for calls to models only: it names some, and a tool call has none."""
    return bool(spec.models)


def about_tools(spec: MatchSpec) -> bool:
    """Whether a spec is for calls to MCP servers only: it names servers, tools or targets, and a model call has none.

    `MatchIndex` does not look at these: whoever indexes rules for model calls leaves such specs out.
    """
    return bool(spec.servers or spec.tools or spec.targets)


class Globs:
    """A set of patterns: exact ones are looked up, the others compared one by one."""

    __slots__ = ("_any", "_exact", "_globs")

    def __init__(self, patterns: Iterable[str]) -> None:
        given = tuple(patterns)
        self._exact = frozenset(p for p in given if not is_glob(p))
        self._globs = tuple(p for p in given if is_glob(p))
        self._any = any(p.strip("*") == "" for p in self._globs)

    def match(self, text: str) -> bool:
        """Whether any pattern matches; an empty `text` matches none, `*` included."""
        if not text:
            return False
        if self._any or text in self._exact:
            return True
        return any(glob_match(pattern, text) for pattern in self._globs)


class _Group(Generic[T]):
    """Specs that compare the same positions exactly, by the values at those positions."""

    __slots__ = ("entries", "pick")

    def __init__(self, shape: _Shape) -> None:
        self.entries: dict[object, list[tuple[int, _Residue, T]]] = {}
        self.pick: Callable[[_Values], object] = itemgetter(*shape) if shape else _nothing


def _nothing(_: _Values) -> object:
    return ()


class MatchIndex(Generic[T]):
    """Values by the callers and models that their specs match.

    A spec's exact fields are looked up together as one key, so that ten thousand policies of one
    tenant that differ in their user cost one look-up. Only specs that differ in nothing but globs
    are compared one by one.
    """

    __slots__ = ("_groups", "_size")

    def __init__(self) -> None:
        self._groups: dict[_Shape, _Group[T]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, spec: MatchSpec, value: T) -> None:
        """Index `value`; the order of additions is the order that `find` answers in."""
        fields = (spec.tenants, spec.users, spec.agents, spec.models)
        shape = _exact_positions(fields)
        residue = tuple((i, Globs(f)) for i, f in enumerate(fields) if f and i not in shape)
        group = self._groups.get(shape)
        if group is None:
            group = self._groups[shape] = _Group(shape)
        for key in _keys(fields, shape):
            group.entries.setdefault(key, []).append((self._size, residue, value))
        self._size += 1

    def find(self, principal: Principal, model_entry: str) -> list[T]:
        """Values whose spec matches, in the order they were added.

        A field the caller lacks (an empty string) matches no spec that gives it, not even as `*`.
        """
        values = (principal.tenant, principal.user, principal.agent, model_entry)
        found: list[tuple[int, _Residue, T]] = []
        for group in self._groups.values():
            candidates = group.entries.get(group.pick(values))
            if candidates:
                found += [c for c in candidates if not c[1] or _holds(c[1], values)]
        if len(self._groups) > 1:
            found.sort(key=_BY_ORDER)
        return [value for _, _, value in found]


def _holds(residue: _Residue, values: _Values) -> bool:
    return all(globs.match(values[position]) for position, globs in residue)


def _exact_positions(fields: Sequence[tuple[str, ...]]) -> _Shape:
    """The given fields without globs, less the longest ones as long as their product is too large."""
    shape = [i for i, f in enumerate(fields) if f and not any(is_glob(v) for v in f)]
    while _combinations(fields, shape) > MAX_EXPANSION:
        shape.remove(max(shape, key=lambda i: len(fields[i])))
    return tuple(shape)


def _combinations(fields: Sequence[tuple[str, ...]], shape: list[int]) -> int:
    count = 1
    for position in shape:
        count *= len(set(fields[position]))
    return count


def _keys(fields: Sequence[tuple[str, ...]], shape: _Shape) -> list[object]:
    """Index keys as `itemgetter(*shape)` makes them; combinations with an empty value match nobody and are left out."""
    distinct = [[v for v in dict.fromkeys(fields[i]) if v] for i in shape]
    if len(shape) == 1:
        return list(distinct[0])
    return list(product(*distinct))
