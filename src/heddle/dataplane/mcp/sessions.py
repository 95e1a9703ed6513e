"""Sessions of callers of the older era: a token that carries what never changes, and a little that does.

The token is sealed, and bound to the virtual server and to the caller: another caller's, or another server's, is as
good as none. Any worker reads it; what changes after its issue (its end, the log level, subscriptions) is in `kv`,
remembered here, and forgotten when another worker says that it changed it.
*Source:* Model Context Protocol 2025-11-25, "Session management"; GHSA-mvgg-jvj2-4frq (a session id replayed on another
route got that route's policy).
"""

import os
from collections.abc import Callable
from hashlib import sha256

import msgspec

from heddle.drivers.bus import Bus
from heddle.drivers.kv import Kv
from heddle.drivers.sealing import SealError, Sealing
from heddle.identity.caller import caller_id
from heddle.model.principal import Principal
from heddle.model.snapshot_mcp import McpSessionSpec

MAX_KNOWN = 65_536
"""Sessions that one worker remembers; others are read again."""
MAX_TOKEN_CHARS = 12_288
"""More than the longest that is given out, with all that clients may declare and all that it carries."""
_PURPOSE = "mcp-session"
_TOPIC = "mcp.session"


class Carried(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a token says."""

    id: str
    version: str
    began_s: int
    capabilities: bytes = b"{}"
    client_info: bytes = b""
    kept: dict[str, str] = {}
    """Sessions with targets, by target."""


class Changing(msgspec.Struct, array_like=True, gc=False):
    """What of a session changes."""

    ended: bool = False
    log_level: str = ""
    uris: tuple[str, ...] = ()
    """Resources that it subscribed to, as it calls them."""


class Session(msgspec.Struct, gc=False, eq=False):
    """One session, as one worker knows it."""

    carried: Carried
    server: str
    who: str
    changing: Changing | None = None
    """None until it was looked up."""

    @property
    def key(self) -> str:
        """What sessions with targets are kept under."""
        return f"session:{self.carried.id}"


class NoSession(Exception):  # noqa: N818 - it is an answer
    """There is no such session, or not for this caller, or not any more."""


_decode = msgspec.msgpack.Decoder(Carried).decode
_decode_changing = msgspec.msgpack.Decoder(Changing).decode
_encode = msgspec.msgpack.Encoder().encode


class Sessions:
    """All sessions that one worker has met."""

    def __init__(self, spec: McpSessionSpec, sealing: Sealing, kv: Kv, bus: Bus, now: Callable[[], float]) -> None:
        self._spec, self._sealing, self._kv, self._bus, self._now = spec, sealing, kv, bus, now
        self._known: dict[str, Session] = {}
        self._by_id: dict[str, Session] = {}
        self._undo = bus.subscribe(_TOPIC, self._changed_elsewhere)

    def close(self) -> None:
        """Hear of no more changes."""
        self._undo()

    def begin(self, server: str, principal: Principal, carried: Carried) -> tuple[str, Session]:
        """A new session and its token."""
        who = caller_id(principal)
        session = Session(carried, server, who, Changing())
        token = self._sealing.seal(_PURPOSE, _encode(carried), _bound(server, who), self._spec.ttl_s)
        self._remember(token, session)
        return token, session

    def new_id(self) -> str:
        """An id that nobody else has."""
        return os.urandom(16).hex()

    def now_s(self) -> int:
        """Unix time in whole seconds."""
        return int(self._now())

    def _remember(self, token: str, session: Session) -> None:
        if len(self._known) >= MAX_KNOWN:
            oldest = next(iter(self._known))
            self._by_id.pop(self._known.pop(oldest).carried.id, None)
        self._known[token] = session
        self._by_id[session.carried.id] = session

    def known(self, token: str, server: str, principal: Principal) -> Session | None:
        """The session of a token, if nothing has to be looked up for it. Raises NoSession."""
        session = self._known.get(token)
        if session is None or session.changing is None:
            return None
        if session.server != server or session.who != caller_id(principal) or session.changing.ended:
            raise NoSession
        if self._now() >= session.carried.began_s + self._spec.ttl_s:
            raise NoSession
        return session

    async def find(self, token: str, server: str, principal: Principal) -> Session:
        """The session of a token. Raises NoSession."""
        session = self.known(token, server, principal)
        if session is not None:
            return session
        session = self._known.get(token)
        if session is None:
            who = caller_id(principal)
            if len(token) > MAX_TOKEN_CHARS:
                raise NoSession
            try:
                carried = _decode(self._sealing.open(_PURPOSE, token, _bound(server, who)))
            except (SealError, msgspec.DecodeError) as exc:
                raise NoSession from exc
            session = Session(carried, server, who)
            self._remember(token, session)
        if session.changing is None:
            session.changing = await self._read(session.carried.id)
        found = self.known(token, server, principal)
        if found is None:
            raise NoSession
        return found

    async def _read(self, ident: str) -> Changing:
        value = await self._kv.get(_at(ident))
        try:
            return _decode_changing(value) if value is not None else Changing()
        except msgspec.DecodeError:
            return Changing(ended=True)

    async def current(self, session: Session) -> Changing:
        """What of a session changes, as it is now. Raises NoSession when it is over."""
        if session.changing is None:
            session.changing = await self._read(session.carried.id)
        if session.changing.ended:
            raise NoSession
        return session.changing

    def change(self, session: Session, changing: Changing) -> None:
        """Keep what changed, where every worker finds it."""
        session.changing = changing
        self._kv.put(_at(session.carried.id), _encode(changing), self._spec.ttl_s)
        self._bus.publish(_TOPIC, b"%b %b" % (self._bus.address.encode(), session.carried.id.encode()))

    def _changed_elsewhere(self, payload: bytes) -> None:
        address, _, ident = payload.decode("ascii", "replace").rpartition(" ")
        session = self._by_id.get(ident)
        if session is not None and address != self._bus.address:
            session.changing = None


def _bound(server: str, who: str) -> bytes:
    return f"{server}\0{who}".encode()


def _at(ident: str) -> bytes:
    return sha256(b"session\0" + ident.encode()).digest()
