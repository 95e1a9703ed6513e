"""Sealed values: opened by who they are for, for a while, and otherwise one and the same error."""

import base64
import fcntl
import logging
import os
import string
import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.drivers.sealing import KEEP_S, MAX_VALUE_BYTES, ROTATE_S, SealError, Sealing
from heddle.drivers.sealing.keys import SealKey, SealKeysError

DIGITS = string.ascii_letters + string.digits + "-_"
OLD_KEY, NEW_KEY = "o" * 32, "n" * 32
HERE = Sealing()


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sealing_at(tmp_path: Path, clock: Clock) -> Callable[..., Sealing]:
    """Another process' view of the machine's keys."""
    return lambda **given: Sealing(tmp_path / "state" / "seal.keys", now=clock, **given)


def refused(sealing: Sealing, purpose: str, text: str, bound: bytes = b"") -> str:
    with pytest.raises(SealError) as caught:
        sealing.open(purpose, text, bound)
    assert caught.value.__cause__ is None
    return str(caught.value)


@settings(deadline=None)
@given(st.binary(max_size=400), st.text(min_size=1, max_size=40), st.binary(max_size=80))
def test_what_was_sealed_is_opened(value: bytes, purpose: str, bound: bytes):
    text = HERE.seal(purpose, value, bound)
    assert set(text) <= set(DIGITS), "fit for a header field and a URL"
    assert HERE.open(purpose, text, bound) == value


@settings(deadline=None)
@given(st.text(max_size=600))
def test_garbage_is_refused(text: str):
    refused(HERE, "p", text)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=60), st.data())
def test_no_character_can_be_changed_added_or_left_out(value: bytes, data: st.DataObject):
    text = HERE.seal("p", value)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from([digit for digit in DIGITS + "=+/ \n\u00e9" if digit != text[at]]))
    refused(HERE, "p", text[:at] + other + text[at + 1 :])
    refused(HERE, "p", text[:at] + other + text[at:])
    refused(HERE, "p", text[:at] + text[at + 1 :])


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_a_value_has_one_spelling(size: int):
    text = HERE.seal("p", bytes(size))
    spellings = {text + "=", text + "==", text + "A", text + "\n", " " + text, text.replace("-", "+").replace("_", "/")}
    spellings |= {text[:-1] + digit for digit in DIGITS}
    for spelling in spellings - {text}:
        refused(HERE, "p", spelling)


def test_nothing_of_the_value_shows_and_equal_values_look_different():
    texts = {HERE.seal("p", b"secret" * 10) for _ in range(50)}
    assert len({text[8:40] for text in texts}) == 50
    assert not [text for text in texts if b"secret" in base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))]


def test_another_use_carrier_key_and_end_are_one_error(clock: Clock):
    sealing = Sealing(now=clock)
    text = sealing.seal("session", b"v", b"alice", 60)
    told = {
        refused(sealing, "task", text, b"alice"),
        refused(sealing, "session", text, b"bob"),
        refused(sealing, "session", text),
        refused(sealing, "sessio", text, b"nalice"),
        refused(sealing, "sessiona", text, b"lice"),
        refused(Sealing(now=clock), "session", text, b"alice"),
        refused(sealing, "session", "x" * 10, b"alice"),
        refused(sealing, "session", "A" * 10_000_000, b"alice"),
    }
    assert sealing.open("session", text, b"alice") == b"v"
    clock.now += 60
    told.add(refused(sealing, "session", text, b"alice"))
    assert told == {"not sealed here for this use, or over"}


def test_a_value_ends_when_it_was_meant_to(clock: Clock):
    sealing = Sealing(now=clock)
    short, long = sealing.seal("p", b"s", ttl_s=0.5), sealing.seal("p", b"l")
    clock.now += 0.4
    assert sealing.open("p", short) == b"s"
    clock.now += 0.2
    refused(sealing, "p", short)
    clock.now += 10 * 366 * 86_400
    assert sealing.open("p", long) == b"l", "a key that is never dropped opens for ever"


@pytest.mark.parametrize(
    ("purpose", "size", "ttl_s"),
    [("p", MAX_VALUE_BYTES + 1, 0), ("p", 1, -1), ("p", 1, KEEP_S + 1), ("p", 1, float("nan")), ("", 1, 0)],
)
def test_what_cannot_be_sealed_is_a_mistake_of_ours(purpose: str, size: int, ttl_s: float):
    with pytest.raises(ValueError):
        HERE.seal(purpose, bytes(size), ttl_s=ttl_s)
    with pytest.raises(ValueError):
        HERE.seal("p" * 256, b"")
    assert len(HERE.open("p", HERE.seal("p", bytes(MAX_VALUE_BYTES)))) == MAX_VALUE_BYTES


