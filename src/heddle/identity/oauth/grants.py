"""Tokens that were granted, kept while they are good: many calls cause one question.

Owns how long, and what a failure costs: it holds for a moment, so that a broken server is not asked once per call.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from heddle.identity.oauth.errors import OAuthError
from heddle.identity.oauth.granting import Granted

MAX_KEPT = 8_192
SPENT_S = 10.0
"""How long before its expiry a token is no longer sent: it has to be good when it arrives."""
UNSAID_S = 300.0
"""How long a token is used whose life the server does not say."""
REST_S = 2.0
"""How long a failure holds before the server is asked again for the same."""

Key = tuple[str, bytes]
"""Owner, and digest of the token that was exchanged."""
Ask = Callable[[], Awaitable[Granted]]


class _Kept:
    """A token, a question under way, or a failure that holds."""

    __slots__ = ("error", "granted", "task", "until_s")

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.granted: Granted | None = None
        self.error: OAuthError | None = None
        self.until_s = 0.0


class Grants:
    """Tokens of one target, by owner and by what they were made of; the oldest make room."""

    __slots__ = ("_kept", "_now")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    async def get(self, key: Key, ask: Ask) -> Granted:
        """The token for `key`, asked for if there is none that is good. Raises OAuthError."""
        kept = self._kept.get(key)
        if kept is None or (kept.task is None and kept.until_s <= self._now()):
            kept = self._begin(key, ask)
        if kept.task is not None:
            # Shielded: a caller who leaves must not take the token from those who wait with it.
            await asyncio.shield(kept.task)
        if kept.granted is None:
            raise kept.error or OAuthError("the question was given up")
        return kept.granted

    def drop(self, owner: str) -> None:
        """Forget what an owner has."""
        for key in [key for key in self._kept if key[0] == owner]:
            del self._kept[key]

    def _begin(self, key: Key, ask: Ask) -> _Kept:
        kept = _Kept()
        kept.task = asyncio.get_running_loop().create_task(self._ask(kept, ask))
        self._kept[key] = kept
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return kept

    async def _ask(self, kept: _Kept, ask: Ask) -> None:
        try:
            granted = await ask()
            now = self._now()
            if granted.expires_s and granted.expires_s - now <= SPENT_S:
                raise OAuthError("the authorization server grants tokens that expire at once")
            kept.granted = granted
            kept.until_s = granted.expires_s - SPENT_S if granted.expires_s else now + UNSAID_S
        except OAuthError as exc:
            kept.error, kept.until_s = exc, self._now() + REST_S
        finally:
            kept.task = None
