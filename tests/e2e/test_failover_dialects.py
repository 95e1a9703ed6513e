"""Failover between vendors of different formats, and what is left of an attempt that was given up."""

import json
import socket
from collections.abc import Callable, Iterator

import pytest
from tests.e2e.running import RunningMesh, eventually, running_mesh
from tests.e2e.servers import Answer, Asked, Server, reply, serving

CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: gpt, type: openai, base_url: "VENDOR/v1", api_key: sk-ours}}
    - {{name: claude, type: anthropic, base_url: "VENDOR", api_key: sk-ours}}
    - {{name: google, type: gemini, base_url: "VENDOR/v1beta", api_key: sk-ours}}
  retry: {{cooldown: 0s, budget: 1}}
  models:
    - name: claude-first
      targets: [{{provider: claude, first_token: 500ms}}, {{provider: gpt, model: next, priority: 1}}]
    - name: gpt-first
      targets: [{{provider: gpt, first_token: 500ms}}, {{provider: claude, model: next, priority: 1}}]
    - name: google-first
      targets: [{{provider: google, first_token: 500ms}}, {{provider: gpt, model: next, priority: 1}}]
    - {{name: embedder, provider: google}}
security:
  authentication: {{type: api_key, keys: [{{key: "sk-test-123", user: alice, tenant: t, agent: a}}]}}
authorization:
  policies: [{{name: all, match: {{tenant: t}}, resources: ["model:*"], action: allow}}]
observability: {{logging: {{output: [{{type: file, path: access.log}}]}}}}
"""

USED = {"input_tokens": 7, "output_tokens": 5}
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "next", "content": [], "usage": USED}
CLAUDE = [
    b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode())
    for event in (
        {"type": "message_start", "message": {**MESSAGE, "usage": {"input_tokens": 7, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USED},
        {"type": "message_stop"},
    )
]
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "next"}
GPT = [
    *(
        b"data: %b\n\n" % json.dumps({**CHUNK, **more}).encode()
        for more in (
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "hello"}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}},
        )
    ),
    b"data: [DONE]\n\n",
]
# The first chunks of Google's streams count the prompt only.
GOOGLE = [
    b"data: %b\n\n"
    % json.dumps(
        {
            "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "hello, caller"}]}}],
            "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7},
        }
    ).encode()
]


class Vendors:
    """All three vendors at one address, each answering as it is told."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}

    def __call__(self, asked: Asked) -> Answer:
        vendor = "claude" if "/messages" in asked.target else "google" if "/v1beta/" in asked.target else "gpt"
        return self.answers[vendor]


def stream(pieces: list[bytes], after: Callable[[socket.socket], None] | None = None) -> Answer:
    """These events, then the end or whatever `after` does."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    sent = head + b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces])
    if after is None:
        return sent + b"0\r\n\r\n"

    def write(sock: socket.socket) -> None:
        sock.sendall(sent)
        after(sock)

    return write


def silence(sock: socket.socket) -> None:
    """Nothing more; an OSError, which the server notes, when the other side leaves."""
    sock.settimeout(20)
    if not sock.recv(1):
        raise ConnectionResetError


def cut(sock: socket.socket) -> None:
    del sock
    raise ConnectionResetError


@pytest.fixture(scope="module")
def vendors() -> Vendors:
    return Vendors()


@pytest.fixture(scope="module")
def server(vendors: Vendors) -> Iterator[Server]:
    with serving(vendors) as running:
        yield running


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[RunningMesh]:
    with running_mesh(tmp_path_factory.mktemp("dialects"), CONFIG.replace("VENDOR", server.url)) as running:
        yield running


def ask(model: str) -> dict[str, object]:
    return {"model": model, "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("after", [silence, cut], ids=["stalls", "is-cut"])
def test_a_message_that_only_began_leads_on_though_it_counts_a_token(mesh, server, vendors, after):
    vendors.answers = {"claude": stream(CLAUDE[:1], after), "gpt": stream(GPT)}
    closed = len(server.closed)
    status, _, data = mesh.post(ask("claude-first"), path="/v1/messages")
    assert status == 200
    assert b"hello" in data
    assert data.count(b"event: message_start") == 1
    assert b"event: message_stop" in data
    eventually(lambda: len(server.closed) == closed + 1)


@pytest.mark.parametrize("failing", [reply(500), reply(429), None, stream([], silence)])
def test_the_vendor_of_the_callers_format_passes_bytes_untouched_after_another_failed(mesh, vendors, failing):
    vendors.answers = {"gpt": failing, "claude": stream(CLAUDE)}
    status, headers, data = mesh.post(ask("gpt-first"), path="/v1/messages")
    assert (status, data) == (200, b"".join(CLAUDE))
    assert "x-heddle-translation" not in headers


def test_text_is_a_first_token_before_it_is_counted(mesh, vendors):
    vendors.answers = {"google": stream(GOOGLE, silence), "gpt": stream(GPT)}
    path = "/v1beta/models/google-first:streamGenerateContent?alt=sse"
    body = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
    with socket.create_connection(("127.0.0.1", mesh.port), timeout=5) as sock:
        sock.sendall(_request(path, body))
        seen = b""
        while b"hello, caller" not in seen:
            data = sock.recv(65536)
            assert data, f"the stream ended after {seen!r}"
            seen += data
        sock.shutdown(socket.SHUT_RDWR)


def test_a_stream_that_broke_is_billed_for_the_text_that_was_seen(mesh, vendors):
    vendors.answers = {"google": stream(GOOGLE, cut)}
    with socket.create_connection(("127.0.0.1", mesh.port), timeout=5) as sock:
        body = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'
        sock.sendall(_request("/v1beta/models/embedder:streamGenerateContent?alt=sse", body))
        while sock.recv(65536):
            pass
    eventually(lambda: [one for one in mesh.records() if one["model"] == "embedder"])
    record = next(one for one in mesh.records() if one["model"] == "embedder")
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (7, 4, True)


def test_translated_embeddings_of_a_caller_who_left_do_not_keep_their_connection(mesh, server, vendors):
    def begin(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
        silence(sock)

    vendors.answers = {"google": begin}
    closed, asked = len(server.closed), len(server.asked)
    with socket.create_connection(("127.0.0.1", mesh.port), timeout=5) as sock:
        sock.sendall(_request("/v1/embeddings", b'{"model":"embedder","input":"hi"}'))
        eventually(lambda: len(server.asked) > asked)
    eventually(lambda: len(server.closed) > closed, within_s=5.0)


def _request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-test-123\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