# Keys that a machine's processes share


def test_processes_of_a_machine_open_for_each_other(sealing_at: Callable[..., Sealing]):
    one, other = sealing_at(), sealing_at()
    assert other.open("p", one.seal("p", b"1")) == b"1"
    assert one.open("p", other.seal("p", b"2")) == b"2"


def test_the_file_is_for_its_owner_alone(sealing_at: Callable[..., Sealing], tmp_path: Path):
    sealing_at().prepare()
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()} == {
        "seal.keys": 0o600,
        "seal.keys.lock": 0o600,
    }
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_new_key_seals_after_a_day_and_the_former_one_still_opens(
    sealing_at: Callable[..., Sealing], clock: Clock, tmp_path: Path
):
    one, other = sealing_at(), sealing_at()
    first = one.seal("p", b"first", ttl_s=KEEP_S)
    assert other.open("p", first) == b"first"
    clock.now += ROTATE_S
    second = one.seal("p", b"second")
    assert first[:8] != second[:8], "another key"
    # Within the second in which it looked last: an unknown key is looked for at once.
    other._looked_s = clock.now
    assert other.open("p", second) == b"second"
    assert other.seal("p", b"")[:8] == second[:8], "whoever comes later adds none"
    clock.now += KEEP_S - ROTATE_S - 1
    assert one.open("p", first) == other.open("p", first) == b"first"
    clock.now += ROTATE_S + 2
    kept = (tmp_path / "state" / "seal.keys").read_bytes().splitlines()
    assert len(kept) == 3
    one.seal("p", b"")
    refused(one, "p", first)
    refused(other, "p", first)
    refused(sealing_at(), "p", first)
    assert (tmp_path / "state" / "seal.keys").read_bytes().splitlines()[:-1] == kept[1:], (
        "what nothing needs is dropped"
    )


def test_a_clock_that_was_wrong_for_a_while_does_no_harm(sealing_at: Callable[..., Sealing], clock: Clock):
    one = sealing_at()
    before = one.seal("p", b"before")
    clock.now += 20 * 366 * 86_400
    during = one.seal("p", b"during")
    clock.now -= 20 * 366 * 86_400
    after = one.seal("p", b"after")
    assert len({text[:8] for text in (before, during, after)}) == 3
    assert [one.open("p", text) for text in (during, after)] == [b"during", b"after"]
    assert sealing_at().open("p", after) == b"after"


def test_another_that_adds_a_key_right_now_is_not_waited_for(
    sealing_at: Callable[..., Sealing], clock: Clock, tmp_path: Path
):
    one = sealing_at()
    text = one.seal("p", b"v")
    with (tmp_path / "state" / "seal.keys.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        clock.now += ROTATE_S
        began = timeit.default_timer()
        assert one.seal("p", b"")[:8] == text[:8]
        assert timeit.default_timer() - began < 0.5
    clock.now += 1
    assert one.seal("p", b"")[:8] != text[:8]


def test_a_full_disk_leaves_the_keys_as_they_are_and_is_said_once(
    sealing_at: Callable[..., Sealing],
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    one = sealing_at()
    text = one.seal("p", b"v")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(os, "fsync", full)
        for _ in range(3):
            clock.now += ROTATE_S
            assert one.open("p", one.seal("p", b"v2")) == b"v2"
    assert [record.getMessage() for record in caplog.records] == [
        "the sealing keys stay as they are: [Errno 28] No space left on device"
    ]
    clock.now += 1
    assert one.seal("p", b"")[:8] != text[:8]
    assert one.open("p", text) == b"v"
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["seal.keys", "seal.keys.lock"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"garbage",
        b"1.0 abcd\n",
        b"1.0 " + b"00" * 31 + b"\n",
        b"inf " + b"00" * 32,
        b"1 \xff",
        b"0" * 2**21,
    ],
)
def test_a_damaged_file_is_refused_and_kept(sealing_at: Callable[..., Sealing], tmp_path: Path, content: bytes):
    path = tmp_path / "state" / "seal.keys"
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SealKeysError, match=r"^seal\.keys is (damaged|empty|larger)"):
        sealing_at().prepare()
    with pytest.raises(SealKeysError):
        sealing_at().open("p", HERE.seal("p", b""))
    assert path.read_bytes() == content


