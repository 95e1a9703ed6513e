"""Clients of every protocol version, written down to the bytes: JSON-RPC over HTTP, and nothing that corrects a server.

`Session` is what a test sees. `OldSse` speaks HTTP+SSE (2024-11-05), `Streamable` streamable HTTP with a handshake
(2025-03-26 to 2025-11-25), `Modern` the stateless form (2026-07-28), where a client answers by asking again.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Self

import httpx2 as httpx

Message = dict[str, Any]
META = "io.modelcontextprotocol/"
MODERN = "2026-07-28"
CLIENT = {"name": "eras", "version": "1.0"}


class RpcError(Exception):
    """An error answer."""

    def __init__(self, error: Message, status: int = 200) -> None:
        super().__init__(f"{error.get('code')} {error.get('message')} (HTTP {status})")
        self.code: int = error.get("code", 0)
        self.message: str = error.get("message", "")
        self.data: Any = error.get("data")
        self.status = status


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    """Kind and data of each event of a stream, the empty ones left out."""
    kind, data = "message", []
    async for line in response.aiter_lines():
        if line.startswith("event:"):
            kind = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line:
            if text := "\n".join(data):
                yield kind, text
            kind, data = "message", []


class Session:
    """One client and one server. `heard` holds every notification in its order."""

    version: str

    def __init__(self, url: str, version: str, capabilities: Message, answers: dict[str, Callable[[Message], Message]]):
        self.url, self.version, self.capabilities = url, version, capabilities
        self.hello: Message = {}
        """What the server said of itself."""
        self.heard: list[Message] = []
        self.asked: list[str] = []
        """Methods the server asked the client for."""
        self.own_server = False
        """The server behind serves this session alone: another one of the same client is another server."""
        self._answers = answers
        self._ids = itertools.count(1)
        self._waiting: dict[Any, asyncio.Future[Message]] = {}
        self._news = asyncio.Event()
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        # Longer than any feature takes, so that a hang is a failure of its test.
        self._http = httpx.AsyncClient(timeout=15.0, trust_env=False)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._http)
        try:
            async with asyncio.timeout(20):
                await self._hello()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._goodbye()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def request(self, method: str, params: Message | None = None, **meta: Any) -> Message:
        """The result; `meta` goes to `_meta`. RpcError for an error answer."""
        raise NotImplementedError

    async def listen(self, **wanted: Any) -> None:
        """Begins to hear what the server tells unasked."""
        raise NotImplementedError

    async def watch(self, uri: str) -> None:
        """Begins to hear of changes of a resource."""
        raise NotImplementedError

    async def _hello(self) -> None:
        raise NotImplementedError

    async def _goodbye(self) -> None:
        """Says that the session is over, where there is one."""

    async def call(self, tool: str, arguments: Message | None = None, **meta: Any) -> Message:
        """`tools/call`."""
        return await self.request("tools/call", {"name": tool, "arguments": arguments or {}}, **meta)

    async def text(self, tool: str, arguments: Message | None = None, **meta: Any) -> str:
        """The text of a tool's result, which must not be an error."""
        result = await self.call(tool, arguments, **meta)
        assert not result.get("isError"), result
        text: str = result["content"][0]["text"]
        return text

    async def told(self, method: str, within_s: float = 5.0) -> Message:
        """The params of the first notification of a method; AssertionError when none comes in time."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for message in self.heard:
                        if message["method"] == method:
                            return message.get("params") or {}
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{method} did not come; heard {[one['method'] for one in self.heard]}") from None

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _take(self, message: Message) -> None:
        """Sorts one message: a notification, a question, or an answer that somebody waits for."""
        assert message.get("jsonrpc") == "2.0", message
        if "method" not in message:
            waiting = self._waiting.get(message.get("id"))
            assert waiting is not None, f"an answer nobody waits for: {message}"
            if not waiting.done():
                waiting.set_result(message)
        elif "id" in message:
            self._spawn(self._answer(message))
        else:
            self.heard.append(message)
            self._news.set()

    def _said(self, question: Message) -> Message:
        """The client's answer to a question of the server."""
        self.asked.append(question["method"])
        return self._answers[question["method"]](question.get("params") or {})

    async def _answer(self, question: Message) -> None:
        answer: Message = {"jsonrpc": "2.0", "id": question["id"]}
        if question["method"] == "ping":
            answer["result"] = {}
        elif question["method"] in self._answers:
            answer["result"] = self._said(question)
        else:
            answer["error"] = {"code": -32601, "message": "this client cannot do that"}
        await self._send(answer)

    async def _send(self, message: Message) -> None:
        raise NotImplementedError

    @staticmethod
    def _result(answer: Message, status: int = 200) -> Message:
        if "error" in answer:
            raise RpcError(answer["error"], status)
        result: Message = answer["result"]
        return result


