"""The exact bytes of the responses dialect: a request, dashes, its answer whole and streamed.

`vendor-*` are a vendor's bytes (a request in this dialect is sent on in it; a stream is read to events), the others an
answer as callers get it. A change here is a change of what crosses. `python
tests/golden/openai_responses/test_responses_golden.py` writes the expected halves anew; read the difference.
"""

import json
from pathlib import Path

import msgspec
import pytest

from heddle.model.call import Usage
from heddle.wire.canonical.answer import Began, ChoiceEnded, Ended, Event, PartBegan, PartDelta, PartEnded, Used
from heddle.wire.canonical.rules import Notes
from heddle.wire.llm.openai_responses import codec, dialect, vendor

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.golden"))
DASHES = "\n----\n"
CREATED = 1_790_000_000


def spoken() -> list[Event]:
    """A model that thinks, speaks, and makes two calls at once."""
    return [
        Began(id="msg_01", model="claude-x"),
        PartBegan(index=0, kind="thinking"),
        PartDelta(index=0, text="Which thread?"),
        PartDelta(index=0, signature="anthropic.c2ln"),
        PartEnded(index=0),
        PartBegan(index=1, kind="text"),
        PartDelta(index=1, text="I "),
        PartDelta(index=1, text="look."),
        PartEnded(index=1),
        PartBegan(index=2, kind="tool_call", id="toolu_1", name="look"),
        PartBegan(index=3, kind="tool_call", id="toolu_2", name="patch"),
        PartDelta(index=3, text='{"input":'),
        PartDelta(index=2, text='{"at":'),
        PartDelta(index=2, text='"warp"}'),
        PartDelta(index=3, text='"*** Begin"}'),
        PartEnded(index=2),
        PartEnded(index=3),
        ChoiceEnded(stop="tool_use"),
        Used(usage=Usage(input_tokens=20, output_tokens=9, cached_input_tokens=16, reasoning_tokens=4)),
        Ended(),
    ]


def answered(given: str) -> str:
    call = codec.decode_request(given.encode())
    encoder = dialect.open_encoder(call, CREATED)
    return b"".join(encoder.encode(event) for event in spoken()).decode()


def sent(given: str) -> str:
    body = given.encode()
    request = dialect.decode_chat(body, codec.decode_request(body))
    notes = Notes()
    data = vendor.encode_chat(request, "upstream", notes)
    return json.dumps(json.loads(data), indent=1) + "\n" + notes.header().decode() + "\n"


def heard(given: str) -> str:
    decoder = vendor.open_decoder()
    events = [*decoder.feed(given.encode() + b"\n\n"), *decoder.finish()]
    lines = []
    for event in events:
        stated = {field: value for field, value in msgspec.to_builtins(event).items() if value not in ("", 0, None)}
        lines.append(f"{type(event).__name__} {json.dumps(stated)}")
    return "\n".join(lines) + "\n"


def expected_of(path: Path, given: str) -> str:
    if path.stem.startswith("vendor-request"):
        return sent(given)
    return heard(given) if path.stem.startswith("vendor-stream") else answered(given)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    given, expected = path.read_text().split(DASHES)
    assert expected_of(path, given) == expected


def test_there_are_cases() -> None:
    assert len(CASES) >= 5


if __name__ == "__main__":
    for path in CASES:
        given = path.read_text().split(DASHES)[0]
        path.write_text(given + DASHES + expected_of(path, given))
