"""Ids of tasks that only their callers can use, and that nothing a server answers makes a result fail."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.dataplane.mcp.fronts import ALICE, BOB, exchange

from heddle.dataplane.mcp.rewriting import exposed_in
from heddle.dataplane.mcp.tasks import Tasks, named_again
from heddle.drivers.sealing import Sealing
from heddle.pipeline.errors import CallError
from heddle.wire.jsonrpc import RpcError


@given(st.recursive(st.none() | st.integers() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=2)
       | st.dictionaries(st.sampled_from(["uri", "type", "content", "contents", "messages", "resource", "_meta", "ui",
                                          "resourceUri", "taskId", "task"]), inner, max_size=4)))  # fmt: skip
def test_nothing_that_a_server_answers_makes_it_fail(value: Any) -> None:
    raw = json.dumps(value).encode()
    exposed_in(raw, "fs")
    Tasks("s", Sealing()).expose(raw, "t", exchange())
    named_again(raw, "x")


def test_an_id_of_a_task_is_its_callers_on_its_server() -> None:
    sealing = Sealing()
    tasks, elsewhere = Tasks("s", sealing), Tasks("other", sealing)
    for form in ({"taskId": "t1"}, {"task": {"taskId": "t1", "status": "working"}}):
        given_ = json.loads(tasks.expose(json.dumps(form).encode(), "target", exchange()))
        ident = given_.get("taskId") or given_["task"]["taskId"]
        assert tasks.find(ident, exchange()) == ("target", "t1")
        for one, principal in ((tasks, BOB), (elsewhere, ALICE)):
            with pytest.raises(RpcError):
                one.find(ident, exchange(principal=principal))
        assert json.loads(named_again(json.dumps(form).encode(), "mine")) == json.loads(
            json.dumps(form).replace("t1", "mine")
        )
    for wrong in (None, 5, "", "t1", ident[:-1], {}, ident.upper()):
        with pytest.raises(RpcError):
            tasks.find(wrong, exchange())


@pytest.mark.parametrize(
    "result",
    [b'{"taskId":1e999}', b'{"taskId":"\\ud800"}', b'{"taskId":' + b"[" * 5_000, b'{"taskId":"%b"}' % (b"x" * 70_000)],
    ids=lambda raw: repr(raw[:30]),
)
def test_a_task_that_cannot_be_carried_is_the_servers_failure(result: bytes) -> None:
    with pytest.raises(CallError):
        Tasks("s", Sealing()).expose(result, "t", exchange())
