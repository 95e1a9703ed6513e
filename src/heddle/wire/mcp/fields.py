"""HTTP fields of MCP, and that they say what the body says.

Policies of proxies on the way may judge fields alone, so a field that contradicts the body is refused: the trap is a
`Mcp-Name` that says `echo` over a body that calls something else.
*Source:* Model Context Protocol 2026-07-28, "Streamable HTTP", sections on standard and custom header fields.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import NamedTuple

from heddle.wire.jsonrpc import Message, RpcError

SESSION = b"mcp-session-id"
VERSION = b"mcp-protocol-version"
METHOD = b"mcp-method"
NAME = b"mcp-name"
PARAM_PREFIX = b"mcp-param-"

HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022

NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri",
            "tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId"}  # fmt: skip
"""Method -> the member of its params that `Mcp-Name` repeats."""

_SENTINEL = re.compile(r"=\?base64\?(.*)\?=")
_PLAIN = re.compile(r"[\x20-\x7e]*")
_SINGLE = frozenset((VERSION, METHOD, NAME, SESSION))


def encode_value(text: str) -> bytes:
    """A text as a field value; wrapped in base64 where it would not survive as it is."""
    if _PLAIN.fullmatch(text) and text == text.strip() and not _SENTINEL.fullmatch(text):
        return text.encode("ascii")
    return b"=?base64?%b?=" % base64.b64encode(text.encode("utf-8", "surrogatepass"))


def decode_value(value: bytes) -> str | None:
    """The text of a field value; None for one that is wrapped wrongly, which then equals nothing."""
    text = value.decode("latin-1")
    found = _SENTINEL.fullmatch(text)
    if found is None:
        return text
    try:
        data = base64.b64decode(found[1], validate=True)
        # Two spellings of one text would be read differently by readers that compare before decoding.
        return data.decode() if base64.b64encode(data).decode("ascii") == found[1] else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


class Said(NamedTuple):
    """What the fields of a request say of its body."""

    version: str | None
    method: str | None
    name: str | None
    """None where there is none, or where it is wrapped wrongly."""
    named: bool
    repeated: bool
    params: tuple[tuple[bytes, bytes], ...]
    """Those that repeat arguments."""


def read_fields(headers: Iterable[tuple[bytes, bytes]], fields: dict[bytes, bytes]) -> Said:
    """What `headers` say; `fields` are the same by name."""
    seen = [name for name, _ in headers if name in _SINGLE]
    version, method, name = fields.get(VERSION), fields.get(METHOD), fields.get(NAME)
    return Said(
        version.decode("latin-1") if version is not None else None,
        method.decode("latin-1") if method is not None else None,
        decode_value(name) if name is not None else None,
        name is not None,
        len(seen) != len(set(seen)),
        tuple([field for field in headers if field[0].startswith(PARAM_PREFIX)]),
    )


def check_fields(said: Said, message: Message) -> None:
    """Refuse fields that are repeated or contradict the body of a modern request. Raises RpcError."""
    if said.repeated:
        raise RpcError(HEADER_MISMATCH, "A field of the protocol is given twice.")
    if said.method is None:
        raise RpcError(HEADER_MISMATCH, "The field `Mcp-Method` is missing.")
    if said.method != message.method:
        raise RpcError(HEADER_MISMATCH, "`Mcp-Method` is not the method of the body.")
    member = NAMED_BY.get(message.method)
    if member is None:
        return
    if not said.named:
        raise RpcError(HEADER_MISMATCH, "The field `Mcp-Name` is missing.")
    meant = message.value.get(member)
    if not isinstance(meant, str) or said.name != meant:
        raise RpcError(HEADER_MISMATCH, f"`Mcp-Name` is not `params.{member}` of the body.")
