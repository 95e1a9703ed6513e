"""The spans of a call: names and attributes of the conventions, and what must not be in them."""

import msgspec
import pytest

from heddle.model.call import Heard
from heddle.plugins import PROVIDERS
from heddle.telemetry import names
from heddle.telemetry.records import AccessRecord
from heddle.telemetry.spans import Kind, Span, decode_span, encode_span, finished, spans
from heddle.telemetry.trace import fresh, inject


def _call(**fields: object) -> AccessRecord:
    values: dict[str, object] = {
        "time": "t",
        "operation": "chat",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "duration_ms": 12.0,
        "upstream_ms": 10.0,
        "ttft_ms": 4.0,
        "model": "gpt-4o-mini",
        "upstream_model": "gpt-4o-mini-2024",
        "provider": "upstream",
        "input_tokens": 100,
        "output_tokens": 20,
        "cost_usd": 0.0,
    }
    return AccessRecord(**(values | fields))  # type: ignore[arg-type]


def test_a_model_call_is_a_server_span_over_a_client_span() -> None:
    context = fresh(1.0)
    context.parent_id = "00f067aa0ba902b7"
    inject(context, [])
    call = _call(trace_id=context.trace_id, span_id=context.span_id)
    server, client = spans(decode_span(encode_span(finished(context, call, 1_700_000_000.5))))
    assert (server.name, server.kind, server.parent_id) == (
        "POST /v1/chat/completions",
        Kind.SERVER,
        "00f067aa0ba902b7",
    )
    assert (client.name, client.kind) == ("chat gpt-4o-mini-2024", Kind.CLIENT)
    assert client.parent_id == server.span_id == context.span_id
    assert client.span_id == context.upstream_id
    assert server.start_ns == 1_700_000_000_500_000_000
    assert server.end_ns - server.start_ns == 12_000_000
    assert client.start_ns == server.end_ns - 10_000_000
    assert server.attributes["http.response.status_code"] == 200
    assert client.attributes["gen_ai.operation.name"] == "chat"
    assert client.attributes["gen_ai.request.model"] == "gpt-4o-mini-2024"
    assert client.attributes["gen_ai.usage.input_tokens"] == 100
    assert client.attributes["gen_ai.usage.output_tokens"] == 20
    assert not server.error
    assert not client.error


def test_a_refused_call_has_no_client_span_and_is_not_the_servers_error() -> None:
    context = fresh(1.0)
    (server,) = spans(finished(context, _call(status=403, reason="forbidden", upstream_ms=0.0), 1.0))
    assert server.error == ""
    assert server.attributes["error.type"] == "forbidden"


def test_an_upstreams_failure_is_an_error_of_both_spans() -> None:
    context = fresh(1.0)
    inject(context, [])
    server, client = spans(finished(context, _call(status=502, reason="upstream_error"), 1.0))
    assert server.error == client.error == "upstream_error"


def test_prompts_never_become_part_of_a_span() -> None:
    record = finished(fresh(1.0), _call(request_body="secret prompt", response_body="secret answer"), 1.0)
    assert b"secret" not in encode_span(record)


def test_what_a_caller_chose_is_bounded() -> None:
    record = finished(fresh(1.0), _call(model="m" * 100_000, path="/" + "p" * 8000), 1.0)
    assert len(encode_span(record)) < 2000
    assert all(
        len(value) <= 256 for span in spans(record) for value in span.attributes.values() if isinstance(value, str)
    )


def test_the_record_survives_its_line() -> None:
    record = finished(fresh(1.0), _call(), 1.0)
    assert msgspec.to_builtins(decode_span(encode_span(record))) == msgspec.to_builtins(record)


