"""Messages taken apart and put together under another id."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.stdio import messages
from heddle.wire.errors import ProtocolError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
PRETTY = b'{\n "jsonrpc": "2.0",\r\n "id": 1,\r "method": "m",\n "params": {\n  "a": [1.0,\n 1e400]}}'


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"m"}', "asks"),
        (b'{"jsonrpc":"2.0","id":"a","method":"m","params":[]}', "asks"),
        (b'{"jsonrpc":"2.0","method":"m"}', "tells"),
        (b'{"jsonrpc":"2.0","id":null,"method":"m"}', "tells"),
        (b'{"jsonrpc":"2.0","id":1,"result":null}', "answers"),
        (b'{"jsonrpc":"2.0","id":null,"error":{}}', "answers"),
    ],
)
def test_a_message_is_of_one_kind(data: bytes, kind: str):
    message = messages.read(data)
    assert [one for one in ("asks", "tells", "answers") if getattr(message, one)] == [kind]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        b"[]",
        b'[{"jsonrpc":"2.0","id":1,"method":"m"}]',
        b"{}",
        b'{"id":1}',
        b'{"id":true,"method":"m"}',
        b'{"id":1.5,"method":"m"}',
        b'{"id":{},"method":"m"}',
        b'{"id":1,"method":7}',
        b'{"id":1,"method":"m"} x',
        b'{"id":1,"method":"m","params":{"a":"\xff"}}',
        b'{"id":1,"method":"m","params":{"a":"x\ny"}}',
        b'{"id":1,"method":"m","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_message_is_refused(data: bytes):
    with pytest.raises(ProtocolError):
        messages.read(data)


def test_a_pretty_document_becomes_one_line_with_its_numbers_as_written():
    """A line end inside it would be a second message to the server: smuggling."""
    line = messages.write(messages.read(PRETTY))
    assert not {b"\n", b"\r"} & {line[at : at + 1] for at in range(len(line))}
    assert b"[1.0,  1e400]" in line


@given(JSON)
def test_params_arrive_as_they_were(params: object):
    data = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "m", "params": params}).encode()
    assert json.loads(messages.write(messages.read(data))) == json.loads(data)


@given(st.dictionaries(st.text(min_size=1), JSON, max_size=4), st.integers(1, 99))
def test_only_the_named_value_is_replaced(params: dict[str, object], number: int):
    params = {**params, "_meta": {"other": 1.0, "progressToken": "own"}}
    raw = msgspec.Raw(json.dumps(params).encode())
    replaced = json.loads(bytes(messages.replaced(raw, ("_meta", "progressToken"), number)))
    assert replaced.pop("_meta") == {"other": 1.0, "progressToken": number}
    assert replaced == {key: value for key, value in params.items() if key != "_meta"}


@pytest.mark.parametrize("raw", [b"[]", b"1", b"null", b'"_meta"'])
def test_what_is_no_object_has_no_fields(raw: bytes):
    assert messages.fields(msgspec.Raw(raw)) == {}


@pytest.mark.parametrize(("raw", "value"), [(b"1", 1), (b'"a"', "a"), (b"[1]", None), (b"1.5", None), (b"null", None)])
def test_ids_are_numbers_and_texts(raw: bytes, value: object):
    assert messages.value(msgspec.Raw(raw)) == value
