"""A gateway's end of the stream: follows a control plane for as long as the process lives.

Owns what is held and when an update counts: it is checked against its digest, made a snapshot, run by every worker, and
only then acknowledged and kept on the disk. Whatever fails on the way is answered with the part it failed at, and what
ran before runs on. A control plane that is away is asked for again after a random while, up to fifteen seconds.

Refuses: an older state of the same history, unless the control plane has insisted on it for a minute (a store was
restored); an update while another is being taken; one that does not fit what is held, for which it asks for everything.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from heddle.dataplane.subscription.behind import Behind
from heddle.dataplane.subscription.identity import Identity, IdentityError, new_request, write_identity
from heddle.dataplane.subscription.kept import Kept, KeptError
from heddle.dataplane.subscription.reaching import Connection, Place, ReachError, reach
from heddle.dataplane.subscription.telling import Telling
from heddle.model.assembly import Assembly
from heddle.model.parts import PartError
from heddle.model.snapshot import Snapshot
from heddle.wire.delta import (
    HEARTBEAT_S,
    MAX_TEXT,
    Ack,
    Busy,
    Delta,
    DeltaError,
    Full,
    Held,
    Hello,
    Joined,
    MismatchError,
    Ping,
    Point,
    Refused,
    Reject,
    Renew,
    Resync,
    Welcome,
)

_log = logging.getLogger("heddle.subscription")

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 15.0
REFUSED_RETRY_S = 60.0
"""A control plane that says no is asked again all the same: a clock is set, a certificate is allowed again."""
QUIET_S = 5.0
"""A control plane that starts beside us is not yet there, and nobody wants to read about it."""
LIVED_S = 5.0
"""A connection that lasted so long was one."""
KEEP_S = 2.0
"""Between two writes of the state to the disk."""
LOOK_S = 3_600.0


class RejectedError(Exception):
    """The workers do not run it; the message says why, safely."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class About(msgspec.Struct, frozen=True):
    """What a gateway says of itself."""

    node: str
    program: str


Take = Callable[[Snapshot], Awaitable[Mapping[str, str]]]
"""Has all workers run a snapshot, but for listeners that cannot be had: their names, and why. Raises RejectedError."""


class _LaterError(Exception):
    """The control plane has no time."""

    def __init__(self, busy: Busy) -> None:
        super().__init__(busy.message)
        self.retry_s = min(max(busy.retry_s, 0.1), 60.0)
        self.behind = busy.behind


class _RefusedError(Exception):
    """The control plane says no."""