def test_a_span_tells_what_was_asked_and_what_answered() -> None:
    context = fresh(1.0)
    inject(context, [])
    heard = Heard(model="gpt-4o-mini-2024-07-18", id="chatcmpl-1", finish_reasons=("stop", "length"))
    _, client = spans(decode_span(encode_span(finished(context, _call(), 1.0, heard, 256))))
    assert client.attributes["gen_ai.request.max_tokens"] == 256
    assert client.attributes["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"
    assert client.attributes["gen_ai.response.id"] == "chatcmpl-1"
    assert client.attributes["gen_ai.response.finish_reasons"] == ("stop", "length")


def test_what_is_not_known_is_no_attribute() -> None:
    context = fresh(1.0)
    inject(context, [])
    _, client = spans(finished(context, _call(), 1.0))
    assert not [name for name in client.attributes if "max_tokens" in name or "finish" in name or "response.id" in name]


def test_names_of_spans_do_not_have_what_a_caller_wrote() -> None:
    call = _call(method="GET", operation="models", path="/v1/models/anything-at-all", upstream_ms=0.0)
    (span,) = spans(finished(fresh(1.0), call, 1.0))
    assert span.name == "GET /v1/models/{model}"
    assert span.attributes["url.path"] == "/v1/models/anything-at-all"


@pytest.mark.parametrize(
    ("vendor", "operation", "provider", "said"),
    [
        ("", "chat", "upstream", "chat"),
        ("openai", "chat", "openai", "chat"),
        ("azure", "embeddings", "azure.ai.openai", "embeddings"),
        ("bedrock", "chat", "aws.bedrock", "chat"),
        ("gemini", "chat", "gcp.gemini", "generate_content"),
        ("vertex", "chat", "gcp.vertex_ai", "generate_content"),
        ("vllm", "completions", "vllm", "text_completion"),
    ],
)
def test_vendors_and_operations_have_the_conventions_names(
    vendor: str, operation: str, provider: str, said: str
) -> None:
    context = fresh(1.0)
    inject(context, [])
    record = finished(context, _call(operation=operation), 1.0, vendor=vendor)
    _, client = spans(decode_span(encode_span(record)))
    assert client.name == f"{said} gpt-4o-mini-2024"
    assert client.attributes["gen_ai.operation.name"] == said
    assert client.attributes["gen_ai.provider.name"] == provider
    assert client.attributes["heddle.provider"] == "upstream"


def test_every_word_of_the_conventions_is_of_a_provider_that_there_is() -> None:
    assert set(names.GEN_AI_PROVIDERS) | {vendor for vendor, _ in names.GEN_AI_OPERATIONS} - {""} <= set(PROVIDERS)


def _tool_call(**fields: object) -> AccessRecord:
    values: dict[str, object] = {
        "time": "t", "operation": "tools/call", "method": "POST", "path": "/mcp", "status": 200, "duration_ms": 12.0,
        "upstream_ms": 10.0, "server": "default", "target": "files", "tool": "fs__read", "target_tool": "read_file",
        "protocol_version": "2025-11-25", "session": "0123abcd",
    }  # fmt: skip
    return AccessRecord(**(values | fields))  # type: ignore[arg-type]


def _told(call: AccessRecord, request_id: str = "") -> tuple[Span, Span]:
    context = fresh(1.0)
    inject(context, [])
    record = finished(context, call, 1.0)
    record.request_id = request_id
    server, client = spans(decode_span(encode_span(record)))
    return server, client


def test_a_call_of_a_tool_bears_its_name_on_either_side() -> None:
    server, client = _told(_tool_call(), "7")
    assert (server.name, client.name) == ("tools/call fs__read", "tools/call read_file")
    shared = {
        "mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool", "heddle.mcp.server": "default",
        "heddle.mcp.target": "files",
    }  # fmt: skip
    assert client.attributes == {**shared, "gen_ai.tool.name": "read_file"}
    assert server.attributes.items() >= {**shared, "gen_ai.tool.name": "fs__read"}.items()
    assert server.attributes["mcp.session.id"] == "0123abcd"
    assert server.attributes["mcp.protocol.version"] == "2025-11-25"
    assert server.attributes["jsonrpc.request.id"] == "7"
    assert (server.error, client.error) == ("", "")


def test_a_tool_that_says_that_it_failed() -> None:
    server, client = _told(_tool_call(tool_error=True))
    assert (server.error, client.error) == ("", "tool_error")
    assert server.attributes["error.type"] == client.attributes["error.type"] == "tool_error"


def test_a_tool_server_that_is_away() -> None:
    _, client = _told(_tool_call(reason="upstream_timeout"))
    assert client.error == client.attributes["error.type"] == "upstream_timeout"


def test_no_span_is_named_by_what_a_caller_made_up() -> None:
    (server,) = spans(finished(fresh(1.0), _tool_call(tool="made-up", target="", target_tool="", upstream_ms=0.0), 1.0))
    assert server.name == "tools/call"
    resource = _tool_call(operation="resources/read", tool="", target_tool="", resource="file:///a/b")
    server, client = _told(resource)
    assert (server.name, client.name) == ("resources/read", "resources/read")
    assert server.attributes["mcp.resource.uri"] == "file:///a/b"
    assert "gen_ai.operation.name" not in server.attributes
    prompt = _tool_call(operation="prompts/get", tool="", target_tool="", prompt="ask")
    assert _told(prompt)[0].name == "prompts/get ask"
    (server,) = spans(finished(fresh(1.0), _tool_call(operation="mcp", tool="", target=""), 1.0))
    assert "mcp.method.name" not in server.attributes
