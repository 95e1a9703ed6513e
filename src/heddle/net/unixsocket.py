"""Unix sockets that only this user's processes can reach: where they are, and how one is bound.

Owns the rule that such a socket stands in a folder nobody else can enter, and the bound of the kernel on its path:
for a state directory with a long name the socket stands in a folder of its own below the system's temporary one.

*Source:* unix(7), "Pathname sockets" and "sun_path".
"""

import contextlib
import hashlib
import os
import socket
import stat
import tempfile
from pathlib import Path

STDIO_SOCKET = "stdio.sock"
"""Name of the socket in a state directory where tool servers are reached that speak over stdio."""
MAX_PATH_BYTES = 100
"""The kernels of Linux and macOS take 107 and 103."""


def socket_path(folder: Path, name: str) -> Path:
    """Where the socket `name` of the state directory `folder` is: in it, or in a folder that follows from it."""
    path = folder.absolute() / name
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"heddle-{os.geteuid()}-{digest}" / name


def bind_private(path: Path) -> socket.socket:
    """A socket bound at `path`, not listening yet, that replaces one left there. Raises OSError.

    The folder is made for this user alone; one that belongs to another user, or that others may enter, is refused.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(1, "the folder of a socket must be this user's alone", str(path.parent))
    fresh = path.with_name(f".{os.getpid()}.sock")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        sock.bind(os.fspath(fresh))
        fresh.chmod(0o600)
        # In one step: whoever connects meets the old socket or this one.
        fresh.replace(path)
    except BaseException:
        sock.close()
        raise
    return sock
