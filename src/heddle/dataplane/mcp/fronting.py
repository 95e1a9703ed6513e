"""What all fronts share: how a request is entered in the books, and how its end is written for a caller.

Owns the statuses: an answer of the protocol is 200 whatever it says, but where HTTP has a word that clients act on
(limits, authentication, headers that contradict the body) it is used.
*Source:* Model Context Protocol 2026-07-28, "Streamable HTTP", "Error handling"; RFC 9110 section 15.5.
"""

import asyncio
import logging
from collections.abc import Callable

from heddle.backends.mcp.contract import Caller
from heddle.dataplane.mcp.refusing import as_rpc
from heddle.dataplane.mcp.running import Running
from heddle.dataplane.mcp.server import OPERATIONS, VirtualServer
from heddle.dataplane.mcp.tracing import adopt
from heddle.identity.caller import caller_id
from heddle.model.mcp import McpCall
from heddle.net.body import Body
from heddle.net.message import Headers, Reply, Request
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    Message,
    RpcError,
    encode_error,
)
from heddle.wire.mcp.fields import HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION

_log = logging.getLogger("heddle.mcp")

Record = Callable[[Exchange, int, int], None]
"""Writes down a call that ended, with its status and the bytes of its answer: one that has no request of its own."""
PING_S = 15.0
"""A silent stream says so often that it is there."""
PING = b": ping\n\n"
JSON: Headers = [(b"content-type", b"application/json")]
EVENTS: Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
_STATUS = {
    PARSE_ERROR: 400, INVALID_REQUEST: 400, INVALID_PARAMS: 400, METHOD_NOT_FOUND: 404, HEADER_MISMATCH: 400,
    MISSING_CAPABILITY: 400, UNSUPPORTED_VERSION: 400,
}  # fmt: skip
_BY_HTTP = frozenset(
    (Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.LIMITED, Reason.BUDGET_EXCEEDED, Reason.TOO_LARGE)
)
"""Failures that HTTP has a status for which clients act on; the others are answers of the protocol."""
_UNEXPECTED = RpcError(INTERNAL_ERROR, "The gateway failed to handle this call.")


def enter(exchange: Exchange, server: VirtualServer, message: Message, version: str, size: int) -> McpCall:
    """Enter a request in the books: policies and records see it from now on."""
    exchange.operation = message.method if message.method in OPERATIONS else _operation(message.method)
    if "_meta" in message.params:
        adopt(exchange, message)
    call = exchange.mcp = McpCall(
        method=message.method, server=server.spec.name, version=version, size=size, request_id=message.id
    )
    return call


_FURTHER = frozenset(
    ("initialize", "server/discover", "subscriptions/listen", "logging/setLevel", "tasks/get", "tasks/update",
     "tasks/cancel", "tasks/result", "tasks/list")
)  # fmt: skip


def _operation(method: str) -> str:
    return method if method in _FURTHER else "mcp"


def identify(caller: Caller, exchange: Exchange, prefix: str) -> None:
    """Make `caller` the one of the exchange; without a session it is known by who it is."""
    caller.exchange = exchange
    caller.principal = exchange.principal
    caller.key = f"{prefix}{caller_id(exchange.principal)}"


def failure(exchange: Exchange, error: BaseException) -> RpcError:
    """The error of the protocol that a failure is, entered in the books. Cancellation is not caught here."""
    if isinstance(error, RpcError):
        exchange.reason = exchange.reason or _REASONS.get(error.code, Reason.UPSTREAM_ERROR)
        return error
    if isinstance(error, CallError):
        exchange.reason, exchange.detail = error.reason, error.detail
        return as_rpc(error)
    if isinstance(error, asyncio.CancelledError):
        exchange.reason = Reason.CALLER_GONE
        return RpcError(INTERNAL_ERROR, "The call was cancelled.")
    _log.error("unexpected failure in %s", exchange.operation, exc_info=error)
    exchange.reason = Reason.INTERNAL
    return _UNEXPECTED


_REASONS = {
    PARSE_ERROR: Reason.BAD_JSON, INVALID_REQUEST: Reason.BAD_REQUEST, INVALID_PARAMS: Reason.BAD_REQUEST,
    METHOD_NOT_FOUND: Reason.NOT_FOUND, HEADER_MISMATCH: Reason.BAD_REQUEST, UNSUPPORTED_VERSION: Reason.BAD_REQUEST,
}  # fmt: skip


def refused(identity: bytes, error: RpcError, status: int = 0, headers: Headers | None = None) -> Reply:
    """An answer that is an error, as one message; `status` 0 takes the one that its code has."""
    return Reply(status or _STATUS.get(error.code, 200), [*JSON, *(headers or [])], encode_error(identity, error))


def failed(exchange: Exchange, identity: bytes, error: BaseException, modern: bool) -> Reply:
    """The reply to a request that failed before anything was said."""
    rpc = failure(exchange, error)
    if isinstance(error, CallError) and error.reason in _BY_HTTP:
        return refused(identity, rpc, error.answer.status, error.headers)
    return refused(identity, rpc, 0 if modern else 200)


def takes_events(request: Request) -> bool:
    """Whether the caller reads a stream."""
    accept = request.header(b"accept")
    return accept is None or accept.find(b"text/event-stream") >= 0 or accept.find(b"*/*") >= 0


async def silence(running: Running) -> bool:
    """Wait for news; True when there was none for so long that the stream should say it is there."""
    if running.done or running.said:
        return False
    try:
        async with asyncio.timeout(PING_S):
            await running.news()
    except TimeoutError:
        return True
    return False


def unread(body: Body) -> None:
    """The rest of a request's body is not wanted."""
    body.abandon()
