"""A server that must not be asked: a secret that it needs could not be had.

Calling it without would be another call than the one that was configured; so would a child process without its
variable.
"""

from heddle.backends.mcp.contract import Caller, Described, Hear, Params, TargetRequest, Wanted
from heddle.pipeline.errors import CallError, Reason


class UnconfiguredTarget:
    """See `Target`. Everything is refused, with the reason."""

    stateful = False

    def __init__(self, name: str, why: str) -> None:
        """`why` names what is missing, never its value."""
        self.name, self._why = name, why

    def _refusal(self) -> CallError:
        return CallError(Reason.PROVIDER_UNCONFIGURED, f"The tool server `{self.name}` is not configured: {self._why}.")

    async def describe(self, caller: Caller) -> Described:
        """Raises CallError."""
        del caller
        raise self._refusal()

    async def call(self, request: TargetRequest, caller: Caller) -> bytes:
        """Raises CallError."""
        del request, caller
        raise self._refusal()

    async def notify(self, method: str, params: Params, caller: Caller) -> None:
        """Nobody is there to be told."""

    async def listen(self, wanted: Wanted, caller: Caller, hear: Hear) -> None:
        """Raises CallError."""
        del wanted, caller, hear
        raise self._refusal()

    async def knows(self, caller: Caller) -> bool:
        """See `Target`. It keeps no sessions."""
        del caller
        return False

    async def end(self, caller: Caller) -> None:
        """There is nothing to end."""

    def close(self) -> None:
        """There is nothing to close."""
