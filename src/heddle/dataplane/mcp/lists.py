"""Lists as one caller sees them: what some call of this caller could be allowed, page by page.

Owns the memory of what was shown to whom: a list is written once for each caller and surface. A cursor says where the
next page begins in the list as it is then, and is good for nothing else.
*Source:* Model Context Protocol, "Pagination"; 2026-07-28, "Caching".
"""

from collections.abc import Awaitable
from typing import Any, Protocol

import msgspec

from heddle.dataplane.mcp.policies import McpPolicies
from heddle.dataplane.mcp.surface import Entry, Surface
from heddle.model.mcp import Kind, McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot_mcp import McpServerSpec
from heddle.pipeline.exchange import Exchange
from heddle.wire.jsonrpc import INVALID_PARAMS, RpcError

PAGE = 1_000
"""Definitions in one page: more than any model is shown, and few enough to write at once."""
MAX_SHOWN = 4_096
MAX_WRITTEN_BYTES = 64 * 1024 * 1024
"""Of pages that are kept as they are sent."""
_MEMBERS = {"tool": "tools", "prompt": "prompts", "resource": "resources", "template": "resourceTemplates"}
_encode = msgspec.json.encode


class Search(Protocol):
    """Finding tools by what they do, in place of listing them."""

    tools: frozenset[str]
    """Names of the tools that find and call others."""
    replaces: bool
    """Lists show these only."""

    def listed(self, definitions: list[bytes], first: int) -> list[bytes]:
        """What the page of the tool list shows that begins at `first`."""
        ...

    def call(self, server: Any, surface: Surface, turn: Any) -> Awaitable[bytes]:
        """The result of calling one of `tools`. Raises RpcError or CallError."""
        ...


class _Shown:
    """One list, as one caller sees it."""

    __slots__ = ("entries", "pages", "principal", "surface")

    def __init__(self, surface: Surface, principal: Principal, entries: list[Entry]) -> None:
        self.surface, self.principal, self.entries = surface, principal, entries
        self.pages: dict[int, bytes] = {}


class Lists:
    """The lists of one virtual server."""

    def __init__(self, policies: McpPolicies, spec: McpServerSpec) -> None:
        self._policies = policies
        self._spec = spec
        self._shown: dict[tuple[int, str, str], _Shown] = {}
        self._written = 0
        self.search: Search | None = None
        """Where tools are found by what they do, and how they are shown then."""

    def visible(self, surface: Surface, kind: str, exchange: Exchange) -> list[Entry]:
        """What of a kind this caller may see, in order."""
        return self._of(surface, kind, exchange).entries

    def _of(self, surface: Surface, kind: str, exchange: Exchange) -> _Shown:
        key = (id(exchange.principal), kind, exchange.listener.name)
        shown = self._shown.get(key)
        if shown is None or shown.surface is not surface:
            entries = [entry for entry in surface.entries[kind].values() if self._permits(exchange, entry)]
            if len(self._shown) >= MAX_SHOWN:
                self._shown.clear()
            shown = self._shown[key] = _Shown(surface, exchange.principal, entries)
        return shown

    def _permits(self, exchange: Exchange, entry: Entry) -> bool:
        kind: Kind = "resource" if entry.kind == "template" else entry.kind  # type: ignore[assignment]
        call = McpCall(
            method="", server=self._spec.name, version="", kind=kind, name=entry.name,
            target=entry.upstream.name, target_name=entry.key,
        )  # fmt: skip
        return self._policies.permits(exchange, call)

    def page(self, surface: Surface, kind: str, cursor: Any, exchange: Exchange) -> bytes:
        """The result of a list. Raises RpcError for a cursor that was never given."""
        shown = self._of(surface, kind, exchange)
        first = _first(cursor, len(shown.entries))
        page = shown.pages.get(first)
        if page is None:
            page = self._write(shown, kind, first)
            self._written += len(page)
            if self._written > MAX_WRITTEN_BYTES:
                # Pages are forgotten, not who sees what: callers come and go, each with pages of its own.
                self._written = len(page)
                for other in self._shown.values():
                    other.pages.clear()
            shown.pages[first] = page
        return page

    def _write(self, shown: _Shown, kind: str, first: int) -> bytes:
        raws = [entry.raw for entry in shown.entries[first : first + PAGE]]
        if kind == "tool" and self.search is not None:
            raws = self.search.listed(raws, first)
            if self.search.replaces:
                return b'{"tools":[%b]}' % b",".join(raws)
        more = b""
        if first + PAGE < len(shown.entries):
            more = b',"nextCursor":%b' % _encode(f"h{first + PAGE}")
        return b'{"%b":[%b]%b}' % (_MEMBERS[kind].encode(), b",".join(raws), more)


def _first(cursor: Any, length: int) -> int:
    """Where a page begins."""
    if cursor is None:
        return 0
    if isinstance(cursor, str) and cursor[:1] == "h" and cursor[1:].isascii() and cursor[1:].isdigit():
        first = int(cursor[1:9])
        if 0 < first < length and first % PAGE == 0:
            return first
        if first >= length and first % PAGE == 0:
            return length  # the list has become shorter: there is no more
    raise RpcError(INVALID_PARAMS, "`cursor` is none that was given here.")
