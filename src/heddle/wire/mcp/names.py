"""Names that callers see: prefixes, what fits, and URIs of several servers side by side.

Clients accept `[a-zA-Z0-9_-]{1,64}` for tools, whatever the protocol allows, so that is what is shown. Names that are
too long keep their beginning and end in a digest of the whole, so that they stay apart.
*Source:* Model Context Protocol 2026-07-28, "Tool names" (aggregators should prefix); facts on what clients enforce.
"""

import re
from hashlib import sha256

MAX_NAME_CHARS = 64
SEPARATOR = "__"
_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_APPS = "ui://"


def exposed(name: str, prefix: str) -> str:
    """What callers call a tool or prompt `name` behind `prefix` (empty for none)."""
    whole = f"{prefix}{SEPARATOR}{name}" if prefix else name
    fitting = _UNFIT.sub("_", whole)
    if fitting == whole and 0 < len(whole) <= MAX_NAME_CHARS:
        return whole
    mark = sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{fitting[: MAX_NAME_CHARS - 9]}_{mark}"


def exposed_uri(uri: str, prefix: str) -> str:
    """The URI that callers see of a resource; the scheme of apps stays."""
    if not prefix:
        return uri
    if uri.startswith(_APPS):
        return f"{_APPS}{prefix}+{uri[len(_APPS) :]}"
    return f"{prefix}+{uri}"


def split_uri(uri: str) -> tuple[str, str]:
    """Prefix and original of a URI that `exposed_uri` made; an empty prefix where there is none."""
    scheme = _APPS if uri.startswith(_APPS) else ""
    prefix, plus, rest = uri[len(scheme) :].partition("+")
    return (prefix, scheme + rest) if plus else ("", uri)
