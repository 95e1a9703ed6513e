"""Judges calls to MCP servers, and remembers what callers and names decide.

Owns the memory of decisions. One is found by one look-up where the request does not matter; where it does, only the
expressions that it leaves open are evaluated. Costs do not grow with the number of rules or tools.

*Source:* architecture.md, "The hot path".
"""

from collections.abc import Callable, Iterable, Mapping

from heddle.identity.context import request_values
from heddle.identity.rules import Values, Verdict, settle
from heddle.identity.rules_mcp import McpLevel, judge_mcp, known_values
from heddle.identity.subjects import subject_of
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.pipeline.exchange import Exchange

REMEMBERED = 16_384
MAX_NAME_CHARS = 256
"""Calls with longer names are judged each time, so that callers cannot fill the memory with them."""

_OF_ONE_URI = frozenset({"resources/read", "resources/subscribe", "resources/unsubscribe"})
_Key = tuple[object, ...]


class McpDecision:
    """What is known of all calls of one caller to one tool, prompt, resource or server."""

    __slots__ = ("_open", "_values", "count", "principal", "shadow", "verdict")

    def __init__(self, principal: Principal, values: Values, verdict: Verdict, shadow: Verdict | None) -> None:
        self.principal = principal
        """Held so that its id, which is part of the key, stays its own."""
        self.verdict = verdict
        self.shadow = shadow
        """What it would be if rules in audit mode counted; None when there are none."""
        self.count: Callable[[int], object] | None = None
        """For whoever counts calls that pass; None until then, and when each has to be looked at."""
        self._open = _open_variables(verdict, shadow)
        self._values = values if self._open else {}

    @property
    def settled(self) -> bool:
        """Whether every call that it is about passes."""
        return not (self.verdict.refused or self.verdict.pending or self.shadow)

    def outcome(self, exchange: Exchange, now: Callable[[], float]) -> tuple[Verdict, Verdict | None]:
        """Verdict and shadow for one call."""
        if not self._open:
            return settle(self.verdict, _nothing), self.shadow and settle(self.shadow, _nothing)
        values = {**self._values, **request_values(self._open, exchange, now)}
        return settle(self.verdict, lambda _: values), self.shadow and settle(self.shadow, lambda _: values)


class McpJudge:
    """All levels of a snapshot."""

    __slots__ = ("_audits", "_levels", "_memory", "_shaped", "_versioned", "reads_arguments")

    def __init__(self, levels: Mapping[str, McpLevel], versioned: Iterable[tuple[str, str]]) -> None:
        """`versioned` holds (server, tool) of tools that have versions."""
        self._levels = levels
        self._versioned = frozenset(versioned)
        self._memory: dict[_Key, McpDecision] = {}
        read = {name for level in levels.values() for name in level.variables}
        self._shaped = not read.isdisjoint({"call.method", "call.version"})
        self._audits = any(level.audited for level in levels.values())
        self.reads_arguments = "call.arguments" in read
        """Whether any rule does."""

    def decide(self, exchange: Exchange, call: McpCall) -> McpDecision:
        """What is known of calls like this one; look at `outcome` where it is not settled."""
        key: _Key = (
            id(exchange.principal), call.server, call.kind, call.name, call.target, call.target_name,
            exchange.listener.name,
        )  # fmt: skip
        if self._shaped:
            key += (call.method, call.version)
        decision = self._memory.get(key)
        return self._judge(exchange, call, key, listing=False) if decision is None else decision

    def possible(self, exchange: Exchange, call: McpCall) -> bool:
        """Whether some call of this caller to what `call` names could be allowed, whatever its arguments.

        What a list offers may be a URI template; what a caller wrote to be read or watched is none.
        """
        written = call.method in _OF_ONE_URI
        key: _Key = (
            written, id(exchange.principal), call.server, call.kind, call.name, call.target, call.target_name,
            exchange.listener.name,
        )  # fmt: skip
        if self._shaped:
            key += (call.version,)
        decision = self._memory.get(key) or self._judge(exchange, call, key, listing=True)
        return not decision.verdict.refused

    def _judge(self, exchange: Exchange, call: McpCall, key: _Key, *, listing: bool) -> McpDecision:
        principal, levels = exchange.principal, self._levels_of(exchange, call)
        template = listing and call.method not in _OF_ONE_URI
        subject = subject_of(call, self._versioned, listing=template)
        known = known_values(principal, call, subject, listing=listing)
        verdict = judge_mcp(levels, principal, subject, known, audit=False)
        shadow = None
        if self._audits and not listing:
            shadow = judge_mcp(levels, principal, subject, known, audit=True)
        decision = McpDecision(principal, known, verdict, shadow)
        if len(call.name) <= MAX_NAME_CHARS and len(call.target_name) <= MAX_NAME_CHARS:
            if len(self._memory) >= REMEMBERED:
                del self._memory[next(iter(self._memory))]
            self._memory[key] = decision
        return decision

    def _levels_of(self, exchange: Exchange, call: McpCall) -> list[McpLevel]:
        names = ["global", f"listener:{exchange.listener.name}", f"server:{call.server}"]
        if call.target:
            names.append(f"target:{call.target}")
        return [self._levels[name] for name in names if name in self._levels]


def _open_variables(*verdicts: Verdict | None) -> tuple[str, ...]:
    rules = [
        rule
        for verdict in verdicts
        if verdict is not None
        for level in verdict.pending
        for rule in (*level.denies, *level.allows)
    ]
    return tuple({name for rule in rules if rule.expression is not None for name in rule.expression.variables})


def _nothing(_: str) -> Values:
    return {}
