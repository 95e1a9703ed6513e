"""Budgets: what may be spent, reserved over all balances of a call before it, settled after it, cut off inside it.

Owns which balances a call needs room in, what is held of each, what is settled in the end, and how a refusal reads.
Counting is the driver's; who has which balance is `traffic.spending`'s. A call is admitted when every balance has room,
and then all of them hold it: a team's, its users', their agents', whatever is declared.

*What is settled.* The provider's usage at its price. Without usage: nothing, if nothing was sent or the provider
answered with an error; else all that was reserved, as usage that is marked estimated, because the provider may have
charged it.

*Order.* In the phase of limits, within them: a call that a rate limit refuses reserves no money.
"""

from collections.abc import Awaitable

from heddle.drivers.counters import Charge, CountersFullError, Refusal, Reservation
from heddle.drivers.ledger import NANO
from heddle.model.call import ModelCall
from heddle.model.principal import Principal
from heddle.model.snapshot import Snapshot
from heddle.model.virtual_keys import accepts_virtual_keys
from heddle.net.message import Reply
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import ANSWERS, CallError, Reason
from heddle.pipeline.exchange import Exchange, Handler, Phase
from heddle.policies.budget.need import Amount, Need
from heddle.policies.budget.stream import Metered
from heddle.policies.budget.telling import refusal_text, retry_fields
from heddle.policies.budget.warning import Warnings
from heddle.telemetry import names
from heddle.telemetry.cost import Pricer
from heddle.telemetry.records import AuditRecord
from heddle.traffic.estimate import Estimate
from heddle.traffic.spending import Caller, Scope, Scopes, session_of
from heddle.wire.llm.codecs import CODECS

_UNCHARGED = frozenset({Reason.UPSTREAM_ERROR, Reason.UPSTREAM_UNREACHABLE, Reason.PROVIDER_UNCONFIGURED})
_FREE = frozenset({"count_tokens"})
MAX_ESTIMATES = 16_384
MAX_KNOWN = 16_384
"""Callers whose balances are remembered, then all are forgotten: sessions are names of the callers' choice."""


class _Held:
    """What one call holds of its balances, until it is settled; a `Finisher`."""

    __slots__ = ("_policy", "call", "further", "grant", "need", "reservation", "scopes")

    def __init__(
        self, policy: "Budget", call: ModelCall, need: Need, scopes: list[Scope], reservation: Reservation
    ) -> None:
        self._policy, self.call, self.need = policy, call, need
        self.scopes, self.reservation = scopes, reservation
        self.grant = need.output_tokens
        """Tokens of output that there is room for, where the need is a guess."""
        self.further: list[Reservation] = []
        """What a stream got besides."""

    def __call__(self, exchange: Exchange) -> None:
        policy = self._policy
        if exchange.usage is None and exchange.upstream_s and exchange.reason not in _UNCHARGED:
            exchange.usage = self.need.usage
            exchange.cost_usd = policy.price(self.call.provider, self.call.upstream_model, exchange.usage)
        if exchange.usage is None:
            policy.counters.release(self.reservation)
        else:
            policy.settle(self, exchange)
        for reservation in self.further:
            policy.counters.release(reservation)
        for scope in self.scopes:
            policy.warnings.touch(scope)


