"""A tool server that misbehaves as told, and a caller that writes every byte itself."""

import http.client
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.running import eventually
from tests.e2e.servers import Answer, Asked, Server, reply, serving

META = "io.modelcontextprotocol/"
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
JSON = "application/json"
Message = dict[str, Any]
Handler = Callable[[Asked, Message], Any]
"""What to answer to a request of a method: a result, bytes of a whole HTTP answer, or a function of the socket."""


class Rpc(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


def tool(name: str, **schema: Any) -> Message:
    """A definition."""
    return {
        "name": name,
        "description": f"Does {name}.",
        "inputSchema": {"type": "object", "properties": {key: {"type": kind} for key, kind in schema.items()}},
    }


def text(said: str) -> Message:
    """The result of a tool."""
    return {"content": [{"type": "text", "text": said}]}


def sse(*messages: Message, end: bytes = b"") -> bytes:
    """A whole answer that is a stream."""
    body = b"".join(b"data: %b\n\n" % json.dumps(message).encode() for message in messages) + end
    return reply(200, body, content_type="text/event-stream")


def _echo(_: Asked, message: Message) -> Message:
    return text(json.dumps(message["params"].get("arguments", {})))


@dataclass
class Backend:
    """A tool server of one era. What it was asked is in `calls`, without the handshake and lists."""

    name: str = "t"
    modern: bool = False
    tools: list[Message] = field(default_factory=lambda: [tool("echo", text="string")])
    prompts: list[Message] = field(default_factory=list)
    resources: list[Message] = field(default_factory=list)
    handlers: dict[str, Handler] = field(default_factory=dict)
    """Method, or `tools/call NAME` -> what answers it."""
    sessions: set[str] = field(default_factory=set)
    server: Server | None = None
    calls: list[tuple[Asked, Message]] = field(default_factory=list)
    begun: list[Message] = field(default_factory=list)
    """Params of each `initialize`."""
    told: list[Message] = field(default_factory=list)
    """Answers and notifications."""
    fault: Callable[[Asked], Answer] | None = None
    """Answers everything in its place."""

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"{self.server.url}/mcp"

    @property
    def asked(self) -> list[Asked]:
        """Every HTTP request."""
        assert self.server is not None
        return self.server.asked

    def called(self) -> list[str]:
        """Names of tools, prompts and resources in the order in which they were asked for."""
        return [m["params"].get("name") or m["params"].get("uri") or m["method"] for _, m in self.calls]

    def answer(self, asked: Asked) -> Answer:
        """The HTTP answer."""
        if self.fault is not None:
            return self.fault(asked)
        if asked.method == "GET":
            handler = self.handlers.get("GET")
            return handler(asked, {}) if handler is not None else reply(405, allow="POST")
        if asked.method == "DELETE":
            self.sessions.discard(asked.header("mcp-session-id") or "")
            return reply(200)
        message = json.loads(asked.body)
        method = message.get("method", "")
        if not self.modern and method not in ("initialize", "server/discover"):
            session = asked.header("mcp-session-id")
            if session not in self.sessions:
                return reply(404, b"{}")
        if "id" not in message or not method:
            self.told.append(message)
            return reply(202)
        try:
            found = self._found(asked, message, method)
        except Rpc as error:
            shown = {"code": error.code, "message": error.message}
            return reply(200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": shown}).encode())
        if not isinstance(found, dict):
            answer: Answer = found
            return answer
        fields = {}
        if method == "initialize":
            session = f"{self.name}-session-{len(self.begun)}"
            self.sessions.add(session)
            fields["mcp_session_id"] = session
        return reply(200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": found}).encode(), **fields)

    def _found(self, asked: Asked, message: Message, method: str) -> Any:
        params = message.get("params", {})
        own = self.handlers.get(f"{method} {params.get('name')}") or self.handlers.get(method)
        if method in ("tools/call", "prompts/get", "resources/read", "completion/complete"):
            self.calls.append((asked, message))
        if own is not None:
            return own(asked, message)
        return self._usual(asked, message, method)

    def _usual(self, asked: Asked, message: Message, method: str) -> Any:
        capabilities: Message = {"tools": {}, "prompts": {}, "resources": {}, "completions": {}}
        about = {"capabilities": capabilities, "serverInfo": {"name": self.name, "version": "1"}}
        match method:
            case "server/discover" if self.modern:
                return {"supportedVersions": [MODERN], "resultType": "complete", **about}
            case "initialize" if not self.modern:
                self.begun.append(message["params"])
                return {"protocolVersion": LEGACY, **about}
            case "tools/list":
                return {"tools": self.tools}
            case "prompts/list":
                return {"prompts": self.prompts}
            case "resources/list":
                return {"resources": self.resources}
            case "resources/templates/list":
                return {"resourceTemplates": []}
            case "tools/call":
                return _echo(asked, message)
            case "prompts/get":
                return {"messages": []}
            case "resources/read":
                return {"contents": [{"uri": message["params"]["uri"], "text": "secret"}]}
            case "completion/complete":
                return {"completion": {"values": ["a"]}}
            case "ping" | "logging/setLevel" | "resources/subscribe":
                return {}
        raise Rpc(-32601, "Method not found")


def asking(old: Backend) -> Any:
    """A handler that asks the caller in its stream, and tells as its result what it was answered."""

    numbers = itertools.count(1_000_001)

    def handler(_: Asked, message: Message) -> Any:
        number = next(numbers)  # ids of requests are each worker's own, and come again
        question = {"jsonrpc": "2.0", "id": number, "method": "sampling/createMessage", "params": {"messages": []}}

        def answer(sock: socket.socket) -> None:
            sock.sendall(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            sock.sendall(b"data: %b\n\n" % json.dumps(question).encode())
            eventually(lambda: any(told.get("id") == number for told in old.told))
            told = next(told for told in old.told if told.get("id") == number)
            result = {"jsonrpc": "2.0", "id": message["id"], "result": text(json.dumps(told))}
            sock.sendall(b"data: %b\n\n" % json.dumps(result).encode())
            sock.shutdown(socket.SHUT_RDWR)

        return answer

    return handler


@contextmanager
def backend(made: Backend | None = None, port: int = 0, **fields: Any) -> Iterator[Backend]:
    """A running tool server."""
    one = made or Backend(**fields)
    with serving(one.answer, port=port) as server:
        one.server = server
        yield one


@dataclass
class Answered:
    """An HTTP answer; `messages` are those of its body or its events."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def messages(self) -> list[Message]:
        if self.fields.get("content-type", "").startswith("text/event-stream"):
            lines = self.body.decode().splitlines()
            return [json.loads(line[5:]) for line in lines if line.startswith("data:") and line[5:].strip()]
        found = json.loads(self.body) if self.body.strip() else []
        return found if isinstance(found, list) else [found]

    @property
    def last(self) -> Message:
        return self.messages[-1]

    @property
    def error(self) -> Message:
        found: Message = self.last["error"]
        return found

    @property
    def result(self) -> Message:
        assert "result" in self.last, self.last
        found: Message = self.last["result"]
        return found

    @property
    def said(self) -> str:
        """The text of a tool's result."""
        found: str = self.result["content"][0]["text"]
        return found


class Caller:
    """One caller. With a `session` it is of the older era, else of the newer."""

    def __init__(self, port: int, key: str | None = "sk-alice", path: str = "/mcp", capabilities: Any = None) -> None:
        self.port, self.key, self.path = port, key, path
        self.capabilities = capabilities or {}
        self.session = ""
        self.version = LEGACY
        self._ids = itertools.count(1)

    def http(
        self, method: str, body: bytes = b"", path: str = "", timeout_s: float = 20.0, **fields: str | None
    ) -> Answered:
        """One request, whole. A field of None is left out."""
        sent = {"content-type": JSON, "accept": f"{JSON}, text/event-stream"}
        if self.key is not None:
            sent["authorization"] = f"Bearer {self.key}"
        sent |= {name.replace("_", "-"): value for name, value in fields.items()}  # type: ignore[misc]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(
                method, path or self.path, body, {name: value for name, value in sent.items() if value is not None}
            )
            response = connection.getresponse()
            return Answered(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def begin(self) -> "Caller":
        """Begin a session."""
        params = {
            "protocolVersion": self.version,
            "capabilities": self.capabilities,
            "clientInfo": {"name": "rig", "version": "1"},
        }
        got = self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        assert got.status == 200, got.body
        self.session = got.fields["mcp-session-id"]
        assert self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202
        return self

    def fields(self) -> dict[str, str | None]:
        """Those of a session."""
        return {"mcp_session_id": self.session, "mcp_protocol_version": self.version} if self.session else {}

    def post(self, message: Any, timeout_s: float = 20.0, **fields: str | None) -> Answered:
        """A message, or what is none."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.http("POST", body, timeout_s=timeout_s, **{**self.fields(), **fields})

    def ask(
        self, method: str, params: Message | None = None, timeout_s: float = 20.0, **fields: str | None
    ) -> Answered:
        """A request, of whichever era."""
        params = dict(params or {})
        message: Message = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        if self.session:
            return self.post(message, timeout_s=timeout_s, **fields)
        envelope = {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": self.capabilities}
        params["_meta"] = {**envelope, **params.get("_meta", {})}
        sent: dict[str, str | None] = {"mcp_protocol_version": MODERN, "mcp_method": method}
        name = params.get("name") or params.get("uri") or params.get("taskId")
        if name and method != "completion/complete":
            sent["mcp_name"] = name
        return self.post(message, timeout_s=timeout_s, **{**sent, **fields})

    def call(self, name: str, timeout_s: float = 20.0, **arguments: Any) -> Answered:
        """`tools/call`."""
        return self.ask("tools/call", {"name": name, "arguments": arguments}, timeout_s=timeout_s)

    def names(self) -> list[str]:
        """Of the tools that are listed."""
        return [one["name"] for one in self.ask("tools/list").result["tools"]]

    def open(self, method: str, body: bytes = b"", **fields: str | None) -> "Open":
        """A request whose answer is read as it comes."""
        sent = {"host": f"127.0.0.1:{self.port}", "content-type": JSON, "accept": f"{JSON}, text/event-stream"}
        sent |= {"authorization": f"Bearer {self.key}", "content-length": str(len(body))}
        sent |= {name.replace("_", "-"): value for name, value in {**self.fields(), **fields}.items() if value}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        return Open(self.port, f"{method} {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body)


class Open:
    """A stream that is open."""

    def __init__(self, port: int, request: bytes) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.got = b""
        self.sock.sendall(request)

    def until(self, wanted: bytes, within_s: float = 10.0) -> bytes:
        """Everything up to the moment in which `wanted` has come."""
        self.sock.settimeout(within_s)
        while wanted not in self.got:
            piece = self.sock.recv(65536)
            assert piece, self.got[-2_000:]
            self.got += piece
        return self.got

    def messages(self) -> list[Message]:
        """Those that have come."""
        lines = self.got.decode(errors="replace").splitlines()
        return [json.loads(line[5:]) for line in lines if line.startswith("data:") and line[5:].strip().endswith("}")]

    def close(self) -> None:
        """Go away."""
        self.sock.close()


def later(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """`work`, begun in a thread of its own, and where its result will be."""
    found: list[Any] = []

    def run() -> None:
        found.append(work())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, found
