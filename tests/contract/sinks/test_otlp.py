"""Spans over OTLP: decoded by the official classes, received by an HTTP server and by grpcio."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as ProtoAny
from google.protobuf.duration_pb2 import Duration
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from tests.contract.sinks.collectors import HttpCollector, Received

from heddle.drivers.sinks.base import SinkTools, UnavailableError
from heddle.drivers.sinks.grpc import GrpcChannel, Target
from heddle.drivers.sinks.otlp import OtlpGrpcSink, OtlpHttpSink, encode
from heddle.drivers.sinks.retryinfo import retry_delay_s
from heddle.model.call import Heard
from heddle.model.snapshot import TracingSpec
from heddle.telemetry.records import AccessRecord
from heddle.telemetry.spans import encode_span, finished
from heddle.telemetry.trace import fresh, inject

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def _line(number: int = 0, **fields: Any) -> bytes:
    context = fresh(1.0)
    inject(context, [])
    call = AccessRecord(
        time="t",
        trace_id=context.trace_id,
        span_id=context.span_id,
        operation="chat",
        method="POST",
        path="/v1/chat/completions",
        status=200,
        duration_ms=5.0,
        upstream_ms=3.0,
        model=f"m{number}",
        **fields,
    )
    return encode_span(finished(context, call, 1_700_000_000.0))


LINES = [_line(number) for number in range(20)]


def test_what_is_encoded_is_what_the_official_classes_read() -> None:
    data, count = encode([_line(1, input_tokens=7, cost_usd=0.5, stream=True, reason="upstream_error")])
    (resource,) = ExportTraceServiceRequest.FromString(data).resource_spans
    attributes = {pair.key: pair.value for pair in resource.resource.attributes}
    assert attributes["service.name"].string_value == "heddle"
    server, client = resource.scope_spans[0].spans
    assert count == 2
    assert (server.name, server.kind) == ("POST /v1/chat/completions", 2)
    assert (client.name, client.kind, client.parent_span_id) == ("chat m1", 3, server.span_id)
    assert len(server.trace_id) == 16
    assert server.trace_id == client.trace_id
    read = {pair.key: pair.value for pair in client.attributes}
    assert read["gen_ai.usage.input_tokens"].int_value == 7
    assert read["heddle.cost.usd"].double_value == 0.5
    assert read["heddle.stream"].bool_value is True
    assert client.status.code == 2


def test_what_ended_an_answer_is_a_list() -> None:
    context = fresh(1.0)
    inject(context, [])
    ids = {"trace_id": context.trace_id, "span_id": context.span_id}
    call = AccessRecord(time="t", operation="chat", model="m", upstream_ms=1.0, duration_ms=1.0, **ids)
    line = encode_span(finished(context, call, 1.0, Heard(finish_reasons=("stop", "length"))))
    spans = ExportTraceServiceRequest.FromString(encode([line])[0]).resource_spans[0].scope_spans[0].spans
    read = {pair.key: pair.value for pair in spans[1].attributes}
    assert [v.string_value for v in read["gen_ai.response.finish_reasons"].array_value.values] == ["stop", "length"]


def test_a_line_that_is_no_span_record_does_not_spoil_the_batch() -> None:
    data, count = encode([b'{"unexpected":1}\n', *LINES])
    assert count == 40
    assert ExportTraceServiceRequest.FromString(data)


# ---- HTTP


def _http(url: str, tools: SinkTools, **fields: Any) -> OtlpHttpSink:
    return OtlpHttpSink(TracingSpec(enabled=True, protocol="http", endpoint=url, **fields), tools)


async def test_http_posts_protobuf_to_the_traces_path(tools: SinkTools) -> None:
    async with HttpCollector(lambda _: (200, {}, ExportTraceServiceResponse().SerializeToString())) as collector:
        assert await _http(collector.url, tools, headers={"X-Team": "blue"}).write("spans", LINES) == 20
        (request,) = collector.requests
    assert request.target == "/v1/traces"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["x-team"] == "blue"
    read = ExportTraceServiceRequest.FromString(gzip.decompress(request.body))
    assert len(read.resource_spans[0].scope_spans[0].spans) == 40


@pytest.mark.parametrize(
    ("endpoint", "target"), [("{}", "/v1/traces"), ("http://{}/", "/v1/traces"), ("http://{}/custom/in", "/custom/in")]
)
async def test_http_endpoints_with_and_without_a_path(tools: SinkTools, endpoint: str, target: str) -> None:
    async with HttpCollector(lambda _: (200, {}, b"")) as collector:
        address = collector.url.removeprefix("http://")
        await _http(endpoint.format(address), tools).write("spans", LINES)
        assert collector.requests[0].target == target


@pytest.mark.parametrize("status", [429, 502, 503, 504, 401, 403])
async def test_http_failures_that_may_pass_are_tried_again(tools: SinkTools, status: int) -> None:
    async with HttpCollector(lambda _: (status, {"retry-after": "9"}, b"")) as collector:
        with pytest.raises(UnavailableError) as caught:
            await _http(collector.url, tools).write("spans", LINES)
        assert caught.value.retry_after_s == 9.0


@pytest.mark.parametrize("status", [400, 404, 413, 500])
async def test_http_refusals_are_not_repeated(tools: SinkTools, status: int) -> None:
    async with HttpCollector(lambda _: (status, {}, b"")) as collector:
        assert await _http(collector.url, tools).write("spans", LINES) == 0


async def test_http_partial_success_is_counted_and_not_repeated(tools: SinkTools) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 3
    answer.partial_success.error_message = "too old\x1b[31m"

    def reply(_: Received) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, answer.SerializeToString()

    async with HttpCollector(reply) as collector:
        assert await _http(collector.url, tools).write("spans", LINES) == 17


# ---- gRPC

Handler = Callable[[bytes, Any], Awaitable[bytes]]


class GrpcCollector:
    """A grpcio server whose one method calls `handler`."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.handler: Handler | None = None
        self.port = 0

    async def export(self, request: bytes, context: Any) -> bytes:
        self.metadata.append(dict(context.invocation_metadata()))
        self.requests.append(ExportTraceServiceRequest.FromString(request))
        if self.handler is not None:
            return await self.handler(request, context)
        return ExportTraceServiceResponse().SerializeToString()

    async def start(self, **options: Any) -> Any:
        service, method = METHOD[1:].split("/")
        handlers = {method: grpc.unary_unary_rpc_method_handler(self.export)}
        server = grpc.aio.server(options=list(options.items()))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server


