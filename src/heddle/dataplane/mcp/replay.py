"""Streams that a caller may come back to: what was said in one is kept for a while, under the session's own key.

Owns the ids of events. They name a stream and a place in it, and are worth nothing in another session. Any worker finds
what was kept; a stream that still goes on is followed until its end.
*Source:* Model Context Protocol 2025-03-26 to 2025-11-25, "Resumability and redelivery"; SEP-1699 (priming event).
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from hashlib import sha256

from heddle.dataplane.mcp import fronting
from heddle.dataplane.mcp.sessions import Session
from heddle.drivers.kv import Kv
from heddle.model.snapshot_mcp import McpSessionSpec
from heddle.wire.mcp.versions import at_least

FOLLOW_S = 0.05
"""How often is looked whether a stream that broke went on."""
UNKNOWN_S = 2.0
"""How long is looked for a stream of which nothing is found: another worker may be about to write it down."""
_ID = re.compile(rb"([0-9a-f]{16})-([0-9]{1,9})")
_OWN_ID = re.compile(rb"(s[0-9a-f]{16})-([0-9]{1,9})")


class Stream:
    """One stream of a session; of none where nothing can be kept."""

    __slots__ = ("_kv", "_name", "_seq", "_session", "_spec", "kept", "primed")

    def __init__(self, spec: McpSessionSpec, kv: Kv, session: Session | None, *, own: bool = False) -> None:
        self._spec, self._kv = spec, kv
        self._session = session.carried.id if session is not None else ""
        self._name = (b"s" if own else b"") + os.urandom(8).hex().encode()
        self._seq = 0
        self.kept = session is not None and spec.replay_events > 0
        """A caller that goes away may come back."""
        self.primed = self.kept and session is not None and at_least(session.carried.version, "2025-11-25")
        """The stream begins with an event that only has an id."""

    def prime(self) -> bytes:
        """The first event: an id to come back with, and nothing said."""
        self._kv.put(_at(self._session, self._name, 0), b"0", self._spec.replay_s)
        return b"id: %b-0\ndata: \n\n" % self._name

    def event(self, message: bytes, last: bool = False) -> bytes:
        """A message as an event, kept."""
        if not self.kept:
            return b"event: message\ndata: %b\n\n" % message
        self._seq += 1
        seq = self._seq
        self._kv.put(_at(self._session, self._name, seq), (b"1" if last else b"0") + message, self._spec.replay_s)
        if seq > self._spec.replay_events:
            self._kv.delete(_at(self._session, self._name, seq - self._spec.replay_events))
        return b"event: message\nid: %b-%d\ndata: %b\n\n" % (self._name, seq, message)


class Replay:
    """The streams of one worker."""

    def __init__(self, spec: McpSessionSpec, kv: Kv) -> None:
        self._spec, self._kv = spec, kv

    def stream(self, session: Session | None, *, own: bool = False) -> Stream:
        """A new stream: of one request, or of what the server says by its `own`."""
        return Stream(self._spec, self._kv, session, own=own)

    def names(self, event_id: bytes) -> bool:
        """Whether an id is of the form that is given here, in the stream of a request."""
        return _ID.fullmatch(event_id) is not None

    async def missed(self, session: Session, event_id: bytes) -> list[bytes]:
        """The messages that were said after an event of the server's own stream; such a stream has no end."""
        found = _OWN_ID.fullmatch(event_id)
        messages: list[bytes] = []
        if found is None:
            return messages
        name, seq = found[1], int(found[2])
        while len(messages) < self._spec.replay_events:
            value = await self._kv.get(_at(session.carried.id, name, seq + 1 + len(messages)))
            if value is None:
                break
            messages.append(value[1:])
        return messages

    async def rest(self, session: Session, event_id: bytes) -> AsyncIterator[bytes]:
        """What a stream said after an event, until its end, or until nothing more is to be had of it."""
        found = _ID.fullmatch(event_id)
        assert found is not None
        name, seq = found[1], int(found[2])
        known = await self._kv.get(_at(session.carried.id, name, seq)) is not None
        quiet_s = 0.0
        while quiet_s < (self._spec.replay_s if known else UNKNOWN_S):
            value = await self._kv.get(_at(session.carried.id, name, seq + 1))
            if value is None:
                await asyncio.sleep(FOLLOW_S)
                quiet_s += FOLLOW_S
                if quiet_s % fronting.PING_S < FOLLOW_S:
                    yield fronting.PING
                continue
            seq, quiet_s, known = seq + 1, 0.0, True
            yield b"event: message\nid: %b-%d\ndata: %b\n\n" % (name, seq, value[1:])
            if value[:1] == b"1":
                return


def _at(session: str, name: bytes, seq: int) -> bytes:
    return sha256(b"%b\0%b\0%d" % (session.encode(), name, seq)).digest()
