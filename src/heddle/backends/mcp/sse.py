"""A server of 2024-11-05, over HTTP+SSE: one stream per session, on which everything comes back.

Owns the stream of each caller's session, opened when it is first needed and closed when it has idled. The server says
itself where messages are sent; a place on another host than its own is refused. A session lives as long as its stream,
and so in one worker: another worker opens another.
*Source:* Model Context Protocol 2024-11-05, "HTTP with SSE".
"""

import asyncio
import itertools
import logging
from urllib.parse import urljoin, urlsplit

import msgspec

from heddle.backends.mcp.contract import LISTENING, NOTHING, Caller, Described, Hear, Params, TargetRequest, Wanted
from heddle.backends.mcp.legacy import MAX_QUESTIONS, answer_question
from heddle.backends.mcp.peer import BARE, Peer, Place
from heddle.model.snapshot import TimeoutSpec
from heddle.net.client import Inbound
from heddle.net.errors import NetError
from heddle.pipeline.errors import CallError, Reason
from heddle.wire import sse
from heddle.wire.errors import ProtocolError
from heddle.wire.jsonrpc import (
    Message,
    RpcError,
    decode_light,
    encode_members,
    encode_notification,
    encode_request,
)
from heddle.wire.mcp import meta
from heddle.wire.mcp.placing import meant

_log = logging.getLogger("heddle.mcp")

IDLE_S = 600.0
MAX_STREAMS = 1_000
_OPEN = TimeoutSpec(connect_s=5.0, first_byte_s=30.0, idle_s=0.0, total_s=0.0)
_encode = msgspec.json.encode


class _Asked:
    """A request that waits for its answer on the stream."""

    __slots__ = ("answer", "caller", "method", "questions", "request", "token")

    def __init__(self, caller: Caller, request: TargetRequest, token: bytes) -> None:
        self.caller, self.request, self.token = caller, request, token
        self.method, self.questions = request.method, 0
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()


