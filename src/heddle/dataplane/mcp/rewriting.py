"""URIs inside of results, as callers see them: what a result links to can be read again through the gateway.

Owns the places in results where a server names its resources. Everything else stays as it was.
*Source:* Model Context Protocol, "Resource links", "Embedded resources", "MCP Apps" (`_meta.ui.resourceUri`).
"""

from typing import Any

import msgspec

from heddle.wire.mcp.names import exposed_uri

_encode = msgspec.json.encode


def exposed_in(result: bytes, prefix: str) -> bytes:
    """A result with the URIs that callers see; the same bytes where it has none. Never raises."""
    if b'"uri"' not in result and b"resourceUri" not in result:
        return result
    try:
        value = msgspec.json.decode(result)
    except (msgspec.DecodeError, RecursionError):
        return result
    if not isinstance(value, dict):
        return result
    changed = False
    for member in ("content", "contents"):
        for item in value.get(member) or () if isinstance(value.get(member), list) else ():
            changed = _item(item, prefix) or changed
    for message in value.get("messages") or () if isinstance(value.get("messages"), list) else ():
        changed = _item(message.get("content") if isinstance(message, dict) else None, prefix) or changed
    changed = _app(value.get("_meta"), prefix) or changed
    return _encode(value) if changed else result


def _item(item: Any, prefix: str) -> bool:
    if not isinstance(item, dict):
        return False
    changed = _app(item.get("_meta"), prefix)
    if item.get("type") == "resource":
        return _uri(item.get("resource"), prefix) or changed
    if item.get("type") in ("resource_link", None):
        return _uri(item, prefix) or changed
    return changed


def _uri(holder: Any, prefix: str) -> bool:
    if isinstance(holder, dict) and isinstance(holder.get("uri"), str):
        holder["uri"] = exposed_uri(holder["uri"], prefix)
        return True
    return False


def _app(meta: Any, prefix: str) -> bool:
    """The user interface that a tool or a result names."""
    changed = False
    if isinstance(meta, dict):
        ui = meta.get("ui")
        if isinstance(ui, dict) and isinstance(ui.get("resourceUri"), str):
            ui["resourceUri"] = exposed_uri(ui["resourceUri"], prefix)
            changed = True
        if isinstance(meta.get("ui/resourceUri"), str):
            meta["ui/resourceUri"] = exposed_uri(meta["ui/resourceUri"], prefix)
            changed = True
    return changed


def app_in(definition: bytes, prefix: str) -> bytes:
    """A tool's definition with the URI of its user interface as callers see it."""
    if not prefix or b"resourceUri" not in definition:
        return definition
    value = msgspec.json.decode(definition)
    return _encode(value) if _app(value.get("_meta"), prefix) else definition
