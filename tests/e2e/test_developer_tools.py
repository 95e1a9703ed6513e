"""What coding agents and editors do, with the SDK each of them is built on: lists, streams, streamed tools, counts.

One test for each section of `docs/guides/coding-agents.md`, in its order. The model is the offline one, which calls
tools when a prompt says so.
"""

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from tests.e2e.running import RunningMesh, running_mesh

KEY = "sk-test-123"
CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: offline, type: scripted, options: {{tokens_per_s: 0, first_token_s: 0}}}}
  models:
    - {{name: claude-opus-4-7, provider: offline}}
    - {{name: gpt-5, provider: offline}}
    - {{name: gemini-2.5-flash, provider: offline}}
security:
  authentication:
    type: api_key
    keys:
      - {{key: "sk-test-123", user: alice, tenant: dev-team, agent: planner}}
authorization:
  policies:
    - {{name: dev, match: {{kubernetes: {{namespace: dev-team}}}}, resources: ["model:*"], action: allow}}
"""
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TWO = "[[tools 2]] look"
NAMES = ["read_file", "list_files"]
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "coding-agents.md"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with running_mesh(tmp_path_factory.mktemp("tools"), CONFIG) as running:
        yield running


def request(mesh: RunningMesh, method: str, target: str, body: Any = None) -> tuple[int, bytes]:
    """A call without an SDK."""
    connection = http.client.HTTPConnection("127.0.0.1", mesh.port, timeout=30)
    fields = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    try:
        connection.request(method, target, json.dumps(body) if body is not None else None, fields)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def paths(arguments: list[str]) -> list[bool]:
    """Whether each is JSON of an object with the one property that the schema has."""
    return [list(json.loads(text)) == ["path"] for text in arguments]


def test_claude_code(mesh: RunningMesh) -> None:
    """Base URL without `/v1`, a bearer token; models, counts, streamed parallel tools, results sent back."""
    tools: Any = [{"name": name, "description": "d", "input_schema": SCHEMA} for name in NAMES]
    asked: Any = [{"role": "user", "content": TWO}]
    with anthropic.Anthropic(base_url=f"http://127.0.0.1:{mesh.port}", auth_token=KEY, max_retries=0) as client:
        assert "claude-opus-4-7" in [model.id for model in client.models.list()]
        model: Any = {"model": "claude-opus-4-7", "tools": tools}
        assert client.messages.count_tokens(messages=asked, **model).input_tokens > 0
        with client.messages.stream(max_tokens=500, messages=asked, **model) as stream:
            said = stream.get_final_message()
        calls = [block for block in said.content if block.type == "tool_use"]
        assert [call.name for call in calls] == NAMES
        assert all(list(call.input) == ["path"] for call in calls)  # type: ignore[call-overload]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "[[say done]]"} for call in calls]
        turns = [*asked, {"role": "assistant", "content": said.content}, {"role": "user", "content": results}]
        with client.messages.stream(max_tokens=500, messages=turns, **model) as stream:
            assert stream.get_final_message().stop_reason == "end_turn"


def test_codex(mesh: RunningMesh) -> None:
    """The Responses API: streamed parallel tools, their outputs sent back, without stored state."""
    tools: Any = [{"type": "function", "name": name, "parameters": SCHEMA, "strict": False} for name in NAMES]
    asked: Any = [{"role": "user", "content": TWO}]
    with openai.OpenAI(base_url=mesh.url, api_key=KEY, max_retries=0) as client:
        model: Any = {"model": "gpt-5", "tools": tools, "store": False}
        with client.responses.stream(input=asked, **model) as stream:
            answer = stream.get_final_response()
        calls = [item for item in answer.output if item.type == "function_call"]
        assert [call.name for call in calls] == NAMES
        assert all(paths([call.arguments for call in calls]))
        outputs = [{"type": "function_call_output", "call_id": call.call_id, "output": "x"} for call in calls]
        back = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in calls]
        with client.responses.stream(input=[*asked, *back, *outputs], **model) as stream:
            assert stream.get_final_response().status == "completed"


def test_codex_goes_on_without_its_list_of_models(mesh: RunningMesh) -> None:
    """It asks with its version and reads a form of its own; ours it cannot read, and then it has what it knows."""
    status, body = request(mesh, "GET", "/v1/models?client_version=0.169.0")
    assert (status, json.loads(body)["object"]) == (200, "list")


def test_gemini_cli(mesh: RunningMesh) -> None:
    """Google's SDK with another base URL: models, counts, streamed parallel tools, results sent back."""
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{mesh.port}")
    declared = [types.FunctionDeclaration(name=name, description="d", parameters_json_schema=SCHEMA) for name in NAMES]
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=declared)],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    with genai.Client(api_key=KEY, vertexai=False, http_options=options) as client:
        assert "models/gemini-2.5-flash" in [model.name for model in client.models.list()]
        assert (client.models.count_tokens(model="gemini-2.5-flash", contents=TWO).total_tokens or 0) > 0
        chunks = list(client.models.generate_content_stream(model="gemini-2.5-flash", contents=TWO, config=config))
        parts = [
            part
            for chunk in chunks
            for one in chunk.candidates or ()
            if one.content
            for part in one.content.parts or ()
        ]
        calls = [part.function_call for part in parts if part.function_call]
        assert [call.name for call in calls] == NAMES
        results = [types.Part.from_function_response(name=call.name or "", response={"r": 1}) for call in calls]
        turns: Any = [types.UserContent(TWO), types.ModelContent(parts), types.UserContent(results)]
        answer = client.models.generate_content(model="gemini-2.5-flash", contents=turns, config=config)
        assert answer.text


