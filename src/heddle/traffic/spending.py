"""Whose balance a call is for: budgets by caller, model and session.

Owns the keys of balances, the names of session headers, and the bound on sessions. The policy reserves from what is
found here, and the ledger's entries find the same balances when these are rebuilt.
*Source:* headers in which agents say which of their sessions a call belongs to: x-heddle-session (ours),
x-claude-code-session-id, session-id and session_id (coding agents), x-session-affinity (inference gateways).
"""

from collections.abc import Iterator
from typing import NamedTuple

from heddle.drivers.counters import Tally
from heddle.drivers.counters.windows import tallies
from heddle.model.match import MatchIndex, about_tools
from heddle.model.principal import Principal
from heddle.model.snapshot_budgets import BudgetSpec

SESSION_HEADERS = (
    b"x-heddle-session",
    b"x-claude-code-session-id",
    b"session-id",
    b"session_id",
    b"x-session-affinity",
)
MAX_SESSION_CHARS = 128
MAX_SESSIONS = 1_000
"""Sessions of one caller that have balances of their own, in each worker; further ones share one balance. Whoever
invents a session for each call gains nothing but a smaller budget."""
MAX_CALLERS = 10_000
MORE_SESSIONS = "(more)"
MAX_SCOPES = 65_536
UNITS = {"usd": "nanousd", "tokens": "tokens"}
"""Unit of a budget -> unit of its counts."""


def session_of(fields: dict[bytes, bytes]) -> str:
    """The session that a request says it belongs to, printable and bounded; empty when it says none."""
    for name in SESSION_HEADERS:
        value = fields.get(name)
        if value:
            text = value[:MAX_SESSION_CHARS].decode("ascii", "replace")
            return "".join(char if char.isprintable() else "?" for char in text)
    return ""


class Sessions:
    """Sessions seen lately, so that their number is bounded."""

    __slots__ = ("_callers",)

    def __init__(self) -> None:
        self._callers: dict[tuple[str, ...], set[str]] = {}

    def admit(self, caller: tuple[str, ...], session: str) -> str:
        """The name that a session is counted by."""
        known = self._callers.get(caller)
        if known is None:
            if len(self._callers) >= MAX_CALLERS:
                del self._callers[next(iter(self._callers))]
            known = self._callers[caller] = set()
        if session in known:
            return session
        if len(known) >= MAX_SESSIONS:
            return MORE_SESSIONS
        known.add(session)
        return session


class Scope:
    """One budget under one combination of its key's values: a balance."""

    __slots__ = ("spec", "tallies", "values")

    def __init__(self, spec: BudgetSpec, values: dict[str, str]) -> None:
        self.spec = spec
        self.values = values
        """By part of the key."""
        self.tallies: tuple[Tally, ...] = tallies(
            count_name(spec), UNITS[spec.unit], _texts(values), spec.limit, spec.window
        )

    def marker(self, share: float) -> Tally:
        """A count of one in the same window: who gets it tells that this share was reached."""
        name = f"{count_name(self.spec)}:warned:{share:g}"
        return tallies(name, "once", _texts(self.values), 1, self.spec.window)[0]


def count_name(spec: BudgetSpec) -> str:
    """Name of a budget's counts; limits have counts in the same table."""
    return f"budget:{spec.name}"


def _texts(values: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{part}={values[part]}" for part in sorted(values))


class Caller(NamedTuple):
    """What the balances of a call depend on."""

    principal: Principal
    models: tuple[str, ...]
    """The configured name first, then other names that rules may mean: the caller's, the provider's."""
    session: str


class Scopes:
    """All balances of a snapshot, made when they are first asked for."""

    def __init__(self, budgets: tuple[BudgetSpec, ...]) -> None:
        self._index: MatchIndex[tuple[int, BudgetSpec]] = MatchIndex()
        for number, spec in enumerate(budgets):
            if not about_tools(spec.match):
                self._index.add(spec.match, (number, spec))
        self._scopes: dict[tuple[object, ...], Scope] = {}
        self._sessions = Sessions()
        self.by_session = any("session" in spec.key for spec in budgets)

    def find(self, caller: Caller) -> list[Scope]:
        """The balances that a call is for, in the order of the budgets; those of the caller's own come last."""
        principal = caller.principal
        found: dict[int, BudgetSpec] = {}
        for model in dict.fromkeys(caller.models):
            found.update(self._index.find(principal, model))
        scopes = [self._scope(number, found[number], caller) for number in sorted(found)]
        return scopes + [self._scope(spec, spec, caller) for spec in principal.budgets]

    def _scope(self, number: object, spec: BudgetSpec, caller: Caller) -> Scope:
        """`number` tells budgets apart."""
        values = dict(self._values(spec, caller))
        key = (number, *values.values())
        scope = self._scopes.get(key)
        if scope is None:
            if len(self._scopes) >= MAX_SCOPES:
                del self._scopes[next(iter(self._scopes))]
            scope = self._scopes[key] = Scope(spec, values)
        return scope

    def _values(self, spec: BudgetSpec, caller: Caller) -> Iterator[tuple[str, str]]:
        principal = caller.principal
        for part in spec.key:
            if part == "session":
                # Names of sessions are the callers' own: the same name of two callers is two sessions.
                owner = (principal.tenant, principal.user, principal.agent)
                yield part, "/".join((*owner, self._sessions.admit(owner, caller.session)))
            elif part == "model":
                yield part, caller.models[0]
            elif part == "key":
                yield part, principal.key_id
            else:
                yield part, str(getattr(principal, part))
