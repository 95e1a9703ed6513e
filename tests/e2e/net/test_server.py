"""The server on real sockets: what only a kernel can show."""

import asyncio
import contextlib
import socket
import ssl
import time

import pytest
from tests.e2e.net.rig import eventually, make_certificates, on_uvloop, serving, talk, trusting
from tests.scenario.net.rig import echo

from heddle.model.snapshot import TlsSpec
from heddle.net.message import Reply
from heddle.net.tls import server_context

GET = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


@on_uvloop
async def test_keep_alive_pipelining_and_close():
    async with serving() as (_, port):
        answer = await talk(port, GET * 50 + LAST)
        assert answer.count(b"HTTP/1.1 200 OK") == 51
        assert answer.endswith(b"/last ")


@on_uvloop
async def test_megabytes_of_pipelined_requests_are_all_answered():
    async with serving() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET * 20_000 + LAST)
        answer = await reader.read(-1)
        assert answer.count(b"HTTP/1.1 200 OK") == 20_001
        writer.close()


@on_uvloop
async def test_a_large_body_both_ways():
    async with serving() as (_, port):
        body = bytes(range(256)) * 4000
        request = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        answer = await talk(port, request + body)
        assert answer.endswith(b"\r\n\r\n/ " + body)


@on_uvloop
async def test_half_close():
    async def slow(request):
        await asyncio.sleep(0.05)
        return Reply(200, [], b"late")

    async with serving(slow) as (_, port):
        answer = await talk(port, GET, eof=True)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"\r\n\r\nlate")


@on_uvloop
async def test_half_close_right_behind_a_request_that_needs_no_waiting():
    async def quick(request):
        return Reply(200, [], b"at once")

    async with serving(quick) as (_, port):
        answers = await asyncio.gather(*(talk(port, GET, eof=True) for _ in range(200)))
        assert [answer for answer in answers if not answer.endswith(b"at once")] == []


@on_uvloop
async def test_half_close_of_a_slow_call_survives_the_probe():
    async def slow(request):
        await asyncio.sleep(0.9)
        return Reply(200, [], b"late")

    async with serving(slow) as (_, port):
        answer = await talk(port, GET, eof=True)
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
        assert answer.endswith(b"\r\n\r\nlate")


