"""Answers: what a model gets to see of each, and nothing that a client would choke on."""

import base64

import msgspec
import pytest
from tests.unit.wire.openapi.documents import answering, operation

from heddle.wire.openapi.answer import MAX_ERROR_CHARS, read_answer

PLAIN = operation()
PROMISING = operation(responses=answering({"type": "object", "properties": {"a": {"type": "integer"}}}))
JSON = "application/json"


def text(*said):
    return [{"type": "text", "text": one} for one in said]


@pytest.mark.parametrize(
    "content_type", [JSON, "application/json; charset=utf-8", "application/hal+json", "", "Text/JSON"]
)
def test_objects(content_type):
    body = b' {"a": 1,\n "b": ["\xc3\xa9", null]}'
    expected = {"content": text(body.decode()), "structuredContent": {"a": 1, "b": ["é", None]}, "isError": False}
    for one in (PLAIN, PROMISING):
        assert read_answer(one, 200, content_type, body) == expected


@pytest.mark.parametrize("body", [b"[1, 2]", b"1", b'"a"', b"null", b"[]", b'{"a": 1, "a": 2}', b"{", b'{"a": NaN}'])
def test_other_json_is_text(body):
    assert read_answer(PLAIN, 200, JSON, body) == {"content": text(body.decode()), "isError": False}


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (200, JSON, b"[1]"),
        (200, JSON, b'{"a": 1, "a": 2}'),
        (204, "", b""),
        (200, "text/html", b"<p>"),
        (200, "image/png", b"\x89"),
    ],
)
def test_a_promise_that_is_not_kept(status, content_type, body):
    """Clients refuse a result without the object, so it must be an error, and say that the call may have worked."""
    result = read_answer(PROMISING, status, content_type, body)
    assert result["isError"] is True
    assert "structuredContent" not in result
    assert result["content"][0]["text"].startswith(f"HTTP {status} ")
    assert "promises" in result["content"][0]["text"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 123456789012345678901234567890}',
        b'{"a": 1e999}',
        b'{"a": [-1E+400]}',
        b'{"a": [{"b": -9223372036854775809}]}',
    ],
)
def test_numbers_that_would_not_survive(body):
    assert read_answer(PLAIN, 200, JSON, body) == {"content": text(body.decode()), "isError": False}


def test_numbers_that_do():
    body = b'{"a": 18446744073709551615, "b": "12345678901234567890123", "c": 1e100, "d": -9223372036854775808}'
    result = read_answer(PLAIN, 200, JSON, body)
    assert result["structuredContent"] == {"a": 2**64 - 1, "b": "12345678901234567890123", "c": 1e100, "d": -(2**63)}
    msgspec.json.encode(result)


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("text/plain", b"a\xc3\xa9", "aé"),
        ("text/plain; charset=ISO-8859-1", b"a\xe9", "aé"),
        ('text/plain; charset="windows-1252"', b"\x80", "€"),
        ("text/plain; charset=utf-16", "é".encode("utf-16"), "é"),
        ("text/plain; charset=zlib_codec", b"a", "a"),
        ("text/plain", b"\xff\xfe", "\ufffd\ufffd"),
        ("application/xml", b"<a/>", "<a/>"),
        ("image/svg+xml", b"<svg/>", "<svg/>"),
        ("application/x-ndjson", b'{"a":1}\n{"a":2}', '{"a":1}\n{"a":2}'),
        ("", b"hello", "hello"),
        ("not a type", b"hello", "hello"),
    ],
)
def test_text(content_type, body, expected):
    assert read_answer(PLAIN, 200, content_type, body) == {"content": text(expected), "isError": False}


@pytest.mark.parametrize("kind", ["image/png", "audio/ogg", "IMAGE/PNG; q=1"])
def test_pictures_and_sound(kind):
    result = read_answer(PLAIN, 200, kind, b"\x00\x01")
    name = kind.lower().partition(";")[0]
    assert result["content"] == [{"type": name.split("/")[0], "data": "AAE=", "mimeType": name}]


@pytest.mark.parametrize(
    ("content_type", "named"),
    [
        ("application/pdf", "application/pdf"),
        ("", "application/octet-stream"),
        ("a/b\r\nc", "application/octet-stream"),
    ],
)
def test_other_bytes(content_type, named):
    [block] = read_answer(PLAIN, 200, content_type, b"\x00\xff")["content"]
    resource = {"uri": "openapi:///op/answer", "mimeType": named, "blob": base64.b64encode(b"\x00\xff").decode()}
    assert block == {"type": "resource", "resource": resource}


@pytest.mark.parametrize(("status", "said"), [(204, "HTTP 204 No Content"), (200, "HTTP 200 OK"), (299, "HTTP 299")])
def test_nothing(status, said):
    assert read_answer(PLAIN, status, "", b"") == {"content": text(said), "isError": False}


@pytest.mark.parametrize("one", [PLAIN, PROMISING])
@pytest.mark.parametrize(
    ("status", "content_type", "body", "said"),
    [
        (404, JSON, b'{"error": "none"}', 'HTTP 404 Not Found\n\n{"error": "none"}'),
        (500, "", b"", "HTTP 500 Internal Server Error"),
        (302, "text/html", b"moved", "HTTP 302 Found\n\nmoved"),
        (599, "text/plain", b"\xff", "HTTP 599\n\n\ufffd"),
        (0, "text/plain", b"x", "HTTP 0\n\nx"),
        (400, "image/png", b"\x00\x01", "HTTP 400 Bad Request\n\n(2 bytes of image/png)"),
        (400, "", b"\x00", "HTTP 400 Bad Request\n\n(1 bytes of unknown content)"),
    ],
)
def test_errors(one, status, content_type, body, said):
    assert read_answer(one, status, content_type, body) == {"content": text(said), "isError": True}


@pytest.mark.parametrize("letter", ["a", "é", "\U0001f600"])
def test_errors_are_clipped(letter):
    [block] = read_answer(PLAIN, 500, "text/plain", (letter * 50_000).encode())["content"]
    assert block["text"] == f"HTTP 500 Internal Server Error\n\n{letter * MAX_ERROR_CHARS}… (clipped)"


def test_where_more_is():
    headers = [(b"link", b'<https://a/?page=2>; rel="next"'), (b"Link", b"<b>; rel=last"), (b"set-cookie", b"sid=1")]
    result = read_answer(PLAIN, 200, JSON, b"{}", headers)
    assert result["_meta"] == {"link": '<https://a/?page=2>; rel="next", <b>; rel=last'}
    for value in (b"a\x00b", b"a" * 5_000, b""):
        assert "_meta" not in read_answer(PLAIN, 200, JSON, b"{}", [(b"link", value)])
    assert read_answer(PLAIN, 404, JSON, b"{}", headers)["_meta"] == result["_meta"]
