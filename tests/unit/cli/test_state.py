"""The state directory is ours alone, or it is refused; credentials in it are whole, or made anew."""

import os
from pathlib import Path

import pytest

from heddle.cli import state
from heddle.cli.state import StartError, StateLock, open_directory, write_private
from heddle.cli.up import _demo_key


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("before", [0o755, 0o777, 0o770, 0o500])
def test_a_directory_that_others_may_enter_is_closed(tmp_path: Path, before: int) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(before)
    open_directory(folder)
    assert mode(folder) == 0o700


def test_a_new_one_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_directory(tmp_path / "a" / "state")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a" / "state") == 0o700


def test_somebody_elses_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(state.os, "geteuid", lambda: owner + 1)
    with pytest.raises(StartError, match=f"belongs to another user .uid {owner}.; choose another with --state"):
        open_directory(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_somebody_else_put_into_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "limits.bin").symlink_to("/etc/hostname")
    os.lchown(tmp_path / "limits.bin", 12345, 12345)
    with pytest.raises(StartError, match=r"limits\.bin in it belongs to another user"):
        open_directory(tmp_path)


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StartError, match="choose another with --state"):
        open_directory(tmp_path / "state")


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "lock").symlink_to(victim)
    with pytest.raises(StartError, match="state, lock: "):
        StateLock(folder)
    assert victim.read_text() == "precious"


def test_one_mesh_at_a_time(tmp_path: Path) -> None:
    first = StateLock(tmp_path)
    with pytest.raises(StartError, match=f"is in use by pid {os.getpid()}"):
        StateLock(tmp_path)
    first.release()
    StateLock(tmp_path).release()


def test_a_private_file_is_private_and_whole_and_replaces_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    secret = tmp_path / "secret"
    secret.symlink_to(victim)
    write_private(secret, b"x")
    write_private(secret, b"hidden")
    assert (secret.read_bytes(), mode(secret), secret.is_symlink()) == (b"hidden", 0o600, False)
    assert victim.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret", "victim"]


@pytest.mark.parametrize("left", [None, b"", b"\n", b" \n", b"\x00\x00\x00", b"\xff\xfe"])
def test_a_key_that_cannot_be_one_is_made_anew(tmp_path: Path, left: bytes | None) -> None:
    path = tmp_path / "demo.key"
    if left is not None:
        path.write_bytes(left)
    key = _demo_key(tmp_path)
    assert key.startswith("sk-heddle-")
    assert path.read_text() == key + "\n"
    assert mode(path) == 0o600
    assert _demo_key(tmp_path) == key
