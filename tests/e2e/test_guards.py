"""Guards through the real door: masked, refused, counted, and exact in streams."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running import CONFIG, RunningMesh, eventually, running_mesh
from tests.property.guards_streams import read_bedrock

CARD = "4111 1111 1111 1111"
GUARDS = """\
guards:
  - {{name: no-keys, direction: request, recognisers: [secret], action: refuse}}
  - {{name: hide-ids, direction: request, scopes: [user], recognisers: [us_ssn], action: mask}}
  - {{name: no-bluebird, direction: response, phrases: [project bluebird], action: refuse}}
  - {{name: cards, direction: response, recognisers: [card], action: mask}}
  - {{name: seen, match: {{user: alice}}, direction: request, recognisers: [ipv4], action: log}}
observability:
  logging: {{output: [{{type: file, path: access.log}}], bodies: true}}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with running_mesh(tmp_path_factory.mktemp("guards"), CONFIG + GUARDS) as running:
        yield running


def ask(mesh: RunningMesh, content: str, **fields: object) -> tuple[int, bytes]:
    status, _, body = mesh.post({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}], **fields})
    return status, body


def streamed(body: bytes) -> str:
    events = [line[6:] for line in body.decode().splitlines() if line.startswith("data: {")]
    chunks = [json.loads(event) for event in events]
    return "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk.get("choices", ()))


def test_an_answer_is_masked_whole_and_streamed(mesh: RunningMesh):
    prompt = f"[[say Pay with {CARD}, or 4111 1111 1111 1112 if you must.]]"
    status, body = ask(mesh, prompt)
    expected = "Pay with [CARD], or 4111 1111 1111 1112 if you must."
    assert status == 200
    assert json.loads(body)["choices"][0]["message"]["content"] == expected
    status, body = ask(mesh, prompt, stream=True)
    assert status == 200
    assert streamed(body) == expected
    assert body.rstrip().endswith(b"data: [DONE]")
    assert b"1111 1111" not in body.replace(b"4111 1111 1111 1112", b"")


def said_in(dialect: str, mesh: RunningMesh, prompt: str) -> tuple[str, bytes]:
    """What a stream of another dialect says, as its SDK would gather it, and its bytes."""
    turn = {"role": "user", "content": prompt}
    path, body = {
        "anthropic": ("/v1/messages", {"model": "gpt-4o-mini", "max_tokens": 99, "stream": True, "messages": [turn]}),
        "responses": ("/v1/responses", {"model": "gpt-4o-mini", "stream": True, "input": [turn]}),
        "gemini": (
            "/v1beta/models/gpt-4o-mini:streamGenerateContent?alt=sse",
            {"contents": [{"role": "user", "parts": [{"text": prompt}]}]},
        ),
        "bedrock": (
            "/model/gpt-4o-mini/converse-stream",
            {"messages": [{"role": "user", "content": [{"text": prompt}]}]},
        ),
    }[dialect]
    status, _, data = mesh.post(body, path=path)
    assert status == 200, data
    if dialect == "bedrock":
        return read_bedrock(data).text, data
    events = [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: {")]
    if dialect == "gemini":
        parts = [part for event in events for part in event["candidates"][0].get("content", {}).get("parts", ())]
        return "".join(part.get("text", "") for part in parts), data
    kinds = ("content_block_delta", "response.output_text.delta")
    deltas = [event["delta"] for event in events if event["type"] in kinds]
    return "".join(delta if isinstance(delta, str) else delta.get("text", "") for delta in deltas), data


@pytest.mark.parametrize("dialect", ["anthropic", "responses", "gemini", "bedrock"])
def test_streams_of_other_dialects_are_masked_alike(mesh: RunningMesh, dialect: str):
    text, data = said_in(dialect, mesh, f"[[say Pay with {CARD}, or not.]]")
    assert text == "Pay with [CARD], or not."
    assert b"1111 1111" not in data


def test_a_secret_never_leaves(mesh: RunningMesh):
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    status, body = ask(mesh, f"what is {key}?")
    error = json.loads(body)["error"]
    assert status == 400
    assert error["code"] == "content_policy_violation"
    assert error["message"] == (
        "Refused by guard 'no-keys' for what the user says: it has what 'aws_access_key' looks for."
    )
    # The access record comes after the audit record: both are looked at.
    eventually(lambda: b'"audit":"guard"' in _records(mesh) and b'"reason":"guarded"' in _records(mesh))
    records = _records(mesh)
    assert key.encode() not in records
    assert b"aws_access_key in request user" in records


def _records(mesh: RunningMesh) -> bytes:
    return b"".join(path.read_bytes() for path in Path(mesh.config.parent).rglob("access.log"))


def test_a_stream_that_says_what_it_must_not_ends_with_an_error(mesh: RunningMesh):
    with pytest.raises(Exception, match="IncompleteRead"):
        ask(mesh, "[[say Meet me at Project  Bluebird tonight.]]", stream=True)
    status, body = ask(mesh, "[[say Meet me at PROJECT Bluebird tonight.]]")
    assert status == 400
    assert b"no-bluebird" in body


def test_findings_are_counted_and_untouched_calls_are_not(mesh: RunningMesh):
    status, _ = ask(mesh, "ping 192.168.1.1 twice, 192.168.1.2 once")
    assert status == 200

    def counted() -> bytes:
        return mesh.get("/metrics")[1]

    series = 'heddle_guard_decisions_total{guard="seen",action="log",scope="user",direction="request"} 2'
    eventually(lambda: series.encode() in counted())
    assert b"192.168" not in counted()


def test_what_is_sent_is_masked(mesh: RunningMesh):
    assert ask(mesh, "my number is 078-05-1120, thanks")[0] == 200
    eventually(lambda: b"my number is [US_SSN], thanks" in _records(mesh))
    assert b"078-05-1120" not in _records(mesh)
