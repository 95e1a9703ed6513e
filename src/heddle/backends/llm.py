"""The end of the model routes: sends a call to its provider and brings the answer back.

Owns what happens between attempts: which failures another target may do better with, how long to wait before one is
asked again, and when to stop. What a single attempt does is in `attempts`. It knows no vendor and no wire
format: providers and codecs do.

*Which failures lead on.* Connections that fail, timeouts, 5xx, 408, 429, a prompt that is too long for this model, a
credential or a model that the provider does not take, a request that cannot be translated for it, a stream that ends
or stalls before its first token. A quota that is used up leads to another provider only. What the caller got wrong
does not lead on. After the first token nothing does: the stream ends with an error event.
"""

import asyncio
import math
from collections.abc import Awaitable, Mapping
from random import Random
from typing import Any, Final

from heddle.backends.attempts import Attempt, AttemptError, Beside, final
from heddle.backends.media import MediaFetcher
from heddle.backends.replay import Proofs
from heddle.backends.sending import HttpSender, PlayedSender, Sender
from heddle.model.call import ModelCall, Target
from heddle.model.provider import HttpProvider, Provider
from heddle.model.snapshot import MediaSpec, ProviderSpec, RetrySpec
from heddle.net.message import Reply
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.traffic.health import MAX_COOLDOWN_S, RetryBudget
from heddle.traffic.targets import Chooser

MAX_PAUSE_S: Final = 10.0
"""A target that asks to be left alone for longer is not waited for: the caller is told, and can do better."""
FIRST_PAUSE_S: Final = 0.25
"""Before the second attempt at a target that did not say how long to wait; doubled for each further one."""
NO_MEDIA: Final = MediaSpec()
QUOTA_COOLDOWN_S: Final = 300.0
"""Money does not come back in seconds."""

_PATIENCE: Final = (b"x-heddle-timeout-s", b"x-stainless-timeout", b"x-stainless-read-timeout", b"x-server-timeout")
"""Fields in which callers say for how many seconds they wait: ours; OpenAI's and Anthropic's SDKs; Google's."""

_LEADS_ON: Final = frozenset((401, 402, 403, 404, 408, 409, 425, 429))
"""Statuses below 500 with which another target may do better; whether by the caller's fault, `kind` knows."""


