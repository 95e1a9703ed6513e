"""Credentials in the memory of one process, for tests and for processes without a state directory.

Owns nothing beyond the contract of `Vault`.
"""

import secrets
from collections.abc import Callable
from time import time

from heddle.drivers.vault import Credential, Kept, Place


class MemoryVault:
    """A vault that forgets with its process."""

    def __init__(self, now: Callable[[], float] = time) -> None:
        """`now` gives Unix seconds."""
        self._now = now
        self._kept: dict[Place, Kept] = {}
        self._claims: dict[Place, tuple[str, float]] = {}
        self._changes = 0

    def get(self, place: Place) -> Credential | None:
        """See `Vault`."""
        kept = self._kept.get(place)
        return kept.credential if kept is not None else None

    def list(self, owner: str = "", target: str = "") -> list[Kept]:
        """See `Vault`."""
        found = [
            kept for place, kept in self._kept.items() if owner in {"", place.owner} and target in {"", place.target}
        ]
        return sorted(found, key=lambda kept: kept.changed_s, reverse=True)

    def put(self, place: Place, credential: Credential) -> None:
        """See `Vault`."""
        self._kept.pop(place, None)
        self._kept[place] = Kept(place, credential, self._now())
        self._changes += 1

    def delete(self, place: Place) -> bool:
        """See `Vault`."""
        self._changes += 1
        return self._kept.pop(place, None) is not None

    def purge(self, before_s: float) -> int:
        """See `Vault`."""
        old = [place for place, kept in self._kept.items() if kept.changed_s < before_s]
        for place in old:
            self.delete(place)
        return len(old)

    def generation(self) -> int:
        """See `Vault`."""
        return self._changes

    def claim(self, place: Place, ttl_s: float) -> str | None:
        """See `Vault`."""
        held = self._claims.get(place)
        if held is not None and held[1] > self._now():
            return None
        token = secrets.token_hex(8)
        self._claims[place] = token, self._now() + ttl_s
        return token

    def release(self, place: Place, claimed: str) -> None:
        """See `Vault`."""
        held = self._claims.get(place)
        if held is not None and held[0] == claimed:
            del self._claims[place]

    def close(self) -> None:
        """See `Vault`."""
        self._kept.clear()
