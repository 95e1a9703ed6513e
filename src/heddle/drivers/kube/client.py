"""Requests to an API server: one object, a whole list, a watch, an apply.

Owns paths, pages, the reading of event streams and of refusals. It retries nothing: whoever watches decides when to
begin again. Raises ApiError for what the server refused, ConnectionError and TimeoutError for what never arrived.
*Source:* Kubernetes API concepts: resource URIs, chunked lists, efficient detection of changes, server-side apply.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from heddle.drivers.kube import Reach
from heddle.drivers.kube.credentials import Credentials
from heddle.model.kinds import Kind
from heddle.model.snapshot import TimeoutSpec
from heddle.net.client import Client, Inbound, Origin, OutboundRequest
from heddle.net.errors import NetError, UpstreamTimeout
from heddle.wire.kube.status import ApiError

PAGE = 500
"""Objects asked for at once."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_EVENT_BYTES = 8 * 1024 * 1024
"""An object has at most 1.5 MiB in etcd, and its JSON in an event is somewhat larger."""
WHY = "x-heddle-why"
"""Header: what the writer says about a write, such as a commit; kept with the version. Other servers ignore it."""
_TIMEOUTS = TimeoutSpec(connect_s=5.0, first_byte_s=60.0, idle_s=30.0, total_s=120.0)
_WATCH_GRACE_S = 30.0


class Listed(NamedTuple):
    """All objects of a kind at one moment."""

    items: list[dict[str, Any]]
    version: str
    """`resourceVersion` of the list: a watch from here misses nothing."""


