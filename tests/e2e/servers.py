"""Small servers on loopback that remember what they were asked: a provider, an issuer, an API server, a collector."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    body: bytes
    number: int = 0
    """Which connection of the server it came on, from 0."""

    def header(self, name: str) -> str | None:
        """The value of the first field with this lower-case name."""
        return next((value for key, value in self.fields if key == name), None)


Answer = bytes | Callable[[socket.socket], None] | None
"""Raw bytes of a response; or a function that writes whatever it likes; None closes without a word."""


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A response with content-length."""
    fields = {"content-type": "application/json", "content-length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + body


@dataclass
class Server:
    """A server in threads of this process; use `serving`."""

    answer: Callable[[Asked], Answer]
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    """Numbers of the connections that the other side ended while an answer was being written or waited for."""
    connections: int = 0
    tls: ssl.SSLContext | None = None
    _open: set[Any] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def run(self, listening: socket.socket) -> None:
        """Accept until the socket is closed."""
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        sock: socket.socket = plain
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                sock = self.tls.wrap_socket(plain, server_side=True)
            self._open.add(sock)
            buffer = b""
            while (request := _read(sock, buffer, number)) is not None:
                asked, buffer = request
                self.asked.append(asked)
                answer = self.answer(asked)
                if answer is None:
                    return
                if callable(answer):
                    answer(sock)
                else:
                    sock.sendall(answer)
        except OSError:
            self.closed.append(number)
        finally:
            self._open.discard(sock)
            sock.close()

    def stop(self) -> None:
        """Cut what is open."""
        for sock in list(self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _read(sock: socket.socket, buffer: bytes, number: int) -> tuple[Asked, bytes] | None:
    """One request with content-length, and what came after it; None at the end."""
    while b"\r\n\r\n" not in buffer:
        piece = sock.recv(65536)
        if not piece:
            return None
        buffer += piece
    head, _, rest = buffer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    length = next((int(value) for name, value in fields if name == "content-length"), 0)
    while len(rest) < length:
        piece = sock.recv(65536)
        if not piece:
            return None
        rest += piece
    return Asked(method, target, fields, rest[:length], number), rest[length:]


@contextmanager
def serving(answer: Callable[[Asked], Answer], tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Server]:
    """A server on this loopback port, or on a free one; ended at the end."""
    server = Server(answer, tls=tls)
    with socket.create_server(("127.0.0.1", port), backlog=256) as listening:
        server.port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, args=(listening,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            # shutdown, because closing alone does not wake a thread in accept()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            server.stop()


def hung_up(sock: socket.socket, within_s: float) -> bool:
    """Whether the other side closes within this time."""
    sock.settimeout(within_s)
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True
