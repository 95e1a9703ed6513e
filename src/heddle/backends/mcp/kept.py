"""Sessions that callers have with a server: found by whichever worker is asked next.

What a caller's token carries was said when its session began. What came later (a session begun on first use, or anew
because the server forgot the old one) is in `kv`, sealed, and wins. One process remembers both, and begins a session
once, however many calls wait for it.
*Source:* architecture.md, "MCP".
"""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import NamedTuple

import msgspec

from heddle.backends.mcp.contract import Caller, Described
from heddle.backends.mcp.peer import Head
from heddle.drivers.kv import Kv
from heddle.drivers.sealing import SealError, Sealing
from heddle.pipeline.assembly import Tools

MAX_KEPT = 16_384
"""Sessions that one process remembers of one server; others are looked up again."""
MAX_STORED_BYTES = 32 * 1024
"""Of a session, with all that its server says of itself."""
_PURPOSE = "mcp-backend-session"


class Kept(NamedTuple):
    """A session with a server. `session` is empty where the server keeps none."""

    session: bytes
    described: Described
    head: Head | None = None
    """The fields that name it, where they have been written."""


class _Stored(msgspec.Struct, array_like=True):
    session: bytes
    described: Described


_decode = msgspec.msgpack.Decoder(_Stored).decode
_encode = msgspec.msgpack.Encoder().encode

Begin = Callable[[Caller], Awaitable[Kept]]


class KeptSessions:
    """The sessions with one server."""

    __slots__ = ("_known", "_kv", "_name", "_sealing", "_ttl_s", "described")

    def __init__(self, name: str, tools: Tools, ttl_s: float) -> None:
        self._name = name
        self._kv: Kv = tools.kv("mcp_sessions")
        self._sealing: Sealing = tools.sealing
        self._ttl_s = ttl_s
        self._known: dict[str, Kept | asyncio.Future[Kept]] = {}
        self.described: Described | None = None
        """What the server said last, to whomever."""

    def at_hand(self, caller: Caller) -> Kept | None:
        """The caller's session, if it need not be waited for."""
        known = self._known.get(caller.key)
        return known if isinstance(known, Kept) else None

    async def session(self, caller: Caller, begin: Begin, lost: Kept | None = None) -> Kept:
        """The caller's session; begun if there is none, or if it is the `lost` one. Raises what `begin` raises."""
        while isinstance(known := self._known.get(caller.key), asyncio.Future):
            try:
                return await asyncio.shield(known)
            except ConnectionAbortedError:
                continue  # whoever began it has gone: that is no failure of the server
        if known is not None and known is not lost and (lost is None or known.session != lost.session):
            return known
        made: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self._known[caller.key] = made
        try:
            kept = (await self._found(caller, lost)) or await self._begun(caller, begin)
        except BaseException as error:
            self._known.pop(caller.key, None)
            # Who waited for this tries again by itself: the failure may have been this caller's alone.
            made.set_exception(ConnectionAbortedError("the session was not begun") if _own(error) else error)
            made.exception()
            raise
        self._remember(caller.key, kept)
        made.set_result(kept)
        return kept

    def _remember(self, key: str, kept: Kept) -> None:
        self._known.pop(key, None)
        self._known[key] = kept
        if len(self._known) > MAX_KEPT:
            oldest = next(iter(self._known))
            if isinstance(self._known[oldest], Kept):
                del self._known[oldest]

    async def _found(self, caller: Caller, lost: Kept | None) -> Kept | None:
        """One that was begun elsewhere, or said by the caller's token; never the lost one."""
        value = await self._kv.get(self._at(caller))
        if value is not None:
            try:
                stored = _decode(self._sealing.open(_PURPOSE, value.decode("ascii"), self._at(caller)))
            except (SealError, msgspec.DecodeError, UnicodeDecodeError):
                stored = None
            if stored is not None and (lost is None or stored.session != lost.session):
                return Kept(stored.session, stored.described)
        version, _, carried = (caller.kept or {}).get(self._name, "").partition(" ")
        if not carried or (lost is not None and lost.session == carried.encode("latin-1")):
            return None
        return Kept(carried.encode("latin-1"), self.described or Described(version=version))

    async def _begun(self, caller: Caller, begin: Begin) -> Kept:
        kept = await begin(caller)
        if kept.described == self.described:
            kept = kept._replace(described=self.described)  # thousands of sessions say the same
        self.described = kept.described
        if caller.beginning is not None and kept.session:
            # The caller's own session is just beginning: its token will carry this one.
            caller.beginning[self._name] = f"{kept.described.version} {kept.session.decode('latin-1')}"
            return kept
        if kept.session:
            self._store(caller, kept)
        caller.began(self._name)
        return kept

    def _store(self, caller: Caller, kept: Kept) -> None:
        """Have other workers find it; one that is too large to be kept they begin for themselves."""
        stored = _encode(_Stored(kept.session, kept.described))
        if len(stored) <= MAX_STORED_BYTES:
            text = self._sealing.seal(_PURPOSE, stored, self._at(caller), self._ttl_s)
            self._kv.put(self._at(caller), text.encode("ascii"), self._ttl_s)

    async def knows(self, caller: Caller) -> bool:
        """Whether the caller has a session, here or anywhere."""
        return caller.key in self._known or await self._found(caller, None) is not None

    async def end(self, caller: Caller) -> Kept | None:
        """Forget the caller's session; what it was, if it is known."""
        known = self._known.pop(caller.key, None)
        if not isinstance(known, Kept):
            known = await self._found(caller, None)
        self._kv.delete(self._at(caller))
        return known

    def _at(self, caller: Caller) -> bytes:
        return sha256(f"{self._name}\0{caller.key}".encode()).digest()


def _own(error: BaseException) -> bool:
    """Whether a failure is the failed caller's own: it went away."""
    return isinstance(error, asyncio.CancelledError)
