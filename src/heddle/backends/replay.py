"""Proofs of thinking, kept for callers whose format has no place for them.

Vendors sign what their models thought, and the calls that came of it, and want both back unchanged with the results of
the tools. An OpenAI chat caller replays its messages, and its SDK leaves out what it does not know. So what an answer
with tool calls proves is kept for a day under its caller and the ids of the calls, and put back into the next request
that replays one of them.

Owns what is kept, for whom, and where it is put back: thinking first in the message, a signature at its call. Other
callers cannot get at it, and what a caller sends itself stands. Every vendor's encoder takes only proofs of its own;
how it is seen that a caller replays proofs is here too.
*Source:* Anthropic, "Extended thinking", "Preserving thinking blocks"; Gemini API, "Thought signatures".
"""

import asyncio
import hashlib
import re

import msgspec

from heddle.drivers.kv import Kv
from heddle.model.call import ModelCall
from heddle.model.principal import Principal
from heddle.wire.canonical.answer import ChatAnswer, ChoiceEnded, Event, PartBegan, PartDelta
from heddle.wire.canonical.collect import Collector
from heddle.wire.canonical.request import ChatRequest, Message, Part, Thinking, ToolCall
from heddle.wire.llm.codecs import VENDORS

DIALECTS = frozenset({"openai_chat"})
"""Without a place for proofs, or whose callers do not send them back."""
TTL_S = 86_400.0
MAX_CALLS = 64
"""Calls of one answer, and ids of one message, that are remembered."""
MAX_TURNS = 256
"""Latest messages with calls that are completed."""

_PROOF = re.compile(
    rb'"(?:signature|thoughtSignature|thought_signature|encrypted_content|data|redactedContent)"\s*:\s*"'
    rb"(?:redacted\.|call\.(?:[^\"|]{0,256}\|)?)?(?:anthropic|bedrock|gemini|openai)\."
)


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    thinking: tuple[Thinking, ...]
    signatures: dict[str, str]
    """By id of the call."""


_KEPT = msgspec.msgpack.Decoder(_Kept)


class Proofs:
    """What is kept for all callers."""

    __slots__ = ("_kv",)

    def __init__(self, kv: Kv) -> None:
        self._kv = kv

    def keeper(self, caller: Principal) -> "Keeper":
        """Keeps what one answer to `caller` proves."""
        return Keeper(self._kv, caller)

    async def restored(self, request: ChatRequest, caller: Principal) -> ChatRequest:
        """`request` with the proofs that its caller could not send."""
        wanting = [number for number, message in enumerate(request.messages) if _wants(message)][-MAX_TURNS:]
        if not wanting:
            return request
        found = await asyncio.gather(*(self._find(request.messages[number], caller) for number in wanting))
        messages = list(request.messages)
        for number, kept in zip(wanting, found, strict=True):
            if kept is not None:
                messages[number] = _completed(messages[number], kept)
        return msgspec.structs.replace(request, messages=tuple(messages))

    async def _find(self, message: Message, caller: Principal) -> _Kept | None:
        """What is kept under any of the message's calls; those of one answer share it."""
        for part in [part for part in message.parts if isinstance(part, ToolCall)][:MAX_CALLS]:
            value = await self._kv.get(_key(caller, part.id))
            if value is not None:
                try:
                    return _KEPT.decode(value)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
        return None


class Keeper:
    """Takes one answer, whole or event by event, and keeps what it proves."""

    __slots__ = ("_caller", "_collector", "_kv", "_open")

    def __init__(self, kv: Kv, caller: Principal) -> None:
        self._kv = kv
        self._caller = caller
        self._collector = Collector()
        self._open: set[tuple[int, int]] = set()

    def take(self, event: Event) -> None:
        """An event of a stream. A turn is kept when it ends, before its caller has read so."""
        if isinstance(event, PartDelta):
            if (event.choice, event.index) in self._open:
                self._collector.take(event)
        elif isinstance(event, PartBegan):
            if event.kind in ("thinking", "tool_call"):
                self._open.add((event.choice, event.index))
                self._collector.take(event)
        elif isinstance(event, ChoiceEnded):
            self._keep(self._collector.parts(event.choice))

    def take_whole(self, answer: ChatAnswer) -> None:
        """A whole answer."""
        for choice in answer.choices:
            self._keep(choice.parts)

    def _keep(self, parts: tuple[Part, ...]) -> None:
        calls = [part for part in parts if isinstance(part, ToolCall)][:MAX_CALLS]
        thinking = tuple([part for part in parts if isinstance(part, Thinking) and (part.signature or part.redacted)])
        signatures = {call.id: call.signature for call in calls if call.signature}
        if not calls or not (thinking or signatures):
            return
        value = msgspec.msgpack.encode(_Kept(thinking, signatures))
        for call in calls:
            self._kv.put(_key(self._caller, call.id), value, TTL_S)


def _key(caller: Principal, call_id: str) -> bytes:
    who = [caller.method, caller.tenant, caller.user, caller.agent, caller.key_id, caller.workload]
    return hashlib.sha256(msgspec.msgpack.encode([*who, call_id])).digest()


def _wants(message: Message) -> bool:
    """Whether a message replays calls and does not bring their proofs."""
    if message.role != "assistant":
        return False
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    return bool(calls) and not (any(call.signature for call in calls) or _is_proven(message))


def _is_proven(message: Message) -> bool:
    return any(isinstance(part, Thinking) and (part.signature or part.redacted) for part in message.parts)


def _completed(message: Message, kept: _Kept) -> Message:
    parts: list[Part] = list(kept.thinking)
    for part in message.parts:
        if isinstance(part, ToolCall):
            signature = kept.signatures.get(part.id, "")
            parts.append(msgspec.structs.replace(part, signature=signature) if signature else part)
        elif not (isinstance(part, Thinking) and kept.thinking):
            # Thinking that has no proof is the same text again, as the caller was shown it.
            parts.append(part)
    return msgspec.structs.replace(message, parts=tuple(parts))


def carries_proofs(call: ModelCall) -> bool:
    """Whether the caller replays thinking that was translated for it: proofs with their vendor's name before them.

    A provider of the caller's own format would refuse another vendor's proof, so such a call is read and written anew,
    which leaves it out, when a model leads to several places.
    """
    return call.dialect in VENDORS and _PROOF.search(call.body) is not None
