"""Observability, compiled: where spans and records go, with their credentials."""

from urllib.parse import urlsplit

from heddle.controlplane.paths import absolute
from heddle.controlplane.secrets import SecretError, Secrets
from heddle.model.config_observability import Elasticsearch, FileOutput, Logging, Observability, Output, Tracing
from heddle.model.plan import Placed
from heddle.model.problem import Place, Report
from heddle.model.snapshot import LoggingSpec, ObservabilitySpec, SinkSpec, TracingSpec

_HTTP_PORT = 4318
"""OTLP 1.x: 4317 is gRPC, 4318 is HTTP."""


def compile_observability(placed: list[Placed[Observability]], secrets: Secrets, report: Report) -> ObservabilitySpec:
    """The one that is declared, or the default. Reports secrets that cannot be resolved."""
    if not placed:
        return ObservabilitySpec()
    value, place = placed[0]
    resolver = _Resolver(secrets, report)
    return ObservabilitySpec(
        tracing=_tracing(value.tracing, place.at("tracing"), resolver) if value.tracing is not None else TracingSpec(),
        logging=_logging(value.logging, place.at("logging"), resolver) if value.logging is not None else LoggingSpec(),
    )


class _Resolver:
    """Secrets whose absence is an error: data would otherwise go nowhere, unseen."""

    def __init__(self, secrets: Secrets, report: Report) -> None:
        self._secrets = secrets
        self._report = report

    def text(self, text: str, place: Place) -> str:
        if not text:
            return ""
        try:
            return self._secrets.resolve(text, place.source.folder)
        except SecretError as exc:
            self._report.error(place, str(exc))
            return ""


def otlp_protocol(tracing: Tracing) -> str:
    """`grpc` or `http`: as said, else by the endpoint."""
    if tracing.protocol is not None:
        return tracing.protocol
    parts = urlsplit(tracing.endpoint if "://" in tracing.endpoint else f"//{tracing.endpoint}")
    return "http" if parts.port == _HTTP_PORT or parts.path.strip("/") else "grpc"


def _tracing(tracing: Tracing, place: Place, resolver: _Resolver) -> TracingSpec:
    headers = {name: resolver.text(text, place.at("headers", name)) for name, text in tracing.headers.items()}
    insecure = not tracing.endpoint.startswith("https://") if tracing.insecure is None else tracing.insecure
    return TracingSpec(
        enabled=tracing.enabled,
        protocol="http" if otlp_protocol(tracing) == "http" else "grpc",
        endpoint=tracing.endpoint,
        insecure=insecure,
        headers=headers,
        propagation=tracing.propagation,
        sample_ratio=tracing.sample_ratio,
    )


def _logging(logging: Logging, place: Place, resolver: _Resolver) -> LoggingSpec:
    sinks = (_sink(output, place.at("output", index), resolver) for index, output in enumerate(logging.output))
    return LoggingSpec(enabled=logging.enabled, sinks=tuple(sinks), bodies=logging.bodies)


def _sink(output: Output, place: Place, resolver: _Resolver) -> SinkSpec:
    if isinstance(output, FileOutput):
        # Relative paths are the exporter's: they are relative to its state directory.
        return SinkSpec(type="file", path=output.path)
    if not isinstance(output, Elasticsearch):
        return SinkSpec(type="stdout")
    return SinkSpec(
        type="elasticsearch",
        endpoint=output.endpoint.rstrip("/"),
        index=output.index,
        username=output.username,
        password=resolver.text(output.password, place.at("password")),
        api_key=resolver.text(output.api_key, place.at("api_key")),
        ca_file=absolute(place.source.folder, output.ca_file),
    )
