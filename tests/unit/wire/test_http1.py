"""The rules of heads, as pure functions. The wire-level list is in tests/scenario/net/test_smuggling.py."""

import httptools
import pytest

from heddle.net.head import RequestHeadReader, ResponseHeadReader
from heddle.wire.http1 import (
    CHUNKED,
    UNTIL_CLOSE,
    ProtocolError,
    check_request_head,
    check_response_head,
    connection_options,
    content_length,
    split_target,
)
from heddle.wire.http1_heads import encode_request_head, encode_response_head

HOST = (b"Host", b"a.example")


def check(*fields, method=b"POST", target=b"/", version=b"HTTP/1.1"):
    return check_request_head(method, target, version, [HOST, *fields])


def refusal(*fields, **line):
    with pytest.raises(ProtocolError) as caught:
        check(*fields, **line)
    return caught.value.status


def test_hop_by_hop_fields_and_those_named_by_connection_go():
    head = check(
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"TE", b"trailers"),
        (b"Trailer", b"X"),
        (b"Proxy-Authorization", b"Basic x"),
        (b"proxy-CONNECTION", b"keep-alive"),
        (b"X-End", b"2"),
    )
    assert head.fields == [(b"host", b"a.example"), (b"x-end", b"2")]
    assert head.keep_alive is False


def test_framing():
    assert check().length == 0
    assert check((b"Content-Length", b"7")).length == 7
    assert check((b"Transfer-Encoding", b"Chunked")).length == CHUNKED
    assert refusal((b"Transfer-Encoding", b"gzip")) == 501
    assert refusal((b"Transfer-Encoding", b"xchunked")) == 400


def test_expectation():
    assert check((b"Expect", b"100-Continue"), (b"Content-Length", b"1")).expects_continue
    assert not check((b"Expect", b"100-continue")).expects_continue
    old = check((b"Expect", b"100-continue"), (b"Content-Length", b"1"), version=b"HTTP/1.0")
    assert not old.expects_continue
    assert refusal((b"Expect", b"x")) == 417
    assert refusal((b"Expect", b"100-continue"), (b"Expect", b"100-continue")) == 400


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ({"method": b"BREW"}, 501),
        ({"method": b"G=T"}, 400),
        ({"method": b"CONNECT"}, 405),
        ({"version": b"HTTP/3.0"}, 505),
        ({"version": b"HTTP/1.x"}, 400),
        ({"target": b"*"}, 405),
        ({"target": b"/a b"}, 400),
        ({"target": b""}, 400),
    ],
)
def test_request_line_refusals(line, status):
    assert refusal(**line) == status


def test_header_count_and_names():
    assert refusal(*[(b"X", b"y")] * 100) == 431
    assert len(check(*[(b"X", b"y")] * 99).fields) == 100
    for name in (b"", b"a b", b"a:", b"a_b", b"\xe4", b"a\r\n"):
        assert refusal((name, b"v")) == 400


@pytest.mark.parametrize("host", [b"a", b"a.b:80", b"127.0.0.1:8080", b"[::1]:8080", b"[::1]", b"a-b.c", b"a:"])
def test_valid_hosts(host):
    assert split_target(b"/x", host) == ("/x", "")


@pytest.mark.parametrize(
    "host", [b"", b"a/b", b"a b", b"[::1", b"::1", b"a:b", b"a:123456", b"a?b", b"a\tb", b"x" * 300]
)
def test_invalid_hosts(host):
    with pytest.raises(ProtocolError):
        split_target(b"/x", host)


def test_absolute_form():
    assert split_target(b"HTTP://A.example?x=y", b"a.EXAMPLE") == ("/", "x=y")
    assert split_target(b"https://a:8443/p/q?r", b"a:8443") == ("/p/q", "r")
    for target in (b"http://b/", b"http://a:80/", b"http:///x", b"ftp://a/", b"http://a\\@b/", b"a"):
        with pytest.raises(ProtocolError):
            split_target(target, b"a")


def test_content_length_is_canonical():
    assert content_length(b"0") == 0
    for value in (b"", b"00", b"01", b" 1", b"1 ", b"+1", b"1,1", b"1e1", b"9" * 16, "\u0661".encode()):
        with pytest.raises(ProtocolError):
            content_length(value)


def test_connection_options():
    assert connection_options(b"keep-alive") == (True, frozenset())
    assert connection_options(b"Close") == (False, frozenset())
    assert connection_options(b"keep-alive, close") == (False, frozenset())
    assert connection_options(b" , X-A,, x-a") == (None, frozenset({b"x-a"}))
    with pytest.raises(ProtocolError):
        connection_options(b"a b")


def response(*fields, method="POST", status=200, version=b"HTTP/1.1"):
    return check_response_head(method, status, version, list(fields))


