"""Encryption of what the store keeps of Secrets: AES-256-GCM, bound to the object and to nothing shorter-lived.

Owns the key file of the control plane and the form of what is sealed: a byte of version, eight of the key's id, a
random nonce, the ciphertext. Each line of the file is a key; the first seals, all open, so that a key is replaced by
putting a new line above it and is dropped when nothing sealed with it is left. Replicas on one database share keys by
configuration. (`drivers/sealing` drops its keys after a month: right for sessions, and not for what is to stay.)

*Source:* NIST SP 800-38D section 8.2.2 (random nonces: at most 2**32 messages of a key); RFC 5869; RFC 2104.
"""

import contextlib
import hmac
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from heddle.drivers.keyfile import make_key

FILE = "store.key"
MIN_KEY_CHARS = 32
_MAX_FILE_BYTES = 64 * 1024
_VERSION = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_HEAD_BYTES = 1 + _ID_BYTES + _NONCE_BYTES


class SealedError(ValueError):
    """This was not sealed here, or not for this object. The text shows nothing of it."""


class Seal(Protocol):
    """What keeps Secrets unreadable on the disk."""

    def seal(self, plain: bytes, bound: bytes = b"") -> bytes:
        """`plain`, to be opened with the same `bound` alone."""
        ...

    def open(self, sealed: bytes, bound: bytes = b"") -> bytes:
        """What was sealed. Raises SealedError."""
        ...

    def digest(self, plain: bytes, bound: bytes = b"") -> str:
        """Hex that is the same for the same, and of which nobody without the key can guess what it is of."""
        ...


class _Key:
    __slots__ = ("cipher", "digest", "id")

    def __init__(self, text: bytes) -> None:
        made = HKDF(SHA256(), length=64 + _ID_BYTES, salt=None, info=b"heddle resources 1").derive(text)
        self.cipher, self.digest, self.id = AESGCM(made[:32]), made[32:64], made[64:]


class KeyedSeal:
    """A `Seal` of the first of its keys; it opens what any of them sealed."""

    __slots__ = ("_keys", "_own")

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises ValueError without keys, or with one that is shorter than 32 characters."""
        if not keys or any(len(key) < MIN_KEY_CHARS for key in keys):
            raise ValueError(f"a key of the store has at least {MIN_KEY_CHARS} characters")
        made = [_Key(key.encode()) for key in keys]
        self._own, self._keys = made[0], {key.id: key for key in made}

    def __repr__(self) -> str:
        return f"KeyedSeal({len(self._keys)} keys)"

    def seal(self, plain: bytes, bound: bytes = b"") -> bytes:
        """See `Seal`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + self._own.id + nonce + self._own.cipher.encrypt(nonce, plain, bound)

    def open(self, sealed: bytes, bound: bytes = b"") -> bytes:
        """See `Seal`."""
        key = self._keys.get(sealed[1 : 1 + _ID_BYTES])
        if sealed[:1] != _VERSION or key is None or len(sealed) < _HEAD_BYTES:
            raise SealedError("it was sealed with a key that is not known here")
        try:
            return key.cipher.decrypt(sealed[1 + _ID_BYTES : _HEAD_BYTES], sealed[_HEAD_BYTES:], bound)
        except InvalidTag:
            raise SealedError("it was damaged, or moved to another object") from None

    def is_own(self, sealed: bytes) -> bool:
        """Whether the first of the keys sealed it, as far as it says."""
        return sealed[:1] == _VERSION and sealed[1 : 1 + _ID_BYTES] == self._own.id

    def digest(self, plain: bytes, bound: bytes = b"") -> str:
        """See `Seal`. With another key in front it is another."""
        return hmac.digest(self._own.digest, b"%d:%b%b" % (len(bound), bound, plain), "sha256").hex()


def seal_of(directory: Path) -> KeyedSeal:
    """The seal of the keys in a directory, where one is made if there is none.

    Raises OSError; ValueError for a file that others can read, or that holds no keys.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / FILE
    with contextlib.suppress(FileExistsError):
        make_key(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
            raise ValueError(f"{path.name} must be a file that only its owner can read (chmod 600)")
        text = file.read(_MAX_FILE_BYTES)
    try:
        return KeyedSeal(text.decode("ascii").split())
    except ValueError:
        # Not chained: the original quotes the file.
        raise ValueError(f"{path.name} holds no keys of {MIN_KEY_CHARS} characters, one a line") from None
