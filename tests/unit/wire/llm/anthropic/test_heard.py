"""What is recorded of an answer: the text without thoughts, and the marks."""

import pytest

from heddle.model.call import Heard
from heddle.wire.llm.anthropic.heard import read_answer, read_events

WHOLE = (
    b'{"id":"msg_1","model":"claude","stop_reason":"end_turn","content":[{"type":"thinking","thinking":"hm"},'
    b'{"type":"text","text":"a"},{"type":"tool_use","input":{}},{"type":"text","text":"b"}]}'
)
STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"claude","content":[]}}\n\n'
    b'event: ping\ndata: {"type":"ping"}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"thinking":"hm"}}\n\n'
    b'event: content_block_delta\r\ndata: {"type":"content_block_delta","delta":{"text":"a"}}\r\n\r\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"tool_use"}}\n\n'
)


def test_a_whole_answer():
    assert read_answer(WHOLE) == Heard(model="claude", id="msg_1", finish_reasons=("end_turn",), text="ab")


def test_events():
    heard = [one for one in read_events(STREAM) if one != Heard()]
    assert heard == [Heard(model="claude", id="msg_1"), Heard(text="a"), Heard(finish_reasons=("tool_use",))]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"content":3}', b"\xff", b'{"content":[{"type":"text","text":3}]}'])
def test_what_cannot_be_read_is_left_out(body):
    assert read_answer(body) == Heard()
    assert all(one == Heard() for one in read_events(b"event: x\ndata: %b\n\n" % body))
