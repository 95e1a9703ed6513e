"""What all parts of the configuration share: the base of their structs, and texts with a declared form.

A part is one struct in two spellings: `limit_by` in the short form, `limitBy` in resources. `FORM` and `SECRET`
marks on
its fields drive the validator, the JSON Schema, the reference page and redaction alike.
"""

from typing import Annotated, Any, dataclass_transform

import msgspec

from heddle.model.redact import hidden_repr


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A piece of configuration. Immutable; its `repr` shows no secret."""

    def __repr__(self) -> str:
        return hidden_repr(self)


Duration = Annotated[
    str, msgspec.Meta(description="duration, e.g. `30s`, `5m`, `24h`, `7d`", extra={"form": "duration"})
]
Period = Annotated[str, msgspec.Meta(description="duration above zero, e.g. `30s`", extra={"form": "period"})]
Network = Annotated[str, msgspec.Meta(description="network (CIDR) or address", extra={"form": "network"})]
Address = Annotated[str, msgspec.Meta(description="IP address or `localhost`", extra={"form": "address"})]
Url = Annotated[str, msgspec.Meta(description="http or https URL", extra={"form": "url"})]
HostPort = Annotated[str, msgspec.Meta(description="host:port or URL", extra={"form": "endpoint"})]
Origin = Annotated[str, msgspec.Meta(description="origin, e.g. `https://app.example.com`", extra={"form": "origin"})]
Hostname = Annotated[str, msgspec.Meta(description="host name", extra={"form": "hostname"})]
TrustDomain = Annotated[str, msgspec.Meta(description="trust domain", extra={"form": "trust_domain"})]
Pattern = Annotated[str, msgspec.Meta(description="name or pattern (`*`)", extra={"form": "pattern"})]
Name = Annotated[str, msgspec.Meta(description="name", extra={"form": "name"})]
SecretName = Annotated[
    str, msgspec.Meta(description="name of a secret", extra={"form": "secret_name", "private": True})
]
Identity = Annotated[str, msgspec.Meta(description="text", extra={"form": "identity"})]
Segment = Annotated[str, msgspec.Meta(description="text", extra={"form": "segment"})]
Sha256 = Annotated[
    str,
    msgspec.Meta(description="64 hexadecimal digits", extra={"form": "sha256", "secret_digest": True, "private": True}),
]
Timestamp = Annotated[str, msgspec.Meta(description="time (RFC 3339) or date", extra={"form": "timestamp"})]
File = Annotated[str, msgspec.Meta(description="path of a file", extra={"form": "file"})]
FilePath = Annotated[str, msgspec.Meta(description="path of a file", extra={"form": "path"})]
"""Like `File`, but it need not exist when the configuration is read."""
Secret = Annotated[str, msgspec.Meta(description="secret: `${ENV}`, `file:path` or literal", extra={"secret": True})]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Free = dict[str, Any]
"""A mapping whose fields are not ours to know."""


def many(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """One text or several, as several; an empty text is none."""
    if isinstance(value, str):
        return (value,) if value else ()
    return value
