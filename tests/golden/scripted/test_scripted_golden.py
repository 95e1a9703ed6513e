"""The exact bytes of the offline model: a request, dashes, the status and everything that is sent.

A change here is a change of what clients receive. `python tests/golden/scripted/test_scripted_golden.py` writes the
expected halves anew; read the difference before committing it.
"""

from pathlib import Path

import pytest

from heddle.model.snapshot import ProviderSpec
from heddle.providers.scripted import Scripted
from heddle.wire.llm import openai_chat, openai_embeddings

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.golden"))
DASHES = "\n----\n"
CREATED = 1_790_000_000


def answer(given: str) -> str:
    body = given.encode()
    codec = openai_embeddings if '"input"' in given else openai_chat
    script = Scripted(ProviderSpec(name="offline", type="scripted")).play(codec.decode_request(body), body, CREATED)
    head = [f"{name.decode()}: {value.decode()}" for name, value in script.headers]
    sent = "".join("<cut>" if step.data is None else step.data.decode() for step in script.steps)
    return "\n".join([str(script.status), *head, "", sent])


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    given, expected = path.read_text().split(DASHES)
    assert answer(given) == expected


def test_there_are_cases() -> None:
    assert len(CASES) >= 6


if __name__ == "__main__":
    for path in CASES:
        given = path.read_text().split(DASHES)[0]
        path.write_text(given + DASHES + answer(given))
