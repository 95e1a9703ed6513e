"""Who can authenticate at all, and so whom a rule can match: finds policies and limits that are for nobody.

Owns an over-approximation: when it says "nobody", nobody it is; what it cannot know (claims of a token, patterns) it
takes for possible. With one exception, for the sake of finding typing errors: virtual keys can be for anybody, and are
thought of only where the configuration mentions them or has no others.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from heddle.model.config_base import many
from heddle.model.config_policies import Match
from heddle.model.config_security import ApiKey, Authentication, Jwt, Kubernetes
from heddle.model.match import glob_match, is_glob
from heddle.model.problem import did_you_mean

_FIELDS = ("tenant", "user", "agent")
_MAX_TESTS = 1_000_000
"""Pattern tests spent on one configuration; beyond it, everything is taken for possible."""


class Caller(NamedTuple):
    """Some callers: each field is known, or None for anything."""

    tenant: str | None
    user: str | None
    agent: str | None


class Callers:
    """Everybody who can authenticate."""

    def __init__(self, entries: Iterable[Authentication]) -> None:
        callers = dict.fromkeys(caller for entry in entries for caller in _callers(entry))
        self._vague = [caller for caller in callers if None in caller]
        self._exact = [caller for caller in callers if None not in caller]
        self._index: list[dict[str, set[int]]] = [{}, {}, {}]
        self._tests = 0
        for number, caller in enumerate(self._exact):
            for index, value in zip(self._index, caller, strict=True):
                index.setdefault(value or "", set()).add(number)

    def tenants(self) -> list[str] | None:
        """The tenants callers can have, in order; None when they cannot be listed."""
        if any(caller.tenant is None for caller in self._vague):
            return None
        return sorted({caller.tenant or "" for caller in (*self._exact, *self._vague)} - {""})

    def can_match(self, match: Match) -> bool:
        """Whether some caller can fit."""
        wanted = (match.tenants(), many(match.user), many(match.agent))
        if not any(wanted):
            return bool(self._exact or self._vague)
        if any(_fits(caller, wanted) for caller in self._vague):
            return True
        found: set[int] | None = None
        for index, patterns in zip(self._index, wanted, strict=True):
            if patterns:
                fitting = self._fitting(index, patterns)
                found = fitting if found is None else found & fitting
        return bool(found) or self._tests > _MAX_TESTS

    def explain(self, match: Match) -> tuple[str, str]:
        """Why nobody fits, and a hint."""
        wanted = (match.tenants(), many(match.user), many(match.agent))
        for position, patterns in enumerate(wanted):
            known = self._known(position)
            if not patterns or known is None or any(glob_match(p, value) for p in patterns for value in known):
                continue
            field = _FIELDS[position]
            asked = listed([f"`{pattern}`" for pattern in patterns])
            if not known:
                return f"can match nobody: callers authenticate without a {field}, so none is {asked}", ""
            return (
                f"can match nobody: callers can authenticate only as {field} {listed(known)}, never as {asked}",
                did_you_mean(patterns[0], tuple(known), 0.4),
            )
        return "can match nobody: no caller has all of this together", ""

    def _known(self, position: int) -> list[str] | None:
        values = {caller[position] for caller in (*self._exact, *self._vague)}
        return None if None in values else sorted(value for value in values if value)

    def _fitting(self, index: dict[str, set[int]], patterns: tuple[str, ...]) -> set[int]:
        fitting: set[int] = set()
        for pattern in patterns:
            if not is_glob(pattern):
                fitting |= index.get(pattern, set())
                continue
            self._tests += len(index)
            if self._tests <= _MAX_TESTS:
                fitting.update(*(numbers for value, numbers in index.items() if glob_match(pattern, value)))
        return fitting


def covers(patterns: tuple[str, ...], value: str) -> bool:
    """Whether a list of patterns admits a value; an empty list admits all."""
    return not patterns or any(glob_match(pattern, value) for pattern in patterns)


def _callers(entry: Authentication) -> Iterator[Caller]:
    if isinstance(entry, ApiKey):
        for key in entry.keys:
            yield Caller(key.tenant, key.user, key.agent)
        if entry.virtual or (entry.virtual is None and not entry.keys):
            yield Caller(None, None, None)
    elif isinstance(entry, Kubernetes):
        namespaces = entry.allowed_namespaces
        for namespace in (None,) if namespaces is None else namespaces:
            yield Caller(None if namespace is None or is_glob(namespace) else namespace, None, None)
    elif isinstance(entry, Jwt):
        for issuer in entry.issuers:
            claims = issuer.claims
            yield Caller(None if claims.tenant else "", None if claims.user else "", None if claims.agent else "")
    else:
        yield Caller("", "", "")


def _fits(caller: Caller, wanted: tuple[tuple[str, ...], ...]) -> bool:
    return all(value is None or covers(patterns, value) for value, patterns in zip(caller, wanted, strict=True))


def listed(names: list[str], most: int = 8, last: str = "and") -> str:
    """Names for a message: `a, b and c`, the rest of a long list counted."""
    shown = names if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {last} {shown[-1]}"
