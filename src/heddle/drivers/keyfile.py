"""Key files that are made once, for their owner alone.

Owns how one comes to be: whole or not at all, whichever of several processes is first. What a key is for, and who may
read it, is each driver's own matter.
"""

import os
import secrets
from pathlib import Path


def make_key(path: Path) -> None:
    """A new key, unless there is one. It has its name only once it is whole: others may look this very moment.

    Raises FileExistsError when another process was first by a hair; OSError.
    """
    if path.exists():
        return
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    finally:
        fresh.unlink()
