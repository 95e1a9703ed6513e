"""Encryption of stored credentials: AES-256-GCM under keys that are given, or one that is made for its owner alone.

Owns the key file and the form of what is encrypted: a byte of version, eight of the key's id, a random nonce, and the
ciphertext. What it is kept under is authenticated with it, so that a row cannot be given to somebody else.

*Source:* NIST SP 800-38D section 8.2.2 (random nonces: at most 2**32 messages of a key); RFC 5869 (HKDF).
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from heddle.drivers.keyfile import make_key
from heddle.drivers.vault import Place, VaultError

FILE = "vault.key"
MIN_KEY_CHARS = 32
_VERSION = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_HEAD_BYTES = 1 + _ID_BYTES + _NONCE_BYTES


class Cipher:
    """Encrypts with the first of its keys, decrypts with any."""

    __slots__ = ("_by_id", "_own")

    def __init__(self, keys: Sequence[bytes]) -> None:
        """VaultError without keys, or with one that is shorter than 32 bytes."""
        if not keys or any(len(key) < MIN_KEY_CHARS for key in keys):
            raise VaultError(f"keys of the vault must have at least {MIN_KEY_CHARS} characters")
        pairs = [_expanded(key) for key in keys]
        self._by_id = dict(pairs)
        self._own = pairs[0][0]

    def __repr__(self) -> str:
        return f"Cipher({len(self._by_id)} keys)"

    def encrypt(self, place: Place, plain: bytes) -> bytes:
        """`plain`, readable at `place` alone."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + self._own + nonce + self._by_id[self._own].encrypt(nonce, plain, _bound(place))

    def decrypt(self, place: Place, sealed: bytes) -> bytes:
        """VaultError when it was not encrypted for `place` with one of the keys."""
        key = self._by_id.get(sealed[1 : 1 + _ID_BYTES])
        if sealed[:1] != _VERSION or key is None or len(sealed) < _HEAD_BYTES:
            raise VaultError("a stored credential was encrypted with a key that is not known here")
        try:
            return key.decrypt(sealed[1 + _ID_BYTES : _HEAD_BYTES], sealed[_HEAD_BYTES:], _bound(place))
        except InvalidTag:
            raise VaultError("a stored credential was damaged or moved") from None


def _expanded(key: bytes) -> tuple[bytes, AESGCM]:
    made = HKDF(SHA256(), length=32 + _ID_BYTES, salt=None, info=b"heddle vault 1").derive(key)
    return made[32:], AESGCM(made[:32])


def _bound(place: Place) -> bytes:
    return msgspec.json.encode([place.owner, place.target, place.issuer])


def own_key(directory: Path) -> bytes:
    """The key beside the vault, made if there is none. Raises OSError; VaultError when others can read it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / FILE
    with contextlib.suppress(FileExistsError):
        make_key(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise VaultError(f"{path.name} must be a file that only its owner can read (chmod 600)")
        return file.read(4096).strip()