@pytest.fixture
async def collector() -> AsyncIterator[GrpcCollector]:
    made = GrpcCollector()
    server = await made.start()
    yield made
    await server.stop(None)


def _grpc(collector: GrpcCollector, tools: SinkTools, **fields: Any) -> OtlpGrpcSink:
    return OtlpGrpcSink(TracingSpec(enabled=True, endpoint=f"127.0.0.1:{collector.port}", **fields), tools)


async def test_grpc_delivers_to_a_real_server(collector: GrpcCollector, tools: SinkTools) -> None:
    sink = _grpc(collector, tools, headers={"X-Team": "blue"})
    for _ in range(3):  # on one connection
        assert await sink.write("spans", LINES) == 20
    await sink.close()
    assert len(collector.requests) == 3
    assert len(collector.requests[0].resource_spans[0].scope_spans[0].spans) == 40
    assert collector.metadata[0]["x-team"] == "blue"


async def test_grpc_obeys_flow_control_for_large_batches(collector: GrpcCollector, tools: SinkTools) -> None:
    sink = _grpc(collector, tools)
    sink._gzip = False  # 1.5 MB, far beyond the initial window of 64 KiB
    many = [_line(number, user="u" * 200) for number in range(2500)]
    assert await sink.write("spans", many) == 2500
    await sink.close()
    assert len(collector.requests[0].resource_spans[0].scope_spans[0].spans) == 5000


@pytest.mark.parametrize("code", ["UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED", "DATA_LOSS", "UNAUTHENTICATED"])
async def test_grpc_failures_that_may_pass_are_tried_again(
    collector: GrpcCollector, tools: SinkTools, code: str
) -> None:
    async def fail(_: bytes, context: Any) -> bytes:
        await context.abort(getattr(grpc.StatusCode, code), "näh")
        raise AssertionError

    collector.handler = fail
    sink = _grpc(collector, tools)
    with pytest.raises(UnavailableError):
        await sink.write("spans", LINES)
    await sink.close()


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "INTERNAL", "RESOURCE_EXHAUSTED"])
async def test_grpc_refusals_are_not_repeated(collector: GrpcCollector, tools: SinkTools, code: str) -> None:
    async def fail(_: bytes, context: Any) -> bytes:
        await context.abort(getattr(grpc.StatusCode, code), "no")
        raise AssertionError

    collector.handler = fail
    sink = _grpc(collector, tools)
    assert await sink.write("spans", LINES) == 0
    await sink.close()


