"""Bad input through a socket: each kind gets its status and an error in OpenAI's form; 5,000 at random do no harm."""

import gzip
import json
import socket
import zlib

import pytest
from tests.e2e.running import CONFIG, running_mesh
from tests.proofs import fuzz
from tests.proofs.answers import check_error, statuses
from tests.proofs.inputs import request

MAX_BODY = 200_000
CHAT = '"messages": [{"role": "user", "content": "hi"}]'
GOOD = b'{"model": "gpt-4o-mini", %b}' % CHAT.encode()
TEXT = CONFIG.replace("protocol: HTTP}}", f"protocol: HTTP, limits: {{{{max_body_bytes: {MAX_BODY}}}}}}}}}")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    with running_mesh(tmp_path_factory.mktemp("bad"), TEXT) as mesh:
        yield mesh
        assert fuzz.trouble(mesh) == []
        assert mesh.running()["restarts"] == 0


def ask(mesh, data: bytes) -> tuple[int, dict[str, object]]:
    """Send bytes on a connection of their own; status and error of the one answer."""
    answer = mesh.raw(data, eof=True)
    (status,) = statuses(answer)
    body = answer.partition(b"\r\n\r\n")[2]
    return status, check_error(status, body) if status >= 400 else json.loads(body)


def with_fields(body: bytes, **fields: str) -> bytes:
    """A good request, but for some fields; an empty value leaves one out."""
    lines = request(body).partition(b"\r\n\r\n")[0].decode().split("\r\n")
    changed = {name.replace("_", "-"): value for name, value in fields.items()}
    kept = [line for line in lines if line.partition(":")[0] not in changed]
    kept += [f"{name}: {value}" for name, value in changed.items() if value]
    return "\r\n".join(kept).encode() + b"\r\n\r\n" + body


