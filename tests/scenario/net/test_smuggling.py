"""Published request-smuggling and desynchronisation payloads: refused, or framed as the RFC says."""

import pytest
from tests.scenario.net.rig import Rig

HOST = b"Host: a.example\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
GET = b"GET / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n"

REFUSED = {
    # Both framings, in every order and spelling (RFC 9112 6.3).
    "CL.TE": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "TE.CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + SMUGGLED + b"\r\n0\r\n\r\n",
    "CL.TE lower case": POST + b"content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG",
    "CL zero and TE": POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # Transfer-Encoding that some readers do not recognise.
    "TE xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE chunked, chunked": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "TE ,chunked": POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "TE chunked,": POST + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
    "TE identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "TE gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "TE chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "TE then identity line": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "TE cow then chunked": POST + b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE empty": POST + b"Transfer-Encoding:\r\n\r\n",
    "TE quoted": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "TE vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "TE form feed": POST + b"Transfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n",
    "TE NUL": POST + b"Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n",
    "TE parameters": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "TE non-breaking space": POST + b"Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n",
    "TE on HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE space before colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "TE tab before colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "TE trailing white space": POST + b"Transfer-Encoding: chunked \t\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "TE leading space": POST + b" Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE underscore": POST + b"Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE folded": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "TE hidden behind bare LF": POST + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE hidden behind bare CR": POST + b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # Content-Length that some readers repair.
    "CL negative": POST + b"Content-Length: -1\r\n\r\n",
    "CL plus": POST + b"Content-Length: +5\r\n\r\nhello",
    "CL hex": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "CL octal": POST + b"Content-Length: 05\r\n\r\nhello",
    "CL float": POST + b"Content-Length: 5.0\r\n\r\nhello",
    "CL underscore": POST + b"Content-Length: 1_0\r\n\r\nhello",
    "CL list": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "CL twice the same": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "CL twice different": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "CL twice by case": POST + b"Content-Length: 5\r\ncontent-length: 0\r\n\r\nhello",
    "CL empty": POST + b"Content-Length:\r\n\r\n",
    "CL inner space": POST + b"Content-Length: 1 2\r\n\r\nhello",
    "CL overflow": POST + b"Content-Length: 18446744073709551617\r\n\r\nh",
    "CL arabic digits": POST + "Content-Length: \u0665\r\n\r\nhello".encode(),
    "CL exponent": POST + b"Content-Length: 1e1\r\n\r\nhello",
    "CL space before colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "CL named by Connection": POST + b"Connection: content-length\r\nContent-Length: 5\r\n\r\nhello",
    # Line ends and folding.
    "bare LF line ends": b"GET / HTTP/1.1\nHost: a\n\n",
    "LF after request line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "LF LF head end": b"GET / HTTP/1.1\r\nHost: a\n\n",
    "bare CR in value": GET + b"X: a\rb\r\n\r\n",
    "CR CR LF": GET + b"X: a\r\r\n\r\n",
    "folded value": GET + b"X: a\r\n b\r\n\r\n",
    "folded with tab": GET + b"X: a\r\n\tb\r\n\r\n",
    "space before first field": b"GET / HTTP/1.1\r\n X: y\r\n" + HOST + b"\r\n",
    "NUL in value": GET + b"X: a\x00b\r\n\r\n",
    "NUL in name": GET + b"X\x00: a\r\n\r\n",
    "DEL in value": GET + b"X: a\x7f\r\n\r\n",
    "line without colon": GET + b"just text\r\n\r\n",
    "empty name": GET + b": value\r\n\r\n",
    "name with slash": GET + b"X/Y: z\r\n\r\n",
    "name with quotes": GET + b'"X": z\r\n\r\n',
    "two empty lines first": b"\r\n\r\n" + GET + b"\r\n",
    # Who the request is for.
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "no Host on HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "Host twice": GET + b"Host: b.example\r\n\r\n",
    "Host twice the same": GET + HOST + b"\r\n",
    "Host list": b"GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n",
    "Host with userinfo": b"GET / HTTP/1.1\r\nHost: a@b.example\r\n\r\n",
    "Host with path": b"GET / HTTP/1.1\r\nHost: a.example/x\r\n\r\n",
    "Host empty": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "Host bad port": b"GET / HTTP/1.1\r\nHost: a.example:80x\r\n\r\n",
    "Host with space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "Host space before colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "absolute-form for another host": b"GET http://b.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute-form with userinfo": b"GET http://u@a.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute-form of another scheme": b"GET file://a.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority-form": b"GET a.example:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT a.example:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    # The request line.
    "two spaces": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "tab as space": b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "trailing space": b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n",
    "leading space": b" GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n",
    "backslash": b"GET /a\\b HTTP/1.1\r\n" + HOST + b"\r\n",
    "non-ASCII target": b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in target": b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "relative target": b"GET a HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2.0 line": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/01.1": b"GET / HTTP/01.1\r\n" + HOST + b"\r\n",
    "HTTP/1.10": b"GET / HTTP/1.10\r\n" + HOST + b"\r\n",
    "lower-case version": b"GET / http/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "RTSP method": b"DESCRIBE / HTTP/1.1\r\n" + HOST + b"\r\n",
    "lower-case method": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    # Fields that tell somebody else what to believe.
    "authorization twice": GET + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    "content-type twice": GET + b"Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n",
    "Connection names authorization": GET + b"Connection: authorization\r\nAuthorization: Bearer a\r\n\r\n",
    "Connection names host": GET + b"Connection: close, Host\r\n\r\n",
    "Connection names x-forwarded-for": GET + b"Connection: X-Forwarded-For\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    "Connection is not a list of tokens": GET + b"Connection: a b\r\n\r\n",
    "underscore in name": GET + b"X_Forwarded_For: 1.2.3.4\r\n\r\n",
    "unknown expectation": POST + b"Content-Length: 5\r\nExpect: 200-ok\r\n\r\n",
    # Bounds.
    "101 fields": GET + b"X: y\r\n" * 100 + b"\r\n",
    "long target": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "long head": GET + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
    "long head without an end": GET + b"X: " + b"a" * 70_000,
    "long target without an end": b"GET /" + b"a" * 9000,
    # Chunked bodies.
    "chunk size 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunk size plus": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "chunk size minus": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "chunk size underscore": CHUNKED + b"0_5\r\nhello\r\n0\r\n\r\n",
    "chunk size overflow 64": CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk size empty": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "chunk size leading space": CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n",
    "chunk size trailing space": CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    "chunk size not hex": CHUNKED + b"5g\r\nhello\r\n0\r\n\r\n",
    "chunk line ends in LF": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "chunk data ends in LF": CHUNKED + b"5\r\nhello\n0\r\n\r\n",
    "chunk data ends in nothing": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "chunk longer than it says": CHUNKED + b"3\r\nhello\r\n0\r\n\r\n",
    "chunk extension with LF (CVE-2024-27316 kind)": CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "chunk extension with CR": CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "chunk extension flood": CHUNKED + (b"1;" + b"a" * 2000 + b"\r\nx\r\n") * 12 + b"0\r\n\r\n",
    "chunk extension too long": CHUNKED + b"1;" + b"a" * 5000 + b"\r\nx\r\n0\r\n\r\n",
    "last chunk ends in LF": CHUNKED + b"5\r\nhello\r\n0\n\r\n",
    "trailer without colon": CHUNKED + b"5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
    "trailer folded": CHUNKED + b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
    "trailer flood": CHUNKED + b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 4000 + b"\r\n",
}


