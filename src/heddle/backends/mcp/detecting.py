"""A server of unknown era: asked once, spoken to in its own way from then on.

A server that answers `server/discover` and names a modern version is modern; whatever else it answers, it is begun
with as an older one. That it cannot be reached, or asked for want of a credential, says nothing of its era.
*Source:* Model Context Protocol 2026-07-28, "Versioning", on clients of both eras.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from heddle.backends.mcp.contract import Caller, ConsentRequired, Described, Hear, Params, Target, TargetRequest, Wanted
from heddle.backends.mcp.legacy import LegacyTarget
from heddle.backends.mcp.modern import ModernTarget
from heddle.pipeline.errors import CallError, Reason
from heddle.wire.jsonrpc import RpcError
from heddle.wire.mcp.versions import MODERN

_OUTAGE = frozenset((Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_TIMEOUT, Reason.PROVIDER_UNCONFIGURED))


class DetectedTarget:
    """A server that is one of two."""

    def __init__(self, modern: ModernTarget, legacy: LegacyTarget) -> None:
        self.name = modern.name
        self._modern, self._legacy = modern, legacy
        self._found: Target | None = None
        self._finding: asyncio.Lock | None = None

    @property
    def stateful(self) -> bool:
        """Whether it turned out to keep sessions."""
        return self._found is not None and self._found.stateful

    async def _target(self, caller: Caller) -> Target:
        found = self._found
        if found is not None:
            return found
        lock = self._finding = self._finding or asyncio.Lock()
        async with lock:
            if self._found is None:
                self._found = self._modern if await self._is_modern(caller) else self._legacy
            return self._found

    async def _is_modern(self, caller: Caller) -> bool:
        plain = Caller()
        plain.principal, plain.token, plain.exchange = caller.principal, caller.token, caller.exchange
        try:
            result = await self._modern.call(TargetRequest(method="server/discover", params={}), plain)
        except ConsentRequired:
            raise
        except RpcError:
            return False
        except CallError as error:
            if error.reason in _OUTAGE:
                raise
            return False
        try:
            told = msgspec.json.decode(result)
        except (msgspec.DecodeError, RecursionError):
            return False
        versions = told.get("supportedVersions") if isinstance(told, dict) else None
        return isinstance(versions, list) and any(version in MODERN for version in versions)

    async def describe(self, caller: Caller) -> Described:
        """See `Target`. Finds out anew: the server may have been replaced by a newer one."""
        if self._found is not None:
            try:
                return await self._found.describe(caller)
            except (RpcError, CallError) as error:
                if isinstance(error, ConsentRequired) or (isinstance(error, CallError) and error.reason in _OUTAGE):
                    raise
                self._found = None
        return await (await self._target(caller)).describe(caller)

    def call(self, request: TargetRequest, caller: Caller) -> Coroutine[Any, Any, bytes]:
        """See `Target`."""
        return self._found.call(request, caller) if self._found is not None else self._called(request, caller)

    async def _called(self, request: TargetRequest, caller: Caller) -> bytes:
        return await (await self._target(caller)).call(request, caller)

    async def notify(self, method: str, params: Params, caller: Caller) -> None:
        """See `Target`."""
        await (await self._target(caller)).notify(method, params, caller)

    async def listen(self, wanted: Wanted, caller: Caller, hear: Hear) -> None:
        """See `Target`."""
        await (await self._target(caller)).listen(wanted, caller, hear)

    async def knows(self, caller: Caller) -> bool:
        """See `Target`."""
        return self._found is not None and await self._found.knows(caller)

    async def end(self, caller: Caller) -> None:
        """See `Target`."""
        if self._found is not None:
            await self._found.end(caller)

    def close(self) -> None:
        """See `Target`."""
        self._modern.close()
        self._legacy.close()