def chat_tools(mesh: RunningMesh, **fields: Any) -> list[str]:
    """Two tools called in a stream of OpenAI's chat, put together as clients do; the names, arguments checked."""
    tools: Any = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in NAMES]
    with openai.OpenAI(base_url=mesh.url, api_key=KEY, max_retries=0) as client:
        messages: Any = [{"role": "user", "content": TWO}]
        stream = client.chat.completions.create(model="gpt-5", messages=messages, tools=tools, stream=True, **fields)
        names: dict[int, str] = {}
        arguments: dict[int, str] = {}
        for chunk in stream:
            for delta in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
                names[delta.index] = names.get(delta.index, "") + (delta.function.name or "" if delta.function else "")
                arguments[delta.index] = arguments.get(delta.index, "") + (
                    (delta.function.arguments or "") if delta.function else ""
                )
    assert all(paths(list(arguments.values())))
    return list(names.values())


def test_cursor(mesh: RunningMesh) -> None:
    """OpenAI's chat with an overridden base URL; a body of the Responses API at the chat path is told what it is."""
    assert chat_tools(mesh) == NAMES
    status, body = request(mesh, "POST", "/v1/chat/completions", {"model": "gpt-5", "input": [], "stream": True})
    assert (status, json.loads(body)["error"]["param"]) == (400, "messages")


def test_continue(mesh: RunningMesh) -> None:
    """OpenAI's chat for conversations, the older completions for what is typed."""
    assert chat_tools(mesh, stream_options={"include_usage": True}) == NAMES
    with openai.OpenAI(base_url=mesh.url, api_key=KEY, max_retries=0) as client:
        pieces = client.completions.create(model="gpt-5", prompt="[[say def f():]]", stop=["\n"], stream=True)
        assert "".join(piece.choices[0].text for piece in pieces if piece.choices) == "def f():"


def test_aider(mesh: RunningMesh) -> None:
    """OpenAI's chat, streamed text with a temperature and usage at the end."""
    with openai.OpenAI(base_url=mesh.url, api_key=KEY, max_retries=0) as client:
        messages: Any = [{"role": "system", "content": "s"}, {"role": "user", "content": "[[say one two three]]"}]
        options: Any = {"temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
        chunks = list(client.chat.completions.create(model="gpt-5", messages=messages, **options))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two three"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0


def test_opencode(mesh: RunningMesh) -> None:
    """What Vercel's SDK reads: `data:` lines of JSON, `[DONE]` at the end, every tool's index, id and name first."""
    tools = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in NAMES]
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": TWO}], "tools": tools, "tool_choice": "auto",
            "stream": True, "stream_options": {"include_usage": True}}  # fmt: skip
    status, data = request(mesh, "POST", "/v1/chat/completions", body)
    events = data.decode().split("\n\n")
    assert (status, events[-1], events[-2]) == (200, "", "data: [DONE]")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    deltas = [call for one in chunks for choice in one["choices"] for call in choice["delta"].get("tool_calls", ())]
    first = {delta["index"]: delta for delta in reversed(deltas)}
    assert [first[index]["function"]["name"] for index in sorted(first)] == NAMES
    assert all(delta["id"] and delta["type"] == "function" for delta in first.values())
    assert chunks[-1]["usage"]["total_tokens"] > 0


def test_zed(mesh: RunningMesh) -> None:
    """OpenAI's chat with parallel calls switched off or on as its capabilities say."""
    assert chat_tools(mesh, parallel_tool_calls=True) == NAMES


def test_notebooks(mesh: RunningMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that the SDKs read by themselves."""
    monkeypatch.setenv("OPENAI_BASE_URL", mesh.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", mesh.url.removesuffix("/v1"))
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", mesh.url.removesuffix("/v1"))
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    asked: Any = [{"role": "user", "content": "[[say hello]]"}]
    with openai.OpenAI() as one, anthropic.Anthropic() as two, genai.Client(vertexai=False) as three:
        assert one.chat.completions.create(model="gpt-5", messages=asked).choices[0].message.content == "hello"
        block = two.messages.create(model="claude-opus-4-7", max_tokens=20, messages=asked).content[0]
        assert block.type == "text"
        assert block.text == "hello"
        answer = three.models.generate_content(model="gemini-2.5-flash", contents="[[say hello]]")
        assert answer.text == "hello"


def test_the_guide_has_a_section_for_each() -> None:
    sections = re.findall(r"^## (.+)$", GUIDE.read_text(), re.MULTILINE)
    tried = [name for name in globals() if name.startswith("test_")]
    wanted = ["Claude Code", "Codex", "Gemini CLI", "Cursor", "Continue", "aider", "opencode", "Zed", "Notebooks"]
    assert [section for section in sections if section in wanted] == wanted
    assert all(f"test_{name.lower().replace(' ', '_')}" in tried for name in wanted)
