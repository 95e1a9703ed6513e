"""Collectors for tests: OTLP over gRPC and HTTP decoded by the official classes, and a strict bulk endpoint."""

import gzip
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from tests.contract.sinks.collectors import FakeElasticsearch, Received
from tests.e2e.servers import Answer, Asked, Server, reply, serving

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@dataclass
class Span:
    """A span as a collector got it."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    failed: bool
    attributes: dict[str, Any]


@dataclass
class Spans:
    """All spans that arrived."""

    url: str = ""
    received: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    metadata: list[dict[str, str]] = field(default_factory=list)

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keep what an export brought."""
        for resource in request.resource_spans:
            self.services.add(_attributes(resource.resource.attributes)["service.name"])
            for scope in resource.scope_spans:
                self.received += [_span(span) for span in scope.spans]

    def of(self, trace_id: str) -> list[Span]:
        """The spans of a trace, the server's first."""
        return sorted((span for span in self.received if span.trace_id == trace_id), key=lambda span: span.kind)


def _span(span: Any) -> Span:
    return Span(
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.trace_state,
        span.status.code == 2,
        _attributes(span.attributes),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    found = getattr(value, value.WhichOneof("value"))
    return [_value(one) for one in found.values] if hasattr(found, "values") else found


@contextmanager
def otlp_grpc() -> Iterator[Spans]:
    """A collector on grpcio."""
    spans = Spans()

    def export(request: ExportTraceServiceRequest, context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        spans.metadata.append({str(key): str(value) for key, value in context.invocation_metadata()})
        spans.take(request)
        return ExportTraceServiceResponse()

    service, _, method = EXPORT[1:].partition("/")
    handler = grpc.unary_unary_rpc_method_handler(
        export, ExportTraceServiceRequest.FromString, ExportTraceServiceResponse.SerializeToString
    )
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    spans.url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield spans
    finally:
        server.stop(None).wait()


@contextmanager
def otlp_http() -> Iterator[Spans]:
    """A collector over HTTP."""
    spans = Spans()

    def take(asked: Asked) -> Answer:
        body = gzip.decompress(asked.body) if asked.header("content-encoding") == "gzip" else asked.body
        if (asked.target, asked.header("content-type")) != ("/v1/traces", "application/x-protobuf"):
            return reply(415)
        spans.metadata.append(dict(asked.fields))
        spans.take(ExportTraceServiceRequest.FromString(body))
        return reply(200, ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf")

    with serving(take) as server:
        spans.url = f"{server.url}/v1/traces"
        yield spans


@contextmanager
def elasticsearch() -> Iterator[tuple[FakeElasticsearch, Server]]:
    """A bulk endpoint that is strict about what it takes."""
    fake = FakeElasticsearch()

    def bulk(asked: Asked) -> Answer:
        status, extra, body = fake._bulk(Received(asked.target, dict(asked.fields), asked.body))
        return reply(status, body, **{name.replace("-", "_"): value for name, value in extra.items()})

    with serving(bulk) as server:
        yield fake, server
