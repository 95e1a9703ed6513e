"""The two values that cross the outer edge of `net`: a request to an upstream, and its answer."""

from collections.abc import AsyncIterator

from heddle.net.body import Body
from heddle.net.message import Headers


class OutboundRequest:
    """A request to send."""

    __slots__ = ("body", "headers", "lines", "method", "target")

    def __init__(
        self, method: str, target: bytes, headers: Headers, body: bytes | AsyncIterator[bytes] = b"", lines: bytes = b""
    ) -> None:
        self.method = method
        self.target = target
        """Path and query."""
        self.headers = headers
        """End-to-end fields only."""
        self.body = body
        self.lines = lines
        """Further fields, from `wire.http1_heads.encode_request_fields`."""

    def __repr__(self) -> str:
        return f"OutboundRequest({self.method})"


class Inbound:
    """An upstream's answer: its head, and a body that may still be arriving. Read it all, or `close` it."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: Body) -> None:
        self.status = status
        self.headers = headers
        """Shared by answers with the same head: must not be changed."""
        self.body = body

    def __repr__(self) -> str:
        return f"Inbound({self.status})"

    def close(self) -> None:
        """Give up the rest of the answer; the upstream connection closes at once. Harmless when it is complete."""
        self.body.abandon()

    def let_end(self, within_s: float) -> None:
        """Give up the rest, which should be no more than an end; the connection is used again if that comes in time."""
        self.body.let_end(within_s)