@pytest.mark.parametrize("payload", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("step", [0, 1], ids=["at once", "byte by byte"])
async def test_refused_and_closed(payload, step):
    """One answer, an error; the connection says it closes, and nothing after the refusal is served."""
    rig = Rig()
    transport = rig.connect()
    if step and len(payload) > 3000:
        step = 997
    for at in range(0, len(payload), step or len(payload)):
        await rig.say(transport, payload[at : at + (step or len(payload))])
    await rig.say(transport, SMUGGLED)
    await rig.pass_time(1.0)
    written = transport.written
    assert written.count(b"connection: close\r\n") == written.count(b"\r\n\r\n") == 1
    assert written[9:10] in b"45"
    assert transport.closed
    assert all(request.path != "/admin" for request in rig.seen)


FRAMED = {
    "TE in capitals": (POST + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "CL with white space around": (POST + b"Content-Length:\t 5 \r\n\r\nhello", b"hello"),
    "CL on GET": (GET + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "no framing on POST": (POST + b"\r\n", b""),
    "chunk size with leading zeros": (CHUNKED + b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    "chunk extension": (CHUNKED + b"5;name=value\r\nhello\r\n0;x\r\n\r\n", b"hello"),
    "chunk size in capitals": (CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nAuthorization: Bearer x\r\nX: y\r\n\r\n", b"hello"),
    "h2c upgrade with a body": (
        POST
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
        + b"Content-Length: 5\r\n\r\nhello",
        b"hello",
    ),
    "websocket upgrade": (GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b""),
    "absolute-form for this host": (
        b"POST http://A.example/ HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nhi",
        b"hi",
    ),
    "one empty line first": (b"\r\n" + POST + b"Content-Length: 2\r\n\r\nhi", b"hi"),
    "Expect": (POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
}


@pytest.mark.parametrize(("payload", "body"), FRAMED.values(), ids=FRAMED.keys())
@pytest.mark.parametrize("step", [0, 1], ids=["at once", "byte by byte"])
async def test_framed_as_the_rfc_says(payload, body, step):
    """The body is what it should be, and the next request starts where it should."""
    rig = Rig()
    transport = rig.connect()
    both = payload + b"GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n"
    for at in range(0, len(both), step or len(both)):
        await rig.say(transport, both[at : at + (step or len(both))])
    answers = transport.written.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"").split(b"HTTP/1.1 200 OK\r\n")
    assert len(answers) == 3
    assert answers[1].endswith(b"\r\n\r\n/ " + body)
    assert answers[2].endswith(b"\r\n\r\n/next ")
    names = {name for name, _ in rig.seen[0].headers}
    assert not names & {b"transfer-encoding", b"content-length", b"upgrade", b"connection", b"authorization", b"x"}


def test_the_list_is_as_long_as_promised():
    assert len(REFUSED) + len(FRAMED) >= 120
