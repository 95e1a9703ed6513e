"""Whose an object is: what a source declares, only that source writes.

Owns the annotation that says so, and its one rule. Writes to `status` are observations and never come here.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from heddle.wire.kube import status

OWNED_BY = "heddle.dev/owned-by"
"""Annotation: the source that an object belongs to, such as `folder:conf`."""
SOURCE_USERS = "system:source:"
"""Prefix of the names under which sources write. No credential of the API may claim one."""


class Named(Protocol):
    """A caller, as far as ownership is concerned."""

    @property
    def name(self) -> str:
        """The authenticated name."""
        ...


def source_user(source: str) -> str:
    """The user that a source writes as: `folder:conf` is `system:source:folder:conf`."""
    return f"{SOURCE_USERS}{source}"


def owner_of(value: Mapping[str, Any] | None) -> str:
    """The source that an object belongs to; empty is nobody."""
    meta = value.get("metadata") if value is not None else None
    annotations = meta.get("annotations") if isinstance(meta, Mapping) else None
    owner = annotations.get(OWNED_BY) if isinstance(annotations, Mapping) else None
    return owner if isinstance(owner, str) else ""


def check_owner(caller: Named, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
    """Let a write pass, or raise ApiError 409.

    `old` is the object as it is (None: it is made), `new` as it shall be (None: it is deleted). An object that a
    source owns is written by that source alone, and nobody else makes one that a source would own.
    """
    had, gets = owner_of(old), owner_of(new)
    source = caller.name.removeprefix(SOURCE_USERS) if caller.name.startswith(SOURCE_USERS) else ""
    if had and had != source:
        raise _refusal(old, f"it is declared by the source {had}; change it there")
    if gets and gets != source:
        raise _refusal(new, f"only the source {gets} itself may set the annotation {OWNED_BY} to its name")


def _refusal(value: Mapping[str, Any] | None, why: str) -> status.ApiError:
    assert value is not None
    group = str(value.get("apiVersion", "")).rpartition("/")[0]
    meta = value.get("metadata")
    name = str(meta.get("name", "")) if isinstance(meta, Mapping) else ""
    return status.conflict(group, _plural(str(value.get("kind", ""))), name, why)


def _plural(kind: str) -> str:
    """The plural as Kubernetes derives it where nobody states one."""
    word = kind.lower()
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in set("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}s"
