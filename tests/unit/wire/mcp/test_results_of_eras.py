"""Results from one era to the other, `_meta`, and versions."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.wire.errors import ProtocolError
from heddle.wire.mcp.meta import of_caller, read_meta
from heddle.wire.mcp.results import CACHEABLE, members, result_type, to_legacy, to_modern
from heddle.wire.mcp.versions import LATEST, LATEST_LEGACY, at_least, negotiated

_results = st.dictionaries(
    st.sampled_from(["content", "tools", "resultType", "ttlMs", "cacheScope", "x"]),
    st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2),
)
_methods = st.sampled_from([*sorted(CACHEABLE), "tools/call", "prompts/get"])


def test_a_modern_result_says_what_it_is_and_is_otherwise_as_it_was_written() -> None:
    assert to_modern("tools/call", b'{"a": 1.10}') == b'{"resultType":"complete","a": 1.10}'
    assert to_modern("tools/call", b" { } ".strip()) == b'{"resultType":"complete"}'
    assert to_modern("tools/call", b'{"resultType":"input_required"}') == b'{"resultType":"input_required"}'
    listed = json.loads(to_modern("tools/list", b'{"tools":[]}'))
    assert listed == {"tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    kept = json.loads(to_modern("tools/list", b'{"tools":[],"resultType":"complete","ttlMs":5,"cacheScope":"public"}'))
    assert (kept["ttlMs"], kept["cacheScope"]) == (5, "public")


@given(_methods, _results)
def test_there_and_back_nothing_else_changes(method: str, result: dict[str, Any]) -> None:
    raw = json.dumps({**result, **({"resultType": "complete"} if "resultType" in result else {})}).encode()
    modern = json.loads(to_modern(method, raw))
    assert modern["resultType"] == "complete"
    assert (method not in CACHEABLE) or {"ttlMs", "cacheScope"} <= modern.keys()
    plain = {name: value for name, value in result.items() if name not in ("resultType", "ttlMs", "cacheScope")}
    assert json.loads(to_legacy(to_modern(method, raw))) == plain


@pytest.mark.parametrize("raw", [b"5", b"null", b"[]", b'"x"', b'["resultType"]', b'{"resultType":5}'])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        to_modern("tools/list", raw)
    if raw[:1] != b"{":
        with pytest.raises(ProtocolError):
            result_type(raw)
        with pytest.raises(ProtocolError):
            members(raw)


def test_members_of_a_connection_do_not_travel() -> None:
    written = {
        "io.modelcontextprotocol/protocolVersion": msgspec.Raw(b'"x"'),
        "io.modelcontextprotocol/clientCapabilities": msgspec.Raw(b"{}"),
        "progressToken": msgspec.Raw(b"7"),
        "vendor/x": msgspec.Raw(b"1.10"),
    }
    params = {"_meta": msgspec.Raw(msgspec.json.encode(written))}
    assert {name: bytes(value) for name, value in of_caller(read_meta(params)).items()} == {
        "progressToken": b"7",
        "vendor/x": b"1.10",
    }
    for nothing in ({}, {"_meta": msgspec.Raw(b"5")}, {"_meta": msgspec.Raw(b"null")}):
        assert read_meta(nothing) == {}


def test_versions() -> None:
    assert negotiated("2025-06-18") == "2025-06-18"
    assert negotiated(LATEST) == LATEST_LEGACY
    assert negotiated("") == LATEST_LEGACY
    assert at_least("2025-11-25", "2025-06-18")
    assert not at_least("2024-11-05", "2025-06-18")
    assert not at_least("9999", "2024-11-05")