NOT_JSON = {
    "text": b"hello",
    "empty": b"",
    "blank": b" \n ",
    "cut short": GOOD[:-5],
    "two documents": GOOD + GOOD,
    "trailing comma": b'{"model": "gpt-4o-mini",}',
    "single quotes": b"{'model': 'gpt-4o-mini'}",
    "a comment": b"/* hi */" + GOOD,
    "a byte-order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "NUL after it": GOOD + b"\x00",
    "NUL in a string": GOOD.replace(b"hi", b"h\x00i"),
    "a line break in a string": GOOD.replace(b"hi", b"h\ni"),
    "bad UTF-8": GOOD.replace(b"hi", b"h\xffi"),
    "overlong UTF-8": GOOD.replace(b"hi", b"\xc0\xaf"),
    "a surrogate in UTF-8": GOOD.replace(b"hi", b"\xed\xa0\x80"),
    "a lone surrogate": GOOD.replace(b"hi", b"\\ud800"),
    "surrogates the wrong way round": GOOD.replace(b"hi", b"\\udc00\\ud800"),
    "NaN": GOOD[:-1] + b', "temperature": NaN}',
    "Infinity": GOOD[:-1] + b', "temperature": -Infinity}',
    "a leading zero": GOOD[:-1] + b', "n": 01}',
    "a duplicate key": b'{"model": "gpt-4o-mini", ' + GOOD[1:],
    "a duplicate key, escaped": b'{"mod\\u0065l": "gpt-4o-mini", ' + GOOD[1:],
    "a duplicate key below": GOOD.replace(b'"role": "user"', b'"role": "user", "role": "system"'),
    "a duplicate key far below": GOOD[:-1] + b', "x": {"a": [{"b": {"c": 1, "c": 2}}]}}',
    "deep arrays": GOOD[:-1] + b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "deep objects": GOOD[:-1] + b', "x": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
    "deep and never closed": b"[" * 100_000,
    "a number of 50,000 digits": GOOD[:-1] + b', "seed": ' + b"9" * 50_000 + b"}",
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json(mesh, body):
    status, error = ask(mesh, request(body))
    assert (status, error["code"], error["type"]) == (400, "invalid_json", "invalid_request_error")


def test_the_place_of_a_mistake_is_named_and_its_content_is_not(mesh):
    _, error = ask(mesh, request(b'{"model": "m",\n "sesame": 1, "sesame": 2}'))
    assert "line 2" in str(error["message"])
    assert "sesame" not in str(error["message"])


WRONG_TYPES = {
    "an array": (b"[]", None),
    "an array of good ones": (b"[" + GOOD + b"]", None),
    "text": (b'"gpt-4o-mini"', None),
    "null": (b"null", None),
    "a number": (b"1", None),
    "no model": (b"{%b}" % CHAT.encode(), "model"),
    "a model that is a number": (GOOD.replace(b'"gpt-4o-mini"', b"5"), "model"),
    "a model that is null": (GOOD.replace(b'"gpt-4o-mini"', b"null"), "model"),
    "a model that is a list": (GOOD.replace(b'"gpt-4o-mini"', b'["gpt-4o-mini"]'), "model"),
    "no messages": (b'{"model": "gpt-4o-mini"}', "messages"),
    "messages that are text": (b'{"model": "gpt-4o-mini", "messages": "hi"}', "messages"),
    "no message": (b'{"model": "gpt-4o-mini", "messages": []}', "messages"),
    "a message that is text": (b'{"model": "gpt-4o-mini", "messages": ["hi"]}', "messages[0]"),
    "a model without a name": (GOOD.replace(b"gpt-4o-mini", b""), "model"),
    "a model that is a pattern": (GOOD.replace(b"gpt-4o-mini", b"gpt-*"), "model"),
    "a model with NUL": (GOOD.replace(b"gpt-4o-mini", b"\\u0000"), "model"),
    "stream that is text": (GOOD[:-1] + b', "stream": "yes"}', "stream"),
    "max_tokens that is text": (GOOD[:-1] + b', "max_tokens": "10"}', "max_tokens"),
    "max_tokens beyond 64 bits": (GOOD[:-1] + b', "max_tokens": 99999999999999999999}', "max_tokens"),
    "max_tokens with a fraction": (GOOD[:-1] + b', "max_tokens": 1.5}', "max_tokens"),
    "max_tokens below nothing": (GOOD[:-1] + b', "max_tokens": -1}', "max_tokens"),
    "n below one": (GOOD[:-1] + b', "n": 0}', "n"),
    "n beyond reason": (GOOD[:-1] + b', "n": 1000000}', "n"),
    "stream_options that is text": (GOOD[:-1] + b', "stream": true, "stream_options": "x"}', "stream_options"),
}


@pytest.mark.parametrize(("body", "param"), WRONG_TYPES.values(), ids=WRONG_TYPES.keys())
def test_wrong_types(mesh, body, param):
    status, error = ask(mesh, request(body))
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b'{"model": "text-embedding-3-small"}', 400, "input"),
        (b'{"model": "text-embedding-3-small", "input": {}}', 400, "input"),
        (b'{"model": "text-embedding-3-small", "input": "x", "dimensions": "8"}', 400, "dimensions"),
        (b'{"model": "nope", "input": "x"}', 404, "model"),
    ],
)
def test_embeddings(mesh, body, status, param):
    found, error = ask(mesh, request(body, target=b"/v1/embeddings"))
    assert (found, error["param"]) == (status, param)


@pytest.mark.parametrize("name", ["nope", "gpt-4o-mini ", "GPT-4O-MINI", "claude", "gpt-4o-mini/x", "../gpt-4o-mini"])
def test_an_unknown_model(mesh, name):
    status, error = ask(mesh, request(GOOD.replace(b"gpt-4o-mini", name.encode())))
    assert (status, error["code"], error["param"]) == (404, "model_not_found", "model")


def test_huge_numbers_where_any_number_may_be(mesh):
    for number in (b"1e999", b"-1e-999", b"0." + b"1" * 4000, b"123456789012345678901234567890"):
        assert ask(mesh, request(GOOD[:-1] + b', "seed": ' + number + b"}"))[0] == 200


