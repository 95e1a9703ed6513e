"""Signed assertions: how a client proves itself without sending a secret.

Owns the private key. Apart from `client`, because the library behind it takes memory that most workers need not spend.

*Source:* RFC 7523 section 3; RFC 7515; RFC 7518 section 3.1.
"""

import warnings

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

_KINDS: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {
    "RS": RSAKey,
    "PS": RSAKey,
    "ES": ECKey,
    "Ed": OKPKey,
}


class Assertions:
    """Signs with one key."""

    __slots__ = ("_algorithm", "_header", "_key")

    def __init__(self, private_key: str, algorithm: str, key_id: str) -> None:
        """ValueError when the key cannot be read or does not fit the algorithm; it quotes nothing of it."""
        self._algorithm = algorithm
        self._header = {"alg": algorithm, "typ": "JWT"} | ({"kid": key_id} if key_id else {})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)
                self._key = _KINDS[algorithm[:2]].import_key(private_key)
                private = self._key.is_private
                self({})
        except (JoseError, ValueError, TypeError, KeyError):
            private = False
        if not private:
            raise ValueError(f"the private key cannot be used with {algorithm}")

    def __repr__(self) -> str:
        return f"Assertions({self._algorithm})"

    def __call__(self, claims: dict[str, object]) -> str:
        """A signed JWT with these claims."""
        with warnings.catch_warnings():
            # `EdDSA` is the older name of `Ed25519` (RFC 9864); whoever configured it knows.
            warnings.simplefilter("ignore", SecurityWarning)
            return jwt.encode(self._header, claims, self._key, algorithms=[self._algorithm])