class _Stream:
    """One session."""

    def __init__(self, target: "SseTarget", inbound: Inbound, endpoint: Peer) -> None:
        self.endpoint = endpoint
        self.described = Described(version="2024-11-05")
        self.hear: Hear | None = None
        self.used_s = 0.0
        self._target, self._inbound = target, inbound
        self._asked: dict[bytes, _Asked] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ids = itertools.count(1)
        self.open = True
        self.closed = asyncio.Event()

    async def ask(self, request: TargetRequest, caller: Caller, timeout_s: float) -> bytes:
        """The result. Raises RpcError or CallError."""
        identity = b"%d" % next(self._ids)
        passed = dict(request.meta)
        token = b""
        if meta.PROGRESS_TOKEN in passed:
            token = identity
            passed[meta.PROGRESS_TOKEN] = msgspec.Raw(token)
        params = dict(request.params)
        if passed:
            params["_meta"] = msgspec.Raw(encode_members(passed))
        asked = self._asked[identity] = _Asked(caller, request, token)
        self.used_s = asyncio.get_running_loop().time()
        try:
            await self.post(encode_request(identity, request.method, encode_members(params)), caller)
            async with asyncio.timeout(timeout_s or None):
                return await asked.answer
        except TimeoutError as exc:
            detail = f"The tool server `{self._target.name}` did not answer in time."
            raise CallError(Reason.UPSTREAM_TIMEOUT, detail) from exc
        except asyncio.CancelledError:
            told = encode_notification("notifications/cancelled", b'{"requestId":%b}' % identity)
            self._start(self._posted(told, Caller()))
            raise
        finally:
            self._asked.pop(identity, None)

    async def post(self, body: bytes, caller: Caller) -> None:
        """Send a message. Raises CallError."""
        inbound = await self.endpoint.send("POST", body, BARE, caller)
        try:
            await inbound.body.read(64 * 1024)
        except NetError:
            inbound.close()

    async def _posted(self, body: bytes, caller: Caller) -> None:
        try:
            await self.post(body, caller)
        except (CallError, RpcError) as exc:
            _log.debug("tool server %s: a message was not taken: %s", self._target.name, type(exc).__name__)

    def take(self, message: Message) -> None:
        """A message of the server."""
        if message.is_answer:
            asked = self._asked.get(message.id)
            if asked is not None and not asked.answer.done():
                if message.error is not None:
                    asked.answer.set_exception(message.error)
                else:
                    asked.answer.set_result(message.result)
        elif message.is_request:
            if len(self._tasks) >= MAX_QUESTIONS:
                raise ProtocolError("It asks more questions at once than anybody answers.")
            self._start(self._answer(message))
        elif message.method == "notifications/progress":
            token = bytes(message.params.get("progressToken", b""))
            asked = next((one for one in self._asked.values() if one.token and one.token == token), None)
            if asked is not None:
                own = {**message.params, "progressToken": asked.request.meta[meta.PROGRESS_TOKEN]}
                asked.caller.notify(message.method, own)
        else:
            self._said(message)

    def _said(self, message: Message) -> None:
        """What belongs to no request goes to who listens, or to the request that is under way: never to both.

        A log message is about what is being done; anything else is about the server.
        """
        asked = meant(self._asked.values())
        if self.hear is not None and (asked is None or message.method != "notifications/message"):
            self.hear(message.method, message.params)
        elif asked is not None:
            asked.caller.notify(message.method, message.params)

    async def _answer(self, question: Message) -> None:
        asked = meant(self._asked.values())
        if asked is None:
            await self._posted(await answer_question(question, Caller()), Caller())
            return
        asked.questions += 1
        try:
            answer = await answer_question(question, asked.caller)
        finally:
            asked.questions -= 1
        await self._posted(answer, asked.caller)

    def _start(self, work: "asyncio.Future[None] | object") -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def read(self, splitter: sse.Splitter, ready: list[bytes]) -> None:
        """Take what comes until the stream ends."""
        try:
            while True:
                for raw in ready:
                    event = sse.decode(raw)
                    if event.data and event.event in (b"", b"message"):
                        self.take(decode_light(event.data))
                ready = splitter.feed(await self._inbound.body.__anext__())
        except (NetError, ProtocolError, StopAsyncIteration) as exc:
            _log.debug("tool server %s: its stream ended: %s", self._target.name, type(exc).__name__)
        finally:
            self.close()

    def close(self) -> None:
        """The session is over: so is everything that waits in it."""
        self.open = False
        self.closed.set()
        self._inbound.close()
        lost = CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{self._target.name}` closed its stream.")
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_exception(lost)
        for task in self._tasks:
            task.cancel()


class SseTarget:
    """A server that speaks 2024-11-05 over HTTP+SSE."""

    stateful = True

    def __init__(self, peer: Peer, url: str, silence_s: float) -> None:
        self.name = peer.name
        self._peer, self._url, self._silence_s = peer, url, silence_s
        self._streams: dict[str, _Stream] = {}
        self._opening: dict[str, asyncio.Future[_Stream]] = {}
        self._readers: set[asyncio.Task[None]] = set()

    async def _stream(self, caller: Caller) -> _Stream:
        stream = self._streams.get(caller.key)
        if stream is not None and stream.open:
            return stream
        opening = self._opening.get(caller.key)
        if opening is None:
            self._trim()
            opening = self._opening[caller.key] = asyncio.ensure_future(self._open(caller))
            opening.add_done_callback(lambda done: self._opened(caller.key, done))
        return await asyncio.shield(opening)

    def _opened(self, key: str, done: "asyncio.Future[_Stream]") -> None:
        self._opening.pop(key, None)
        if not done.cancelled():
            done.exception()  # who waits for it has it; perhaps nobody does any more

    def _trim(self) -> None:
        """Close streams that have idled, and the oldest when there are too many."""
        now_s = asyncio.get_running_loop().time()
        for key, stream in list(self._streams.items()):
            idle = now_s - stream.used_s > IDLE_S and stream.hear is None
            if not stream.open or idle or len(self._streams) >= MAX_STREAMS:
                del self._streams[key]
                stream.close()

    async def _open(self, caller: Caller) -> _Stream:
        inbound = await self._peer.send("GET", b"", BARE, caller, _OPEN)
        splitter, ready = sse.Splitter(), list[bytes]()
        try:
            async with asyncio.timeout(30.0):
                while not ready:
                    ready = splitter.feed(await inbound.body.__anext__())
            first = sse.decode(ready.pop(0))
            if first.event != b"endpoint":
                raise ProtocolError("The stream does not begin with `endpoint`.")
            stream = _Stream(self, inbound, self._peer.at(self._endpoint(first.data.decode())))
        except (NetError, TimeoutError, StopAsyncIteration, UnicodeDecodeError, ProtocolError) as exc:
            inbound.close()
            detail = f"The tool server `{self.name}` does not open its stream as it should."
            raise CallError(Reason.UPSTREAM_BROKEN, detail) from exc
        except BaseException:
            inbound.close()
            raise
        reader = asyncio.ensure_future(stream.read(splitter, ready))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        try:
            stream.described = await self._initialize(stream, caller)
        except BaseException:
            stream.close()
            raise
        self._streams[caller.key] = stream
        caller.began(self.name)
        return stream

    def _endpoint(self, said: str) -> Place:
        """Where messages are sent: at the server's own origin, or nowhere."""
        own, url = urlsplit(self._url), urlsplit(urljoin(self._url, said))
        if (url.scheme, url.netloc) != (own.scheme, own.netloc):
            raise ProtocolError("The stream names a place on another host.")
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        if not path.isascii() or any(c <= " " for c in path):
            raise ProtocolError("The stream names a place that is no path.")
        return Place(self._peer.place.origin, path.encode())

    async def _initialize(self, stream: _Stream, caller: Caller) -> Described:
        params: Params = {
            "protocolVersion": msgspec.Raw(b'"2024-11-05"'),
            "capabilities": msgspec.Raw(caller.capabilities or NOTHING),
            "clientInfo": msgspec.Raw(caller.client_info or b'{"name":"heddle","version":"1"}'),
        }
        result = await stream.ask(TargetRequest(method="initialize", params=params), caller, self._silence_s)
        try:
            told = msgspec.json.decode(result)
        except (msgspec.DecodeError, RecursionError):
            told = None
        if not isinstance(told, dict) or not isinstance(told.get("capabilities", {}), dict):
            raise CallError(Reason.UPSTREAM_BROKEN, f"The tool server `{self.name}` answers `initialize` wrongly.")
        await stream.post(encode_notification("notifications/initialized"), caller)
        return Described(
            version=str(told.get("protocolVersion")),
            capabilities=told.get("capabilities", {}),
            server_info=told.get("serverInfo") or {},
            instructions=str(told.get("instructions") or ""),
        )

    async def describe(self, caller: Caller) -> Described:
        """See `Target`."""
        return (await self._stream(caller)).described

    async def call(self, request: TargetRequest, caller: Caller) -> bytes:
        """See `Target`."""
        stream = await self._stream(caller)
        return await stream.ask(request, caller, request.timeout_s or self._silence_s)

    async def notify(self, method: str, params: Params, caller: Caller) -> None:
        """See `Target`."""
        await (await self._stream(caller)).post(encode_notification(method, encode_members(params)), caller)

    async def listen(self, wanted: Wanted, caller: Caller, hear: Hear) -> None:
        """See `Target`."""
        stream = await self._stream(caller)
        stream.hear = hear
        try:
            for uri in wanted.uris:
                params = {"uri": msgspec.Raw(_encode(uri))}
                await self.call(TargetRequest(method="resources/subscribe", params=params), caller)
            hear(LISTENING, {})
            await stream.closed.wait()
        finally:
            stream.hear = None

    async def knows(self, caller: Caller) -> bool:
        """See `Target`."""
        return caller.key in self._streams

    async def end(self, caller: Caller) -> None:
        """See `Target`."""
        stream = self._streams.pop(caller.key, None)
        if stream is not None:
            stream.close()

    def close(self) -> None:
        """See `Target`."""
        for opening in self._opening.values():
            opening.cancel()
        for stream in self._streams.values():
            stream.close()
        for reader in self._readers:
            reader.cancel()
