"""What of a vendor's state requests name and answers leave; what of other vendors OpenAI is not sent."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_responses.foreign import without_foreign
from heddle.wire.llm.openai_responses.state import MAX_IDS, StateReader, kept_by, read_request


def wanted(**fields: Any) -> Any:
    return read_request(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def named(**fields: Any) -> list[tuple[str, str]]:
    return [(one.id, one.param) for one in wanted(**fields).references]


def test_most_requests_name_nothing():
    assert named() == []
    assert named(previous_response_id=None, conversation=None, background=False, tools=None) == []
    items = [
        {"role": "user", "content": "hi"},
        {"type": "message", "role": "assistant", "id": "msg_1", "content": []},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"},
    ]
    assert named(input=items, tools=[{"type": "function"}, {"type": "x", "container": {"type": "auto"}}]) == []
    assert not wanted().background


@pytest.mark.parametrize("escaped", [False, True])
def test_what_goes_on_from_something_is_found(escaped: bool):
    body = json.dumps(
        {
            "model": "m",
            "previous_response_id": "resp_1",
            "conversation": {"id": "conv_1"},
            "input": [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_2"}, {"type": None, "id": "msg_3"}],
            "tools": [
                {"type": "code_interpreter", "container": "cntr_1"},
                {"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_2"}},
            ],
        }
    )
    if escaped:
        body = body.replace("previous_response_id", "previous_response_\\u0069d").replace("resp_1", "resp\\u005f1")
    assert [(one.id, one.param) for one in read_request(body.encode()).references] == [
        ("resp_1", "previous_response_id"),
        ("conv_1", "conversation"),
        ("msg_1", "input[0].id"),
        ("msg_2", "input[1].id"),
        ("msg_3", "input[2].id"),
        ("cntr_1", "tools[0].container"),
        ("cntr_2", "tools[1].environment.container_id"),
    ]
    assert named(conversation="conv_2") == [("conv_2", "conversation")]


@pytest.mark.parametrize("value", [True, 1, "yes", {}])
def test_anything_but_no_is_background(value: object):
    assert wanted(background=value).background


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": 5},
        {"previous_response_id": ""},
        {"previous_response_id": "x" * 300},
        {"conversation": {}},
        {"conversation": ["c"]},
        {"input": [{"type": "item_reference"}]},
        {"input": [{"type": "item_reference", "id": "i"}] * (MAX_IDS + 1)},
        {"input": 5},
        {"input": ["x"]},
        {"tools": [1]},
    ],
)
def test_what_cannot_be_checked_is_refused(fields: dict[str, Any]):
    with pytest.raises(ProtocolError):
        wanted(**fields)


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "store": True,
    "conversation": {"id": "conv_1"},
    "output": [{"type": "reasoning", "id": "rs_1"}, {"id": "ci_1", "container_id": "cntr_1"}, {"id": 5}],
}


def test_what_an_answer_leaves():
    assert kept_by(json.dumps(RESPONSE).encode()) == ("resp_1", "conv_1", "rs_1", "ci_1", "cntr_1")
    assert kept_by(json.dumps({"id": "resp_1"}).encode()) == ("resp_1",)
    assert kept_by(json.dumps({**RESPONSE, "store": False}).encode()) == ()
    for junk in (b"", b"[]", b'{"id":5}', b'{"output":5,"id":"resp_1"}', b"\xff"):
        assert kept_by(junk) == ()


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


STREAM = b"".join(
    [
        event("response.created", response={**RESPONSE, "output": []}),
        event("response.output_text.delta", delta="response.completed \u2028"),
        event("response.completed", response=RESPONSE),
    ]
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_streams_leave_the_same_however_they_arrive(cuts: list[int]):
    reader, found = StateReader(), []
    edges = [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(edges):
        found += reader.feed(STREAM[start:end])
    assert found == ["resp_1", "conv_1", "resp_1", "conv_1", "rs_1", "ci_1", "cntr_1"]


@given(st.binary(max_size=200).filter(lambda data: b'"id"' not in data))
def test_junk_leaves_nothing(data: bytes):
    assert StateReader().feed(data + b"\n\nevent: response.created\ndata: {nope\n\n") == ()
    assert kept_by(data) == ()


def reasoning(content: object) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content}


def cleansed(*items: dict[str, Any], **fields: Any) -> Any:
    return json.loads(without_foreign(json.dumps({"model": "m", **fields, "input": list(items)}).encode()))


MESSAGE = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    "content",
    ["anthropic.abc", "gemini.abc", "bedrock.abc", "redacted.anthropic.abc", "call.call_1|gemini.abc"],
)
def test_other_vendors_proofs_are_left_out_and_nothing_else(content: str):
    own = reasoning("gAAAAA==")
    got = cleansed(MESSAGE, reasoning(content), own, MESSAGE, store=False, tools=[{"type": "web_search"}])
    assert got == {"model": "m", "store": False, "tools": [{"type": "web_search"}], "input": [MESSAGE, own, MESSAGE]}


def test_its_own_go_back_as_they_were():
    assert cleansed(reasoning("openai.gAAAAA=="))["input"] == [reasoning("gAAAAA==")]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"model": "m", "input": [MESSAGE, reasoning("gAAAAA==")]}).encode(),
        json.dumps({"input": [{"role": "user", "content": '"encrypted_content": "anthropic.x"'}]}).encode(),
        b'{"input": [{"type": "other", "encrypted_content": "anthropic.x"}]}',
        b'{"input": "x", "encrypted_content": "anthropic.x"}',
        b'{"encrypted_content": "anthropic.x"}',
        b'["encrypted_content": "anthropic.x"',
    ],
)
def test_other_bodies_stay_as_they_are(body: bytes):
    assert without_foreign(body) is body
