"""Who owns what a vendor keeps: responses, conversations and their items, on a credential that callers share.

To the vendor all callers of a gateway are one, so that whoever knows the id of another's response could go on from it,
and read what was said. So the ids in answers that the vendor keeps are remembered with the caller who got them, for as
long as OpenAI keeps responses. A request that names one of somebody else, or one that nobody here was given, is told
what the vendor says of ids that do not exist; one that names the caller's own goes to the provider that has it.

Background runs are refused: their usage is known only after the call, when nobody is there to settle it.
*Source:* OpenAI, "Conversation state" (responses are kept for 30 days).
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.model.principal import Principal
from heddle.model.snapshot import Snapshot
from heddle.net.body import Sink
from heddle.net.message import Reply
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Handler, Phase
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_responses.state import Reference, StateReader, kept_by, read_request

DIALECTS = frozenset({"openai_responses", "openai_responses_count"})
TTL_S = 30 * 86_400.0


class _Owner(msgspec.Struct, frozen=True, array_like=True):
    caller: bytes
    """Digest of who got it."""
    provider: str


_OWNER = msgspec.msgpack.Decoder(_Owner)


def build(snapshot: Snapshot, tools: Tools) -> "Ownership":
    """The policy. It is always there: whether a provider keeps anything shows in its answers."""
    del snapshot
    return Ownership(tools)


class Ownership:
    """Lets callers go on from what is theirs."""

    phase = Phase.TRANSFORM
    dialects = DIALECTS
    """Routes of others do without it."""

    def __init__(self, tools: Tools) -> None:
        self._kv = tools.kv("owners")

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:  # noqa: ARG002
        """Owners hide no model."""
        return True

    def wrap(self, handler: Handler) -> Handler:
        """Check what a call goes on from, and remember what its answer leaves behind."""

        def owned(exchange: Exchange) -> Awaitable[Reply]:
            call = exchange.call
            if call is None or call.dialect not in DIALECTS:
                return handler(exchange)
            return self._answer(exchange, call, handler)

        return owned

    async def _answer(self, exchange: Exchange, call: ModelCall, handler: Handler) -> Reply:
        try:
            wanted = read_request(call.body)
        except ProtocolError as exc:
            raise CallError(Reason.BAD_REQUEST, exc.detail, param=exc.param) from exc
        if wanted.background:
            detail = "background: runs in the background are not served; leave it out and stream the answer."
            raise CallError(Reason.BAD_REQUEST, detail, param="background")
        caller = _digest(exchange.principal)
        for reference in wanted.references:
            await self._check(call, reference, caller)
        reply = await handler(exchange)
        if reply.status == 200 and call.dialect == "openai_responses":
            if isinstance(reply.body, bytes):
                self.remember(kept_by(reply.body), caller, call.provider)
            else:
                reply.body = _Watched(reply.body, self, caller, call.provider)
        return reply

    async def _check(self, call: ModelCall, reference: Reference, caller: bytes) -> None:
        """Lead the call to the provider that has what it names. Raises CallError unless that is the caller's."""
        value = await self._kv.get(_key(reference.id))
        owner = _read(value) if value is not None else None
        if owner is None or owner.caller != caller or not _lead(call, owner.provider):
            shown = "".join(char if char.isprintable() else "?" for char in reference.id[:64])
            detail = f"{reference.what} with id '{shown}' not found."
            raise CallError(Reason.STATE_NOT_FOUND, detail, param=reference.param)

    def remember(self, names: tuple[str, ...], caller: bytes, provider: str) -> None:
        """What `caller` was given by `provider`."""
        if names:
            value = msgspec.msgpack.encode(_Owner(caller, provider))
            for name in dict.fromkeys(names):
                self._kv.put(_key(name), value, TTL_S)


class _Watched:
    """A streamed answer, of which is remembered what it leaves behind. It must be `aclose()`d."""

    __slots__ = ("_body", "_caller", "_policy", "_provider", "_reader")

    def __init__(self, body: AsyncIterator[bytes], policy: Ownership, caller: bytes, provider: str) -> None:
        self._body, self._policy, self._caller, self._provider = body, policy, caller, provider
        self._reader = StateReader()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self._body.__anext__()
        self._take(data)
        return data

    async def pour(self, write: Sink) -> None:
        """Write every piece as it arrives. Raises what the stream raises."""
        pour = getattr(self._body, "pour", None)
        if pour is None:
            async for piece in self:
                full = write(piece)
                if full is not None:
                    await full
            return

        def forward(data: bytes) -> "asyncio.Future[None] | None":
            self._take(data)
            return write(data)

        await pour(forward)

    def _take(self, data: bytes) -> None:
        # Before the caller has it: it may go on from it at once, through another worker.
        self._policy.remember(self._reader.feed(data), self._caller, self._provider)

    async def aclose(self) -> None:
        """The caller left, or has everything."""
        close: Any = getattr(self._body, "aclose", None)
        if close is not None:
            await close()


def _lead(call: ModelCall, provider: str) -> bool:
    """Whether the call can go to `provider`; if it can, it goes nowhere else."""
    if not call.targets:
        return call.provider == provider
    call.targets = tuple([target for target in call.targets if target.provider == provider]) or call.targets
    first = call.targets[0]
    call.provider, call.upstream_model = first.provider, first.model
    return first.provider == provider


def _digest(caller: Principal) -> bytes:
    who = [caller.method, caller.tenant, caller.user, caller.agent, caller.key_id, caller.workload]
    return hashlib.sha256(msgspec.msgpack.encode(who)).digest()


def _key(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def _read(value: bytes) -> _Owner | None:
    try:
        return _OWNER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
