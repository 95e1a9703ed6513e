"""The exact cache through the real door: OpenAI's SDK, two workers, limits, guards, usage."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.contract.counters.redis_server import RedisServer
from tests.e2e.running import CONFIG, RunningMesh, eventually, running_mesh

from heddle.wire.canonical.answer import ChatAnswer
from heddle.wire.canonical.collect import Collector
from heddle.wire.llm.codecs import VENDORS

RULES = """\
rate_limiting:
  - {{name: bobs, match: {{user: bob}}, limit: 5, window: 24h}}
  - {{name: tokens, match: {{user: alice}}, limit: 1000000, window: 24h, limit_by: tokens}}
guards:
  - {{name: cards, match: {{user: bob}}, direction: response, recognisers: [card], action: mask}}
caching:
  - {{name: short, ttl: 10m}}
observability:
  logging: {{output: [{{type: file, path: access.log}}]}}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    with running_mesh(tmp_path_factory.mktemp("caching"), CONFIG + RULES, workers=2) as running:
        yield running


def client(mesh: RunningMesh, key: str = "sk-test-123", **settings: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=mesh.url, api_key=key, max_retries=0, **settings)


def ask(mesh: RunningMesh, content: str, key: str = "sk-test-123", **fields: Any) -> tuple[str, Any]:
    """On a connection of its own, so that both workers are asked; the cache's header, and the completion."""
    messages = [{"role": "user", "content": content}]
    with client(mesh, key) as one:
        raw = one.chat.completions.with_raw_response.create(
            **{"model": "gpt-4o-mini", "messages": messages, "temperature": 0, **fields}
        )
        return raw.headers["x-heddle-cache"], raw.parse()


def test_the_same_question_is_asked_once_on_all_workers(mesh: RunningMesh):
    _, first = ask(mesh, "once")
    headers = []
    for _ in range(20):
        header, again = ask(mesh, "once")
        headers.append(header)
        assert again == first
    assert headers == ["hit"] * 20


def test_streams_are_kept_and_said_again(mesh: RunningMesh):
    def stream() -> tuple[str, Any]:
        with (
            client(mesh) as one,
            one.chat.completions.stream(
                model="gpt-4o-mini",
                messages=[{"role": "user", "content": "stream it"}],
                temperature=0,
                stream_options={"include_usage": True},
            ) as events,
        ):
            got = events.get_final_completion()
            return events._response.headers["x-heddle-cache"], got

    header, first = stream()
    assert header == "miss"
    for _ in range(4):
        header, again = stream()
        assert header == "hit"
        assert again.choices[0].message.content == first.choices[0].message.content
        counts = [(one.usage.prompt_tokens, one.usage.completion_tokens) for one in (first, again)]
        assert counts[0] == counts[1] > (0, 0)
        assert again.choices[0].finish_reason == "stop"
    header, whole = ask(mesh, "stream it")
    assert header == "hit"
    assert whole.choices[0].message.content == first.choices[0].message.content


def test_tenants_get_nothing_of_each_other(tmp_path_factory: pytest.TempPathFactory):
    text = CONFIG.replace("namespace: dev-team}}}}, resources", 'namespace: "*"}}}}, resources') + RULES
    with running_mesh(tmp_path_factory.mktemp("tenants"), text) as mesh:
        assert ask(mesh, "ours")[0] == "miss"
        assert ask(mesh, "ours", "sk-bob-456")[0] == "hit"
        assert ask(mesh, "ours", "sk-other-000")[0] == "miss"
        assert ask(mesh, "ours", "sk-other-000")[0] == "hit"


def test_a_hit_is_still_authorized_limited_and_guarded(mesh: RunningMesh):
    question = "[[say Pay with 4111 1111 1111 1111.]]"
    assert ask(mesh, question)[1].choices[0].message.content == "Pay with 4111 1111 1111 1111."
    header, got = ask(mesh, question, "sk-bob-456")
    assert (header, got.choices[0].message.content) == ("hit", "Pay with [CARD].")
    big = {"model": "gpt-5-large"}
    ask(mesh, "big", **big)
    with pytest.raises(openai.PermissionDeniedError):
        ask(mesh, "big", "sk-bob-456", **big)
    for _ in range(4):
        assert ask(mesh, question, "sk-bob-456")[0] == "hit"
    with pytest.raises(openai.RateLimitError):
        ask(mesh, question, "sk-bob-456")


def test_a_hit_costs_nothing_and_is_recorded(mesh: RunningMesh):
    body = {"model": "gpt-4o-mini", "temperature": 0, "messages": [{"role": "user", "content": "what does it cost"}]}
    _, first = mesh.recorded(body)
    _, second = mesh.recorded(body)
    assert (first["cache"], second["cache"]) == ("miss", "hit")
    assert first["output_tokens"] > 0  # type: ignore[operator]
    assert "output_tokens" not in second
    assert second["cost_usd"] == 0.0
    assert second.get("upstream_ms", 0) == 0, second
    eventually(lambda: mesh.metric("heddle_cache_calls_total", cache="short", result="hit"))
    eventually(lambda: mesh.metric("heddle_cache_saved_tokens_total", type="output"))
    left = [mesh.post({**body, "max_tokens": 50})[1]["x-ratelimit-remaining-tokens"] for _ in range(4)][1:]
    assert len(set(left)) == 1, "hits give back what was held"