class Legacy(Session):
    """With a handshake. Everything the two transports share."""

    async def _hello(self) -> None:
        await self._open()
        params = {"protocolVersion": self.version, "capabilities": self.capabilities, "clientInfo": CLIENT}
        self.hello = await self.request("initialize", params)
        assert self.hello["protocolVersion"] == self.version, self.hello
        await self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        await self._listening()

    async def _open(self) -> None:
        """Before the first request."""

    async def _listening(self) -> None:
        """After the handshake."""

    async def listen(self, **wanted: Any) -> None:
        """A legacy client hears from the start."""

    async def watch(self, uri: str) -> None:
        assert await self.request("resources/subscribe", {"uri": uri}) == {}

    async def cancel(self, request_id: Any) -> None:
        """Tells the server that an answer is no longer wanted."""
        params = {"requestId": request_id, "reason": "the test is over"}
        await self._send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})

    def _asking(self, method: str, params: Message | None, meta: Message) -> Message:
        message: Message = {"jsonrpc": "2.0", "id": next(self._ids), "method": method}
        if params is not None or meta:
            message["params"] = {**(params or {}), **({"_meta": meta} if meta else {})}
        return message


class OldSse(Legacy):
    """HTTP+SSE: one stream for everything the server says, POSTs for everything the client says."""

    async def _open(self) -> None:
        opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._spawn(self._read(opened))
        self._endpoint = await opened

    async def _read(self, opened: "asyncio.Future[str]") -> None:
        try:
            async with self._http.stream("GET", self.url, headers={"accept": "text/event-stream"}) as response:
                assert response.status_code == 200, await response.aread()
                async for kind, data in events(response):
                    if kind == "endpoint":
                        opened.set_result(str(response.url.join(data)))
                    else:
                        self._take(json.loads(data))
        except Exception as error:
            if not opened.done():
                opened.set_exception(error)
            else:
                raise

    async def _send(self, message: Message) -> None:
        response = await self._http.post(self._endpoint, json=message)
        assert response.status_code == 202, (response.status_code, response.text)

    async def request(self, method: str, params: Message | None = None, **meta: Any) -> Message:
        message = self._asking(method, params, meta)
        waiting = self._waiting[message["id"]] = asyncio.get_running_loop().create_future()
        await self._send(message)
        try:
            async with asyncio.timeout(15):
                return self._result(await waiting)
        except asyncio.CancelledError:
            await asyncio.shield(self.cancel(message["id"]))
            raise


class Streamable(Legacy):
    """Streamable HTTP with a session."""

    session: str = ""

    @property
    def _fields(self) -> dict[str, str]:
        fields = {"accept": "application/json, text/event-stream"}
        if self.session:
            fields["mcp-session-id"] = self.session
        if self.hello and self.version >= "2025-06-18":
            fields["mcp-protocol-version"] = self.version
        return fields

    async def _send(self, message: Message) -> None:
        response = await self._http.post(self.url, json=message, headers=self._fields)
        assert response.status_code == 202, (response.status_code, response.text)

    async def request(self, method: str, params: Message | None = None, **meta: Any) -> Message:
        message = self._asking(method, params, meta)
        waiting = self._waiting[message["id"]] = asyncio.get_running_loop().create_future()
        try:
            async with self._http.stream("POST", self.url, json=message, headers=self._fields) as response:
                self.session = self.session or response.headers.get("mcp-session-id", "")
                if response.headers.get("content-type", "").startswith("text/event-stream"):
                    async for _, data in events(response):
                        self._take(json.loads(data))
                        if waiting.done():
                            break
                else:
                    body = await response.aread()
                    assert body, f"HTTP {response.status_code} without a body"
                    return self._result(json.loads(body), response.status_code)
        except asyncio.CancelledError:
            await asyncio.shield(self.cancel(message["id"]))
            raise
        assert waiting.done(), "the stream ended without the answer"
        return self._result(waiting.result())

    async def _listening(self) -> None:
        opened = asyncio.Event()
        self._spawn(self._read(opened))
        async with asyncio.timeout(5):
            await opened.wait()

    async def _read(self, opened: asyncio.Event) -> None:
        fields = {**self._fields, "accept": "text/event-stream"}
        wait = httpx.Timeout(15.0, read=60.0)
        async with self._http.stream("GET", self.url, headers=fields, timeout=wait) as response:
            opened.set()
            if response.status_code == 405:
                return
            assert response.status_code == 200, (response.status_code, await response.aread())
            async for _, data in events(response):
                self._take(json.loads(data))

    async def _goodbye(self) -> None:
        if self.session:
            await self._http.delete(self.url, headers=self._fields)


