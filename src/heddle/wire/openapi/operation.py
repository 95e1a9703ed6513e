"""What is known of a service after its document was read: operations, their arguments, their bodies, their credentials.

Owns the types that the other modules here share. They hold no text that is still to be interpreted.

*Source:* OpenAPI Specification 3.1.1, sections 4.8.8 to 4.8.14 and 4.8.27; Model Context Protocol 2025-11-25, "Tools".
"""

from typing import Any, Literal

import msgspec

Location = Literal["path", "query", "header", "cookie", "body"]
Shape = Literal["plain", "array", "object"]
BodyKind = Literal["json", "form", "multipart", "text", "binary"]
Fields = list[tuple[bytes, bytes]]
"""Header fields: lower-case names, in order."""


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """One property of a tool's input, and where it goes in a request."""

    name: str
    """As the tool calls it."""
    wire_name: str
    """As the service calls it."""
    location: Location
    required: bool = False
    style: str = "simple"
    explode: bool = False
    allow_reserved: bool = False
    shapes: frozenset[Shape] = frozenset({"plain"})
    """What its schema lets it be; another shape could name parameters that nobody described."""
    content_type: str = ""
    """Of its serialised form, when it is not written in a style."""
    binary: bool = False
    """A base64 string that is sent as the bytes it stands for."""


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """How the content of a request is made."""

    kind: BodyKind
    content_type: str
    required: bool = False
    whole: Argument | None = None
    """The argument that is the content; None when each property of the content is an argument."""
    parts: tuple[Argument, ...] = ()
    """How each property that the schema lists is written, under its name on the wire."""


class Scheme(msgspec.Struct, frozen=True, kw_only=True):
    """One way to prove who calls. URLs are as the document states them; nothing here has looked at them."""

    name: str
    kind: Literal["apiKey", "http", "oauth2", "openIdConnect", "mutualTLS"]
    location: Literal["header", "query", "cookie", ""] = ""
    """Of an API key."""
    parameter: str = ""
    """The name of the field, query parameter or cookie that carries an API key."""
    http_scheme: str = ""
    """`basic`, `bearer` or another one of HTTP, in lower case."""
    flows: dict[str, dict[str, Any]] = {}
    """Of OAuth 2: by name of the flow, its URLs and scopes."""
    discovery_url: str = ""
    """Of OpenID Connect."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """One scheme that an operation asks for."""

    scheme: str
    scopes: tuple[str, ...] = ()


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation and the tool it is offered as."""

    tool: dict[str, Any]
    """The definition, for every era of MCP. Parts are shared between operations: copy before you change."""
    method: str
    path: str
    """The template as the document has it."""
    pieces: tuple[str, ...]
    """The template with the path of the server before it: literals, percent-encoded, and at odd places the names of
    path parameters."""
    operation_id: str = ""
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    arguments: tuple[Argument, ...] = ()
    body: Body | None = None
    accept: str = "*/*"
    security: tuple[tuple[Demand, ...], ...] = ()
    """Alternatives, each with all that it demands; an empty one lets anybody in, no alternative does too."""
    credential_places: frozenset[tuple[str, str]] = frozenset()
    """Location and lower-case name of what carries credentials: arguments cannot set it."""

    @property
    def name(self) -> str:
        """Of the tool."""
        return str(self.tool["name"])


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was read."""

    title: str
    description: str
    base_url: str
    """Scheme, host and port: the path is part of each operation's."""
    operations: tuple[Operation, ...]
    schemes: dict[str, Scheme] = {}


class HttpCall(msgspec.Struct, frozen=True, kw_only=True):
    """A request, but for its host and its credentials."""

    method: str
    target: bytes
    """Path and query, percent-encoded."""
    headers: Fields
    """Without host, length and content type."""
    body: bytes = b""
    content_type: str = ""
    """Empty when there is no content."""