WRONG_MEDIA = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "",
               "application/jsonp", "application/json, text/plain"]  # fmt: skip


@pytest.mark.parametrize("declared", WRONG_MEDIA)
def test_a_wrong_content_type(mesh, declared):
    status, error = ask(mesh, with_fields(GOOD, content_type=declared))
    assert (status, error["param"]) == (415, "content-type")


@pytest.mark.parametrize(
    "declared", ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"]
)
def test_a_right_content_type(mesh, declared):
    assert ask(mesh, with_fields(GOOD, content_type=declared))[0] == 200


@pytest.mark.parametrize(
    ("method", "target", "status", "allow"),
    [
        ("GET", "/v1/chat/completions", 405, "POST"),
        ("DELETE", "/v1/chat/completions", 405, "POST"),
        ("PUT", "/v1/embeddings", 405, "POST"),
        ("POST", "/v1/models", 405, "GET"),
        ("GET", "/", 404, None),
        ("POST", "/v1/chat/completions/", 404, None),
        ("POST", "/v1/Chat/Completions", 404, None),
        ("POST", "/V1/chat/completions", 404, None),
        ("GET", "/v1/models/nope", 404, None),
        ("GET", "/v1/models/%00", 404, None),
        ("GET", "/v1/models/..%2f..%2fadmin", 404, None),
        ("POST", "/v1//chat/completions", 404, None),
        ("POST", "/v1/chat", 404, None),
        ("GET", "/metrics", 404, None),
        ("GET", "/config", 404, None),
    ],
)
def test_methods_and_paths(mesh, method, target, status, allow):
    data = request(b"").replace(b"POST /v1/chat/completions", f"{method} {target}".encode(), 1)
    answer = mesh.raw(data, eof=True)
    assert statuses(answer) == [status]
    sent = [line for line in answer.decode().lower().split("\r\n") if line.startswith("allow:")]
    assert sent == ([f"allow: {allow.lower()}"] if allow else [])


def test_without_a_key(mesh):
    for fields in ({"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Bearer wrong"}):
        status, error = ask(mesh, with_fields(b"not json", **fields))
        assert (status, error["code"]) == (401, "invalid_api_key"), "before its body is even looked at"


