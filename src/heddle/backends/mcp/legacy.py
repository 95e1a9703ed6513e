"""A server of the older era over streamable HTTP: a session begins with `initialize`, and the server may ask back.

Owns the session that each caller has with the server: begun when it is first needed, kept where any worker finds it,
begun anew, alone, when the server has forgotten it. Questions of the server go to the caller, and its answers back in
a request of their own.
*Source:* Model Context Protocol 2025-03-26 to 2025-11-25: "Lifecycle", "Streamable HTTP", "Session management".
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable

import msgspec

from heddle.backends.mcp.contract import (
    ANSWERED_BY,
    LISTENING,
    NOTHING,
    Caller,
    Described,
    Hear,
    Params,
    TargetRequest,
    Wanted,
)
from heddle.backends.mcp.kept import Kept, KeptSessions
from heddle.backends.mcp.peer import BARE, Head, Peer, SessionLost, StreamCut, events, head, pause
from heddle.model.snapshot import TimeoutSpec
from heddle.net.client import Inbound
from heddle.net.errors import NetError
from heddle.net.message import Headers
from heddle.pipeline.errors import CallError, Reason
from heddle.wire.errors import ProtocolError
from heddle.wire.jsonrpc import (
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    Message,
    RpcError,
    encode_error,
    encode_members,
    encode_notification,
    encode_request,
    encode_result,
)
from heddle.wire.mcp import fields, meta
from heddle.wire.mcp.versions import LATEST_LEGACY, LEGACY, UNSTATED

_log = logging.getLogger("heddle.mcp")

MAX_RESUMES = 20
"""Times that one answer is fetched on after its stream was cut."""
MAX_QUESTIONS = 64
"""Questions of one call that may wait for their answers at once."""
_encode = msgspec.json.encode
_GATEWAY = b'{"name":"heddle","version":"1"}'
_SILENT = TimeoutSpec(connect_s=5.0, first_byte_s=30.0, idle_s=0.0, total_s=0.0)


class _Initialized(msgspec.Struct):
    protocolVersion: str  # noqa: N815 - as on the wire
    capabilities: dict[str, object] = {}
    serverInfo: dict[str, object] = {}  # noqa: N815
    instructions: str = ""


_decode_initialized = msgspec.json.Decoder(_Initialized).decode


class LegacyTarget:
    """A server that speaks a version with sessions."""

    stateful = True

    def __init__(self, peer: Peer, kept: KeptSessions, version: str = LATEST_LEGACY) -> None:
        self.name = peer.name
        self._peer = peer
        self._kept = kept
        self._asks = version
        self._ids = itertools.count(1)
        self._tokens = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    async def describe(self, caller: Caller) -> Described:
        """Begin a session, unless there is one, and say what the server said. Raises RpcError or CallError."""
        return (await self._session(caller)).described

    async def _session(self, caller: Caller, lost: Kept | None = None) -> Kept:
        return await self._kept.session(caller, self._begin, lost)

    async def _begin(self, caller: Caller) -> Kept:
        params = b'{"protocolVersion":%b,"capabilities":%b,"clientInfo":%b}' % (
            _encode(self._asks),
            caller.capabilities or NOTHING,
            caller.client_info or _GATEWAY,
        )
        identity = b"%d" % next(self._ids)
        body = encode_request(identity, "initialize", params)
        inbound = await self._peer.send("POST", body, BARE, caller)
        session = next((value for name, value in inbound.headers if name == fields.SESSION), b"")
        try:
            result = await self._peer.result(inbound, identity, lambda _: None, caller)
            told = _decode_initialized(result)
        except (msgspec.DecodeError, StreamCut) as exc:
            raise CallError(
                Reason.UPSTREAM_BROKEN, f"The tool server `{self.name}` answers `initialize` wrongly."
            ) from exc
        if told.protocolVersion not in LEGACY:
            detail = f"The tool server `{self.name}` speaks no version of the protocol that is known here."
            raise CallError(Reason.UPSTREAM_BROKEN, detail)
        described = Described(
            version=told.protocolVersion,
            capabilities=told.capabilities,
            server_info=told.serverInfo,
            instructions=told.instructions,
        )
        kept = Kept(session, described)
        kept = kept._replace(head=self._head(kept))
        try:
            await self._tell(encode_notification("notifications/initialized"), kept, caller)
        except SessionLost as exc:
            raise self._forgetful() from exc
        return kept

    def _forgetful(self) -> CallError:
        return CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{self.name}` forgets its sessions as they begin.")

    def _head(self, kept: Kept, *further: tuple[bytes, bytes]) -> Head:
        made: Headers = list(further)
        if kept.session:
            made.append((fields.SESSION, kept.session))
        if kept.described.version not in ("2024-11-05", UNSTATED):
            made.append((fields.VERSION, kept.described.version.encode()))
        return head(made)

    async def _tell(self, body: bytes, kept: Kept, caller: Caller) -> None:
        """Send what has no answer."""
        inbound = await self._peer.send("POST", body, self._head(kept), caller)
        await _drained(inbound)

    async def call(self, request: TargetRequest, caller: Caller) -> bytes:
        """The result. A session that the server lost is begun anew, once. Raises RpcError or CallError."""
        kept = self._kept.at_hand(caller) or await self._session(caller)
        try:
            return await self._call(request, kept, caller)
        except SessionLost:
            kept = await self._session(caller, lost=kept)
        try:
            return await self._call(request, kept, caller)
        except SessionLost as exc:
            raise self._forgetful() from exc

    async def _call(self, request: TargetRequest, kept: Kept, caller: Caller) -> bytes:
        identity = b"%d" % next(self._ids)
        hearing = _Hearing(self, kept, caller, request)
        body = encode_request(identity, request.method, hearing.params(next(self._tokens)))
        kept_head = kept.head or self._head(kept)
        try:
            timeouts = self._peer.timeouts(request.timeout_s) if request.timeout_s else None
            inbound = await self._peer.send("POST", body, kept_head, caller, timeouts)
            result = self._peer.at_once(inbound, identity)
            if result is not None:
                return result
            try:
                return await self._peer.result(inbound, identity, hearing.hear, caller)
            except StreamCut as cut:
                return await self._followed(cut, identity, hearing, kept, caller)
        except asyncio.CancelledError:
            self._later(self._cancel(identity, kept, caller))
            raise
        finally:
            hearing.close()

    async def _followed(
        self, cut: StreamCut, identity: bytes, hearing: "_Hearing", kept: Kept, caller: Caller
    ) -> bytes:
        """The result of a call whose stream ended early. Raises CallError where it cannot be had."""
        unfinished = CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{self.name}` does not finish its answer.")
        try:
            async with asyncio.timeout(self._peer.timeouts().total_s or None):
                for _ in range(MAX_RESUMES):
                    try:
                        return await self._peer.result(
                            await self._resumed(cut, kept, caller), identity, hearing.hear, caller
                        )
                    except StreamCut as again:
                        cut = again
        except TimeoutError as exc:
            raise unfinished from exc
        except SessionLost as exc:
            # Whether the tool did its work nobody knows: it must not be called again.
            raise unfinished from exc
        raise unfinished

    async def _resumed(self, cut: StreamCut, kept: Kept, caller: Caller) -> Inbound:
        """The rest of an answer whose stream ended early. Raises CallError where it cannot be had."""
        if not cut.last_id:
            raise CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{self.name}` ended its answer early.")
        await pause(cut.retry_s)
        return await self._peer.send("GET", b"", self._head(kept, (b"last-event-id", cut.last_id)), caller)

    async def _cancel(self, identity: bytes, kept: Kept, caller: Caller) -> None:
        params = b'{"requestId":%b,"reason":"the caller gave up"}' % identity
        await self._tell(encode_notification("notifications/cancelled", params), kept, _Quietly(caller))

    def _later(self, work: Awaitable[None]) -> None:
        """Do something that nobody waits for."""

        async def quietly() -> None:
            try:
                await work
            except (CallError, RpcError, SessionLost) as exc:
                _log.debug("tool server %s: %s", self.name, type(exc).__name__)

        task = asyncio.ensure_future(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def answer(self, question: Message, kept: Kept, caller: Caller) -> None:
        """Have the caller answer a question of the server, and tell the server."""
        await self._tell(await answer_question(question, caller), kept, caller)

    async def notify(self, method: str, params: Params, caller: Caller) -> None:
        """Tell the caller's session something."""
        kept = await self._session(caller)
        try:
            await self._tell(encode_notification(method, encode_members(params)), kept, caller)
        except SessionLost:
            await self._session(caller, lost=kept)

    async def listen(self, wanted: Wanted, caller: Caller, hear: Hear) -> None:
        """The stream of what the server says by itself. Resources are subscribed to; what else it tells, it tells."""
        kept = await self._session(caller)
        hearing = _Hearing(self, kept, caller, None, hear)
        try:
            inbound = await self._peer.send("GET", b"", self._head(kept), caller, _SILENT)
        except SessionLost:
            kept = await self._session(caller, lost=kept)
            hearing = _Hearing(self, kept, caller, None, hear)
            try:
                inbound = await self._peer.send("GET", b"", self._head(kept), caller, _SILENT)
            except SessionLost as exc:
                raise self._forgetful() from exc
        try:
            for uri in wanted.uris:
                params = {"uri": msgspec.Raw(_encode(uri))}
                await self.call(TargetRequest(method="resources/subscribe", params=params), caller)
            hear(LISTENING, {})
            async for event in events(inbound):
                if event.message is not None:
                    hearing.hear(event.message)
        except NetError as error:
            raise self._peer.failed(error, caller) from error
        except ProtocolError as error:
            raise self._peer.broken(error) from error
        finally:
            inbound.close()
            hearing.close()

    async def knows(self, caller: Caller) -> bool:
        """See `Target`."""
        return await self._kept.knows(caller)

    async def end(self, caller: Caller) -> None:
        """End the caller's session with the server, if there is one."""
        kept = await self._kept.end(caller)
        if kept is not None and kept.session:
            try:
                await _drained(await self._peer.send("DELETE", b"", self._head(kept), caller))
            except (CallError, RpcError, SessionLost) as exc:
                _log.debug("tool server %s: a session could not be ended: %s", self.name, type(exc).__name__)

    def close(self) -> None:
        """Stop telling what nobody waits for."""
        for task in self._tasks:
            task.cancel()


