"""The state directory: made private, held by one mesh, never trusted as it is found.

Owns its mode, its owner and its lock. What others could have put there is refused, because files in it are read as
credentials and truncated as our own.
"""

import fcntl
import os
import stat
from pathlib import Path

OBSERVABILITY_FILE = "observability.json"
"""Where a bare gateway leaves what `heddle exporter` needs; 0600, because credentials of sinks are in it."""


class StartError(Exception):
    """The mesh cannot start; the message says why and what to do."""


def open_directory(path: Path) -> None:
    """Make the state directory, for this user alone. Raises StartError when it is, or holds, somebody else's."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = path.stat()
        _check_owner(path, found, path)
        if stat.S_IMODE(found.st_mode) != 0o700:
            path.chmod(0o700)
        for entry in path.iterdir():
            _check_owner(entry, entry.lstat(), path)
    except OSError as exc:
        raise refusal(path, exc) from exc


def refusal(state_dir: Path, error: OSError) -> StartError:
    """What an error about something in the state directory is told as."""
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else state_dir
    at = f", {named.name}" if named.parent == state_dir else ""
    return StartError(f"state directory {state_dir}{at}: {error.strerror or error}; choose another with --state")


def _check_owner(path: Path, found: os.stat_result, state_dir: Path) -> None:
    if found.st_uid != os.geteuid():
        what = "it belongs" if path == state_dir else f"{path.name} in it belongs"
        raise StartError(
            f"state directory {state_dir}: {what} to another user (uid {found.st_uid}); choose another with --state"
        )


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step; nobody else can read it at any moment. Raises OSError."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


class StateLock:
    """One mesh per state directory."""

    def __init__(self, state_dir: Path) -> None:
        """Hold it for as long as this object lives. Raises StartError."""
        open_directory(state_dir)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._file = os.fdopen(os.open(state_dir / "lock", flags, 0o600), "r+")
        except OSError as exc:
            raise refusal(state_dir, exc) from exc
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            owner = self._file.read().strip() or "another process"
            self._file.close()
            raise StartError(
                f"state directory {state_dir} is in use by {owner}; stop it or choose another with --state"
            ) from exc
        self._file.truncate(0)
        self._file.write(f"pid {os.getpid()}")
        self._file.flush()

    def release(self) -> None:
        """Let another mesh have the directory."""
        self._file.close()
