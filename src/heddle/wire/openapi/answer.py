"""HTTP answers as results of tool calls.

Owns what a model gets to see: JSON objects as structured content beside their text, other text as text, pictures and
sound as such, other bytes as an embedded resource. What is not a success is an error that the model can read, clipped.
A tool that promises an object and gets something else says so: clients refuse a result without the object.

*Source:* Model Context Protocol 2025-11-25, "Tools", tool results, and schema `CallToolResult`; RFC 9110 sections 8.3
and 15; RFC 8288 section 3 (Link); RFC 6839 section 3.1.
"""

import math
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from heddle.wire.errors import ProtocolError
from heddle.wire.json import parse_strict
from heddle.wire.openapi.content import is_json
from heddle.wire.openapi.operation import Operation

MAX_ERROR_CHARS = 4_000
"""Of the body of an error."""
MAX_LINK_CHARS = 4_000

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,96}")
_CHARSET = re.compile(r";[ \t]*charset=\"?([A-Za-z0-9_-]{1,32})\"?", re.IGNORECASE)
_CODECS = {
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
"""Everything else is read as UTF-8."""
_TEXTUAL = (
    "/xml",
    "+xml",
    "/yaml",
    "+yaml",
    "/javascript",
    "/x-ndjson",
    "/jsonl",
    "/x-www-form-urlencoded",
    "/graphql",
)
_LARGE_NUMBER = re.compile(rb"[0-9]{19}|[eE]\+?[0-9]{3}")
"""Only bodies with one of these can hold a number that others cannot write again."""
_INTEGERS = range(-(2**63), 2**64)


def read_answer(
    operation: Operation, status: int, content_type: str, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()
) -> dict[str, Any]:
    """A `CallToolResult`. Raises nothing, whatever the service sent.

    `headers` are the answer's, in lower case; `link` is handed on under `_meta`, for it may say where more is.
    """
    media_type, codec = _media_type(content_type)
    value = _json_of(media_type, body)
    if not 200 <= status < 300:
        result = _failure(_said(status), _shown(media_type, codec, body))
    elif isinstance(value, dict):
        result = {"content": [_text(_decoded(body, "utf-8"))], "structuredContent": value, "isError": False}
    elif "outputSchema" in operation.tool:
        said = f"{_said(status)}, but not with the JSON object that the service's description promises."
        result = _failure(said, _shown(media_type, codec, body))
    else:
        result = {"content": [_block(operation, media_type, codec, body) or _text(_said(status))], "isError": False}
    link = _link(headers)
    return {**result, "_meta": {"link": link}} if link else result


def _media_type(content_type: str) -> tuple[str, str]:
    """The media type, empty when there is none that can be read, and the codec of its text."""
    name = content_type.partition(";")[0].strip().lower()
    charset = _CHARSET.search(content_type)
    codec = _CODECS.get(charset[1].lower(), "utf-8") if charset else "utf-8"
    return (name if _MEDIA_TYPE.fullmatch(name) else ""), codec


def _json_of(media_type: str, body: bytes) -> Any:
    """The value of a JSON body; None when it is none, or holds numbers that would not survive being written again."""
    if not (is_json(media_type) or not media_type) or not body.strip():
        return None
    try:
        value = parse_strict(body)
    except ProtocolError:
        return None
    return value if _LARGE_NUMBER.search(body) is None or _is_writable(value) else None


def _is_writable(value: Any) -> bool:
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, float):
            if not math.isfinite(one):
                return False
        elif isinstance(one, int) and one not in _INTEGERS:
            return False
    return True


# Content


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _decoded(body: bytes, codec: str) -> str:
    return body.decode(codec, errors="replace")


def _is_text(media_type: str, body: bytes) -> bool:
    if media_type:
        return media_type.startswith("text/") or is_json(media_type) or media_type.endswith(_TEXTUAL)
    try:
        return "\x00" not in body.decode()
    except UnicodeDecodeError:
        return False


def _block(operation: Operation, media_type: str, codec: str, body: bytes) -> dict[str, Any] | None:
    """The body as content of a result; None when there is no body."""
    if not body:
        return None
    if _is_text(media_type, body):
        return _text(_decoded(body, codec))
    data = b64encode(body).decode("ascii")
    kind = media_type.partition("/")[0]
    if kind in ("image", "audio"):
        return {"type": kind, "data": data, "mimeType": media_type}
    uri = f"openapi:///{operation.name}/answer"
    named = media_type or "application/octet-stream"
    return {"type": "resource", "resource": {"uri": uri, "mimeType": named, "blob": data}}


# Errors


def _said(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _shown(media_type: str, codec: str, body: bytes) -> str:
    """As much of a body as an error shows."""
    if not body:
        return ""
    if not _is_text(media_type, body):
        return f"({len(body)} bytes of {media_type or 'unknown content'})"
    # No codec here takes more than four bytes for a character.
    text = _decoded(body[: 4 * MAX_ERROR_CHARS + 4], codec)
    return text if len(text) <= MAX_ERROR_CHARS else f"{text[:MAX_ERROR_CHARS]}… (clipped)"


def _failure(said: str, shown: str) -> dict[str, Any]:
    return {"content": [_text(f"{said}\n\n{shown}" if shown else said)], "isError": True}


def _link(headers: Iterable[tuple[bytes, bytes]]) -> str:
    values: Sequence[bytes] = [value for name, value in headers if name.lower() == b"link"]
    text = b", ".join(values).decode("utf-8", errors="replace")
    # A link that was cut leads elsewhere.
    return text if len(text) <= MAX_LINK_CHARS and text.isprintable() else ""
