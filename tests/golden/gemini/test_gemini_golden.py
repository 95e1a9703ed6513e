"""Gemini in both directions, byte for byte: what is given, dashes, what becomes of it.

`sent.*`: model and request of a caller; the canonical request, the body for a vendor, what was noted, or the refusal.
`heard.*`: a stream as Google sends it; the canonical events, and the stream that a caller of this dialect gets.
`python tests/golden/gemini/test_gemini_golden.py` writes the expected halves anew; read the difference before
committing it.
"""

from pathlib import Path

import msgspec
import pytest

from heddle.model.call import ModelCall
from heddle.wire.canonical.rules import Notes
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.gemini import codec, dialect, vendor

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.golden"))
DASHES = "\n----\n"


def sent(given: str) -> str:
    model, _, text = given.partition("\n")
    body = text.encode()
    notes = Notes()
    try:
        call = codec.decode_request(body, f"/v1beta/models/{model}:generateContent")
        request = dialect.decode_chat(body, call)
        out = vendor.encode_chat(request, model, notes)
    except ProtocolError as exc:
        return f"{type(exc).__name__} at {exc.param}: {exc.detail}\n"
    parts = [f"{message.role}: {part!r}" for message in request.messages for part in message.parts]
    return "\n".join([*parts, out.decode(), notes.header().decode(), ""])


def heard(given: str) -> str:
    decoder = vendor.open_decoder()
    events = [*decoder.feed(given.replace("\n", "\r\n").encode() + b"\r\n\r\n"), *decoder.finish()]
    call = ModelCall(operation="chat", dialect="gemini", model="asked", body=b"", stream=True)
    encoder = dialect.open_encoder(call, 0)
    written = b"".join([encoder.encode(event) for event in events if type(event).__name__ != "Failed"])
    said = [f"{type(event).__name__} {msgspec.json.encode(event).decode()}" for event in events]
    return "\n".join([*said, "", written.decode().rstrip("\n"), ""])


def result(path: Path, given: str) -> str:
    return sent(given) if path.name.startswith("sent.") else heard(given)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    given, expected = path.read_text().split(DASHES)
    assert result(path, given) == expected


def test_there_are_cases() -> None:
    assert len(CASES) >= 7


if __name__ == "__main__":
    for path in CASES:
        given = path.read_text().split(DASHES)[0]
        path.write_text(given + DASHES + result(path, given))
