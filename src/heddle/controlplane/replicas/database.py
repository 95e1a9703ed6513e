"""Where resources are kept: a file of this machine, or a PostgreSQL database that several control planes share.

Owns how that is said, and how much of the past is kept. Its address may hold a password, and the key that replicas
share is one: both are read from files or the environment, taken out of the environment once they were read (resources
may name variables), and shown nowhere.
"""

import argparse
import os
from collections.abc import MutableMapping
from pathlib import Path

import msgspec

from heddle.controlplane.store.horizon import KEEP_CHANGES, KEEP_S, Horizon
from heddle.controlplane.store.sealing import MIN_KEY_CHARS
from heddle.drivers.documents import Documents, Retention
from heddle.plugins import load

DATABASE = "HEDDLE_DATABASE"
"""Variable with the address."""
KEY = "HEDDLE_CONTROL_PLANE_KEY"
"""Variable with the key that replicas share."""
SCHEMES = ("postgres://", "postgresql://")
_MAX_FILE_BYTES = 64 * 1024


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Where resources are kept, and for how long what they were."""

    address: str = ""
    """`postgresql://...`; empty is a file in the state directory."""
    keys: tuple[str, ...] = ()
    """What seals the keys that replicas find in the database: the first one seals, all of them open. Empty: each
    replica has the files."""
    retention: Retention = Retention()
    keep_s: float = KEEP_S
    """For so long a watch can resume where it was."""
    keep_changes: int = KEEP_CHANGES
    """So many changes are kept for it at most."""

    def __repr__(self) -> str:
        return f"Database({'shared' if self.is_shared else 'a file'})"

    @property
    def is_shared(self) -> bool:
        """Others may use it, too."""
        return bool(self.address)

    @property
    def horizon(self) -> Horizon:
        """What the store keeps for watches."""
        return Horizon(self.keep_s, self.keep_changes)

    def documents(self, file: Path) -> Documents:
        """The driver; `file` is where there is no address. Touches nothing. Raises ValueError without the extra."""
        if self.address:
            made: Documents = load("documents", "postgres")(self.address, self.retention)
        else:
            made = load("documents", "sqlite")(file, self.retention)
        return made


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the control-plane process."""
    add = parser.add_argument_group("database", f"its address is in {DATABASE}, too, and the key in {KEY}").add_argument
    add("--database-file", type=Path, metavar="FILE", help="file with the address, postgresql://...")
    add("--key-file", type=Path, metavar="FILE", help="file with the key that all replicas share")
    add("--keep-revisions", type=int, default=Retention().revisions, help="versions of each object that are kept")
    add("--keep-deletions", type=int, default=Retention().deletions, help="deleted objects whose history is kept")
    add("--keep-changes", type=int, default=KEEP_CHANGES, help="changes that are kept for watches at most")
    add("--keep-changes-for", type=float, default=KEEP_S, metavar="SECONDS", help="and for how long")


def database_of(given: argparse.Namespace, environ: MutableMapping[str, str]) -> Database:
    """What was asked for; what is secret is taken out of `environ`. Raises ValueError, OSError."""
    address, key = environ.pop(DATABASE, ""), environ.pop(KEY, "")
    if given.database_file is not None:
        address = _read(given.database_file)
    if given.key_file is not None:
        key = _read(given.key_file, private=True)
    if address and not address.startswith(SCHEMES):
        raise ValueError("the address of the database must be postgresql://USER@HOST:PORT/NAME")
    keys = tuple(key.split())
    if any(len(one) < MIN_KEY_CHARS for one in keys):
        raise ValueError(f"the key that replicas share must have at least {MIN_KEY_CHARS} characters")
    if keys and not address:
        raise ValueError("a key that replicas share is of no use without the database that they share")
    kept = (given.keep_revisions, given.keep_deletions, given.keep_changes, given.keep_changes_for)
    if min(kept) < 1:
        raise ValueError("--keep-*: at least 1")
    return Database(
        address=address,
        keys=keys,
        retention=Retention(given.keep_revisions, given.keep_deletions),
        keep_s=given.keep_changes_for,
        keep_changes=given.keep_changes,
    )


def _read(path: Path, *, private: bool = False) -> str:
    """What a file says. Raises ValueError, OSError."""
    with path.open("rb") as file:
        if private and os.fstat(file.fileno()).st_mode & 0o077:
            raise ValueError(f"{path} must be a file that only its owner can read (chmod 600)")
        content = file.read(_MAX_FILE_BYTES)
    try:
        text = content.decode("ascii").strip()
    except UnicodeDecodeError:
        # Not chained: the original quotes the file.
        raise ValueError(f"{path} holds something other than ASCII text") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return text
