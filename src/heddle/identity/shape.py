"""What a credential looks like, before anything is believed: enough to choose who shall verify it.

Owns the reading of unproven tokens. Nothing here may decide more than which verifier is asked, or refuse.

*Source:* RFC 7515 sections 2 (base64url without padding) and 7.1 (compact serialization).
"""

import base64
import re
from typing import Any

import msgspec

MAX_TOKEN_BYTES = 8 * 1024
"""Longest credential that is looked at."""

_COMPACT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_Object = dict[str, Any]
_decoder = msgspec.json.Decoder(_Object)


class Unverified(msgspec.Struct, frozen=True):
    """A token's own word about itself."""

    header: dict[str, Any]
    claims: dict[str, Any]

    @property
    def issuer(self) -> str:
        """`iss`, or empty when it is not text."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""

    def __repr__(self) -> str:
        return "Unverified(...)"


def peek(credential: bytes) -> Unverified | None:
    """The unproven header and claims of a credential in the shape of a JWT; None for any other credential."""
    if len(credential) > MAX_TOKEN_BYTES or not _COMPACT.fullmatch(credential):
        return None
    header, claims, _ = credential.split(b".")
    try:
        return Unverified(_object(header), _object(claims))
    except (ValueError, RecursionError):  # nested deeper than any token is
        return None


def _object(part: bytes) -> _Object:
    return _decoder.decode(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
