"""Google's SDK and OpenAI's through the real door, to a stand-in for Google and to the offline model."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from openai import OpenAI
from tests.e2e.running import RunningMesh, running_mesh

KEY = "sk-test-123"
CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: google, type: gemini, base_url: "http://127.0.0.1:GOOGLE/v1beta", api_key: "file:FOLDER/google"}}
    - name: cloud
      type: vertex
      base_url: "http://127.0.0.1:GOOGLE/v1"
      api_key: "file:FOLDER/account"
      options: {{location: europe-west4}}
    - {{name: offline, type: scripted, options: {{tokens_per_s: 0, first_token_s: 0}}}}
  models:
    - {{name: gemini-3-pro, provider: google}}
    - {{name: renamed, provider: google, model: gemini-3-flash}}
    - {{name: on-vertex, provider: cloud, model: gemini-3-pro}}
    - {{name: embedder, provider: google, model: gemini-embedding-001}}
    - {{name: gemini-embedding-001, provider: google}}
    - {{name: offline, provider: offline}}
security:
  authentication: {{type: api_key, keys: [{{key: "sk-test-123", user: alice, tenant: t, agent: a}}]}}
authorization:
  policies: [{{name: all, match: {{tenant: t}}, resources: ["model:*"], action: allow}}]
observability: {{logging: {{output: [{{type: file, path: access.log}}]}}}}
"""

USED = {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "cachedContentTokenCount": 4}
TEXT = {"text": "hello"}
CALLS = [
    {"functionCall": {"name": "look", "args": {"at": "a"}}, "thoughtSignature": "AAAA"},
    {"functionCall": {"name": "look", "args": {"at": "b"}}},
]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