def path_of(kind: Kind, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The path of a collection, an object or a subresource. Every part is escaped."""
    group = f"apis/{quote(kind.group, safe='')}" if kind.group else "api"
    parts = [group, quote(kind.version, safe="")]
    if kind.namespaced and namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts += [quote(part, safe="") for part in (kind.plural, name, subresource) if part]
    return "/" + "/".join(parts)


def spoken(why: str) -> str:
    """A reason as a header carries it: percent-encoded where it is not plain text."""
    return quote(why[:500], safe=" :/@#.,-_()+=")


class Api:
    """One API server. Belongs to one event loop."""

    def __init__(self, reach: Reach, client: Client) -> None:
        """Raises CredentialError and ValueError for a server that cannot be one."""
        self._credentials = Credentials(reach)
        self._client = client
        self._reach = reach
        self._prefix = urlsplit(reach.server).path.rstrip("/")
        self._origin: Origin | None = None

    async def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The decoded answer of a request."""
        answer = await self._begin(method, path, query, body, headers)
        try:
            content = await answer.body.read(MAX_ANSWER_BYTES)
        except NetError as exc:
            raise ConnectionError(f"{self._reach.server}: {exc}") from exc
        finally:
            answer.close()
        value = _decoded(content)
        if answer.status >= 400:
            raise self._refused(answer.status, value)
        return value

    async def list(self, kind: Kind, namespace: str = "", **query: str) -> Listed:
        """Every object, page by page, all of one moment."""
        items: list[dict[str, Any]] = []
        more = {"limit": str(PAGE), **query}
        while True:
            page = await self.send("GET", path_of(kind, namespace), more)
            if not isinstance(page, dict) or not isinstance(page.get("items", []), list):
                raise ConnectionError(f"{self._reach.server}: the answer is no list")
            # Items of a list need not say what they are.
            items += [{"apiVersion": kind.api_version, "kind": kind.kind, **one} for one in page.get("items") or []]
            meta = page.get("metadata") or {}
            if not meta.get("continue"):
                return Listed(items, str(meta.get("resourceVersion", "")))
            more = {**more, "continue": str(meta["continue"])}

    async def watch(
        self, kind: Kind, version: str, namespace: str = "", timeout_s: int = 300
    ) -> AsyncIterator[dict[str, Any]]:
        """Events after a version, bookmarks among them, until the server ends it; raises ApiError 410 when the version
        is too old, also where the server says so inside the stream."""
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        query["timeoutSeconds"] = str(timeout_s)
        timeouts = TimeoutSpec(connect_s=5.0, first_byte_s=60.0, idle_s=0.0, total_s=timeout_s + _WATCH_GRACE_S)
        answer = await self._begin("GET", path_of(kind, namespace), query, timeouts=timeouts)
        try:
            if answer.status >= 400:
                raise self._refused(answer.status, _decoded(await answer.body.read(MAX_ANSWER_BYTES)))
            async for line in _lines(answer):
                event = _decoded(line)
                if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
                    raise ConnectionError(f"{self._reach.server}: an event is no event")
                if event.get("type") == "ERROR":
                    raise refusal(int(event["object"].get("code") or 500), event["object"])
                yield event
        except NetError as exc:
            raise ConnectionError(f"{self._reach.server}: {exc}") from exc
        finally:
            answer.close()

    async def apply(
        self, kind: Kind, value: Mapping[str, Any], field_manager: str, *, subresource: str = "", **more: str
    ) -> dict[str, Any]:
        """Server-side apply. `more`: `force`, `dryRun`, `why`."""
        meta = value["metadata"]
        headers = {"content-type": "application/apply-patch+yaml"}
        if why := more.pop("why", ""):
            headers[WHY] = spoken(why)
        query = {"fieldManager": field_manager, "fieldValidation": "Strict", **more}
        path = path_of(kind, meta.get("namespace", ""), meta["name"], subresource)
        made = await self.send("PATCH", path, query, value, headers)
        assert isinstance(made, dict)
        return made

    async def _begin(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeouts: TimeoutSpec = _TIMEOUTS,
    ) -> Inbound:
        target = self._prefix + path + (f"?{urlencode(query)}" if query else "")
        fields = {"accept": "application/json", "user-agent": "heddle", **(headers or {})}
        content = b"" if body is None else msgspec.json.encode(body)
        if content:
            fields.setdefault("content-type", "application/json")
        if token := await self._token():
            fields["authorization"] = f"Bearer {token}"
        raw = [(name.encode("ascii"), value.encode("ascii")) for name, value in fields.items()]
        try:
            origin = self._origin or await self._connect()
            return await self._client.send(
                origin, OutboundRequest(method, target.encode("ascii"), raw, content), timeouts
            )
        except UpstreamTimeout as exc:
            raise TimeoutError(f"{self._reach.server}: {exc}") from exc
        except NetError as exc:
            raise ConnectionError(f"{self._reach.server}: {exc}") from exc

    async def _token(self) -> str:
        reach = self._reach
        if reach.token_file or reach.program is not None:
            # It reads a file, or runs a program.
            return await asyncio.to_thread(self._credentials.token)
        return self._credentials.token()

    async def _connect(self) -> Origin:
        """The origin, whose TLS shows our certificate."""
        context = await asyncio.to_thread(self._credentials.context)
        if self._origin is None:
            self._origin = self._client.origin(self._reach.server, owner=f"kube {id(self)}")
            self._origin.ssl_context = context
        return self._origin

    def close(self) -> None:
        """Close its connections."""
        origin, self._origin = self._origin, None
        if origin is not None:
            self._client.discard(origin)

    def _refused(self, code: int, value: Any) -> ApiError:
        if code == 401:
            # A program may print a better credential, also another certificate, the next time.
            self._credentials.forget()
            if self._reach.program is not None:
                self.close()
        return refusal(code, value)


def refusal(code: int, value: Any) -> ApiError:
    """What a server refused, from its Status, or from whatever stood in its place."""
    if isinstance(value, dict) and value.get("kind") == "Status":
        details = value.get("details")
        return ApiError(
            code,
            str(value.get("reason") or ""),
            str(value.get("message") or f"status {code}"),
            details if isinstance(details, dict) else None,
        )
    said = value if isinstance(value, str) else ""
    return ApiError(code, "", f"status {code}{': ' if said else ''}{said[:200]}")


def _decoded(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return content.decode("utf-8", "replace")


async def _lines(answer: Inbound) -> AsyncIterator[bytes]:
    """Lines of a body, without their ends. One that is too long raises ConnectionError."""
    pending = bytearray()
    async for piece in answer.body:
        pending += piece
        if b"\n" not in piece:
            if len(pending) > MAX_EVENT_BYTES:
                raise ConnectionError(f"an event is larger than {MAX_EVENT_BYTES} bytes")
            continue
        *whole, rest = bytes(pending).split(b"\n")
        pending = bytearray(rest)
        for line in whole:
            if line.strip():
                yield line