def test_what_is_not_kept_says_so(mesh: RunningMesh):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    for fields in (
        {"temperature": 0.7},
        {"temperature": None},
        {"tools": [tool]},
        {"n": 2},
        {"extra_headers": {"cache-control": "no-cache"}},
    ):
        assert ask(mesh, "not kept", **fields)[0] == "bypass"
    status, headers, _ = mesh.post({"model": "gpt-4o-mini", "messages": []}, path="/v1/chat/completions")
    assert status == 400
    assert "x-heddle-cache" not in headers


def test_an_error_or_a_broken_stream_is_never_kept(mesh: RunningMesh):
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            ask(mesh, "[[error 500]]")
    body = {
        "model": "gpt-4o-mini",
        "temperature": 0,
        "stream": True,
        "messages": [{"role": "user", "content": "[[truncate after=3]]"}],
    }
    for _ in range(2):
        with pytest.raises(Exception, match="IncompleteRead"):
            mesh.post(body)


def test_field_order_and_space_do_not_matter(mesh: RunningMesh):
    one = b'{"model":"gpt-4o-mini","temperature":0,"messages":[{"role":"user","content":"caf\\u00e9"}]}'
    other = '{ "messages": [{"content": "café", "role": "user"}],\n "temperature": 0, "model": "gpt-4o-mini" }'
    assert mesh.post(one)[1]["x-heddle-cache"] == "miss"
    assert mesh.post(other.encode())[1]["x-heddle-cache"] == "hit"


def test_embeddings_are_kept(mesh: RunningMesh):
    body = {"model": "text-embedding-3-small", "input": "hello"}
    first, second = (mesh.post(body, path="/v1/embeddings") for _ in range(2))
    assert (first[1]["x-heddle-cache"], second[1]["x-heddle-cache"]) == ("miss", "hit")
    assert json.loads(first[2]) == json.loads(second[2])


def test_what_is_kept_outlives_a_restart(tmp_path_factory: pytest.TempPathFactory):
    with running_mesh(tmp_path_factory.mktemp("restart"), CONFIG + RULES) as mesh:
        assert ask(mesh, "stay")[0] == "miss"
        mesh.restart()
        assert ask(mesh, "stay")[0] == "hit"
        files = list((mesh.state / "kv").iterdir())
        assert files
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_redis_is_shared_and_not_needed(tmp_path_factory: pytest.TempPathFactory):
    if not RedisServer.found():
        pytest.skip("there is no redis-server here")
    folder = tmp_path_factory.mktemp("redis")
    server = RedisServer(folder)
    text = CONFIG + RULES + f'state: {{{{kv: "{server.url}"}}}}\n'
    try:
        with running_mesh(folder / "one", text) as one, running_mesh(folder / "two", text) as two:
            assert ask(one, "shared")[0] == "miss"
            assert ask(two, "shared")[0] == "hit"
            server.stop()
            assert ask(two, "shared")[0] == "miss"
            assert ask(two, "shared")[0] == "miss"
            assert two.log.count("redis cannot be asked") == 1
    finally:
        server.stop()


SAID = {"max_tokens": 50, "temperature": 0}
HI = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
PARTS = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}], "generationConfig": {"temperature": 0}}
TURN = {"messages": [{"role": "user", "content": [{"text": "hello"}]}], "inferenceConfig": {"temperature": 0}}
DOORS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "openai_chat": ("/v1/chat/completions", "/v1/chat/completions", {"model": "gpt-4o-mini", "messages": HI, **SAID}),
    "openai_responses": (
        "/v1/responses",
        "/v1/responses",
        {"model": "gpt-4o-mini", "input": "hello", "temperature": 0, "store": False},
    ),
    "anthropic_messages": ("/v1/messages", "/v1/messages", {"model": "gpt-4o-mini", "messages": HI, **SAID}),
    "gemini": (
        "/v1beta/models/gpt-4o-mini:generateContent",
        "/v1beta/models/gpt-4o-mini:streamGenerateContent?alt=sse",
        PARTS,
    ),
    "bedrock_converse": ("/model/gpt-4o-mini/converse", "/model/gpt-4o-mini/converse-stream", TURN),
}


def collected(dialect: str, body: bytes) -> ChatAnswer:
    decoder, collector = VENDORS[dialect].open_decoder(), Collector()
    for event in [*decoder.feed(body), *decoder.finish()]:
        collector.take(event)
    answer = collector.answer()
    assert answer is not None, body[-500:]
    return answer


@pytest.mark.parametrize("streamed_first", [False, True])
@pytest.mark.parametrize("dialect", sorted(DOORS))
def test_in_every_dialect_streams_and_whole_answers_share(mesh: RunningMesh, dialect: str, streamed_first: bool):
    path, stream_path, body = DOORS[dialect]
    body = json.loads(json.dumps(body).replace("hello", f"hello {dialect} {streamed_first}"))

    def whole() -> tuple[str, ChatAnswer]:
        status, headers, data = mesh.post(body, path=path)
        assert status == 200, data
        return headers["x-heddle-cache"], VENDORS[dialect].decode_answer(data)

    def stream() -> tuple[str, ChatAnswer]:
        asked = body if path != stream_path else {**body, "stream": True}
        if dialect == "openai_chat":
            asked["stream_options"] = {"include_usage": True}
        status, headers, data = mesh.post(asked, path=stream_path)
        assert status == 200, data
        return headers["x-heddle-cache"], collected(dialect, data)

    first, second = (stream, whole) if streamed_first else (whole, stream)
    answers = [ask() for ask in (first, second, first, second)]
    assert [header for header, _ in answers] == ["miss", "hit", "hit", "hit"]
    assert len({answer.choices for _, answer in answers}) == 1
    usages = {answer.usage for _, answer in answers[1:]}
    assert len(usages) == 1
    assert answers[0][1].choices[0].parts
