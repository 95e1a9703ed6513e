"""What a virtual server says by itself: that lists changed, that a resource changed, and what its targets tell.

Owns a listener's stream and everything that feeds it. Changes of lists are heard by the gateway itself, once for all
listeners; changes of resources by a listener's own session with the target, or its own subscription.
*Source:* Model Context Protocol 2026-07-28, "Subscriptions"; 2025-11-25, "Listening for messages from the server".
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any

import msgspec

from heddle.backends.mcp.contract import LISTENING, Caller, Params, Wanted
from heddle.backends.mcp.upstream import Upstream
from heddle.dataplane.mcp import fronting
from heddle.dataplane.mcp.guarding import GuardedCaller, hearing
from heddle.dataplane.mcp.running import Running
from heddle.dataplane.mcp.server import VirtualServer
from heddle.dataplane.mcp.surface import Entry
from heddle.model.mcp import McpCall
from heddle.pipeline.errors import CallError
from heddle.pipeline.exchange import Exchange
from heddle.wire import sse
from heddle.wire.jsonrpc import RpcError, encode_members, encode_notification, encode_result
from heddle.wire.mcp import meta
from heddle.wire.mcp.names import exposed_uri

_log = logging.getLogger("heddle.mcp")

MAX_URIS = 1_000
AGAIN_S = 2.0
"""A target that ended a stream is listened to again after so long."""
MAX_PAUSE_S = 60.0
"""And one that refuses it, after so long at most."""
READY_S = 5.0
"""How long somebody who begins to listen waits until targets are listened to."""
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
_READY = frozenset((LISTENING, ACKNOWLEDGED))
UPDATED = "notifications/resources/updated"
CHANGED = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
}
REPLACED = "configuration"
"""What changed when another configuration is served from now on."""
_encode = msgspec.json.encode


class Feed:
    """The sources of one listener's stream."""

    def __init__(self, server: VirtualServer, caller: Caller, exchange: Exchange) -> None:
        self.server, self.caller = server, caller
        self._exchange = exchange
        self.mail = Running()
        """Where messages wait for the stream."""
        self.lists: frozenset[str] = frozenset(CHANGED)
        self.tag: Params = {}
        """What `_meta` of each message says."""
        self.lasting = False
        """Its stream is the session: it outlives the configuration."""
        self.farewell = b""
        """The last message of a stream that is ended in order."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._own: list[tuple[Upstream, Caller]] = []
        server.watchers.add(self._changed)

    def _changed(self, what: str) -> None:
        for name, method in CHANGED.items():
            if name in self.lists and what in (name, REPLACED):
                self.tell(method, {})
        if what == REPLACED and not self.lasting:
            # Who listens under a configuration that is gone hears of nothing new, and keeps its targets busy.
            if self.farewell:
                self.mail.say(self.farewell)
            self.mail.done = True
            self.mail.wake()

    def tell(self, method: str, params: Params) -> None:
        """Put a message into the stream."""
        if self.tag:
            said = {**meta.read_meta(params), **self.tag}
            params = {**params, "_meta": msgspec.Raw(encode_members(said))}
        self.mail.say(encode_notification(method, encode_members(params) if params else b""))

    def watch(self, upstream: Upstream, wanted: Wanted, caller: Caller, prefix: str) -> asyncio.Event:
        """Listen to a target for as long as the stream is open. The event is set once it does, or is refused."""
        ready = asyncio.Event()

        def hear(method: str, params: Params) -> None:
            if method in _READY:
                ready.set()
                return
            self._hear(upstream, prefix, method, params)

        # What it is about, a server does not say: guards of all its tools are for it.
        call = McpCall(method="", server=self.server.spec.name, version="", kind="tool", target=upstream.name)
        guards = self.server.policies.guarding(self._exchange, call)
        if guards is None:
            self._listening[upstream.name] = self.start(self._listen(upstream, wanted, caller, hear, ready))
        else:
            guarded, heard = GuardedCaller(caller, guards), hearing(guards, hear)
            self._listening[upstream.name] = self.start(self._listen(upstream, wanted, guarded, heard, ready))
        return ready

    def stop(self, target: str) -> None:
        """Listen to a target no more."""
        task = self._listening.pop(target, None)
        if task is not None:
            task.cancel()

    def _hear(self, upstream: Upstream, prefix: str, method: str, params: Params) -> None:
        if method == UPDATED and prefix:
            uri = _text(params.get("uri"))
            if uri is None:
                return
            params = {**params, "uri": msgspec.Raw(_encode(exposed_uri(uri, prefix)))}
        what = next((what for what, name in CHANGED.items() if name == method), "")
        if what:
            upstream.invalidate(what)  # everybody is told once the lists were read again
        elif method.startswith("notifications/"):
            self.tell(method, params)

    async def _listen(
        self, upstream: Upstream, wanted: Wanted, caller: Caller, hear: Any, ready: asyncio.Event
    ) -> None:
        pause_s = AGAIN_S
        while True:
            try:
                await upstream.target.listen(wanted, caller, hear)
                pause_s = AGAIN_S
            except (RpcError, CallError) as error:
                # A target without such a stream refuses it each time, to each of its callers.
                pause_s = min(2 * pause_s, MAX_PAUSE_S)
                _log.debug("tool server %s: not listened to: %s", upstream.name, type(error).__name__)
                ready.set()  # there is nothing to wait for
            await asyncio.sleep(pause_s)

    def own_session(self, upstream: Upstream) -> Caller:
        """A caller whose session with the target is this stream's alone, and ends with it."""
        own = Caller()
        own.principal, own.token = self.caller.principal, self.caller.token
        own.key = f"{self.caller.key}\0listening\0{os.urandom(8).hex()}"
        self._own.append((upstream, own))
        return own

    def start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do something for as long as the stream is open."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """The stream is over."""
        self.server.watchers.discard(self._changed)
        for task in self._tasks:
            task.cancel()
        while self._own:
            upstream, caller = self._own.pop()
            ending = asyncio.ensure_future(upstream.target.end(caller))
            ending.add_done_callback(_logged)

    async def messages(self) -> AsyncIterator[bytes]:
        """Encoded messages as they come, empty ones where the stream should say that it is there."""
        while True:
            for said in self.mail.take():
                yield said
            if self.mail.done and not self.mail.said:
                return
            if await fronting.silence(self.mail):
                yield b""


async def stand(ready: Iterable[asyncio.Event]) -> None:
    """Wait until targets are listened to: whoever is answered then misses nothing from then on. One that hangs holds
    nobody up for long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_S):
            for one in ready:
                await one.wait()


