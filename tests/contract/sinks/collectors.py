"""Collectors that are as strict as the real ones, on loopback sockets.

Elasticsearch itself is a JVM server and does not run in this suite: `FakeElasticsearch` checks what its bulk API
checks (content type, NDJSON pairs, one operation per document, ids, authentication) and can be told to misbehave.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self


class Received:
    """One request as it arrived."""

    def __init__(self, target: str, headers: dict[str, str], body: bytes) -> None:
        self.target = target
        self.headers = headers
        self.body = body


Answer = tuple[int, dict[str, str], bytes]


class HttpCollector:
    """Reads whole requests and answers what `answer` says."""

    def __init__(self, answer: Callable[[Received], Answer]) -> None:
        self._answer = answer
        self.requests: list[Received] = []
        self.url = ""
        self._connections: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._connections):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                request = Received(head[0].split(" ")[1], headers, body)
                self.requests.append(request)
                status, extra, answer = self._answer(request)
                if status == 0:  # answers nothing
                    return
                fields = {"content-length": str(len(answer)), **extra}
                lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
                writer.write(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()


class FakeElasticsearch(HttpCollector):
    """The `_bulk` endpoint, and the documents it holds."""

    def __init__(self) -> None:
        super().__init__(self._bulk)
        self.documents: dict[tuple[str, str], dict[str, Any]] = {}
        self.status = 200
        """Another status refuses whole requests."""
        self.max_bytes = 100_000_000
        self.item_status: Callable[[dict[str, Any]], int] = lambda _: 201
        self.authorization = ""
        self.lose_answers = 0
        """How many of the next answers are cut off after their work was done."""

    def _bulk(self, request: Received) -> Answer:
        if request.target != "/_bulk" or request.headers.get("content-type") != "application/x-ndjson":
            return 406, {}, b"{}"
        if self.authorization and request.headers.get("authorization") != self.authorization:
            return 401, {}, b"{}"
        if self.status != 200:
            return self.status, {"retry-after": "7"}, b"{}"
        if len(request.body) > self.max_bytes:
            return 413, {}, b""
        assert request.body.endswith(b"\n"), "a bulk body must end with a newline"
        lines = request.body.split(b"\n")[:-1]
        assert len(lines) % 2 == 0
        items = [self._create(json.loads(lines[at]), json.loads(lines[at + 1])) for at in range(0, len(lines), 2)]
        if self.lose_answers:
            self.lose_answers -= 1
            return 0, {}, b""
        failed = any(item["create"]["status"] >= 400 for item in items)
        return (
            200,
            {"content-type": "application/json"},
            json.dumps({"took": 1, "errors": failed, "items": items}).encode(),
        )

    def _create(self, operation: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        ((verb, target),) = operation.items()
        assert verb == "create", "data streams accept nothing else"
        assert document["@timestamp"]
        key = (target["_index"], target["_id"])
        if key in self.documents:
            error = {"type": "version_conflict_engine_exception", "reason": "document already exists"}
            return {"create": {"_index": key[0], "_id": key[1], "status": 409, "error": error}}
        status = self.item_status(document)
        if status >= 400:
            error = {
                "type": "mapper_parsing_exception" if status == 400 else "es_rejected_execution_exception",
                "reason": "x",
            }
            return {"create": {"_index": key[0], "_id": key[1], "status": status, "error": error}}
        self.documents[key] = document
        return {"create": {"_index": key[0], "_id": key[1], "_version": 1, "result": "created", "status": status}}
