"""A service that OpenAPI describes, as a tool server: its operations are tools, its answers their results.

Owns nothing of the description (`wire.openapi` does), and nothing of sessions: there are none. What the service answers
with is a result, its failures included; only a service that cannot be asked is a failure of the call.
*Source:* Model Context Protocol 2026-07-28, "Tools"; OpenAPI Specification 3.0 and 3.1.
"""

import msgspec

from heddle.backends.mcp.contract import NOTHING, Caller, Described, Hear, Params, TargetRequest, Wanted
from heddle.backends.mcp.peer import BARE, Peer, Place, head
from heddle.model.snapshot_mcp import OpenApiSpec
from heddle.net.errors import NetError
from heddle.pipeline.errors import CallError, Reason
from heddle.wire.errors import ProtocolError
from heddle.wire.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, RpcError
from heddle.wire.mcp.versions import LATEST
from heddle.wire.openapi.answer import read_answer
from heddle.wire.openapi.document import read_document
from heddle.wire.openapi.operation import HttpCall, Operation
from heddle.wire.openapi.request import build_request
from heddle.wire.openapi.selection import Filter, Selection

MAX_ANSWER_BYTES = 16 * 1024 * 1024
_encode = msgspec.json.encode


class OpenApiTarget:
    """One service."""

    stateful = False

    def __init__(self, peer: Peer, spec: OpenApiSpec) -> None:
        """Raises ValueError for a document that cannot be read."""
        self.name = peer.name
        self._peer = peer
        try:
            service = read_document(
                msgspec.json.decode(spec.document), base_url=spec.base_url, selection=selection(spec)
            )
        except (ProtocolError, msgspec.DecodeError) as exc:
            raise ValueError(f"tool server {self.name!r}: its OpenAPI document cannot be read: {exc}") from exc
        self._operations = {operation.name: operation for operation in service.operations}
        self._list = b'{"tools":%b}' % _encode([operation.tool for operation in service.operations])
        self._described = Described(
            version=LATEST,
            capabilities={"tools": {}},
            server_info={"name": service.title},
            instructions=service.description,
        )

    async def describe(self, caller: Caller) -> Described:
        """See `Target`. Known without asking."""
        del caller
        return self._described

    async def call(self, request: TargetRequest, caller: Caller) -> bytes:
        """See `Target`."""
        if request.method == "tools/call":
            return await self._call_tool(request, caller)
        if request.method == "tools/list":
            return self._list
        if request.method in ("server/discover", "ping"):
            await self._knock(caller)
            return NOTHING
        raise RpcError(METHOD_NOT_FOUND, "Method not found")

    async def _call_tool(self, request: TargetRequest, caller: Caller) -> bytes:
        operation = self._operations.get(request.name)
        if operation is None:
            raise RpcError(INVALID_PARAMS, f"Unknown tool: {request.name[:128]}")
        raw = request.params.get("arguments")
        try:
            call = build_request(operation, msgspec.json.decode(raw) if raw is not None else {})
        except ProtocolError as error:
            # The model wrote the arguments: told as a result, it can do better.
            text = {"type": "text", "text": error.detail}
            return _encode({"content": [text], "isError": True})
        return await self._ask(operation, call, request, caller)

    async def _ask(self, operation: Operation, call: HttpCall, request: TargetRequest, caller: Caller) -> bytes:
        fields = [(name, value) for name, value in call.headers if name != b"accept"]
        fields.append((b"accept", operation.accept.encode("latin-1")))
        if call.content_type:
            fields.append((b"content-type", call.content_type.encode("latin-1")))
        peer = self._peer.at(Place(self._peer.place.origin, call.target))
        inbound = await peer.send_any(call.method, call.body, head(fields), caller, request.timeout_s)
        try:
            body = await inbound.body.read(MAX_ANSWER_BYTES)
        except NetError as error:
            inbound.close()
            raise peer.failed(error, caller) from error
        kind = next((value for name, value in inbound.headers if name == b"content-type"), b"")
        result = read_answer(operation, inbound.status, kind.decode("latin-1"), body, inbound.headers)
        return _encode(result)

    async def _knock(self, caller: Caller) -> None:
        """See whether anybody is there: whatever the service answers, it does. Raises CallError."""
        inbound = await self._peer.send_any("HEAD", b"", BARE, caller)
        inbound.close()

    async def notify(self, method: str, params: Params, caller: Caller) -> None:
        """See `Target`. Nobody is there to be told."""

    async def listen(self, wanted: Wanted, caller: Caller, hear: Hear) -> None:
        """See `Target`. It says nothing by itself."""
        del wanted, caller, hear
        raise CallError(Reason.UPSTREAM_BROKEN, f"The service `{self.name}` says nothing by itself.")

    async def knows(self, caller: Caller) -> bool:
        """See `Target`. It keeps no sessions."""
        del caller
        return False

    async def end(self, caller: Caller) -> None:
        """See `Target`."""

    def close(self) -> None:
        """See `Target`."""


def selection(spec: OpenApiSpec) -> Selection:
    """Which operations are offered."""
    return Selection(
        include=tuple(Filter(operation_id=pattern) for pattern in spec.operations),
        exclude=tuple(Filter(operation_id=pattern) for pattern in spec.exclude),
        deprecated=spec.deprecated,
    )
