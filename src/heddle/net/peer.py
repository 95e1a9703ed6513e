"""What the kernel knows of the other end of a connection, and how to be rid of it.

*Source:* socket(7): SO_ERROR, SO_LINGER; RFC 9293 section 3.10.4 (abort).
"""

import asyncio
import socket
import struct

_AT_ONCE = struct.pack("ii", 1, 0)


def is_reset(transport: asyncio.BaseTransport) -> bool:
    """The other end has answered something we sent with a reset: it is gone."""
    raw = transport.get_extra_info("socket")
    return raw is not None and raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def close_with_reset(transport: asyncio.BaseTransport) -> None:
    """Make the close that follows a reset: after an orderly end the kernel keeps what nobody reads for minutes."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