def test_a_file_that_others_could_have_put_there_is_refused(sealing_at: Callable[..., Sealing], tmp_path: Path):
    sealing_at().prepare()
    path = tmp_path / "state" / "seal.keys"
    path.chmod(0o640)
    with pytest.raises(SealKeysError, match="only its owner"):
        sealing_at().prepare()
    path.chmod(0o600)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        sealing_at().prepare()
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(SealKeysError, match="only its owner"):
        sealing_at().prepare()


def test_a_file_that_is_damaged_later_does_not_touch_those_who_know_the_keys(
    sealing_at: Callable[..., Sealing], clock: Clock, tmp_path: Path
):
    one = sealing_at()
    text = one.seal("p", b"v")
    (tmp_path / "state" / "seal.keys").write_bytes(b"nonsense")
    clock.now += 2
    assert one.open("p", text) == b"v"
    refused(one, "p", HERE.seal("p", b"v"))


def test_unknown_keys_cost_no_reading(
    sealing_at: Callable[..., Sealing], clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    one, opened = sealing_at(), []
    one.prepare()
    really = os.open
    monkeypatch.setattr(os, "open", lambda *args, **named: opened.append(args) or really(*args, **named))
    for _ in range(100):
        refused(one, "p", HERE.seal("p", b"v"))
    assert opened == []


_RACE = """
import sys, time
from pathlib import Path
from heddle.drivers.sealing import Sealing
day = float(sys.argv[2])
sealing = Sealing(Path(sys.argv[1]), now=lambda: 1.8e9 + day * 86400)
while time.time() < float(sys.argv[3]): pass
print(sealing.seal("p", b"v"))
"""


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path):
    """First on who makes the file, then on who adds a key to it."""
    path = tmp_path / "state" / "seal.keys"
    for day in (0, 2):
        start = time.time() + 1.0
        command = [sys.executable, "-c", _RACE, str(path), str(day), str(start)]
        racing = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
        texts = [process.communicate(timeout=30)[0].strip() for process in racing]
        # While one adds a key, the former may still seal; before the first there is none.
        assert len({text[:8] for text in texts}) == 1 or day
        sealing = Sealing(path, now=lambda day=day: 1.8e9 + day * ROTATE_S)  # type: ignore[misc]
        assert [sealing.open("p", text) for text in texts] == [b"v"] * 6
    assert len(path.read_bytes().splitlines()) == 2


# Keys that machines share


def test_replicas_with_the_same_keys_open_for_each_other(tmp_path: Path, clock: Clock):
    one = Sealing(tmp_path / "a" / "k", (OLD_KEY,), now=clock)
    other = Sealing(tmp_path / "b" / "k", (NEW_KEY, OLD_KEY), now=clock)
    text = one.seal("p", b"v", b"alice", 60)
    assert other.open("p", text, b"alice") == b"v"
    refused(one, "p", other.seal("p", b"v"))
    refused(Sealing(tmp_path / "c" / "k", (NEW_KEY,), now=clock), "p", text, b"alice")


def test_keys_change_while_it_runs(tmp_path: Path, clock: Clock):
    sealing = Sealing(tmp_path / "k", now=clock)
    own = sealing.seal("p", b"own")
    sealing.share((OLD_KEY,))
    old = sealing.seal("p", b"old")
    sealing.share((NEW_KEY, OLD_KEY))
    assert [sealing.open("p", text) for text in (own, old)] == [b"own", b"old"]
    sealing.share((NEW_KEY,))
    refused(sealing, "p", old)
    with pytest.raises(ValueError, match="sealing key 2 must have at least 32 characters"):
        sealing.share((OLD_KEY, "short"))
    refused(sealing, "p", old)
    sealing.share(())
    assert sealing.open("p", own) == b"own"
    assert sealing.seal("p", b"")[:8] == own[:8]


def test_no_key_is_shown():
    sealing = Sealing(keys=(OLD_KEY,))
    key = SealKey(1.0, b"secret" * 5)
    assert OLD_KEY not in repr(sealing)
    assert "secret" not in repr(key)
    assert "secret" not in str([key])


def test_it_is_light_until_it_is_used(tmp_path: Path):
    code = "import sys, heddle.drivers.sealing as s, pathlib; s.Sealing(pathlib.Path(sys.argv[1])); "
    code += "sys.exit(any(name.startswith('cryptography') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "k")], check=False).returncode == 0
    assert not (tmp_path / "k").exists()


def test_opening_costs_microseconds():
    text = HERE.seal("mcp.session", bytes(300), b"b" * 60, 3600)
    opening = timeit.Timer(lambda: HERE.open("mcp.session", text, b"b" * 60), timer=time.process_time)
    assert min(opening.repeat(number=2000, repeat=5)) / 2000 < 40e-6, "about 5 on an idle machine"
