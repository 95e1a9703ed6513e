"""A server of the stateless era: every request carries what it needs, questions come back as `input_required`.

Owns the envelope of each request and the loop that answers a server's questions for a caller of the older era, who
is asked directly. A modern caller answers them itself, by asking again.
*Source:* Model Context Protocol 2026-07-28: "Per-request protocol fields", "Multi round-trip requests",
"Subscriptions".
"""

import itertools
from collections.abc import Awaitable
from typing import Any

import msgspec

from heddle.backends.mcp.contract import ANSWERED_BY, Caller, Described, Hear, Params, TargetRequest, Wanted
from heddle.backends.mcp.peer import Head, Peer, StreamCut, events, head
from heddle.model.snapshot import TimeoutSpec
from heddle.net.client import Inbound
from heddle.net.errors import NetError
from heddle.net.message import Headers
from heddle.pipeline.errors import CallError, Reason
from heddle.wire.errors import ProtocolError
from heddle.wire.jsonrpc import Message, RpcError, encode_members, encode_request
from heddle.wire.mcp import fields, meta
from heddle.wire.mcp.results import INPUT_REQUIRED, is_plain, members, result_type

MAX_ROUNDS = 10
"""Questions a server may ask one after the other in one call of a caller of the older era."""
MAX_HEADS = 4_096
"""Tools whose fields are remembered as they are sent."""
MAX_NAME_CHARS = 256
"""Of a tool whose fields are; what is longer is a URI that a caller made up."""
_encode = msgspec.json.encode
_VERSION = b'"2026-07-28"'
_GATEWAY = b'{"name":"heddle","version":"1"}'
_SAID = b'{"%b":%b,"%b":%%b,"%b":%%b}' % (
    meta.PROTOCOL_VERSION.encode(),
    _VERSION,
    meta.CLIENT_CAPABILITIES.encode(),
    meta.CLIENT_INFO.encode(),
)
"""`_meta` of a request with which nothing of a caller's own passes on."""


