"""Speech, transcripts, pictures, moderation and rankings with the official SDK, through a running mesh to a vendor."""

import http.client
import json
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from tests.e2e.running import RunningMesh, eventually, running_mesh
from tests.e2e.servers import Asked, Server, reply, serving

CONFIG = """\
listeners:
  - {{{{name: llm, address: 127.0.0.1, port: {{port}}, protocol: HTTP}}}}
admin: {{{{address: 127.0.0.1, port: {{admin_port}}}}}}
llm:
  providers:
    - {{{{name: vendor, type: openai, base_url: "{vendor}/v1", api_key: sk-ours}}}}
    - {{{{name: ranks, type: cohere, base_url: "{vendor}/compatibility/v1", api_key: sk-ours}}}}
    - {{{{name: talks, type: anthropic, base_url: "{vendor}", api_key: sk-ours}}}}
  models:
    - {{{{name: voice, provider: vendor, model: tts-1}}}}
    - {{{{name: ears, provider: vendor, model: whisper-1}}}}
    - {{{{name: ranker, provider: ranks, model: rerank-v3.5}}}}
    - {{{{name: claude, provider: talks}}}}
    - {{{{name: "*", provider: vendor}}}}
security:
  authentication:
    type: api_key
    keys:
      - {{{{key: "sk-test-123", user: alice, tenant: dev-team, agent: planner}}}}
authorization:
  policies:
    - {{{{name: dev, match: {{{{kubernetes: {{{{namespace: dev-team}}}}}}}}, resources: ["model:*"], action: allow}}}}
observability: {{{{logging: {{{{output: [{{{{type: file, path: access.log}}}}]}}}}}}}}
"""
PICTURE = {"input_tokens": 10, "output_tokens": 272, "total_tokens": 282,
           "input_tokens_details": {"text_tokens": 10, "image_tokens": 0}}  # fmt: skip
TRANSCRIPT = b"".join(
    b"data: %b\n\n" % json.dumps(one).encode()
    for one in (
        {"type": "transcript.text.delta", "delta": "Hel"},
        {
            "type": "transcript.text.done",
            "text": "Hello",
            "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59},
        },
    )
)
MODERATION = {"id": "modr-1", "model": "omni", "results": [
    {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}]}  # fmt: skip


def cut(sock: socket.socket) -> None:
    """Sound of which half arrives."""
    sock.sendall(b"HTTP/1.1 200 X\r\ncontent-type: audio/mpeg\r\ncontent-length: 1000\r\n\r\nID3 half")
    sock.shutdown(socket.SHUT_RDWR)


def vendor(asked: Asked) -> object:
    events = {"content_type": "text/event-stream"}
    match asked.target:
        case "/v1/audio/speech" if b"broken" in asked.body:
            return cut
        case "/v1/audio/speech" if b'"sse"' in asked.body:
            done = {"type": "speech.audio.done", "usage": {"input_tokens": 4, "output_tokens": 50, "total_tokens": 54}}
            return reply(200, b"data: %b\n\n" % json.dumps(done).encode(), **events)
        case "/v1/audio/speech" if b"page" in asked.body:
            return reply(200, b"<script>", content_type="text/html")
        case "/v1/audio/speech":
            return reply(200, b"ID3\x04\x00sound" * 1000, content_type="audio/mpeg")
        case "/v1/audio/transcriptions" if b"\r\n\r\nvtt\r\n" in asked.body:
            return reply(200, b"WEBVTT\n\nHello", content_type="text/vtt; charset=utf-8")
        case "/v1/audio/transcriptions" if b"\r\n\r\ntrue\r\n" in asked.body:
            return reply(200, TRANSCRIPT, **events)
        case "/v1/audio/transcriptions" | "/v1/audio/translations":
            return reply(200, b'{"text":"Hello","usage":{"type":"duration","seconds":3600}}')
        case "/v1/images/generations" | "/v1/images/edits":
            return reply(200, json.dumps({"created": 1, "data": [{"b64_json": "aGk="}], "usage": PICTURE}).encode())
        case "/v1/moderations":
            return reply(200, json.dumps(MODERATION).encode())
        case "/v2/rerank":
            return reply(200, b'{"id":"r","results":[{"index":1,"relevance_score":0.9}],"meta":{"billed_units":{}}}')
    return reply(404, b'{"error":{"message":"no such path","type":"x","code":null}}')


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningMesh, Server]]:
    folder: Path = tmp_path_factory.mktemp("media")
    with serving(vendor) as server, running_mesh(folder, CONFIG.format(vendor=server.url)) as mesh:  # type: ignore[arg-type]
        yield mesh, server


