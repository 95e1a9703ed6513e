"""Fronts of a virtual server over fake targets, as one worker has them; two workers share a bus, keys and a store."""

import json
from dataclasses import dataclass
from typing import Any

from tests.unit.backends.mcp.faking import FakeTarget, Time, fake_tools, upstream

from heddle.dataplane.mcp.asking import Asking
from heddle.dataplane.mcp.endpoint import Endpoint
from heddle.dataplane.mcp.legacy import LegacyFront
from heddle.dataplane.mcp.modern import ModernFront
from heddle.dataplane.mcp.parking import Parking
from heddle.dataplane.mcp.policies import McpPolicies
from heddle.dataplane.mcp.replay import Replay
from heddle.dataplane.mcp.server import VirtualServer
from heddle.dataplane.mcp.sessions import Sessions
from heddle.drivers.bus.memory import MemoryBus
from heddle.model.principal import Principal
from heddle.model.snapshot import ListenerSpec
from heddle.model.snapshot_mcp import McpServerSpec, McpSessionSpec, ServerTargetSpec
from heddle.net.body import Body
from heddle.net.message import Peer, Reply, Request
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError
from heddle.pipeline.exchange import Exchange
from heddle.telemetry.trace import SpanContext

ALICE, BOB = (Principal(user=user, method="api_key") for user in ("alice", "bob"))
MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"


def exchange(method: str = "POST", body: bytes = b"", principal: Principal = ALICE, **fields: str | None) -> Exchange:
    """One request."""
    listener = ListenerSpec(name="mcp", address="127.0.0.1", port=0, protocol="MCP")
    sent = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    sent |= {name.replace("_", "-"): value for name, value in fields.items()}  # type: ignore[misc]
    headers = [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if value is not None]
    request = Request(method, "/mcp", "", headers, Body.of(body), Peer("127.0.0.1", 1, False))
    made = Exchange(request, listener, "mcp", SpanContext("0" * 32, "0" * 16), 0.0)
    made.principal = principal
    return made


class Side(MemoryBus):
    """The bus as one of several workers sees it."""

    def __init__(self, sides: "dict[str, Side] | None" = None) -> None:
        super().__init__()
        self.sides = {} if sides is None else sides
        self.sides[self.address] = self

    def publish(self, topic: str, payload: bytes) -> None:
        for side in self.sides.values():
            MemoryBus.publish(side, topic, payload)

    def send(self, address: str, topic: str, payload: bytes) -> bool:
        side = self.sides.get(address)
        if side is not None:
            MemoryBus.publish(side, topic, payload)
        return side is not None


@dataclass
class Worker:
    """One worker."""

    tools: Tools
    sessions: Sessions
    asking: Asking
    parking: Parking
    endpoint: Endpoint
    server: VirtualServer

    async def post(self, body: Any, principal: Principal = ALICE, **fields: str | None) -> Reply:
        """A POST of a message."""
        written = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.endpoint.post(exchange("POST", written, principal, **fields))

    async def begin(self, principal: Principal = ALICE, version: str = "2025-11-25", **capabilities: Any) -> str:
        """The token of a new session."""
        params = {"protocolVersion": version, "capabilities": capabilities, "clientInfo": {"name": "t", "version": "1"}}
        reply = await self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, principal)
        return dict(reply.headers)[b"mcp-session-id"].decode()

    async def ask(self, method: str, token: str = "", principal: Principal = ALICE, **params: Any) -> dict[str, Any]:
        """The last message of the answer to a request; of the newer era without a token."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        if token:
            return await last(await self.post(message, principal, mcp_session_id=token))
        capabilities = {"sampling": {}, "elicitation": {}}
        params["_meta"] = {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": capabilities}
        fields: dict[str, str | None] = {"mcp_protocol_version": MODERN, "mcp_method": method}
        fields["mcp_name"] = params.get("name") or params.get("uri") or params.get("taskId")
        return await last(await self.post(message, principal, **fields))

    def close(self) -> None:
        """Its end."""
        for close in self.tools.closers:
            close()


async def events(reply: Reply) -> list[bytes]:
    """Those of an answer that is a stream, whole."""
    assert not isinstance(reply.body, bytes)
    return [event async for event in reply.body]


async def last(reply: Reply) -> dict[str, Any]:
    """The last message of an answer."""
    body = reply.body
    raw = body if isinstance(body, bytes) else (await events(reply))[-1].partition(b"data: ")[2]
    found: dict[str, Any] = json.loads(raw)
    return found


def worker(*targets: FakeTarget, beside: Worker | None = None, spec: Any = None, policies: Any = None) -> Worker:
    """A worker; one that is `beside` another shares with it what workers share."""
    tools = fake_tools(Time())
    tools.bus = Side(beside.tools.bus.sides if beside is not None else None)  # type: ignore[attr-defined]
    if beside is not None:
        tools.kv, tools.sealing = beside.tools.kv, beside.tools.sealing
    server_spec = McpServerSpec(
        name="s", path="/mcp", targets=tuple(ServerTargetSpec(target=one.name) for one in targets), **(spec or {})
    )
    upstreams = {one.name: upstream(one, tools) for one in targets}
    server = VirtualServer(server_spec, upstreams, McpPolicies(policies or {}), tools)
    session_spec = McpSessionSpec()
    sessions = Sessions(session_spec, tools.sealing, tools.kv("mcp_sessions"), tools.bus, tools.clock.now)
    asking, parking = Asking(tools.bus), Parking(tools.sealing, tools.bus)
    legacy = LegacyFront(server, sessions, asking, Replay(session_spec, tools.kv("mcp_replay")))
    endpoint = Endpoint(ModernFront(server, parking), legacy, lambda *_: None)
    tools.closers += [sessions.close, asking.close, parking.close]
    return Worker(tools, sessions, asking, parking, endpoint, server)


__all__ = ["ALICE", "BOB", "CallError", "Worker", "events", "exchange", "last", "worker"]