def test_response_framing():
    assert response().length == UNTIL_CLOSE
    assert response((b"Content-Length", b"3")).length == 3
    assert response((b"Transfer-Encoding", b"chunked")).length == CHUNKED
    assert response((b"Content-Length", b"3"), method="HEAD").length == 0
    assert response((b"Content-Length", b"3"), status=304).length == 0
    assert response(status=204).length == 0


@pytest.mark.parametrize(
    "fields",
    [
        [(b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")],
        [(b"Content-Length", b"3"), (b"Content-Length", b"4")],
        [(b"Content-Length", b"3"), (b"Content-Length", b"3")],
        [(b"Content-Length", b"-3")],
        [(b"Transfer-Encoding", b"gzip, chunked")],
        [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
    ],
)
def test_conflicting_framing_of_an_answer_is_an_error(fields):
    with pytest.raises(ProtocolError):
        response(*fields)
    with pytest.raises(ProtocolError):
        response(*fields, method="HEAD")


def test_response_connection():
    head = response((b"Connection", b"keep-alive, X-Hop"), (b"Keep-Alive", b"timeout=5, max=9"), (b"X-Hop", b"1"))
    assert (head.keep_alive, head.keep_alive_s, head.fields) == (True, 5, [])
    assert response((b"Connection", b"close")).keep_alive is False
    assert response(version=b"HTTP/1.0").keep_alive is False
    with pytest.raises(ProtocolError):
        response((b"Transfer-Encoding", b"chunked"), version=b"HTTP/1.0")
    with pytest.raises(ProtocolError):
        response(version=b"HTTP/2.0")


def test_encoding_of_heads():
    assert encode_response_head(200, [(b"x-a", b"b"), (b"Content-Length", b"9")], b"f: 1\r\n") == (
        b"HTTP/1.1 200 OK\r\nx-a: b\r\nf: 1\r\n\r\n"
    )
    assert encode_response_head(599, [], b"").startswith(b"HTTP/1.1 599 \r\n")
    fields = [(b"Host", b"evil"), (b"host", b"evil"), (b"X-B", b"c"), (b"Connection", b"x"), (b"te", b"trailers")]
    assert encode_request_head(b"POST", b"/x?y", fields, b"host: h\r\n") == (
        b"POST /x?y HTTP/1.1\r\nx-b: c\r\nhost: h\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"x", b"a\r\nb: c"), (b"x", b"\n"), (b"x", b"\r"), (b"x", b"\0"), (b"x\r\ny", b"z"), (b"x y", b"z"), (b"", b"z")],
)
def test_encoders_refuse_splitting(name, value):
    with pytest.raises(ValueError, match="header field"):
        encode_response_head(200, [(name, value)], b"")
    with pytest.raises(ValueError, match="header field"):
        encode_request_head(b"GET", b"/", [(name, value)], b"")


@pytest.mark.parametrize("target", [b"", b"/a b", b"/a\r\nX: y", b"/ HTTP/1.1\r\n\r\n"])
def test_encoders_refuse_split_targets(target):
    with pytest.raises(ValueError, match=r"target|header field"):
        encode_request_head(b"GET", target, [], b"")


def test_no_control_byte_is_accepted_anywhere_in_a_head():
    """What `check_head_bytes` leaves to the tokeniser it does refuse: every byte, at every place."""
    head = b"POST /path HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n\r\n"
    expected = RequestHeadReader().read(head)
    for at in range(len(head)):
        for value in (*range(32), 127):
            changed = head[:at] + bytes([value]) + head[at + 1 :]
            inserted = head[:at] + bytes([value]) + head[at:]
            for mutant in {changed, inserted} - {head}:
                try:
                    read = RequestHeadReader().read(mutant)
                except ProtocolError:
                    continue
                assert value == 9, (at, value)
                assert (read.path, [name for name, _ in read.fields]) == (
                    expected.path,
                    [name for name, _ in expected.fields],
                )


@pytest.mark.parametrize("fold", [b"\r\n ", b"\r\n\t", b"\r\n \r\n "])
def test_folded_lines_are_refused_in_both_directions(fold):
    with pytest.raises(ProtocolError):
        RequestHeadReader().read(b"GET / HTTP/1.1\r\nHost: a\r\nX: b%bc\r\n\r\n" % fold)
    with pytest.raises(ProtocolError):
        ResponseHeadReader().read(b"HTTP/1.1 200 OK\r\nX: b%bc\r\n\r\n" % fold, "GET")


def test_a_reader_is_ready_for_the_next_head_after_any_body():
    reader = RequestHeadReader()
    post = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
    for told in (True, False, True):
        assert reader.read(post).length == 4
        if told:
            reader.skip(b"body")
    assert reader.read(b"GET /b HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").path == "/b"
    assert reader.read(b"GET /c HTTP/1.1\r\nHost: a\r\n\r\n").path == "/c"


def test_the_tokeniser_runs_in_strict_mode():
    with pytest.raises(httptools.HttpParserError):
        httptools.HttpRequestParser(RequestHeadReader()).feed_data(b"GET / HTTP/1.1\nHost: a\r\n\r\n")
