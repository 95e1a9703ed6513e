"""What documents become: the tools that clients list, and the bytes that services receive.

`tools/*.golden` hold a document and its tools, `calls/*.golden` calls of the documents in `tests/data/openapi` and what
is sent. `python tests/golden/openapi/test_openapi_golden.py` writes the expected halves anew; read the difference
before committing it.
"""

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from heddle.wire.errors import ProtocolError
from heddle.wire.openapi.document import read_document
from heddle.wire.openapi.request import build_request
from heddle.wire.openapi.selection import Selection

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "data" / "openapi"
TOOLS = sorted((HERE / "tools").glob("*.golden"))
CALLS = sorted((HERE / "calls").glob("*.golden"))
DASHES = "\n----\n"


def service(document):
    return read_document(document, base_url="http://127.0.0.1:9303", selection=Selection(deprecated=True))


def tools(given: str) -> str:
    listed = [one.tool for one in service(yaml.safe_load(given)).operations]
    return json.dumps(listed, indent=1, ensure_ascii=False) + "\n"


def calls(given: str) -> str:
    asked = yaml.safe_load(given)
    document = yaml.safe_load((DATA / asked["document"]).read_text())
    by_name = {one.name: one for one in service(document).operations}
    return "\n".join(sent(by_name[call["tool"]], call.get("arguments", {})) for call in asked["calls"])


def sent(operation, arguments) -> str:
    try:
        call = build_request(operation, arguments)
    except ProtocolError as error:
        return f"refused {error.param}: {error.detail}\n"
    lines = [f"{call.method} {call.target.decode()}", *(f"{n.decode()}: {v.decode()}" for n, v in call.headers)]
    lines += [f"content-type: {call.content_type}"] if call.content_type else []
    body = call.body.decode("utf-8", errors="backslashreplace").replace("\r", "")
    return "\n".join([*lines, *(["", body] if body else []), ""])


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.stem)
def test_tools(path: Path) -> None:
    given, expected = path.read_text().split(DASHES)
    written = tools(given)
    assert written == expected
    for tool in json.loads(written):
        for key in ("inputSchema", "outputSchema"):
            jsonschema_rs.meta.validate(
                {"$schema": "https://json-schema.org/draft/2020-12/schema", **tool.get(key, {})}
            )
            # Compiling follows every reference.
            jsonschema_rs.Draft202012Validator(tool.get(key, {}))


@pytest.mark.parametrize("path", CALLS, ids=lambda path: path.stem)
def test_calls(path: Path) -> None:
    given, expected = path.read_text().split(DASHES)
    assert calls(given) == expected


def test_there_are_cases() -> None:
    assert len(TOOLS) >= 6
    assert len(CALLS) >= 3


if __name__ == "__main__":
    for cases, made in ((TOOLS, tools), (CALLS, calls)):
        for path in cases:
            given = path.read_text().split(DASHES)[0]
            path.write_text(f"{given}{DASHES}{made(given)}")
