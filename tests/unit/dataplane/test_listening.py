"""Answers are listened to in the dialect they are given in."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from heddle.dataplane.listening import Listening, heard_of
from heddle.model.call import Heard, Usage
from heddle.wire.canonical.answer import (
    Began,
    ChatAnswer,
    Choice,
    ChoiceEnded,
    Ended,
    Event,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.canonical.request import Text
from heddle.wire.llm.codecs import CODECS, DIALECTS, HEARD

USAGE = Usage(input_tokens=3, output_tokens=2)
BODIES = {
    "openai_chat": b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}',
    "openai_completions": b'{"model":"m","prompt":"hi","stream":true}',
    "openai_responses": b'{"model":"m","input":"hi","stream":true}',
    "anthropic_messages": b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":true}',
    "gemini": b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}',
    "bedrock_converse": b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}',
}
TARGETS = {"gemini": "/v1beta/models/m:streamGenerateContent?alt=sse", "bedrock_converse": "/model/m/converse-stream"}
EVENTS: list[Event] = [
    Began(id="id_1", model="m-1"),
    PartBegan(index=0, kind="text"),
    PartDelta(index=0, text="Hel"),
    PartDelta(index=0, text="lo"),
    PartEnded(index=0),
    ChoiceEnded(stop="length"),
    Used(usage=USAGE),
    Ended(),
]
NAMELESS = {"bedrock_converse"}
"""Formats whose answers name no model."""


def check(dialect: str, heard: Heard) -> None:
    assert heard.text == "Hello"
    assert len(heard.finish_reasons) == 1
    if dialect not in NAMELESS:
        assert heard.model == "m-1"
        assert heard.id


def test_every_dialect_that_generates_is_heard():
    assert set(HEARD) == set(DIALECTS) == set(BODIES)


@pytest.mark.parametrize("dialect", sorted(BODIES))
def test_a_whole_answer(dialect):
    call = CODECS[dialect].decode_request(BODIES[dialect], TARGETS.get(dialect, ""))
    answer = ChatAnswer(
        id="id_1", model="m-1", choices=(Choice(parts=(Text(text="Hello"),), stop="length"),), usage=USAGE
    )
    check(dialect, heard_of(DIALECTS[dialect].encode_answer(answer, call, 1), dialect))


@pytest.mark.parametrize("dialect", sorted(BODIES))
def test_a_stream(dialect):
    call = CODECS[dialect].decode_request(BODIES[dialect], TARGETS.get(dialect, ""))
    encoder = DIALECTS[dialect].open_encoder(call, 1)

    async def pieces() -> AsyncIterator[bytes]:
        for event in EVENTS:
            if data := encoder.encode(event):
                yield data

    async def run() -> Heard:
        listening = Listening(pieces(), dialect, keep_text=True)
        async for _ in listening:
            pass
        return heard_of(listening, dialect)

    check(dialect, asyncio.run(run()))


def test_a_dialect_without_text_is_not_heard():
    assert heard_of(b'{"model":"m"}', "openai_embeddings") == Heard()
