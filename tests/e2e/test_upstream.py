"""What a provider behind HTTP gets to see, and what its failures become for the caller."""

import json
import socket
import struct
import time
from queue import Queue

import openai
import pytest
from openai import OpenAI
from tests.e2e.running import eventually, running_mesh
from tests.e2e.servers import Asked, hung_up, reply, serving
from tests.proofs.inputs import request

KEY = "sk-test-123"
BODY = (
    b'{ "messages":[{"content":"caf\\u00e9 \xe2\x98\x95","role":"user"} ],\n\t"zz_unknown": {"b":1,"a":[1.0,2e0,-0]},'
    b'"model" : "@", "temperature":1.00 , "seed": 123456789012345678901234567890}  '
)
USAGE = b'"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}'
WHOLE = (
    b'{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"}}],%b}'
    % USAGE
)
EVENTS = [
    b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"%b"}}],"usage":null}\n\n' % word
    for word in (b"a", b"b", b"c")
]
STOP = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
LAST = b'data: {"id":"1","choices":[],' + USAGE + b"}\n\n"
DONE = b"data: [DONE]\n\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - name: vendor
      type: openai
      base_url: "@URL@/v1"
      api_key: sk-vendor
      timeouts: {{connect: 2s, first_byte: 1s, idle: 1s, total: 5s}}
  models:
    - {{name: "renamed-*", provider: vendor, model: vendor-name}}
    - {{name: "*", provider: vendor}}
security:
  authentication: {{type: api_key, keys: [{{key: sk-test-123, user: ann, tenant: t, agent: a}}]}}
observability: {{logging: {{output: [{{type: file, path: access.log}}]}}}}
"""


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


def stream(*events: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return STREAM_HEAD + b"".join(chunk(event) for event in events) + end


def reset(sock: socket.socket) -> None:
    """Close so that the other side gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def after(data: bytes, then):
    """Send, then do something else with the connection."""

    def act(sock: socket.socket) -> None:
        sock.sendall(data)
        then(sock)

    return act


