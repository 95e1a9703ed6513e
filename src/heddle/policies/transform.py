"""What configuration puts into the calls of a model: `defaults`, `overrides` and `prompt` of `llm.models`.

Owns the moment. The body is changed after limits, guards and the cache have seen what the caller wrote: guards must
not find the operator's own instructions, and the cache is keyed by what was asked. What limits and budgets reserve is
said before, when the call is decoded (`wire.llm.parameters.foresee`), so that a bound from here holds for them too.
A parameter that the caller's dialect has no place for is not sent, and said in `x-heddle-translation`.
"""

from collections.abc import Awaitable

from heddle.model.call import ModelCall
from heddle.model.snapshot import Snapshot
from heddle.net.message import Reply
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Handler, Phase
from heddle.traffic.models import changes_of
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.parameters import Changes, change

NOTES_FIELD = b"x-heddle-translation"


class Transform:
    """The changes of all models of a snapshot, by the name of the entry."""

    __slots__ = ("_changes",)

    phase = Phase.TRANSFORM

    def __init__(self, changes: dict[str, Changes]) -> None:
        self._changes = changes

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:
        """Changes hide no model."""
        del exchange, model
        return True

    def wrap(self, handler: Handler) -> Handler:
        """Change the body of calls whose model asks for it; other calls cost a lookup."""
        changes = self._changes

        def transformed(exchange: Exchange) -> Awaitable[Reply]:
            call = exchange.call
            wanted = changes.get(call.entry) if call is not None else None
            if call is None or wanted is None:
                return handler(exchange)
            missing = _apply(call, wanted)
            return _noted(handler, exchange, missing) if missing else handler(exchange)

        return transformed


def build(snapshot: Snapshot, tools: Tools) -> Transform | None:
    """The policy of a snapshot; None when no model has changes."""
    del tools
    found = {model.name: wanted for model in snapshot.models if (wanted := changes_of(model)) is not None}
    return Transform(found) if found else None


def _apply(call: ModelCall, changes: Changes) -> list[str]:
    """Change the body; the names of parameters without a place. Raises CallError (400)."""
    try:
        body, missing = change(call.body, call.dialect, changes)
    except ProtocolError as exc:
        raise CallError(Reason.BAD_REQUEST, exc.detail, param=exc.param) from exc
    call.altered = call.altered or body is not call.body
    call.body = body
    return missing


async def _noted(handler: Handler, exchange: Exchange, missing: list[str]) -> Reply:
    reply = await handler(exchange)
    if reply.status == 200:
        reply.headers = [*reply.headers, (NOTES_FIELD, f"dropped={','.join(missing)}".encode())]
    return reply
