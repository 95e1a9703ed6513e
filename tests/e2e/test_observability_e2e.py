"""What can be seen of a call from outside: one trace, the same record in every sink, and nothing said too much."""

import concurrent.futures
import http.client
import json
import os
import signal
import time
from collections import Counter
from statistics import median

import pytest
from tests.e2e.collecting import elasticsearch, otlp_grpc, otlp_http
from tests.e2e.running import eventually, free_ports, running_mesh
from tests.e2e.servers import reply, serving

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
PROMPT = "a-prompt-that-is-nobodys-business"
CALL = {"model": "fast", "messages": [{"role": "user", "content": PROMPT}]}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
ANSWER = {
    "id": "c-1",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a-secret-completion"}}
    ],
    "usage": USAGE,
}
CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: openai, type: openai, base_url: "@PROVIDER@/v1", api_key: sk-vendor}}
    - {{name: offline, type: scripted}}
  models:
    - {{name: fast, provider: openai, model: gpt-4o-mini}}
    - {{name: "m-*", provider: offline}}
    - {{name: offline, provider: offline}}
security:
  authentication:
    type: api_key
    keys:
      - {{key: sk-test-123, user: alice, tenant: dev-team, agent: planner}}
      - {{key: sk-denied, user: bob, tenant: other}}
authorization:
  policies:
    - {{name: dev, match: {{tenant: dev-team}}, action: allow}}
