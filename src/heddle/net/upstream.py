"""The two values that cross the outer edge of `net`: a request to an upstream, and its answer."""

from collections.abc import AsyncIterator

import msgspec

from heddle.net.body import Body
from heddle.net.message import Headers


class OutboundRequest(msgspec.Struct, eq=False):
    """A request to send."""

    method: str
    target: bytes
    """Path and query."""
    headers: Headers
    """End-to-end fields only."""
    body: bytes | AsyncIterator[bytes] = b""
    lines: bytes = b""
    """Further fields, from `wire.http1_heads.encode_request_fields`."""

    def __repr__(self) -> str:
        return f"OutboundRequest({self.method})"


class Inbound(msgspec.Struct, eq=False):
    """An upstream's answer: its head, and a body that may still be arriving. Read it all, or `close` it."""

    status: int
    headers: Headers
    body: Body

    def __repr__(self) -> str:
        return f"Inbound({self.status})"

    def close(self) -> None:
        """Give up the rest of the answer; the upstream connection closes at once. Harmless when it is complete."""
        self.body.abandon()
