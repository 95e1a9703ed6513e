"""`WWW-Authenticate: Bearer`, read from targets and written to callers.

Owns its grammar. Reading is linear in its length and takes nothing that is not the grammar's; writing cannot be made to
break out of a quoted string.

*Source:* RFC 9110 sections 5.6.2, 5.6.4 and 11.6.1; RFC 6750 section 3; RFC 9728 section 5.1; MCP 2026-07-28, "Scope
Challenge Handling".
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

MAX_CHARS = 8 * 1024
MAX_SCOPES = 100
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a grammar
_PIECE = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))|({_TOKEN})(?:[ \t]+|\Z)|[ \t,]+')
_SCOPE = re.compile(r"[!#-\[\]-~]+\Z")


class Challenge(NamedTuple):
    """What a resource says about a call it did not take."""

    error: str = ""
    scopes: tuple[str, ...] = ()
    resource_metadata: str = ""


def read_challenge(value: str) -> Challenge | None:
    """The first Bearer challenge of a field's value; None when there is none, or it is not in the grammar."""
    if len(value) > MAX_CHARS:
        return None
    found: dict[str, str] | None = None
    at = 0
    while at < len(value):
        piece = _PIECE.match(value, at)
        if piece is None:
            return None
        at = piece.end()
        name, quoted, plain, scheme = piece.groups()
        if scheme is not None:
            if found is not None:
                break
            found = {} if scheme.lower() == "bearer" else None
        elif name is not None and found is not None:
            found.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain)
    if found is None:
        return None
    return Challenge(found.get("error", ""), scopes_of(found.get("scope", "")), found.get("resource_metadata", ""))


def scopes_of(text: str) -> tuple[str, ...]:
    """The scopes of a space-separated text, each once, without those that are none (RFC 6749 section 3.3)."""
    return tuple(dict.fromkeys(one for one in text.split(" ") if len(one) <= 256 and _SCOPE.match(one)))[:MAX_SCOPES]


def write_challenge(
    resource_metadata: str, scopes: Sequence[str] = (), error: str = "", description: str = ""
) -> tuple[bytes, bytes]:
    """The field that tells a caller what is missing."""
    pairs = (
        ("error", error),
        ("error_description", description),
        ("scope", " ".join(scopes)),
        ("resource_metadata", resource_metadata),
    )
    shown = ", ".join(f'{name}="{_quotable(value)}"' for name, value in pairs if value)
    return b"www-authenticate", f"Bearer {shown}".rstrip().encode("ascii")


def _quotable(text: str) -> str:
    """RFC 6750 section 3: printable ASCII without quotes and backslashes."""
    return re.sub(r"[^ !#-\[\]-~]", "", text)