observability:
"""
TRACING = '  tracing: {{endpoint: "@TRACES@", headers: {{x-tenant: "weavers"}}}}\n'
LOGGING = "  logging: {{output: [@OUTPUT@]}}\n"
FILE = "{{type: file, path: access.log}}"


def provider(asked):
    """Answers as OpenAI does; a model `gpt-broken` fails."""
    return reply(200, json.dumps(ANSWER).encode())


@pytest.fixture(scope="module")
def vendor():
    with serving(provider) as server:
        yield server


def configured(vendor, *parts: str, **values: str) -> str:
    text = CONFIG + "".join(parts)
    for name, value in {"PROVIDER": vendor.url, **values}.items():
        text = text.replace(f"@{name}@", value)
    return text


@pytest.fixture(scope="module")
def seen(tmp_path_factory, vendor):
    """A mesh with everything on, and what it shipped."""
    with otlp_http() as spans, elasticsearch() as (elastic, server):
        sink = f'{{{{type: elasticsearch, endpoint: "{server.url}", index: heddle-test}}}}'
        text = configured(vendor, TRACING, LOGGING, TRACES=spans.url, OUTPUT=f"{{{{type: stdout}}}}, {FILE}, {sink}")
        with running_mesh(tmp_path_factory.mktemp("seen"), text) as mesh:
            yield mesh, spans, elastic


def assert_one_trace(mesh, spans, vendor):
    trace_id = os.urandom(16).hex()
    vendor.asked.clear()
    fields = {"traceparent": f"00-{trace_id}-{CALLER}-01", "tracestate": "rojo=00f067aa0ba902b7,congo=t61"}
    assert mesh.post(CALL, **fields)[0] == 200
    eventually(lambda: len(spans.of(trace_id)) == 2, 15)
    server, client = spans.of(trace_id)
    assert (server.kind, server.parent_id) == (2, CALLER)
    assert (client.kind, client.parent_id) == (3, server.span_id)
    assert server.state == client.state == fields["tracestate"]
    (asked,) = vendor.asked
    assert asked.header("traceparent") == f"00-{trace_id}-{client.span_id}-01"
    assert asked.header("tracestate") == fields["tracestate"]
    assert asked.header("b3") == f"{trace_id}-{client.span_id}-1"
    return server, client


def test_one_trace_over_http(seen, vendor):
    mesh, spans, _ = seen
    server, client = assert_one_trace(mesh, spans, vendor)
    assert spans.services == {"heddle"}
    assert spans.metadata[-1]["x-tenant"] == "weavers"
    assert server.name == "POST /v1/chat/completions"
    assert server.attributes["http.response.status_code"] == 200
    assert (server.attributes["heddle.tenant"], server.attributes["user.id"]) == ("dev-team", "alice")
    assert client.name == "chat gpt-4o-mini"
    found = {name: value for name, value in client.attributes.items() if name.startswith("gen_ai.")}
    assert found.pop("gen_ai.response.time_to_first_chunk") > 0
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.id": "c-1",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 500,
    }
    assert not client.failed


def test_one_trace_over_grpc(tmp_path, vendor):
    with otlp_grpc() as spans:
        text = configured(vendor, TRACING, TRACES=spans.url)
        with running_mesh(tmp_path, text) as mesh:
            assert_one_trace(mesh, spans, vendor)
            assert spans.metadata[-1]["x-tenant"] == "weavers"
        assert spans.services == {"heddle"}


def test_a_failure_is_a_failed_span(seen):
    mesh, spans, _ = seen
    trace_id = os.urandom(16).hex()
    call = {"model": "offline", "messages": [{"role": "user", "content": "[[error 500]]"}]}
    assert mesh.post(call, traceparent=f"00-{trace_id}-{CALLER}-01")[0] == 500
    eventually(lambda: spans.of(trace_id), 15)
    assert spans.of(trace_id)[0].failed
    assert spans.of(trace_id)[0].attributes["error.type"] == "upstream_error"


@pytest.mark.parametrize(
    "fields",
    [
        {"b3": f"{TRACE}-{CALLER}-1"},
        {"x_b3_traceid": TRACE, "x_b3_spanid": CALLER, "x_b3_sampled": "1"},
        {"traceparent": "00-broken", "b3": f"{TRACE}-{CALLER}-1"},
    ],
    ids=["single", "multi", "beside a broken traceparent"],
)
def test_b3(seen, vendor, fields):
    mesh, spans, _ = seen
    vendor.asked.clear()
    spans.received.clear()
    assert mesh.post(CALL, **fields)[0] == 200
    (asked,) = vendor.asked
    assert asked.header("traceparent").startswith(f"00-{TRACE}-")
    assert asked.header("b3").startswith(f"{TRACE}-")
    assert asked.header("x-b3-traceid") is None
    eventually(lambda: len(spans.of(TRACE)) == 2, 15)
    assert spans.of(TRACE)[0].parent_id == CALLER


def test_a_caller_who_does_not_sample_is_not_recorded(seen, vendor):
    mesh, spans, _ = seen
    unsampled, sampled = os.urandom(16).hex(), os.urandom(16).hex()
    vendor.asked.clear()
    mesh.post(CALL, traceparent=f"00-{unsampled}-{CALLER}-00")
    mesh.post(CALL, traceparent=f"00-{sampled}-{CALLER}-01")
    assert vendor.asked[0].header("traceparent").startswith(f"00-{unsampled}-")
    assert vendor.asked[0].header("traceparent").endswith("-00")
    eventually(lambda: spans.of(sampled), 15)
    assert spans.of(unsampled) == []


def test_the_access_record(seen):
    mesh, _, _ = seen
    status, record = mesh.recorded(CALL, user_agent="x")
    assert status == 200
    times = {name: record.pop(name) for name in ("duration_ms", "upstream_ms", "ttft_ms")}
    assert times["duration_ms"] >= times["upstream_ms"] > 0
    assert 0 < times["ttft_ms"] <= times["duration_ms"]
    assert record.pop("time").endswith("Z")
    assert record.pop("bytes_in") == len(json.dumps(CALL))
    assert record.pop("bytes_out") == len(json.dumps(ANSWER))
    assert len(record.pop("trace_id")) == 32
    assert len(record.pop("span_id")) == 16
    assert record.pop("key_id").startswith("key-")
    # genai-prices: gpt-4o-mini costs 0.15 $ for a million tokens in, 0.60 $ out.
    assert record.pop("cost_usd") == pytest.approx(1000 * 0.15e-6 + 500 * 0.60e-6)
    assert record == {
        "listener": "llm",
        "operation": "chat",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "workload": "spiffe://heddle.local/ns/dev-team/sa/planner",
        "user": "alice",
        "tenant": "dev-team",
        "agent": "planner",
        "authn": "api_key",
        "source": "127.0.0.1",
        "model": "fast",
        "model_entry": "fast",
        "upstream_model": "gpt-4o-mini",
        "provider": "openai",
        "input_tokens": 1000,
        "output_tokens": 500,
    }


def test_the_same_record_in_every_sink(seen):
    mesh, _, elastic = seen
    _, record = mesh.recorded(CALL)
    mine = record["trace_id"]

    def indexed():
        return [document for document in list(elastic.documents.values()) if document.get("trace_id") == mine]

    eventually(indexed, 15)
    (document,) = indexed()
    assert document.pop("@timestamp") == record["time"]
    assert {name: value for name, value in record.items() if name != "time"}.items() <= document.items()
    assert {index for index, _ in elastic.documents} == {"heddle-test"}
    eventually(lambda: mine in mesh.log)
    lines = [json.loads(line) for line in mesh.log.splitlines() if line.startswith("{") and mine in line]
    assert lines == [record]


def test_metrics_tell_the_same(seen):
    mesh, _, _ = seen
    before = mesh.metric("heddle_tokens_total", model="fast", type="input")
    cost = mesh.metric("heddle_cost_usd_total", model="fast", tenant="dev-team")
    mesh.post(CALL)
    eventually(lambda: mesh.metric("heddle_tokens_total", model="fast", type="input") == before + 1000)
    assert mesh.metric("heddle_cost_usd_total", model="fast", tenant="dev-team") == pytest.approx(cost + 0.00045)
    mesh.post({**CALL, "model": "m-" + "x" * 50})
    assert "xxxx" not in mesh.get("/metrics")[1].decode(), "a label that a caller chose"


def test_prompts_are_not_recorded(seen):
    mesh, spans, elastic = seen
    mesh.recorded(CALL)
    everything = mesh.log + json.dumps(list(elastic.documents.values())) + repr(spans.received)
    for path in mesh.state.rglob("*"):
        if path.is_file():
            everything += path.read_bytes().decode("latin-1")
    assert PROMPT not in everything
    assert "a-secret-completion" not in everything


def test_prompts_are_recorded_where_that_is_asked_for(tmp_path, vendor):
    text = configured(vendor, LOGGING.replace("]}}", "], bodies: true}}"), OUTPUT=FILE)
    with running_mesh(tmp_path, text) as mesh:
        _, record = mesh.recorded(CALL)
        assert PROMPT in record["request_body"]


def denied(mesh, number: int) -> None:
    assert mesh.post({**CALL, "model": f"m-{number}"}, key="sk-denied")[0] == 403


def test_audit_records_survive_a_kill_of_everything(tmp_path, vendor):
    (nobody,) = free_ports(1)
    sink = f'{{{{type: elasticsearch, endpoint: "http://127.0.0.1:{nobody}", index: audit}}}}'
    text = configured(vendor, LOGGING, OUTPUT=sink)
    with running_mesh(tmp_path, text, workers=2) as mesh:
        for number in range(20):
            status, _, _ = mesh.post({**CALL, "model": f"offline{number}"}, key="sk-wrong")
            assert status == 401
        denied(mesh, 1)
        # No time to flush anything: the records of what was answered must be on disk already.
        for pid in mesh.running()["workers"]:
            os.kill(pid, signal.SIGKILL)
        mesh.kill()
        with elasticsearch() as (elastic, server):
            mesh.config.write_text(
                mesh.config.read_text().replace(f"127.0.0.1:{nobody}", server.url.partition("//")[2])
            )
            mesh.start()

            def kinds():
                documents = list(elastic.documents.values())
                return Counter(one["audit"] for one in documents if one.get("outcome") == "deny")

            eventually(lambda: kinds()["authz"] and kinds()["authn"], 15)
            (refused,) = [one for one in elastic.documents.values() if one.get("audit") == "authz"]
            assert (refused["user"], refused["tenant"]) == ("bob", "other")
            assert refused["resource"] == "model:m-1"
            assert mesh.stop() == 0
            mesh.start()


def test_every_refusal_is_counted_when_it_is_stopped_as_asked(tmp_path, vendor):
    with running_mesh(tmp_path, configured(vendor, LOGGING, OUTPUT=FILE)) as mesh:
        for _ in range(30):
            denied(mesh, 1)
        assert mesh.stop() == 0
        counts = [record.get("count", 1) for record in mesh.audits() if record["audit"] == "authz"]
        assert sum(counts) == 30
        mesh.start()


def test_a_call_that_is_cut_off_at_the_end_is_written_down(tmp_path, vendor):
    with running_mesh(tmp_path, configured(vendor, LOGGING, OUTPUT=FILE)) as mesh:
        mesh.grace_s = 0.2
        mesh.restart()
        call = {"model": "offline", "messages": [{"role": "user", "content": "[[delay 50]]"}]}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            cut = [pool.submit(mesh.post, call) for _ in range(5)]
            eventually(lambda: mesh.metric("heddle_inflight_requests") == 5)
            assert mesh.stop() == 0
            assert all(isinstance(one.exception(), OSError | http.client.HTTPException) for one in cut)
        assert [record["status"] for record in mesh.records()] == [499] * 5
        mesh.start()


def calls_per_s(mesh, seconds: float = 1.0) -> tuple[float, float]:
    """Calls of four threads in a second, and their median latency in ms."""
    until = time.monotonic() + seconds

    def call(_: int) -> list[float]:
        took = []
        while time.monotonic() < until:
            begun = time.monotonic()
            assert mesh.post({**CALL, "model": "offline"})[0] == 200
            took.append(time.monotonic() - begun)
        return took

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        took = [one for some in pool.map(call, range(4)) for one in some]
    return len(took) / seconds, median(took) * 1000


def test_dead_collectors_slow_nobody(tmp_path, vendor):
    def silent(sock):
        time.sleep(60)

    (nobody,) = free_ports(1)
    with running_mesh(tmp_path / "without", configured(vendor, LOGGING, OUTPUT=FILE)) as mesh:
        alone = calls_per_s(mesh)
    with serving(lambda _: silent) as hole:
        sinks = f'{{{{type: elasticsearch, endpoint: "http://127.0.0.1:{nobody}"}}}}'
        sinks += f', {{{{type: elasticsearch, index: hole, endpoint: "{hole.url}"}}}}'
        text = configured(vendor, TRACING, LOGGING, TRACES=f"127.0.0.1:{nobody}", OUTPUT=f"{FILE}, {sinks}")
        with running_mesh(tmp_path / "with", text) as mesh:
            beside = calls_per_s(mesh)
            assert mesh.metric("heddle_records_lost_total") == 0
            begun = time.monotonic()
            assert mesh.stop() == 0
            assert time.monotonic() - begun < 15, "nor does it end much later"
            mesh.start()
    # Threads of this process are most of the cost; a call that waited for a collector would take seconds.
    assert beside[1] < 5 * alone[1] + 5, (alone, beside)
    assert beside[0] > alone[0] / 5, (alone, beside)
