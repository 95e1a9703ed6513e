"""The exact bytes of Anthropic's format, both ways: a request or a stream, dashes, what becomes of it.

`*.request`: a request in the dialect; the body that a translation sends to Anthropic, and what is noted of it. The two
differ where the canonical form or a rule has changed something. `*.stream`: a vendor's stream; the canonical events it
says, and the stream a caller of the dialect gets.
`python tests/golden/anthropic/test_anthropic_golden.py` writes the expected halves anew; read the difference before
committing it.
"""

import json
from pathlib import Path

import pytest

from heddle.model.call import ModelCall
from heddle.wire.canonical.answer import Event
from heddle.wire.canonical.rules import Notes
from heddle.wire.llm.anthropic import codec, dialect, vendor

HERE = Path(__file__).parent
CASES = sorted([*HERE.glob("*.request"), *HERE.glob("*.stream")])
DASHES = "\n----\n"


def sent(given: str) -> str:
    body = given.encode()
    notes = Notes()
    request = dialect.decode_chat(body, codec.decode_request(body))
    wire = json.loads(vendor.encode_chat(request, request.model, notes))
    return f"{json.dumps(wire, indent=2, ensure_ascii=False)}\n\n{notes.header().decode() or 'nothing noted'}\n"


def retold(given: str) -> str:
    decoder = vendor.open_decoder()
    events: list[Event] = [*decoder.feed(given.encode()), *decoder.finish()]
    call = ModelCall(operation="chat", dialect="anthropic_messages", model="asked", body=b"", stream=True)
    encoder = dialect.open_encoder(call, 0)
    wire = b"".join([encoder.encode(event) for event in events])
    return "\n".join([*map(repr, events), "", wire.decode()])


def expected_of(path: Path, given: str) -> str:
    return sent(given) if path.suffix == ".request" else retold(given + "\n\n")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_golden(path: Path) -> None:
    given, expected = path.read_text().split(DASHES)
    assert expected_of(path, given) == expected


def test_there_are_cases() -> None:
    assert len(CASES) >= 5


if __name__ == "__main__":
    for path in CASES:
        given = path.read_text().split(DASHES)[0]
        path.write_text(given + DASHES + expected_of(path, given))
