"""One target as the gateway keeps it: what it offers, whether it is well, and how much it may be asked at once.

Owns the life of lists. They are read when they are first needed, kept while the target is away, read again when it
says that they changed and when they are old, and never held up by any other target. A target that fails is left alone
for a while, and asked in between whether it is well again.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from heddle.backends.mcp.catalogue import Catalogue, read_catalogue
from heddle.backends.mcp.consenting import with_consent
from heddle.backends.mcp.contract import Caller, ConsentRequired, Params, Target, TargetRequest, Wanted
from heddle.backends.mcp.shelves import Admit, Pulse, Shelf
from heddle.backends.mcp.unconnected import CONNECT, connected, is_unconnected, unconnected
from heddle.model.snapshot_mcp import HttpSpec, McpTargetSpec, StdioSpec
from heddle.model.snapshot_mcp_auth import (
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    HeaderAuth,
    NoTargetAuth,
    OAuthCodeAuth,
    UserSecretAuth,
)
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.telemetry import names
from heddle.wire.jsonrpc import INTERNAL_ERROR, RpcError

_log = logging.getLogger("heddle.mcp")

MAX_SHELVES = 4_096
"""Callers whose own lists are kept, of a target whose lists differ."""
RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""After so many seconds a target that failed is asked for its lists again."""
LISTEN_AGAIN_S = 300.0
_CHANGED = {
    "notifications/tools/list_changed": "tools",
    "notifications/prompts/list_changed": "prompts",
    "notifications/resources/list_changed": "resources",
}
_OF_ALL = (NoTargetAuth, BearerAuth, HeaderAuth, BasicAuth, ClientCredentialsAuth)
"""Credentials that are the same for all callers."""
_SICK = frozenset((Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_TIMEOUT, Reason.UPSTREAM_BROKEN, Reason.UPSTREAM_ERROR))


