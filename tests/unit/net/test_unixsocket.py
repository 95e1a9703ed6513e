"""Where Unix sockets stand, and who may reach them."""

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from heddle.net.unixsocket import MAX_PATH_BYTES, bind_private, socket_path


def test_a_socket_stands_in_its_folder(tmp_path: Path):
    assert socket_path(Path("/var/lib/heddle"), "stdio.sock") == Path("/var/lib/heddle/stdio.sock")


def test_a_long_folder_leads_to_a_short_one_of_its_own():
    one, other = Path("/" + "a" * 90), Path("/" + "a" * 89 + "b")
    path = socket_path(one, "stdio.sock")
    assert path.parent.parent == Path(tempfile.gettempdir())
    assert len(os.fsencode(path)) <= MAX_PATH_BYTES
    assert path == socket_path(one, "stdio.sock") != socket_path(other, "stdio.sock")


def test_only_this_user_reaches_it(tmp_path: Path):
    path = tmp_path / "sockets" / "s"
    with bind_private(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert [one.name for one in path.parent.iterdir()] == ["s"]


def test_what_a_killed_process_left_is_replaced(tmp_path: Path):
    path = tmp_path / "own" / "s"
    bind_private(path).close()
    with bind_private(path) as sock, socket.socket(socket.AF_UNIX) as caller:
        sock.listen()
        caller.connect(str(path))


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(PermissionError, match="this user's alone"):
        bind_private(folder / "s")


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path):
    """In the system's temporary folder anybody may have put one where we look."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(PermissionError, match="this user's alone"):
        bind_private(tmp_path / "link" / "s")
