"""Files that callers name by URL, fetched for providers that do not fetch by themselves.

Owns the danger in that: whoever may write a URL could make the gateway ask machines that only it can reach. So a URL is
fetched only if its host is listed; its name is resolved once, every address it has must be public (or in a listed
network), and the connection goes to the address that was screened. Redirects are not followed, sizes and times are
bounded, and what comes back must look like what it says it is. The caller is told nothing about the inside.

*Source:* RFC 6890 and the IANA special-purpose address registries; OWASP, "Server-Side Request Forgery Prevention".
"""

import asyncio
import base64
from urllib.parse import urlsplit

import msgspec

from heddle.model.match import Globs
from heddle.model.snapshot import MediaSpec, TimeoutSpec
from heddle.net.address import networks
from heddle.net.client import Client, OutboundRequest
from heddle.net.errors import NetError
from heddle.net.screening import Resolve, is_listed, is_public, resolve
from heddle.pipeline.errors import CallError, Reason
from heddle.wire.canonical.request import ChatRequest, Media, Message, Part, ToolResult
from heddle.wire.canonical.rules import Outcome, Rule, Rules

MAX_FILES = 20
"""Of one call."""

_RULES = {"image": Rule.IMAGE_URL, "document": Rule.DOCUMENT_URL}
_MAGIC = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
    "application/pdf": (b"%PDF-",),
}
"""Types that are passed on, and how their contents begin."""


class MediaFetcher:
    """Fetches for the calls of one snapshot."""

    __slots__ = ("_client", "_hosts", "_networks", "_resolve", "_spec", "_timeouts", "allowed")

    def __init__(self, spec: MediaSpec, client: Client, resolver: Resolve = resolve) -> None:
        self._spec = spec
        self._client = client
        self._hosts = Globs(spec.hosts)
        self.allowed = bool(spec.hosts)
        """Something may be fetched at all; otherwise `inline` changes nothing."""
        self._networks = networks(spec.networks)
        self._resolve = resolver
        limit_s = spec.timeout_s
        self._timeouts = TimeoutSpec(connect_s=limit_s, first_byte_s=limit_s, idle_s=limit_s, total_s=limit_s)

    async def inline(self, request: ChatRequest, rules: Rules) -> ChatRequest:
        """The request with the files in place of URLs that the provider would refuse. Raises CallError (400)."""
        if not self.allowed:
            return request
        wanted = {part.url: part for part in _files(request) if _needed(part, rules)}
        if not wanted:
            return request
        if len(wanted) > MAX_FILES:
            raise _refused(f"a call may name at most {MAX_FILES} files by URL")
        try:
            async with asyncio.timeout(self._spec.timeout_s):
                fetched = await asyncio.gather(*[self._fetch(url) for url in wanted])
        except TimeoutError as exc:
            raise _refused("the files named by URL did not come in time") from exc
        if sum(len(data) for _, data in fetched) > self._spec.max_bytes:
            raise _refused(f"the files named by URL are larger than {self._spec.max_bytes} bytes")
        return _replaced(request, dict(zip(wanted, fetched, strict=True)))

    async def _fetch(self, url: str) -> tuple[str, bytes]:
        """Type and content."""
        try:
            parts = urlsplit(url)
        except ValueError as exc:
            raise _refused("a file is named by what is no URL") from exc
        host, secure = (parts.hostname or "").lower(), parts.scheme == "https"
        if not secure and parts.scheme != "http":
            raise _refused("files can be named by https URLs only")
        if parts.username is not None or not self._hosts.match(host):
            raise _refused(f"files may not be fetched from `{host[:100]}`")
        try:
            port = parts.port or (443 if secure else 80)
            addresses = await self._resolve(host, port)
        except (OSError, ValueError, UnicodeError) as exc:
            raise _refused(f"the host `{host[:100]}` of a file was not found") from exc
        private = [address for address in addresses if not is_public(address)]
        if not addresses or any(not self._listed(address) for address in private) or not (secure or private):
            raise _refused(f"files may not be fetched from `{host[:100]}`")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not target.isascii() or not target.isprintable() or " " in target:
            raise _refused("the URL of a file has characters that must be percent-encoded")
        authority = f"{parts.scheme}://{parts.netloc}"
        return await self._get(authority, target.encode(), addresses[0])

    async def _get(self, authority: str, target: bytes, address: str) -> tuple[str, bytes]:
        origin = self._client.origin(authority, owner="", address=address, max_connections=MAX_FILES)
        request = OutboundRequest("GET", target, [(b"accept", ", ".join(_MAGIC).encode()), (b"user-agent", b"heddle")])
        try:
            answer = await self._client.send(origin, request, self._timeouts)
            try:
                if answer.status != 200:
                    raise _refused(f"a file named by URL was answered with status {answer.status}")
                data = await answer.body.read(self._spec.max_bytes)
                kind = next((value for name, value in answer.headers if name == b"content-type"), b"")
                return _checked(kind, data), data
            finally:
                answer.close()
        except NetError as exc:
            raise _refused("a file named by URL could not be fetched") from exc
        finally:
            self._client.discard(origin)

    def _listed(self, address: str) -> bool:
        return is_listed(address, self._networks)


def _checked(kind: bytes, data: bytes) -> str:
    media_type = kind.partition(b";")[0].strip().lower().decode("latin-1")
    if not data.startswith(_MAGIC.get(media_type, ())):
        raise _refused("a file named by URL is not an image or document of a known type")
    return media_type


def _files(request: ChatRequest) -> list[Media]:
    parts: list[Part] = [part for message in request.messages for part in message.parts]
    parts += [inner for part in parts if isinstance(part, ToolResult) for inner in part.parts]
    return [part for part in parts if isinstance(part, Media) and part.url]


def _needed(part: Media, rules: Rules) -> bool:
    rule = _RULES.get(part.kind)
    return rule is not None and rules.get(rule) is Outcome.REFUSED


def _replaced(request: ChatRequest, files: dict[str, tuple[str, bytes]]) -> ChatRequest:
    def one(part: Part) -> Part:
        if isinstance(part, Media) and part.url in files:
            media_type, data = files[part.url]
            kind = "image" if media_type.startswith("image/") else "document"
            return msgspec.structs.replace(
                part, kind=kind, media_type=media_type, data=base64.b64encode(data).decode(), url=""
            )
        if isinstance(part, ToolResult):
            return msgspec.structs.replace(part, parts=tuple(one(inner) for inner in part.parts))
        return part

    def message(given: Message) -> Message:
        return msgspec.structs.replace(given, parts=tuple(one(part) for part in given.parts))

    return msgspec.structs.replace(request, messages=tuple(message(given) for given in request.messages))


def _refused(what: str) -> CallError:
    return CallError(Reason.BAD_REQUEST, f"{what[:1].upper()}{what[1:]}.", param="messages")
