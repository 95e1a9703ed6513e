"""The short form's `observability`: where traces and records go.

*Source:* W3C Trace Context; B3 propagation; OTLP 1.x (default ports 4317 for gRPC, 4318 for HTTP).
"""

from typing import Annotated, Literal

import msgspec

from heddle.model.config_base import File, FilePath, HostPort, Part, Secret, Url


class Tracing(Part, frozen=True, kw_only=True):
    """Spans."""

    enabled: bool = True
    """Record spans. Trace headers are passed on in any case."""
    exporter: Literal["otlp"] = "otlp"
    """How spans are shipped."""
    endpoint: HostPort = ""
    """`host:port` or URL of the collector. Unset records nothing."""
    protocol: Literal["grpc", "http"] | None = None
    """Unset decides by the endpoint: port 4318 or a URL with a path is `http`, all else `grpc`."""
    insecure: bool | None = None
    """Ship without TLS. Unset: yes, unless the endpoint is an https URL."""
    headers: dict[str, Secret] = msgspec.field(default_factory=dict)
    """Sent with every export; values may be `${ENV}`, `file:path`, or contain `${ENV}` ("Bearer ${TOKEN}")."""
    sample_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """Share of traces that are recorded, 0 to 1. A caller's own decision wins once it has proven who it is."""
    propagation: tuple[Literal["w3c", "b3"], ...] = ("w3c", "b3")
    """Header formats read and passed on; the first found wins."""


class Stdout(Part, frozen=True, kw_only=True, tag_field="type", tag="stdout"):
    """Records as JSON lines on standard output."""


class FileOutput(Part, frozen=True, kw_only=True, tag_field="type", tag="file"):
    """Records as JSON lines in a file."""

    path: FilePath
    """File to append to, opened anew when it is rotated away. Relative to the state directory."""


class Elasticsearch(Part, frozen=True, kw_only=True, tag_field="type", tag="elasticsearch"):
    """Records by the bulk API; a bounded queue, so that no call waits for it."""

    endpoint: Url
    """Base URL."""
    index: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,254}$")] = "heddle"
    """Index or data stream to write to."""
    username: str = ""
    """User of basic authentication; unset sends none."""
    password: Secret = ""
    """Password of basic authentication."""
    api_key: Secret = ""
    """Elasticsearch API key (encoded form), instead of user and password."""
    ca_file: File = ""
    """PEM bundle to trust instead of the system's. Relative to the configuration file."""


Output = Stdout | FileOutput | Elasticsearch


class Logging(Part, frozen=True, kw_only=True):
    """Access and audit records."""

    enabled: bool = True
    """Write records. False writes none anywhere, audit records included."""
    format: Literal["json"] = "json"
    """Form of a record."""
    output: tuple[Output, ...] = (Stdout(),)
    """Where records are written; several are all written to. Empty: audit records wait in the state directory."""
    bodies: bool = False
    """Record prompts and completions, up to 65,536 characters of each; of a stream its text. Off, because they are the
    callers' data."""


class Observability(Part, frozen=True, kw_only=True):
    """Everything that tells what happened. Metrics are always served by `admin`."""

    tracing: Tracing | None = None
    """Spans. Unset records none."""
    logging: Logging | None = None
    """Access and audit records. Unset writes no access records; audit records wait in the state directory."""
