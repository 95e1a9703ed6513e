"""Authorization: whether this caller may make this call.

Owns the memory of decisions on calls to models, the answer to a refusal and its records. The meaning of rules is in
`identity.rules`; calls to MCP servers are judged in `identity.judge_mcp`, and what may be said of a refused one is not
said here: to its caller it does not exist. A
caller's own bound (the `models` of its key) holds in addition to every policy, on the name that the caller wrote.
Costs do not grow with the number of policies.

*Source:* architecture.md, "Authorization, everywhere the same" and "The hot path".
"""

import importlib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

from heddle.identity.context import CALLER, request_values
from heddle.identity.judge_mcp import McpDecision, McpJudge
from heddle.identity.kinds import NO_KIND, kinds_of_rule
from heddle.identity.rules import Level, Values, Verdict, compile_levels, judge, settle
from heddle.identity.rules_mcp import compile_mcp_levels
from heddle.model.call import ModelCall
from heddle.model.match import Globs, globs_overlap, is_glob
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot import AuthzRule, Snapshot
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Phase
from heddle.telemetry.names import AUTHZ_DECISIONS
from heddle.telemetry.records import AuditRecord

if TYPE_CHECKING:
    from heddle.identity.cel import Expression

CACHE_ENTRIES: Final = 16_384
MAX_CACHED_NAME_CHARS: Final = 256
"""Longer model names are judged each time, so that callers cannot fill the memory with them."""

_CALL_SHAPE: dict[str, Callable[[ModelCall], Any]] = {
    "call.operation": lambda call: call.operation,
    "call.stream": lambda call: call.stream,
    "call.dialect": lambda call: call.dialect,
    "call.provider": lambda call: call.provider,
}
"""Variables with few values: part of the cache key where an expression reads one of them."""
_Key = tuple[object, ...]


class Decision:
    """What is known of all calls of one caller to one model."""

    __slots__ = ("count", "key_model", "principal", "shadow", "verdict")

    def __init__(self, principal: Principal, verdict: Verdict, shadow: Verdict | None, key_model: bool) -> None:
        self.principal = principal
        """Held so that its id, which is part of the cache key, stays its own."""
        self.verdict = verdict
        self.shadow = shadow
        """What it would be if rules in audit mode counted; None when there are none."""
        self.key_model = key_model
        """The caller's own list of models does not have this one."""
        self.count: Callable[[int], object] | None = None
        """Counts a call that passes; None when the call has to be looked at each time."""


def build(snapshot: Snapshot, tools: Tools) -> "Authorization":
    """The policy for `snapshot.authorization`; without rules it still holds keys to their own models.

    ValueError names the rule whose expression cannot be compiled, or that no call could ever meet.
    """
    compiled = cache(_compile)
    levels = compile_levels(snapshot.authorization, compiled)
    versioned = [(server.name, tool.name) for server in snapshot.mcp.servers for tool in server.versions]
    calls = McpJudge(compile_mcp_levels(snapshot.authorization, compiled), versioned)
    return Authorization(levels, calls, tools)


def _compile(rule: AuthzRule) -> "Expression | None":
    expression = _expression(rule)
    if not kinds_of_rule(rule, expression.variables if expression is not None else ()):
        # Left as it is, a deny would silently deny nothing.
        raise ValueError(f"{_named(rule)}: {NO_KIND}")
    return expression


def _expression(rule: AuthzRule) -> "Expression | None":
    if not rule.when:
        return None
    # Imported here: most gateways have no expressions, and the evaluator takes some 10 MB.
    cel = importlib.import_module("heddle.identity.cel")
    try:
        compiled: Expression = cel.compile_expression(rule.when)
    except ValueError as exc:
        raise ValueError(f"{_named(rule)}: when: {exc}") from exc
    return compiled


def _named(rule: AuthzRule) -> str:
    return f"authorization policy {rule.name!r}" + (f" ({rule.source})" if rule.source else "")


