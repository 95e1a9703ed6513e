"""Any history of parts, any order of gateways that come, lag and lose what they hold: each ends with what it needs."""

from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.controlplane.distribution.states import Settled, States
from heddle.controlplane.distribution.views import EVERYTHING, Part
from heddle.wire.delta import (
    Delta,
    DeltaError,
    Full,
    Held,
    Interest,
    digest_of,
    frames_from_gateway,
    frames_to_gateway,
    hexed,
)

NAMES = [f"model/{letter}" for letter in "abcde"]
GATEWAYS = ["n/a", "n/b", EVERYTHING]
parts = st.builds(
    Part,
    st.sampled_from([b"0", b"1", b"2"]),
    st.none() | st.frozensets(st.sampled_from(["n/a", "n/b"])),
    st.booleans(),
)
changes = st.dictionaries(st.sampled_from(NAMES), st.none() | parts, max_size=4)
steps = st.lists(st.tuples(changes, st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5), max_size=1)), max_size=30)


def needed(everything: dict[str, Part], gateway: str) -> dict[str, bytes]:
    """What a gateway is to hold, said once more and differently."""
    found = {}
    for name, part in everything.items():
        named = {"n/a", "n/b"} if part.audience is None else part.audience
        shared = part.audience is None or not part.alone
        if (gateway == EVERYTHING and named and shared) or gateway in named:
            found[name] = part.data
    return found


@settings(max_examples=300, deadline=None)
@given(steps)
def test_every_gateway_ends_with_what_it_needs(history: list[tuple[dict[str, Part | None], set[int], set[int]]]):
    states, everything = States("one"), dict[str, Part]()
    states.publish(Settled(1, {}))
    held = [Held() for _ in range(6)]
    for version, (change, updated, lost) in enumerate(history, 2):
        states.publish(Settled(version, change))
        for name, part in change.items():
            everything.pop(name, None)
            if part is not None:
                everything[name] = part
        for number in lost:
            held[number] = Held()
        for number in updated:
            gateway = GATEWAYS[number % 3]
            view = states.view(Interest(gateway))
            (update,) = frames_to_gateway().feed(view.frame(held[number].at))
            assert isinstance(update, Full | Delta)
            held[number] = held[number].after(update)
            assert held[number].parts == needed(everything, gateway)
            assert held[number].at.digest == hexed(digest_of(held[number].parts)) == view.at.digest


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=400), st.integers(1, 50))
def test_garbage_is_refused_or_waited_for_but_never_a_crash(data: bytes, step: int):
    for frames in (frames_from_gateway(), frames_to_gateway()):
        try:
            for at in range(0, len(data), step):
                list(frames.feed(data[at : at + step]))
        except DeltaError:
            continue
        assert len(frames.buffer) <= len(data)
