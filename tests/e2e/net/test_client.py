"""The client against upstreams that misbehave, on real sockets."""

import asyncio
import contextlib
import time

import pytest
from tests.e2e.net.rig import eventually, make_certificates, on_uvloop, read_request, serving, upstream
from tests.scenario.net.rig import echo

from heddle.model.snapshot import TimeoutSpec, TlsSpec
from heddle.net.client import Client, OutboundRequest
from heddle.net.errors import ConnectFailed, UpstreamClosed, UpstreamProtocolError, UpstreamTimeout
from heddle.net.message import Reply
from heddle.net.tls import server_context

TIMES = TimeoutSpec()


def post(body=b"hello", method="POST"):
    return OutboundRequest(method, b"/v1/x", [(b"x-a", b"b")], body)


async def call(client, origin, request=None, timeouts=TIMES, deadline_s=0.0):
    inbound = await client.send(origin, request or post(), timeouts, deadline_s)
    return inbound.status, await inbound.body.read(1 << 24)


@on_uvloop
async def test_connections_are_reused_last_in_first_out():
    async with serving() as (server, port):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}/ignored")
        assert await call(client, origin) == (200, b"/v1/x hello")
        await asyncio.gather(*(call(client, origin) for _ in range(5)))
        await asyncio.gather(*(call(client, origin) for _ in range(5)))
        assert server.connection_count == 5 == origin.connection_count == origin.idle_count
        await client.close()


@on_uvloop
async def test_what_is_sent():
    heads = []

    async def script(reader, writer):
        while True:
            head, _ = await read_request(reader)
            heads.append(head)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with upstream(script) as (port, connections):
        client = Client()
        origin = client.origin(f"http://localhost:{port}")
        fields = [(b"Host", b"evil"), (b"Content-Length", b"99"), (b"connection", b"x"), (b"X-A", b"b")]
        await call(client, origin, OutboundRequest("POST", b"/p?q", fields, b"hi"))
        await call(client, origin, OutboundRequest("GET", b"/", []))
        assert heads == [
            b"POST /p?q HTTP/1.1\r\nx-a: b\r\nhost: localhost:%d\r\ncontent-length: 2\r\n\r\n" % port,
            b"GET / HTTP/1.1\r\nhost: localhost:%d\r\n\r\n" % port,
        ]
        assert len(connections) == 1
        with pytest.raises(ValueError, match="header field"):
            await call(client, origin, OutboundRequest("GET", b"/", [(b"x", b"a\r\nb: c")]))
        await client.close()


@on_uvloop
async def test_a_streamed_request_body_is_chunked():
    async def pieces():
        for piece in (b"one", b"", b"two"):
            yield piece

    async with serving() as (_, port):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}")
        assert await call(client, origin, OutboundRequest("POST", b"/", [], pieces())) == (200, b"/ onetwo")
        assert origin.idle_count == 1
        await client.close()


@on_uvloop
async def test_a_request_body_that_breaks_never_looks_complete():
    async def pieces():
        yield b"one"
        raise RuntimeError("the caller is gone")

    received = b""

    async def script(reader, writer):
        nonlocal received
        received = await reader.read(-1)

    async with upstream(script) as (port, _):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}")
        with pytest.raises(UpstreamClosed):
            await call(client, origin, OutboundRequest("POST", b"/", [], pieces()))
        await eventually(lambda: origin.connection_count == 0)
        assert not received.endswith(b"0\r\n\r\n")
        await client.close()


