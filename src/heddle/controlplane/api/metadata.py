"""The part of an object that all kinds share, and what nobody but the server writes in it.

Owns the shape of ObjectMeta, and which of its fields survive a write.
*Source:* Kubernetes API conventions, "Metadata"; meta/v1 ObjectMeta.
"""

import uuid
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from heddle.wire.kube.status import bad_request

SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
"""What an update takes from the object before it."""
_DROPPED_WHEN_EMPTY = ("labels", "annotations", "finalizers", "ownerReferences")


class _OwnerReference(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class _ObjectMeta(msgspec.Struct, rename="camel"):
    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    self_link: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[_OwnerReference] | None = None
    finalizers: list[str] | None = None
    managed_fields: list[dict[str, Any]] | None = None


_KNOWN = frozenset(_ObjectMeta.__struct_encode_fields__)


def timestamp(now_s: float) -> str:
    """A time as the API writes it, in whole seconds."""
    return _whole_second(int(now_s))


@lru_cache(64)
def _whole_second(now_s: int) -> str:
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_uid() -> str:
    """A uid for a new object."""
    return str(uuid.uuid4())


def take(body: dict[str, Any], kind: str, version: str) -> list[str]:
    """Make `body.metadata` well-formed, in place: unknown fields and nulls leave. Returns paths of unknown ones.

    Raises ApiError 400 for wrong types.
    """
    given = body.get("metadata")
    if given is None:
        body["metadata"] = {}
        return []
    try:
        msgspec.convert(given, _ObjectMeta)
    except msgspec.ValidationError as exc:
        where = str(exc).replace("$", "metadata")
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {where}') from exc
    unknown = [f"metadata.{field}" for field in given if field not in _KNOWN]
    body["metadata"] = {field: value for field, value in given.items() if field in _KNOWN and value is not None}
    return unknown


def drop_empty(metadata: dict[str, Any]) -> None:
    """Leave out what says nothing, as a Kubernetes API server does before storing."""
    for field in _DROPPED_WHEN_EMPTY:
        if field in metadata and not metadata[field]:
            del metadata[field]
    for field in ("generateName", "selfLink", "resourceVersion"):
        if field in metadata and not metadata[field]:
            del metadata[field]


def keep_server_owned(new: dict[str, Any], old: dict[str, Any]) -> None:
    """Give a changed metadata what only the server may change, in place."""
    for field in SERVER_OWNED:
        if field in old:
            new[field] = old[field]
        else:
            new.pop(field, None)
    for field in ("name", "namespace", "generateName"):
        if field in old:
            new[field] = old[field]
    new.pop("resourceVersion", None)
    new.pop("selfLink", None)