@pytest.mark.parametrize("reset", [True, False])
@on_uvloop
async def test_a_caller_that_leaves_cancels_its_call(reset):
    cancelled = asyncio.Event()
    started = asyncio.Event()

    async def wait(request):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serving(wait) as (server, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await started.wait()
        if reset:
            writer.transport.abort()
        else:
            writer.close()
        began = time.monotonic()
        await cancelled.wait()
        assert time.monotonic() - began < 1.2
        await eventually(lambda: server.connection_count == 0)


@on_uvloop
async def test_a_streamed_answer_stops_when_nobody_reads():
    made = 0
    closed = asyncio.Event()

    async def stream(request):
        async def pieces():
            nonlocal made
            try:
                while True:
                    made += 1
                    yield b"x" * 65_536
            finally:
                closed.set()

        return Reply(200, [], pieces())

    async with serving(stream, write_timeout_s=0.6) as (server, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.transport.pause_reading()
        writer.write(GET)
        began = time.monotonic()
        await closed.wait()
        assert time.monotonic() - began < 1.9
        assert made < 200
        assert server.timed_out == 1
        writer.transport.abort()


@on_uvloop
async def test_413_reaches_a_caller_that_keeps_sending():
    async with serving(max_body_bytes=1000) as (_, port):
        request = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
        assert (await talk(port, request)).startswith(b"HTTP/1.1 413 ")


@on_uvloop
async def test_slow_callers_are_closed_in_time_and_others_are_served():
    """200 connections each that are slow to send a head, to send a body, and to read."""
    big = b"x" * 20_000_000

    async def answer(request):
        return Reply(200, [], big) if request.path == "/big" else await echo(request)

    async def slow(first, drip, port):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        _, writer = await asyncio.open_connection(sock=sock)
        if not drip:
            writer.transport.pause_reading()
        writer.write(first)
        opened.append(writer)
        with contextlib.suppress(ConnectionError, RuntimeError):
            while not over.is_set():
                await asyncio.sleep(0.2)
                writer.write(drip)
        writer.transport.abort()

    over, opened = asyncio.Event(), []
    limits = {"head_timeout_s": 1.0, "body_timeout_s": 1.0, "write_timeout_s": 1.0, "idle_timeout_s": 1.0}
    async with serving(answer, **limits) as (server, port):
        head = b"GET /slow HTTP/1.1\r\nHost: h\r\nX: "
        body = b"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
        read = b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n"
        plans = [plan for plan in ((head, b"a"), (body, b"b"), (read, b"")) for _ in range(200)]
        tasks = [asyncio.create_task(slow(first, drip, port)) for first, drip in plans]
        await eventually(lambda: len(opened) == 600)
        began = time.monotonic()
        worst = 0.0
        while server.connection_count:
            sent = time.monotonic()
            assert (await talk(port, LAST)).startswith(b"HTTP/1.1 200")
            worst = max(worst, time.monotonic() - sent)
            await asyncio.sleep(0.02)
        assert time.monotonic() - began < 2.0
        assert worst < 0.7
        assert server.timed_out == 600
        over.set()
        await asyncio.gather(*tasks)


@on_uvloop
async def test_caps_answer_503_and_are_counted():
    async with serving(max_connections_per_address=2) as (server, port):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await eventually(lambda: server.connection_count == 2)
        assert (await talk(port, b"")).startswith(b"HTTP/1.1 503 ")
        assert server.refused_connections == 1
        held[0][1].close()
        await eventually(lambda: server.connection_count == 1)
        assert (await talk(port, LAST)).startswith(b"HTTP/1.1 200 ")
        held[1][1].close()
    async with serving(max_connections=0) as (server, port):
        assert (await talk(port, b"")).startswith(b"HTTP/1.1 503 ")


@on_uvloop
async def test_drain_answers_what_is_in_flight():
    gate = asyncio.Event()

    async def wait(request):
        await gate.wait()
        return Reply(200, [], b"done")

    async with serving(wait) as (server, port):
        call = asyncio.create_task(talk(port, GET))
        await eventually(lambda: server.inflight == 1)
        drained = asyncio.create_task(server.drain(5.0))
        await asyncio.sleep(0)
        gate.set()
        await drained
        assert b"connection: close" in await call


@on_uvloop
async def test_a_shared_socket_goes_on_with_its_other_owner():
    async with serving() as (server, port):
        server.stop_accepting()
        waiting = asyncio.create_task(talk(port, LAST))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        waiting.cancel()


# TLS.


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls"))


@on_uvloop
async def test_tls_serves_http_1_1_without_tickets(certificates):
    ca, cert, key = certificates
    async with serving(tls=server_context(TlsSpec(cert_file=cert, key_file=key))) as (_, port):
        context = trusting(ca)
        context.set_alpn_protocols(["h2", "http/1.1"])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        session = writer.get_extra_info("ssl_object")
        assert session.selected_alpn_protocol() == "http/1.1"
        writer.write(GET + LAST)
        answer = await reader.read(-1)
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert session.session is None or not session.session.has_ticket
        writer.close()


@on_uvloop
async def test_client_certificates_are_required_when_a_ca_is_given(certificates):
    ca, cert, key = certificates
    tls = server_context(TlsSpec(cert_file=cert, key_file=key, client_ca_file=ca))
    async with serving(tls=tls) as (server, port):
        context = trusting(ca)
        answer = b""
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.write(LAST)
            answer = await reader.read(-1)
        assert answer == b""
        await eventually(lambda: server.connection_count == 0)
        context.load_cert_chain(cert, key)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(LAST)
        assert (await reader.read(-1)).startswith(b"HTTP/1.1 200")
        writer.close()


@on_uvloop
async def test_tls_1_1_and_plain_text_are_refused_and_leave_nothing(certificates):
    _, cert, key = certificates
    tls = server_context(TlsSpec(cert_file=cert, key_file=key))
    assert tls.minimum_version == ssl.TLSVersion.TLSv1_2
    async with serving(tls=tls) as (server, port):
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await talk(port, GET)
        assert b"HTTP" not in answer
        await eventually(lambda: server.connection_count == 0)


@on_uvloop
async def test_a_handshake_under_way_counts_against_the_caps(certificates):
    _, cert, key = certificates
    tls = server_context(TlsSpec(cert_file=cert, key_file=key))
    async with serving(tls=tls, max_connections=1) as (server, port):
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        await eventually(lambda: server.connection_count == 1)
        assert await talk(port, b"") == b""
        assert server.refused_connections == 1
        silent.close()
        await eventually(lambda: server.connection_count == 0)