@pytest.fixture
def trace() -> str:
    """The trace of this test's calls."""
    return secrets.token_hex(16)


@pytest.fixture
def client(world: tuple[RunningMesh, Server], trace: str) -> Iterator[openai.OpenAI]:
    fields = {"traceparent": f"00-{trace}-00f067aa0ba902b7-00"}
    with openai.OpenAI(base_url=world[0].url, api_key="sk-test-123", max_retries=0, default_headers=fields) as made:
        yield made


def told(mesh: RunningMesh, trace: str) -> dict[str, object]:
    """The record of the call with this trace."""
    eventually(lambda: [one for one in mesh.records() if one["trace_id"] == trace])
    return next(one for one in mesh.records() if one["trace_id"] == trace)


def test_speech_streams_through_as_it_is_and_is_priced_by_its_characters(
    world: tuple[RunningMesh, Server], client: openai.OpenAI, trace: str
) -> None:
    mesh, server = world
    spoken = client.audio.speech.create(model="voice", voice="alloy", input="hello" * 100)
    assert spoken.content == b"ID3\x04\x00sound" * 1000
    assert spoken.response.headers["content-type"] == "audio/mpeg"
    asked = server.asked[-1]
    assert json.loads(asked.body)["model"] == "tts-1"
    assert (asked.header("authorization"), asked.header("accept")) == ("Bearer sk-ours", "*/*")
    record = told(mesh, trace)
    assert (record["operation"], record["status"], record["estimated"]) == ("speech", 200, True)
    assert record["cost_usd"] == pytest.approx(500 * 15 / 1e6)


def test_speech_as_events_says_what_it_used(
    world: tuple[RunningMesh, Server], client: openai.OpenAI, trace: str
) -> None:
    mesh, _ = world
    spoken = client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="hi", stream_format="sse")
    assert b"speech.audio.done" in spoken.content
    record = told(mesh, trace)
    assert (record["input_tokens"], record["output_tokens"]) == (4, 50)
    assert record["cost_usd"] == pytest.approx((4 * 0.6 + 50 * 12) / 1e6)


def test_sound_that_breaks_is_cut_and_not_ended(
    world: tuple[RunningMesh, Server], client: openai.OpenAI, trace: str
) -> None:
    mesh, _ = world
    with pytest.raises(openai.APIConnectionError):
        client.audio.speech.create(model="voice", voice="alloy", input="broken")
    assert told(mesh, trace)["reason"] == "upstream_broken"


def test_an_answer_that_a_browser_would_run_does_not_pass(
    world: tuple[RunningMesh, Server], client: openai.OpenAI
) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.audio.speech.create(model="voice", voice="alloy", input="page")
    assert caught.value.status_code == 502


def test_a_transcription_is_forwarded_with_its_model_renamed_and_priced_by_the_hour(
    world: tuple[RunningMesh, Server], client: openai.OpenAI, trace: str
) -> None:
    mesh, server = world
    sound = bytes(range(256)) * 40
    heard = client.audio.transcriptions.create(model="ears", file=("a.wav", sound), language="en")
    assert heard.text == "Hello"
    asked = server.asked[-1]
    assert b"\r\n\r\nwhisper-1\r\n" in asked.body
    assert sound in asked.body
    assert (asked.header("content-type") or "").startswith("multipart/form-data; boundary=")
    record = told(mesh, trace)
    assert (record["operation"], record["cost_usd"]) == ("transcription", pytest.approx(0.36))


