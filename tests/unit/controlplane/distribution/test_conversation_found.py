"""Who may say what was found: a gateway that follows, of what it is sent, under its own name."""

from collections.abc import Mapping

import pytest
from tests.unit.controlplane.distribution.parts import part
from tests.unit.controlplane.distribution.test_hub import A, Rig, Wire

from heddle.controlplane.distribution.conversation import FOUND_S, MAX_FOUND, Conversation
from heddle.controlplane.distribution.states import Settled
from heddle.wire.delta import DeltaError, Ping
from heddle.wire.found import Found, FoundServer

FOUND = Found(changed=(FoundServer(target="time"),), whole=True)


def test_what_a_gateway_finds_is_told_with_its_name_and_what_it_is_sent():
    rig = Rig()
    rig.hub.publish(Settled(1, {"target/time": part("t"), "target/payroll": part("p", "default/other")}))
    told: list[tuple[str, set[str], Found]] = []

    def hear(name: str, sent: Mapping[str, bytes], found: Found) -> None:
        told.append((name, set(sent), found))

    rig.hub.on_found = hear
    wire = Wire()
    talk = Conversation(rig.hub, None, wire, None, lambda: None)  # type: ignore[arg-type]
    _, (follower,) = rig.greet("edge-1", interest=A)
    talk._follows(follower)
    rig.now_s += 5
    talk.received(FOUND)
    assert told == [("edge-1", {"target/time"}, FOUND)]
    assert follower.heard_s == rig.now_s, "who tells lives"


def test_who_has_not_greeted_finds_nothing():
    rig = Rig()
    rig.publish("0")
    told: list[object] = []
    rig.hub.on_found = lambda *said: told.append(said)
    talk = Conversation(rig.hub, None, Wire(), None, lambda: None)  # type: ignore[arg-type]
    talk.received(Ping())
    with pytest.raises(DeltaError, match="greets first"):
        talk.received(FOUND)
    assert told == []


def test_who_never_stops_telling_is_ended():
    rig = Rig()
    rig.publish("0")
    talk = Conversation(rig.hub, None, Wire(), None, lambda: None)  # type: ignore[arg-type]
    _, (follower,) = rig.greet()
    talk._follows(follower)
    for _ in range(3):
        rig.now_s += FOUND_S + 1
        for _ in range(MAX_FOUND):
            talk.received(FOUND)
    with pytest.raises(DeltaError, match="more than 200"):
        talk.received(FOUND)
