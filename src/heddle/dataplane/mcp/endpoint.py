"""Where a virtual server is met: reads a message, and hands it to the front of its era.

Owns what is refused before any front: bodies that are no message, methods of HTTP that have no meaning here. What era a
message is of, it says itself.
*Source:* Model Context Protocol 2026-07-28, "Versioning", on servers of both eras at one endpoint.
"""

import asyncio

from heddle.dataplane.admission import check_json
from heddle.dataplane.decode import bad_request, read_body
from heddle.dataplane.mcp import fronting
from heddle.dataplane.mcp.legacy import LegacyFront
from heddle.dataplane.mcp.modern import ModernFront, unsupported
from heddle.dataplane.mcp.sessions import NoSession
from heddle.net.message import Reply
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.telemetry.trace import beside
from heddle.wire.errors import ProtocolError
from heddle.wire.jsonrpc import INVALID_REQUEST, PARSE_ERROR, Message, RpcError, decode, decode_many
from heddle.wire.mcp import fields, meta
from heddle.wire.mcp.versions import MODERN, VERSIONS

MAX_BATCH = 50
_MODERN = frozenset(version.encode() for version in MODERN)
_KNOWN = frozenset(version.encode() for version in VERSIONS)


class Endpoint:
    """One virtual server, for every era."""

    def __init__(self, modern: ModernFront, legacy: LegacyFront, record: fronting.Record) -> None:
        self._modern, self._legacy, self._record = modern, legacy, record

    async def post(self, exchange: Exchange) -> Reply:
        """A message. Raises CallError."""
        request = exchange.request
        given = request.fields()
        if given.get(b"content-type") != b"application/json":
            check_json(request)
        max_bytes = exchange.listener.limits.max_body_bytes
        body = request.body.whole(max_bytes)
        if body is None or b"content-encoding" in given:
            body = await read_body(request, body, max_bytes)
        try:
            if body[:1] != b"{" and body.lstrip()[:1] == b"[":
                return await self._batch(exchange, body)
            message = decode(body)
        except ProtocolError as error:
            return unreadable(exchange, error)
        if is_modern(message, given):
            return unasked(exchange, message) or await self._modern.handle(exchange, message, len(body))
        version = given.get(fields.VERSION)
        if version is not None and version not in _KNOWN:
            exchange.reason = Reason.BAD_REQUEST
            return fronting.refused(message.id, unsupported(version.decode("latin-1")), 400)
        return await self._legacy.handle(exchange, message, len(body))

    async def _batch(self, exchange: Exchange, body: bytes) -> Reply:
        """Several messages at once: 2025-03-26 has them, and no other version."""
        messages, _ = decode_many(body)
        try:
            session = await self._legacy.session(exchange)
        except NoSession:
            return self._legacy.lost(exchange, b"")
        if session is not None and session.carried.version != "2025-03-26":
            raise ProtocolError("This version of the protocol has no batches.")
        if len(messages) > MAX_BATCH or any(message.method == "initialize" for message in messages):
            raise ProtocolError(f"A batch has at most {MAX_BATCH} messages, and `initialize` is not among them.")
        parts = await asyncio.gather(*(self._one(exchange, message) for message in messages))
        answers = [part for part in parts if part]
        if not answers:
            return Reply(202, [])
        return Reply(200, fronting.JSON, b"[%b]" % b",".join(answers))

    async def _one(self, exchange: Exchange, message: Message) -> bytes:
        """One message of a batch. What it says before its end is not heard, and nothing can be asked: a batch is
        answered as one."""
        own = Exchange(exchange.request, exchange.listener, "mcp", beside(exchange.trace), exchange.started_s)
        own.principal, own.source_address = exchange.principal, exchange.source_address
        reply = await self._legacy.handle(own, message, 0, events=False)
        assert isinstance(reply.body, bytes)
        self._record(own, reply.status, len(reply.body))
        return reply.body

    async def get(self, exchange: Exchange) -> Reply:
        """A stream of what the server says by itself. Raises CallError."""
        if exchange.request.header(fields.VERSION) in _MODERN:
            raise not_allowed("POST")
        return await self._legacy.listen(exchange)

    async def delete(self, exchange: Exchange) -> Reply:
        """The end of a session. Raises CallError."""
        if exchange.request.header(fields.VERSION) in _MODERN:
            raise not_allowed("POST")
        return await self._legacy.end(exchange)


def is_modern(message: Message, given: dict[bytes, bytes]) -> bool:
    """Whether a message is of the era without sessions: its field says so, or itself."""
    if given.get(fields.VERSION) in _MODERN:
        return True
    own = message.value.get("_meta")
    return isinstance(own, dict) and meta.PROTOCOL_VERSION in own and message.method != "initialize"


def unasked(exchange: Exchange, message: Message) -> Reply | None:
    """The reply to what is no request, in the era that has only those; None for a request."""
    if message.is_answer:
        exchange.reason = Reason.BAD_REQUEST
        return fronting.refused(b"", RpcError(INVALID_REQUEST, "Answers are not sent in this version."))
    if not message.id:
        exchange.operation = "mcp"
        return Reply(202, [])  # this era's clients have nothing to notify of
    return None


def unreadable(exchange: Exchange, error: ProtocolError) -> Reply:
    """The answer to what is no message."""
    exchange.reason = bad_request(error).reason
    exchange.detail = error.detail
    code = PARSE_ERROR if error.malformed else INVALID_REQUEST
    return fronting.refused(b"", RpcError(code, error.detail), 400)


def not_allowed(allow: str) -> CallError:
    """The refusal of a method of HTTP."""
    return CallError(Reason.METHOD_NOT_ALLOWED, f"Use {allow} here.", headers=[(b"allow", allow.encode())])
