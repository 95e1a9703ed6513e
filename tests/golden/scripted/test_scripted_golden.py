"""The exact bytes of the offline model: a request, dashes, the status and everything that is sent.

Cases of OpenAI chat stand here, those of other formats in folders. Binary frames are shown as headers and payload.
A change here is a change of what clients receive. `python tests/golden/scripted/test_scripted_golden.py` writes the
expected halves anew; read the difference before committing it.
"""

import json
from pathlib import Path

import pytest

from heddle.model.call import ModelCall
from heddle.model.snapshot import ProviderSpec
from heddle.providers.scripted import Scripted
from heddle.wire import eventstream
from heddle.wire.llm import openai_embeddings

HERE = Path(__file__).parent
CASES = sorted(HERE.rglob("*.golden"))
DASHES = "\n----\n"
CREATED = 1_790_000_000


def answer(given: str, path: Path) -> str:
    body = given.encode()
    form = "openai_chat" if path.parent == HERE else path.parent.name
    dialect = openai_embeddings.DIALECT if form == "openai_chat" and '"input"' in given else form
    stream = "stream" in path.stem
    operation = "embeddings" if dialect == openai_embeddings.DIALECT else "chat"
    model = json.loads(given).get("model", "model-1")
    call = ModelCall(operation=operation, dialect=dialect, model=model, body=body, stream=stream)
    offline = Scripted(ProviderSpec(name="offline", type="scripted", options={"format": form}))
    script = offline.play(call, body, CREATED)
    head = [f"{name.decode()}: {value.decode()}" for name, value in script.headers]
    binary = (b"content-type", eventstream.CONTENT_TYPE) in script.headers
    sent = "".join("<cut>" if step.data is None else shown(step.data, binary) for step in script.steps)
    return "\n".join([str(script.status), *head, "", sent])


def shown(data: bytes, binary: bool) -> str:
    if not binary:
        return data.decode()
    frame = eventstream.decode(data)
    return "\n".join([*(f"{name} {value}" for name, value in frame.headers.items()), frame.payload.decode(), "", ""])


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_golden(path: Path) -> None:
    given, expected = path.read_bytes().decode().split(DASHES)
    assert answer(given, path) == expected


def test_there_are_cases() -> None:
    assert len(CASES) >= 36


if __name__ == "__main__":
    for path in CASES:
        given = path.read_bytes().decode().split(DASHES)[0]
        path.write_bytes((given + DASHES + answer(given, path)).encode())
