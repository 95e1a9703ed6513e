"""Who is sent what and when: one update under way to each gateway, never a queue, ten a second at most.

Owns the pace. The first change goes at once; while an answer is awaited, or less than a tenth of a second has passed,
newer states replace what would have been sent, so that a slow gateway costs one update however long it takes. What a
gateway rejected, or left out, is not offered again until there is something newer, or a minute has passed: some reasons
pass, such as a port that is taken.

Refuses: a name that is connected with another certificate or from another machine, a verdict on what was not sent, and
more gateways than there is room for.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from heddle.controlplane.distribution.roll import GatewayRecord, Roll
from heddle.controlplane.distribution.states import Settled, States
from heddle.controlplane.distribution.views import View
from heddle.wire.delta import (
    HEARTBEAT_S,
    Ack,
    Busy,
    DeltaError,
    Hello,
    Point,
    Reject,
    Welcome,
    common_protocol,
    encode,
)
from heddle.wire.found import Found

_log = logging.getLogger("heddle.distribution")

INTERVAL_S = 0.1
"""Between two updates to one gateway."""
ANSWER_S = 120.0
"""How long a gateway may take to say whether it runs what it was sent; its workers have thirty seconds each."""
AGAIN_S = 60.0
"""When a rejected state is offered once more."""
SILENT_S = 3 * HEARTBEAT_S
MAX_FOLLOWERS = 20_000
BUSY_S = 5.0


class Wire(Protocol):
    """The connection to a gateway."""

    @property
    def address(self) -> str:
        """Where it comes from."""
        ...

    def send(self, frame: bytes) -> None:
        """Have it written when there is room for it."""
        ...

    def close(self) -> None:
        """End it, after what was sent."""
        ...


class Follower:
    """A connected gateway."""

    __slots__ = (
        *("base", "certificate", "heard_s", "interest", "lacks", "name", "next_s", "node"),
        *("refused", "refused_s", "sent", "sent_s", "view", "wire"),
    )

    def __init__(self, name: str, certificate: str, hello: Hello, view: View, wire: Wire) -> None:
        self.name = name
        self.certificate = certificate
        """Serial number of it."""
        self.node = hello.node
        self.interest = hello.interest
        self.view = view
        self.wire = wire
        self.base = hello.held
        """What it holds: what updates begin at."""
        self.sent: Point | None = None
        """What it was sent and has not answered."""
        self.sent_s = 0.0
        self.next_s = 0.0
        """Before this nothing is sent."""
        self.heard_s = 0.0
        self.refused = ""
        """Digest of what it rejected last."""
        self.refused_s = 0.0
        self.lacks = False
        """It leaves out something of what it runs."""


class Hub:
    """All connected gateways."""

    def __init__(
        self,
        states: States,
        roll: Roll,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        """`clock` is monotonic, in seconds; `later(seconds, call)` calls once."""
        self.states = states
        self.roll = roll
        self._clock = clock
        self._later = later
        self._followers: dict[str, Follower] = {}
        self._early: list[tuple[str, str, Hello, Wire, Callable[[Follower], None]]] = []
        """Greeted before there was anything to send."""
        self._paced: set[Follower] = set()
        """Those for whom the next update waits for its time."""
        self._armed = False
        self.on_found: Callable[[str, Mapping[str, bytes], Found], None] = lambda _name, _sent, _found: None
        """Told what a gateway finds, with its name and the parts it is sent."""

    def __len__(self) -> int:
        return len(self._followers)

    def publish(self, settled: Settled) -> None:
        """There is a new state: everybody it concerns is sent what changed."""
        moved = set(map(id, self.states.publish(settled)))
        now_s = self._clock()
        for follower in list(self._followers.values()):
            if id(follower.view) in moved:
                self.roll.wants((follower.name,), follower.view.at)
                self._offer(follower, now_s)
        early, self._early = self._early, []
        for name, certificate, hello, wire, follows in early:
            self.greet(name, certificate, hello, wire, follows)

    def greet(self, name: str, certificate: str, hello: Hello, wire: Wire, follows: Callable[[Follower], None]) -> None:
        """Somebody proven to be `name` asks to follow; `follows` is called once it does. Raises DeltaError."""
        if not self.states.published:
            if len(self._early) >= MAX_FOLLOWERS:
                self._busy(wire, "the control plane is starting")
            else:
                self._early.append((name, certificate, hello, wire, follows))
            return
        protocol = common_protocol(hello.protocol, hello.oldest)
        refusal = self._unwelcome(name, certificate, hello)
        if refusal:
            self._busy(wire, refusal)
            return
        states = self.states
        # Replicas count versions alike and settle at different ones: what is the same is not behind.
        same = hello.held.digest == states.view(hello.interest).at.digest
        ahead = hello.held.lineage == states.lineage and hello.held.version > states.version
        if ahead and not same and not hello.take_older:
            message = f"version {hello.held.version} is held, {states.version} is the latest known here"
            wire.send(encode(Busy(BUSY_S, message, behind=True)))
            wire.close()
            return
        follower = self._followers[name] = Follower(name, certificate, hello, states.view(hello.interest), wire)
        follower.heard_s = self._clock()
        wire.send(encode(Welcome(protocol)))
        self.roll.came(_record(follower, hello))
        follows(follower)
        self._offer(follower, follower.heard_s)

    def _unwelcome(self, name: str, certificate: str, hello: Hello) -> str:
        """Why it is not let in; makes room for a gateway that is back before its old connection is known to be dead."""
        there = self._followers.get(name)
        if there is None:
            return "there is no room for another gateway" if len(self._followers) >= MAX_FOLLOWERS else ""
        if there.certificate != certificate or there.node != hello.node:
            _log.warning(
                "gateway %s is connected from %s; another that calls itself so is not let in", name, there.node
            )
            return f"a gateway called {name} is connected already, from {there.node or 'elsewhere'}"
        self.gone(there)
        there.wire.close()
        return ""

    def _busy(self, wire: Wire, message: str) -> None:
        wire.send(encode(Busy(BUSY_S, message)))
        wire.close()

    def ack(self, follower: Follower, ack: Ack) -> None:
        """It runs what it was sent, perhaps but for something. Raises DeltaError when it was not sent that."""
        follower.base, follower.refused = self._answered(follower, ack.at), ""
        follower.lacks, follower.refused_s = bool(ack.message), follower.heard_s
        self.roll.runs(follower.name, follower.base, ack.message, ack.path)
        self._offer(follower, follower.heard_s)

    def reject(self, follower: Follower, reject: Reject) -> None:
        """It does not, and holds what it held. Raises DeltaError when it was not sent that."""
        rejected = self._answered(follower, reject.at)
        follower.refused, follower.refused_s = rejected.digest, follower.heard_s
        self.roll.refuses(follower.name, reject.message, reject.path)
        _log.warning("gateway %s rejects version %d, at %r", follower.name, rejected.version, reject.path[:200])
        self._offer(follower, follower.heard_s)

    def found(self, follower: Follower, found: Found) -> None:
        """It says what is behind what it runs."""
        follower.heard_s = self._clock()
        self.on_found(follower.name, follower.view.parts, found)

    def resync(self, follower: Follower) -> None:
        """What it was sent did not fit: it holds nothing from here on."""
        if follower.sent is None:
            raise DeltaError("nothing was sent that could not fit")
        follower.heard_s = self._clock()
        follower.sent, follower.base = None, Point()
        self._offer(follower, follower.heard_s)

    def heard(self, follower: Follower) -> None:
        """It lives."""
        follower.heard_s = self._clock()

    def gone(self, follower: Follower) -> None:
        """Its connection ended, or is about to."""
        if self._followers.get(follower.name) is not follower:
            return
        del self._followers[follower.name]
        self._paced.discard(follower)
        self.roll.left(follower.name)

    def forget_early(self, wire: Wire) -> None:
        """It ended before it could be greeted."""
        self._early = [one for one in self._early if one[3] is not wire]

    def end(self, name: str) -> None:
        """It is not to be here any more: its certificate was revoked, say."""
        follower = self._followers.get(name)
        if follower is not None:
            self.gone(follower)
            follower.wire.close()

    def followers(self) -> list[Follower]:
        """All that are connected."""
        return list(self._followers.values())

    def sweep(self) -> None:
        """Every few seconds: end what is silent or does not answer, offer again what was rejected long ago."""
        now_s = self._clock()
        for follower in list(self._followers.values()):
            silent = now_s - follower.heard_s > SILENT_S
            if silent or (follower.sent is not None and now_s - follower.sent_s > ANSWER_S):
                _log.warning(
                    "gateway %s %s; its connection is ended", follower.name, "is silent" if silent else "hangs"
                )
                self.gone(follower)
                follower.wire.close()
            elif (follower.refused or follower.lacks) and now_s - follower.refused_s > AGAIN_S:
                follower.refused = ""
                if follower.lacks and follower.sent is None:
                    follower.base = Point()
                self._offer(follower, now_s)
        self.states.sweep({id(follower.view) for follower in self._followers.values()}, now_s)
        if all(follower.sent is None for follower in self._followers.values()):
            self.states.forget_frames()

    def _answered(self, follower: Follower, at: Point) -> Point:
        follower.heard_s = self._clock()
        sent = follower.sent
        if sent is None or sent.digest != at.digest:
            raise DeltaError("a verdict on something that was not sent")
        follower.sent = None
        return sent

    def _offer(self, follower: Follower, now_s: float) -> None:
        """Send it the newest state, if that is news to it and it is time."""
        self._paced.discard(follower)
        if follower.sent is not None or follower.view.at.digest == follower.refused:
            return
        if follower.view.at.digest == follower.base.digest:
            if follower.refused:
                # What it rejected was taken back: it runs what it should without being sent anything.
                follower.refused = ""
                self.roll.runs(follower.name, follower.base)
            return
        if now_s < follower.next_s:
            self._paced.add(follower)
            self._arm(follower.next_s - now_s)
            return
        frame = follower.view.frame(follower.base)
        follower.sent, follower.sent_s, follower.next_s = follower.view.at, now_s, now_s + INTERVAL_S
        follower.wire.send(frame)

    def _arm(self, wait_s: float) -> None:
        if not self._armed:
            self._armed = True
            self._later(wait_s, self._turn)

    def _turn(self) -> None:
        self._armed = False
        now_s = self._clock()
        for follower in list(self._paced):
            self._offer(follower, now_s)


def _record(follower: Follower, hello: Hello) -> GatewayRecord:
    return GatewayRecord(
        name=follower.name,
        node=hello.node[:253],
        address=follower.wire.address,
        program=hello.program[:64],
        gateway=hello.interest.gateway,
        wanted=follower.view.at,
        runs=hello.held,
    )
