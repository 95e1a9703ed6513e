"""JSON-RPC messages as the bridge sees them: which kind, whose id, which progress token; the rest as it was written.

Owns taking a message apart without reading what it is about, and putting it together under another id. What comes out
is always one line: a line end inside a document would be a second message to the other side.

*Source:* JSON-RPC 2.0, sections 4 and 5; Model Context Protocol 2025-11-25, "stdio" ("MUST NOT contain embedded
newlines") and "Progress"; 2026-07-28, "Subscriptions".
"""

from typing import Any

import msgspec

from heddle.wire.errors import ProtocolError

Id = int | str

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
VERSION = "io.modelcontextprotocol/protocolVersion"

INTERNAL, INVALID = -32603, -32600


class Message(msgspec.Struct, kw_only=True, gc=False, eq=False):
    """Any message. Values stay text."""

    jsonrpc: str = "2.0"
    id: Id | msgspec.UnsetType | None = msgspec.UNSET
    method: str | msgspec.UnsetType = msgspec.UNSET
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def asks(self) -> bool:
        """It is a request: it has a method, and an id to answer to."""
        return isinstance(self.method, str) and isinstance(self.id, int | str)

    @property
    def tells(self) -> bool:
        """It is a notification."""
        return isinstance(self.method, str) and not isinstance(self.id, int | str)

    @property
    def answers(self) -> bool:
        """It is a response."""
        return not isinstance(self.method, str) and (
            self.result is not msgspec.UNSET or self.error is not msgspec.UNSET
        )


_decode = msgspec.json.Decoder(Message).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_id = msgspec.json.Decoder(Id).decode
_encode = msgspec.json.encode


def read(data: bytes) -> Message:
    """One message. Raises ProtocolError for what is none."""
    try:
        data.decode("utf-8")
        message: Message = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The message is not a JSON-RPC message.", malformed=True) from exc
    if not (message.asks or message.tells or message.answers):
        raise ProtocolError("The message is neither a request, a notification nor a response.")
    return message


def write(message: Message) -> bytes:
    """One message without line ends of any kind, and without one at its end."""
    return _encode(message).replace(b"\n", b" ").replace(b"\r", b" ")


def fields(raw: msgspec.Raw | msgspec.UnsetType) -> dict[str, msgspec.Raw]:
    """The fields of an object, each as it was written; none when it is no object."""
    if raw is msgspec.UNSET:
        return {}
    try:
        return _decode_fields(raw)
    except (msgspec.MsgspecError, RecursionError):
        return {}


def value(raw: msgspec.Raw | None) -> Id | None:
    """An id or token; None for anything else."""
    if raw is None:
        return None
    try:
        found: Id = _decode_id(raw)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found


def replaced(raw: msgspec.Raw | msgspec.UnsetType, path: tuple[str, ...], by: Id) -> msgspec.Raw:
    """An object with the value at `path` (which exists) replaced, and everything else as it was written."""
    own = fields(raw)
    if len(path) == 1:
        own[path[0]] = msgspec.Raw(_encode(by))
    else:
        own[path[0]] = replaced(own[path[0]], path[1:], by)
    return msgspec.Raw(_encode(own))


def failure(to: Id | None, text: str, code: int = INTERNAL) -> bytes:
    """An error response."""
    return _encode({"jsonrpc": "2.0", "id": to, "error": {"code": code, "message": text}})


def made(method: str, params: dict[str, Any], to: Id | None = None) -> bytes:
    """A request (with an id) or notification of the host's own."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if to is not None:
        message["id"] = to
    return _encode(message)


def event(data: bytes) -> bytes:
    """A message as a server-sent event."""
    return b"event: message\ndata: %b\n\n" % data


def concerns_all(message: Message) -> bool:
    """It is about the server, and about nobody's call."""
    method = message.method
    return isinstance(method, str) and (method.endswith("/list_changed") or method == "notifications/resources/updated")


def number(raw: msgspec.Raw | None) -> int:
    """The number of a request as the child says it back; 0 is none's."""
    found = value(raw)
    return found if isinstance(found, int) else 0