ANSWERS = {
    "content-length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: x\r\n\r\n",
        b"hello",
        True,
    ),
    "until close": (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello", False),
    "connection: close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
    "HTTP/1.0 kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    "interim answers": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"hello",
        True,
    ),
    "surplus bytes": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n", b"hello", False),
    "surplus after chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nX",
        b"hello",
        False,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b"", True),
    "keep-alive too short to reuse": (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=1\r\nContent-Length: 5\r\n\r\nhello",
        b"hello",
        False,
    ),
}


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(("answer", "body", "kept"), ANSWERS.values(), ids=ANSWERS.keys())
@on_uvloop
async def test_answers_in_every_framing(answer, body, kept, step):
    async def script(reader, writer):
        await read_request(reader)
        for at in range(0, len(answer), step or len(answer)):
            writer.write(answer[at : at + (step or len(answer))])
            if step:
                await asyncio.sleep(0)
        if body and not kept:
            return
        await reader.read(-1)

    async with upstream(script) as (port, _):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}")
        assert (await call(client, origin))[1] == body
        if kept:
            assert origin.idle_count == 1
        else:
            await eventually(lambda: origin.connection_count == 0)
        await client.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
    ],
)
@on_uvloop
async def test_answers_that_are_not_http_are_an_upstream_protocol_error(answer):
    async def script(reader, writer):
        await read_request(reader)
        writer.write(answer)
        await reader.read(-1)

    async with upstream(script) as (port, _):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}")
        with pytest.raises(UpstreamProtocolError):
            await call(client, origin)
        await eventually(lambda: origin.connection_count == 0)
        await client.close()


@on_uvloop
async def test_a_broken_chunk_or_early_end_fails_the_body_after_what_came():
    for tail, error in ((b"zz\r\n", UpstreamProtocolError), (b"", UpstreamClosed)):

        async def script(reader, writer, tail=tail):
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            await asyncio.sleep(0.05)
            writer.write(tail)

        async with upstream(script) as (port, _):
            client = Client()
            inbound = await client.send(client.origin(f"http://127.0.0.1:{port}"), post(), TIMES)
            assert await anext(inbound.body) == b"hello"
            with pytest.raises(error):
                await anext(inbound.body)
            await client.close()


@on_uvloop
async def test_a_chunk_that_is_broken_from_the_start_fails_the_body_not_the_call():
    async def script(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        await reader.read(-1)

    async with upstream(script) as (port, _):
        client = Client()
        inbound = await client.send(client.origin(f"http://127.0.0.1:{port}"), post(), TIMES)
        with pytest.raises(UpstreamProtocolError):
            await inbound.body.read(10)
        await client.close()


@on_uvloop
async def test_connect_failures():
    client = Client()
    async with upstream(read_request) as (port, _):
        pass
    with pytest.raises(ConnectFailed, match="refused"):
        await call(client, client.origin(f"http://127.0.0.1:{port}"))
    with pytest.raises(ConnectFailed):
        await call(client, client.origin("http://nowhere.invalid"))
    await client.close()


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "127.0.0.1:80", "http:///v1"])
def test_bad_base_urls_are_refused_when_the_origin_is_made(url):
    with pytest.raises(ValueError, match="base URL"):
        Client().origin(url)


# Deadlines.


@pytest.mark.parametrize(
    ("first", "timeouts", "phase"),
    [
        (b"", TimeoutSpec(first_byte_s=0.3), "first_byte"),
        (b"HTTP/1.1 200 OK\r\n", TimeoutSpec(first_byte_s=0.3), "first_byte"),
        (b"", TimeoutSpec(first_byte_s=0, total_s=0.3), "total"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", TimeoutSpec(idle_s=0.3), "idle"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", TimeoutSpec(total_s=0.3), "total"),
    ],
)
@on_uvloop
async def test_deadlines_of_an_upstream_that_stalls(first, timeouts, phase):
    async def script(reader, writer):
        await read_request(reader)
        writer.write(first)
        await reader.read(-1)

    async with upstream(script) as (port, _):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}")
        began = time.monotonic()
        with pytest.raises(UpstreamTimeout) as caught:
            await call(client, origin, timeouts=timeouts)
        assert caught.value.phase == phase
        assert 0.25 < time.monotonic() - began < 0.8
        await eventually(lambda: origin.connection_count == 0)
        await client.close()


