"""Google's own SDK reads what is written here, and what it sends is read: over a socket, as it is used."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from heddle.model.call import Usage
from heddle.wire.canonical.answer import (
    Began,
    ChatAnswer,
    Choice,
    ChoiceEnded,
    Ended,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.canonical.embeddings import EmbedAnswer
from heddle.wire.canonical.request import Format, Media, Reasoning, Text, Thinking, ToolCall, ToolChoice, ToolResult
from heddle.wire.llm.codecs import CODECS, DIALECTS, EMBED_DIALECTS
from heddle.wire.llm.gemini import codec, count, models
from heddle.wire.llm.gemini.target import METHODS, read_target

THINKING = Thinking(text="hm", signature="anthropic.proof")
CALLS = (
    ToolCall(id="1", name="look", arguments='{"at":"a"}', signature="gemini.AA=="),
    ToolCall(id="2", name="look", arguments='{"at":"b"}'),
)
USAGE = Usage(input_tokens=9, output_tokens=5, cached_input_tokens=4, reasoning_tokens=2)


class Played:
    """What a server answers next, and what it was asked."""

    def __init__(self):
        self.calls = []
        self.requests = []
        self.answer = lambda call: b"{}"
        self.status = 200
        self.port = 0

    def reply(self, path, body):
        if not body:
            listed = [("gemini-3-pro", "up"), ("b", "up")]
            whole = path.partition("?")[0].endswith("models")
            return models.encode_list(listed) if whole else models.encode_model(*listed[0])
        dialect = METHODS[read_target(path).method]
        call = CODECS[dialect].decode_request(body, path)
        self.calls.append(call)
        if dialect in DIALECTS:
            self.requests.append(DIALECTS[dialect].decode_chat(body, call))
        return self.answer(call)


@pytest.fixture
def played():
    known = Played()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = known.reply(self.path, self.rfile.read(int(self.headers.get("content-length", 0))))
            self.send_response(known.status)
            self.send_header("content-type", "text/event-stream" if body.startswith(b"data:") else "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, format, *args):  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    known.port = server.server_port
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["key", "vertex"])
def client(request, played):
    options = types.HttpOptions(
        base_url=f"http://127.0.0.1:{played.port}", retry_options=types.HttpRetryOptions(attempts=1)
    )
    if request.param == "key":
        made = genai.Client(api_key="k", http_options=options)
    else:
        made = genai.Client(
            vertexai=True, project="p", location="europe-west4", credentials=Credentials("t"), http_options=options
        )
    with made:
        yield made


def whole(*parts, **fields):
    answer = ChatAnswer(id="r", model="m", choices=(Choice(parts=parts, **fields),), usage=USAGE)
    return lambda call: DIALECTS["gemini"].encode_answer(answer, call, 0)


def streamed(*events):
    def write(call):
        encoder = DIALECTS["gemini"].open_encoder(call, 0)
        return b"".join([encoder.encode(event) for event in events])

    return write


def test_a_plain_call(played, client):
    played.answer = whole(Text(text="hello"))
    answer = client.models.generate_content(model="gemini-3-pro", contents="hi")
    assert (answer.text, answer.response_id, answer.model_version) == ("hello", "r", "m")
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    used = answer.usage_metadata
    assert (used.prompt_token_count, used.candidates_token_count, used.thoughts_token_count) == (9, 3, 2)
    assert (used.cached_content_token_count, used.total_token_count) == (4, 14)
    (request,) = played.requests
    assert (request.model, request.messages[0].parts) == ("gemini-3-pro", (Text(text="hi"),))


def test_what_the_sdk_sends(played, client):
    played.answer = whole(Text(text="{}"))
    declared = types.FunctionDeclaration(name="f", description="d", parameters_json_schema={"type": "object"})
    client.models.generate_content(
        model="gemini-3-pro",
        contents=["hi", types.Part.from_bytes(data=b"\xff\xfe\xfb", mime_type="image/png")],
        config=types.GenerateContentConfig(
            system_instruction="be brief",
            temperature=0.5,
            top_k=3,
            max_output_tokens=7,
            stop_sequences=["x"],
            response_mime_type="application/json",
            response_schema={"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}},
            tools=[types.Tool(function_declarations=[declared])],
            tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level="LOW"),
            safety_settings=[types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="OFF")],
        ),
    )
    (request,) = played.requests
    system, user = request.messages
    assert (system.role, system.parts) == ("system", (Text(text="be brief"),))
    assert user.parts[1] == Media(kind="image", media_type="image/png", data="//77")
    assert (request.temperature, request.top_k, request.max_output_tokens, request.stop) == (0.5, 3, 7, ("x",))
    assert request.format == Format(
        kind="schema", schema='{"type":"object","properties":{"a":{"type":["string","null"]}}}'
    )
    assert json.loads(request.tools[0].schema) == {"type": "object"}
    assert request.tool_choice == ToolChoice(mode="required")
    assert request.reasoning == Reasoning(effort="low", show=True)
    assert request.other == ("safetySettings",)
    assert played.calls[0].max_output_tokens == 7


def test_parallel_calls_and_thoughts_go_round(played, client):
    played.answer = whole(THINKING, *CALLS, stop="tool_use")
    first = client.models.generate_content(model="gemini-3-pro", contents="hi")
    assert [(call.id, call.name, call.args) for call in first.function_calls] == [
        ("1", "look", {"at": "a"}),
        ("2", "look", {"at": "b"}),
    ]
    thought = first.candidates[0].content.parts[0]
    assert (thought.thought, thought.text) == (True, "hm")
    results = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "seen"}))
        for call in first.function_calls
    ]
    played.answer = whole(Text(text="done"))
    history = [types.UserContent("hi"), first.candidates[0].content, types.Content(role="user", parts=results)]
    assert client.models.generate_content(model="gemini-3-pro", contents=history).text == "done"
    _, said, answered = played.requests[-1].messages
    assert [part for part in said.parts if isinstance(part, Thinking)] == [THINKING]
    assert [(p.id, p.name, json.loads(p.arguments), p.signature) for p in said.parts if isinstance(p, ToolCall)] == [
        ("1", "look", {"at": "a"}, "gemini.AA=="),
        ("2", "look", {"at": "b"}, ""),
    ]
    assert answered.parts == tuple(
        ToolResult(call_id=ident, name="look", parts=(Text(text="seen"),)) for ident in ("1", "2")
    )


STREAM = (
    Began(id="r", model="m"),
    PartBegan(index=0, kind="thinking"),
    PartDelta(index=0, text="hm"),
    PartDelta(index=0, signature="anthropic.proof"),
    PartEnded(index=0),
    PartBegan(index=1, kind="text"),
    PartDelta(index=1, text="a"),
    PartDelta(index=1, text="b"),
    PartEnded(index=1),
    PartBegan(index=2, kind="tool_call", id="1", name="look"),
    PartBegan(index=3, kind="tool_call", id="2", name="look"),
    PartDelta(index=2, text='{"at"'),
    PartDelta(index=3, text='{"at":'),
    PartDelta(index=2, text=':"a"}'),
    PartDelta(index=3, text='"b"}'),
    PartEnded(index=2),
    PartEnded(index=3),
    ChoiceEnded(stop="tool_use"),
    Used(usage=USAGE),
    Ended(),
)


def test_a_stream(played, client):
    played.answer = streamed(*STREAM)
    chunks = list(client.models.generate_content_stream(model="models/gemini-3-pro", contents="hi"))
    parts = [part for one in chunks for part in one.candidates[0].content.parts]
    assert "".join(part.text for part in parts if part.text and not part.thought) == "ab"
    assert [call.args for one in chunks for call in one.function_calls or ()] == [{"at": "a"}, {"at": "b"}]
    assert [one.candidates[0].finish_reason for one in chunks if one.candidates[0].finish_reason] == ["STOP"]
    assert chunks[-1].usage_metadata.total_token_count == 14
    (call,) = played.calls
    assert (call.stream, call.model) == (True, "gemini-3-pro")


def test_an_error_inside_a_stream(played, client):
    event = codec.encode_error_event(502, "server_error", "upstream_broken", "It broke.", None)
    played.answer = lambda call: streamed(*STREAM[:7])(call) + event
    chunks = client.models.generate_content_stream(model="gemini-3-pro", contents="hi")
    seen = []
    with pytest.raises(errors.APIError) as caught:
        seen.extend(chunks)
    assert (caught.value.code, caught.value.status, caught.value.message) == (502, "UNAVAILABLE", "It broke.")


@pytest.mark.parametrize(
    ("status", "kind"), [(400, errors.ClientError), (429, errors.ClientError), (503, errors.ServerError)]
)
def test_errors(played, client, status, kind):
    played.status = status
    played.answer = lambda call: codec.encode_error(status, "k", "some_code", "No.", "contents[0]")
    for ask in (client.models.generate_content, lambda **asked: list(client.models.generate_content_stream(**asked))):
        with pytest.raises(kind) as caught:
            ask(model="gemini-3-pro", contents="hi")
        assert (caught.value.code, caught.value.message) == (status, "No.")
        assert caught.value.details["error"]["details"][0]["reason"] == "SOME_CODE"


def test_embeddings(played, client):
    def embed(call):
        request = EMBED_DIALECTS[call.dialect].decode_embed(call.body, call)
        assert (request.inputs, request.dimensions, request.task) == (("a", "b"), 2, "RETRIEVAL_QUERY")
        answer = EmbedAnswer(vectors=((0.5, 1.0), (2.0, 3.0)), usage=Usage(input_tokens=2))
        return EMBED_DIALECTS[call.dialect].encode_embeddings(answer, request, call)

    played.answer = embed
    config = types.EmbedContentConfig(output_dimensionality=2, task_type="RETRIEVAL_QUERY")
    answer = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"], config=config)
    assert [one.values for one in answer.embeddings] == [[0.5, 1.0], [2.0, 3.0]]


def test_counting(played, client):
    played.answer = lambda call: count.estimate_count(call.body)
    assert client.models.count_tokens(model="gemini-3-pro", contents="x" * 40).total_tokens == 10


def test_models(played):
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{played.port}")
    with genai.Client(api_key="k", http_options=options) as client:
        assert [model.name for model in client.models.list()] == ["models/gemini-3-pro", "models/b"]
        assert client.models.get(model="gemini-3-pro").name == "models/gemini-3-pro"
