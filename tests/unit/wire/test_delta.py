"""Frames, digests, and what an update makes of what is held."""

import pytest

from heddle.wire import delta
from heddle.wire.delta import (
    Ack,
    Delta,
    DeltaError,
    Full,
    Held,
    Hello,
    Interest,
    MismatchError,
    Ping,
    Point,
    Welcome,
    common_protocol,
    digest_of,
    encode,
    frames_from_gateway,
    frames_to_gateway,
    hexed,
    moved,
)

HELLO = Hello("edge", "node", "1.0", Interest("default/edge"), Point("one", 3, "ab"))


def point(parts: dict[str, bytes], version: int = 1) -> Point:
    return Point("one", version, hexed(digest_of(parts)))


def held(parts: dict[str, bytes], version: int = 1) -> Held:
    return Held(point(parts, version), parts)


def test_messages_come_out_as_they_went_in_however_the_bytes_are_cut():
    data = encode(HELLO) + encode(Ping()) + encode(Ack(Point("one", 4, "cd")))
    for step in (1, 3, len(data)):
        frames = frames_from_gateway()
        found = [one for at in range(0, len(data), step) for one in frames.feed(data[at : at + step])]
        assert found == [HELLO, Ping(), Ack(Point("one", 4, "cd"))]


def test_a_frame_that_says_it_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(DeltaError, match="at most 65536"):
        list(frames_from_gateway().feed((delta.MAX_FROM_GATEWAY_BYTES + 1).to_bytes(4, "big")))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x80",
        b"\x81\xa4type\xa4nope",
        b"\x91" * 40_000,
        b"\x82\xa4type\xa3ack\xa2at\x01",
        b"\x81\xa4type\xa5hello",
        b"\x82\xa4type\xa4join\xa5token\xa1\xff",
        encode(Welcome(1))[4:],
        encode(HELLO)[4:] + b"\x00",
    ],
    ids=[
        "empty",
        "reserved",
        "no type",
        "unknown",
        "deep",
        "wrong type",
        "incomplete",
        "not UTF-8",
        "other side's",
        "more",
    ],
)
def test_what_is_no_message_is_refused(body: bytes):
    with pytest.raises(DeltaError):
        list(frames_from_gateway().feed(len(body).to_bytes(4, "big") + body))


def test_names_are_bounded():
    long = Hello("n" * 400, "node", "1.0", Interest("default/edge"))
    with pytest.raises(DeltaError):
        list(frames_from_gateway().feed(encode(long)))


def test_a_gateway_reads_states_larger_than_it_may_send():
    full = Full(Point("one", 1, "ab"), {"model/a": b"x" * (delta.MAX_FROM_GATEWAY_BYTES + 1)})
    assert list(frames_to_gateway().feed(encode(full))) == [full]


def test_a_digest_is_of_what_is_there_not_of_how_it_came_about():
    a, b, c = ("model/a", b"1"), ("model/b", b"2"), ("model/b", b"3")
    one = moved(moved(moved(0, (), [a]), (), [b]), [b], [c])
    assert one == digest_of(dict([c, a]))
    assert moved(one, [a, c], ()) == 0


def test_a_name_does_not_run_over_into_what_it_names():
    assert digest_of({"model/a": b"b"}) != digest_of({"model/ab": b""})


def test_a_full_state_is_taken_when_its_digest_is_right():
    parts = {"model/a": b"1"}
    assert Held().after(Full(point(parts), parts)) == held(parts)
    with pytest.raises(MismatchError):
        Held().after(Full(point(parts), {"model/a": b"2"}))


def test_a_change_leads_from_what_is_held_to_what_is_said():
    before = held({"model/a": b"1", "model/b": b"1"})
    after = {"model/a": b"2", "model/c": b"1"}
    update = Delta(before.at, point(after, 2), {"model/a": b"2", "model/c": b"1"}, ("model/b",))
    assert before.after(update) == held(after, 2)
    assert before == held({"model/a": b"1", "model/b": b"1"}), "what was held is not touched"


@pytest.mark.parametrize(
    ("changed", "removed"),
    [
        ({"model/a": b"3"}, ()),
        ({}, ("model/x",)),
        ({"model/a": b"2"}, ("model/a",)),
        ({"model/a": b"2"}, ("model/b", "model/b")),
    ],
    ids=["another outcome", "not there", "changed and removed", "removed twice"],
)
def test_a_change_that_does_not_fit_is_none(changed: dict[str, bytes], removed: tuple[str, ...]):
    before = held({"model/a": b"1", "model/b": b"1"})
    with pytest.raises(MismatchError):
        before.after(Delta(before.at, point({"model/a": b"2"}, 2), changed, removed))


def test_a_change_of_another_state_does_not_fit():
    before = held({"model/a": b"1"})
    with pytest.raises(MismatchError, match="version 7"):
        before.after(Delta(Point("one", 7, "00"), before.at, {}))


def test_peers_speak_the_lower_of_their_versions_or_part():
    assert common_protocol(99, 1) == delta.PROTOCOL
    with pytest.raises(DeltaError, match="protocol 98 to 99"):
        common_protocol(99, 98)
    with pytest.raises(DeltaError):
        common_protocol(0, 0)


def test_fields_that_a_later_program_adds_are_passed_over():
    body = b"\x82\xa4type\xa4ping\xa3new\x01"
    assert list(frames_from_gateway().feed(len(body).to_bytes(4, "big") + body)) == [Ping()]


def test_a_token_is_not_shown():
    assert "hush" not in repr(delta.Join("hush", b""))
