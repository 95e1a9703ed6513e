"""The life of a server connection, bytes in and bytes out, on a clock that the test moves."""

import asyncio
import logging

import pytest
from tests.scenario.net.rig import Rig, echo, settle

from heddle.net.errors import BodyTooLarge, PeerGone
from heddle.net.message import Reply

GET = b"GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def head_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[0]


async def test_an_answer_is_one_write_with_date_and_length():
    rig = Rig()
    transport = rig.connect()
    await rig.say(transport, POST)
    assert transport.writes == [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: Fri, 15 Jan 2027 08:00:00 GMT\r\n"
        b"content-length: 8\r\n\r\n/p hello"
    ]
    assert not transport.closed
    assert (rig.seen[0].method, rig.seen[0].peer.address) == ("POST", "192.0.2.7")


async def test_path_and_query_are_split_and_fields_lowered():
    rig = Rig()
    transport = rig.connect()
    await rig.say(transport, b"GET /a%20b?c=d?e HTTP/1.1\r\nHost: h\r\nX-Thing:  two  words \r\n\r\n")
    request = rig.seen[0]
    assert (request.path, request.query) == ("/a%20b", "c=d?e")
    assert request.headers == [(b"host", b"h"), (b"x-thing", b"two  words")]


async def test_pipelined_requests_are_answered_in_order_one_at_a_time():
    gates = [asyncio.Event() for _ in range(3)]

    async def wait_for_turn(request):
        await gates[int(request.path[1:])].wait()
        return Reply(200, [], request.path.encode())

    rig = Rig(wait_for_turn)
    transport = rig.connect()
    await rig.say(transport, b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(3)))
    gates[2].set()
    gates[1].set()
    await settle()
    assert transport.written == b""
    assert len(rig.seen) == 1
    gates[0].set()
    await settle()
    assert [part[-2:] for part in transport.writes] == [b"/0", b"/1", b"/2"]


async def test_a_caller_that_pipelines_without_end_is_not_read_further():
    gate = asyncio.Event()

    async def wait(request):
        await gate.wait()
        return Reply(204, [])

    rig = Rig(wait)
    transport = rig.connect()
    await rig.say(transport, GET * 600)
    assert not transport.reading
    gate.set()
    for _ in range(60):
        await settle()
    assert transport.reading
    assert len(rig.seen) == 600


async def test_no_answer_is_made_for_a_caller_that_does_not_read():
    rig = Rig(write_timeout_s=5)
    transport = rig.connect()
    transport.protocol.pause_writing()
    await rig.say(transport, GET * 3)
    assert len(rig.seen) == 1
    transport.protocol.resume_writing()
    await settle()
    assert len(rig.seen) == 3


