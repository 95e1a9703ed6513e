"""A client of one MCP server of any era, for one command: the same targets that the gateway reaches servers with.

Owns the connection, the credential and how failures are told. It declares only what the person at the terminal can
do (`mcp_asking`), and asks as an older client does: questions come one by one, whichever way the server has to ask.
The key goes to the server of the URL and nowhere else.

*Source:* Model Context Protocol 2026-07-28, "Versioning", on clients of both eras.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import click
import msgspec

from heddle import __version__
from heddle.backends.mcp.build import build_target
from heddle.backends.mcp.catalogue import Catalogue, read_catalogue
from heddle.backends.mcp.contract import Caller, Params, Target, TargetRequest
from heddle.directory.visible import clipped, visible
from heddle.drivers.counters.memory import MemoryCounters
from heddle.model.principal import Principal
from heddle.model.snapshot_mcp import HttpSpec, McpTargetSpec, McpTimeoutSpec, SseSpec
from heddle.net.client import Client
from heddle.net.message import Headers
from heddle.pipeline.assembly import Clock, Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.telemetry.metrics import Metrics
from heddle.wire.jsonrpc import RpcError
from heddle.wire.mcp import params
from heddle.wire.mcp.fields import MISSING_CAPABILITY
from heddle.wire.mcp.meta import PROGRESS_TOKEN
from heddle.wire.mcp.versions import LATEST_LEGACY

URL_ELICITATION = -32042
"""A server of 2025-11-25 wants the user to visit pages first."""
SEARCH = "find_tools"
"""What a virtual server lists in place of its tools."""
SESSION_S = 86_400.0
_INFO = msgspec.json.encode({"name": "heddle-cli", "title": "heddle mcp", "version": __version__})
_encode = msgspec.json.encode


class McpFailure(click.ClickException):
    """There was no answer, or one that is an error of the protocol; not a tool that failed."""

    exit_code = 2


class Person(Protocol):
    """Who sits at the terminal."""

    capabilities: dict[str, Any]
    """What they can be asked, as a client declares it."""

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """A server says something while it works."""
        ...

    async def answer(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """A server asks something. Raises RpcError to refuse."""
        ...


@dataclass
class Door:
    """Where a server is, and as whom to ask it."""

    url: str
    key: str = field(repr=False, default="")
    timeout_s: float = 300.0
    """Longest silence."""
    ca_file: str = ""


class _Asking(Caller):
    """The caller that the targets know."""

    version = LATEST_LEGACY
    client_info = _INFO
    key = "terminal"

    def __init__(self, person: Person, log_level: str) -> None:
        self._person = person
        self.capabilities = _encode(person.capabilities)
        self.log_level = log_level

    def notify(self, method: str, params: Params) -> None:
        with suppress(msgspec.DecodeError, RecursionError):
            self._person.hear(method, {name: msgspec.json.decode(value) for name, value in params.items()})

    async def ask(self, method: str, params: Params) -> bytes:
        return _encode(
            await self._person.answer(method, {name: msgspec.json.decode(value) for name, value in params.items()})
        )


class _Key:
    """The credential, and what its refusal is told as."""

    def __init__(self, door: Door) -> None:
        if not door.key.isascii() or not (door.key == "" or door.key.isprintable()):
            raise McpFailure("The key has characters that no header can carry.")
        self._door = door

    async def headers(self, principal: Principal, caller_token: bytes) -> Headers:
        """See `Authorizing`."""
        del principal, caller_token
        return [(b"authorization", b"Bearer " + self._door.key.encode())] if self._door.key else []

    async def refused(self, principal: Principal, status: int, www_authenticate: str) -> bool:
        """See `Authorizing`: there is no better one."""
        del principal
        challenge = f" It asks for: {clipped(www_authenticate, 300)}." if www_authenticate else ""
        if status == 401:
            what = "does not take this key" if self._door.key else "wants a key: give one with --key or HEDDLE_KEY"
            raise McpFailure(f"{self._door.url} {what}.{challenge}")
        raise McpFailure(f"{self._door.url} refuses this caller (403).{challenge}")


class ToolClient:
    """A server that is being spoken to. Every method raises McpFailure with what went wrong, in a sentence."""

    def __init__(self, target: Target, caller: Caller, url: str) -> None:
        self._target, self._caller, self._url = target, caller, url

    async def catalogue(self) -> Catalogue:
        """What the server is, and everything it lists."""
        with _told(self._url):
            return await read_catalogue(self._target, self._caller)

    async def definition(self, name: str, catalogue: Catalogue) -> dict[str, Any]:
        """The definition of a tool: as it is listed, or found where a server lists its search only; else empty."""
        offer = catalogue.of("tool").get(name)
        if offer is not None or SEARCH not in catalogue.of("tool"):
            return offer.value if offer is not None else {}
        found = (await self.call_tool(SEARCH, {"query": name[:200]}, {})).get("structuredContent")
        tools = found.get("tools") if isinstance(found, dict) else None
        listed = tools if isinstance(tools, list) else []
        known = [one for one in listed if isinstance(one, dict) and one.get("name") == name]
        return known[0] if known else {}

    async def call_tool(self, name: str, arguments: dict[str, Any], definition: dict[str, Any]) -> dict[str, Any]:
        """The result of a tool; `definition` is as it was listed, empty when it is not."""
        marks = params.marked(definition.get("inputSchema"))
        request = TargetRequest(method="tools/call", params=_params(name=name, arguments=arguments), name=name)
        request.extra = params.fields_of(marks, arguments)
        return await self._ask(request)

    async def get_prompt(self, name: str, arguments: dict[str, str]) -> dict[str, Any]:
        """The messages of a prompt."""
        named = _params(name=name, arguments=arguments)
        return await self._ask(TargetRequest(method="prompts/get", params=named, name=name))

    async def read(self, uri: str) -> dict[str, Any]:
        """The contents of a resource."""
        return await self._ask(TargetRequest(method="resources/read", params=_params(uri=uri), name=uri))

    async def log_from(self, level: str) -> None:
        """Have an older server tell what it logs, where it can; newer ones are told with each request."""
        described = await self._described()
        if self._target.stateful and "logging" in described.capabilities:
            with suppress(RpcError, CallError):
                await self._target.call(
                    TargetRequest(method="logging/setLevel", params=_params(level=level)), self._caller
                )

    async def _described(self) -> Any:
        with _told(self._url):
            return await self._target.describe(self._caller)

    async def _ask(self, request: TargetRequest) -> dict[str, Any]:
        request.meta = {PROGRESS_TOKEN: msgspec.Raw(b"1")}
        with _told(self._url):
            result: object = msgspec.json.decode(await self._target.call(request, self._caller))
        if not isinstance(result, dict):
            raise McpFailure(f"{self._url} answered with what is no result.")
        return result

    async def end(self) -> None:
        """Give a session back, where there is one."""
        with suppress(RpcError, CallError):
            await self._target.end(self._caller)


class _told:  # noqa: N801 - read as a phrase
    """Errors of the protocol and of the network, in words for a terminal."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RpcError):
            raise McpFailure(f"{_code(error)}{_pages(error)}{_lacking(error)}") from error
        if isinstance(error, CallError):
            hint = ""
            if error.reason is Reason.UPSTREAM_UNREACHABLE:
                hint = " Is the mesh running? `heddle status` says."
            raise McpFailure(visible(error.detail) + hint) from error
        if isinstance(error, msgspec.DecodeError | RecursionError):
            raise McpFailure(f"{self._url} answered with what is no result.") from error


