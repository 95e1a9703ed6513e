"""The folder where the processes of a machine find each other: one listening socket for each, named after it.

Owns who may come in: the folder is its owner's alone (0700), so are the sockets (0600), and the kernel is asked who is
at the other end. A socket has its name only once it listens, so that what refuses a connection belongs to a process
that is dead, and is removed by whoever notices.

*Source:* unix(7) (EAGAIN of connect, SO_PEERCRED, sun_path); proc(5) (/proc/self/fd); rename(2).
"""

import contextlib
import hashlib
import os
import re
import socket
import stat
import struct
from pathlib import Path

from heddle.drivers.bus.memory import MACHINE_BYTES

_PROCESS = re.compile(r"[0-9]{1,10}-[0-9a-f]{12}", re.ASCII)
_SUFFIX = ".sock"
_UNNAMED = ".new"
_CREDENTIALS = struct.Struct("iII")
"""Process, user, group."""
_MAX_PATH = 100
"""Of the 108 bytes (104 elsewhere) that the address of a socket may have."""
_BACKLOG = 4096


class GoneError(Exception):
    """There is no such process any more."""


class Folder:
    """An open folder of sockets. All of its methods return at once."""

    def __init__(self, path: Path) -> None:
        """Make it if need be. Raises OSError, PermissionError when it is not ours alone."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(self._fd)
            if found.st_uid != os.geteuid():
                raise PermissionError(f"{path} belongs to another user")
            if stat.S_IMODE(found.st_mode) != 0o700:
                os.fchmod(self._fd, 0o700)
            self.machine = self._machine()
            """The name of this machine, of this state directory more exactly."""
        except BaseException:
            os.close(self._fd)
            raise

    def _machine(self) -> str:
        with contextlib.suppress(FileExistsError):
            self._name_machine()
        fd = os.open("machine", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._fd)
        with os.fdopen(fd, "rb") as file:
            # A copied directory is another machine's.
            known = file.read(1024) + socket.gethostname().encode()
        return hashlib.blake2b(known, digest_size=MACHINE_BYTES).hexdigest()

    def _name_machine(self) -> None:
        """Whole before it has its name, for others look this very moment. Raises FileExistsError."""
        if "machine" in os.listdir(self._fd):
            return
        fresh = f"machine.{os.urandom(6).hex()}{_UNNAMED}"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(os.urandom(16))
            os.link(fresh, "machine", src_dir_fd=self._fd, dst_dir_fd=self._fd)
        finally:
            os.unlink(fresh, dir_fd=self._fd)

    def listen(self, process: str) -> socket.socket:
        """The socket at which `process` is found. Raises OSError."""
        unnamed = process + _UNNAMED
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.bind(self._reach(unnamed))
            os.chmod(unnamed, 0o600, dir_fd=self._fd)
            sock.listen(_BACKLOG)
            os.rename(unnamed, process + _SUFFIX, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except BaseException:
            sock.close()
            with contextlib.suppress(OSError):
                os.unlink(unnamed, dir_fd=self._fd)
            raise
        return sock

    def dial(self, process: str) -> socket.socket:
        """A connection to `process`. Raises GoneError; OSError when it is worth trying again.

        Connecting a Unix socket does not wait: it is done, or refused, when the call returns.
        """
        if _PROCESS.fullmatch(process) is None:
            raise GoneError
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.connect(self._reach(process + _SUFFIX))
            if not is_ours(sock):
                raise GoneError
        except ConnectionRefusedError as exc:
            sock.close()
            self.remove(process)
            raise GoneError from exc
        except FileNotFoundError as exc:
            sock.close()
            raise GoneError from exc
        except BaseException:
            sock.close()
            raise
        return sock

    def processes(self) -> list[str]:
        """All that can be found. Raises OSError. What processes left that died while they began is removed."""
        found = []
        for name in os.listdir(self._fd):
            if name.endswith(_SUFFIX) and _PROCESS.fullmatch(name.removesuffix(_SUFFIX)):
                found.append(name.removesuffix(_SUFFIX))
            elif name.endswith(_UNNAMED) and _is_dead(name.removesuffix(_UNNAMED)):
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._fd)
        return found

    def remove(self, process: str) -> None:
        """Forget a process."""
        with contextlib.suppress(OSError):
            os.unlink(process + _SUFFIX, dir_fd=self._fd)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._fd)

    def _reach(self, name: str) -> str:
        """A path to `name` that fits into the address of a socket: state directories may be deep."""
        path = str(self._path / name)
        return path if len(os.fsencode(path)) <= _MAX_PATH else f"/proc/self/fd/{self._fd}/{name}"


def is_ours(sock: socket.socket) -> bool:
    """Whether the other end runs as the same user. Where the kernel does not tell, the folder's mode must do."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, user, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return bool(user == os.geteuid())


def _is_dead(process: str) -> bool:
    if _PROCESS.fullmatch(process) is None:
        return False
    try:
        os.kill(int(process.partition("-")[0]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False
