"""When the system has no more descriptors: the server pauses, and says so once."""

import errno
import logging
import socket

import pytest

from heddle.model.snapshot import ListenerSpec
from heddle.net.message import Reply
from heddle.net.server import HttpServer


class Starved:
    """A listening socket whose connections cannot be accepted."""

    def __init__(self, sock: socket.socket) -> None:
        self.fileno = sock.fileno

    def accept(self) -> object:
        raise OSError(errno.EMFILE, "Too many open files")


async def test_running_out_of_descriptors_is_logged_once_in_a_while(caplog: pytest.LogCaptureFixture):
    now = 1_000.0
    spec = ListenerSpec(name="llm", address="127.0.0.1", port=0, protocol="HTTP")

    async def handler(_: object) -> Reply:
        return Reply(200, [])

    server = HttpServer(handler, spec, answer_error=lambda status, detail: Reply(status, []), clock=lambda: now)
    with socket.create_server(("127.0.0.1", 0)) as listening, caplog.at_level(logging.ERROR, "heddle.net"):
        server._socket = Starved(listening)  # type: ignore[assignment]
        for number in range(200):
            now = 1_000.0 + number / 10
            server._accept()
            assert server._resume_accepting is not None, "it tries again"
            server._resume_accepting.cancel()
        assert len(caplog.records) == 1
        now = 1_100.0
        server._accept()
        assert len(caplog.records) == 2
        server.stop_accepting()
