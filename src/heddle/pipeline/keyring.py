"""The virtual keys of one worker: found by the digest of a secret, changed while calls are under way.

Owns the table and nothing of its meaning: whether a key that was found opens anything is the authentication's to say.
It outlives snapshots. A change is made between two calls, and whoever remembers outcomes is told to forget them.

Constant time, as for configured keys: a caller chooses the secret, not its digest (see `identity.keys`).
"""

from collections.abc import Callable, Iterable

from heddle.model.principal import Principal
from heddle.model.virtual_keys import VirtualKey


class Held:
    """A key of the ring."""

    __slots__ = ("key", "principal", "trust_domain")

    def __init__(self, key: VirtualKey) -> None:
        self.key = key
        self.principal: Principal | None = None
        """Its caller, once it has called: the same object for all its calls, because others remember by it."""
        self.trust_domain = ""
        """Under which `principal` was made."""


class Keyring:
    """All virtual keys, by the digests of their secrets."""

    __slots__ = ("_digests", "_keys", "followers")

    def __init__(self) -> None:
        self._keys: dict[str, Held] = {}
        self._digests: dict[bytes, tuple[Held, float]] = {}
        self.followers: list[Callable[[], None]] = []
        """Called after each change, before any further call is looked at."""

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, digest: bytes) -> tuple[Held, float] | None:
        """The key that a secret proves, and the Unix time at which that ends (0: never)."""
        return self._digests.get(digest)

    def change(self, changed: Iterable[VirtualKey], gone: Iterable[str] = (), *, whole: bool = False) -> None:
        """Put in `changed`, take out the ids `gone`; with `whole`, everything else goes too. Saying it twice is one."""
        if whole:
            self._keys, self._digests = {}, {}
        for name in gone:
            self._drop(name)
        for key in changed:
            self._drop(key.id)
            held = self._keys[key.id] = Held(key)
            for secret in key.secrets:
                self._digests[secret.digest] = (held, _sooner(key.expires_at_s, secret.until_s))
        for follower in self.followers:
            follower()

    def _drop(self, name: str) -> None:
        held = self._keys.pop(name, None)
        if held is not None:
            for secret in held.key.secrets:
                self._digests.pop(secret.digest, None)


def _sooner(one_s: float, other_s: float) -> float:
    """The earlier of two times, of which 0 is never."""
    return min(one_s or other_s, other_s or one_s)
