"""The state that a gateway starts from when its control plane is away."""

import os
from pathlib import Path

import pytest

from heddle.dataplane.subscription.kept import AGAIN_S, Kept, KeptError
from heddle.drivers.sealing import Sealing
from heddle.wire.delta import Held, Interest, Point, digest_of, hexed

EDGE = Interest("default/edge")
PARTS = {"model/a": b"hush-hush", "model/b": b"x" * 100_000}
HELD = Held(Point("one", 7, hexed(digest_of(PARTS))), PARTS)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "state.kept", EDGE, Sealing(tmp_path / "seal.keys"))


def test_what_was_kept_is_there_again(kept: Kept, tmp_path: Path):
    assert kept.load() is None
    kept.save(HELD)
    assert kept.load() == HELD
    assert Kept(kept.path, EDGE, Sealing(tmp_path / "seal.keys")).load() == HELD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seal.keys", "seal.keys.lock", "state.kept"]


def test_nobody_else_reads_it(kept: Kept):
    kept.save(HELD)
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert b"hush" not in kept.path.read_bytes()
    kept.path.chmod(0o644)
    with pytest.raises(KeptError, match="only its owner"):
        kept.load()


def test_every_truncation_is_noticed(kept: Kept):
    kept.save(Held(Point("one", 1, hexed(digest_of({"a": b"1"}))), {"a": b"1"}))
    whole = kept.path.read_bytes()
    for length in range(len(whole)):
        kept.path.write_bytes(whole[:length])
        with pytest.raises(KeptError):
            kept.load()


def test_every_altered_byte_is_noticed(kept: Kept):
    kept.save(Held(Point("one", 1, hexed(digest_of({"a": b"1"}))), {"a": b"1"}))
    whole = bytearray(kept.path.read_bytes())
    for at in range(len(whole)):
        altered = bytearray(whole)
        altered[at] ^= 0x41
        kept.path.write_bytes(bytes(altered))
        with pytest.raises(KeptError):
            kept.load()


def test_another_format_says_so(kept: Kept):
    kept.path.write_bytes(b"heddle kept state 9\nwhatever")
    kept.path.chmod(0o600)
    with pytest.raises(KeptError, match="another version"):
        kept.load()


def test_another_machines_keys_do_not_open_it(kept: Kept, tmp_path: Path):
    kept.save(HELD)
    with pytest.raises(KeptError, match="keys"):
        Kept(kept.path, EDGE, Sealing(tmp_path / "other.keys")).load()


def test_another_gateways_state_is_not_used(kept: Kept, tmp_path: Path):
    kept.save(HELD)
    with pytest.raises(KeptError, match="default/edge"):
        Kept(kept.path, Interest("default/inner"), Sealing(tmp_path / "seal.keys")).load()


def test_a_link_is_not_followed(kept: Kept, tmp_path: Path):
    kept.save(HELD)
    kept.path.rename(tmp_path / "real")
    kept.path.symlink_to(tmp_path / "real")
    with pytest.raises(KeptError):
        kept.load()


def test_a_pipe_in_its_place_holds_nobody_up(kept: Kept):
    os.mkfifo(kept.path, 0o600)
    with pytest.raises(KeptError):
        kept.load()


def test_a_state_that_is_not_what_its_digest_says_is_not_used(kept: Kept):
    kept.save(Held(Point("one", 1, "0" * 64), PARTS))
    with pytest.raises(KeptError, match="digest"):
        kept.load()


def test_it_is_written_again_every_day(tmp_path: Path):
    now_s = [1000.0]
    kept = Kept(tmp_path / "state.kept", EDGE, Sealing(tmp_path / "seal.keys"), lambda: now_s[0])
    kept.save(HELD)
    assert not kept.is_due()
    now_s[0] += AGAIN_S
    assert kept.is_due()
