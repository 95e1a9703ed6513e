"""Documents that identity depends on: from a file, a string, or a URL that the configuration names.

Owns what may be fetched: https, or http to this machine only, so that nobody on the path can hand out keys. Redirects
are not followed: a redirect is somebody else's choice of address (CVE-2026-41413). Sizes and times are bounded.

*Source:* RFC 8725 section 3.10; RFC 9110 section 15.4.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from heddle.identity.jwks import MAX_DOCUMENT_BYTES, Load
from heddle.model.snapshot import JwksSpec, TimeoutSpec
from heddle.net.address import is_loopback
from heddle.net.client import Client, Origin, OutboundRequest
from heddle.net.errors import NetError
from heddle.net.message import Headers

TIMEOUTS = TimeoutSpec(connect_s=3.0, first_byte_s=5.0, idle_s=5.0, total_s=10.0)
FILE_CHECK_S = 1.0
"""How often a file is looked at for changes, while tokens come."""


class Means(Protocol):
    """What fetching needs; `Tools` of a worker have it."""

    @property
    def client(self) -> Client:
        """Whose connections are used."""
        ...

    @property
    def closers(self) -> list[Callable[[], None]]:
        """Where to put what ends them."""
        ...


class Endpoint:
    """One origin that is asked over HTTP, with what it costs at most. Failures are OSError or ValueError."""

    __slots__ = ("_client", "_origin")

    def __init__(self, tools: Means, base_url: str, ca_file: str = "") -> None:
        """ValueError when `base_url` may not be asked, or `ca_file` cannot be read. Closes itself with the snapshot."""
        check_url(base_url)
        self._client = tools.client
        try:
            self._origin: Origin = tools.client.origin(base_url, ca_file=ca_file)
        except OSError as exc:
            raise ValueError(f"the certificates to trust cannot be read: {exc}") from exc
        tools.closers.append(self.close)

    def close(self) -> None:
        """Close its connections."""
        self._client.discard(self._origin)

    async def send(self, method: str, target: str, headers: Headers, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of the answer; the body has at most `MAX_DOCUMENT_BYTES`."""
        try:
            request = OutboundRequest(method, target.encode("ascii"), headers, body)
            answer = await self._client.send(self._origin, request, TIMEOUTS)
            try:
                return answer.status, await answer.body.read(MAX_DOCUMENT_BYTES)
            finally:
                answer.close()
        except NetError as exc:
            raise OSError(f"asking failed: {type(exc).__name__}") from exc


def check_url(url: str) -> None:
    """ValueError unless `url` is https, or http to a loopback address, without credentials in it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or parts.username is not None or parts.password is not None:
        raise ValueError("the URL must have a host and no credentials")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError(
            f"the URL must be https (http only to loopback addresses), not {parts.scheme or 'without scheme'}"
        )


def jwks_loader(spec: JwksSpec, tools: Means) -> tuple[Load, float]:
    """How to read a key set, and how often; ValueError unless exactly one of file, url and inline is given."""
    if sum(map(bool, (spec.file, spec.url, spec.inline))) != 1:
        raise ValueError("jwks needs exactly one of file, url and inline")
    if spec.url:
        return _UrlDocument(spec.url, tools).load, max(spec.refresh_s, 1.0)
    if spec.file:
        return FileDocument(Path(spec.file)).load, FILE_CHECK_S
    return _Inline(spec.inline.encode()).load, float("inf")


class FileDocument:
    """A small file that is read again when it was changed or replaced."""

    __slots__ = ("_path", "_seen")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    async def load(self) -> bytes | None:
        """Its contents, or None when it is as it was; OSError, or ValueError when it is too large."""
        return self.read()

    def read(self) -> bytes | None:
        """As `load`; blocks for the time of one small file."""
        with self._path.open("rb") as opened:
            about = os.fstat(opened.fileno())
            seen = (about.st_mtime_ns, about.st_ino, about.st_size)
            if seen == self._seen:
                return None
            document = opened.read(MAX_DOCUMENT_BYTES + 1)
        if len(document) > MAX_DOCUMENT_BYTES:
            raise ValueError(f"the file is larger than {MAX_DOCUMENT_BYTES} bytes")
        self._seen = seen
        return document


class _Inline:
    __slots__ = ("_document",)

    def __init__(self, document: bytes) -> None:
        self._document = document

    async def load(self) -> bytes:
        return self._document


class _UrlDocument:
    __slots__ = ("_endpoint", "_target")

    def __init__(self, url: str, tools: Means) -> None:
        parts = urlsplit(url)
        self._endpoint = Endpoint(tools, f"{parts.scheme}://{parts.netloc}")
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    async def load(self) -> bytes:
        status, document = await self._endpoint.send("GET", self._target, [(b"accept", b"application/json")])
        if status != 200:
            raise OSError(f"the key set's address answered with status {status}")
        return document
