"""The keys that all replicas on one database must have: of the authority, of its tokens, of the store's Secrets.

Owns their coming to each replica. The first one on a database makes them and leaves them there, sealed with the key
that the operator gave to all; the others take them from there into their state directory. Without such a key only
prints of them are left, and whoever has other keys does not start: its certificates and tokens would be nobody's at the
others, and Secrets of the others could not be opened. Nothing in a state directory is ever replaced.
"""

import base64
import binascii
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from heddle.controlplane.access import certificates
from heddle.controlplane.access.authority import (
    AUTHORITY_FILE,
    TOKEN_KEY_FILE,
    make_private,
    open_folder,
    read_private,
)
from heddle.controlplane.access.caller import CONTROL_PLANE
from heddle.controlplane.store.sealing import FILE as STORE_FILE
from heddle.controlplane.store.sealing import KeyedSeal, SealedError
from heddle.drivers.documents import Author, ConflictError, Documents, Key, Write

PLACE = Key("keys.replicas.heddle.dev", "", "shared")
"""Served by no kind: the API does not know that it is there."""
_ATTEMPTS = 5
_COPY = "copy it from a replica that runs, or give both the same --key-file"

Files = Mapping[str, bytes]


class SharedKeysError(ValueError):
    """This replica's keys are not those of the database; the message says which and what to do, and quotes none."""


class _Kept(msgspec.Struct):
    """What is in the database."""

    metadata: dict[str, str]
    prints: dict[str, str]
    """Of each file, what tells it from another and nothing else."""
    sealed: dict[str, str] = {}
    """Of each file, its content, base64; empty where no key was given."""


async def share(documents: Documents, folder: Path, keys: Sequence[str]) -> None:
    """Have in `folder` the keys of the database, or in the database those of the folder, whichever was first.

    `documents` are opened and closed. Raises SharedKeysError, AuthorityError, UnavailableError, OSError, ValueError.
    """
    open_folder(folder)
    seal = KeyedSeal(keys) if keys else None
    await documents.open()
    try:
        for _ in range(_ATTEMPTS):
            kept, version = await _kept(documents)
            here = _here(folder)
            files = _completed(here) if kept is None else _agreed(kept, here, seal)
            wanted = _wanted(kept, files, seal)
            if wanted is not None and not await _written(documents, wanted, version):
                continue
            for name, content in files.items():
                make_private(folder / name, content)
            return
    finally:
        await documents.close()
    raise SharedKeysError("several replicas change the keys in the database at the same time; start one after another")


async def _kept(documents: Documents) -> tuple[_Kept | None, int]:
    """What is in the database, and its version; 0 where there is nothing."""
    revisions = await documents.revisions(PLACE)
    if not revisions or revisions[0].deleted or revisions[0].body is None:
        return None, 0
    try:
        return msgspec.json.decode(revisions[0].body, type=_Kept), revisions[0].version
    except msgspec.DecodeError:
        raise SharedKeysError("what the database says of the keys of replicas cannot be read") from None


async def _written(documents: Documents, kept: _Kept, expected: int) -> bool:
    """Whether it was written before anybody else wrote."""
    author = Author(CONTROL_PLANE.name, "replicas", "update" if expected else "create", "keys of replicas")
    try:
        await documents.write([Write(PLACE, msgspec.json.encode(kept), expected, author, time.time())])
    except ConflictError:
        return False
    return True


def _here(folder: Path) -> dict[str, bytes]:
    """The files that this replica has."""
    found = {}
    for name in _MAKERS:
        try:
            found[name] = read_private(folder / name)
        except FileNotFoundError:
            continue
    return found


def _completed(here: Files) -> Files:
    """What the first replica has, with what it lacks."""
    return {name: here[name] if name in here else make() for name, make in _MAKERS.items()}


def _agreed(kept: _Kept, here: Files, seal: KeyedSeal | None) -> Files:
    """The files of the database. Raises SharedKeysError where this replica has others, or cannot have them."""
    for name, content in here.items():
        if kept.prints.get(name) != _print(content):
            raise SharedKeysError(
                f"control-plane/{name} is not the one that replicas on this database use: either this is the state "
                "directory of another control plane, or the database is; "
                + ("remove the file to take the database's" if kept.sealed else _COPY)
            )
    missing = sorted(_MAKERS.keys() - here.keys())
    if not missing:
        return here
    if not kept.sealed:
        raise SharedKeysError(
            f"control-plane/{missing[0]} is missing, and the database has a control plane's keys already: {_COPY}"
        )
    if seal is None:
        raise SharedKeysError("the keys of this database are sealed: give the --key-file of the other replicas")
    return {name: here[name] if name in here else _opened(seal, name, kept.sealed.get(name, "")) for name in _MAKERS}


def _opened(seal: KeyedSeal, name: str, text: str) -> bytes:
    try:
        return seal.open(base64.b64decode(text), _bound(name))
    except (SealedError, binascii.Error):
        raise SharedKeysError(
            "the keys of this database were sealed with another key than that of --key-file; give the one that the "
            "other replicas were started with"
        ) from None


def _wanted(kept: _Kept | None, files: Files, seal: KeyedSeal | None) -> _Kept | None:
    """What is to be written to the database; None where that is there."""
    if kept is not None and (seal is None or _is_fresh(kept, seal)):
        return None
    if kept is not None and kept.sealed:
        # Only who could open it may seal it anew.
        for name in files:
            _opened(seal or KeyedSeal(()), name, kept.sealed.get(name, ""))
    made = _Kept({"name": PLACE.name}, {name: _print(content) for name, content in files.items()})
    if seal is not None:
        made.sealed = {name: base64.b64encode(seal.seal(text, _bound(name))).decode() for name, text in files.items()}
    return made


def _is_fresh(kept: _Kept, seal: KeyedSeal) -> bool:
    """Whether everything is sealed with the first of the keys."""
    return kept.sealed.keys() == _MAKERS.keys() and all(
        seal.is_own(base64.b64decode(text)) for text in kept.sealed.values()
    )


def _print(content: bytes) -> str:
    return HKDF(SHA256(), length=16, salt=None, info=b"heddle print 1").derive(content).hex()


def _bound(name: str) -> bytes:
    return f"{PLACE.resource} {name}".encode()


def _authority() -> bytes:
    made = certificates.make_authority(time.time())
    return certificates.key_pem(made.key) + certificates.certificate_pem(made.certificate)


_MAKERS: dict[str, Callable[[], bytes]] = {
    AUTHORITY_FILE: _authority,
    TOKEN_KEY_FILE: lambda: certificates.key_pem(certificates.new_key()),
    STORE_FILE: lambda: secrets.token_hex(32).encode() + b"\n",
}
"""The files, and what the first replica puts into each."""


def make_key_file(path: Path) -> None:
    """A new key for replicas to share. Raises FileExistsError, OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(descriptor)
