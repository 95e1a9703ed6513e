"""SPIFFE ids: built from their parts, or refused.

Owns the one place where a workload's name is written. It never repairs a name: two callers whose names differ only in
what a repair removes would become one.

*Source:* SPIFFE-ID 1.0 sections 2.1 (trust domain), 2.2 (path), 2.3 (length).
"""

import re

MAX_BYTES = 2048
MAX_TRUST_DOMAIN_BYTES = 255

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


class SpiffeError(ValueError):
    """A name that no SPIFFE id can carry; the message says which part and is safe to show."""


def check_trust_domain(name: str) -> str:
    """`name` itself, or SpiffeError."""
    if len(name) > MAX_TRUST_DOMAIN_BYTES or not _TRUST_DOMAIN.fullmatch(name):
        raise SpiffeError("a trust domain is 1 to 255 lower-case letters, digits, dots, dashes and underscores")
    return name


def workload_id(trust_domain: str, tenant: str, agent: str) -> str:
    """`spiffe://<trust domain>/ns/<tenant>/sa/<agent>`; SpiffeError when no path can carry a part."""
    check_trust_domain(trust_domain)
    _check_segment("tenant", tenant)
    _check_segment("agent", agent)
    made = f"spiffe://{trust_domain}/ns/{tenant}/sa/{agent}"
    if len(made) > MAX_BYTES:
        raise SpiffeError(f"the SPIFFE id is longer than {MAX_BYTES} bytes")
    return made


def parse(text: str) -> tuple[str, tuple[str, ...]]:
    """Trust domain and path segments of a SPIFFE id; SpiffeError unless it is one, to the letter."""
    if len(text) > MAX_BYTES or not text.startswith("spiffe://"):
        raise SpiffeError("a SPIFFE id starts with spiffe:// and has at most 2048 bytes")
    trust_domain, slash, path = text.removeprefix("spiffe://").partition("/")
    check_trust_domain(trust_domain)
    segments = tuple(path.split("/")) if slash else ()
    for segment in segments:
        _check_segment("path segment", segment)
    return trust_domain, segments


def _check_segment(what: str, text: str) -> None:
    # Section 2.2: letters, digits, dot, dash, underscore; no empty and no relative segments.
    if not _SEGMENT.fullmatch(text) or text in {".", ".."}:
        raise SpiffeError(f"the {what} must be letters, digits, dots, dashes and underscores to be part of a SPIFFE id")