def test_a_translation(client: openai.OpenAI) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert client.audio.translations.create(model="ears", file=("a.wav", b"sound")).text == "Hello"


def test_a_transcription_as_subtitles(client: openai.OpenAI) -> None:
    heard = client.audio.transcriptions.create(model="ears", file=("a.wav", b"sound"), response_format="vtt")
    assert str(heard).startswith("WEBVTT")


def test_a_transcription_as_a_stream(world: tuple[RunningMesh, Server], client: openai.OpenAI, trace: str) -> None:
    mesh, _ = world
    stream = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"sound"), stream=True)
    assert [event.type for event in stream] == ["transcript.text.delta", "transcript.text.done"]
    assert told(mesh, trace)["output_tokens"] == 45


def test_pictures(world: tuple[RunningMesh, Server], client: openai.OpenAI, trace: str) -> None:
    mesh, server = world
    made = client.images.generate(model="gpt-image-1", prompt="a loom")
    assert made.data is not None
    assert made.data[0].b64_json == "aGk="
    assert (told(mesh, trace)["output_tokens"], told(mesh, trace)["operation"]) == (272, "images")
    client.images.edit(model="gpt-image-1", prompt="more", image=[("a.png", b"one"), ("b.png", b"two")])
    assert server.asked[-1].target == "/v1/images/edits"


def test_moderation_without_a_model(world: tuple[RunningMesh, Server], client: openai.OpenAI) -> None:
    assert client.moderations.create(input="hello").results[0].flagged is False
    assert json.loads(world[1].asked[-1].body) == {"input": "hello"}


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_a_ranking_reaches_coheres_own_path(world: tuple[RunningMesh, Server], path: str) -> None:
    mesh, server = world
    body = {"model": "ranker", "query": "q", "documents": ["a", "b"], "top_n": 1}
    status, _, answer = mesh.post(body, path=path)
    assert (status, json.loads(answer)["results"][0]["index"]) == (200, 1)
    assert server.asked[-1].target == "/v2/rerank"
    assert json.loads(server.asked[-1].body) == {**body, "model": "rerank-v3.5"}


def test_a_vendor_of_another_kind_refuses_clearly(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="does not serve speech calls"):
        client.audio.speech.create(model="claude", voice="alloy", input="x")


def post_form(mesh: RunningMesh, body: bytes, **fields: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", mesh.port, timeout=10)
    sent = {"content-type": "multipart/form-data; boundary=XX", "authorization": "Bearer sk-test-123"}
    sent |= {name.replace("_", "-"): value for name, value in fields.items()}
    try:
        connection.request("POST", "/v1/audio/transcriptions", body=body, headers=sent)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


FORM = (
    b'--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\nears\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nsound\r\n--XX--\r\n'
)


@pytest.mark.parametrize(
    ("body", "fields", "status"),
    [
        (FORM, {}, 200),
        (FORM, {"sec_fetch_site": "same-origin"}, 200),
        (FORM, {"sec_fetch_site": "cross-site"}, 403),
        (FORM, {"origin": "https://elsewhere.example"}, 403),
        (FORM, {"origin": "null"}, 403),
        (FORM, {"content_type": "application/json"}, 415),
        (FORM, {"content_type": "multipart/form-data"}, 400),
        (FORM[:-6], {}, 400),
        (b"\r\n" + FORM, {}, 400),
        (b"", {}, 400),
        (FORM.replace(b"ears", b"e*"), {}, 400),
    ],
)
def test_forms_from_strangers_and_broken_ones_are_refused(
    world: tuple[RunningMesh, Server], body: bytes, fields: dict[str, str], status: int
) -> None:
    assert post_form(world[0], body, **fields)[0] == status
