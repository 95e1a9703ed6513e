"""The ledger's key: given by configuration, or made once and kept beside the ledger for its owner alone.

Owns where it is looked for. A key beside the ledger proves that nobody *without access to this directory* changed it; a
key that comes from elsewhere proves it of those with access, too, once the process that knows it is gone.
"""

import contextlib
import os
import stat
from pathlib import Path

from heddle.drivers.keyfile import make_key
from heddle.drivers.ledger import LedgerError
from heddle.drivers.ledger.chain import Seal

FILE = "key"


def prepare(directory: Path, given: str = "") -> Seal:
    """The seal to write with; makes the directory, and a key when none is `given`. Raises OSError, LedgerError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if given:
        return _seal(given.encode())
    path = directory / FILE
    with contextlib.suppress(FileExistsError):
        make_key(path)
    return _seal(read(path))


def read(path: Path) -> bytes:
    """A key out of a file, without the white space around it. Raises OSError; LedgerError when others can read it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise LedgerError(f"{path} must be a file that only its owner can read (chmod 600)")
        return file.read(4096).strip()


def _seal(key: bytes) -> Seal:
    try:
        return Seal(key)
    except ValueError as exc:
        raise LedgerError(str(exc)) from exc
