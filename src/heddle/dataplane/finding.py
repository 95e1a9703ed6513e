"""What one worker finds behind its targets, written to a file for the parent, which tells the control plane.

Owns that lists are read although nobody has asked for them, what is said of each tool server and tool, and that all of
it is fit to be told: short, and with nothing in it that cannot be seen. The file is written when something changed, as
a whole, and never half.

Lists that differ from caller to caller are nobody's to tell: of such a target only its health is.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from heddle.backends.mcp.catalogue import Catalogue, Offer
from heddle.backends.mcp.contract import Caller
from heddle.backends.mcp.upstream import Upstream
from heddle.dataplane.gateway import Gateway
from heddle.dataplane.subscription.telling import FILE
from heddle.directory.definitions import define
from heddle.directory.visible import clipped, visible
from heddle.model.snapshot_mcp import HttpSpec, OpenApiSpec, SseSpec, StdioSpec
from heddle.wire.errors import ProtocolError
from heddle.wire.found import (
    MAX_ENTRIES,
    MAX_NAME_CHARS,
    MAX_SCHEMA_CHARS,
    MAX_TEXT_CHARS,
    MAX_TOOLS,
    Approval,
    Entry,
    FoundServer,
    FoundTool,
)

_log = logging.getLogger("heddle.finding")

LOOK_S = 1.0
_TRANSPORTS = {StdioSpec: "stdio", HttpSpec: "http", SseSpec: "sse", OpenApiSpec: "openapi"}
_encode = msgspec.msgpack.Encoder().encode


class _Looked(NamedTuple):
    """What entries of a target were made of."""

    read: Catalogue | None
    shown: Catalogue | None
    withheld: Mapping[tuple[str, str], str]


class Finding:
    """The finding of one worker."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._looked: dict[str, _Looked] = {}
        self._tools: dict[str, tuple[FoundTool, ...]] = {}
        self._written: list[Entry] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, gateway: Gateway) -> None:
        """Look, until `close`."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._look(gateway))

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _look(self, gateway: Gateway) -> None:
        while True:
            router = gateway.runtime.mcp
            try:
                await self.turn(router.upstreams if router is not None else {})
            except Exception:  # what a server says of itself must not end the telling of all others
                _log.exception("what was found behind targets cannot be told")
            await asyncio.sleep(LOOK_S)

    async def turn(self, upstreams: Mapping[str, Upstream]) -> None:
        """Read what is old, and write down what changed."""
        asked = [one for one in upstreams.values() if not one.per_caller and one.known() is None]
        await asyncio.gather(*(_read(one) for one in asked))
        for name in self._looked.keys() - upstreams.keys():
            del self._looked[name], self._tools[name]
        for upstream in upstreams.values():
            await self._find(upstream)
        entries: list[Entry] = [one for tools in self._tools.values() for one in tools]
        servers = [_server(one) for one in upstreams.values()]
        entries = [*servers, *entries][:MAX_ENTRIES]
        if entries != self._written or not self._path.exists():
            await asyncio.to_thread(self._write, entries)
            self._written = entries

    async def _find(self, upstream: Upstream) -> None:
        read, shown = upstream.listed()
        looked = _Looked(read, shown, upstream.withheld)
        former = self._looked.get(upstream.name)
        if former is not None and all(one is other for one, other in zip(former, looked, strict=True)):
            return
        found = await asyncio.to_thread(_tools, upstream.name, looked)
        self._looked[upstream.name], self._tools[upstream.name] = looked, found

    def _write(self, entries: list[Entry]) -> None:
        fresh = self._path.with_suffix(".new")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_encode(entries))
        fresh.replace(self._path)


async def _read(upstream: Upstream) -> None:
    """Have its lists read; the answer is looked at as it is kept."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_S):
            await upstream.catalogue(Caller())


def _server(upstream: Upstream) -> FoundServer:
    read, _ = upstream.listed()
    well = upstream.healthy and (read is not None or not upstream.trouble)
    why = "" if well else clipped(upstream.trouble or "it does not answer", MAX_TEXT_CHARS)
    if upstream.per_caller:
        why = why or "its lists differ from caller to caller"
    found = FoundServer(
        target=upstream.name, well=well, why=why, transport=_TRANSPORTS.get(type(upstream.spec.connect), "")
    )
    if read is None:
        return found
    described = read.described
    instructions = "" if ("instructions", "") in upstream.withheld else described.instructions
    return msgspec.structs.replace(
        found,
        listed=True,
        title=_short(described.server_info.get("title") or described.server_info.get("name")),
        version=_short(described.server_info.get("version")),
        protocol_version=_short(described.version),
        instructions=_long(instructions),
        tools=len(read.of("tool")),
        resources=len(read.of("resource")) + len(read.of("template")),
        prompts=len(read.of("prompt")),
    )


def _tools(target: str, looked: _Looked) -> tuple[FoundTool, ...]:
    """The tools of a target, as they are told."""
    if looked.read is None:
        return ()
    offers = list(looked.read.of("tool").values())[:MAX_TOOLS]
    return tuple(_tool(target, one, _approval(one, looked)) for one in offers)


def _approval(offer: Offer, looked: _Looked) -> Approval:
    reason = looked.withheld.get(("tool", offer.key))
    if reason is not None:
        made: Approval = msgspec.convert(reason, Approval)
        return made
    return "approved" if looked.shown is not None and offer.key in looked.shown.of("tool") else "unchecked"


def _tool(target: str, offer: Offer, approval: Approval) -> FoundTool:
    value = offer.value
    try:
        digest = define("tool", offer.raw).digest
    except ProtocolError:
        digest = ""
    if not digest or approval not in ("approved", "unchecked"):
        # What callers must not read stands in no directory either: `heddle tools diff` shows it to who decides.
        return FoundTool(target=target, name=_short(offer.key), approval=approval, digest=digest)
    return FoundTool(
        target=target,
        name=_short(offer.key),
        title=_short(value.get("title")),
        description=_long(value.get("description")),
        input_schema=_json(value.get("inputSchema")),
        output_schema=_json(value.get("outputSchema")),
        annotations=_json(value.get("annotations")),
        digest=digest,
        approval=approval,
    )


def _short(value: object) -> str:
    return clipped(value, MAX_NAME_CHARS) if isinstance(value, str) else ""


def _long(value: object) -> str:
    """A text of several lines."""
    text = visible(value[:MAX_TEXT_CHARS], keep="\n") if isinstance(value, str) else ""
    return text if len(text) <= MAX_TEXT_CHARS else f"{text[: MAX_TEXT_CHARS - 1]}…"


def _json(value: Any) -> str:
    """An object as JSON that can be seen whole; empty when it is none, or too long."""
    if not isinstance(value, dict) or not value:
        return ""
    encoded = visible(msgspec.json.encode(value).decode())
    return encoded if len(encoded.encode()) <= MAX_SCHEMA_CHARS else ""