class Google:
    """What is asked of Google, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.tokens = 0
        self.cut = False

    def last(self) -> dict[str, object]:
        return json.loads(self.asked[-1][2])

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path == "/token":
            self.tokens += 1
            return 200, b'{"access_token":"ya29.token","expires_in":3600,"token_type":"Bearer"}'
        method = path.partition("?")[0].rpartition(":")[2]
        if b"exhaust" in body:
            delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
            error = {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED", "details": [delay]}
            return 429, json.dumps({"error": error}).encode()
        if method == "batchEmbedContents":
            count = len(json.loads(body)["requests"])
            return 200, json.dumps({"embeddings": [{"values": [0.5, 1.0]}] * count}).encode()
        if method == "embedContent":
            return 200, b'{"embedding":{"values":[0.5,1.0]}}'
        if method == "countTokens":
            return 200, b'{"totalTokens":42}'
        parts = CALLS if b"functionDeclarations" in body else [{"text": "hm", "thought": True}, TEXT]
        if method == "generateContent":
            return 200, json.dumps(self.chunk(*parts, finish="STOP", usageMetadata=USED)).encode()
        last = [] if self.cut else [self.chunk({"text": ""}, finish="STOP", usageMetadata=USED)]
        chunks = [*[self.chunk(part) for part in parts], *last]
        return 200, b"".join(b"data: %b\r\n\r\n" % json.dumps(chunk).encode() for chunk in chunks)

    @staticmethod
    def chunk(*parts: object, finish: str | None = None, **fields: object) -> dict[str, object]:
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}
        return {"candidates": [candidate], "modelVersion": "gemini-3-pro-001", "responseId": "r1", **fields}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Google, int]]:
    google = Google()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            google.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            status, said = google.answer(self.path, body)
            self.send_response(status)
            self.send_header("content-type", "text/event-stream" if said.startswith(b"data:") else "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield google, server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, served: tuple[Google, int]) -> Iterator[RunningMesh]:
    folder = tmp_path_factory.mktemp("gemini")
    (folder / "google").write_text("AIza-google")
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    account = {
        "type": "service_account", "client_email": "me@p", "private_key": key.decode(), "project_id": "p",
        "token_uri": f"http://127.0.0.1:{served[1]}/token",
    }  # fmt: skip
    (folder / "account").write_text(json.dumps(account))
    config = CONFIG.replace("GOOGLE", str(served[1])).replace("FOLDER", str(folder))
    with running_mesh(folder / "mesh", config) as running:
        yield running


@pytest.fixture
def google(served: tuple[Google, int]) -> Google:
    served[0].asked.clear()
    served[0].cut = False
    return served[0]


@pytest.fixture
def gemini(mesh: RunningMesh) -> Iterator[genai.Client]:
    retry = types.HttpRetryOptions(attempts=1)
    options = types.HttpOptions(
        base_url=f"http://127.0.0.1:{mesh.port}",
        api_version="v1beta",
        retry_options=retry,
        headers={"authorization": f"Bearer {KEY}"},
    )
    with genai.Client(api_key=KEY, http_options=options) as client:
        yield client


@pytest.fixture
def openai(mesh: RunningMesh) -> Iterator[OpenAI]:
    with OpenAI(base_url=mesh.url, api_key=KEY, max_retries=0) as client:
        yield client


def test_googles_sdk_to_google(gemini, google):
    answer = gemini.models.generate_content(model="gemini-3-pro", contents="hi")
    assert (answer.text, answer.usage_metadata.prompt_token_count) == ("hello", 9)
    path, headers, _ = google.asked[-1]
    assert path == "/v1beta/models/gemini-3-pro:generateContent"
    assert headers["x-goog-api-key"] == "AIza-google"
    chunks = list(gemini.models.generate_content_stream(model="renamed", contents="hi"))
    assert "".join(chunk.text or "" for chunk in chunks) == "hello"
    assert google.asked[-1][0] == "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse"
    assert KEY not in str(google.asked)


def test_embeddings_and_counts_of_google(gemini, google):
    answer = gemini.models.embed_content(model="embedder", contents=["a", "b"])
    assert [one.values for one in answer.embeddings] == [[0.5, 1.0]] * 2
    assert [one["model"] for one in google.last()["requests"]] == ["models/gemini-embedding-001"] * 2
    assert gemini.models.count_tokens(model="gemini-3-pro", contents="hi").total_tokens == 42


def test_openais_sdk_to_google(openai, google):
    asked = {"model": "gemini-3-pro", "messages": [{"role": "user", "content": "hi"}]}
    answer = openai.chat.completions.create(**asked)
    assert answer.choices[0].message.content == "hello"
    used = answer.usage
    assert (used.prompt_tokens, used.completion_tokens, used.prompt_tokens_details.cached_tokens) == (9, 5, 4)
    chunks = list(openai.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "hello"
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens == 2


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tools_between_openai_and_google(openai, google, stream):
    messages = [{"role": "user", "content": "hi"}]
    asked = {"model": "gemini-3-pro", "messages": messages, "tools": [TOOL]}
    if stream:
        with openai.chat.completions.stream(**asked) as events:
            for _ in events:
                pass
            said = events.get_final_completion().choices[0]
    else:
        said = openai.chat.completions.create(**asked).choices[0]
    calls = said.message.tool_calls
    assert said.finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments) for call in calls] == [{"at": "a"}, {"at": "b"}]
    assert len({call.id for call in calls}) == 2
    messages.append({
        "role": "assistant",
        "tool_calls": [
            {"id": call.id, "type": "function", "function": {"name": "look", "arguments": call.function.arguments}}
            for call in calls
        ],
    })  # fmt: skip
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "seen"} for call in calls]
    openai.chat.completions.create(**asked)
    _, model, results = google.last()["contents"]
    assert [part["functionCall"]["args"] for part in model["parts"]] == [{"at": "a"}, {"at": "b"}]
    assert "thoughtSignature" in model["parts"][0]
    assert [part["functionResponse"]["response"] for part in results["parts"]] == [{"output": "seen"}] * 2


def test_openais_embeddings_from_google(openai, google):
    answer = openai.embeddings.create(model="embedder", input=["a", "b"], dimensions=2)
    assert [one.embedding for one in answer.data] == [[0.5, 1.0]] * 2
    assert google.last()["requests"][0]["outputDimensionality"] == 2


def test_googles_sdk_to_another_vendor(gemini):
    answer = gemini.models.generate_content(model="offline", contents="Say hello to the weavers.")
    assert answer.text
    assert answer.candidates[0].finish_reason == "STOP"
    chunks = list(gemini.models.generate_content_stream(model="offline", contents="Say hello to the weavers."))
    assert "".join(chunk.text or "" for chunk in chunks) == answer.text
    assert chunks[-1].usage_metadata.total_token_count == answer.usage_metadata.total_token_count


def test_vertex_with_a_service_account(gemini, google):
    before = google.tokens
    for _ in range(3):
        assert gemini.models.generate_content(model="on-vertex", contents="hi").text == "hello"
    path, headers, _ = google.asked[-1]
    assert path == "/v1/projects/p/locations/europe-west4/publishers/google/models/gemini-3-pro:generateContent"
    assert headers["authorization"] == "Bearer ya29.token"
    assert google.tokens - before <= 1


def test_googles_sdk_for_vertex_to_a_key(mesh, google):
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{mesh.port}")
    credentials = Credentials(KEY)
    with genai.Client(
        vertexai=True, project="x", location="y", credentials=credentials, http_options=options
    ) as client:
        assert client.models.generate_content(model="gemini-3-pro", contents="hi").text == "hello"
        chunks = list(client.models.generate_content_stream(model="models/offline", contents="hi"))
        assert "".join(chunk.text or "" for chunk in chunks)
        config = types.EmbedContentConfig(output_dimensionality=2)
        embed = client.models.embed_content
        assert len(embed(model="gemini-embedding-001", contents=["a", "b"], config=config).embeddings) == 2
        assert google.last()["requests"][0]["outputDimensionality"] == 2
        assert len(embed(model="gemini-embedding-001", contents="a", config=config).embeddings) == 1


def test_limits_of_google(gemini, openai, google):
    with pytest.raises(errors.ClientError) as caught:
        gemini.models.generate_content(model="gemini-3-pro", contents="exhaust")
    assert (caught.value.code, caught.value.status, caught.value.message) == (429, "RESOURCE_EXHAUSTED", "Slow down.")
    answer = openai.chat.completions.with_raw_response
    with pytest.raises(Exception, match="Slow down") as refused:
        answer.create(model="gemini-3-pro", messages=[{"role": "user", "content": "exhaust"}])
    assert refused.value.response.headers["retry-after"] == "7"


def test_a_stream_that_ends_too_soon(gemini, google):
    google.cut = True
    with pytest.raises(errors.APIError):
        list(gemini.models.generate_content_stream(model="gemini-3-pro", contents="hi"))


def test_refusals_of_the_mesh_have_googles_form(gemini):
    with pytest.raises(errors.ClientError) as caught:
        gemini.models.generate_content(model="unknown", contents="hi")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


def test_the_models(gemini):
    assert "models/gemini-3-pro" in [model.name for model in gemini.models.list()]
