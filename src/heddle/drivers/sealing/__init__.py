"""Values that a stranger carries for us: encrypted, bound to one use and one carrier, over after a while.

Owns the form of a sealed value, and the choice of its key. Nobody without a key can read one, make one, change one, or
use one elsewhere; whoever holds one can still show it again, so what must happen once has its place in `kv`. Why a
value was refused is not told, to anybody: garbage, another key, another use, another carrier and an end that has passed
are one error.

Form, in base64url without padding: version (1 byte), key id (5), nonce (24), then AES-256-GCM over the end (Unix time
in ms, 8 bytes; 0 none) and the value. The first half of the nonce derives a key for this value alone, so that random
nonces suffice for any number of values under one key, which a key given by configuration may have to bear.

*Source:* NIST SP 800-38D section 8.3 (2**32 values under one key with random nonces); RFC 5116; RFC 4648 section 5;
RFC 7693 (BLAKE2b keyed, personalised).
"""

import base64
import binascii
import hashlib
import logging
import math
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from heddle.drivers.sealing.keys import KEY_BYTES, SealKey, SealKeys, SealKeysError

_log = logging.getLogger("heddle.sealing")

FILE = "seal.keys"
"""Name of the file of keys in the state directory."""
ROTATE_S = 86_400.0
KEEP_S = 30 * 86_400.0
"""Longest life of a sealed value; for so long a key opens after it has sealed its last."""
LOOK_S = 1.0
"""How often is looked whether another process has added a key, apart from when one is missing."""
MIN_SECRET_CHARS = 32
MAX_VALUE_BYTES = 64 * 1024
MAX_PURPOSE_BYTES = 255

_VERSION = b"\x01"
_ID_BYTES = 5
_SALT_AT = 1 + _ID_BYTES
_IV_AT = _SALT_AT + 12
_BODY_AT = _IV_AT + 12
_TAG_BYTES = 16
_END = struct.Struct("!Q")
_MAX_TEXT = 4 * (_BODY_AT + _END.size + MAX_VALUE_BYTES + _TAG_BYTES) // 3 + 3
_PERSON = b"heddle seal"
_TO_PLAIN = bytes.maketrans(b"-_+/=", b"+/!!!")
"""Digits of base64url to those of base64, and the latter, and padding, to something that is none."""


class SealError(Exception):
    """This is nothing that was sealed here for this use and carrier, or it is over. It never says which."""

    def __init__(self) -> None:
        super().__init__("not sealed here for this use, or over")


