"""How what cannot be answered is told: what is not there, and what failed, as errors of the protocol.

Owns the one wording for what does not exist and for what this caller may not have: nobody can tell them apart.
*Source:* Model Context Protocol 2025-11-25 and 2026-07-28, "Error handling" of tools, prompts and resources.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterable

import msgspec

from heddle.pipeline.errors import CallError
from heddle.wire.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, RpcError

_log = logging.getLogger("heddle.mcp")

RESOURCE_NOT_FOUND = -32002
MAX_SHOWN_CHARS = 128
_UNKNOWN = {"tool": "Unknown tool: {}", "prompt": "Unknown prompt: {}", "resource": "Resource not found: {}"}
_encode = msgspec.json.encode


def unknown(kind: str, name: str) -> RpcError:
    """How what is not there, or not for this caller, is answered."""
    shown = name if len(name) <= MAX_SHOWN_CHARS else f"{name[:MAX_SHOWN_CHARS]}..."
    if kind == "resource":
        return RpcError(RESOURCE_NOT_FOUND, _UNKNOWN[kind].format(shown), b'{"uri":%b}' % _encode(shown))
    return RpcError(INVALID_PARAMS, _UNKNOWN.get(kind, "Unknown: {}").format(shown))


def as_rpc(error: CallError) -> RpcError:
    """A failure of the gateway as an answer of the protocol."""
    code = error.answer.jsonrpc
    return RpcError(code or INTERNAL_ERROR, error.detail)


async def each_alone(telling: Iterable[Awaitable[object]]) -> None:
    """Tell several targets something at once; one that fails, or is slow, keeps nothing from the others."""
    await asyncio.gather(*map(_alone, telling))


async def _alone(telling: Awaitable[object]) -> None:
    try:
        await telling
    except (RpcError, CallError) as error:
        _log.debug("a tool server could not be told: %s", type(error).__name__)
