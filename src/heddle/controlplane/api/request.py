"""A request as the verbs read it: segments of the path, options of the query, headers, a bounded body.

Refuses what is too large or too slow before it is read, and paths that could mean two things.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from heddle.controlplane.access.caller import Attributes, Caller
from heddle.wire.kube.status import ApiError, bad_request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 3 * 1024 * 1024
"""As a Kubernetes API server."""
MAX_QUERY_FIELDS = 64
BODY_TIMEOUT_S = 30.0
TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
"""What Kubernetes takes for true: Python's client writes `watch=True`."""


class Trail:
    """What a request turned out to be about, for the audit."""

    __slots__ = ("asked", "caller", "dry_run", "new", "old")

    def __init__(self, asked: Attributes) -> None:
        self.asked = asked
        """What was authorized last."""
        self.caller: Caller | None = None
        self.old: dict[str, Any] | None = None
        """Before a write."""
        self.new: dict[str, Any] | None = None
        """After it."""
        self.dry_run = False


class Request:
    """One HTTP request."""

    __slots__ = ("_query", "_receive", "body", "connection", "headers", "method", "path", "query_string", "trail")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
        self.query_string: bytes = scope["query_string"]
        self.headers = _headers(scope["headers"])
        self.connection: Any = (scope.get("state") or {}).get("connection")
        """`serving.Connection`, where the server is ours."""
        self.body = b""
        """Empty until `read`."""
        self.trail = Trail(Attributes(self.method.lower(), path=self.path))
        self._receive = receive
        self._query: dict[str, list[str]] | None = None

    @property
    def query(self) -> dict[str, list[str]]:
        """Every value of every field. Raises ApiError 400."""
        if self._query is None:
            # One that cannot be read has no options, such as `pretty`, for the answer that says so.
            self._query = {}
            self._query = _query(self.query_string)
        return self._query

    def option(self, name: str) -> str:
        """The first value of a field of the query, or ''."""
        found = self.query.get(name) if self.query_string else None
        return found[0] if found else ""

    def flag(self, name: str) -> bool:
        """Whether a field of the query is true, as programs in Go, Python and others spell it."""
        return bool(self.query_string) and self.option(name) in TRUE

    async def read(self) -> bytes:
        """The body. Raises ApiError 413 and 408."""
        declared = self.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise _too_large()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                self.body = await self._whole()
        except TimeoutError as exc:
            raise ApiError(408, "Timeout", f"the body did not arrive within {BODY_TIMEOUT_S:.0f} seconds") from exc
        return self.body

    async def _whole(self) -> bytes:
        message = await self._receive()
        first = bytes(message.get("body", b""))
        if not message.get("more_body"):
            return first
        parts, size = [first], len(first)
        while message.get("more_body"):
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ApiError(400, "BadRequest", "the connection ended before the body did")
            parts.append(bytes(message.get("body", b"")))
            size += len(parts[-1])
            if size > MAX_BODY_BYTES:
                raise _too_large()
        return b"".join(parts)

    async def gone(self) -> None:
        """Return when the client is."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _too_large() -> ApiError:
    message = f"Request entity too large: limit is {MAX_BODY_BYTES}"
    return ApiError(413, "RequestEntityTooLarge", message)


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1")
        text = value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _query(raw: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if not raw:
        return found
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict")
    except ValueError as exc:
        raise bad_request("the query of the URL cannot be read: UTF-8, percent-encoded, at most 64 fields") from exc
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def segments(path: str) -> list[str] | None:
    """Decoded segments of a path, trailing slashes ignored; None for one that no object can have."""
    if "%" not in path:
        parts = path.strip("/").split("/")
    else:
        try:
            parts = [unquote_to_bytes(part).decode() for part in path.strip("/").split("/")]
        except UnicodeDecodeError:
            return None
    for part in parts:
        if part in {"", ".", ".."} or "/" in part or "%" in part or "\0" in part:
            return None
    return parts
