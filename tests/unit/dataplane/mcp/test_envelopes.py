"""What a request says of its caller is read once, and never taken for what another one says."""

import json

import pytest

from heddle.dataplane.mcp.envelopes import MAX_BYTES, MAX_REMEMBERED, Envelopes
from heddle.wire.jsonrpc import INVALID_PARAMS, Message, RpcError, decode

PREFIX = "io.modelcontextprotocol/"


def request(meta: object = None, **params: object) -> Message:
    given = params if meta is None else {**params, "_meta": meta}
    return decode(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": given}).encode())


def said(capabilities: object = None, **others: object) -> dict[str, object]:
    own = {"protocolVersion": "2026-07-28", "clientCapabilities": capabilities or {}, **others}
    return {f"{PREFIX}{name}": value for name, value in own.items()}


def test_equal_bytes_are_read_once_whatever_else_the_requests_say():
    envelopes = Envelopes()
    first = envelopes.of(request(said(clientInfo={"name": "a"}), name="one"))
    assert envelopes.of(request(said(clientInfo={"name": "a"}), name="two")) is first
    assert first.client_info == b'{"name": "a"}'
    assert first.quiet


def test_other_bytes_are_another_caller():
    envelopes = Envelopes()
    plain, asked = (envelopes.of(request(said(capable))) for capable in ({}, {"sampling": {"tools": {}}, "roots": {}}))
    assert (plain.answers, asked.answers) == ("", "\0roots sampling sampling.tools")
    assert asked.capabilities == b'{"sampling": {"tools": {}}, "roots": {}}'
    assert envelopes.of(request(said())) is plain
    assert not envelopes.of(request(said(logLevel="info"))).quiet


@pytest.mark.parametrize("own", [{"progressToken": 7}, {"traceparent": "00-1-2-01"}, {"com.example/x": 1}])
def test_what_differs_from_call_to_call_is_read_anew(own: dict[str, object]):
    envelopes = Envelopes()
    first = envelopes.of(request({**said(), **own}))
    assert envelopes.of(request({**said(), **own})) is not first
    assert first.passing.keys() == own.keys()
    assert first.quiet == ("progressToken" not in own)


def test_the_memory_is_bounded():
    envelopes = Envelopes()
    long = said(clientInfo={"name": "x" * MAX_BYTES})
    assert envelopes.of(request(long)) is not envelopes.of(request(long))
    first = envelopes.of(request(said(clientInfo={"name": "0"})))
    for number in range(MAX_REMEMBERED):
        envelopes.of(request(said(clientInfo={"name": f"other-{number}"})))
    assert envelopes.of(request(said(clientInfo={"name": "0"}))) is not first


def test_what_is_remembered_does_not_keep_the_body():
    envelopes = Envelopes()
    message = request(said({"roots": {}}, clientInfo={"name": "a"}), name="x" * 100_000)
    envelope = envelopes.of(message)
    assert (type(envelope.capabilities), type(envelope.client_info)) == (bytes, bytes)
    assert envelope.passing == {}


def test_what_passes_on_is_told_from_what_is_the_connections_own():
    envelopes = Envelopes()
    assert envelopes.of(request(said(logLevel="info"))).passing == {}
    passing = envelopes.of(request({**said(), "com.example/x": [1]})).passing
    assert {name: bytes(value) for name, value in passing.items()} == {"com.example/x": b"[1]"}


@pytest.mark.parametrize("meta", [None, 3, [], {}, {f"{PREFIX}protocolVersion": "2026-07-28"}, said([1]),
                                  {f"{PREFIX}protocolVersion": 1, f"{PREFIX}clientCapabilities": {}}])  # fmt: skip
def test_what_must_be_said_is_missed_each_time(meta: object):
    envelopes = Envelopes()
    for _ in range(2):
        with pytest.raises(RpcError) as refused:
            envelopes.of(request(meta))
        assert refused.value.code == INVALID_PARAMS
