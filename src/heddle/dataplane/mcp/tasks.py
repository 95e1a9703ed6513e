"""Tasks of targets, under ids that only their caller can use.

A task's id is sealed for the caller and the virtual server that it was given to, together with the target that it
belongs to: nothing is kept, any worker and replica can serve it, and another caller's id is as good as none.
*Source:* Model Context Protocol extension `io.modelcontextprotocol/tasks` (SEP-2663); 2025-11-25, "Tasks".
"""

from typing import Any

import msgspec

from heddle.backends.mcp.contract import Params
from heddle.drivers.sealing import SealError, Sealing
from heddle.identity.caller import caller_id
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.wire.jsonrpc import INVALID_PARAMS, RpcError

METHODS = ("tasks/get", "tasks/update", "tasks/cancel", "tasks/result")
_PURPOSE = "mcp-task"
_encode = msgspec.json.encode


class _Task(msgspec.Struct, array_like=True):
    target: str
    id: str


_decode = msgspec.msgpack.Decoder(_Task).decode
_pack = msgspec.msgpack.Encoder().encode


class Tasks:
    """The tasks of one virtual server."""

    def __init__(self, server: str, sealing: Sealing) -> None:
        self._server, self._sealing = server, sealing

    def expose(self, result: bytes, target: str, exchange: Exchange) -> bytes:
        """A result that begins a task, with the id that callers see; any other result as it is. Raises CallError."""
        if result.find(b'"taskId"') < 0:
            return result
        value = _read(result)
        holder = _holder(value)
        if holder is None or not isinstance(holder.get("taskId"), str):
            return result
        task = _Task(target, holder["taskId"])
        try:
            holder["taskId"] = self._sealing.seal(_PURPOSE, _pack(task), self._bound(exchange))
        except ValueError as exc:
            detail = f"The tool server `{target}` gives a task an id that is too long."
            raise CallError(Reason.UPSTREAM_BROKEN, detail) from exc
        return _encode(value)

    def find(self, given: Any, exchange: Exchange) -> tuple[str, str]:
        """The target of a task and its id there. Raises RpcError for an id that is not this caller's."""
        try:
            if not isinstance(given, str):
                raise SealError
            task = _decode(self._sealing.open(_PURPOSE, given, self._bound(exchange)))
        except (SealError, msgspec.DecodeError) as exc:
            raise RpcError(INVALID_PARAMS, "Unknown task") from exc
        return task.target, task.id

    def _bound(self, exchange: Exchange) -> bytes:
        return f"{self._server}\0{caller_id(exchange.principal)}".encode()


def named_again(result: bytes, given: str) -> bytes:
    """An answer about a task, with the id that the caller asked by. Raises CallError."""
    if b'"taskId"' not in result:
        return result
    value = _read(result)
    holder = _holder(value)
    if holder is None or "taskId" not in holder:
        return result
    holder["taskId"] = given
    return _encode(value)


def _read(result: bytes) -> Any:
    """Raises CallError for what a target should not have answered."""
    try:
        return msgspec.json.decode(result)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise CallError(Reason.UPSTREAM_BROKEN, "The tool server tells of a task that cannot be read.") from exc


def _holder(value: Any) -> dict[str, Any] | None:
    """Where a result says which task it is about."""
    if not isinstance(value, dict):
        return None
    inner = value.get("task")
    return inner if isinstance(inner, dict) else value


def to_target(params: Params, ident: str) -> Params:
    """The params of a request about a task, as its target knows it."""
    return {name: value for name, value in params.items() if name != "_meta"} | {"taskId": msgspec.Raw(_encode(ident))}
