"""A snapshot as named parts, and parts as a snapshot: what travels when one route changes is that route.

Owns the names: `models/gpt-4` is a member of a list or mapping of the snapshot, `observability` a whole field of it.
A member carries its rank, because the order of some lists matters; equal ranks are in the order of names. Encoded
parts are equal when, and only when, what they say is.

Refuses, as `PartError` that names the part and the place in it: what is no part of a snapshot, and what is of another
type than the snapshot says.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec

from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_mcp import McpSpec

_MCP = "mcp."
_LISTS = ("listeners", "providers", "models", "authorization", "limits", "budgets", "guards", "caching")
_MCP_LISTS = ("targets", "servers")
_MAPPINGS = ("prices", "files")

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class PartError(ValueError):
    """A part that no snapshot can be made of; `path` says which, and where in it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class _Member(NamedTuple):
    """One of many."""

    rank: int
    value: Any


def _member_decoder(struct: type, field: str) -> "msgspec.msgpack.Decoder[_Member]":
    """Of `[rank, value]`, the value being what the field holds many of."""
    holds = get_args(get_type_hints(struct)[field])
    item = holds[1] if field in _MAPPINGS else holds[0]
    return msgspec.msgpack.Decoder(tuple[int, item])  # type: ignore[valid-type]


_MEMBERS = {field: _member_decoder(Snapshot, field) for field in (*_LISTS, *_MAPPINGS)} | {
    _MCP + field: _member_decoder(McpSpec, field) for field in _MCP_LISTS
}
"""Fields whose members are parts of their own."""
_WHOLE = {
    field: msgspec.msgpack.Decoder(kind)
    for field, kind in get_type_hints(Snapshot).items()
    if field not in _MEMBERS and field != "version"
}
"""Fields that are one part each; `mcp` is what remains of it without its lists."""


def member(field: str, name: str, value: object, rank: int = 0) -> tuple[str, bytes]:
    """One part: a member of `field`, such as `models` or `mcp.targets`."""
    return f"{field}/{name}", _encode((rank, value))


def whole(field: str, value: object) -> tuple[str, bytes]:
    """One part: a field that is sent as a whole."""
    return field, _encode(value)


def split(snapshot: Snapshot) -> dict[str, bytes]:
    """The parts of a snapshot. Its version is none of them: it follows from what they say."""
    rest = msgspec.structs.replace(snapshot.mcp, **dict.fromkeys(_MCP_LISTS, ()))
    parts = dict(whole(field, rest if field == "mcp" else getattr(snapshot, field)) for field in _WHOLE)
    for field in _LISTS:
        parts.update(_members(field, getattr(snapshot, field)))
    for field in _MCP_LISTS:
        parts.update(_members(_MCP + field, getattr(snapshot.mcp, field)))
    for field in _MAPPINGS:
        parts.update(member(field, name, value) for name, value in getattr(snapshot, field).items())
    return parts


def _members(field: str, values: tuple[Any, ...]) -> Iterator[tuple[str, bytes]]:
    seen: dict[str, int] = {}
    for rank, value in enumerate(values):
        name = str(getattr(value, "name", ""))
        seen[name] = seen.get(name, 0) + 1
        yield member(field, name if seen[name] == 1 else f"{name}#{seen[name]}", value, rank)


def assemble(parts: Mapping[str, bytes], version: str) -> Snapshot:
    """The snapshot that parts make. Raises PartError."""
    found: dict[str, list[tuple[int, str, Any]]] = {field: [] for field in _MEMBERS}
    fields: dict[str, Any] = {}
    for path, body in parts.items():
        field, slash, name = path.partition("/")
        if slash and field in _MEMBERS:
            rank, value = _read(_MEMBERS[field], path, body)
            found[field].append((rank, name, value))
        elif field in _WHOLE and not slash:
            fields[field] = _read(_WHOLE[field], path, body)
        else:
            raise PartError(path, "is no part of a snapshot that this program knows")
    for members in found.values():
        members.sort(key=lambda one: one[:2])
    fields |= {field: tuple(one[2] for one in found[field]) for field in _LISTS}
    fields |= {field: {name: value for _, name, value in found[field]} for field in _MAPPINGS}
    lists = {field: tuple(one[2] for one in found[_MCP + field]) for field in _MCP_LISTS}
    fields["mcp"] = msgspec.structs.replace(fields.get("mcp", McpSpec()), **lists)
    return Snapshot(version=version, **fields)


def _read(decoder: "msgspec.msgpack.Decoder[Any]", path: str, body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        where, _, place = str(exc).rpartition(" - at `$")
        raise PartError(path + place.rstrip("`") if where else path, where or str(exc)) from exc
