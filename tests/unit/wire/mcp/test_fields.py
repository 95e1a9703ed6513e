"""HTTP fields that repeat the body: values survive, and whatever contradicts is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.wire.jsonrpc import Message, RpcError, decode
from heddle.wire.mcp.fields import HEADER_MISMATCH, METHOD, NAME, check_fields, decode_value, encode_value, read_fields


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_text_survives_as_a_field_that_is_safe_to_send(text: str) -> None:
    value = encode_value(text)
    assert decode_value(value) == text
    assert all(0x20 <= byte <= 0x7E for byte in value)


@pytest.mark.parametrize(
    "value",
    [
        b"=?base64?!!?=",
        b"=?base64?YQ?=",
        b"=?base64?YR==?=",
        b"=?base64?/w==?=",
        b"=?base64? YQ==?=",
    ],
)
def test_a_value_that_is_wrapped_wrongly_equals_nothing(value: bytes) -> None:
    assert decode_value(value) is None


def test_what_looks_wrapped_is_wrapped_again() -> None:
    assert encode_value("=?base64?YQ==?=") != b"=?base64?YQ==?="
    assert decode_value(encode_value("=?base64?YQ==?=")) == "=?base64?YQ==?="
    assert encode_value(" a") != b" a"
    assert encode_value("plain") == b"plain"


def message(method: str, **params: Any) -> Message:
    return decode(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())


def check(about: Message, *fields: tuple[bytes, bytes]) -> None:
    check_fields(read_fields(fields, dict(fields)), about)


CALL = message("tools/call", name="echo")
METHOD_FIELD, NAME_FIELD = (METHOD, b"tools/call"), (NAME, b"echo")


def test_fields_that_say_the_same_pass() -> None:
    check(CALL, METHOD_FIELD, NAME_FIELD)
    check(message("tools/call", name="schön"), METHOD_FIELD, (NAME, b"=?base64?c2Now7Zu?="))
    check(message("tools/list"), (METHOD, b"tools/list"))
    check(message("resources/read", uri="file:///a"), (METHOD, b"resources/read"), (NAME, b"file:///a"))
    check(message("tasks/get", taskId="t"), (METHOD, b"tasks/get"), (NAME, b"t"))


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [NAME_FIELD],
        [METHOD_FIELD],
        [METHOD_FIELD, (NAME, b"Echo")],
        [METHOD_FIELD, (NAME, b"echo ")],
        [METHOD_FIELD, (NAME, b"")],
        [(METHOD, b"tools/list"), NAME_FIELD],
        [(METHOD, b"TOOLS/CALL"), NAME_FIELD],
        [METHOD_FIELD, NAME_FIELD, NAME_FIELD],
        [METHOD_FIELD, METHOD_FIELD, NAME_FIELD],
        [METHOD_FIELD, NAME_FIELD, (b"mcp-session-id", b"a"), (b"mcp-session-id", b"a")],
        [METHOD_FIELD, NAME_FIELD, (b"mcp-protocol-version", b"a"), (b"mcp-protocol-version", b"b")],
    ],
)
def test_fields_that_contradict_or_repeat_are_refused(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(RpcError) as refused:
        check(CALL, *fields)
    assert refused.value.code == HEADER_MISMATCH


@pytest.mark.parametrize("name", [None, 5, ["echo"], {"a": 1}])
def test_a_body_without_a_name_agrees_with_no_field(name: Any) -> None:
    with pytest.raises(RpcError):
        check(message("tools/call", name=name), METHOD_FIELD, (NAME, str(name).encode()))
