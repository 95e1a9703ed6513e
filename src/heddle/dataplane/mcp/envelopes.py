"""What the `_meta` of a stateless request says of its caller, read once for callers that say the same each time.

Owns which members there must be and what they mean for the call. Remembered is what says nothing but who the client is,
by its very bytes: whatever differs from call to call (trace, progress) is read anew, so that callers cannot fill the
memory with it. Refuses nothing that depends on the rest of the request: fields and methods are the front's.
*Source:* Model Context Protocol 2026-07-28, "Per-request protocol fields".
"""

from typing import Any

import msgspec

from heddle.backends.mcp.contract import ANSWERED_BY
from heddle.wire.jsonrpc import INVALID_PARAMS, Message, RpcError
from heddle.wire.mcp import meta

MAX_REMEMBERED = 256
MAX_BYTES = 1_024
"""Of one that is remembered: clients declare less."""
_WAYS = ("context", "form", "tools", "url")
"""Of sampling and elicitation, as clients declare them."""
_NOTHING = msgspec.Raw(b"")


class Envelope(msgspec.Struct, frozen=True, gc=False, eq=False):
    """One `_meta`, read. Shared by calls: must not be changed."""

    version: str
    passing: meta.Meta
    """Its members that pass on, each as it was written."""
    capabilities: bytes
    """As raw JSON."""
    answers: str
    """Which questions the client answers, as part of a key."""
    client_info: bytes
    """As raw JSON; empty for none."""
    log_level: str
    """Empty for none."""
    quiet: bool
    """The caller wants to hear of nothing before the result."""


class Envelopes:
    """Those that were seen lately."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, Envelope] = {}

    def of(self, message: Message) -> Envelope:
        """What a request says. Raises RpcError when it does not say what it must."""
        raw = bytes(message.params.get("_meta", _NOTHING))
        known = self._known.get(raw)
        return self._read(raw, message) if known is None else known

    def _read(self, raw: bytes, message: Message) -> Envelope:
        given = message.value.get("_meta")
        # From a copy: what is remembered must not keep the whole body alive.
        members = meta.read_meta({"_meta": msgspec.Raw(raw)}) if raw else {}
        made = _envelope(members, given if isinstance(given, dict) else {})
        if len(raw) <= MAX_BYTES and not made.passing:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[raw] = made
        return made


def _envelope(members: meta.Meta, given: dict[str, Any]) -> Envelope:
    """`given` are the same members, parsed. Raises RpcError."""
    version, capabilities = given.get(meta.PROTOCOL_VERSION), given.get(meta.CLIENT_CAPABILITIES)
    if version is None or capabilities is None:
        wanted = ((meta.PROTOCOL_VERSION, version), (meta.CLIENT_CAPABILITIES, capabilities))
        missing = " and ".join(f"`{name}`" for name, value in wanted if value is None)
        raise RpcError(INVALID_PARAMS, f"`params._meta` must have {missing}.")
    if not isinstance(version, str) or not isinstance(capabilities, dict):
        raise RpcError(INVALID_PARAMS, "`params._meta` says its version as text, its capabilities as an object.")
    level = given.get(meta.LOG_LEVEL)
    level = level if isinstance(level, str) else ""
    return Envelope(
        version,
        meta.of_caller(members),
        bytes(members[meta.CLIENT_CAPABILITIES]),
        _answered(capabilities),
        bytes(members.get(meta.CLIENT_INFO, _NOTHING)),
        level,
        # Progress and log messages come to those alone who ask for them.
        quiet=not level and meta.PROGRESS_TOKEN not in given,
    )


def _answered(capabilities: dict[str, Any]) -> str:
    """Which questions a client answers, as part of a key: few, whatever it declares."""
    if not capabilities:
        return ""
    found = []
    for name in sorted(ANSWERED_BY.values()):
        declared = capabilities.get(name)
        if isinstance(declared, dict):
            found += [name, *(f"{name}.{way}" for way in _WAYS if isinstance(declared.get(way), dict))]
    return f"\0{' '.join(found)}" if found else ""
