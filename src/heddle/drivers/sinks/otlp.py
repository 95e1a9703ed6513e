"""Spans to an OpenTelemetry collector, over HTTP or gRPC, in protobuf.

Owns the encoding of a batch and the reading of the collector's verdict: which failures may be repeated is the
protocol's to say, and a batch it refuses for good is counted and dropped, for a trace is not worth a stuck queue.
*Source:* OTLP 1.x specification, "OTLP/gRPC" (retryable codes, RetryInfo), "OTLP/HTTP" (retryable statuses,
Retry-After), "Partial Success"; OpenTelemetry exporter configuration for the default path `/v1/traces`.
"""

import gzip
import logging
import socket
from collections.abc import Iterable
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status as ProtoStatus

from heddle import __version__
from heddle.drivers.sinks.base import Headers, SinkTools, UnavailableError, retry_after_s
from heddle.drivers.sinks.grpc import GrpcChannel, Target
from heddle.model.snapshot import TracingSpec
from heddle.telemetry.spans import Span, Value, decode_span, spans

_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
# CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
_RETRYABLE_CODES = frozenset({1, 4, 10, 11, 14, 15})
_RESOURCE_EXHAUSTED = 8
_UNIMPLEMENTED = 12
_UNAUTHORIZED = frozenset({401, 403})
_UNAUTHORIZED_CODES = frozenset({7, 16})
_SAMPLED = 1

_log = logging.getLogger("heddle.exporter")


class OtlpHttpSink:
    """`POST <endpoint>/v1/traces`; an endpoint with a path of its own is used as it stands."""

    def __init__(self, spec: TracingSpec, tools: SinkTools) -> None:
        self._url = _traces_url(spec)
        self._tools = tools
        self._headers: Headers = [(name.lower().encode(), value.encode()) for name, value in spec.headers.items()]
        self._headers += [(b"content-type", b"application/x-protobuf"), (b"content-encoding", b"gzip")]

    def __repr__(self) -> str:
        return f"OtlpHttpSink({self._url})"

    async def write(self, kind: str, lines: list[bytes]) -> int:  # noqa: ARG002
        """See Sink."""
        request, count = encode(lines)
        status, headers, body = await self._tools.post(self._url, self._headers, gzip.compress(request, 1), "")
        if status in _RETRYABLE_STATUSES or status in _UNAUTHORIZED:
            raise UnavailableError(f"status {status}", retry_after_s(headers))
        if not 200 <= status < 300:
            return _refused(len(lines), f"status {status}")
        return _accepted(len(lines), count, body)

    async def close(self) -> None:
        """Nothing: connections belong to the client."""


class OtlpGrpcSink:
    """`TraceService/Export` at `host:port`, in clear or TLS."""

    def __init__(self, spec: TracingSpec, tools: SinkTools) -> None:  # noqa: ARG002
        self._channel = GrpcChannel(Target.parse(spec.endpoint, insecure=spec.insecure))
        self._metadata = [(name.lower(), value) for name, value in spec.headers.items()]
        self._gzip = True

    def __repr__(self) -> str:
        return f"OtlpGrpcSink({self._channel.target})"

    async def write(self, kind: str, lines: list[bytes]) -> int:
        """See Sink."""
        request, count = encode(lines)
        answer = await self._channel.unary(_METHOD, request, self._metadata, compress=self._gzip)
        if answer.code == 0:
            return _accepted(len(lines), count, answer.body)
        if answer.code == _UNIMPLEMENTED and self._gzip:  # gRPC compression spec: then the server cannot unpack it
            self._gzip = False
            return await self.write(kind, lines)
        reason = f"gRPC code {answer.code}"
        retryable = answer.code in _RETRYABLE_CODES or answer.code in _UNAUTHORIZED_CODES
        # RESOURCE_EXHAUSTED may be repeated only when the collector says that it can recover (RetryInfo).
        if retryable or (answer.code == _RESOURCE_EXHAUSTED and answer.retry_after_s > 0):
            raise UnavailableError(reason, answer.retry_after_s)
        return _refused(len(lines), reason)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()


def encode(lines: list[bytes]) -> tuple[bytes, int]:
    """An ExportTraceServiceRequest, and how many spans it holds. Lines that are no span records are left out."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    _put(resource.resource.attributes, _RESOURCE)
    scope = resource.scope_spans.add()
    scope.scope.name = "heddle"
    scope.scope.version = __version__
    for line in lines:
        try:
            record = decode_span(line)
        except msgspec.DecodeError:
            _log.exception("a span record cannot be read")
            continue
        for span in spans(record):
            _fill(scope.spans.add(), span)
    return request.SerializeToString(), len(scope.spans)


_RESOURCE: dict[str, Value] = {
    "service.name": "heddle",
    "service.version": __version__,
    "host.name": socket.gethostname(),
}


def _fill(proto: Any, span: Span) -> None:
    proto.trace_id = bytes.fromhex(span.trace_id)
    proto.span_id = bytes.fromhex(span.span_id)
    proto.parent_span_id = bytes.fromhex(span.parent_id)
    proto.trace_state = span.state
    proto.flags = _SAMPLED
    proto.name = span.name
    proto.kind = ProtoSpan.SpanKind.ValueType(span.kind)
    proto.start_time_unix_nano = span.start_ns
    proto.end_time_unix_nano = span.end_ns
    _put(proto.attributes, span.attributes)
    if span.error:
        proto.status.code = ProtoStatus.STATUS_CODE_ERROR
        proto.status.message = span.error


def _put(target: Any, attributes: dict[str, Value]) -> None:
    target.extend(_attributes(attributes))


def _attributes(attributes: dict[str, Value]) -> Iterable[KeyValue]:
    for name, value in attributes.items():
        pair = KeyValue(key=name)
        if isinstance(value, bool):
            pair.value.bool_value = value
        elif isinstance(value, int):
            pair.value.int_value = value
        elif isinstance(value, float):
            pair.value.double_value = value
        elif isinstance(value, tuple):
            pair.value.array_value.values.extend([AnyValue(string_value=text) for text in value])
        else:
            pair.value.string_value = value
        yield pair


def _accepted(lines: int, count: int, body: bytes) -> int:
    """Read a success, which may be partial: the client must not repeat it then. Lines, as far as spans tell."""
    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:
        return lines  # some collectors answer HTTP with an empty JSON object
    if not partial.rejected_spans:
        return lines
    _log.warning("the collector rejected %d of %d spans: %.200r", partial.rejected_spans, count, partial.error_message)
    return max(0, lines - int(partial.rejected_spans))


def _refused(lines: int, reason: str) -> int:
    _log.error("the collector refuses %d calls' spans for good: %s", lines, reason)
    return 0


def _traces_url(spec: TracingSpec) -> str:
    scheme, separator, rest = spec.endpoint.rstrip("/").partition("://")
    if not separator:
        scheme, rest = "http" if spec.insecure else "https", scheme
    return f"{scheme}://{rest}" if "/" in rest else f"{scheme}://{rest}/v1/traces"
