"""Which session of a shared server wants to know of which resource.

The server knows one client, so it must not stop telling while another session wants to know, and what it tells is for
those who asked.

*Source:* Model Context Protocol 2025-11-25, "Resources", Subscriptions: an update may name "a sub-resource of the one
that the client actually subscribed to".
"""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)

MAX_PER_SESSION = 1_024
"""Further ones are passed on, and told to nobody else's session, but are not remembered."""


class Subscriptions(Generic[S]):
    """Of the sessions of one server."""

    def __init__(self) -> None:
        self._wanted: dict[S, set[str]] = {}

    def add(self, session: S, uri: str) -> None:
        """A session wants to know of a resource."""
        wanted = self._wanted.setdefault(session, set())
        if len(wanted) < MAX_PER_SESSION:
            wanted.add(uri)

    def remove(self, session: S, uri: str) -> bool:
        """It does not any more; whether others still do."""
        self._wanted.get(session, set()).discard(uri)
        return any(uri in wanted for wanted in self._wanted.values())

    def forget(self, session: S) -> list[str]:
        """A session is over: what nobody wants to know any more."""
        gone = self._wanted.pop(session, set())
        return [uri for uri in sorted(gone) if not any(uri in wanted for wanted in self._wanted.values())]

    def of(self, uri: str, sessions: Iterable[S]) -> list[S]:
        """Which of them an update of `uri` is for."""
        return [one for one in sessions if any(uri.startswith(wanted) for wanted in self._wanted.get(one, ()))]
