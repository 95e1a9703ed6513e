"""Messages from bytes: what counts as one, what is refused, and that nothing crashes."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.wire.errors import ProtocolError
from heddle.wire.jsonrpc import (
    MAX_CODE,
    MAX_ID_BYTES,
    RpcError,
    decode,
    decode_light,
    decode_many,
    encode_error,
    encode_members,
    encode_notification,
    encode_request,
    encode_result,
)

DEEP = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
HOSTILE = [
    b"",
    b"null",
    b"5",
    b'"text"',
    b"[]",
    b"{}",
    b"\xff\xfe",
    b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping"}\0',
    b"[" * 100_000,
    b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + DEEP + b"}",
    b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"\\ud800"}}',
    b'{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}',
    b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":1,"a":2}}',
    b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":NaN}}',
    b'{"jsonrpc":"1.0","id":1,"method":"x"}',
    b'{"id":1,"method":"x"}',
    b'{"jsonrpc":"2.0","id":null,"method":"x"}',
    b'{"jsonrpc":"2.0","id":true,"method":"x"}',
    b'{"jsonrpc":"2.0","id":1.5,"method":"x"}',
    b'{"jsonrpc":"2.0","id":[1],"method":"x"}',
    b'{"jsonrpc":"2.0","id":"' + b"a" * MAX_ID_BYTES + b'","method":"x"}',
    b'{"jsonrpc":"2.0","id":' + b"9" * 5_000 + b',"method":"x"}',
    b'{"jsonrpc":"2.0","id":1,"method":5}',
    b'{"jsonrpc":"2.0","id":1,"method":""}',
    b'{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}',
    b'{"jsonrpc":"2.0","id":1,"method":"x","params":5}',
    b'{"jsonrpc":"2.0","id":1,"method":"x","result":{}}',
    b'{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}',
    b'{"jsonrpc":"2.0","id":1}',
    b'{"jsonrpc":"2.0","id":1,"error":5}',
    b'{"jsonrpc":"2.0","id":1,"error":{}}',
    b'{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}',
    b'{"jsonrpc":"2.0","id":1,"error":{"code":1e999,"message":""}}',
    b'{"jsonrpc":"2.0","id":1,"error":{"code":%d,"message":""}}' % (MAX_CODE + 1),
]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:48]))
def test_what_is_no_message_is_refused_with_words_that_quote_nothing_of_it(body: bytes) -> None:
    with pytest.raises(ProtocolError) as refused:
        decode(body)
    assert len(refused.value.detail) < 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"5",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"jsonrpc":"2.0","id":1,"result":' + DEEP + b"}",
        b'{"jsonrpc":"2.0","id":1,"result":5}',
        b'{"jsonrpc":"2.0","id":1,"result":null}',
        b'{"jsonrpc":"2.0","id":1,"result":[{}]}',
        b'{"jsonrpc":"2.0","id":1,"result":"text"}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":%d,"message":""}}' % 10**60,
        b'{"jsonrpc":"2.0","id":1,"error":null}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":5}}',
        b'{"jsonrpc":"2.0","method":5}',
        b'{"jsonrpc":"2.0","method":"x","params":[1]}',
        b"<html>502</html>",
    ],
    ids=lambda body: repr(body[:48]),
)
def test_what_a_server_answers_is_a_message_or_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_light(body)


def test_what_a_message_carries_stays_as_it_was_written() -> None:
    message = decode(b'{"jsonrpc":"2.0","id": "\\u0061" ,"method":"tools/call","params":{"n": 1.10, "big":1e999}}')
    assert message.id == b'"\\u0061"'
    assert message.is_request
    assert not message.is_answer
    assert {name: bytes(value) for name, value in message.params.items()} == {"n": b"1.10", "big": b"1e999"}
    answer = decode_light(b'{"jsonrpc":"2.0","id":7,"result": {"x": 1.10} }')
    assert (answer.id, answer.result, answer.is_answer) == (b"7", b'{"x": 1.10}', True)


def test_notifications_and_answers_are_told_apart() -> None:
    told = decode(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
    assert (told.is_request, told.is_answer) == (False, False)
    failed = decode(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no","data":{"a":1}}}')
    assert failed.id == b"null"
    assert failed.error is not None
    assert (failed.error.code, failed.error.message, failed.error.data) == (-32700, "no", b'{"a":1}')


def test_a_batch_keeps_its_order_and_is_read_whole_or_not_at_all() -> None:
    messages, many = decode_many(b'[{"jsonrpc":"2.0","id":1,"method":"a"} , {"jsonrpc":"2.0","method":"b"}]')
    assert many
    assert [(m.id, m.method) for m in messages] == [(b"1", "a"), (b"", "b")]
    one, many = decode_many(b'{"jsonrpc":"2.0","id":1,"method":"a"}')
    assert (len(one), many) == (1, False)
    for body in (b"[]", b"[1]", b'[{"jsonrpc":"2.0","id":1,"method":"a"},{}]', b"[[]]"):
        with pytest.raises(ProtocolError):
            decode_many(body)


def test_what_is_written_can_be_read() -> None:
    params = encode_members({"a": msgspec.Raw(b"[1]")})
    assert json.loads(encode_request(b"1", "x\n", params)) == {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "x\n",
        "params": {"a": [1]},
    }
    assert json.loads(encode_notification("x")) == {"jsonrpc": "2.0", "method": "x"}
    assert json.loads(encode_notification("x", params))["params"] == {"a": [1]}
    assert json.loads(encode_result(b'"q"', b"{}")) == {"jsonrpc": "2.0", "id": "q", "result": {}}
    error = json.loads(encode_error(b"", RpcError(-32600, 'say "no"', b'{"x":1}')))
    assert error == {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": 'say "no"', "data": {"x": 1}}}


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_members = st.dictionaries(
    st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error", "code", "more"]),
    _values | st.just("2.0") | st.just({"code": 1, "message": "m"}),
)


@given(
    st.binary(max_size=64) | _values.map(lambda v: json.dumps(v).encode()) | _members.map(json.dumps).map(str.encode)
)
def test_no_bytes_crash_a_reader(body: bytes) -> None:
    for read in (decode, decode_light, decode_many):
        try:
            read(body)
        except ProtocolError as error:
            assert len(error.detail) < 300  # noqa: PT017


@given(st.integers() | st.text(max_size=20), st.text(min_size=1, max_size=20), st.dictionaries(st.text(), _values))
def test_a_request_survives_being_written_and_read(identity: Any, method: str, params: dict[str, Any]) -> None:
    raw = json.dumps(identity).encode()
    if len(raw) > MAX_ID_BYTES:
        return
    try:
        message = decode(encode_request(raw, method, json.dumps(params).encode()))
    except ProtocolError:
        # Lone surrogates, and integers of more digits than readers take.
        assert any("\\ud" in json.dumps(text) for text in (identity, method, params))
        return
    assert (message.id, message.method) == (raw, method)
    assert {name: json.loads(bytes(value)) for name, value in message.params.items()} == params
