"""The control plane, from a mesh's point of view: a child process beside the gateway, or a machine elsewhere.

Owns the child's life and the gateway's identity towards either. A gateway that has its own configuration serves it from
the first moment; what the control plane says takes its place once it is there, and only if no listener that the files
declare would be lost by that. With the control plane gone, nothing changes but that nothing changes.
"""

import asyncio
import contextlib
import logging
import math
import re
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heddle import __version__
from heddle.cli.state import StartError, refusal
from heddle.dataplane.sockets import key
from heddle.dataplane.subscription.client import About, RejectedError, Subscription, Take
from heddle.dataplane.subscription.identity import Identity, IdentityError, load_identity, write_identity
from heddle.dataplane.subscription.kept import FILE as KEPT_FILE
from heddle.dataplane.subscription.kept import Kept
from heddle.dataplane.subscription.reaching import Place, ReachError, join
from heddle.dataplane.subscription.telling import FILE as FOUND_FILE
from heddle.dataplane.subscription.telling import Telling
from heddle.drivers.sealing import FILE as SEAL_KEYS
from heddle.drivers.sealing import Sealing
from heddle.model.snapshot import SERVED_PROTOCOLS, Snapshot
from heddle.wire.delta import Interest

_log = logging.getLogger("heddle.plane")

IDENTITY_FILE = "gateway.pem"
LOCAL_TTL_S = 30 * 86_400.0
EVERYTHING = Interest("*")
REVIVE_S = (0.0, 0.5, 2.0, 10.0, 30.0)
"""Back-off of a control plane that keeps ending within a minute."""
_SETTLED_S = 60.0
NOTICED_S = 2.0
"""How long the control plane may take to notice that a file has changed."""
GRACE_S = 10.0
"""How long the child may take to end."""
_RETRY_S = 2.0
_LOOK_S = 0.2


@dataclass
class Elsewhere:
    """A control plane on another machine."""

    places: list[Place]
    identity: Path
    token: str = ""
    """To join with, where there is no identity yet."""