class ModernTarget:
    """A server that speaks 2026-07-28."""

    stateful = False

    def __init__(self, peer: Peer, version: str = "2026-07-28") -> None:
        self.name = peer.name
        self._peer = peer
        self._ids = itertools.count(1)
        self._version = (fields.VERSION, version.encode())
        self._heads: dict[tuple[str, str], Head] = {}

    async def describe(self, caller: Caller) -> Described:
        """`server/discover`. Raises RpcError or CallError."""
        result = await self._ask(TargetRequest(method="server/discover", params={}), caller)
        try:
            told = msgspec.json.decode(result)
            return Described(
                version="2026-07-28",
                capabilities=dict(told.get("capabilities") or {}),
                server_info=dict(told.get("serverInfo") or (told.get("_meta") or {}).get(meta.SERVER_INFO) or {}),
                instructions=str(told.get("instructions") or ""),
                ttl_s=float(told.get("ttlMs") or 0) / 1000,
            )
        except (msgspec.DecodeError, AttributeError, TypeError, ValueError, ArithmeticError, RecursionError) as exc:
            raise CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{self.name}` describes itself wrongly.") from exc

    async def call(self, request: TargetRequest, caller: Caller) -> bytes:
        """The result. Raises RpcError or CallError."""
        for _ in range(MAX_ROUNDS):
            identity, sending = self._begin(request, caller)
            inbound = await sending
            result = self._peer.at_once(inbound, identity) or await self._awaited(inbound, identity, caller)
            if is_plain(result):
                return result
            try:
                if result_type(result) != INPUT_REQUIRED:
                    return result
                told = members(result)
                questions = _questions(told, caller)
                if caller.modern:
                    return result
                request.params = {**request.params, **await _answers(told, questions, caller)}
            except ProtocolError as error:
                raise self._peer.broken(error) from error
        raise CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{self.name}` does not stop asking back.")

    async def _ask(self, request: TargetRequest, caller: Caller) -> bytes:
        identity, sending = self._begin(request, caller)
        inbound = await sending
        return self._peer.at_once(inbound, identity) or await self._awaited(inbound, identity, caller)

    def _begin(self, request: TargetRequest, caller: Caller) -> tuple[bytes, Awaitable[Inbound]]:
        """The id of a request, and what sends it: to be awaited, and no coroutine of its own around that."""
        identity = b"%d" % next(self._ids)
        body = encode_request(identity, request.method, self._params(request, caller))
        timeouts = self._peer.timeouts(request.timeout_s) if request.timeout_s else None
        return identity, self._peer.send("POST", body, self._head(request), caller, timeouts)

    async def _awaited(self, inbound: Inbound, identity: bytes, caller: Caller) -> bytes:
        """The result of a call, from an answer that is still arriving or is a stream."""

        def hear(message: Message) -> None:
            if message.method and not message.id:
                caller.notify(message.method, message.params)

        try:
            return await self._peer.result(inbound, identity, hear, caller)
        except StreamCut as cut:
            detail = f"The tool server `{self.name}` ended its answer before the result."
            raise CallError(Reason.UPSTREAM_BROKEN, detail) from cut

    def _head(self, request: TargetRequest) -> Head:
        key = request.method, request.name
        made = self._heads.get(key)
        if made is None or request.extra:
            written: Headers = [self._version, (fields.METHOD, request.method.encode()), *request.extra]
            if request.name:
                written.append((fields.NAME, fields.encode_value(request.name)))
            made = head(written)
            if not request.extra and len(request.name) <= MAX_NAME_CHARS:
                if len(self._heads) >= MAX_HEADS:
                    self._heads.clear()
                self._heads[key] = made
        return made

    def _params(self, request: TargetRequest, caller: Caller) -> bytes:
        if not (request.meta or caller.log_level):
            said = _SAID % (caller.capabilities, caller.client_info or _GATEWAY)
            return encode_members({**request.params, "_meta": msgspec.Raw(said)})
        envelope = dict(request.meta)
        envelope[meta.PROTOCOL_VERSION] = msgspec.Raw(_VERSION)
        envelope[meta.CLIENT_CAPABILITIES] = msgspec.Raw(caller.capabilities)
        envelope[meta.CLIENT_INFO] = msgspec.Raw(caller.client_info or _GATEWAY)
        if caller.log_level:
            envelope[meta.LOG_LEVEL] = msgspec.Raw(_encode(caller.log_level))
        return encode_members({**request.params, "_meta": msgspec.Raw(encode_members(envelope))})

    async def notify(self, method: str, params: Params, caller: Caller) -> None:
        """There is nothing that this era's clients say without being asked."""

    async def listen(self, wanted: Wanted, caller: Caller, hear: Hear) -> None:
        """`subscriptions/listen`. Raises RpcError or CallError."""
        asked: dict[str, Any] = {}
        if wanted.tools:
            asked["toolsListChanged"] = True
        if wanted.prompts:
            asked["promptsListChanged"] = True
        if wanted.resources:
            asked["resourcesListChanged"] = True
        if wanted.uris:
            asked["resourceSubscriptions"] = list(wanted.uris)
        request = TargetRequest(method="subscriptions/listen", params={"notifications": msgspec.Raw(_encode(asked))})
        body = encode_request(b"%d" % next(self._ids), request.method, self._params(request, caller))
        silent = TimeoutSpec(connect_s=5.0, first_byte_s=30.0, idle_s=0.0, total_s=0.0)
        inbound = await self._peer.send("POST", body, self._head(request), caller, silent)
        try:
            async for event in events(inbound):
                message = event.message
                if message is not None and message.error is not None:
                    raise message.error
                if message is not None and message.method:
                    hear(message.method, message.params)
        except NetError as error:
            raise self._peer.failed(error, caller) from error
        except ProtocolError as error:
            raise self._peer.broken(error) from error
        finally:
            inbound.close()

    async def knows(self, caller: Caller) -> bool:
        """See `Target`. It keeps no sessions."""
        del caller
        return False

    async def end(self, caller: Caller) -> None:
        """Nothing is kept for a caller."""

    def close(self) -> None:
        """Nothing runs by itself."""


class _Question(msgspec.Struct):
    method: str
    params: Params = {}


_decode_questions = msgspec.json.Decoder(dict[str, _Question]).decode


def _questions(result: Params, caller: Caller) -> dict[str, _Question]:
    """The questions of a server, which must be such as the caller said that it answers. Raises ProtocolError."""
    try:
        questions = _decode_questions(result.get("inputRequests", msgspec.Raw(b"{}")))
    except (msgspec.DecodeError, RecursionError) as exc:
        raise ProtocolError("The questions in `inputRequests` cannot be read.") from exc
    for question in questions.values():
        capability = ANSWERED_BY.get(question.method)
        if capability is None or not caller.can(capability):
            raise ProtocolError(f"It asks for `{question.method[:64]}`, which the client did not offer.")
    return questions


async def _answers(result: Params, questions: dict[str, _Question], caller: Caller) -> Params:
    """What to add to the params of the next attempt: the caller's answers to a server's questions.

    Raises RpcError when the caller refuses.
    """
    added: Params = {}
    answers: Params = {}
    for key, question in questions.items():
        answers[key] = msgspec.Raw(await caller.ask(question.method, question.params))
    if answers:
        added["inputResponses"] = msgspec.Raw(encode_members(answers))
    if "requestState" in result:
        added["requestState"] = result["requestState"]
    return added


__all__ = ["ModernTarget", "RpcError"]