class Upstream:
    """A target and what is known of it. Belongs to one snapshot and one worker."""

    def __init__(self, spec: McpTargetSpec, target: Target, tools: Tools) -> None:
        self.spec, self.target, self.name = spec, target, spec.name
        self.generation = 0
        """Rises with each change of any of its lists."""
        self.changed: Callable[[Upstream, str], None] = lambda upstream, what: None  # noqa: ARG005
        """Told when the target says that its `tools`, `prompts` or `resources` changed, and they were read again."""
        self.admit: Admit = as_it_is
        """What of its lists may be shown."""
        self.decider: object = None
        """Whose `admit` it is; what a former one still decides is forgotten."""
        self.withheld: Mapping[tuple[str, str], str] = {}
        """Kind and name of what may not, and in one word why, as far as `admit` says."""
        self.trouble = ""
        """What went wrong when it was last asked for its lists or its health; empty when nothing did."""
        self._monotonic = tools.clock.monotonic
        self._pulse = Pulse.of(tools)
        self._shelves: dict[str, Shelf] = {}
        self._running = 0
        self._plain = not isinstance(spec.auth, OAuthCodeAuth | UserSecretAuth)
        self._failures = 0
        self._well = 0
        self._sick = False
        self._health = tools.metrics.gauge(names.MCP_TARGET_HEALTHY, target=spec.name)
        self._health.set(1.0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching = self._closed = False
        self.per_caller = spec.per_caller or not isinstance(spec.auth, _OF_ALL)
        """Its lists may differ from caller to caller."""
        tools.closers.append(self.close)

    @property
    def per_owner(self) -> bool:
        """Each caller has a server of its own behind it."""
        return isinstance(self.spec.connect, StdioSpec) and self.spec.connect.isolation == "session"

    @property
    def eager(self) -> bool:
        """Sessions with it begin with those of callers: they cost little, and any replica can use them."""
        return isinstance(self.spec.connect, HttpSpec)

    @property
    def healthy(self) -> bool:
        """Whether it may be expected to answer."""
        return not self._sick

    async def call(self, request: TargetRequest, caller: Caller) -> bytes:
        """As of the target, within its concurrency. Raises RpcError or CallError."""
        most = self.spec.max_concurrent
        if most and self._running >= most:
            raise CallError(Reason.OVERLOADED, f"The tool server `{self.name}` has as many calls as it may have.")
        self._running += 1
        try:
            result = await (self.target.call(request, caller) if self._plain else self._asked(request, caller))
        except CallError as error:
            if error.reason in _SICK:
                self._fail()
            raise
        finally:
            self._running -= 1
        self._failures = 0
        return result

    async def _asked(self, request: TargetRequest, caller: Caller) -> bytes:
        """As of a target to which callers connect accounts of their own."""

        async def call() -> bytes:
            if request.name == CONNECT and request.method == "tools/call" and self._connects():
                await self.target.describe(caller)
                return connected(self.name)
            return await self.target.call(request, caller)

        return await with_consent(call, caller)

    def _connects(self) -> bool:
        """Whether a tool of that name is the gateway's own."""
        read = (shelf.read for shelf in self._shelves.values())
        return not any(catalogue is not None and CONNECT in catalogue.of("tool") for catalogue in read)

    def _fail(self) -> None:
        self._failures += 1
        if not self._sick and self._failures >= self.spec.health.unhealthy_after:
            self._sick, self._well = True, 0
            self._health.set(0.0)
            _log.warning("tool server %s is unhealthy", self.name)
            self._watch()

    def recovered(self) -> None:
        """It answered when it was asked whether it is well."""
        self._failures, self.trouble = 0, ""
        self._well += 1
        if self._sick and self._well >= self.spec.health.healthy_after:
            self._sick = False
            self._health.set(1.0)
            _log.warning("tool server %s is healthy again", self.name)

    def listed(self) -> tuple[Catalogue | None, Catalogue | None]:
        """Its lists as it gives them to the gateway itself, and what of them may be shown; None before the first."""
        shelf = self._shelves.get("")
        return (None, None) if shelf is None else (shelf.read, shelf.catalogue)

    async def catalogue(self, caller: Caller, scope: str = "") -> Catalogue | None:
        """What it offers; None while it was never reached. Waits at most `timeouts.list_s`, and only for the first.

        `scope` tells callers apart whose lists differ.
        """
        shelf = self._shelves.get(scope)
        if shelf is None:
            if len(self._shelves) >= MAX_SHELVES:
                del self._shelves[next(iter(self._shelves))]
            shelf = self._shelves[scope] = Shelf()
        now_s = self._monotonic()
        if (shelf.old or now_s >= shelf.until_s) and now_s >= shelf.retry_at_s:
            self._read(shelf, caller, scope)
        waited_for = shelf.catalogue is None or is_unconnected(shelf.catalogue)
        if waited_for and shelf.reading is not None and not shelf.hangs:
            await asyncio.wait([shelf.reading], timeout=self.spec.timeouts.list_s or None)
        return shelf.catalogue

    def known(self, scope: str = "") -> Catalogue | None:
        """What is known of its lists without asking; None when they must be asked for (`catalogue`)."""
        shelf = self._shelves.get(scope)
        if shelf is None or shelf.old or self._monotonic() >= shelf.until_s:
            return None
        return shelf.catalogue

    def known_until_s(self, scope: str = "") -> float:
        """Monotonic second until which what is known holds, unless the pulse beats before; 0 when nothing is known."""
        shelf = self._shelves.get(scope)
        return 0.0 if shelf is None or shelf.old or shelf.catalogue is None else shelf.until_s

    def _differ(self) -> None:
        """Its lists are other ones from now on."""
        self.generation += 1
        self._pulse.beats += 1

    def _read(self, shelf: Shelf, caller: Caller, scope: str) -> "asyncio.Task[None]":
        if shelf.reading is None:
            own = Caller()
            if scope:
                own.principal, own.token, own.key = caller.principal, caller.token, caller.key
            shelf.reading = self._start(self._refresh(shelf, own))
        return shelf.reading

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _refresh(self, shelf: Shelf, caller: Caller) -> None:
        shelf.old = False
        try:
            async with asyncio.timeout(self.spec.timeouts.list_s or None):
                catalogue = await read_catalogue(self.target, caller)
            await self._take(shelf, catalogue)
        except ConsentRequired:
            self._show_unconnected(shelf)
        except Exception as error:
            self._unread(shelf, error)
        finally:
            shelf.reading = None

    async def _take(self, shelf: Shelf, catalogue: Catalogue) -> None:
        """Lists were read."""
        again = shelf.failures > 0
        shelf.failures, shelf.retry_at_s, shelf.hangs = 0, 0.0, False
        shelf.until_s = self._monotonic() + (catalogue.ttl_s or self.spec.refresh_s)
        self.recovered()
        if shelf.read is None or catalogue != shelf.read:
            shelf.read = catalogue
            await self._show(shelf)
            if again:
                for what in _CHANGED.values():
                    self.changed(self, what)
        self._watch()

    def _unread(self, shelf: Shelf, error: Exception) -> None:
        """Lists could not be read: they are, later."""
        pause_s = RETRY_S[min(shelf.failures, len(RETRY_S) - 1)]
        shelf.failures += 1
        shelf.old, shelf.retry_at_s = True, self._monotonic() + pause_s
        shelf.hangs = isinstance(error, TimeoutError)
        expected = isinstance(error, RpcError | CallError | TimeoutError)
        self.trouble = _said(error) if expected else type(error).__name__
        _log.warning(
            "tool server %s: its lists cannot be read: %s",
            *(self.name, self.trouble),
            exc_info=None if expected else error,
        )
        if not _without_credential(error):
            self._fail()
            if shelf is self._shelves.get("") and not shelf.retried and not self._closed:
                shelf.retried = True
                self._start(self._retry(shelf))

    async def _retry(self, shelf: Shelf) -> None:
        """Read lists again until it succeeds: callers who miss them are told then, and need not ask."""
        while shelf.failures:
            await asyncio.sleep(RETRY_S[min(shelf.failures - 1, len(RETRY_S) - 1)])
            if shelf.failures and shelf.reading is None:
                shelf.reading = self._start(self._refresh(shelf, Caller()))
            if shelf.reading is not None:
                await asyncio.wait([shelf.reading])
        shelf.retried = False

    def _show_unconnected(self, shelf: Shelf) -> None:
        """Of a caller without an account there: that is no fault of the target."""
        if shelf.read is not None or shelf.catalogue is None:
            shelf.read, shelf.catalogue = None, unconnected(self.name)
            self._differ()
        # Looked for at once again: it may be connected any moment, by a page that another worker serves.
        shelf.until_s = 0.0

    @property
    def was_read(self) -> bool:
        """Some of its lists are known."""
        return any(shelf.read is not None for shelf in self._shelves.values())

    async def admit_anew(self, admit: Admit | None = None) -> None:
        """What may be shown of what was read has changed; `admit` stands in for the usual."""
        for shelf in list(self._shelves.values()):
            await self._show(shelf, admit)

    async def _show(self, shelf: Shelf, admit: Admit | None = None) -> None:
        decider = self.decider
        if await shelf.decide(admit or self.admit, lambda: self.decider is decider):
            self._differ()

    def _watch(self) -> None:
        """Begin to listen to what it says by itself, and to look after its health."""
        if self._watching or self._closed:
            return
        self._watching = True
        self._start(self._listen())
        if self.spec.health.interval_s:
            self._start(self._look())

    async def _listen(self) -> None:
        """Hear of changed lists for as long as the snapshot lives."""
        failures = 0
        while True:
            shelf = self._shelves.get("")
            catalogue = shelf.catalogue if shelf is not None else None
            capabilities = catalogue.described.capabilities if catalogue is not None else {}
            wanted = [name for name in ("tools", "prompts", "resources") if _tells(capabilities.get(name))]
            pause_s = LISTEN_AGAIN_S
            if wanted:
                pause_s = RETRY_S[min(failures, len(RETRY_S) - 1)]
                failures += 1
                try:
                    await self.target.listen(_wanting(wanted), Caller(), self._hear)
                    failures = 0
                except CallError as error:
                    if error.reason is Reason.UPSTREAM_BROKEN and failures > 2:
                        pause_s = LISTEN_AGAIN_S  # it has no such stream
                except RpcError:
                    pause_s = LISTEN_AGAIN_S
            await asyncio.sleep(pause_s)

    def _hear(self, method: str, params: Params) -> None:
        del params
        what = _CHANGED.get(method)
        if what is not None:
            self.invalidate(what)

    def invalidate(self, what: str) -> None:
        """Its lists changed: read them again before they are next shown."""
        self._pulse.beats += 1
        for scope, shelf in self._shelves.items():
            shelf.old = True
            if not scope and shelf.catalogue is not None:
                self._start(self._reread(shelf, what))

    async def _reread(self, shelf: Shelf, what: str) -> None:
        if shelf.reading is not None:
            # It may have been asked before the change: what it brings is not trusted to be the new list.
            await asyncio.wait([shelf.reading])
        shelf.old = True
        reading = self._read(shelf, Caller(), "")
        await asyncio.wait([reading])
        self.changed(self, what)

    async def _look(self) -> None:
        """Ask now and then whether it is well."""
        health = self.spec.health
        while True:
            await asyncio.sleep(health.interval_s)
            try:
                async with asyncio.timeout(health.timeout_s or None):
                    await self.target.call(TargetRequest(method=self._probe(), params={}), Caller())
            except RpcError as error:
                self._answered(error)
            except (CallError, TimeoutError) as error:
                if _without_credential(error):
                    self.recovered()  # only callers can ask it: their calls will tell
                else:
                    self.trouble = _said(error)
                    self._fail()
            except Exception as error:  # whatever a target says, it goes on being looked after
                _log.warning("tool server %s: its health cannot be told", self.name, exc_info=error)
                self._fail()
            else:
                self.recovered()

    def _answered(self, error: RpcError) -> None:
        """An error is an answer, but for one: that nothing works there, as the stdio host says of a program that does
        not start."""
        if error.code != INTERNAL_ERROR:
            self.recovered()
            return
        self.trouble = f"it answers with an error: {error.message[:200]}"
        self._fail()

    def _probe(self) -> str:
        return "ping" if self.target.stateful else "server/discover"

    def close(self) -> None:
        """Nothing runs for it any more."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        self.target.close()


async def as_it_is(catalogue: Catalogue) -> Catalogue:
    """Admits everything."""
    return catalogue


def _tells(capability: object) -> bool:
    """Whether a declared capability says that its changes are told."""
    return isinstance(capability, dict) and bool(capability.get("listChanged"))


def _wanting(lists: list[str]) -> Wanted:
    return Wanted(tools="tools" in lists, prompts="prompts" in lists, resources="resources" in lists)


def _without_credential(error: BaseException) -> bool:
    """Whether the target was not even asked, for want of a credential."""
    return isinstance(error, CallError) and error.reason is Reason.PROVIDER_UNCONFIGURED


def _said(error: BaseException) -> str:
    if isinstance(error, CallError):
        return error.detail
    return f"error {error.code}" if isinstance(error, RpcError) else "it did not answer in time"