async def answer_question(question: Message, caller: Caller) -> bytes:
    """The answer of a caller to a server's question, as a message. Never raises but when it is cancelled."""
    needed = ANSWERED_BY.get(question.method)
    try:
        if question.method == "ping":
            return encode_result(question.id, NOTHING)
        if needed is None or not caller.can(needed):
            raise RpcError(METHOD_NOT_FOUND, f"The client does not answer `{question.method}`.")
        return encode_result(question.id, await caller.ask(question.method, question.params))
    except RpcError as error:
        return encode_error(question.id, error)
    except CallError as error:
        return encode_error(question.id, RpcError(INTERNAL_ERROR, error.detail))


class _Quietly(Caller):
    """The same caller after its call has ended: nothing is counted for it any more."""

    def __init__(self, caller: Caller) -> None:
        self.principal, self.token, self.key = caller.principal, caller.token, caller.key


class _Hearing:
    """What a server says while it works on one request, or by itself."""

    __slots__ = ("_asking", "_caller", "_kept", "_notify", "_request", "_target", "_token")

    def __init__(
        self, target: LegacyTarget, kept: Kept, caller: Caller, request: TargetRequest | None, hear: Hear | None = None
    ) -> None:
        self._target, self._kept, self._caller, self._request = target, kept, caller, request
        self._notify: Callable[[str, Params], None] = hear or caller.notify
        self._asking: set[asyncio.Task[None]] = set()
        self._token = b""

    def params(self, number: int) -> bytes:
        """The params of the request. Its progress token is ours: callers that share a session choose the same ones."""
        request = self._request
        assert request is not None
        if not request.meta:
            return encode_members(request.params)
        passed = dict(request.meta)
        if meta.PROGRESS_TOKEN in passed:
            self._token = b"%d" % number
            passed[meta.PROGRESS_TOKEN] = msgspec.Raw(self._token)
        return encode_members({**request.params, "_meta": msgspec.Raw(encode_members(passed))})

    def hear(self, message: Message) -> None:
        """A notification goes on, a question is asked; neither holds up what the server says next."""
        if message.is_request:
            if len(self._asking) >= MAX_QUESTIONS:
                raise ProtocolError("It asks more questions at once than anybody answers.")
            task = asyncio.ensure_future(self._asked(message))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
            return
        if not message.method:
            return
        params = message.params
        if message.method == "notifications/progress" and self._token:
            if bytes(params.get("progressToken", b"")) != self._token or self._request is None:
                return
            params = {**params, "progressToken": self._request.meta[meta.PROGRESS_TOKEN]}
        self._notify(message.method, params)

    async def _asked(self, message: Message) -> None:
        try:
            await self._target.answer(message, self._kept, self._caller)
        except (CallError, RpcError, SessionLost) as exc:
            _log.debug("tool server %s: an answer was not taken: %s", self._target.name, type(exc).__name__)

    def close(self) -> None:
        """The request is over: so are its questions."""
        for task in self._asking:
            task.cancel()


async def _drained(inbound: Inbound) -> None:
    """Read an answer that says nothing, so that its connection can be used again."""
    try:
        await inbound.body.read(64 * 1024)
    except NetError:
        inbound.close()