def test_an_oversized_body(mesh):
    body = GOOD[:-1] + b', "x": "' + b"a" * MAX_BODY + b'"}'
    status, error = ask(mesh, request(body))
    assert (status, error["code"]) == (413, "request_too_large")
    head = request(b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    chunks = b"".join(b"%x\r\n" % 10_000 + b"a" * 10_000 + b"\r\n" for _ in range(30))
    assert ask(mesh, head + chunks + b"0\r\n\r\n")[0] == 413
    # Announced only: refused without waiting for it.
    head = request(b"").replace(b"content-length: 0", b"content-length: 99999999999")
    with socket.create_connection(("127.0.0.1", mesh.port), timeout=5) as sock:
        sock.sendall(head)
        assert sock.recv(65536).startswith(b"HTTP/1.1 413 ")


def squeeze(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = gzip.compress(data)
    return data


def test_a_body_that_is_compressed(mesh):
    assert ask(mesh, with_fields(gzip.compress(GOOD), content_encoding="gzip"))[0] == 200
    assert ask(mesh, with_fields(zlib.compress(GOOD), content_encoding="deflate"))[0] == 200
    assert ask(mesh, with_fields(GOOD, content_encoding="identity"))[0] == 200


BOMBS = {
    "a gigabyte of nothing": (squeeze(b"\0" * 100_000_000, 1), "gzip", 413),
    "compressed twice": (squeeze(b"\0" * 100_000_000, 2), "gzip, gzip", 413),
    "just over the limit": (gzip.compress(b" " * MAX_BODY + GOOD), "gzip", 413),
    "cut short": (gzip.compress(GOOD)[:-4], "gzip", 400),
    "not compressed at all": (GOOD, "gzip", 400),
    "something behind it": (gzip.compress(GOOD) + b"junk", "gzip", 400),
    "an encoding nobody knows": (GOOD, "zq", 415),
    "one it does not take": (GOOD, "br", 415),
    "a hundred times": (GOOD, ", ".join(["gzip"] * 100), 415),
}


@pytest.mark.parametrize(("body", "encoding", "status"), BOMBS.values(), ids=BOMBS.keys())
def test_a_body_that_is_a_bomb(mesh, body, encoding, status):
    found, _ = ask(mesh, with_fields(body, content_encoding=encoding))
    assert found in ({status, 415} if "," in encoding else {status})


HTTP = {
    "no host": (request(GOOD).replace(b"host: localhost\r\n", b""), 400),
    "two hosts": (request(GOOD).replace(b"host: localhost\r\n", b"host: localhost\r\nhost: localhost\r\n"), 400),
    "another host": (request(GOOD).replace(b"localhost", b"evil.example"), 421),
    "two lengths": (request(GOOD, fields=(b"content-length: 1",)), 400),
    "length and chunks": (request(GOOD, fields=(b"transfer-encoding: chunked",)), 400),
    "a signed length": (request(GOOD).replace(b"content-length: ", b"content-length: +"), 400),
    "a space before the colon": (request(GOOD).replace(b"host:", b"host :"), 400),
    "a folded line": (request(GOOD).replace(b"host: localhost", b"host:\r\n localhost"), 400),
    "a bare line feed": (request(GOOD).replace(b"\r\ncontent-type", b"\ncontent-type"), 400),
    "NUL in a field": (request(GOOD, fields=(b"x: \x00",)), 400),
    "HTTP/2.0": (request(GOOD).replace(b"HTTP/1.1", b"HTTP/2.0"), 505),
    "a preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 60 + b"\r\n\r\n", 400),
    "another coding": (request(b"").replace(b"content-length: 0", b"transfer-encoding: gzip"), 501),
    "a long target": (request(GOOD, target=b"/" + b"a" * 9000), 414),
    "a large head": (request(GOOD, fields=(b"x: " + b"a" * 70_000,)), 431),
    "many fields": (request(GOOD, fields=(b"x: 1",) * 150), 431),
    "an expectation": (request(GOOD, fields=(b"expect: the-unexpected",)), 417),
    "a chunk size that is none": (
        request(b"").replace(b"content-length: 0", b"transfer-encoding: chunked") + b"xyz\r\n", 400),
}  # fmt: skip


@pytest.mark.parametrize(("data", "status"), HTTP.values(), ids=HTTP.keys())
def test_broken_http(mesh, data, status):
    found, error = ask(mesh, data)
    assert found == status
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")


def test_a_connection_is_not_reused_after_an_answer_it_cannot_trust(mesh):
    smuggled = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"
    answer = mesh.raw(request(GOOD, fields=(b"transfer-encoding: chunked",)) + smuggled)
    assert statuses(answer) == [400]


def test_a_refused_request_does_not_spoil_the_next(mesh):
    bad, good = request(b"{}"), request(GOOD)
    last = request(GOOD, fields=(b"connection: close",))
    assert statuses(mesh.raw(bad + good + bad + last)) == [400, 200, 400, 200]


def test_five_thousand_at_random(tmp_path):
    with running_mesh(tmp_path, fuzz.TEXT, workers=2) as mesh:
        workers = mesh.running()["workers"]
        findings, _ = fuzz.attack(mesh, 5_000, parts=1)
        assert findings.wrong == []
        assert findings.inputs == 5_000
        assert fuzz.trouble(mesh) == []
        assert mesh.running()["workers"] == workers
        # The inputs reach everything: neither all refused nor all the same.
        assert {200, 400, 401, 404, 405, 408, 414, 415, 417, 421, 431, 501, 505} <= set(findings.answers)
        assert findings.answers[200] > 500
