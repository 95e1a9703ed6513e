"""Documents on which JSON readers are known to differ: refused, with a place and without contents."""

import json

import msgspec
import pytest

from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict

REFUSED = {
    "empty": b"",
    "space": b" ",
    "duplicate": b'{"secret-a":1,"secret-a":2}',
    "duplicate nested": b'{"x":[{"b":1,"b":2}]}',
    "duplicate deep": b'{"a":' * 100 + b'{"k":1,"k":1}' + b"}" * 100,
    "duplicate by escape": b'{"\\u0061":1,"a":2}',
    "duplicate empty key": b'{"":1,"":2}',
    "duplicate model": b'{"model":"a","messages":[],"mod\\u0065l":"b"}',
    "lone high surrogate": b'"\\ud800"',
    "lone low surrogate": b'"\\udc00"',
    "swapped surrogates": b'"\\udc00\\ud800"',
    "high surrogate and letter": b'"\\ud83d\\u0041"',
    "surrogate as UTF-8": b'"\xed\xa0\x80"',
    "byte-order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-16 without mark": '{"a":1}'.encode("utf-16-le"),
    "UTF-32": '{"a":1}'.encode("utf-32"),
    "NUL in string": b'"\x00"',
    "NUL after": b"{}\x00",
    "NUL in object": b"{\x00}",
    "control in string": b'"\x1f"',
    "line end in string": b'"a\nb"',
    "tab in string": b'"a\tb"',
    "invalid UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\x80"',
    "beyond Unicode": b'"\xf4\x90\x80\x80"',
    "cut UTF-8": b'"\xe2\x82"',
    "invalid UTF-8 in key": b'{"\xff":1}',
    "bad escape": b'"\\x41"',
    "bad unicode escape": b'"\\u12g4"',
    "cut escape": b'"\\',
    "cut string": b'"abc',
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "NaN inside": b'{"temperature":NaN}',
    "leading zero": b"01",
    "minus leading zero": b"-01",
    "plus": b"+1",
    "bare minus": b"-",
    "point without digits": b"1.",
    "leading point": b".5",
    "exponent without digits": b"1e",
    "hexadecimal": b"0x10",
    "underscore": b"1_000",
    "huge integer": b"1" * 5000,
    "integer of a million digits": b"1" * 1_000_000,
    "trailing comma in array": b"[1,]",
    "trailing comma in object": b'{"a":1,}',
    "only comma": b"[,]",
    "missing comma": b"[1 2]",
    "missing colon": b'{"a" 1}',
    "missing value": b'{"a":}',
    "key without quotes": b"{a:1}",
    "single quotes": b"{'a':1}",
    "number as key": b"{1:2}",
    "null as key": b"{null:1}",
    "line comment": b"//c\n{}",
    "block comment": b"/**/{}",
    "two documents": b"{} {}",
    "trailing word": b"{}x",
    "trailing bracket": b"[]]",
    "cut array": b"[",
    "cut object": b"{",
    "only closing": b"]",
    "mixed brackets": b'[{"a":1]}',
    "Python literals": b"[True]",
    "cut literal": b"tru",
    "vertical tab": b"\x0b{}",
    "no-break space": b"\xc2\xa0{}",
    "form feed": b"\x0c{}",
    "JSON lines": b'{"a":1}\n{"a":2}',
    "array 100,000 deep": b"[" * 100_000,
    "object 100,000 deep": b'{"a":' * 100_000,
    "array 202 deep": b"[" * 202 + b"]" * 202,
}

ACCEPTED = {
    "scalar": b"1",
    "white space": b' \t\r\n{"a" : [ 1 , 2 ] } \n',
    "pair of surrogates": b'"\\ud83d\\ude00"',
    "escaped NUL": b'"\\u0000"',
    "delete": b'"\x7f"',
    "slash": b'"\\/"',
    "minus zero": b"-0",
    "zero exponent": b"0e1",
    "large integer": b"9" * 4000,
    "array 200 deep": b"[" * 200 + b"]" * 200,
    "same key apart": b'[{"a":1},{"a":2}]',
    "noncharacter": '"\ufffe"'.encode(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    with pytest.raises(ProtocolError) as caught:
        parse_strict(REFUSED[name])
    assert caught.value.malformed
    assert "not valid JSON" in caught.value.detail


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_as_the_standard_library_reads_it(name):
    assert parse_strict(ACCEPTED[name]) == json.loads(ACCEPTED[name])


def test_a_large_exponent_is_grammatical_and_stays_what_was_written():
    assert parse_strict(b'{"a":1e999}') == {"a": float("inf")}


def test_errors_name_the_place_and_quote_nothing():
    with pytest.raises(ProtocolError) as caught:
        parse_strict(b'{"a": 1,\n "hunter2": 1,\n "hunter2": 2}')
    assert "line 3, column" in caught.value.detail
    shown = f"{caught.value!r} {caught.value.__cause__!r}"
    assert "hunter2" not in shown
    assert caught.value.__suppress_context__


class Inner(msgspec.Struct):
    role: str


class Outer(msgspec.Struct):
    model: str
    messages: list[Inner]
    n: int | None = None


@pytest.mark.parametrize(
    ("value", "param", "detail"),
    [
        ([], None, "The request body: expected an object, got an array."),
        ({"messages": []}, "model", "model: this field is required."),
        ({"model": 1, "messages": []}, "model", "model: expected a string, got an integer."),
        ({"model": "m", "messages": {}}, "messages", "messages: expected an array, got an object."),
        ({"model": "m", "messages": [1]}, "messages[0]", "messages[0]: expected an object, got an integer."),
        ({"model": "m", "messages": [{}]}, "messages[0].role", "messages[0].role: this field is required."),
        ({"model": "m", "messages": [], "n": True}, "n", "n: expected an integer, got a boolean."),
        ({"model": "m", "messages": [], "n": 1.5}, "n", "n: expected an integer, got a number."),
    ],
)
def test_types_are_named_with_their_path(value, param, detail):
    with pytest.raises(ProtocolError) as caught:
        convert(value, Outer)
    assert (caught.value.param, caught.value.detail, caught.value.malformed) == (param, detail, False)
