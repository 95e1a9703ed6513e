"""Every way that moving a message can fail. Whose fault it was is in the type.

None of these carries a header, a body, a credential or a URL with one; `detail` may be shown to a caller.
"""

# The types say what happened; an `Error` suffix would add nothing to that.
# ruff: noqa: N818

from typing import Literal

Phase = Literal["connect", "first_byte", "idle", "total"]


class NetError(Exception):
    """Base of everything `net` raises to its users."""

    __slots__ = ()


class BodyError(NetError):
    """The request's body cannot be had. `status` is what the caller is told if nobody says otherwise."""

    __slots__ = ("detail", "status")

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class BodyTooLarge(BodyError):
    """More bytes than the reader, or the listener, allows."""

    __slots__ = ("max_bytes",)

    def __init__(self, max_bytes: int) -> None:
        super().__init__(413, f"The body is larger than {max_bytes} bytes.")
        self.max_bytes = max_bytes


class BodyTimeout(BodyError):
    """The body did not arrive in time."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(408, "The body did not arrive in time.")


class BodyMalformed(BodyError):
    """The framing of the body broke a rule of HTTP/1.1."""

    __slots__ = ()

    def __init__(self, detail: str) -> None:
        super().__init__(400, detail)


class PeerGone(NetError):
    """The caller closed the connection before its request or its answer was complete."""

    __slots__ = ()


class ConnectFailed(NetError):
    """No connection to the upstream (or its proxy) could be made; nothing was sent."""

    __slots__ = ("detail",)

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class UpstreamTimeout(NetError):
    """A deadline of the upstream call passed; `phase` says which."""

    __slots__ = ("phase",)

    def __init__(self, phase: Phase) -> None:
        super().__init__(phase)
        self.phase: Phase = phase


class UpstreamClosed(NetError):
    """The upstream closed the connection before its answer was complete.

    `sent` is False only when it is certain that no byte of the request left this process.
    """

    __slots__ = ("sent",)

    def __init__(self, sent: bool) -> None:
        super().__init__(sent)
        self.sent = sent


class UpstreamProtocolError(NetError):
    """The upstream answered with something that is not HTTP/1.1, or is ambiguous in it."""

    __slots__ = ("detail",)

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
