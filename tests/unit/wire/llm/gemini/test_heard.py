"""What is recorded of an answer: the text without thoughts, and the marks."""

import pytest

from heddle.model.call import Heard
from heddle.wire.llm.gemini.heard import read_answer, read_events

ANSWER = (
    b'{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"a"},{"functionCall":{}}]},'
    b'"finishReason":"STOP"},{"content":{}}],"responseId":"r","modelVersion":"m"}'
)
HEARD = Heard(model="m", id="r", finish_reasons=("STOP",), text="a")


def test_a_whole_answer():
    assert read_answer(ANSWER) == HEARD


def test_events():
    assert read_events(b"data: %b\r\n\r\n: x\n\ndata: {}\n\n" % ANSWER) == [HEARD, Heard()]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"candidates":3}', b"\xff"])
def test_what_cannot_be_read_is_left_out(body):
    assert read_answer(body) == Heard()
