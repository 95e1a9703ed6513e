"""What is heard of an answer is the same whole and streamed."""

import pytest
from tests.unit.wire.llm.openai_responses.said import CALL, CREATED, answer, call, events

from heddle.model.call import Heard
from heddle.wire.canonical.request import Refusal, Text, Thinking
from heddle.wire.llm.openai_responses import dialect
from heddle.wire.llm.openai_responses.heard import read_answer, read_events

GIVEN = answer(Thinking(text="secret"), Text(text="Warp "), Text(text="and weft."), CALL, Refusal(text=" No."))


def test_a_whole_answer():
    said = read_answer(dialect.encode_answer(GIVEN, call(), CREATED))
    assert said == Heard(model="claude", id="resp_msg01AB", finish_reasons=("completed",), text="Warp and weft. No.")


def test_a_stream():
    encoder = dialect.open_encoder(call(), CREATED)
    said = read_events(b"".join(encoder.encode(event) for event in events(GIVEN)))
    assert "".join(one.text for one in said) == "Warp and weft. No."
    assert [one.finish_reasons for one in said if one.finish_reasons] == [("completed",)]
    assert {one.model for one in said} == {"", "claude"}


def test_why_an_answer_is_incomplete():
    body = b'{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}'
    assert read_answer(body).finish_reasons == ("max_output_tokens",)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"output":7}', b"[" * 100_000])
def test_what_cannot_be_read_is_left_out(body):
    assert read_answer(body) == Heard()
    assert set(map(str, read_events(b"data: " + body + b"\n\n"))) <= {str(Heard())}
