"""What the targets of one session say by themselves: listened to from when the session has something with them.

Owns which targets are listened to for a stream, as that changes: a session with a target begins on first use, in any
worker; what a session subscribed to at a target without sessions is a subscription of the stream's own.
*Source:* Model Context Protocol 2025-11-25, "Listening for messages from the server", "Subscriptions" of resources.
"""

import asyncio

from heddle.backends.mcp.contract import Wanted
from heddle.backends.mcp.upstream import Upstream
from heddle.dataplane.mcp.asking import Asking
from heddle.dataplane.mcp.feed import Feed, stand
from heddle.dataplane.mcp.running import Running
from heddle.dataplane.mcp.sessions import NoSession, Session, Sessions
from heddle.dataplane.mcp.speaking import LegacyCaller
from heddle.pipeline.errors import CallError


class Following:
    """One stream of one session."""

    def __init__(self, feed: Feed, caller: LegacyCaller, session: Session, asking: Asking, sessions: Sessions) -> None:
        self.feed, self._caller = feed, caller
        self._session, self._sessions = session, sessions
        self._ready: dict[str, asyncio.Event] = {}
        """By target that is listened to."""
        self._subscribed: dict[str, tuple[str, ...]] = {}
        self._undo = asking.follow(session, self)
        feed.start(self._begin())

    async def _begin(self) -> None:
        """Listen to every target that the session has something with already."""
        for _, upstream in self.feed.server.targets():
            known = upstream.name in self._session.carried.kept
            if upstream.target.stateful and (known or await upstream.target.knows(self.feed.caller)):
                self._hear(upstream)
        await self._subscribe()

    def introduce(self) -> None:
        """The session's client has said who it is."""
        self._caller.introduce(self._session)

    def into(self, mail: Running) -> None:
        """Tell everything in a stream that is there already."""
        self.feed.mail = self._caller.running = mail

    async def settled(self) -> None:
        """See `Follower`."""
        await self._begin()
        await stand(list(self._ready.values()))

    def news(self, target: str) -> None:
        """See `Follower`."""
        if not target:
            self.feed.start(self._subscribe())
            return
        for _, upstream in self.feed.server.targets():
            if upstream.name == target and upstream.target.stateful:
                self._hear(upstream)

    def _hear(self, upstream: Upstream) -> None:
        if upstream.name in self._ready:
            return
        prefix = next(prefix for prefix, other in self.feed.server.targets() if other is upstream)
        self._ready[upstream.name] = self.feed.watch(upstream, Wanted(), self.feed.caller, prefix)

    async def _subscribe(self) -> None:
        """Have subscriptions at targets without sessions as the session wants them now."""
        try:
            surface = await self.feed.server.surface(self.feed.caller)
            changing = await self._sessions.current(self._session)  # last: nothing changes it from here on
        except (NoSession, CallError):
            return
        wanted: dict[str, list[str]] = {}
        upstreams: dict[str, tuple[Upstream, str]] = {}
        for uri in changing.uris:
            entry = surface.resource(uri)
            if entry is not None and not entry.upstream.target.stateful:
                wanted.setdefault(entry.upstream.name, []).append(entry.key)
                upstreams[entry.upstream.name] = entry.upstream, entry.prefix
        for name in {*wanted, *self._subscribed}:
            uris = tuple(wanted.get(name, ()))
            if self._subscribed.get(name, ()) == uris:
                continue
            self.feed.stop(name)
            self._ready.pop(name, None)
            self._subscribed[name] = uris
            if uris:
                upstream, prefix = upstreams[name]
                self._ready[name] = self.feed.watch(upstream, Wanted(uris=uris), self.feed.caller, prefix)

    def close(self) -> None:
        """The stream is over."""
        self._undo()
        self.feed.close()
