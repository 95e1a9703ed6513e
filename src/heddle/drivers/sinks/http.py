"""The `Post` of the sinks, over the mesh's own HTTP client.

Owns one origin per destination, made anew when its CA file changes, and the deadlines. Bodies of answers are read up
to 16 MiB: a bulk answer has some 200 bytes for each record.
"""

from pathlib import Path
from urllib.parse import urlsplit

from heddle.drivers.sinks.base import Headers, HttpAnswer
from heddle.model.snapshot import TimeoutSpec
from heddle.net.client import Client, Origin, OutboundRequest
from heddle.net.errors import NetError, UpstreamTimeout

_MAX_ANSWER_BYTES = 16 * 1024 * 1024
_TIMEOUTS = TimeoutSpec(connect_s=5.0, first_byte_s=30.0, idle_s=30.0, total_s=60.0)


class Poster:
    """Posts to any number of destinations; belongs to one event loop."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._origins: dict[tuple[str, str, str], tuple[int, Origin]] = {}
        """With the time of the CA file that each was made with."""

    async def __call__(self, url: str, headers: Headers, body: bytes, ca_file: str = "") -> HttpAnswer:
        """See Post. A URL or CA file that cannot be used is a ConnectionError too: the operator may yet mend it."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            origin = self._origin(parts.scheme, parts.netloc, ca_file)
            request = OutboundRequest("POST", target.encode("ascii"), headers, body)
            answer = await self._client.send(origin, request, _TIMEOUTS)
            try:
                content = await answer.body.read(_MAX_ANSWER_BYTES)
            finally:
                answer.close()
        except UpstreamTimeout as exc:
            raise TimeoutError(f"{parts.hostname}: {exc}") from exc
        except (NetError, OSError, ValueError) as exc:
            raise ConnectionError(f"{parts.hostname}: {exc}") from exc
        return HttpAnswer(answer.status, dict(answer.headers), content)

    def _origin(self, scheme: str, netloc: str, ca_file: str) -> Origin:
        key = (scheme, netloc, ca_file)
        known = self._origins.get(key)
        if known is not None and known[0] == _stamp(ca_file, known[0]):
            return known[1]
        made = _stamp(ca_file, 0)
        origin = self._client.origin(f"{scheme}://{netloc}", ca_file=ca_file, max_connections=8)
        if known is not None:
            self._client.discard(known[1])
        self._origins[key] = (made, origin)
        return origin


def _stamp(ca_file: str, missing: int) -> int:
    """When a CA file was last written; `missing` while there is none, as in the middle of a rotation."""
    try:
        return Path(ca_file).stat().st_mtime_ns if ca_file else 0
    except FileNotFoundError:
        return missing
