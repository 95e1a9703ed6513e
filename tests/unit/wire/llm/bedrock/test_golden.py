"""Golden requests: canonical to Converse, judged by the service model, and Converse to canonical."""

import json
from pathlib import Path

import msgspec
import pytest
from tests.unit.wire.llm.bedrock.stand_in import judge

from heddle.wire.canonical.request import ChatRequest
from heddle.wire.canonical.rules import Notes
from heddle.wire.llm.bedrock import codec, dialect, vendor

GOLDEN = Path(__file__).parents[4] / "golden" / "bedrock"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def cases(folder):
    files = sorted((GOLDEN / folder).glob("*.txt"))
    assert files
    return [pytest.param(*file.read_text().split("\n----\n"), id=file.stem) for file in files]


def slim(value):
    """Without what was not stated."""
    if isinstance(value, dict):
        return {key: slim(inner) for key, inner in value.items() if inner is not None and inner not in ("", [], ())}
    return [slim(inner) for inner in value] if isinstance(value, list | tuple) else value


def shown(value):
    return json.dumps(value, indent=1, ensure_ascii=False)


@pytest.mark.parametrize(("given", "expected"), cases("vendor"))
def test_a_canonical_request_for_bedrock(given, expected):
    document = json.loads(given)
    model = document.pop("model", CLAUDE)
    request = msgspec.convert({"model": "asked", **document}, ChatRequest)
    notes = Notes()
    body = json.loads(vendor.encode_chat(request, model, notes))
    judge(body, model=model)
    assert f"{notes.header().decode()}\n{shown(body)}" == expected.rstrip("\n")


@pytest.mark.parametrize(("given", "expected"), cases("request"))
def test_a_request_of_converse_in_the_canonical_form(given, expected):
    judge(json.loads(given))
    body = given.encode()
    call = codec.decode_request(body, "/model/asked/converse")
    assert shown(slim(msgspec.to_builtins(dialect.decode_chat(body, call)))) == expected.rstrip("\n")
