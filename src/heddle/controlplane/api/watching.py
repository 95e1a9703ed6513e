"""Watches: every change of a selection, in order, from any version that is still known.

Owns what a watch says at its beginning, when an object enters or leaves its selection, its bookmarks and its end.
*Source:* Kubernetes API concepts, "Efficient detection of changes", "Streaming lists", "Watch bookmarks"; KEP-3157.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, NamedTuple

from heddle.controlplane.api import forms, paging, reading, selecting, tables, views
from heddle.controlplane.api.answer import Stream, encode
from heddle.controlplane.api.core import Call
from heddle.controlplane.api.limits import Watches
from heddle.controlplane.api.negotiation import Form
from heddle.controlplane.api.options import refuse
from heddle.controlplane.api.parts import Event, Object, Stored
from heddle.controlplane.api.request import TRUE
from heddle.controlplane.api.selecting import Selector
from heddle.drivers.documents import ExpiredError, UnavailableError
from heddle.wire.kube.status import ApiError, bad_request, expired

BOOKMARK_S = 60.0
"""How often a watch that wants bookmarks gets one."""
TIMEOUT_S = 1800.0
"""How long a watch lasts that does not say; up to twice as long, so that not all come back at once."""
_MAX_TIMEOUT_S = 6 * 3600.0
_INITIAL_END = {"k8s.io/initial-events-end": "true"}


class _Plan(NamedTuple):
    """A watch that was understood."""

    form: Form
    chosen: Selector
    initial: bool
    """It begins with everything there is."""
    marked: bool
    """The end of the beginning is told by a bookmark."""
    after: int
    """Where it begins, unless `initial`."""
    bookmarks: bool
    timeout_s: float
    include: str
    """`includeObject` of Tables."""


def wants_watch(call: Call) -> bool:
    """Whether a GET of a collection is a watch."""
    return call.target.watch or call.request.flag("watch")


async def watch(call: Call, watches: Watches) -> Stream:
    """GET with `watch`. Raises ApiError."""
    chosen = selecting.selector(call)
    call.authorize("watch", chosen.name)
    plan = await _plan(call, chosen)
    watches.enter(call.caller.name)
    return Stream(_Watching(call, plan, watches).chunks())


async def _plan(call: Call, chosen: Selector) -> _Plan:
    option = call.request.option
    streamed, match, version = option("sendInitialEvents"), option("resourceVersionMatch"), option("resourceVersion")
    _check_match(streamed, match)
    after = reading.wanted_version(call)
    initial = streamed in TRUE or (not streamed and after == 0)
    if version != "0":
        await call.core.store.fresh()
    if initial and after > call.core.store.version:
        raise reading.too_large(after, call.core.store.version)
    return _Plan(
        forms.of_request(call.request),
        chosen,
        initial,
        streamed in TRUE,
        after or call.core.store.version,
        call.request.flag("allowWatchBookmarks"),
        _timeout_s(option("timeoutSeconds")),
        forms.included(call),
    )


def _check_match(streamed: str, match: str) -> None:
    why = ""
    if streamed and match != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    elif match and not streamed:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    if why:
        raise refuse("ListOptions", "FieldValueForbidden", f"Forbidden: {why}", "resourceVersionMatch")


def _timeout_s(text: str) -> float:
    if text and not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise bad_request("timeoutSeconds: expected whole seconds, 0 or more")
    if text and int(text) > 0:
        return min(float(text), _MAX_TIMEOUT_S)
    return TIMEOUT_S * (1 + random.random())  # noqa: S311 -- spreads load, keeps no secret


class _Watching:
    """One watch as it runs."""

    def __init__(self, call: Call, plan: _Plan, watches: Watches) -> None:
        self._call = call
        self._plan = plan
        self._watches = watches
        self._headed = False
        self._as_kept = forms.as_kept(call, plan.form)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Lines of JSON, several at once where several events are at hand."""
        call, plan, store = self._call, self._plan, self._call.core.store
        # Nothing may happen between these: what is listed and what is watched are one sequence.
        after = store.version if plan.initial else plan.after
        items = paging.scan(call, plan.chosen) if plan.initial else []
        events = store.watch(call.kind.stored_as, call.target.namespace, after)
        self._watches.add(events)
        try:
            for start in range(0, len(items), _BATCH):
                for chunk in self._initial(items[start : start + _BATCH]):
                    yield chunk
            if plan.marked and plan.bookmarks:
                yield self._bookmark(after, _INITIAL_END)
            async for chunk in self._live(events):
                yield chunk
        except ExpiredError:
            message = f"too old resource version: {after} ({store.version})"
            yield _line("ERROR", encode(expired(message).status()))
        except UnavailableError:
            error = ApiError(503, "ServiceUnavailable", "the store cannot be read now")
            yield _line("ERROR", encode(error.status()))
        finally:
            events.close()
            self._watches.leave(call.caller.name, events)

    async def _live(self, events: Any) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        end = clock() + self._plan.timeout_s
        if self._call.request.connection is not None and self._call.request.method == "GET":
            events.deliver = self._written
        wait = BOOKMARK_S if self._plan.bookmarks else self._plan.timeout_s
        while (left := end - clock()) > 0:
            try:
                async with asyncio.timeout(min(wait, left)):
                    batch = await events.batch()
            except TimeoutError:
                if self._plan.bookmarks:
                    yield self._bookmark(events.position)
                continue
            if not batch:
                return
            chunk = b"".join([self._event(event) for event in batch])
            if chunk:
                yield chunk

    def _written(self, batch: Sequence[Event]) -> bool:
        """Write events past whoever sends the stream, who waits for them: False where they must go the long way."""
        connection = self._call.request.connection
        if not connection.ready:
            return False
        try:
            chunk = b"".join([self._event(event) for event in batch])
        except Exception:
            # Whoever waits meets the same, and ends the watch as any request that fails.
            return False
        if chunk:
            connection.write_chunk(chunk)
        return True

    def _initial(self, items: Any) -> Iterator[bytes]:
        """What there is, in pieces: of one who does not read, no more than a piece waits to be sent."""
        chosen = self._plan.chosen
        lines, size = [], 0
        for one in items:
            if chosen.empty or chosen.matches(one.object):
                lines.append(self._told("ADDED", one))
                size += len(lines[-1])
            if size >= _BATCH_BYTES:
                yield b"".join(lines)
                lines, size = [], 0
        yield b"".join(lines)

    def _event(self, event: Event) -> bytes:
        """What an event is to this selection; nothing when it is none of it."""
        chosen = self._plan.chosen
        stored: Stored = event.stored
        if chosen.empty:
            kind = event.kind
        else:
            kind = _transition(chosen, event)
            if not kind:
                return b""
            if kind == "DELETED" and event.kind == "MODIFIED" and event.previous is not None:
                return self._left(event.previous, stored.version)
        if self._as_kept and kind == event.kind:
            return event.line
        return self._told(kind, stored)

    def _told(self, kind: str, stored: Stored) -> bytes:
        return _line(kind, stored.encoded if self._as_kept else self._shown(stored.object))

    def _left(self, before: Stored, version: int) -> bytes:
        """An object that is no longer selected is told as it was last, with the version of the change."""
        meta = {**before.object["metadata"], "resourceVersion": str(version)}
        return _line("DELETED", self._shown({**before.object, "metadata": meta}))

    def _shown(self, value: Object) -> bytes:
        call = self._call
        if self._plan.form.shape == "table":
            row = tables.row(call.kind, value, call.core.hooks.clock(), self._plan.include)
            meta = {"resourceVersion": value["metadata"].get("resourceVersion", "")}
            return self._table([row], meta)
        served = views.to_served(call.core, call.target.kind, value)
        return encode(tables.partial(served) if self._plan.form.shape == "metadata" else served)

    def _table(self, rows: list[Object], meta: Object) -> bytes:
        headed, self._headed = not self._headed, True
        return encode(tables.table(self._call.kind, rows, meta, headed=headed))

    def _bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        meta: Object = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        if self._plan.form.shape == "table":
            return _line("BOOKMARK", self._table([], meta))
        kind = self._call.target.kind
        value: Object = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
        return _line("BOOKMARK", encode(tables.partial(value) if self._plan.form.shape == "metadata" else value))


_BATCH = 200
"""Objects of the beginning that are sent at once,"""
_BATCH_BYTES = 256 * 1024
"""or as few of them as have so many bytes."""


def _line(kind: str, value: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), value)


def _transition(chosen: Selector, event: Event) -> str:
    """The event's kind for a selection; '' when it is not told."""
    now = chosen.matches(event.stored.object)
    if event.kind == "ADDED":
        return "ADDED" if now else ""
    before = event.previous is None or chosen.matches(event.previous.object)
    if event.kind == "DELETED":
        return "DELETED" if before and (event.previous is not None or now) else ""
    if now:
        return "MODIFIED" if before else "ADDED"
    return "DELETED" if before else ""
