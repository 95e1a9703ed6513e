"""What a gateway says it found behind what it was sent: tool servers, their tools, models, and how they are.

Owns the entries, their bounds, and the message that carries changes of them, which is one of `delta`'s. An entry is
about a target or a provider that the gateway was sent, by its name there; what object that is, and in which namespace,
the control plane knows by itself and is not told.

Texts are those of strangers. Whoever writes an entry has made them visible and short; whoever reads one believes
neither, and does so again.

*Source:* ours, as `delta` is. MCP 2026-07-28, schema (`Tool`, `Implementation`).
"""

import hashlib
from typing import Annotated, Literal

import msgspec

MAX_NAME_CHARS = 320
MAX_TEXT_CHARS = 2_000
"""Of a description or instructions."""
MAX_SCHEMA_CHARS = 12_000
"""JSON of a schema; a longer one is left out, and that is said."""
MAX_TOOLS = 2_000
"""Of one server that are told of."""
MAX_ENTRIES = 20_000
"""That one gateway may have at a time."""
MAX_FRAME_BYTES = 48 * 1024
"""Of a message as gateways make them, but for one of a single entry, which may be as large again."""

_Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)]
_Json = Annotated[str, msgspec.Meta(max_length=MAX_SCHEMA_CHARS)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Approval = Literal["approved", "unchecked", "pending", "changed", "poisoned", "rejected"]
"""What screening made of a definition; all from `pending` on are withheld from callers."""


class FoundServer(msgspec.Struct, frozen=True, kw_only=True, tag="server", omit_defaults=True):
    """A tool server, and how it is."""

    target: _Name
    """Name of the part that declares it, without the kind."""
    well: bool = True
    """It answers."""
    why: _Text = ""
    """Why not; or what else is to be said."""
    listed: bool = False
    """Its lists were read at some time: what is not told of is not there."""
    title: _Name = ""
    version: _Name = ""
    protocol_version: _Name = ""
    transport: _Name = ""
    instructions: _Text = ""
    tools: _Count = 0
    resources: _Count = 0
    prompts: _Count = 0


class FoundTool(msgspec.Struct, frozen=True, kw_only=True, tag="tool", omit_defaults=True):
    """A tool, as its server describes it."""

    target: _Name
    name: _Name
    title: _Name = ""
    description: _Text = ""
    input_schema: _Json = ""
    """JSON; empty when there is none, or it is too long."""
    output_schema: _Json = ""
    annotations: _Json = ""
    digest: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """SHA-256 of the whole definition, in hexadecimal."""
    approval: Approval = "unchecked"


class FoundModel(msgspec.Struct, frozen=True, kw_only=True, tag="model", omit_defaults=True):
    """A model that is called at a provider."""

    provider: _Name
    """Name of the part that declares it, without the kind."""
    model: _Name
    """Name it is called by there."""


Entry = FoundServer | FoundTool | FoundModel


class Found(msgspec.Struct, frozen=True, tag="found"):
    """Gateway: this is another one now than I said on this connection, or is there no longer."""

    changed: tuple[Entry, ...] = ()
    removed: tuple[Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS + 80)], ...] = ()
    """Keys of entries."""
    whole: bool = False
    """With this everything has been said once: what was known of an earlier connection and was not said is gone."""


def part_of(entry: Entry) -> str:
    """Name of the part that an entry is about."""
    return f"provider/{entry.provider}" if isinstance(entry, FoundModel) else f"target/{entry.target}"


def key_of(entry: Entry) -> str:
    """What an entry is called among those of its gateway."""
    if isinstance(entry, FoundServer):
        return part_of(entry)
    return key_in(part_of(entry), entry.model if isinstance(entry, FoundModel) else entry.name)


def key_in(part: str, name: str) -> str:
    """What the entry for something called `name` behind a part is called."""
    return f"{part}\n{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"


def part_of_key(key: str) -> str:
    """Name of the part that the entry of a key is about."""
    return key.partition("\n")[0]
