"""Proofs of thinking that the offline model makes, and knows again.

A seal depends on what it seals and on nothing else, so that no state is kept: whatever comes back altered, cut or
invented does not fit. To everybody else it is as opaque as the vendors' own.
"""

import base64
from hashlib import blake2b

import msgspec

_KEY = b"the offline model's own"


def seal(kind: str, *said: object) -> str:
    """Padded standard base64, for what was said in an answer of this kind."""
    digest = blake2b(msgspec.json.encode([kind, *said], order="deterministic"), digest_size=48, key=_KEY)
    return base64.b64encode(digest.digest()).decode()


def fits(value: str, kind: str, *said: object) -> bool:
    """Whether `value` is the seal of this, byte for byte."""
    return value == seal(kind, *said)


def sealed(kind: str, ident: str) -> str:
    """A seal that carries the id of what it is for."""
    return f"{base64.urlsafe_b64encode(ident.encode()).decode()}.{seal(kind, ident)}"


def sealed_id(value: str, kind: str) -> str:
    """The id in a value of `sealed`; empty when it is none."""
    try:
        ident = base64.urlsafe_b64decode(value.partition(".")[0].encode("ascii")).decode()
    except ValueError:
        return ""
    return ident if value == sealed(kind, ident) else ""