@on_uvloop
async def test_the_callers_deadline_bounds_the_total():
    async def script(reader, writer):
        await reader.read(-1)

    async with upstream(script) as (port, _):
        client = Client()
        began = time.monotonic()
        with pytest.raises(UpstreamTimeout) as caught:
            await call(client, client.origin(f"http://127.0.0.1:{port}"), deadline_s=began + 0.3)
        assert caught.value.phase == "total"
        assert time.monotonic() - began < 0.8
        await client.close()


@on_uvloop
async def test_a_dripping_answer_is_not_idle_but_has_a_total():
    async def script(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.1)

    async with upstream(script) as (port, _):
        client = Client()
        with pytest.raises(UpstreamTimeout) as caught:
            await call(client, client.origin(f"http://127.0.0.1:{port}"), timeouts=TimeoutSpec(idle_s=0.4, total_s=1.0))
        assert caught.value.phase == "total"
        await client.close()


@on_uvloop
async def test_waiting_for_room_is_in_order_and_within_the_connect_deadline():
    order = []

    async def slow(request):
        order.append(bytes(await request.body.read(100)))
        await asyncio.sleep(0.05)
        return Reply(200, [], b"")

    async with serving(slow) as (server, port):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}", max_connections=1)
        calls = []
        for n in range(4):
            calls.append(asyncio.create_task(call(client, origin, post(b"%d" % n))))
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        late = asyncio.create_task(call(client, origin, post(b"late"), TimeoutSpec(connect_s=0.05)))
        with pytest.raises(UpstreamTimeout) as caught:
            await late
        assert caught.value.phase == "connect"
        await asyncio.gather(*calls)
        assert order == [b"0", b"1", b"2", b"3"]
        assert server.connection_count == 1
        await client.close()