class Authorization:
    """Phase AUTHORIZE of every route that has a call."""

    __slots__ = ("_audits", "_cache", "_calls", "_counters", "_levels", "_now", "_read", "_shape", "_tools")

    phase: ClassVar[Phase] = Phase.AUTHORIZE

    def __init__(self, levels: dict[str, Level], calls: McpJudge, tools: Tools) -> None:
        self._levels = levels
        self._calls = calls
        self._tools = tools
        self._now = tools.clock.now
        self._cache: dict[_Key, Decision] = {}
        self._counters: dict[tuple[str, str, str], Callable[[int], object]] = {}
        self._read = _variables(levels.values())
        self._shape = tuple(read for name, read in _CALL_SHAPE.items() if name in self._read)
        self._audits = any(level.audited for level in levels.values())

    def check(self, exchange: Exchange) -> None:
        """Decide; raises CallError when the call is refused."""
        call = exchange.call
        if call is None:
            return
        key: _Key = (id(exchange.principal), call.model, call.upstream_model, exchange.listener.name)
        if self._shape:
            key += tuple([read(call) for read in self._shape])
        decision = self._cache.get(key)
        if decision is None:
            decision = self._decide(exchange, call, key)
        count = decision.count
        if count is not None:
            count(1)
        else:
            self._conclude(exchange, call, decision)

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:
        """Whether some call to `model`, which may be a listed pattern, could be allowed to this caller.

        What only the call or its request can decide is taken as possible.
        """
        principal = exchange.principal
        key: _Key = ("list", id(principal), model.model, model.upstream_model, exchange.listener.name)
        decision = self._cache.get(key)
        if decision is None:
            names = _names(model)
            verdict = judge(
                self._levels_of(exchange), principal, names, _known(model, listing=True), audit=False, listing=True
            )
            key_model = not _key_allows(principal, model.model, listing=True)
            decision = Decision(principal, verdict, None, key_model)
            self._remember(key, decision, names)
        return not (decision.key_model or decision.verdict.refused)

    def allows(self, exchange: Exchange, call: ModelCall) -> bool:
        """Whether exactly this call is allowed. Writes nothing down: it is asked for places a call might go."""
        key: _Key = (id(exchange.principal), call.model, call.upstream_model, exchange.listener.name)
        key += tuple([read(call) for read in self._shape])
        decision = self._cache.get(key) or self._decide(exchange, call, key)
        verdict = decision.verdict
        if verdict.pending:
            verdict = settle(verdict, _RequestValues(exchange, call, self._read, self._now).under)
        return not (decision.key_model or verdict.refused)

    @property
    def reads_arguments(self) -> bool:
        """Whether some rule reads `call.arguments`, which whoever calls `check_mcp` then has to have parsed."""
        return self._calls.reads_arguments

    def check_mcp(self, exchange: Exchange) -> None:
        """Decide on a call to an MCP server; raises CallError when it is refused, which says nothing of why."""
        call = exchange.mcp
        if call is None:
            return
        decision = self._calls.decide(exchange, call)
        count = decision.count
        if count is not None:
            count(1)
        else:
            self._conclude_mcp(exchange, call, decision)

    def permits_mcp(self, exchange: Exchange, call: McpCall) -> bool:
        """Whether some call to what `call` names could be allowed to this caller: what lists are filtered by.

        What only arguments or the request decide is taken as possible; of a URI template, any expansion.
        """
        return self._calls.possible(exchange, call)

    def allows_mcp(self, exchange: Exchange, call: McpCall) -> bool:
        """Whether exactly this call is allowed. Writes nothing down: it is asked for other targets that might serve."""
        decision = self._calls.decide(exchange, call)
        return decision.settled or not decision.outcome(exchange, self._now)[0].refused

    def _decide(self, exchange: Exchange, call: ModelCall, key: _Key) -> Decision:
        principal, names, levels = exchange.principal, _names(call), self._levels_of(exchange)
        known = _known(call, listing=False)
        verdict = judge(levels, principal, names, known, audit=False)
        shadow = judge(levels, principal, names, known, audit=True) if self._audits else None
        decision = Decision(principal, verdict, shadow, not _key_allows(principal, call.model, listing=False))
        if not (decision.key_model or verdict.refused or verdict.pending or shadow):
            decision.count = self._counter(verdict.policy, "allow", "enforce")
        self._remember(key, decision, names)
        return decision

    def _levels_of(self, exchange: Exchange) -> list[Level]:
        names = ("global", f"listener:{exchange.listener.name}")
        return [self._levels[name] for name in names if name in self._levels]

    def _remember(self, key: _Key, decision: Decision, names: tuple[str, ...]) -> None:
        if any(len(name) > MAX_CACHED_NAME_CHARS for name in names):
            return
        if len(self._cache) >= CACHE_ENTRIES:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = decision

    def _conclude(self, exchange: Exchange, call: ModelCall, decision: Decision) -> None:
        """Settle what the request decides; raises CallError when the call is refused."""
        if decision.key_model:
            self._write(exchange, call, "deny", "", "the key's own list of models does not have it")
            raise CallError(
                Reason.MODEL_FORBIDDEN, f"This API key may not use the model `{_shown(call)}`.", param="model"
            )
        values = _RequestValues(exchange, call, self._read, self._now)
        verdict = settle(decision.verdict, values.under)
        if decision.shadow is not None:
            self._compare(exchange, call, verdict, settle(decision.shadow, values.under))
        if verdict.refused:
            self._refuse(exchange, call, verdict)
        self._counter(verdict.policy, "allow", "enforce")(1)

    def _conclude_mcp(self, exchange: Exchange, call: McpCall, decision: McpDecision) -> None:
        """Settle what the request decides; raises CallError when the call is refused."""
        if decision.settled:
            decision.count = self._counter(decision.verdict.policy, "allow", "enforce")
            decision.count(1)
            return
        verdict, shadow = decision.outcome(exchange, self._now)
        if shadow is not None:
            self._compare(exchange, call, verdict, shadow)
        if not verdict.refused:
            self._counter(verdict.policy, "allow", "enforce")(1)
            return
        self._counter(verdict.policy, "deny", "enforce")(1)
        exchange.policy = verdict.policy
        detail = "a policy denies it" if verdict.policy else "no policy allows it"
        self._write(exchange, call, "deny", verdict.policy, detail)
        raise CallError(Reason.FORBIDDEN, "This call is not allowed.")

    def _refuse(self, exchange: Exchange, call: ModelCall, verdict: Verdict) -> None:
        self._counter(verdict.policy, "deny", "enforce")(1)
        exchange.policy = verdict.policy
        if verdict.policy:
            self._write(exchange, call, "deny", verdict.policy, "a policy denies it")
            detail = f"The policy `{verdict.policy}` denies the use of the model `{_shown(call)}`."
        else:
            self._write(exchange, call, "deny", "", "no policy allows it")
            detail = f"No policy allows this caller to use the model `{_shown(call)}`."
        raise CallError(Reason.FORBIDDEN, detail, param="model")

    def _compare(self, exchange: Exchange, call: ModelCall | McpCall, verdict: Verdict, shadow: Verdict) -> None:
        """Record where rules in audit mode would have changed the outcome."""
        if shadow.refused == verdict.refused:
            return
        action = "deny" if shadow.refused else "allow"
        self._counter(shadow.policy, action, "audit")(1)
        self._write(exchange, call, f"would_{action}", shadow.policy, "a policy in audit mode would decide otherwise")

    def _write(self, exchange: Exchange, call: ModelCall | McpCall, outcome: str, policy: str, detail: str) -> None:
        resource, entry, more = _of_model(call) if isinstance(call, ModelCall) else _of_mcp(call)
        record = AuditRecord(
            kind="authz",
            outcome=outcome,
            principal=exchange.principal,
            source=exchange.source_address,
            resource=resource[:MAX_CACHED_NAME_CHARS],
            entry=entry,
            policy=policy,
            detail=detail + more,
            trace_id=exchange.trace.trace_id,
        )
        self._tools.audit(record)

    def _counter(self, policy: str, action: str, mode: str) -> Callable[[int], object]:
        key = (policy, action, mode)
        add = self._counters.get(key)
        if add is None:
            counter = self._tools.metrics.counter(AUTHZ_DECISIONS, policy=policy, action=action, mode=mode)
            add = self._counters[key] = counter.add
        return add