class Provider:
    """Answers by the model's name; watches how its connections end."""

    def __init__(self) -> None:
        self.gone: Queue[float] = Queue()
        """When a caller's departure was noticed on a connection that was being waited on."""

    def watch(self, sock: socket.socket) -> None:
        if hung_up(sock, 4.0):
            self.gone.put(time.monotonic())
        raise OSError("finished")

    def __call__(self, asked: Asked):
        call = json.loads(asked.body)
        if call.get("stream"):
            return self.streamed(call["model"])
        return {
            "bad-request": reply(400, b'{"error":{"message":"too long","type":"x","param":"messages","code":"ctx"}}'),
            "unauthorized": reply(401, b'{"error":{"message":"Incorrect API key provided: sk-vendor"}}'),
            "not-found": reply(404, b'{"error":{"message":"no such model","type":"x","param":null,"code":null}}'),
            "limited": reply(429, b'{"error":{"message":"slow down","type":"x","param":null,"code":"rate"}}',
                             retry_after="17", x_ratelimit_remaining_requests="0"),
            "broken": reply(500, b"<html>stack trace of the vendor</html>"),
            "teapot": reply(302, b"", location="http://elsewhere/"),
            "garbage": reply(200, b"<html>hello</html>", content_type="text/html"),
            "no-http": after(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", lambda _: None),
            "short": after(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{", reset),
            "huge": self.enormous,
            "huge-error": reply(400, b'{"error":{"message":"' + b"x" * 1_000_000 + b'"}}'),
            "smuggled": after(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", lambda _: None),
            "slow": self.watch,
            "reset": reset,
            "silent-close": None,
        }.get(call["model"], reply(200, WHOLE))  # fmt: skip

    def streamed(self, model: str):
        return {
            "reset": after(stream(*EVENTS[:2], end=b""), lambda sock: (time.sleep(0.1), reset(sock))),
            "cut": after(stream(*EVENTS[:2], end=b""), lambda sock: sock.shutdown(socket.SHUT_RDWR)),
            "ends-early": stream(*EVENTS[:2]),
            "silent": after(stream(EVENTS[0], end=b""), self.watch),
            "endless": self.endless,
            "no-stream": reply(200, WHOLE),
            "limited": reply(429, b'{"error":{"message":"slow down","type":"x","param":null,"code":"rate"}}'),
        }.get(model, stream(*EVENTS, STOP, LAST, DONE))

    def enormous(self, sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
        for _ in range(80):
            sock.sendall(b" " * 1_000_000)
        raise OSError("all of it was taken")

    def endless(self, sock: socket.socket) -> None:
        sock.sendall(STREAM_HEAD)
        try:
            while True:
                sock.sendall(chunk(EVENTS[0]))
                time.sleep(0.01)
        except OSError:
            self.gone.put(time.monotonic())
            raise


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    provider = Provider()
    with (
        serving(provider) as server,
        running_mesh(tmp_path_factory.mktemp("upstream"), CONFIG.replace("@URL@", server.url)) as mesh,
    ):
        yield mesh, server, provider


def call(model: str, **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}


# What is sent


def test_the_callers_bytes_are_not_touched(stage):
    mesh, server, _ = stage
    server.asked.clear()
    body = BODY.replace(b"@", b"anything")
    assert mesh.post(body)[0] == 200
    assert server.asked[0].body == body
    assert (server.asked[0].method, server.asked[0].target) == ("POST", "/v1/chat/completions")


def test_only_the_model_is_renamed(stage):
    mesh, server, _ = stage
    server.asked.clear()
    assert mesh.post(BODY.replace(b"@", b"renamed-x"))[0] == 200
    # The top level is written anew; every value but the model's keeps its bytes.
    assert server.asked[0].body == (
        b'{"messages":[{"content":"caf\\u00e9 \xe2\x98\x95","role":"user"} ],"zz_unknown":{"b":1,"a":[1.0,2e0,-0]},'
        b'"model":"vendor-name","temperature":1.00,"seed":123456789012345678901234567890}'
    )


def test_compressed_and_chunked_bodies_arrive_plain(stage):
    mesh, server, _ = stage
    server.asked.clear()
    body = BODY.replace(b"@", b"anything")
    head = request(b"").replace(b"content-length: 0", b"transfer-encoding: chunked\r\nconnection: close")
    pieces = b"".join(chunk(body[at : at + 7]) for at in range(0, len(body), 7))
    assert mesh.raw(head + pieces + b"0\r\nx-trailer: 1\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert server.asked[0].body == body
    assert server.asked[0].header("content-length") == str(len(body))
    assert server.asked[0].header("x-trailer") is None


WITHHELD = (
    "cookie", "x_forwarded_for", "forwarded", "openai_organization", "openai_project", "x_custom", "idempotency_key",
    "proxy_authorization", "referer", "x_real_ip", "x_stainless_os",
)  # fmt: skip


def test_of_the_callers_fields_only_harmless_ones_go_on(stage):
    mesh, server, _ = stage
    server.asked.clear()
    secret = dict.fromkeys(WITHHELD, "callers-own")
    assert mesh.post(call("x"), openai_beta="assistants=v2", **secret)[0] == 200
    (asked,) = server.asked
    fields = dict(asked.fields)
    assert "callers-own" not in fields.values()
    assert KEY not in str(asked.fields)
    assert fields["authorization"] == "Bearer sk-vendor"
    assert fields["openai-beta"] == "assistants=v2"
    assert fields["host"] == server.url.removeprefix("http://")
    assert set(fields) == {
        "host", "authorization", "content-type", "content-length", "accept", "accept-encoding", "user-agent",
        "openai-beta", "traceparent", "b3",
    }  # fmt: skip


def test_usage_is_asked_for_and_hidden(stage):
    mesh, server, _ = stage
    server.asked.clear()
    status, record = mesh.recorded(call("x", stream=True))
    assert json.loads(server.asked[0].body)["stream_options"] == {"include_usage": True}
    assert (status, record["input_tokens"], record["output_tokens"]) == (200, 7, 5)
    assert "estimated" not in record
    _, headers, data = mesh.post(call("x", stream=True))
    assert headers["content-type"].startswith("text/event-stream")
    assert data.count(b"data: ") == 5
    assert b"prompt_tokens" not in data
    assert data.endswith(DONE)


def test_usage_that_the_caller_asked_for_is_shown(stage):
    mesh, server, _ = stage
    server.asked.clear()
    body = json.dumps(call("x", stream=True, stream_options={"include_usage": True})).encode()
    _, _, data = mesh.post(body)
    assert server.asked[0].body == body
    assert data == b"".join([*EVENTS, STOP, LAST, DONE])


def test_connections_are_used_again(stage):
    mesh, server, _ = stage
    server.asked.clear()
    for _ in range(5):
        mesh.post(call("x"))
        mesh.post(call("x", stream=True))
    assert len({asked.number for asked in server.asked}) == 1


# What comes back


@pytest.mark.parametrize(
    ("model", "status", "code", "said"),
    [
        ("bad-request", 400, "ctx", "too long"),
        ("not-found", 404, None, "no such model"),
        ("limited", 429, "rate", "slow down"),
        ("unauthorized", 502, "upstream_error", "credential"),
        ("broken", 500, "upstream_error", "status 500"),
        ("teapot", 502, "upstream_error", "status 302"),
        ("garbage", 502, "upstream_error", "cannot be read"),
        ("no-http", 502, "upstream_broken", "rules of HTTP"),
        ("smuggled", 502, "upstream_broken", "rules of HTTP"),
        ("short", 502, "upstream_broken", "closed the connection"),
        ("huge", 502, "upstream_error", "too large"),
        ("huge-error", 400, "upstream_error", "status 400"),
        ("slow", 504, "upstream_timeout", "did not begin to answer"),
        ("reset", 502, "upstream_broken", "closed the connection"),
        ("silent-close", 502, "upstream_broken", "closed the connection"),
    ],
)
def test_a_failure_of_the_provider(stage, model, status, code, said):
    mesh, _, _ = stage
    found, headers, data = mesh.post(call(model))
    error = json.loads(data)["error"]
    assert (found, error["code"]) == (status, code)
    assert said in error["message"]
    assert "sk-vendor" not in str(data)
    assert "vendor</html>" not in str(data)
    assert headers.get("retry-after") == ("17" if model == "limited" else None)
    assert headers.get("location") is None
    assert mesh.post(call("x"))[0] == 200, "the next call is not hurt"


def test_the_sdk_repeats_what_may_be_repeated(stage):
    mesh, server, _ = stage
    server.asked.clear()
    with OpenAI(base_url=mesh.url, api_key=KEY, max_retries=1) as client:
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="broken", messages=[{"role": "user", "content": "hi"}])
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="bad-request", messages=[{"role": "user", "content": "hi"}])
    assert [json.loads(asked.body)["model"] for asked in server.asked] == ["broken", "broken", "bad-request"]


@pytest.mark.parametrize("model", ["reset", "cut", "ends-early", "silent"])
def test_a_stream_that_breaks_ends_with_an_error_and_a_cut(stage, model):
    mesh, _, _ = stage
    body = json.dumps(call(model, stream=True)).encode()
    answer = mesh.raw(request(body))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"content":"a"' in answer
    assert b"[DONE]" not in answer
    assert not answer.endswith(b"0\r\n\r\n"), "a clean end would say that this is all"
    last = answer.rpartition(b"data: ")[2].partition(b"\n")[0]
    code = {"silent": "upstream_timeout"}.get(model, "upstream_broken")
    assert json.loads(last)["error"]["code"] == code
    with OpenAI(base_url=mesh.url, api_key=KEY, max_retries=0) as client, pytest.raises(openai.APIError):
        list(client.chat.completions.create(model=model, stream=True, messages=[{"role": "user", "content": "hi"}]))


def test_a_stream_that_fails_before_it_began_has_a_status(stage):
    mesh, _, _ = stage
    assert mesh.post(call("limited", stream=True))[0] == 429
    status, _, data = mesh.post(call("no-stream", stream=True))
    assert (status, json.loads(data)["error"]["code"]) == (502, "upstream_error")


@pytest.mark.parametrize(("model", "streamed"), [("slow", False), ("endless", True)])
def test_when_the_caller_leaves_so_does_the_upstream_call(stage, model, streamed):
    mesh, server, provider = stage
    while not provider.gone.empty():
        provider.gone.get()
    server.asked.clear()
    with socket.create_connection(("127.0.0.1", mesh.port), timeout=5) as sock:
        sock.sendall(request(json.dumps(call(model, stream=streamed)).encode()))
        if streamed:
            assert sock.recv(4096)
        else:
            eventually(lambda: server.asked)
    left = time.monotonic()
    assert provider.gone.get(timeout=3) - left < 0.6