@on_uvloop
async def test_a_waiter_that_leaves_does_not_lose_the_room():
    async with serving() as (_, port):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}", max_connections=1)
        inbound = await client.send(origin, post(), TIMES)
        waiting = [asyncio.create_task(call(client, origin)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await inbound.body.read(100)
        assert await waiting[1] == await waiting[2] == (200, b"/v1/x hello")
        held = asyncio.create_task(client.send(origin, post(), TIMES))
        await held
        assert origin.connection_count == 1
        await client.close()


# Leaving early.


@on_uvloop
async def test_cancelling_the_caller_closes_the_upstream_connection():
    started, gone = asyncio.Event(), asyncio.Event()

    async def script(reader, writer):
        await read_request(reader)
        started.set()
        with contextlib.suppress(ConnectionError):
            assert await reader.read(-1) == b""
        gone.set()

    async with upstream(script) as (port, _):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}")
        task = asyncio.create_task(call(client, origin))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        async with asyncio.timeout(1):
            await gone.wait()
        assert origin.idle_count == 0
        await eventually(lambda: origin.connection_count == 0)
        await client.close()


@pytest.mark.parametrize("how", ["close", "aclose"])
@on_uvloop
async def test_closing_an_answer_early_closes_the_upstream_connection(how):
    gone = asyncio.Event()

    async def script(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
        with contextlib.suppress(ConnectionError):
            await reader.read(-1)
        gone.set()

    async with upstream(script) as (port, _):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}")
        inbound = await client.send(origin, post(), TIMES)
        assert await anext(inbound.body) == b"hello"
        if how == "close":
            inbound.close()
        else:
            await inbound.body.aclose()
        async with asyncio.timeout(1):
            await gone.wait()
        await eventually(lambda: origin.connection_count == 0)
        inbound.close()
        await client.close()


@on_uvloop
async def test_an_answer_nobody_reads_stops_the_upstream():
    sent = 0

    async def script(reader, writer):
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    async with upstream(script) as (port, _):
        client = Client()
        inbound = await client.send(client.origin(f"http://127.0.0.1:{port}"), post(), TimeoutSpec(idle_s=0.3))
        await asyncio.sleep(0.8)
        stopped_at = sent
        assert stopped_at < 30_000_000
        async with asyncio.timeout(5):
            while sent <= stopped_at:
                assert await anext(inbound.body)
        inbound.close()
        await client.close()


# Stale connections.


def closing_after_one(counts):
    """An upstream that answers one request per connection and then closes it without saying so."""

    async def script(reader, writer):
        counts.append(await read_request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return script


@on_uvloop
async def test_a_connection_the_upstream_closed_is_not_used_again():
    counts = []
    async with upstream(closing_after_one(counts)) as (port, connections):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}")
        for _ in range(3):
            assert await call(client, origin) == (200, b"ok")
            await eventually(lambda: origin.connection_count == 0)
        assert len(connections) == len(counts) == 3
        await client.close()


@pytest.mark.parametrize(("method", "repeated"), [("GET", True), ("PUT", True), ("POST", False)])
@on_uvloop
async def test_only_what_may_be_repeated_is_repeated_when_a_pooled_connection_dies(method, repeated):
    """The upstream reads the second request and closes without an answer: it may have acted on it."""
    seen = []

    async def script(reader, writer):
        seen.append(await read_request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        seen.append(await read_request(reader))

    async with upstream(script) as (port, connections):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}")
        await call(client, origin)
        if repeated:
            assert await call(client, origin, post(method=method)) == (200, b"ok")
            assert (len(seen), len(connections)) == (3, 2)
        else:
            with pytest.raises(UpstreamClosed) as caught:
                await call(client, origin, post(method=method))
            assert caught.value.sent
            assert (len(seen), len(connections)) == (2, 1)
        await client.close()


@on_uvloop
async def test_a_fresh_connection_that_dies_is_never_retried():
    async def script(reader, writer):
        await read_request(reader)

    async with upstream(script) as (port, connections):
        client = Client()
        with pytest.raises(UpstreamClosed):
            await call(client, client.origin(f"http://127.0.0.1:{port}"), post(method="GET"))
        assert len(connections) == 1
        await client.close()


@on_uvloop
async def test_an_answer_nobody_asked_for_closes_the_idle_connection():
    async def script(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await reader.read(-1)

    async with upstream(script) as (port, _):
        client = Client()
        origin = client.origin(f"http://127.0.0.1:{port}")
        assert await call(client, origin) == (200, b"ok")
        assert origin.idle_count == 1
        await eventually(lambda: origin.connection_count == 0)
        assert await call(client, origin) == (200, b"ok")
        await client.close()


@on_uvloop
async def test_idle_connections_expire():
    now = time.monotonic()
    clock = [now]
    async with serving() as (_, port):
        client = Client(clock=lambda: clock[0])
        origin = client.origin(f"http://127.0.0.1:{port}")
        await call(client, origin)
        clock[0] += 54
        client.sweep()
        assert origin.idle_count == 1
        clock[0] += 2
        client.sweep()
        await eventually(lambda: origin.connection_count == 0)
        await client.close()


# TLS and proxies.


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls"))


@on_uvloop
async def test_tls_is_verified(certificates):
    ca, cert, key = certificates
    async with serving(tls=server_context(TlsSpec(cert_file=cert, key_file=key))) as (_, port):
        client = Client()
        trusted = client.origin(f"https://localhost:{port}", ca_file=ca)
        assert await call(client, trusted) == (200, b"/v1/x hello")
        assert await call(client, trusted) == (200, b"/v1/x hello")
        assert trusted.idle_count == 1
        with pytest.raises(ConnectFailed, match="TLS"):
            await call(client, client.origin(f"https://localhost:{port}"))
        await client.close()


@on_uvloop
async def test_tls_names_must_match(certificates):
    ca, cert, key = certificates
    async with serving(tls=server_context(TlsSpec(cert_file=cert, key_file=key))) as (_, port):
        client = Client()
        origin = client.origin(f"https://127.0.0.2:{port}", ca_file=ca, proxy="")
        with pytest.raises(ConnectFailed):
            await call(client, origin)
        await client.close()


async def relay(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@on_uvloop
async def test_https_through_a_proxy_is_tunnelled(certificates):
    ca, cert, key = certificates
    asked = []

    async def proxy(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        host, port = asked[-1].split(b" ")[1].split(b":")
        inner = await asyncio.open_connection(host.decode(), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(relay(reader, inner[1]), relay(inner[0], writer), return_exceptions=True)

    tls = server_context(TlsSpec(cert_file=cert, key_file=key))
    async with serving(tls=tls) as (_, port), upstream(proxy) as (proxy_port, connections):
        client = Client()
        origin = client.origin(
            f"https://localhost:{port}", ca_file=ca, proxy=f"http://user:pa%20ss@127.0.0.1:{proxy_port}"
        )
        for _ in range(2):
            assert await call(client, origin) == (200, b"/v1/x hello")
        assert asked == [
            b"CONNECT localhost:%d HTTP/1.1\r\nhost: localhost:%d\r\n"
            b"proxy-authorization: Basic dXNlcjpwYSBzcw==\r\n\r\n" % (port, port)
        ]
        assert "pa" not in repr(origin.proxy).replace("Proxy", "")
        assert len(connections) == 1
        await client.close()
        await eventually(lambda: origin.connection_count == 0)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"nonsense\r\n\r\n", b""])
@on_uvloop
async def test_a_proxy_that_refuses_is_a_connect_failure(answer):
    async def proxy(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with upstream(proxy) as (proxy_port, _):
        client = Client()
        origin = client.origin("https://upstream.test", proxy=f"http://127.0.0.1:{proxy_port}")
        with pytest.raises(ConnectFailed):
            await call(client, origin)
        assert origin.connection_count == 0
        await client.close()


@on_uvloop
async def test_http_through_a_proxy_is_in_absolute_form():
    asked = []

    async def proxy(reader, writer):
        asked.append((await read_request(reader))[0])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with upstream(proxy) as (proxy_port, _):
        client = Client()
        origin = client.origin("http://upstream.test", proxy=f"http://u:p@127.0.0.1:{proxy_port}")
        assert await call(client, origin) == (200, b"ok")
        assert asked[0].startswith(b"POST http://upstream.test/v1/x HTTP/1.1\r\n")
        assert b"host: upstream.test\r\nproxy-authorization: Basic dTpw\r\n" in asked[0]
        await client.close()


# Both engines together.


@on_uvloop
async def test_a_stream_passes_through_both_engines_and_is_cancelled_through_both():
    produced, stopped = 0, asyncio.Event()

    async def source(request):
        async def pieces():
            nonlocal produced
            try:
                while True:
                    produced += 1
                    yield b"event %d\n" % produced
                    await asyncio.sleep(0.005)
            finally:
                stopped.set()

        return Reply(200, [], pieces())

    client = Client()

    async def forward(request):
        inbound = await client.send(origin, post(await request.body.read(100)), TIMES)
        return Reply(inbound.status, inbound.headers, inbound.body)

    async with serving(source) as (_, source_port), serving(forward) as (_, port):
        origin = client.origin(f"http://127.0.0.1:{source_port}")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await reader.readuntil(b"event 3\n")
        writer.close()
        async with asyncio.timeout(2):
            await stopped.wait()
        await client.close()


@on_uvloop
async def test_a_thousand_calls_through_both_engines():
    client = Client()

    async def forward(request):
        inbound = await client.send(origin, post(await request.body.read(100)), TIMES)
        return Reply(inbound.status, inbound.headers, await inbound.body.read(1000))

    async with serving(echo) as (_, echo_port), serving(forward) as (server, port):
        origin = client.origin(f"http://127.0.0.1:{echo_port}", max_connections=8)
        outer = Client()
        front = outer.origin(f"http://127.0.0.1:{port}", max_connections=32)
        results = await asyncio.gather(*(call(outer, front, post(b"%d" % n)) for n in range(1000)))
        assert results == [(200, b"/v1/x %d" % n) for n in range(1000)]
        assert origin.connection_count <= 8
        assert server.connection_count <= 32
        await outer.close()
        await client.close()