class Sealing:
    """Seals and opens. Keys come from a file that processes share, from configuration, or are one at random.

    Light until it is used: the file is opened, and cryptography imported, by `prepare` or with the first value.
    """

    __slots__ = (
        *("_aead", "_complained", "_current", "_file", "_invalid", "_keep_s", "_looked_s", "_now"),
        *("_own", "_secrets", "_shared"),
    )

    def __init__(
        self,
        path: Path | None = None,
        keys: tuple[str, ...] = (),
        *,
        now: Callable[[], float] = time.time,
        rotate_s: float = ROTATE_S,
        keep_s: float = KEEP_S,
    ) -> None:
        """`path` is the file of keys; without one a random key is used, which ends with this object.

        `keys` are secrets that machines share: the first seals, all open. Raises ValueError for one that is too short.
        """
        self._file = SealKeys(path, rotate_s, keep_s) if path is not None else None
        self._now, self._keep_s = now, keep_s
        self._own: tuple[SealKey, ...] = () if path is not None else (SealKey(now(), os.urandom(KEY_BYTES)),)
        """The machine's keys."""
        self._shared: tuple[bytes, ...] = ()
        """Those of several machines."""
        self._secrets: dict[bytes, bytes] = {}
        """All of them, by their ids."""
        self._current = b""
        """Id of the one that seals."""
        self._looked_s = -math.inf
        self._complained = False
        self._aead: Any = None
        self._invalid: Any = None
        self.share(keys)

    def share(self, keys: tuple[str, ...]) -> None:
        """Use these secrets from now on, in place of those given before. Raises ValueError and changes nothing.

        What was sealed with the machine's own keys can still be opened.
        """
        for number, key in enumerate(keys, 1):
            if len(key) < MIN_SECRET_CHARS:
                raise ValueError(f"sealing key {number} must have at least {MIN_SECRET_CHARS} characters")
        self._shared = tuple(_derived(key.encode()) for key in keys)
        if self._own:
            self._arrange()

    def prepare(self) -> None:
        """Have the keys at hand. Raises OSError or ValueError when they cannot be had; cheap when they are."""
        if self._aead is None:
            from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - 30 ms that few processes need
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

            self._aead, self._invalid = AESGCM, InvalidTag
        if self._file is not None and not self._own:
            self._own = self._file.load(self._now())
            self._arrange()

    def seal(self, purpose: str, value: bytes, bound: bytes = b"", ttl_s: float = 0.0) -> str:
        """`value` (at most 64 KiB) as text for header fields and URLs, to be opened for `purpose` and `bound` alone.

        It is over after `ttl_s` seconds; 0 is when its key is dropped, 30 days and more from now. Raises ValueError for
        what cannot be sealed, and as `prepare` does.
        """
        if len(value) > MAX_VALUE_BYTES:
            raise ValueError(f"a sealed value has at most {MAX_VALUE_BYTES} bytes")
        if not 0 <= ttl_s <= self._keep_s:
            raise ValueError(f"a sealed value lives for at most {self._keep_s:g} s")
        now_s = self._now()
        self._look(now_s)
        ends_ms = int((now_s + ttl_s) * 1000) if ttl_s else 0
        head = _VERSION + self._current
        nonce = os.urandom(_BODY_AT - _SALT_AT)
        key = _value_key(self._secrets[self._current], nonce[:12])
        body = self._aead(key).encrypt(nonce[12:], _END.pack(ends_ms) + value, _context(head, purpose, bound))
        return base64.urlsafe_b64encode(head + nonce + body).rstrip(b"=").decode("ascii")

    def open(self, purpose: str, text: str, bound: bytes = b"") -> bytes:
        """The value that was sealed. Raises SealError, and as `prepare` does."""
        token = _decoded(text)
        now_s = self._now()
        self._look(now_s)
        secret = self._secrets.get(token[1:_SALT_AT])
        if secret is None:
            secret = self._late(token[1:_SALT_AT], now_s)
        key = _value_key(secret, token[_SALT_AT:_IV_AT])
        context = _context(token[:_SALT_AT], purpose, bound)
        try:
            plain: bytes = self._aead(key).decrypt(token[_IV_AT:_BODY_AT], token[_BODY_AT:], context)
        except self._invalid:
            raise SealError from None
        (ends_ms,) = _END.unpack_from(plain)
        if ends_ms and ends_ms <= now_s * 1000:
            raise SealError
        return plain[_END.size :]

    def _late(self, key_id: bytes, now_s: float) -> bytes:
        """A secret that another process has just made. Anybody can ask for it, so it costs one look at the file."""
        if self._file is not None and self._file.changed():
            self._reload(self._file, now_s)
        try:
            return self._secrets[key_id]
        except KeyError:
            raise SealError from None

    def _look(self, now_s: float) -> None:
        """Once a second: has somebody added a key, is it time to add one?"""
        if self._looked_s <= now_s < self._looked_s + LOOK_S:
            return
        self.prepare()
        self._looked_s = now_s
        if self._file is not None and (self._file.changed() or self._file.is_due(self._own, now_s)):
            self._reload(self._file, now_s)

    def _reload(self, file: SealKeys, now_s: float) -> None:
        """Follow the file. What cannot be read, or written, leaves the keys as they are: they are still good."""
        try:
            self._own = file.load(now_s)
        except (OSError, SealKeysError) as exc:
            if not self._complained:
                self._complained = True
                _log.warning("the sealing keys stay as they are: %s", exc)
            return
        self._complained = False
        self._arrange()

    def _arrange(self) -> None:
        secrets = [*self._shared, *(key.secret for key in reversed(self._own))]
        self._secrets = {_key_id(secret): secret for secret in reversed(secrets)}
        self._current = _key_id(secrets[0])


def _derived(key: bytes) -> bytes:
    """The secret that a text of configuration stands for."""
    return hashlib.blake2b(key, digest_size=KEY_BYTES, person=_PERSON + b" text").digest()


def _key_id(secret: bytes) -> bytes:
    return hashlib.blake2b(key=secret, digest_size=_ID_BYTES, person=_PERSON + b" id").digest()


def _value_key(secret: bytes, salt: bytes) -> bytes:
    return hashlib.blake2b(salt, key=secret, digest_size=KEY_BYTES, person=_PERSON).digest()


def _context(head: bytes, purpose: str, bound: bytes) -> bytes:
    """What is authenticated beside the value; of two different uses never the same."""
    use = purpose.encode()
    if not 0 < len(use) <= MAX_PURPOSE_BYTES:
        raise ValueError(f"a purpose has 1 to {MAX_PURPOSE_BYTES} bytes")
    return b"%b%c%b%b" % (head, len(use), use, bound)


def _decoded(text: str) -> bytes:
    """The bytes of a token, of which there is one spelling only. Raises SealError."""
    if len(text) > _MAX_TEXT:
        raise SealError
    try:
        written = text.encode("ascii").translate(_TO_PLAIN)
        token = binascii.a2b_base64(written + b"=" * (-len(written) % 4), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise SealError from None
    spare = len(token) % 3
    # The last digit has bits to spare: whoever remembers tokens by their text must find one text.
    if spare and not binascii.b2a_base64(token[-spare:]).startswith(written[-spare - 1 :]):
        raise SealError
    if len(token) < _BODY_AT + _END.size + _TAG_BYTES or token[:1] != _VERSION:
        raise SealError
    return token
