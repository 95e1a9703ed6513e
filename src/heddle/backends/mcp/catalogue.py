"""What a target offers: its tools, prompts, resources and templates, as it lists them.

Owns reading whole lists, page by page, within bounds. Definitions are kept as they were written: what callers see of a
schema is what the server said.
*Source:* Model Context Protocol, "Pagination" (a cursor is opaque, an empty one is valid).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from heddle.backends.mcp.contract import Caller, Described, Params, Target, TargetRequest
from heddle.pipeline.errors import CallError, Reason
from heddle.wire.jsonrpc import METHOD_NOT_FOUND, RpcError

MAX_PAGES = 1_000
MIN_TTL_S, MAX_TTL_S = 1.0, 86_400.0
"""A server that says less would be asked again for every call, one that says more never."""
MAX_OFFERS = 50_000
MAX_BYTES = 64 * 1024 * 1024
"""Of all definitions of one list."""
_encode = msgspec.json.encode


class Listing(NamedTuple):
    """One kind of things a server lists."""

    kind: str
    method: str
    member: str
    """Of the result: the array."""
    key: str
    """Of each: what it is called by."""
    capability: str


LISTINGS = (
    Listing("tool", "tools/list", "tools", "name", "tools"),
    Listing("prompt", "prompts/list", "prompts", "name", "prompts"),
    Listing("resource", "resources/list", "resources", "uri", "resources"),
    Listing("template", "resources/templates/list", "resourceTemplates", "uriTemplate", "resources"),
)


class Offer(NamedTuple):
    """One thing that a target offers."""

    key: str
    """Name, URI or URI template."""
    raw: bytes
    """Its definition, as it was written."""
    value: dict[str, Any]
    """The same, parsed."""


class Catalogue(NamedTuple):
    """Everything one target offers to one kind of caller."""

    described: Described
    offers: Mapping[str, Mapping[str, Offer]]
    """By kind, then by key, in the order they were listed."""
    ttl_s: float
    """How long the target says that its lists may be kept; 0 says nothing."""

    def of(self, kind: str) -> Mapping[str, Offer]:
        """Those of one kind."""
        return self.offers.get(kind, {})


class _Page(msgspec.Struct):
    nextCursor: str | None = None  # noqa: N815 - as on the wire
    ttlMs: float = 0  # noqa: N815


_decode_page = msgspec.json.Decoder(_Page).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


async def read_catalogue(target: Target, caller: Caller) -> Catalogue:
    """Everything `target` offers to `caller`. Raises RpcError or CallError."""
    described = await target.describe(caller)
    offers: dict[str, dict[str, Offer]] = {}
    ttls = [described.ttl_s] if described.ttl_s else []
    for listing in LISTINGS:
        if listing.capability in described.capabilities:
            offers[listing.kind], ttl_s = await _read_list(target, listing, caller)
            ttls += [ttl_s] if ttl_s else []
    told_s = min(ttls, default=0.0)
    return Catalogue(described, offers, min(max(told_s, MIN_TTL_S), MAX_TTL_S) if told_s else 0.0)


async def _read_list(target: Target, listing: Listing, caller: Caller) -> tuple[dict[str, Offer], float]:
    found: dict[str, Offer] = {}
    cursor: str | None = None
    seen: set[str] = set()
    size, ttl_s = 0, 0.0
    for _ in range(MAX_PAGES):
        params: Params = {} if cursor is None else {"cursor": msgspec.Raw(_encode(cursor))}
        try:
            result = await target.call(TargetRequest(method=listing.method, params=params), caller)
        except RpcError as error:
            if error.code == METHOD_NOT_FOUND:
                return found, 0.0  # declared as a whole, and only half of it is there
            raise
        size += len(result)
        page = _read_page(result, listing, found, target.name)
        ttl_s = page.ttlMs / 1000
        if len(found) > MAX_OFFERS or size > MAX_BYTES:
            raise CallError(Reason.UPSTREAM_ERROR, f"The tool server `{target.name}` lists more than can be kept.")
        cursor = page.nextCursor
        if cursor is None:
            return found, ttl_s
        if cursor in seen:
            break
        seen.add(cursor)
    raise CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{target.name}` lists without an end.")


def _read_page(result: bytes, listing: Listing, found: dict[str, Offer], name: str) -> _Page:
    try:
        page = _decode_page(result)
        for raw in _decode_list(_decode_members(result).get(listing.member, msgspec.Raw(b"[]"))):
            value = msgspec.json.decode(raw)
            key = value.get(listing.key) if isinstance(value, dict) else None
            if isinstance(key, str) and key and key not in found:
                found[key] = Offer(key, bytes(raw), value)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{name}` answers {listing.method} wrongly.") from exc
    return page