@dataclass
class Beside:
    """A control plane that this mesh runs."""

    folders: list[Path]
    api: Place = ("127.0.0.1", 9443)
    """Where kubectl reaches it."""
    gateways: Place = ("127.0.0.1", 9444)
    """Where gateways do."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """What `${NAME}` means in the folders."""
    sources: tuple[str, ...] = ()
    """Further sources, and whatever else it is told, as arguments of the control plane."""
    shared: bool = False
    """Resources are in a database with the keys of its control planes, which decide who we are."""


class Plane:
    """What this mesh follows."""

    def __init__(self, where: Elsewhere | Beside, state_dir: Path, take: Take, report: Callable[[str], None]) -> None:
        self._where = where
        self._state_dir = state_dir
        self._take = take
        self._report = report
        self._child = _Child(where, state_dir, report) if isinstance(where, Beside) else None
        self._mark = ""
        self._changed_s = -math.inf
        """When the files changed last."""
        self._declared: frozenset[str] = frozenset()
        self._subscription: Subscription | None = None
        self._starting: asyncio.Task[None] | None = None

    @property
    def is_elsewhere(self) -> bool:
        """There are no files here."""
        return not isinstance(self._where, Beside) or not self._where.folders

    @property
    def decides(self) -> bool:
        """What runs is what the control plane says, and not what files do."""
        return self.is_elsewhere or (self._subscription is not None and bool(self._subscription.held.at.digest))

    def status(self) -> dict[str, Any]:
        """For people."""
        child = {} if self._child is None else {"pid": self._child.pid}
        return {**child, **(self._subscription.status() if self._subscription is not None else {"connected": False})}

    def declare(self, snapshot: Snapshot) -> None:
        """This is what the files say now: what is kept is what was made of them."""
        if self._mark not in {"", snapshot.version}:
            self._changed_s = time.monotonic()
        self._mark = snapshot.version
        if self._subscription is None:
            self._declared = _doors(snapshot)
        else:
            self._subscription.kept.mark = self._mark

    # Elsewhere

    async def begin(self, stop: asyncio.Event) -> None:
        """Run what was kept, if anything was, follow, and wait until something runs, or for `stop`.

        Raises StartError without an identity to be had.
        """
        begun, stopped = asyncio.ensure_future(self._begin()), asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait([begun, stopped], return_when=asyncio.FIRST_COMPLETED)
            if begun.done():
                await begun
        finally:
            for task in (begun, stopped):
                task.cancel()
            await asyncio.gather(begun, stopped, return_exceptions=True)

    async def _begin(self) -> None:
        try:
            if isinstance(self._where, Elsewhere):
                identity, places = await self._identity(self._where), self._where.places
            else:
                identity, places = await self._begin_beside(self._where), [_reached(self._where.gateways)]
        except (OSError, IdentityError) as exc:
            raise StartError(str(exc)) from exc
        subscription = self._follow(identity, places, self._take)
        if not await subscription.resume():
            host, port = places[0]
            self._report(f"gateway {identity.name} waits for its first configuration from {host}:{port}")
        subscription.start()
        await subscription.first.wait()

    async def _begin_beside(self, where: Beside) -> Identity:
        """Start a control plane whose resources come from Git or a cluster: no file here says what runs meanwhile."""
        assert self._child is not None
        assert not where.folders
        await self._child.start()
        return await self._known(where)

    async def _known(self, where: Beside) -> Identity:
        """Who we are to the child, which has its authority first where that is a database's: ours would be another."""
        made = self._state_dir / "control-plane" / "authority.pem"
        while where.shared and not made.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(_LOOK_S)
        return await asyncio.to_thread(_local_identity, self._state_dir)

    async def _identity(self, where: Elsewhere) -> Identity:
        """Who we are: what an earlier start was given, or what a token is good for, once it can be asked about."""
        if where.identity.exists():
            return load_identity(where.identity)
        if not where.token:
            raise IdentityError(
                f"{where.identity} does not exist; make a token with `heddle gateway-token NAME` where the control "
                "plane runs, and give it with --join"
            )
        told = False
        while True:
            for place in where.places:
                try:
                    return await join(place, where.token, where.identity)
                except ReachError as exc:
                    if not told:
                        self._report(
                            f"the control plane at {place[0]}:{place[1]} cannot be joined, trying again: {exc}"
                        )
                    told = True
            await asyncio.sleep(_RETRY_S)

    # Beside

    async def resume(self) -> bool:
        """Run what ran last beside these very files, which has what came by the API, too. False when there is none."""
        assert isinstance(self._where, Beside)
        try:
            identity = await asyncio.to_thread(load_identity, self._state_dir / IDENTITY_FILE)
        except IdentityError:
            return False
        if identity.interest != EVERYTHING:
            return False
        return await self._follow(identity, [_reached(self._where.gateways)], self._take_over).resume()

    def start(self) -> None:
        """Start the control plane and follow it once it is there; what runs runs on meanwhile."""
        self._starting = asyncio.ensure_future(self._start_beside())

    async def _start_beside(self) -> None:
        assert isinstance(self._where, Beside)
        assert self._child is not None
        try:
            await self._child.start()
            identity = await self._known(self._where)
        except (OSError, IdentityError) as exc:
            self._report(f"the control plane does not run, the files stay what counts: {exc}")
            return
        subscription = self._subscription
        if subscription is None:
            subscription = self._follow(identity, [_reached(self._where.gateways)], self._take_over)
        subscription.identity = identity
        subscription.start()

    async def _take_over(self, snapshot: Snapshot) -> Mapping[str, str]:
        missing = sorted(self._declared - _doors(snapshot))
        if missing:
            raise RejectedError(f"listener {missing[0]} that the files declare would be gone", "listeners")
        if self._declared and time.monotonic() - self._changed_s < NOTICED_S:
            raise RejectedError("the files have just changed, which the control plane may not have noticed yet")
        lacks = await self._take(snapshot)
        unserved = [spec for spec in snapshot.listeners if spec.name in lacks and key(spec) in self._declared]
        if unserved:
            raise RejectedError(lacks[unserved[0].name])
        # It is the source of truth from here on, and may close a listener.
        self._declared = frozenset()
        return lacks

    # Both

    def _follow(self, identity: Identity, places: list[Place], take: Take) -> Subscription:
        about = About(socket.gethostname(), __version__)
        kept = Kept(self._state_dir / KEPT_FILE, identity.interest, Sealing(self._state_dir / SEAL_KEYS))
        kept.mark = self._mark
        made = self._subscription = Subscription(places, identity, about, kept, take, self._report)
        made.telling = Telling(self._state_dir / FOUND_FILE, lambda: made.running)
        return made

    def revive(self) -> None:
        """Start the child again if it died; called twice a second."""
        if self._child is not None:
            self._child.revive()

    def hurry(self) -> None:
        """While stopping: do not wait any longer."""
        if self._child is not None:
            self._child.kill()

    async def stop(self) -> None:
        """Stop following; then end the child."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._subscription is not None:
            await self._subscription.stop()
        if self._child is not None:
            await self._child.stop()


class _Child:
    """The control-plane process of this machine."""

    def __init__(self, where: Beside, state_dir: Path, report: Callable[[str], None]) -> None:
        self._where = where
        self._state_dir = state_dir
        self._report = report
        self._process: asyncio.subprocess.Process | None = None
        self._born_s = 0.0
        self._deaths = 0
        self._again: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int:
        """0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    async def start(self) -> None:
        """Start it. It ends with us: its standard input closes. Raises OSError."""
        where = self._where
        command = [sys.executable, "-m", "heddle.controlplane.whole", "--state", str(self._state_dir), "--child"]
        command += ["--host", where.api[0], "--port", str(where.api[1])]
        command += ["--gateways-host", where.gateways[0], "--gateways-port", str(where.gateways[1])]
        for folder in where.folders:
            command += ["--folder", str(folder.absolute())]
        command += where.sources
        self._born_s = time.monotonic()
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, start_new_session=True, env=dict(where.environ)
        )

    def revive(self) -> None:
        """See `Plane`."""
        process = self._process
        under_way = self._again is not None and not self._again.done()
        if process is None or process.returncode is None or self._stopping or under_way:
            return
        self._deaths = self._deaths + 1 if time.monotonic() - self._born_s < _SETTLED_S else 0
        pause_s = REVIVE_S[min(self._deaths, len(REVIVE_S) - 1)]
        self._report(f"the control plane ended with {process.returncode}; another starts in {pause_s:g} s")
        self._again = asyncio.ensure_future(self._restart(pause_s))

    async def _restart(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        try:
            await self.start()
        except OSError as exc:
            _log.error("the control plane was not started: %s", exc)

    def kill(self) -> None:
        """End it now."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """Have it finish, then end it."""
        self._stopping = True
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(GRACE_S):
                await process.wait()
        except TimeoutError:
            self.kill()
            await process.wait()


def _doors(snapshot: Snapshot) -> frozenset[str]:
    """Where a snapshot is served, as far as that is fixed."""
    return frozenset(key(spec) for spec in snapshot.listeners if spec.port and spec.protocol in SERVED_PROTOCOLS)


def _reached(place: Place) -> Place:
    """Where what listens there is reached from here."""
    return ("127.0.0.1" if place[0] in {"0.0.0.0", "::", ""} else place[0]), place[1]  # noqa: S104


def _local_identity(state_dir: Path) -> Identity:
    """What the gateway beside a control plane is known by: it may follow everything. Blocks. Raises IdentityError."""
    # Certificates take 100 ms to load, which the first answer of a mesh does not wait for.
    from heddle.controlplane.access.authority import Authority, AuthorityError  # noqa: PLC0415
    from heddle.controlplane.access.caller import GATEWAYS  # noqa: PLC0415
    from heddle.controlplane.distribution.joining import MAX_NAME_CHARS, group_of, user_of  # noqa: PLC0415

    name = re.sub(r"[^a-z0-9.-]+", "-", socket.gethostname().lower()).strip("-.")[:MAX_NAME_CHARS] or "local"
    path = state_dir / IDENTITY_FILE
    try:
        authority = Authority(state_dir, time.time)
        made = authority.issue(user_of(name), (GATEWAYS, group_of(EVERYTHING.gateway)), LOCAL_TTL_S)
        return write_identity(path, name, EVERYTHING, made.key, made.certificate, authority.ca_pem)
    except AuthorityError as exc:
        raise IdentityError(str(exc)) from exc
    except OSError as exc:
        raise IdentityError(str(refusal(state_dir, exc))) from exc
