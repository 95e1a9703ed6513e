"""The pace: who is sent what and when. Time is a number here, and wires are lists."""

from collections.abc import Callable

import msgspec
import pytest
from tests.unit.controlplane.distribution.parts import part

from heddle.controlplane.distribution import hub as hubs
from heddle.controlplane.distribution.hub import Follower, Hub
from heddle.controlplane.distribution.roll import Roll
from heddle.controlplane.distribution.states import Settled, States
from heddle.wire.delta import (
    Ack,
    Busy,
    Delta,
    DeltaError,
    Full,
    Hello,
    Interest,
    Point,
    Reject,
    Welcome,
    frames_to_gateway,
)

A = Interest("default/a")


class Wire:
    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed = False
        self.address = "127.0.0.1:5"

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)

    def close(self) -> None:
        self.closed = True

    @property
    def messages(self) -> list[object]:
        return list(frames_to_gateway().feed(b"".join(self.frames)))

    @property
    def updates(self) -> list[Full | Delta]:
        return [one for one in self.messages if isinstance(one, Full | Delta)]


class Rig:
    """A hub whose clock the test turns."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.roll = Roll(lambda: self.now_s)
        self.states = States("one")
        self.hub = Hub(self.states, self.roll, lambda: self.now_s, self.later)
        self.version = 0

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.timers.append((self.now_s + seconds, call))

    def pass_s(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while due := sorted((one for one in self.timers if one[0] <= until_s + 1e-9), key=lambda one: one[0]):
            self.timers.remove(due[0])
            self.now_s = max(self.now_s, due[0][0])
            due[0][1]()
        self.now_s = until_s

    def publish(self, text: str, *gateways: str) -> None:
        self.version += 1
        self.hub.publish(Settled(self.version, {"model/a": part(text, *gateways)}))

    def greet(
        self, name: str = "g", serial: str = "01", node: str = "n", **said: object
    ) -> tuple[Wire, list[Follower]]:
        wire, follows = Wire(), []
        hello = Hello(name, node, "1", said.pop("interest", A), **said)  # type: ignore[arg-type]
        self.hub.greet(name, serial, hello, wire, follows.append)
        return wire, follows

    def ack(self, follower: Follower) -> None:
        assert follower.sent is not None
        self.hub.ack(follower, Ack(follower.sent))


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.publish("0")
    return made


def test_who_comes_is_welcomed_and_sent_everything(rig: Rig):
    wire, (follower,) = rig.greet()
    assert isinstance(wire.messages[0], Welcome)
    assert [type(one) for one in wire.updates] == [Full]
    rig.ack(follower)
    record = rig.roll.get("g")
    assert record is not None
    assert record.current
    assert record.runs.version == 1


def test_who_holds_the_state_is_sent_nothing(rig: Rig):
    _, (follower,) = rig.greet()
    rig.ack(follower)
    rig.hub.gone(follower)
    wire, (again,) = rig.greet(held=follower.base)
    assert wire.updates == []
    rig.publish("1")
    assert [type(one) for one in wire.updates] == [Delta]
    assert again.sent == rig.states.view(A).at


def test_the_first_change_goes_at_once_the_next_after_a_tenth_of_a_second(rig: Rig):
    wire, (follower,) = rig.greet()
    rig.ack(follower)
    rig.pass_s(1)
    rig.publish("1")
    assert len(wire.updates) == 2
    rig.ack(follower)
    for text in "2345":
        rig.pass_s(0.01)
        rig.publish(text)
    assert len(wire.updates) == 2
    rig.pass_s(0.1)
    assert len(wire.updates) == 3
    assert wire.updates[-1].to.version == rig.version


def test_a_thousand_changes_a_second_are_ten_updates(rig: Rig):
    wire, (follower,) = rig.greet()
    rig.ack(follower)
    rig.pass_s(1)
    before = len(wire.updates)
    for number in range(1000):
        rig.publish(str(number + 10))
        if follower.sent is not None:
            rig.ack(follower)
        rig.pass_s(0.001)
    assert 9 <= len(wire.updates) - before <= 11


def test_a_slow_gateway_is_sent_one_update_however_many_there_are(rig: Rig):
    wire, (follower,) = rig.greet()
    for number in range(50):
        rig.publish(str(number + 1))
        rig.pass_s(0.2)
    assert len(wire.updates) == 1
    rig.ack(follower)
    rig.pass_s(0.2)
    assert len(wire.updates) == 2
    assert wire.updates[-1].to.version == rig.version


def test_what_was_rejected_is_not_offered_again_until_there_is_something_newer(rig: Rig):
    wire, (follower,) = rig.greet()
    rig.ack(follower)
    rig.pass_s(1)
    rig.publish("bad")
    rig.hub.reject(follower, Reject(follower.sent or Point(), "no\x1b[2J port\n", "listeners/web"))
    rig.pass_s(10)
    rig.hub.sweep()
    assert len(wire.updates) == 2
    record = rig.roll.get("g")
    assert record is not None
    assert (record.error, record.error_path, record.current) == ("no [2J port", "listeners/web", False)
    assert record.runs.version == 1, "it runs what it ran"
    rig.publish("good")
    change = wire.updates[-1]
    assert isinstance(change, Delta)
    assert change.base.version == 1
    rig.ack(follower)
    assert rig.roll.get("g").error == ""  # type: ignore[union-attr]


def test_who_rejected_what_was_taken_back_runs_what_it_should(rig: Rig):
    wire, (follower,) = rig.greet()
    rig.ack(follower)
    rig.pass_s(1)
    rig.publish("bad")
    rig.hub.reject(follower, Reject(follower.sent or Point(), "no"))
    rig.pass_s(1)
    rig.publish("0")
    record = rig.roll.get("g")
    assert record is not None
    assert (record.error, record.current) == ("", True)
    assert len(wire.updates) == 2
    rig.publish("bad")
    assert len(wire.updates) == 3, "it is news again"


def test_what_was_rejected_is_offered_again_after_a_minute(rig: Rig):
    wire, (follower,) = rig.greet()
    rig.hub.reject(follower, Reject(follower.sent or Point(), "the port is taken"))
    rig.pass_s(hubs.AGAIN_S - 20)
    rig.hub.heard(follower)
    rig.pass_s(30)
    rig.hub.sweep()
    assert len(wire.updates) == 2


def test_what_was_left_out_is_tried_again_after_a_minute_and_by_the_next_change(rig: Rig):
    wire, (follower,) = rig.greet()
    rig.hub.ack(follower, Ack(follower.sent or Point(), "the port is taken", "listener/default/a/http"))
    record = rig.roll.get("g")
    assert record is not None
    assert (record.error, record.error_path, record.current) == ("the port is taken", "listener/default/a/http", False)
    assert record.runs == record.wanted, "everything else runs"
    rig.pass_s(1)
    rig.publish("1")
    assert [type(one) for one in wire.updates] == [Full, Delta]
    rig.hub.ack(follower, Ack(follower.sent or Point(), "the port is taken", "listener/default/a/http"))
    rig.pass_s(hubs.AGAIN_S - 20)
    rig.hub.heard(follower)
    rig.pass_s(30)
    rig.hub.sweep()
    assert [type(one) for one in wire.updates] == [Full, Delta, Full]
    rig.hub.sweep()
    rig.ack(follower)
    record = rig.roll.get("g")
    assert record is not None
    assert (record.error, record.current) == ("", True)
    rig.pass_s(30)
    rig.hub.heard(follower)
    rig.pass_s(30)
    rig.hub.sweep()
    assert len(wire.updates) == 3


def test_a_verdict_on_what_was_not_sent_is_refused(rig: Rig):
    _, (follower,) = rig.greet()
    with pytest.raises(DeltaError):
        rig.hub.ack(follower, Ack(Point("one", 1, "f" * 64)))
    rig.ack(follower)
    with pytest.raises(DeltaError):
        rig.hub.ack(follower, Ack(follower.base))
    with pytest.raises(DeltaError):
        rig.hub.resync(follower)


def test_who_cannot_use_a_change_is_sent_everything(rig: Rig):
    wire, (follower,) = rig.greet()
    rig.ack(follower)
    rig.pass_s(1)
    rig.publish("1")
    rig.hub.resync(follower)
    rig.pass_s(1)
    assert [type(one) for one in wire.updates] == [Full, Delta, Full]


def test_a_name_with_another_certificate_or_elsewhere_is_not_let_in(rig: Rig):
    wire, _ = rig.greet(serial="01", node="n")
    for serial, node in (("02", "n"), ("01", "elsewhere")):
        thief, follows = rig.greet(serial=serial, node=node)
        assert follows == []
        assert isinstance(thief.messages[0], Busy)
        assert thief.closed
    assert not wire.closed


def test_a_gateway_that_comes_back_takes_the_place_of_its_dead_connection(rig: Rig):
    old, (before,) = rig.greet()
    _, (follower,) = rig.greet()
    assert old.closed
    rig.hub.gone(before)
    assert rig.hub.followers() == [follower]
    assert rig.roll.get("g").connected  # type: ignore[union-attr]


def test_who_is_ahead_is_told_that_we_are_behind(rig: Rig):
    ahead = Point("one", 99, "f" * 64)
    wire, follows = rig.greet(held=ahead)
    assert follows == []
    (answer,) = wire.messages
    assert isinstance(answer, Busy)
    assert answer.behind
    wire, follows = rig.greet(held=ahead, take_older=True)
    assert len(follows) == 1
    assert isinstance(wire.updates[0], Full)
    wire, follows = rig.greet(name="other", held=Point("another lineage", 99, "f" * 64))
    assert len(follows) == 1


def test_what_is_the_same_is_not_behind_however_it_is_numbered(rig: Rig):
    wire, (follower,) = rig.greet()
    rig.ack(follower)
    later = msgspec.structs.replace(follower.base, version=follower.base.version + 50)
    wire, follows = rig.greet(held=later)
    assert len(follows) == 1
    assert wire.updates == []


def test_nobody_is_sent_anything_before_there_is_a_state():
    rig = Rig()
    wire, follows = rig.greet()
    gone, _ = rig.greet(name="gone")
    rig.hub.forget_early(gone)
    assert wire.frames == []
    rig.publish("1")
    assert len(follows) == 1
    assert [type(one) for one in wire.messages] == [Welcome, Full]
    assert gone.frames == []


def test_an_empty_state_is_one(rig: Rig):
    rig = Rig()
    wire, _ = rig.greet()
    rig.hub.publish(Settled(1, {}))
    assert [type(one) for one in wire.messages] == [Welcome, Full]


def test_who_is_silent_or_does_not_answer_is_ended(rig: Rig):
    silent, _ = rig.greet(name="silent")
    hangs, (follower,) = rig.greet(name="hangs")
    for _ in range(13):
        rig.pass_s(10)
        rig.hub.heard(follower)
        rig.hub.sweep()
    assert silent.closed
    assert hangs.closed
    assert len(rig.hub) == 0
    assert [one.connected for one in rig.roll.records()] == [False, False]


def test_there_is_room_for_so_many(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hubs, "MAX_FOLLOWERS", 1)
    rig.greet(name="a")
    wire, follows = rig.greet(name="b")
    assert isinstance(wire.messages[0], Busy)
    assert follows == []


def test_another_protocol_is_refused(rig: Rig):
    with pytest.raises(DeltaError, match="protocol"):
        rig.greet(protocol=9, oldest=9)


def test_a_revoked_gateway_is_sent_nothing_more(rig: Rig):
    wire, _ = rig.greet()
    rig.hub.end("g")
    rig.hub.end("nobody")
    rig.publish("1")
    assert wire.closed
    assert len(wire.updates) == 1


def test_those_who_left_are_remembered_up_to_a_number(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("heddle.controlplane.distribution.roll.MAX_AWAY", 2)
    for name in "abcd":
        _, (follower,) = rig.greet(name=name)
        rig.hub.gone(follower)
    assert [one.name for one in rig.roll.records()] == ["c", "d"]
