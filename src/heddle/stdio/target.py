"""One target: its children, its sessions, and which child serves whom.

Owns when a child starts (first use, bounded in number, with back-off after crashes) and when it stops (its session
ended, nobody used it for long, the configuration changed). Knows of the protocol only that `initialize` begins a
session.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Coroutine, Mapping
from typing import Any

import msgspec

from heddle.model.snapshot_mcp import StdioSpec
from heddle.stdio import messages
from heddle.stdio.backoff import Backoff
from heddle.stdio.child import BusyError, Call, Child, Session
from heddle.stdio.messages import Message
from heddle.stdio.process import ServerProcess, StartError
from heddle.stdio.stderr import Allowance, Complaints

PATIENCE_S = 1.0
"""A start that is due within so long is waited for; a later one is refused, with the time."""
DRAIN_S = 10.0
"""What requests under way get when the configuration of their target changes."""

_log = logging.getLogger("heddle.stdio")


class UnavailableError(Exception):
    """No child can serve this now. The text says why, and is safe to show; `retry_after_s` when to ask again."""

    def __init__(self, detail: str, retry_after_s: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class Target:
    """A tool server as it is declared, and all of its children."""

    def __init__(self, name: str, spec: StdioSpec, environ: Mapping[str, str], state: str) -> None:
        """`environ` holds what children may be passed on; `state` is their working directory by default."""
        self.name = name
        self.spec = spec
        self.environ = environ
        self.restarts = 0
        """Starts that followed a crash."""
        self.error = ""
        """Why the last child could not be started, or ended by itself; empty once one has been started again."""
        self._state = state
        self._children: dict[Child, str] = {}
        """Each with the owner it was started for."""
        self._owned: dict[str, Child] = {}
        """Who serves sessionless callers, and those who share: by owner, or under `` for all."""
        self._sessions: dict[str, Session] = {}
        self._starts: dict[str, asyncio.Task[Child]] = {}
        self._greetings: dict[Child, asyncio.Task[bytes]] = {}
        self._backoff = Backoff()
        self._crashed: set[str] = set()
        self._starting = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._allowance = Allowance()

    def _key(self, owner: str) -> str:
        return "" if self.spec.isolation == "shared" else owner

    # Who is served by whom.

    def session(self, ident: str, owner: str) -> Session | None:
        """A living session of this owner; None for one that is over, or another's."""
        session = self._sessions.get(ident)
        return session if session is not None and session.owner == owner and session.child.alive else None

    def known(self, owner: str) -> Session | None:
        """Whoever serves this sessionless caller already."""
        child = self._owned.get(self._key(owner))
        return self._seat(child, owner) if child is not None and child.alive else None

    async def sessionless(self, owner: str) -> Session:
        """Somebody who serves this caller. Raises UnavailableError."""
        return self._seat(await self._shared(self._key(owner)), owner)

    def _seat(self, child: Child, owner: str) -> Session:
        session = child.sessions.get(owner)
        if session is None:
            session = child.sessions[owner] = Session("", owner, child)
        return session

    async def begin(self, owner: str, message: Message) -> tuple[Session, Call | bytes]:
        """A session for who sends `initialize`: the call it became, or the answer. Raises UnavailableError, BusyError.

        An answer of bytes may be an error, and then there is no session; whoever gets a call sees to that itself.
        """
        if self.spec.isolation == "shared":
            child = await self._shared("")
            answer = await self._greeted(child, message)
            return self._open(child, owner), answer
        child = self._fresh(owner) or await self._start(owner)
        session = self._open(child, owner)
        try:
            return session, await child.ask(message, session)
        except BaseException:
            self.end(session)
            raise

    def _open(self, child: Child, owner: str) -> Session:
        session = Session(secrets.token_urlsafe(18), owner, child)
        child.sessions[session.id] = self._sessions[session.id] = session
        return session

    def end(self, session: Session) -> None:
        """A session is over, and with it the child it had for itself."""
        self._sessions.pop(session.id, None)
        session.child.forget(session)
        if self.spec.isolation == "session":
            self._later(session.child.stop())

    def _fresh(self, owner: str) -> Child | None:
        """A child that was asked whether it speaks the newer protocol, and does not: it can be initialised."""
        child = self._owned.get(owner)
        if child is None or not child.alive or child.modern or child.busy or not child.heard.is_set():
            return None
        del self._owned[owner]
        child.sessions.clear()
        return child

    async def _greeted(self, child: Child, message: Message) -> bytes:
        """The answer to `initialize` of a shared child, which is asked once. Raises BusyError."""
        greeting = self._greetings.get(child)
        if greeting is None:
            greeting = self._greetings[child] = self._later(self._greet(child, message.params))
        answer = messages.read(await asyncio.shield(greeting))
        if answer.error is not msgspec.UNSET:
            self._greetings.pop(child, None)
        answer.id = message.id
        return messages.write(answer)

    async def _greet(self, child: Child, params: msgspec.Raw | msgspec.UnsetType) -> bytes:
        asked = Message(id=0, method="initialize", params=params)
        call = await child.ask(asked, Session("", "", child))
        while True:
            told = await call.stream.get()
            if told is None:
                return messages.failure(0, "The tool server ended.")
            if told.last:
                return told.data

    # Starting.

    async def _shared(self, key: str) -> Child:
        child = self._owned.get(key)
        if child is not None and child.alive:
            return child
        start = self._starts.get(key)
        if start is None:
            start = self._starts[key] = self._later(self._start(key))
            start.add_done_callback(lambda _: self._starts.pop(key, None))
        child = await asyncio.shield(start)
        self._owned[key] = child
        return child

    async def _start(self, owner: str) -> Child:
        wait_s = self._backoff.wait_s(owner)
        if wait_s > PATIENCE_S:
            raise UnavailableError(f"The tool server keeps ending. {self._backoff.why(owner)}", wait_s)
        self._starting += 1
        complaints = Complaints(self.name, self.spec.env, self._allowance)
        try:
            await asyncio.sleep(wait_s)
            await self._make_room(owner)
            process = await ServerProcess.start(self.name, self.spec, complaints, self.environ, self._state)
        except StartError as exc:
            self.error = str(exc)
            self._backoff.failed(owner, 0.0, self.error)
            _log.warning("%s: no child could be started: %s", self.name, exc)
            raise UnavailableError(str(exc)) from exc
        finally:
            self._starting -= 1
        if owner in self._crashed:
            self._crashed.discard(owner)
            self.restarts += 1
        self.error = ""
        child = Child(process, complaints)
        child.on_end = self._ended
        self._children[child] = owner
        self._later(self._await_word(child))
        return child

    async def _make_room(self, owner: str) -> None:
        """Stop this owner's longest unused child when there are too many; another's is never touched."""
        if len(self._children) + self._starting <= self.spec.max_children:
            return
        own = [child for child, whose in self._children.items() if whose == owner and child.alive and not child.busy]
        if not own:
            raise UnavailableError(f"All {self.spec.max_children} children of {self.name} are in use.", 1.0)
        await min(own, key=lambda child: child.used_s).stop()

    async def _await_word(self, child: Child) -> None:
        """End a child that says nothing at all."""
        heard = asyncio.ensure_future(child.heard.wait())
        await asyncio.wait(
            [heard, child.reading], timeout=self.spec.start_timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        heard.cancel()
        if not child.heard.is_set() and child.alive:
            waited = f"The tool server did not answer within {self.spec.start_timeout_s:g} s."
            child.fail(waited)

    # Ending.

    def _ended(self, child: Child) -> None:
        owner = self._children.pop(child, "")
        self._greetings.pop(child, None)
        self._owned = {key: other for key, other in self._owned.items() if other is not child}
        for session in child.sessions.values():
            self._sessions.pop(session.id, None)
        lived_s = time.time() - child.since_s
        if child.stopping:
            _log.debug("%s: child %d stopped after %.1f s", self.name, child.process.pid, lived_s)
            return
        self.error = child.obituary
        self._backoff.failed(owner, lived_s, self.error)
        self._crashed.add(owner)
        told, status = self.error, child.process.status
        _log.warning("%s: child %d, after %.1f s, status %s: %s", self.name, child.process.pid, lived_s, status, told)

    def sweep(self, now_s: float) -> None:
        """Stop children that nobody has used for long."""
        idle_s = self.spec.idle_s
        for child in tuple(self._children) if idle_s else ():
            if child.alive and not child.busy and now_s - child.used_s >= idle_s:
                self._later(child.stop())

    async def stop(self) -> None:
        """End every child in order."""
        for start in tuple(self._starts.values()):
            start.cancel()
        await asyncio.gather(*(child.stop() for child in tuple(self._children)), return_exceptions=True)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def retire(self) -> None:
        """Its configuration changed: let requests under way finish, for a while, then stop."""
        until_s = time.monotonic() + DRAIN_S
        while time.monotonic() < until_s and any(child.calls for child in self._children):
            await asyncio.wait([child.reading for child in self._children], timeout=0.05)
        await self.stop()

    def _later(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        expected = (UnavailableError, BusyError)
        if not task.cancelled() and task.exception() is not None and not isinstance(task.exception(), expected):
            _log.error("%s: a task failed", self.name, exc_info=task.exception())

    def status(self) -> dict[str, Any]:
        """For `/status`."""
        children = [
            {
                "pid": child.process.pid,
                "era": "modern" if child.modern else "legacy" if child.sessions_open else "unknown",
                "sessions": child.sessions_open,
                "calls": child.calls,
                "since": round(child.since_s, 3),
            }
            for child in self._children
        ]
        return {
            "command": self.spec.command[0],
            "isolation": self.spec.isolation,
            "restarts": self.restarts,
            "error": self.error,
            "children": children,
        }