class _RequestValues:
    """Values of the variables that expressions read, for one request."""

    __slots__ = ("_values",)

    def __init__(self, exchange: Exchange, call: ModelCall, read: frozenset[str], now: Callable[[], float]) -> None:
        values = _known(call, listing=False)
        values |= request_values(read, exchange, now)
        values |= {name: CALLER[name](exchange.principal) for name in read if name in CALLER}
        self._values = values

    def under(self, name: str) -> Values:
        """The values when the call is judged under model name `name`."""
        return {**self._values, "call.model": name}


def _of_model(call: ModelCall) -> tuple[str, str, str]:
    """What records call it, by which name repeats of it are told apart, and what else to say of it."""
    resolved = "" if call.upstream_model in {"", call.model} else f"; it resolves to {call.upstream_model[:100]}"
    return f"model:{call.model}", call.entry, resolved


def _of_mcp(call: McpCall) -> tuple[str, str, str]:
    """The same. URIs are the caller's own invention, so repeats are told apart by their target only."""
    stable = call.target if call.kind == "resource" else call.stable_name or call.target
    of = f" of {stable[:100]}" if stable else ""
    return call.resource, f"{call.server}:{call.kind}:{stable}", f"; {call.method[:64]} on {call.server}{of}"


def _variables(levels: Any) -> frozenset[str]:
    read: set[str] = set()
    for level in levels:
        read |= level.variables
    return frozenset(read)


def _names(call: ModelCall) -> tuple[str, ...]:
    if call.upstream_model in {"", call.model}:
        return (call.model,)
    return (call.model, call.upstream_model)


def _known(call: ModelCall, *, listing: bool) -> dict[str, Any]:
    """Values that every call of one cache key shares; a list does not know what shape the call will have."""
    values: dict[str, Any] = {"call.kind": "model", "call.provider": call.provider}
    resolved = call.upstream_model or call.model
    if not (listing and is_glob(resolved)):
        values["call.resolved_model"] = resolved
    if not listing:
        for name, read in _CALL_SHAPE.items():
            values[name] = read(call)
    return values


def _key_allows(principal: Principal, name: str, *, listing: bool) -> bool:
    """Whether the caller's key may name this model. What the name resolves to is for policies: the list of a key says
    what its holder may ask for, and whoever wrote it need not know where an alias leads."""
    bound = principal.models
    if bound is None:
        return True
    if listing and is_glob(name):
        return any(globs_overlap(pattern, name) for pattern in bound)
    return Globs(bound).match(name)


def _shown(call: ModelCall) -> str:
    """The name as the caller wrote it, clipped; what it resolves to is not the caller's business."""
    return call.model if len(call.model) <= 100 else f"{call.model[:100]}..."
