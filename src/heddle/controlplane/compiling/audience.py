"""Who needs a part: gateways by name and by the protocols of their listeners; of secrets, whoever needs what they are
for.

Owns what may change without the part itself changing. A part that nobody needs is not published at all: a Secret that
no compiled object names never leaves this process.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from heddle.controlplane.compiling.fragment import Piece

Audience = frozenset[str] | None
"""Gateways, as `namespace/name`; None is every one."""
_Scope = tuple[tuple[str, ...], tuple[str, ...]]
"""Gateways and protocols of a part."""
NOBODY: frozenset[str] = frozenset()


class Published(NamedTuple):
    """A part, and who needs it."""

    body: bytes
    audience: Audience = None
    alone: bool = False
    """For nobody who serves other Gateways beside these."""


class Audiences:
    """All parts there are, and who needs them."""

    def __init__(self) -> None:
        self._pieces: dict[str, Piece] = {}
        self._protocols: dict[str, frozenset[str]] = {}
        """Gateway -> protocols of its listeners."""
        self._of_protocols: dict[tuple[str, ...], frozenset[str]] = {}
        """What some protocols came to, until Gateways change."""
        self._needs: dict[str, Counter[_Scope]] = {}
        """Secret part -> scopes of the parts that refer to it, and how many of each."""
        self._published: dict[str, Published] = {}
        self._touched: set[str] = set()

    def gateway(self, name: str, protocols: Iterable[str]) -> None:
        """A Gateway has listeners of these protocols; of none it is gone."""
        now = frozenset(protocols)
        if self._protocols.get(name, NOBODY) == now:
            return
        if now:
            self._protocols[name] = now
        else:
            self._protocols.pop(name, None)
        self._of_protocols.clear()
        # Whom every part about a protocol is for has changed; that costs as much as there are.
        self._touched.update(self._pieces)

    def put(self, name: str, piece: Piece | None) -> None:
        """A part changed, or is gone."""
        before = self._pieces.pop(name, None)
        if before is not None:
            for secret in before.secrets:
                self._count(secret, before, -1)
        if piece is not None:
            self._pieces[name] = piece
            for secret in piece.secrets:
                self._count(secret, piece, 1)
        self._touched.add(name)

    def _count(self, secret: str, piece: Piece, by: int) -> None:
        scope = (piece.gateways, piece.protocols)
        scopes = self._needs.setdefault(secret, Counter())
        had = scopes[scope]
        scopes[scope] += by
        if not scopes[scope]:
            del scopes[scope]
        if not scopes:
            del self._needs[secret]
        if not had or had + by <= 0:
            self._touched.add(secret)

    def settle(self) -> tuple[dict[str, Published], list[str]]:
        """What is to be published anew since the last time, and names of what no longer is."""
        changed: dict[str, Published] = {}
        removed: list[str] = []
        for name in sorted(self._touched):
            now = self._now(name)
            before = self._published.get(name)
            if now is None and before is not None:
                del self._published[name]
                removed.append(name)
            elif now is not None and now != before:
                self._published[name] = changed[name] = now
        self._touched.clear()
        return changed, removed

    def published(self) -> dict[str, Published]:
        """Everything that is published."""
        return dict(self._published)

    def _now(self, name: str) -> Published | None:
        piece = self._pieces.get(name)
        if piece is None:
            return None
        if not name.startswith("secret/"):
            return Published(piece.data, self._audience((piece.gateways, piece.protocols)), piece.alone)
        scopes = self._needs.get(name)
        if not scopes:
            return None
        audience = NOBODY
        for scope in scopes:
            some = self._audience(scope)
            if some is None:
                return Published(piece.data, None)
            audience |= some
        return Published(piece.data, audience)

    def _audience(self, scope: _Scope) -> Audience:
        gateways, protocols = scope
        if not protocols:
            return frozenset(gateways) if gateways else None
        found = self._of_protocols.get(protocols)
        if found is None:
            found = frozenset(name for name, has in self._protocols.items() if not has.isdisjoint(protocols))
            self._of_protocols[protocols] = found
        return found & frozenset(gateways) if gateways else found
