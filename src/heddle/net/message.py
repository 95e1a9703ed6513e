"""The two values that cross the edge of `net`: a Request that came in, a Reply that goes out.

Header names are lower-case bytes, values are stripped bytes, order is kept, duplicates stay apart.
Message framing (`content-length`, `transfer-encoding`, `connection` and the other hop-by-hop fields)
belongs to `net` alone: it is removed from what is handed up and written anew on what goes out.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

from heddle.net.body import Body

Headers = list[tuple[bytes, bytes]]


class Peer:
    """Who is on the other end of a connection."""

    __slots__ = ("address", "port", "tls")

    def __init__(self, address: str, port: int, tls: bool) -> None:
        self.address = address
        self.port = port
        self.tls = tls


class Request:
    """A request whose head has been checked; the body may still be arriving."""

    __slots__ = ("body", "by_name", "headers", "memory", "method", "path", "peer", "query")

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: Headers,
        body: Body,
        peer: Peer,
        by_name: dict[bytes, bytes] | None = None,
        memory: dict[str, Any] | None = None,
    ) -> None:
        self.method = method
        self.path = path
        """Path as sent, not percent-decoded, always starting with `/`."""
        self.query = query
        self.headers = headers
        """Shared by requests with the same head: must not be changed."""
        self.body = body
        self.peer = peer
        self.by_name = by_name
        """What `fields` returns, if whoever read the head has made it already; shared like `headers`."""
        self.memory: dict[str, Any] = {} if memory is None else memory
        """See `wire.http1.RequestHead`: shared by the requests of this connection with the same head, under one name
        for each who remembers. Nothing belongs there that would keep a dropped snapshot alive."""

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path})"

    def header(self, name: bytes) -> bytes | None:
        """The value of a field that may appear once (the last one if a caller repeated it); `name` in lower case."""
        return self.fields().get(name)

    def fields(self) -> dict[bytes, bytes]:
        """All fields by name, the last one where a caller repeated it; it is then shorter than `headers`."""
        fields = self.by_name
        if fields is None:
            fields = self.by_name = dict(self.headers)
        return fields


class Reply:
    """An answer: whole, or a stream of chunks that are written as they come.

    A stream that raises is cut: the connection is closed without the final chunk, so that no reader
    takes it for complete.
    """

    __slots__ = ("body", "ended", "headers", "lines", "status")

    def __init__(
        self,
        status: int,
        headers: Headers,
        body: bytes | AsyncIterator[bytes] = b"",
        ended: Callable[[BaseException | None, int], None] | None = None,
        lines: bytes = b"",
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.ended = ended
        """For a stream: called once when it is over, with why it was cut (None: complete) and the body's bytes sent."""
        self.lines = lines
        """Further fields as complete lines (`name: value` CR LF) of the gateway's own making; written as they are."""

    def __repr__(self) -> str:
        return f"Reply({self.status})"
