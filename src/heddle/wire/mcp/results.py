"""Results from one era to the other.

A modern result says of what type it is, and how long lists may be kept; older clients know neither. Everything else
is the same in both, and passes as it was written.
*Source:* Model Context Protocol 2026-07-28, "Result types", "Caching".
"""

import msgspec

from heddle.wire.errors import ProtocolError

CACHEABLE = frozenset(
    ("server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read")
)
INPUT_REQUIRED = "input_required"
_MODERN_ONLY = ("resultType", "ttlMs", "cacheScope")

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.encode


class _Typed(msgspec.Struct, gc=False):
    resultType: str = ""  # noqa: N815 - as on the wire


_decode_type = msgspec.json.Decoder(_Typed).decode


class _Ended(msgspec.Struct, gc=False):
    isError: bool = False  # noqa: N815 - as on the wire
    resultType: str = ""  # noqa: N815


_decode_end = msgspec.json.Decoder(_Ended).decode


def ending(result: bytes) -> tuple[bool, bool]:
    """Whether a tool says that it failed, and whether it asks its caller before it goes on.

    Never raises: what is no result tells of neither.
    """
    if result.find(b'"isError"') < 0 and (is_plain(result) or result.find(b'"resultType"') < 0):
        return False, False
    try:
        end = _decode_end(result)
    except (msgspec.DecodeError, RecursionError):
        return False, False
    return end.isError, end.resultType == INPUT_REQUIRED


def members(result: bytes) -> dict[str, msgspec.Raw]:
    """The members of a result, each as it was written. Raises ProtocolError when it is no object."""
    try:
        return _decode(result)
    except msgspec.DecodeError as exc:
        raise ProtocolError("The result is no object.") from exc


def result_type(result: bytes) -> str:
    """What a modern result says it is; empty for an older one. Raises ProtocolError when it is no object."""
    if result.find(b'"resultType"') < 0:
        if result[:1] != b"{":
            raise ProtocolError("The result is no object.")
        return ""
    try:
        return _decode_type(result).resultType
    except msgspec.DecodeError as exc:
        raise ProtocolError("The result is no object.") from exc


def is_plain(result: bytes) -> bool:
    """Whether a result is an object that asks nothing, as far as a quick look tells; False says nothing."""
    # `find` is cheaper than `in`, which makes an exception before it looks, and drops it.
    return result[:1] == b"{" and result.find(b"input_required") < 0 and result.find(b"\\u") < 0


def to_modern(method: str, result: bytes) -> bytes:
    """A result for a modern client. One that says nothing of being kept is not to be kept."""
    told = result_type(result)
    if told and method not in CACHEABLE:
        return result
    if not told and method not in CACHEABLE:
        rest = result.lstrip()[1:].lstrip()
        return b'{"resultType":"complete"' + (rest if rest[:1] == b"}" else b"," + rest)
    fields = members(result)
    fields.setdefault("resultType", msgspec.Raw(b'"complete"'))
    fields.setdefault("ttlMs", msgspec.Raw(b"0"))
    fields.setdefault("cacheScope", msgspec.Raw(b'"private"'))
    return _encode(fields)


def to_legacy(result: bytes) -> bytes:
    """A result for an older client."""
    if result.find(b'"resultType"') < 0 and result.find(b'"ttlMs"') < 0 and result.find(b'"cacheScope"') < 0:
        return result
    fields = members(result)
    for name in _MODERN_ONLY:
        fields.pop(name, None)
    return _encode(fields)
