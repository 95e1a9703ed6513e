"""Forms are read one way, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.wire.errors import ProtocolError
from heddle.wire.multipart import MAX_HEAD_BYTES, MAX_PARTS, boundary_of, read_form, replace_part

GOOD = (
    b'--X\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--X\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\".wav"\r\nContent-Type: audio/wav\r\n\r\n'
    b"\x00\r\n-X\r\n--Y\r\n--X--"
)


def test_a_form():
    model, file = read_form(GOOD, b"X")
    assert (model.name, model.filename, GOOD[model.start : model.end]) == ("model", None, b"whisper-1")
    assert (file.name, file.filename, GOOD[file.start : file.end]) == ("file", 'a "b".wav', b"\x00\r\n-X\r\n--Y")
    assert read_form(GOOD + b"\r\n", b"X") == [model, file]


def test_a_part_is_replaced_and_nothing_else():
    model, _ = read_form(GOOD, b"X")
    assert replace_part(GOOD, model, b"m") == GOOD.replace(b"whisper-1", b"m")


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'Multipart/Form-Data; charset=utf-8; Boundary="a b:c"', b"a b:c"),
        (b"multipart/form-data;boundary=----WebKit1", b"----WebKit1"),
    ],
)
def test_boundaries(content_type, boundary):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"multipart/form-data",
        b"multipart/mixed; boundary=a",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=a; boundary=b",
        b'multipart/form-data; boundary="a\\"b"',
        b"multipart/form-data; boundary=" + b"a" * 71,
        b'multipart/form-data; boundary="a "',
        b"multipart/form-data; boundary=\xff",
    ],
)
def test_boundaries_that_are_none(content_type):
    with pytest.raises(ProtocolError) as caught:
        boundary_of(content_type)
    assert caught.value.param == "content-type"


def form(*heads, content=b"x"):
    return b"".join([b"--X\r\n%b\r\n\r\n%b\r\n" % (head, content) for head in heads]) + b"--X--"


NAMED = b'Content-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--X--",
        b"preamble\r\n" + GOOD,
        b"\r\n" + GOOD,
        GOOD + b"epilogue",
        GOOD[:-2],
        GOOD[:-4] + b"X2\r\n",
        GOOD.replace(b"\r\n", b"\n"),
        GOOD.replace(b"\r\n--Y", b"\r\n--XY"),
        GOOD.replace(b"--X--", b"--X --"),
        form(b""),
        form(b"Content-Type: text/plain"),
        form(NAMED + b"\r\n" + NAMED),
        form(NAMED + b"\r\n folded"),
        form(NAMED + b"\nX: y"),
        form(NAMED + b"\r\nContent-Transfer-Encoding: base64"),
        form(NAMED + b'; name="b"'),
        form(b'Content-Disposition: form-data; name=""'),
        form(b"Content-Disposition: form-data; name*=utf-8''a"),
        form(b'Content-Disposition: form-data; name="a'),
        form(b'Content-Disposition: attachment; name="a"'),
        form(b'Content-Disposition: form-data; name="\xff"'),
        form(b'Content-Disposition: form-data; name="' + b"a" * 257 + b'"'),
        form(NAMED + b"\r\nX: " + b"y" * MAX_HEAD_BYTES),
        form(*[NAMED] * (MAX_PARTS + 1)),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(body):
    with pytest.raises(ProtocolError):
        read_form(body, b"X")


def test_as_many_parts_as_there_may_be():
    assert len(read_form(form(*[NAMED] * MAX_PARTS), b"X")) == MAX_PARTS


@given(st.lists(st.tuples(st.text("abc_[]", min_size=1, max_size=8), st.binary(max_size=60)), min_size=1, max_size=6))
def test_what_is_written_is_read_back(fields):
    boundary = b"b0undary"
    body = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name.encode(), content)
        for name, content in fields
        if b"\r\n--" + boundary not in content
    )
    parts = read_form(body + b"--" + boundary + b"--\r\n", boundary)
    assert [(part.name, body[part.start : part.end]) for part in parts] == fields


@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.integers(0, 20))
def test_garbage_is_refused_and_never_a_crash(noise, at, cut):
    body = GOOD[:at] + noise + GOOD[at + cut :]
    try:
        parts = read_form(body, b"X")
    except ProtocolError:
        return
    assert all(0 <= part.start <= part.end <= len(body) for part in parts)