class LlmBackend:
    """All providers of a snapshot. Raises ValueError when one of them cannot be built."""

    __slots__ = ("_beside", "_budgets", "_chooser", "_clock", "_random", "_senders")

    def __init__(
        self,
        specs: tuple[ProviderSpec, ...],
        providers: Mapping[str, Provider],
        tools: Tools,
        propagation: tuple[str, ...] = ("w3c", "b3"),
        chooser: Chooser[Any] | None = None,
        media: MediaSpec = NO_MEDIA,
    ) -> None:
        """Without a `chooser` no call may have targets."""
        self._clock = tools.clock
        if chooser is None:
            chooser = Chooser((), lambda target, model: None, tools.clock.monotonic, lambda: 0.0)  # noqa: ARG005
        self._chooser = chooser
        self._beside = Beside(MediaFetcher(media, tools.client), Proofs(tools.kv("thinking")))
        self._random = Random()  # noqa: S311 - spreads pauses
        self._budgets: dict[str, RetryBudget] = {}
        self._senders: dict[str, Sender] = {
            spec.name: _sender(spec, providers[spec.name], tools, propagation) for spec in specs
        }

    def handle(self, exchange: Exchange) -> Awaitable[Reply]:
        """Answer a decoded and resolved call. Raises CallError."""
        call = exchange.call
        if call is None:
            raise CallError(Reason.INTERNAL, "The call was not decoded.")
        if call.targets:
            return self._over_targets(exchange, call)
        sender = self._senders[call.provider]
        return Attempt(exchange, call, sender, self._clock, self._beside, alone=True).run()

    async def _over_targets(self, exchange: Exchange, call: ModelCall) -> Reply:
        """Attempts at the call's targets in their order, until one is good or no other may be made."""
        retry = self._chooser.retries[call.entry]
        budget = self._budgets.get(call.entry)
        if budget is None:
            budget = self._budgets[call.entry] = RetryBudget(retry.budget)
        budget.deposit()
        left = list(call.targets)
        target = left.pop(0)
        while True:
            call.provider, call.upstream_model = target.provider, target.model
            try:
                reply = await self._attempt(exchange, call, target, more=bool(left) or retry.same_target)
            except AttemptError as failed:
                self._note(target, failed, retry)
                following = self._next(exchange, call, failed, target, left)
                if following is None or call.attempts >= retry.attempts or not (_unsent(failed) or budget.withdraw()):
                    return final(exchange, failed)
                target, pause_s = following
                if pause_s:
                    await asyncio.sleep(pause_s)
                call.attempts += 1
            else:
                self._chooser.health.succeeded(target.key)
                return reply

    async def _attempt(self, exchange: Exchange, call: ModelCall, target: Target, more: bool) -> Reply:
        exchange.upstream_s = exchange.first_byte_s = 0.0
        exchange.usage = None
        # Each attempt has a call of its own, so that what a stream of one still holds cannot change under it.
        own = call.copy()
        sender = self._senders[target.provider]
        attempt = Attempt(exchange, own, sender, self._clock, self._beside)
        if not (call.stream and target.first_token_s and more):
            return await attempt.run(generating=more)
        try:
            async with asyncio.timeout(target.first_token_s):
                return await attempt.run(generating=True)
        except TimeoutError as exc:
            detail = f"The provider `{target.provider}` did not begin to answer in time."
            raise AttemptError(error=CallError(Reason.UPSTREAM_TIMEOUT, detail)) from exc

    def _note(self, target: Target, failed: AttemptError, retry: RetrySpec) -> None:
        """Remember what a failure says about a target."""
        health, now_s = self._chooser.health, self._clock.monotonic()
        if not retry.cooldown_s or failed.kind in ("context_length", "content", "bad_request"):
            return
        asked_s = failed.retry_after_s
        if failed.kind == "quota":
            health.refused(target.key, now_s, QUOTA_COOLDOWN_S)
        elif failed.kind == "credential":
            health.refused(target.key, now_s, retry.cooldown_s)
        elif failed.status == 429:
            health.refused(target.key, now_s, retry.cooldown_s if asked_s is None else asked_s)
        else:
            rest_s = min(asked_s or 0.0, MAX_COOLDOWN_S) or retry.cooldown_s
            health.failed(target.key, now_s, retry.cooldown_after, rest_s)

    def _next(
        self, exchange: Exchange, call: ModelCall, failed: AttemptError, target: Target, left: list[Target]
    ) -> tuple[Target, float] | None:
        """The target to try next and the pause before; None when no other attempt would help."""
        if not _leads_on(failed):
            return None
        health, now_s = self._chooser.health, self._clock.monotonic()
        while left:
            other = left.pop(0)
            spent = failed.kind == "quota" and other.provider == target.provider
            if not spent and not health.resting(other.key, now_s):
                return other, 0.0
        retry = self._chooser.retries[call.entry]
        if not retry.same_target or failed.kind in ("quota", "credential", "context_length", "content"):
            return None
        pause_s = failed.retry_after_s
        if pause_s is None:
            pause_s = FIRST_PAUSE_S * 2 ** (call.attempts - 1) * (0.5 + self._random.random())
        if pause_s > MAX_PAUSE_S or self._late(exchange, pause_s):
            return None
        return target, pause_s

    def _late(self, exchange: Exchange, pause_s: float) -> bool:
        """Whether the caller would be gone by then, as far as it said how long it waits."""
        limit_s = min((_seconds(exchange.request.header(name)) for name in _PATIENCE), default=math.inf)
        return limit_s < self._clock.monotonic() - exchange.started_s + pause_s


def _seconds(said: bytes | None) -> float:
    """A span of time that a caller stated; endless for none and for what is none."""
    try:
        span_s = float(said or b"")
    except ValueError:
        return math.inf
    return span_s if span_s > 0 else math.inf


def _unsent(failed: AttemptError) -> bool:
    """Whether no provider was asked at all, so that another attempt adds no load: no credential, or no translation."""
    return failed.error is not None and failed.kind in ("credential", "content")


def _leads_on(failed: AttemptError) -> bool:
    if failed.kind in ("context_length", "credential", "quota", "rate_limit", "overloaded", "not_found"):
        return True
    if failed.error is not None:
        # What cannot be translated for one provider, another may take as it is.
        return failed.error.reason is not Reason.BAD_REQUEST or failed.kind == "content"
    return failed.status >= 500 or (failed.status in _LEADS_ON and failed.kind not in ("bad_request", "content"))


def _sender(spec: ProviderSpec, provider: Provider, tools: Tools, propagation: tuple[str, ...]) -> Sender:
    if not isinstance(provider, HttpProvider):
        return PlayedSender(spec, provider, tools)
    try:
        return HttpSender(spec, provider, tools, propagation)
    except OSError as exc:
        raise ValueError(f"provider {spec.name!r}: cannot read its CA file: {exc.strerror or exc}") from exc
