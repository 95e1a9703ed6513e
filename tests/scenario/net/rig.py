"""A server or client connection on a transport that exists only in memory, with a clock that the test owns."""

import asyncio

from heddle.model.snapshot import ListenerLimits, ListenerSpec
from heddle.net.message import Reply, Request
from heddle.net.server import HttpServer
from heddle.net.serving import ServerConnection


class FakeTransport:
    """Collects what is written; losing the connection is announced by the loop, as real transports do."""

    def __init__(self, protocol, *, tls=False):
        self.protocol = protocol
        self.tls = tls
        self.written = b""
        self.writes = []
        self.unsent = 0
        self.reading = True
        self.closed = self.aborted = self.eof_written = False

    def get_extra_info(self, name, default=None):
        if name == "ssl_object":
            return object() if self.tls else None
        return ("192.0.2.7", 4711) if name == "peername" else default

    def write(self, data):
        if not self.closed:
            self.written += data
            self.writes.append(data)

    def writelines(self, pieces):
        self.write(b"".join(pieces))

    def write_eof(self):
        self.eof_written = True

    def get_write_buffer_size(self):
        return self.unsent

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def is_closing(self):
        return self.closed

    def close(self):
        self._lose()

    def abort(self):
        self.aborted = True
        self._lose()

    def _lose(self):
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def take(self):
        written, self.written = self.written, b""
        return written


def answer_error(status, detail):
    return Reply(status, [(b"content-type", b"text/plain")], detail.encode())


async def echo(request: Request) -> Reply:
    body = await request.body.read(1 << 20)
    return Reply(200, [(b"content-type", b"text/plain")], b"%b %b" % (request.path.encode(), body))


class Rig:
    """One server; `connect` gives the transport of a new connection to it."""

    def __init__(self, handler=echo, **limits):
        self.now = 1000.0
        self.seen = []

        async def record(request):
            self.seen.append(request)
            return await handler(request)

        spec = ListenerSpec(name="test", address="127.0.0.1", port=0, protocol="HTTP", limits=ListenerLimits(**limits))
        self.server = HttpServer(
            record, spec, answer_error=answer_error, clock=lambda: self.now, wall_clock=lambda: 1_800_000_000.0
        )

    def connect(self, *, tls=False):
        connection = ServerConnection(self.server, "192.0.2.7")
        self.server._admitted += 1
        self.server._per_address["192.0.2.7"] += 1
        transport = FakeTransport(connection, tls=tls)
        connection.connection_made(transport)
        return transport

    async def say(self, transport, data):
        """Deliver `data`, and let everything that follows from it happen."""
        if not transport.closed:
            transport.protocol.data_received(data)
        await settle()

    async def pass_time(self, seconds):
        self.now += seconds
        self.server.sweep()
        await settle()


async def settle():
    for _ in range(12):
        await asyncio.sleep(0)
