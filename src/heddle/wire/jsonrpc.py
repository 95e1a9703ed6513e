"""JSON-RPC 2.0: one message from its bytes, and the bytes of an answer.

Owns what counts as a message. A body is read strictly (`wire.json`), once; what a message carries is kept as it was
written, so that what policies judged is what a peer gets. Refuses ids that are null or no text or integer, members
of the wrong type, and messages that are a request and an answer at once.
*Source:* JSON-RPC 2.0 sections 4 to 6; Model Context Protocol, "Messages" (an id must not be null).
"""

from typing import Any

import msgspec

from heddle.wire.errors import ProtocolError
from heddle.wire.json import parse_strict

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

MAX_ID_BYTES = 256
MAX_CODE = 2**53
"""An error's code beyond it is none that other readers have."""
_OBJECT = ord("{")
NO_PARAMS: dict[str, msgspec.Raw] = {}
_encode = msgspec.json.encode


class RpcError(Exception):
    """An answer that is an error. `data` is raw JSON, empty for none; `message` is shown to whoever asked."""

    def __init__(self, code: int, message: str, data: bytes = b"") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.data = data


class Message(msgspec.Struct, gc=False, eq=False):
    """A request (`id` and `method`), a notification (`method`), or an answer (`id` and `result` or `error`)."""

    id: bytes = b""
    """The id as it was written; empty for a notification."""
    method: str = ""
    params: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)
    """Members of `params`, each as it was written."""
    value: dict[str, Any] = msgspec.field(default_factory=dict)
    """`params`, parsed."""
    result: bytes = b""
    """Of an answer, as it was written."""
    error: RpcError | None = None

    @property
    def is_request(self) -> bool:
        """It wants an answer."""
        return bool(self.id and self.method)

    @property
    def is_answer(self) -> bool:
        """It is one."""
        return not self.method


class _Wire(msgspec.Struct, gc=False):
    id: msgspec.Raw = msgspec.Raw()
    params: dict[str, msgspec.Raw] | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_decode_wire = msgspec.json.Decoder(_Wire).decode
_decode_batch = msgspec.json.Decoder(list[msgspec.Raw]).decode


def decode(body: bytes) -> Message:
    """The message of a body. Raises ProtocolError; `malformed` when it is no JSON at all."""
    return _message(parse_strict(body), body)


class _Light(msgspec.Struct, gc=False):
    id: msgspec.Raw = msgspec.Raw()
    method: str = ""
    params: dict[str, msgspec.Raw] | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_decode_light = msgspec.json.Decoder(_Light).decode


def decode_light(body: bytes) -> Message:
    """The message of a peer that a policy does not judge by it: read once and quicker, `value` stays empty.

    Raises ProtocolError.
    """
    try:
        wire = _decode_light(body.decode())
        if wire.error:
            return Message(bytes(wire.id), error=_error({"code": 0}, wire))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is no JSON-RPC message.", malformed=True) from exc
    if not (wire.method or wire.result):
        raise ProtocolError("The answer is no JSON-RPC message.")
    result = bytes(wire.result)
    if result and result[0] != _OBJECT:
        raise ProtocolError("The result is no object.")
    return Message(bytes(wire.id), wire.method, wire.params or NO_PARAMS, {}, result)


def decode_many(body: bytes) -> tuple[list[Message], bool]:
    """The messages of a body, which may be a batch (2025-03-26 only), and whether it is one. Raises ProtocolError."""
    value = parse_strict(body)
    if not isinstance(value, list):
        return [_message(value, body)], False
    if not value:
        raise ProtocolError("A batch must have at least one message.")
    return [_message(one, bytes(raw)) for one, raw in zip(value, _decode_batch(body), strict=True)], True


def _message(value: Any, body: bytes) -> Message:
    if not isinstance(value, dict):
        raise ProtocolError("The body must be one JSON-RPC message: an object.")
    if value.get("jsonrpc") != "2.0":
        raise ProtocolError('`jsonrpc` must be "2.0".', param="jsonrpc")
    method, params = value.get("method"), value.get("params")
    if params is not None and not isinstance(params, dict):
        raise ProtocolError("`params` must be an object.", param="params")
    try:
        wire = _decode_wire(body)
    except msgspec.DecodeError as exc:  # what the strict parser let pass and this one does not
        raise ProtocolError("The message cannot be read.", malformed=True) from exc
    identity = _identity(value, wire)
    if "method" in value:
        if not isinstance(method, str) or not method:
            raise ProtocolError("`method` must be text.", param="method")
        if "result" in value or "error" in value:
            raise ProtocolError("A message is a request or an answer, not both.")
        return Message(identity, method, wire.params or NO_PARAMS, params or {})
    if ("result" in value) == ("error" in value):
        raise ProtocolError("The message has no `method`, and not exactly one of `result` and `error`.")
    if "error" in value:
        return Message(identity, error=_error(value["error"], wire))
    return Message(identity, result=bytes(wire.result))


def _identity(value: dict[str, Any], wire: _Wire) -> bytes:
    if "id" not in value:
        return b""
    given = value["id"]
    raw = bytes(wire.id)
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        if given is None and "error" in value:
            return b"null"  # an answer to what could not be read
        raise ProtocolError("`id` must be text or an integer.", param="id")
    if len(raw) > MAX_ID_BYTES:
        raise ProtocolError(f"`id` is longer than {MAX_ID_BYTES} bytes.", param="id")
    return raw


class _Error(msgspec.Struct, gc=False):
    code: int = INTERNAL_ERROR
    message: str = ""
    data: msgspec.Raw = msgspec.Raw()


_decode_error = msgspec.json.Decoder(_Error).decode


def _error(given: Any, wire: _Wire | _Light) -> RpcError:
    try:
        error = _decode_error(wire.error)
    except msgspec.DecodeError as exc:
        raise ProtocolError("`error` must have `code` and `message`.", param="error") from exc
    if not isinstance(given, dict) or "code" not in given or abs(error.code) > MAX_CODE:
        raise ProtocolError("`error` must have `code` and `message`.", param="error")
    return RpcError(error.code, error.message, bytes(error.data))


def encode_request(identity: bytes, method: str, params: bytes) -> bytes:
    """A request; `identity` and `params` are raw JSON."""
    return b'{"jsonrpc":"2.0","id":%b,"method":%b,"params":%b}' % (identity, _encode(method), params)


def encode_notification(method: str, params: bytes = b"") -> bytes:
    """A notification; `params` is raw JSON, empty for none."""
    if not params:
        return b'{"jsonrpc":"2.0","method":%b}' % _encode(method)
    return b'{"jsonrpc":"2.0","method":%b,"params":%b}' % (_encode(method), params)


def encode_result(identity: bytes, result: bytes) -> bytes:
    """A good answer; `result` is raw JSON."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (identity, result)


def encode_error(identity: bytes, error: RpcError) -> bytes:
    """An answer that is an error; an empty identity becomes null."""
    data = b',"data":%b' % error.data if error.data else b""
    return b'{"jsonrpc":"2.0","id":%b,"error":{"code":%d,"message":%b%b}}' % (
        identity or b"null",
        error.code,
        _encode(error.message),
        data,
    )


def encode_members(members: dict[str, msgspec.Raw]) -> bytes:
    """An object of members that are raw JSON."""
    return _encode(members)
