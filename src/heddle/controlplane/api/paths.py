"""Which kind, object and subresource a path means.

Owns the grammar `/api/v1/...`, `/apis/GROUP/VERSION/...`, with and without a namespace, and the old `/watch/` form.
*Source:* Kubernetes API concepts, "Resource URIs".
"""

from typing import NamedTuple

from heddle.model.kinds import Kind, Kinds


class Target(NamedTuple):
    """What a path names."""

    kind: Kind
    namespace: str | None
    """None is all namespaces, and what stands in none."""
    name: str = ""
    """Empty is the collection."""
    subresource: str = ""
    watch: bool = False
    """The old `/watch/` form."""


_OF_NAMESPACES = {"status", "finalize", "history", "rollback"}
"""Subresources of a namespace; whatever else stands below one is a kind that is not served."""


def resolve(parts: list[str], kinds: Kinds) -> Target | None:
    """What the segments of a path name; None when no such kind is served there."""
    if len(parts) >= 3 and parts[0] == "api":
        return _in_version(kinds, "", parts[1], parts[2:])
    if len(parts) >= 4 and parts[0] == "apis":
        return _in_version(kinds, parts[1], parts[2], parts[3:])
    return None


def _in_version(kinds: Kinds, group: str, version: str, rest: list[str]) -> Target | None:
    watch = rest[0] == "watch" and len(rest) > 1
    rest = rest[1:] if watch else rest
    if rest[0] == "namespaces" and len(rest) >= 3:
        # `namespaces/x/status` is a subresource of a namespace, where no kind is called so.
        kind = kinds.at(group, version, rest[2])
        if kind is not None:
            return _below(kind, rest[1], rest[3:], watch) if kind.namespaced else None
        if rest[2] not in _OF_NAMESPACES:
            return None
    kind = kinds.at(group, version, rest[0])
    if kind is None or (kind.namespaced and len(rest) > 1):
        return None
    return _below(kind, None, rest[1:], watch)


def _below(kind: Kind, namespace: str | None, rest: list[str], watch: bool) -> Target | None:
    if len(rest) > 2:
        return None
    name = rest[0] if rest else ""
    return Target(kind, namespace, name, rest[1] if len(rest) > 1 else "", watch)