class Subscription:
    """What one gateway holds, and where it has it from."""

    def __init__(
        self,
        places: list[Place],
        identity: Identity,
        about: About,
        kept: Kept,
        take: Take,
        report: Callable[[str], None],
    ) -> None:
        """`places` are tried in turn; `report` is for people."""
        self.identity = identity
        self.held = Held()
        """What the workers run."""
        self.connected = False
        self.error = ""
        """Why it is not connected, or what it was sent does not run; empty when all is well."""
        self.first = asyncio.Event()
        """Something runs that came from a control plane, or was kept."""
        self.running: Snapshot | None = None
        """What `held` comes to, once the workers run it."""
        self.telling: Telling | None = None
        """What is told to the control plane of what is found here; None tells nothing."""
        self._places = places
        self._about = about
        self.kept = kept
        self._take = take
        self._report = report
        self._assembly = Assembly()
        self._lacks: Mapping[str, str] = {}
        self._turn = 0
        self._behind = Behind(len(places))
        self._unkept = asyncio.Event()
        self._new_key = b""
        self._told = ""
        self._started_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._update: asyncio.Task[None] | None = None
        self._saving: asyncio.Future[None] | None = None

    def status(self) -> dict[str, Any]:
        """For people."""
        host, port = self._places[self._turn % len(self._places)]
        at = self.held.at
        return {
            "control_plane": f"{host}:{port}",
            "gateway": self.identity.name,
            "serves": self.identity.interest.gateway,
            "connected": self.connected,
            "version": at.version,
            "digest": at.short,
            "error": self.error,
        }

    async def resume(self) -> bool:
        """Run what was kept, if there is anything; whether it does. What cannot be used is reported and left out."""
        try:
            held = await asyncio.to_thread(self.kept.load)
            if held is None:
                return False
            assembly = Assembly()
            assembly.apply(held.parts)
            await self._run_this(assembly.snapshot(held.at.short))
        except (KeptError, PartError, RejectedError) as exc:
            self._report(f"the state that was kept in {self.kept.path} is not used: {exc}")
            return False
        self.held, self._assembly = held, assembly
        self.first.set()
        return True

    def start(self) -> None:
        """Follow, until `stop`."""
        self._started_s = time.monotonic()
        if self.telling is not None:
            self.telling.forget()
        self._tasks = [asyncio.ensure_future(self._run()), asyncio.ensure_future(self._keep())]

    async def stop(self) -> None:
        """End it, once what is being taken is; what is held is kept."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._saving is not None:
            await asyncio.wait([self._saving])
        if self._unkept.is_set():
            await self._save()

    async def _run(self) -> None:
        failures = 0
        while True:
            begun_s = time.monotonic()
            pause_s = 0.0
            try:
                await self._follow(self._places[self._turn % len(self._places)])
            except _LaterError as exc:
                self._behind.said(self._turn, behind=exc.behind)
                self._lost(f"it says: {exc}")
                pause_s = exc.retry_s * _between(0.5, 1.5)
            except (_RefusedError, IdentityError) as exc:
                self._lost(f"it refuses this gateway: {exc}")
                pause_s = REFUSED_RETRY_S * _between(0.8, 1.2)
            except (ReachError, DeltaError, OSError, ValueError) as exc:
                self._lost(str(exc))
            failures = 0 if time.monotonic() - begun_s > LIVED_S else failures + 1
            self._turn += 1
            await asyncio.sleep(pause_s or _between(0.0, min(FIRST_RETRY_S * 2 ** min(failures, 8), LONGEST_RETRY_S)))

    async def _follow(self, place: Place) -> None:
        """One connection, to its end, which is always an exception."""
        connection = await reach(place, self.identity.context())
        beside: list[asyncio.Task[None]] = []
        try:
            hello = self._hello()
            await connection.send(hello)
            await self._welcomed(connection)
            if not hello.take_older:
                self._behind.over()
            self.connected, self.error = True, ""
            self._tell(f"following the control plane at {place[0]}:{place[1]}")
            beside = [asyncio.ensure_future(one) for one in (self._ping(connection), self._tell_found(connection))]
            while True:
                await self._heard(connection, await connection.receive())
        finally:
            self.connected = False
            for task in beside:
                task.cancel()
            if self._update is not None:
                # It may be halfway in the workers: what they run must be known before the next greeting.
                await asyncio.wait([self._update])
                self._update = None
            await connection.close()

    def _hello(self) -> Hello:
        return Hello(
            name=self.identity.name,
            node=self._about.node,
            program=self._about.program,
            interest=self.identity.interest,
            # What is left out is tried again, and told again, when everything is sent.
            held=Point() if self._lacks else self.held.at,
            take_older=self._behind.insisted,
        )

    async def _welcomed(self, connection: Connection) -> None:
        answer = await connection.receive()
        if isinstance(answer, Busy):
            raise _LaterError(answer)
        if isinstance(answer, Refused):
            raise _RefusedError(answer.message)
        if not isinstance(answer, Welcome):
            raise DeltaError("a greeting was not answered with one")

    async def _heard(self, connection: Connection, message: object) -> None:
        if isinstance(message, Full | Delta):
            if self._update is not None and not self._update.done():
                raise DeltaError("an update was sent before the one before was answered")
            self._update = asyncio.ensure_future(self._answer(connection, message))
        elif isinstance(message, Joined):
            await self._renewed(message)
        elif isinstance(message, Refused):
            raise _RefusedError(message.message)
        elif not isinstance(message, Ping):
            raise DeltaError("that is said to nobody who was welcomed")

    async def _answer(self, connection: Connection, update: Full | Delta) -> None:
        """Take an update, and say what became of it. The connection may be gone by then."""
        with contextlib.suppress(ReachError):
            try:
                held = self._checked(update)
                if held.at.digest != self.held.at.digest or self._lacks:
                    await self._apply(update, held)
            except MismatchError as exc:
                self._tell(f"an update does not fit what is held ({exc}); everything is asked for")
                await connection.send(Resync())
            except PartError as exc:
                await self._reject(connection, update, str(exc), exc.name)
            except RejectedError as exc:
                await self._reject(connection, update, str(exc), exc.path)
            except Exception:
                # A defect of ours. It is answered as a rejection: an update without an answer holds up all that follow.
                _log.exception("an update was not taken")
                await self._reject(connection, update, "the gateway failed over it; its log says more", "")
            else:
                name, self.error = min(self._lacks.items(), default=("", ""))
                if name:
                    self._tell(f"version {update.to.version} runs but for {self.error}")
                self.held = held
                self._behind.over()
                self._unkept.set()
                self.first.set()
                part = self._assembly.listener_part(name)
                await connection.send(Ack(held.at, self.error[:MAX_TEXT], part[:MAX_TEXT]))

    def _checked(self, update: Full | Delta) -> Held:
        at, to = self.held.at, update.to
        if at.lineage == to.lineage and to.version < at.version and not self._behind.insisted:
            raise RejectedError(f"version {to.version} is older than {at.version}, which runs here")
        try:
            return self.held.after(update)
        except MismatchError as exc:
            if isinstance(update, Full):
                raise RejectedError(str(exc)) from exc
            raise

    async def _apply(self, update: Full | Delta, held: Held) -> None:
        """Have the workers run it. Raises PartError or RejectedError, and everything is as before."""
        if isinstance(update, Full):
            assembly = Assembly()
            assembly.apply(held.parts)
            await self._run_this(assembly.snapshot(held.at.short))
            self._assembly = assembly
            return
        names = (*update.changed, *update.removed)
        self._assembly.apply({name: held.parts.get(name) for name in names})
        try:
            await self._run_this(self._assembly.snapshot(held.at.short))
        except BaseException:
            self._assembly.apply({name: self.held.parts.get(name) for name in names})
            raise

    async def _run_this(self, snapshot: Snapshot) -> None:
        self._lacks = await self._take(snapshot)
        self.running = snapshot

    async def _reject(self, connection: Connection, update: Full | Delta, why: str, path: str) -> None:
        self.error = why
        self._tell(f"version {update.to.version} of the control plane is rejected, what ran before runs on: {why}")
        await connection.send(Reject(update.to, why[:MAX_TEXT], path[:MAX_TEXT]))

    async def _ping(self, connection: Connection) -> None:
        """Say now and then that we are here, and renew the certificate at half of its life."""
        with contextlib.suppress(ReachError):
            while True:
                await asyncio.sleep(HEARTBEAT_S * _between(0.8, 1.0))
                await connection.send(Ping())
                identity = self.identity
                if not self._new_key and time.time() > (identity.begins_s + identity.ends_s) / 2:
                    self._new_key, request = new_request()
                    await connection.send(Renew(request))

    async def _tell_found(self, connection: Connection) -> None:
        """Tell what is found here; a failure of that is no reason to follow no longer."""
        with contextlib.suppress(ReachError):
            try:
                if self.telling is not None:
                    await self.telling.tell(connection)
            except OSError as exc:
                _log.error("the control plane is not told what is found here: %s", exc)

    async def _renewed(self, joined: Joined) -> None:
        """Use the new certificate from the next connection on."""
        key, self._new_key = self._new_key, b""
        before = self.identity
        if not key or joined.name != before.name or joined.interest != before.interest:
            raise DeltaError("a certificate that was not asked for")
        args = (before.path, joined.name, joined.interest, key, joined.certificate, joined.authority)
        self.identity = await asyncio.to_thread(write_identity, *args)

    async def _keep(self) -> None:
        """Write what runs to the disk, after a change and once a day."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._unkept.wait()
            if self._unkept.is_set() or (self.held.at.digest and self.kept.is_due()):
                await self._save()
            await asyncio.sleep(KEEP_S)

    async def _save(self) -> None:
        self._unkept.clear()
        # A thread goes on when whoever waits for it is cancelled, and `stop` waits for it.
        self._saving = asyncio.ensure_future(asyncio.to_thread(self.kept.save, self.held))
        try:
            await asyncio.shield(self._saving)
        except (OSError, ValueError) as exc:
            self._tell(f"what runs cannot be kept for a start without the control plane: {exc}")

    def _lost(self, why: str) -> None:
        self.error = why
        if not self._told and time.monotonic() - self._started_s < QUIET_S:
            return
        host, port = self._places[self._turn % len(self._places)]
        self._tell(f"the control plane at {host}:{port} is away, what runs runs on: {why}")

    def _tell(self, text: str) -> None:
        """Once, however often it happens in a row."""
        if text != self._told:
            self._told = text
            self._report(text)


def _between(least: float, most: float) -> float:
    """At random, so that many that lost the same control plane do not come back in the same moment."""
    return random.uniform(least, most)  # noqa: S311 - nothing is guessed by it