async def test_connection_close_is_obeyed_and_announced():
    rig = Rig()
    transport = rig.connect()
    await rig.say(transport, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert b"\r\nconnection: close\r\n" in transport.written
    assert transport.closed


@pytest.mark.parametrize(("field", "kept"), [(b"", False), (b"Connection: keep-alive\r\n", True)])
async def test_http_1_0_closes_unless_asked(field, kept):
    rig = Rig()
    transport = rig.connect()
    await rig.say(transport, b"GET / HTTP/1.0\r\nHost: h\r\n%b\r\n" % field)
    assert (b"connection: keep-alive" in transport.written) is kept
    assert transport.closed is not kept


async def test_head_announces_the_length_but_sends_no_body():
    rig = Rig()
    transport = rig.connect()
    await rig.say(transport, b"HEAD /p HTTP/1.1\r\nHost: h\r\n\r\n" + GET)
    first, second = transport.writes
    assert first.endswith(b"content-length: 3\r\n\r\n")
    assert second.endswith(b"\r\n\r\n/a ")


async def test_continue_is_sent_when_the_body_is_wanted_and_only_then():
    async def refuse(request):
        return Reply(401, [])

    ask = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    rig = Rig()
    transport = rig.connect()
    await rig.say(transport, ask)
    assert transport.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    await rig.say(transport, b"hi")
    assert transport.take().endswith(b"/ hi")
    rig = Rig(refuse)
    transport = rig.connect()
    await rig.say(transport, ask)
    assert transport.written.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in transport.written


async def test_a_streamed_answer_is_one_write_per_piece():
    async def stream(request):
        async def pieces():
            yield b"one"
            yield b""
            yield b"twotwo"

        return Reply(200, [], pieces())

    rig = Rig(stream)
    transport = rig.connect()
    await rig.say(transport, GET)
    assert b"\r\ntransfer-encoding: chunked\r\n" in transport.writes[0]
    assert transport.writes[1:] == [b"3\r\none\r\n", b"6\r\ntwotwo\r\n", b"0\r\n\r\n"]
    assert not transport.closed


class Source:
    """An iterator that counts how often it was asked, and knows whether it was closed."""

    def __init__(self, fail_after=10**9):
        self.asked = 0
        self.closed = False
        self.fail_after = fail_after

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked > self.fail_after:
            raise RuntimeError("secret detail")
        return b"x"

    async def aclose(self):
        self.closed = True


async def test_a_slow_reader_stops_the_source_and_is_cut_off():
    source = Source()

    async def stream(request):
        return Reply(200, [], source)

    rig = Rig(stream, write_timeout_s=5)
    transport = rig.connect()
    await rig.say(transport, GET)
    transport.protocol.pause_writing()
    await settle()
    asked = source.asked
    await settle()
    assert source.asked == asked
    await rig.pass_time(4.9)
    assert not transport.closed
    await rig.pass_time(0.2)
    assert transport.aborted
    assert source.closed


async def test_a_stream_that_fails_is_cut_without_its_last_chunk(caplog):
    source = Source(fail_after=2)

    async def stream(request):
        return Reply(200, [], source)

    rig = Rig(stream)
    transport = rig.connect()
    with caplog.at_level(logging.ERROR, "heddle.net"):
        await rig.say(transport, GET)
    assert transport.written.endswith(b"1\r\nx\r\n1\r\nx\r\n")
    assert transport.closed
    assert source.closed
    assert "an answer was cut" in caplog.text


async def test_a_stream_to_http_1_0_ends_with_the_connection_and_is_reset_when_it_fails():
    source = Source(fail_after=1)

    async def stream(request):
        return Reply(200, [], source)

    rig = Rig(stream)
    transport = rig.connect()
    await rig.say(transport, b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
    assert b"chunked" not in transport.written
    assert b"connection: close" in transport.written
    assert transport.closed


async def test_head_of_a_stream_closes_the_iterator_unread():
    source = Source()

    async def stream(request):
        return Reply(200, [], source)

    rig = Rig(stream)
    transport = rig.connect()
    await rig.say(transport, b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert source.asked == 0
    assert source.closed
    assert not transport.closed


async def test_a_caller_that_goes_cancels_the_handler_and_the_stream():
    cancelled = []

    async def wait(request):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(request.path)
            raise

    rig = Rig(wait)
    transport = rig.connect()
    await rig.say(transport, POST)
    assert rig.server.inflight == 1
    transport.abort()
    await settle()
    assert cancelled == ["/p"]
    assert rig.server.inflight == rig.server.connection_count == 0

    source = Source()

    async def stream(request):
        return Reply(200, [], source)

    rig = Rig(stream)
    transport = rig.connect()
    await rig.say(transport, GET)
    transport.abort()
    await settle()
    assert source.closed


async def test_half_close_still_gets_its_answer():
    gate = asyncio.Event()

    async def wait(request):
        await gate.wait()
        return Reply(200, [], b"late")

    rig = Rig(wait)
    transport = rig.connect()
    await rig.say(transport, GET)
    assert transport.protocol.eof_received() is True
    gate.set()
    await settle()
    assert transport.written.endswith(b"\r\n\r\nlate")
    assert transport.closed


async def test_half_close_of_a_waiting_call_is_probed_once():
    async def wait(request):
        await asyncio.Event().wait()

    rig = Rig(wait)
    transport = rig.connect()
    transport.get_extra_info = lambda name, default=None: SocketWithError(0) if name == "socket" else None
    await rig.say(transport, GET)
    assert transport.protocol.eof_received() is True
    await rig.pass_time(0.25)
    await rig.pass_time(0.25)
    assert transport.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert rig.server.inflight == 1
    transport.get_extra_info = lambda name, default=None: SocketWithError(32) if name == "socket" else None
    await rig.pass_time(0.25)
    assert transport.aborted
    assert rig.server.inflight == 0


class SocketWithError:
    def __init__(self, error):
        self.error = error

    def getsockopt(self, level, option):
        return self.error


async def test_an_answer_made_in_the_turn_of_the_eof_is_not_lost():
    async def quick(request):
        return Reply(200, [], b"at once")

    rig = Rig(quick)
    transport = rig.connect()
    transport.protocol.data_received(GET)
    if not transport.protocol.eof_received():
        transport.close()
    await settle()
    assert transport.written.endswith(b"at once")


async def test_eof_between_requests_or_inside_one_closes():
    rig = Rig()
    transport = rig.connect()
    assert transport.protocol.eof_received() is False
    failures = []

    async def read(request):
        try:
            return await echo(request)
        except PeerGone as error:
            failures.append(error)
            raise

    rig = Rig(read)
    transport = rig.connect()
    await rig.say(transport, POST[:-1])
    assert transport.protocol.eof_received() is False
    transport.close()
    await settle()
    assert len(failures) == 1
    assert transport.written == b""


async def test_tls_has_no_half_close():
    async def wait(request):
        await asyncio.Event().wait()

    rig = Rig(wait)
    transport = rig.connect(tls=True)
    await rig.say(transport, GET)
    assert rig.seen[0].peer.tls
    assert transport.protocol.eof_received() is False
    transport.abort()
    await settle()


# Limits and deadlines.


async def test_a_slow_head_is_answered_408_and_closed():
    rig = Rig(head_timeout_s=10)
    transport = rig.connect()
    await rig.say(transport, GET[:10])
    for _ in range(9):
        await rig.pass_time(1.0)
        await rig.say(transport, b"x")
    assert not transport.closed
    await rig.pass_time(1.3)
    assert transport.written.startswith(b"HTTP/1.1 408 ")
    assert transport.closed
    assert rig.server.timed_out == 1


async def test_a_silent_connection_is_closed_without_a_word():
    rig = Rig(head_timeout_s=10, idle_timeout_s=3)
    transport = rig.connect()
    await rig.pass_time(10.1)
    assert transport.closed
    assert transport.written == b""
    transport = rig.connect()
    await rig.say(transport, GET)
    transport.take()
    await rig.pass_time(2.9)
    assert not transport.closed
    await rig.pass_time(0.2)
    assert transport.closed
    assert transport.written == b""


async def test_an_idle_caller_that_never_read_its_answer_is_reset():
    rig = Rig(idle_timeout_s=3)
    transport = rig.connect()
    await rig.say(transport, GET)
    transport.unsent = 100
    await rig.pass_time(3.1)
    assert transport.aborted


async def test_a_slow_body_is_answered_408_and_closed():
    rig = Rig(body_timeout_s=10)
    transport = rig.connect()
    await rig.say(transport, POST[:-3])
    await rig.pass_time(9.9)
    await rig.say(transport, b"l")
    assert not transport.closed
    await rig.pass_time(0.2)
    assert transport.written.startswith(b"HTTP/1.1 408 ")
    assert transport.closed


async def test_time_spent_not_reading_is_not_the_callers():
    gate = asyncio.Event()

    async def late(request):
        await gate.wait()
        return await echo(request)

    rig = Rig(late, body_timeout_s=10)
    transport = rig.connect()
    await rig.say(transport, b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + b"x" * 70_000)
    assert not transport.reading
    await rig.pass_time(60)
    assert not transport.closed
    gate.set()
    await settle()
    assert transport.reading
    await rig.pass_time(9.9)
    assert not transport.closed
    await rig.pass_time(0.2)
    assert transport.written.startswith(b"HTTP/1.1 408 ")


async def test_a_declared_body_over_the_limit_is_refused_unread():
    rig = Rig(max_body_bytes=1000)
    transport = rig.connect()
    await rig.say(transport, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
    assert transport.written.startswith(b"HTTP/1.1 413 ")
    assert rig.seen == []


async def test_a_chunked_body_over_the_limit_fails_the_reader():
    seen = []

    async def read(request):
        try:
            return await echo(request)
        except BodyTooLarge as error:
            seen.append(error.max_bytes)
            raise

    rig = Rig(read, max_body_bytes=1000)
    transport = rig.connect()
    await rig.say(transport, CHUNKED + b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    assert transport.written == b""
    await rig.say(transport, b"1\r\nx\r\n")
    assert seen == [1000]
    assert transport.written.startswith(b"HTTP/1.1 413 ")
    await rig.pass_time(1)
    assert transport.closed


async def test_an_answer_before_the_body_closes_after_a_moment():
    async def refuse(request):
        return Reply(401, [], b"no")

    rig = Rig(refuse)
    transport = rig.connect()
    await rig.say(transport, POST[:-2])
    assert b"connection: close" in transport.written
    assert transport.eof_written
    assert not transport.closed
    await rig.say(transport, b"lo" + GET)
    assert len(rig.seen) == 1
    await rig.pass_time(0.6)
    assert transport.closed


async def test_lingering_ends_early_for_a_caller_that_keeps_sending():
    rig = Rig()
    transport = rig.connect()
    await rig.say(transport, b"BAD\r\n\r\n")
    for _ in range(5):
        await rig.say(transport, b"x" * 60_000)
    assert transport.aborted


async def test_unread_bodies_do_not_grow_memory():
    async def never(request):
        await asyncio.Event().wait()

    rig = Rig(never)
    transport = rig.connect()
    await rig.say(transport, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
    sent = 0
    while transport.reading:
        await rig.say(transport, b"x" * 8192)
        sent += 8192
    assert sent <= 80_000
    transport.abort()
    await settle()


# Failures inside.


async def test_a_failing_handler_is_500_and_tells_nothing(caplog):
    async def fail(request):
        raise KeyError("sk-secret")

    rig = Rig(fail)
    transport = rig.connect()
    with caplog.at_level(logging.ERROR, "heddle.net"):
        await rig.say(transport, POST + GET)
    assert transport.written.count(b"HTTP/1.1 500 ") == 2
    assert b"sk-secret" not in transport.written
    assert b"hello" not in caplog.text.encode()


@pytest.mark.parametrize(
    "field", [(b"x-a", b"b\r\nset-cookie: c"), (b"x-a", b"b\n"), (b"x-a", b"\0"), (b"x a", b"b"), (b"x:", b"b")]
)
async def test_a_reply_that_would_split_is_replaced(field, caplog):
    async def split(request):
        return Reply(200, [field], b"body")

    rig = Rig(split)
    transport = rig.connect()
    with caplog.at_level(logging.ERROR, "heddle.net"):
        await rig.say(transport, GET)
    assert head_of(transport.written).startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in transport.written
    assert transport.closed


async def test_framing_of_a_reply_is_ours():
    async def forwarded(request):
        return Reply(200, [(b"content-length", b"999"), (b"transfer-encoding", b"chunked"), (b"date", b"x")], b"ok")

    rig = Rig(forwarded)
    transport = rig.connect()
    await rig.say(transport, GET)
    assert transport.written.count(b"content-length: 2\r\n") == 1
    assert b"999" not in transport.written
    assert b"chunked" not in transport.written


async def test_no_content_has_neither_body_nor_length():
    async def nothing(request):
        return Reply(204, [], b"ignored")

    rig = Rig(nothing)
    transport = rig.connect()
    await rig.say(transport, GET)
    assert b"content-length" not in transport.written
    assert transport.written.endswith(b"GMT\r\n\r\n")


async def test_drain_finishes_calls_and_closes_the_idle():
    gate = asyncio.Event()

    async def wait(request):
        await gate.wait()
        return Reply(200, [], b"done")

    rig = Rig(wait)
    idle, busy = rig.connect(), rig.connect()
    await rig.say(busy, GET)
    drained = asyncio.create_task(rig.server.drain(5.0))
    await settle()
    assert idle.closed
    assert not drained.done()
    gate.set()
    await drained
    assert b"connection: close" in busy.written
    assert busy.closed


async def test_drain_gives_up_at_its_deadline():
    async def never(request):
        await asyncio.Event().wait()

    rig = Rig(never)
    transport = rig.connect()
    await rig.say(transport, GET)
    await rig.server.drain(0.0)
    assert transport.aborted
    assert rig.server.connection_count == 0