class Modern(Session):
    """Without sessions: every request says who asks and what the client can do."""

    level = ""
    """From which level on log lines are wanted; empty wants none."""

    async def _hello(self) -> None:
        self.hello = await self.request("server/discover")
        assert MODERN in self.hello["supportedVersions"], self.hello

    def _filled(self, params: Message | None, meta: Message) -> Message:
        own = {
            f"{META}protocolVersion": MODERN,
            f"{META}clientInfo": CLIENT,
            f"{META}clientCapabilities": self.capabilities,
        }
        if self.level:
            own[f"{META}logLevel"] = self.level
        return {**(params or {}), "_meta": {**own, **meta}}

    def _fields(self, method: str, params: Message) -> dict[str, str]:
        fields = {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": MODERN,
            "mcp-method": method,
        }
        name = params.get("taskId" if method.startswith("tasks/") else "uri" if method.startswith("res") else "name")
        if name is not None:
            fields["mcp-name"] = name
        return fields

    async def request(self, method: str, params: Message | None = None, **meta: Any) -> Message:
        given = dict(params or {})
        for _ in range(8):
            result = await self._once(method, given, meta)
            assert result.get("resultType"), f"{method}: a result without resultType: {result}"
            if result["resultType"] != "input_required":
                return result
            questions = result.get("inputRequests") or {}
            given["inputResponses"] = {key: self._said(question) for key, question in questions.items()}
            given.pop("requestState", None)
            if "requestState" in result:
                given["requestState"] = result["requestState"]
        raise AssertionError("the server never has enough")

    async def _once(self, method: str, params: Message, meta: Message) -> Message:
        number = next(self._ids)
        filled = self._filled(params, meta)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": filled}
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        async with self._http.stream("POST", self.url, json=message, headers=self._fields(method, params)) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                return self._result(json.loads(await response.aread()), response.status_code)
            async for _, data in events(response):
                answer = json.loads(data)
                assert "method" not in answer or "id" not in answer, f"a question on a modern stream: {answer}"
                self._take(answer)
                if waiting.done():
                    return self._result(waiting.result())
        raise AssertionError("the stream ended without the answer")

    async def listen(self, **wanted: Any) -> None:
        number = f"listen-{next(self._ids)}"
        params = self._filled({"notifications": wanted}, {})
        message = {"jsonrpc": "2.0", "id": number, "method": "subscriptions/listen", "params": params}
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._spawn(self._read(message))
        first = await self.told("notifications/subscriptions/acknowledged")
        assert first["_meta"][f"{META}subscriptionId"] == number

    async def watch(self, uri: str) -> None:
        await self.listen(resourceSubscriptions=[uri])

    async def _read(self, message: Message) -> None:
        fields, wait = self._fields("subscriptions/listen", {}), httpx.Timeout(15.0, read=60.0)
        async with self._http.stream("POST", self.url, json=message, headers=fields, timeout=wait) as response:
            assert response.status_code == 200, (response.status_code, await response.aread())
            async for _, data in events(response):
                told = json.loads(data)
                if "method" in told:
                    assert told["params"]["_meta"][f"{META}subscriptionId"] == message["id"], told
                self._take(told)


KINDS: dict[str, type[Session]] = {
    "2024-11-05": OldSse,
    "2025-03-26": Streamable,
    "2025-06-18": Streamable,
    "2025-11-25": Streamable,
    MODERN: Modern,
}
"""Version -> the client that speaks it."""