def _code(error: RpcError) -> str:
    return f"error {error.code}: {clipped(error.message, 1000) or 'without a message'}"


def _pages(error: RpcError) -> str:
    """The pages that a server wants visited before it answers."""
    if error.code != URL_ELICITATION or not error.data:
        return ""
    with suppress(msgspec.DecodeError, LookupError, TypeError):
        asked = msgspec.json.decode(error.data)["elicitations"]
        return "".join(f"\n  {clipped(str(one['message']), 300)}: {visible(str(one['url']))}" for one in asked)
    return ""


def _lacking(error: RpcError) -> str:
    """What to do about something that this client did not offer."""
    if error.code == MISSING_CAPABILITY and b'"sampling"' in error.data:
        return "; name one with --model"
    return ""


def _params(**members: Any) -> Params:
    return {name: msgspec.Raw(_encode(value)) for name, value in members.items()}


@asynccontextmanager
async def connected(door: Door, person: Person, log_level: str = "") -> AsyncIterator[ToolClient]:
    """A client of the server behind `door`. Raises McpFailure."""
    check_url(door.url)
    client, clock = Client(), Clock(time.time, time.monotonic)
    tools = Tools(clock, client, Metrics.in_memory(), MemoryCounters(), lambda _: None, Path())
    try:
        target = build_target(_spec(door), tools, SESSION_S, _Key(door))
    except (ValueError, OSError) as exc:
        raise McpFailure(f"--url {door.url}: {exc}") from exc
    toolclient = ToolClient(target, _Asking(person, log_level), door.url)
    try:
        yield toolclient
    finally:
        await toolclient.end()
        target.close()
        for close in tools.closers:
            close()
        await client.close()


def check_url(url: str) -> None:
    """Refuse what is no place of a server. Raises McpFailure."""
    wanted = "expected http://HOST:PORT/mcp"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise McpFailure(f"--url {clipped(url)}: {wanted}") from exc
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise McpFailure(f"--url {clipped(url)}: {wanted}")
    if parts.username is not None or parts.password is not None:
        raise McpFailure("--url: credentials do not belong into a URL, which is kept in histories; use --key")


def _spec(door: Door) -> McpTargetSpec:
    # The path that servers of 2024-11-05 have their stream at, whoever wrote them.
    kind = SseSpec if urlsplit(door.url).path.rstrip("/").endswith("/sse") else HttpSpec
    timeouts = McpTimeoutSpec(call_s=door.timeout_s, total_s=0.0)
    return McpTargetSpec(name=door.url, connect=kind(url=door.url, ca_file=door.ca_file), timeouts=timeouts)
