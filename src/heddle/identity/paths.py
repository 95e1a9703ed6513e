"""Whether one path lies under another, compared as the thing behind the path would read it.

Owns `under`, which policies use where `startsWith` would let `/data/../etc` through. It refuses to guess: a path that
two readers may read differently raises, and so is false in an allow and true in a deny.

*Source:* RFC 3986 section 5.2.4 (dot segments), 2.1 (percent-encoding); CVE-2021-31920 (`//`,
`%2F`), CVE-2021-39156 (`#`).
"""

from urllib.parse import unquote_to_bytes


def under(path: str, prefix: str) -> bool:
    """Whether `path` is `prefix` or lies below it, by whole segments; ValueError when either is ambiguous."""
    inside = _inside([_decoded(raw) for raw in _split(path)], [_decoded(raw) for raw in _split(prefix)])
    # A server of files reads `/x/%2e/../data` as `/x/data`, a web server as `/data`.
    if ("%" in path or "%" in prefix) and _inside(_split(path), _split(prefix)) is not inside:
        raise ValueError("whether the path is meant to be decoded matters")
    return inside


def _split(path: str) -> list[str]:
    if not path.startswith("/"):
        raise ValueError("a path must start with a slash")
    return path.split("/")[1:]


def _inside(path: list[str], prefix: list[str]) -> bool:
    inner, outer = _resolved(path), _resolved(prefix)
    return inner[: len(outer)] == outer


def _resolved(segments: list[str]) -> list[str]:
    """Without dot segments and empty ones. ValueError where it matters whether `..` takes back an empty one: in a URL
    it does, in the name of a file it does not."""
    joined: list[str] = []
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del joined[-1:]
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
            if segment:
                joined.append(segment)
    if joined != [segment for segment in kept if segment]:
        raise ValueError("the path has an empty segment before `..`")
    return joined


def _decoded(raw: str) -> str:
    """A segment without percent-encoding; ValueError for what some readers take for a delimiter and others do not."""
    segment = unquote_to_bytes(raw).decode() if "%" in raw else raw
    if any(c in "/\\%?#;" or c < " " or c == "\x7f" for c in segment):
        raise ValueError("the path has an ambiguous character")
    return segment