class Budget:
    """All budgets of a snapshot, as one policy."""

    phase = Phase.LIMIT

    def __init__(self, snapshot: Snapshot, tools: Tools) -> None:
        pricer = Pricer(snapshot.prices)
        self.counters = tools.counters
        self.price = pricer.cost
        self.warnings = Warnings(tools)
        self._most = pricer.most
        self._tools = tools
        self._scopes = Scopes(snapshot.budgets)
        self._declared = bool(snapshot.budgets)
        self._outputs = {model.name: model.max_output_tokens for model in snapshot.models}
        self._estimates: dict[str, Estimate] = {}
        self._known: dict[tuple[int, str, str, str], tuple[Principal, list[Scope]]] = {}
        """With the principal, which keeps the object alive whose identity is part of the key."""

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:  # noqa: ARG002
        """A budget hides no model: it may have room again by the time of the call."""
        return True

    def wrap(self, handler: Handler) -> Handler:
        """Reserve before `handler`, meter a stream of unknown length, settle when the exchange is finished."""

        async def budgeted(exchange: Exchange) -> Reply:
            call = exchange.call
            if call is None or call.operation in _FREE:
                return await handler(exchange)
            scopes = self._scopes_of(exchange, call)
            if not scopes:
                return await handler(exchange)
            held = await self._reserve(exchange, call, scopes)
            exchange.finishers.append(held)
            reply = await handler(exchange)
            if held.need.guessed and not isinstance(reply.body, bytes) and reply.status == 200:
                reply.body = self._metered(exchange, reply, held)
            return reply

        def own(exchange: Exchange) -> Awaitable[Reply]:
            """Where only keys have budgets, callers without one pass without another coroutine."""
            return budgeted(exchange) if exchange.principal.budgets else handler(exchange)

        return budgeted if self._declared else own

    def settle(self, held: _Held, exchange: Exchange) -> None:
        """Replace what is held by the usage, and learn from it."""
        usage = exchange.usage
        assert usage is not None
        tokens = usage.input_tokens + usage.output_tokens
        nano = round((exchange.cost_usd or 0.0) * NANO)
        amounts = [nano if scope.spec.unit == "usd" else tokens for scope in held.scopes for _ in scope.tallies]
        self.counters.settle(held.reservation, amounts)
        # A call that failed says nothing about those that do not, and whoever likes can make calls fail.
        if exchange.cache == "hit":
            return
        if held.need.guessed and not usage.estimated and exchange.reason is None:
            self._estimate(held.call.entry).learn(usage, held.call.input_size, held.call.choices)

    def _scopes_of(self, exchange: Exchange, call: ModelCall) -> list[Scope]:
        """The balances of a call, remembered: looking them up costs as much as reserving."""
        session = session_of(exchange.request.fields()) if self._scopes.by_session else ""
        principal = exchange.principal
        key = (id(principal), call.model, call.upstream_model, session)
        known = self._known.get(key)
        if known is None or known[0] is not principal:
            names_of = [call.entry, *{call.model, call.upstream_model} - {call.entry, ""}]
            known = principal, self._scopes.find(Caller(principal, tuple(names_of), session))
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = known
        return known[1]

    def _estimate(self, entry: str) -> Estimate:
        estimate = self._estimates.get(entry)
        if estimate is None:
            if len(self._estimates) >= MAX_ESTIMATES:
                self._estimates.clear()
            estimate = self._estimates[entry] = Estimate()
        return estimate

    async def _reserve(self, exchange: Exchange, call: ModelCall, scopes: list[Scope]) -> _Held:
        """Hold what the call may need of every balance. Raises CallError."""
        need = self._need(call, learned=False)
        learned = self._need(call, learned=True) if any(_learns(scope) for scope in scopes) else need
        charges = []
        for scope in scopes:
            amount = self._amount(scope, learned if _learns(scope) else need, call)
            charges += [Charge(tally, *_within(amount, scope.spec.limit), True) for tally in scope.tallies]
        outcome = await self._ask(charges)
        if isinstance(outcome, Refusal):
            raise self._refused(exchange, call, scopes, outcome)
        held = _Held(self, call, learned, scopes, outcome)
        if learned.guessed:
            units = [scope.spec.unit for scope in scopes for _ in scope.tallies]
            # A guess is lowered to what there is.
            held.grant = min(learned.room(unit, charge.amount) for unit, charge in zip(units, charges, strict=True))
        return held

    def _need(self, call: ModelCall, *, learned: bool) -> Need:
        return Need(call, self._most, self._estimate(call.entry), self._outputs.get(call.entry, 0), learned)

    async def _ask(self, charges: list[Charge]) -> Reservation | Refusal:
        try:
            return await self.counters.reserve(charges, self._tools.clock.now())
        except (CountersFullError, OSError) as exc:
            # Fail closed: letting calls pass would make every budget optional for whoever can stop the counting.
            detail = "Budgets cannot be checked at the moment; try again shortly."
            raise CallError(Reason.OVERLOADED, detail, headers=[(b"retry-after", b"1")]) from exc

    def _amount(self, scope: Scope, need: Need, call: ModelCall) -> Amount:
        if scope.spec.unit == "tokens":
            return need.tokens()
        amount = need.money()
        if amount is not None:
            return amount
        if scope.spec.on_unknown_price == "zero":
            return Amount(1, 0)
        name = scope.spec.name
        detail = f"The model `{call.model}` has no known price, and budget '{name}' refuses calls without one."
        raise CallError(Reason.PRICE_UNKNOWN, detail, param="model")

    def _metered(self, exchange: Exchange, reply: Reply, held: _Held) -> Metered:
        assert not isinstance(reply.body, bytes)
        price = held.need.output_price()
        # What is held of the others is a bound already.
        scopes = [scope for scope in held.scopes if _learns(scope)] or held.scopes

        async def extend(tokens: int) -> int:
            charges = []
            for scope in scopes:
                amount = max(1, int(tokens * price)) if scope.spec.unit == "usd" else tokens
                charges += [Charge(tally, min(amount, tally.limit), 1, True) for tally in scope.tallies]
            wanted = [charge.amount for charge in charges]
            outcome = await self._ask(charges)
            if isinstance(outcome, Refusal):
                self._count_cut(exchange, outcome)
                return 0
            held.further.append(outcome)
            # A charge was lowered to what there was: so many tokens fewer.
            return min(tokens * charge.amount // asked for charge, asked in zip(charges, wanted, strict=True))

        error = CallError(Reason.BUDGET_EXCEEDED, "The budget of this call is spent; the answer ends here.")
        known = ANSWERS[error.reason]
        words = CODECS[held.call.dialect].encode_error_event(known.status, known.kind, known.code, error.detail, None)
        return Metered(reply.body, held.grant, extend, (error, words))

    def _count_cut(self, exchange: Exchange, refusal: Refusal) -> None:
        exchange.policy = refusal.charge.tally.name.removeprefix("budget:")
        self._tools.metrics.counter(names.BUDGET_CUTS, budget=exchange.policy).add()

    def _refused(self, exchange: Exchange, call: ModelCall, scopes: list[Scope], refusal: Refusal) -> CallError:
        (scope,) = [scope for scope in scopes if refusal.charge.tally in scope.tallies]
        exchange.policy = scope.spec.name
        self._tools.metrics.counter(names.BUDGET_REFUSALS, budget=scope.spec.name).add()
        reset_s = max(1, int(refusal.resets_s - self._tools.clock.now()) + 1)
        detail = refusal_text(scope, refusal, reset_s)
        self._tools.audit(
            AuditRecord(
                kind="budget",
                outcome="deny",
                principal=exchange.principal,
                source=exchange.source_address,
                resource=f"model:{call.model}",
                entry=call.entry,
                policy=scope.spec.name,
                detail=detail,
                trace_id=exchange.trace.trace_id,
            )
        )
        return CallError(Reason.BUDGET_EXCEEDED, detail, headers=retry_fields(refusal, reset_s))


def build(snapshot: Snapshot, tools: Tools) -> Budget | None:
    """The policy of a snapshot's budgets; None when neither it nor a key can have any."""
    return Budget(snapshot, tools) if snapshot.budgets or accepts_virtual_keys(snapshot) else None


def _learns(scope: Scope) -> bool:
    return scope.spec.reserve == "estimate"


def _within(amount: Amount, limit: int) -> Amount:
    """A guess that is larger than all there ever is asks for all there is."""
    return Amount(max(amount.least, limit), amount.least) if amount.least and amount.most > limit else amount
