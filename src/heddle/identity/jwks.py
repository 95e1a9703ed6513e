"""The keys that an issuer signs with: decoded strictly, refreshed in the background, kept when a refresh fails.

Owns which key a token may be verified with. Keys come from configuration alone: nothing that a token says leads to a
fetch or to a key (CVE-2026-41413). Symmetric keys, keys for encryption and RSA keys under 2048 bits are left out.

*Source:* RFC 7517 sections 4 and 5; RFC 7518 section 3.3 (RSA sizes); RFC 8725 sections 3.1, 3.10.
"""

import asyncio
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from heddle.identity.errors import UnavailableError

Key = RSAKey | ECKey | OKPKey
Load = Callable[[], Awaitable[bytes | None]]
"""Reads the document; None when it has not changed. Raises OSError, TimeoutError or ValueError."""

MAX_DOCUMENT_BYTES = 256 * 1024
MAX_KEYS = 100
MIN_RSA_BITS = 2048
UNKNOWN_KID_INTERVAL_S = 30.0
"""Least time between two refreshes that tokens with an unknown `kid` may cause."""
RETRY_S = 5.0
"""Least time between two attempts while there are no keys at all."""

KEY_TYPES = {
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",
}
"""Every algorithm that may be configured -> the kind of key (type or curve) that it needs. None is symmetric."""

_CLASSES: dict[str, type[Key]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class JwksError(ValueError):
    """A document that is no usable key set."""


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key, and what its owner says it is for."""

    kid: str
    kind: str
    """As in the values of `KEY_TYPES`."""
    algorithm: str
    """The only algorithm it is for; empty when the document does not say."""
    key: Key

    def fits(self, algorithm: str) -> bool:
        """Whether a token signed with `algorithm` may be verified with this key."""
        return KEY_TYPES.get(algorithm) == self.kind and self.algorithm in {"", algorithm}


def decode_jwks(document: bytes) -> tuple[VerificationKey, ...]:
    """The usable keys of a JWK Set; JwksError when there are none, or when two have one `kid` and kind."""
    if len(document) > MAX_DOCUMENT_BYTES:
        raise JwksError(f"the key set is larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        listed = msgspec.json.decode(document, type=_KeySet).keys
    except (ValueError, RecursionError) as exc:
        raise JwksError("the document is not a JWK Set") from exc
    if len(listed) > MAX_KEYS:
        raise JwksError(f"the key set has more than {MAX_KEYS} keys")
    # RFC 7517 section 5: keys that are not understood are ignored, not fatal.
    keys = tuple(key for key in map(_usable, listed) if key is not None)
    if not keys:
        raise JwksError("the key set has no usable key")
    if len({(key.kid, key.kind, key.algorithm) for key in keys if key.kid}) != sum(bool(key.kid) for key in keys):
        raise JwksError("the key set has two keys with one kid")
    return keys


def _usable(jwk: dict[str, Any]) -> VerificationKey | None:
    cls = _CLASSES.get(str(jwk.get("kty")))
    operations = jwk.get("key_ops")
    if cls is None or jwk.get("use", "sig") != "sig" or (isinstance(operations, list) and "verify" not in operations):
        return None
    public = {name: jwk[name] for name in ("kty", "n", "e", "crv", "x", "y") if isinstance(jwk.get(name), str)}
    kid, algorithm = jwk.get("kid", ""), jwk.get("alg", "")
    if not isinstance(kid, str) or not isinstance(algorithm, str):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SecurityWarning)  # what the library merely warns of is refused
            key = cls.import_key(public)
        size = key.public_key.key_size if isinstance(key, RSAKey) else MIN_RSA_BITS
    except (JoseError, SecurityWarning, ValueError, TypeError, KeyError):
        return None
    kind = "RSA" if cls is RSAKey else public["crv"]
    return VerificationKey(kid, kind, algorithm, key) if size >= MIN_RSA_BITS else None


class KeySource:
    """The current keys of one issuer.

    Nothing runs while no token asks: keys older than `refresh_s` are served and refreshed behind the call that noticed.
    """

    __slots__ = (
        "_attempted_s",
        "_keys",
        "_load",
        "_monotonic",
        "_refresh_s",
        "_task",
        "_unknown_kid_s",
        "failure",
        "generation",
    )

    def __init__(self, load: Load, *, refresh_s: float, monotonic: Callable[[], float]) -> None:
        self._load = load
        self._refresh_s = refresh_s
        self._monotonic = monotonic
        self._keys: tuple[VerificationKey, ...] = ()
        self._attempted_s = float("-inf")
        self._unknown_kid_s = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self.generation = 0
        """Grows whenever the keys change; what was verified under another generation must be verified again."""
        self.failure = ""
        """Why the last attempt failed; empty when it did not."""

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """The one key for a token's `kid` and `alg`, or None; UnavailableError while no keys could be had at all.

        A token without `kid` is matched only where exactly one key fits its algorithm.
        """
        await self._ensure()
        key = self._pick(kid, algorithm)
        if key is None and (self._task is not None or self._may_ask_again()):
            await self._refreshed()
            key = self._pick(kid, algorithm)
        return key

    def touch(self) -> None:
        """Start a refresh in the background when one is due. Never raises."""
        if self._due():
            self._start()

    def close(self) -> None:
        """Stop a refresh under way."""
        if self._task is not None:
            self._task.cancel()

    def _pick(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        fitting = [key for key in self._keys if key.fits(algorithm) and (kid is None or key.kid == kid)]
        return fitting[0] if len(fitting) == 1 else None

    async def _ensure(self) -> None:
        self.touch()
        if not self._keys:
            await self._refreshed()
        if not self._keys:
            raise UnavailableError(self.failure or "the verification keys have not been read")

    def _due(self) -> bool:
        return self._monotonic() - self._attempted_s >= (self._refresh_s if self._keys else RETRY_S)

    def _may_ask_again(self) -> bool:
        now = self._monotonic()
        if now - self._unknown_kid_s < UNKNOWN_KID_INTERVAL_S or now - self._attempted_s < RETRY_S:
            return False
        self._unknown_kid_s = now
        self._start()
        return True

    def _start(self) -> None:
        if self._task is None:
            self._attempted_s = self._monotonic()
            self._task = asyncio.get_running_loop().create_task(self._refresh())

    async def _refreshed(self) -> None:
        """Wait for the refresh under way, if there is one; a caller that goes away does not stop it for the others."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _refresh(self) -> None:
        try:
            document = await self._load()
            if document is not None:
                self._adopt(decode_jwks(document))
            self.failure = ""
        except (OSError, TimeoutError, ValueError) as exc:
            self.failure = str(exc) or type(exc).__name__
        finally:
            self._task = None

    def _adopt(self, keys: tuple[VerificationKey, ...]) -> None:
        if _fingerprint(keys) != _fingerprint(self._keys):
            self._keys = keys
            self.generation += 1


def _fingerprint(keys: tuple[VerificationKey, ...]) -> list[tuple[str, str, str, str]]:
    return sorted((key.kid, key.kind, key.algorithm, key.key.thumbprint()) for key in keys)