def _text(raw: msgspec.Raw | None) -> str | None:
    """The text that was written; None where there is none."""
    try:
        value = msgspec.json.decode(raw) if raw is not None else None
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, str) else None


def _logged(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.debug("a session could not be ended: %s", type(task.exception()).__name__)


class Listening:
    """A modern listener: `subscriptions/listen`."""

    def __init__(self, server: VirtualServer, caller: Caller, exchange: Exchange, identity: bytes) -> None:
        self._server, self._caller, self._exchange, self._identity = server, caller, exchange, identity
        self._feed: Feed | None = None

    async def begin(self, wanted: dict[str, Any]) -> None:
        """Listen to what is wanted, as far as this caller may have it. Raises CallError."""
        lists = [name for name in CHANGED if wanted.get(f"{name}ListChanged") is True]
        asked = wanted.get("resourceSubscriptions")
        uris = [uri for uri in asked if isinstance(uri, str)][:MAX_URIS] if isinstance(asked, list) else []
        surface = await self._server.surface(self._caller)
        entries = [entry for uri in uris if (entry := surface.resource(uri)) is not None and self._may(entry)]
        feed = self._feed = Feed(self._server, self._caller, self._exchange)
        feed.lists = frozenset(lists)
        feed.tag = {meta.SUBSCRIPTION_ID: msgspec.Raw(self._identity)}
        ended = {"resultType": msgspec.Raw(b'"complete"'), "_meta": msgspec.Raw(encode_members(feed.tag))}
        feed.farewell = encode_result(self._identity, encode_members(ended))
        honoured: dict[str, Any] = {f"{name}ListChanged": True for name in lists}
        if entries:
            honoured["resourceSubscriptions"] = [entry.name for entry in entries]
        ready: list[asyncio.Event] = []
        by_upstream: dict[str, list[Entry]] = {}
        for entry in entries:
            by_upstream.setdefault(entry.upstream.name, []).append(entry)
        for upstream in (upstream for _, upstream in self._server.targets() if upstream.per_owner):
            # Each caller has a process of its own, which nobody else hears.
            keys = tuple(entry.key for entry in by_upstream.pop(upstream.name, ()))
            lists_there = Wanted(
                tools="tools" in lists, prompts="prompts" in lists, resources="resources" in lists, uris=keys
            )
            prefix = next(prefix for prefix, other in self._server.targets() if other is upstream)
            ready.append(feed.watch(upstream, lists_there, self._caller, prefix))
        for group in by_upstream.values():
            upstream = group[0].upstream
            caller = feed.own_session(upstream) if upstream.target.stateful else self._caller
            keys = tuple(entry.key for entry in group)
            ready.append(feed.watch(upstream, Wanted(uris=keys), caller, group[0].prefix))
        try:
            await stand(ready)
        except BaseException:
            feed.close()  # the caller has gone before it heard anything
            raise
        feed.tell(ACKNOWLEDGED, {"notifications": msgspec.Raw(_encode(honoured))})

    def _may(self, entry: Entry) -> bool:
        call = McpCall(
            method="resources/read", server=self._server.spec.name, version="", kind="resource", name=entry.name,
            target=entry.upstream.name, target_name=entry.key,
        )  # fmt: skip
        return self._server.policies.permits(self._exchange, call)

    def stream(self) -> AsyncIterator[bytes]:
        """The events. Closing it ends the listening, also where nobody ever read from it."""
        assert self._feed is not None
        return _Events(self._feed, self._exchange)


class _Events:
    """What a feed says, as events. A generator that was never begun would not notice its end."""

    __slots__ = ("_exchange", "_feed", "_messages")

    def __init__(self, feed: Feed, exchange: Exchange) -> None:
        self._feed, self._exchange, self._messages = feed, exchange, feed.messages()

    def __aiter__(self) -> "_Events":
        return self

    async def __anext__(self) -> bytes:
        said = await self._messages.__anext__()
        self._exchange.events += 1
        return sse.encode(said) if said else fronting.PING

    async def aclose(self) -> None:
        self._feed.close()
