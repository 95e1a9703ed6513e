"""What is recorded of an answer: the text without thoughts, and why it ended."""

import pytest

from heddle.model.call import Heard
from heddle.wire.errors import ProtocolError
from heddle.wire.eventstream import encode
from heddle.wire.llm.bedrock.heard import read_answer, read_events

WHOLE = (
    b'{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm"}}},'
    b'{"text":"a"},{"toolUse":{"input":{}}},{"text":"b"}]}},"stopReason":"end_turn","usage":{}}'
)


def frame(kind, payload):
    return encode({":message-type": "event", ":event-type": kind, ":content-type": "application/json"}, payload)


def test_a_whole_answer():
    assert read_answer(WHOLE) == Heard(finish_reasons=("end_turn",), text="ab")


def test_frames():
    data = (
        frame("messageStart", b'{"role":"assistant"}')
        + frame("contentBlockDelta", b'{"delta":{"reasoningContent":{"text":"hm"}},"contentBlockIndex":0}')
        + frame("contentBlockDelta", b'{"delta":{"text":"a"},"contentBlockIndex":1}')
        + frame("messageStop", b'{"stopReason":"max_tokens"}')
    )
    heard = [one for one in read_events(data) if one != Heard()]
    assert heard == [Heard(text="a"), Heard(finish_reasons=("max_tokens",))]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"output":3}', b"\xff", b'{"delta":{"text":3}}'])
def test_what_cannot_be_read_is_left_out(body):
    assert read_answer(body) == Heard()
    assert read_events(frame("contentBlockDelta", body)) == [Heard()]


def test_what_is_no_frame_is_said():
    with pytest.raises(ProtocolError):
        read_events(b"data: no frame of an event stream\n\n")
