"""`python -m tests.mcp_servers.everything --transport T --eras E [--port N] [--page N]`: the server, on any transport.

Transports: `stdio`; `sse` (HTTP+SSE of 2024-11-05: GET /sse, POST /messages); `http` (streamable HTTP with sessions);
`stateless` (without). Eras: `legacy` serves 2024-11-05 to 2025-11-25, `modern` 2026-07-28, `both` both on one address.
Port 0 takes a free one; the first line of stdout then says `listening on PORT`.
"""

import argparse
import socket
from typing import Any

import anyio
import uvicorn
from mcp.server.runner import serve_loop
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import EventMessage, EventStore
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from tests.mcp_servers.server import Everything

VERSION = b"mcp-protocol-version"


class Replay(EventStore):
    """Keeps what was sent on streams of sessions, so that a client may come back for it."""

    def __init__(self) -> None:
        self._events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events) - 1)

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        after = int(last_event_id)
        stream = self._events[after][0]
        for number, (of_stream, message) in enumerate(self._events):
            if number > after and of_stream == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


class OneEra:
    """Refuses the other era as a server that never heard of it does."""

    def __init__(self, app: Any, *, modern: bool) -> None:
        self._app, self._modern = app, modern

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            version = dict(scope["headers"]).get(VERSION, b"").decode("latin-1")
            if (version in MODERN_PROTOCOL_VERSIONS) != self._modern:
                message = f"Bad Request: Unsupported protocol version: {version}"
                error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": message}}
                await JSONResponse(error, 400)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def http_app(server: Everything, transport: str, eras: str) -> Any:
    """Streamable HTTP on /mcp."""
    kept = None if transport == "stateless" else Replay()
    app = server.streamable_http_app(stateless_http=kept is None, event_store=kept, retry_interval=100)
    return app if eras == "both" else OneEra(app, modern=eras == "modern")


def sse_app(server: Everything) -> Any:
    """HTTP+SSE, always of the legacy era."""
    transport = SseServerTransport("/messages/")

    async def stream(request: Any) -> Response:
        async with transport.connect_sse(request.scope, request.receive, request._send) as streams:
            await serve_loop(server, *streams, lifespan_state={})
        return Response()

    return Starlette(
        routes=[
            Route("/sse", endpoint=stream, methods=["GET"]),
            Mount("/messages/", app=transport.handle_post_message),
        ]
    )


async def over_stdio(server: Everything, eras: str) -> None:
    """The server on stdin and stdout. A modern stdio server is one that serves both: the client decides."""
    async with stdio_server() as streams:
        if eras == "legacy":
            await serve_loop(server, *streams, lifespan_state={})
        else:
            await server.run(*streams, server.create_initialization_options())


def over_http(app: Any, port: int) -> None:
    """The server on a port of loopback, told on stdout once it is bound."""
    listening = socket.create_server(("127.0.0.1", port), backlog=256)

    print(f"listening on {listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listening])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=["stdio", "sse", "http", "stateless"], default="http")
    parser.add_argument("--eras", choices=["legacy", "modern", "both"], default="both")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--page", type=int, default=0, help="entries on a page of a list; 0: all on one")
    chosen = parser.parse_args()
    server = Everything(chosen.page)
    if chosen.transport == "stdio":
        anyio.run(over_stdio, server, chosen.eras)
    else:
        app = sse_app(server) if chosen.transport == "sse" else http_app(server, chosen.transport, chosen.eras)
        over_http(app, chosen.port)


if __name__ == "__main__":
    main()
