"""Streams in the forms that servers document, written by hand: a stream, dashes, its events, dashes, what a caller
of OpenAI chat gets.

A change here is a change of what clients receive. `python tests/golden/openai_chat/test_openai_chat_golden.py` writes
the expected parts anew; read the difference before committing it.
"""

from pathlib import Path

import pytest

from heddle.model.call import ModelCall
from heddle.wire.canonical.answer import Failed
from heddle.wire.llm.openai_chat_dialect import open_encoder
from heddle.wire.llm.openai_chat_vendor import open_decoder

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.golden"))
DASHES = "\n----\n"
CALL = ModelCall(operation="chat", dialect="openai_chat", model="asked", body=b"{}", stream=True, include_usage=True)


def answer(given: str) -> tuple[str, str]:
    decoder = open_decoder()
    events = [*decoder.feed(given.encode() + b"\n\n"), *decoder.finish()]
    encoder = open_encoder(CALL, 1_790_000_000)
    sent = b"".join(encoder.encode(event) for event in events if not isinstance(event, Failed))
    return "\n".join(map(repr, events)), sent.decode()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    given, *expected = path.read_text().split(DASHES)
    assert list(answer(given)) == expected


def test_there_are_cases() -> None:
    assert len(CASES) >= 6


if __name__ == "__main__":
    for path in CASES:
        given = path.read_text().split(DASHES)[0]
        path.write_text(DASHES.join([given, *answer(given)]))
