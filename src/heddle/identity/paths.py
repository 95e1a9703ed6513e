"""Whether one path lies under another, compared as the thing behind the path would read it.

Owns `under`, which policies use where `startsWith` would let `/data/../etc` through. It refuses to guess: a path that
two readers may read differently raises, and so is false in an allow and true in a deny.

*Source:* RFC 3986 section 5.2.4 (dot segments), 2.1 (percent-encoding); CVE-2021-31920 (`//`,
`%2F`), CVE-2021-39156 (`#`).
"""

from urllib.parse import unquote_to_bytes


def under(path: str, prefix: str) -> bool:
    """Whether `path` is `prefix` or lies below it, by whole segments; ValueError when either is ambiguous."""
    inside, outer = _segments(path), _segments(prefix)
    return inside[: len(outer)] == outer


def _segments(path: str) -> list[str]:
    if not path.startswith("/"):
        raise ValueError("a path must start with a slash")
    segments: list[str] = []
    for raw in path.split("/"):
        segment = _decoded(raw)
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    return segments


def _decoded(raw: str) -> str:
    """A segment without percent-encoding; ValueError for what some readers take for a delimiter and others do not."""
    segment = unquote_to_bytes(raw).decode() if "%" in raw else raw
    if any(c in "/\\%?#;" or c < " " or c == "\x7f" for c in segment):
        raise ValueError("the path has an ambiguous character")
    return segment