def _retry_info(seconds: int, nanos: int = 0) -> bytes:
    """google.rpc.Status with a RetryInfo, written by hand: its classes are not installed."""
    delay = Duration(seconds=seconds, nanos=nanos).SerializeToString()
    info = b"\x0a" + bytes([len(delay)]) + delay
    detail = ProtoAny(type_url="type.googleapis.com/google.rpc.RetryInfo", value=info).SerializeToString()
    return b"\x08\x08\x12\x02no\x1a" + bytes([len(detail)]) + detail


async def test_grpc_exhaustion_with_retry_info_is_repeated_after_it(collector: GrpcCollector, tools: SinkTools) -> None:
    async def fail(_: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((("grpc-status-details-bin", _retry_info(12, 500_000_000)),))
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "later")
        raise AssertionError

    collector.handler = fail
    sink = _grpc(collector, tools)
    with pytest.raises(UnavailableError) as caught:
        await sink.write("spans", LINES)
    assert caught.value.retry_after_s == 12.5
    await sink.close()


@pytest.mark.parametrize("details", ["", "!", "////", "AAAA", "CAgaBQoD", "GgUKA2Fh"])
def test_retry_info_that_cannot_be_read_is_none(details: str) -> None:
    assert retry_delay_s(details) == 0.0


async def test_grpc_falls_back_when_the_server_cannot_unpack(collector: GrpcCollector, tools: SinkTools) -> None:
    async def refuse(_: bytes, context: Any) -> bytes:
        if len(collector.requests) == 1:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "gzip?")
        return b""

    collector.handler = refuse
    sink = _grpc(collector, tools)
    assert await sink.write("spans", LINES) == 20
    await sink.close()


async def test_grpc_comes_back_after_a_restart(tools: SinkTools) -> None:
    first = GrpcCollector()
    server = await first.start()
    sink = _grpc(first, tools)
    assert await sink.write("spans", LINES) == 20
    await server.stop(None)
    with pytest.raises(ConnectionError):
        await sink.write("spans", LINES)
    second = GrpcCollector()
    server = await second.start()
    sink._channel.target = Target("127.0.0.1", second.port, tls=False)
    assert await sink.write("spans", LINES) == 20
    await sink.close()
    await server.stop(None)


async def test_grpc_gives_up_on_a_server_that_says_nothing() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    released = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    channel = GrpcChannel(Target("127.0.0.1", port, tls=False), timeout_s=0.1)
    with pytest.raises(TimeoutError):
        await channel.unary(METHOD, b"", [])
    released.set()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 100, b"\x00\x00\x00\x04\x08\x00\x00\x00\x00"]
)
async def test_grpc_meets_something_that_is_not_grpc(answer: bytes) -> None:
    async def strange(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(strange, "127.0.0.1", 0)
    channel = GrpcChannel(Target("127.0.0.1", server.sockets[0].getsockname()[1], tls=False), timeout_s=2.0)
    with pytest.raises(ConnectionError):
        await channel.unary(METHOD, b"x", [])
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("endpoint", "insecure", "expected"),
    [
        ("collector:4317", True, Target("collector", 4317, tls=False)),
        ("collector", False, Target("collector", 4317, tls=True)),
        ("https://collector:443", True, Target("collector", 443, tls=True)),
        ("http://[::1]:4317", False, Target("::1", 4317, tls=False)),
    ],
)
def test_endpoints_are_addresses_or_urls(endpoint: str, insecure: bool, expected: Target) -> None:
    assert Target.parse(endpoint, insecure=insecure) == expected


@pytest.mark.parametrize("endpoint", ["", "ftp://x:1", "unix:///x", "host:notaport"])
def test_other_endpoints_are_refused_when_the_sink_is_built(endpoint: str) -> None:
    with pytest.raises(ValueError):
        Target.parse(endpoint, insecure=True)
