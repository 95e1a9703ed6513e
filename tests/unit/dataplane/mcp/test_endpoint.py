"""Whatever is sent to a virtual server, it answers in the protocol or in HTTP, and never fails."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.backends.mcp.faking import FakeTarget
from tests.unit.dataplane.mcp.fronts import META, MODERN, Worker, events, exchange, worker

from heddle.dataplane.mcp.server import OPERATIONS
from heddle.pipeline.errors import CallError, Reason

METHODS = [*sorted(OPERATIONS), "initialize", "server/discover", "logging/setLevel", "nonsense", "tasks/update",
           "notifications/cancelled", "notifications/initialized"]  # fmt: skip
_leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
    | st.sampled_from(["echo", "t+file:///a", "debug", "2025-11-25", MODERN, "ref/prompt", "h1000"])
)  # fmt: skip
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
_params = st.dictionaries(
    st.sampled_from(
        ["name", "uri", "arguments", "cursor", "ref", "argument", "level", "taskId", "_meta", "requestState",
         "inputResponses", "protocolVersion", "capabilities", "clientInfo", "requestId"]
    ),
    _values,
    max_size=5,
)  # fmt: skip
_identities = st.integers() | st.text(max_size=5) | st.none() | st.floats(allow_nan=False) | st.just({})


def target() -> FakeTarget:
    """One of every kind of thing."""
    return FakeTarget(
        capabilities={"tools": {}, "prompts": {}, "resources": {}, "completions": {}, "logging": {}},
        prompts_list={"prompts": [{"name": "echo"}]},
        resources_list={"resources": [{"uri": "file:///a", "name": "a"}]},
        resources_templates_list={"resourceTemplates": [{"uriTemplate": "x://{y}", "name": "x"}]},
        completion_complete={"completion": {"values": []}},
    )


async def answered(one: Worker, body: bytes, **fields: str | None) -> None:
    """It was answered, by nothing that tells of a failure of ours."""
    call = exchange("POST", body, **fields)
    try:
        reply = await one.endpoint.post(call)
    except CallError as error:
        assert error.reason is not Reason.INTERNAL, error.detail  # noqa: PT017
        return
    assert call.reason is not Reason.INTERNAL
    whole = reply.body if isinstance(reply.body, bytes) else b"".join(await events(reply))
    assert b"-32603" not in whole, (body, whole)
    if reply.status != 202:
        assert b'"jsonrpc"' in whole


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(METHODS),
    params=_params,
    identity=_identities,
    era=st.sampled_from(["modern", "session", "none", "batch"]),
)
async def test_no_message_makes_it_fail(method: str, params: dict[str, Any], identity: Any, era: str) -> None:
    one = worker(target())
    try:
        fields: dict[str, str | None] = {}
        if era == "session":
            fields["mcp_session_id"] = await one.begin()
        if era == "modern":
            said = params.get("_meta")
            params = {**params, "_meta": {**(said if isinstance(said, dict) else {}), f"{META}protocolVersion": MODERN,
                                          f"{META}clientCapabilities": {}}}  # fmt: skip
            named = params.get(
                "taskId" if method.startswith("tasks/") else "uri" if method == "resources/read" else "name"
            )
            fields |= {"mcp_protocol_version": MODERN, "mcp_method": method}
            if isinstance(named, str) and named.isascii() and named.isprintable():
                fields["mcp_name"] = named
        message = {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}
        await answered(one, json.dumps([message] if era == "batch" else message).encode(), **fields)
    finally:
        one.close()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | _values.map(lambda value: json.dumps(value).encode()))
async def test_no_bytes_make_it_fail(body: bytes) -> None:
    one = worker(target())
    try:
        await answered(one, body)
        await answered(one, body, mcp_protocol_version=MODERN)
        await answered(one, body, mcp_session_id="none")
    finally:
        one.close()


@pytest.mark.parametrize("version", ["", "2026-07-29", "1", "2025-11-25\t", "x" * 300])
async def test_a_version_that_nobody_speaks_is_told_which_are_spoken(version: str) -> None:
    one = worker(target())
    reply = await one.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, mcp_protocol_version=version)
    assert reply.status == 400
    assert isinstance(reply.body, bytes)
    assert MODERN in json.loads(reply.body)["error"]["data"]["supported"]
    one.close()
