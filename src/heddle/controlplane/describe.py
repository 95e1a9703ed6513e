"""A snapshot as people may see it: everything that was configured, without its secrets.

Owns what `/config` shows. Which fields are secret is in `model.redact`.
"""

from typing import Any

import msgspec

from heddle.model.redact import hide, secret_fields
from heddle.model.snapshot import KeySpec, ProviderSpec, Snapshot
from heddle.model.snapshot_mcp import OpenApiSpec

_OPEN_OPTIONS = frozenset({"openai", "scripted"})
"""Provider types whose `options` hold no secrets; those of installed plug-ins may."""


def describe(snapshot: Snapshot) -> dict[str, Any]:
    """Plain data, ready for JSON: secrets are `***`, a key appears by its public `key_id`, prices by their number."""
    shown = _struct(snapshot)
    shown["prices"] = {name: f"{len(table.models)} models" for name, table in snapshot.prices.items()}
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _struct(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _struct(value: msgspec.Struct) -> dict[str, Any]:
    hidden = secret_fields(type(value))
    config = value.__struct_config__
    shown: dict[str, Any] = {config.tag_field: config.tag} if config.tag_field else {}
    for name in value.__struct_fields__:
        field = getattr(value, name)
        shown[name] = hide(field) if name in hidden else _plain(field)
    if isinstance(value, KeySpec):
        shown["key_id"] = f"key-{value.sha256[:12]}"
    if isinstance(value, OpenApiSpec):
        shown["document"] = f"{len(value.document)} characters"
    if isinstance(value, ProviderSpec) and value.type not in _OPEN_OPTIONS:
        shown["options"] = hide(value.options)
    return shown
