"""The short form's `authorization`, `rate_limiting` and `a2a`: who may do what, and how much of it.

*Source:* architecture.md, "Identity" for what a match means and how levels combine.
"""

from typing import Annotated, Literal

import msgspec

from heddle.model.config_base import Name, Part, Pattern, Period, many
from heddle.model.snapshot_match import MatchSpec

Patterns = Pattern | tuple[Pattern, ...]
"""One name or pattern, or a list of which any may fit."""
KeyPart = Literal["tenant", "user", "agent", "model", "key", "server", "tool"]


class KubernetesMatch(Part, frozen=True, kw_only=True):
    """Callers as Kubernetes names them."""

    namespace: Patterns = ()
    """Namespace of the caller; the same thing as `tenant`."""


class Match(Part, frozen=True, kw_only=True):
    """Which callers and calls are meant. Every field given must fit; none given fits all."""

    kubernetes: KubernetesMatch | None = None
    """Callers as Kubernetes names them."""
    tenant: Patterns = ()
    """Tenant (namespace) of the caller. Give this or `kubernetes.namespace`."""
    user: Patterns = ()
    """User behind the call."""
    agent: Patterns = ()
    """Agent (workload) that calls."""
    model: Patterns = ()
    """Model that is called, as the caller names it. What names one is not for calls of tools."""
    server: Patterns = ()
    """Virtual MCP server that is called. What names one, or a tool or target, is not for calls of models."""
    tool: Patterns = ()
    """Tool that is called, by the name callers see, or as `TARGET/NAME` by the target's own, which stays."""
    target: Patterns = ()
    """Tool server (target) that the call leads to."""

    def tenants(self) -> tuple[str, ...]:
        """Patterns of tenants, however they were spelled."""
        return many(self.kubernetes.namespace) if self.kubernetes is not None else many(self.tenant)

    def spec(self) -> MatchSpec:
        """The same, as gateways are told it."""
        return MatchSpec(
            tenants=self.tenants(),
            users=many(self.user),
            agents=many(self.agent),
            models=many(self.model),
            servers=many(self.server),
            tools=many(self.tool),
            targets=many(self.target),
        )


class AuthorizationPolicy(Part, frozen=True, kw_only=True):
    """A rule. At a level that has any: a matching deny refuses; otherwise one must allow."""

    name: Name = ""
    """Unique; audit records name the policy by it. A Policy resource may leave it to its metadata."""
    match: Match = Match()
    """Callers and calls that the rule is for. Unset is all."""
    resources: tuple[str, ...] = ()
    """What it is about: `model:NAME`, `server:NAME`, `tool:NAME`, `prompt:NAME` or `resource:URI`, patterns allowed.
    Tools and prompts have the name that callers see, and `TARGET/NAME`, which no rename changes. Empty is every
    resource of the call's kind."""
    when: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    """CEL over `principal`, `call`, `request` and `source`. One that errs is false in an allow and true in a deny.
    Empty is true."""
    action: Literal["allow", "deny"]
    """What a matching call gets."""
    mode: Literal["enforce", "audit"] = "enforce"
    """`audit` records what the rule would have decided and decides nothing."""
    listener: Name = ""
    """Name of the listener whose level the rule stands at. Unset is the global level."""


class ScopedRule(Part, frozen=True, kw_only=True):
    """A rule of one virtual server or target. It needs no name: it is called `SERVER-1`, `SERVER-2` ..."""

    name: Name = ""
    """Unique; audit records name the rule by it. Unset is made of where it stands."""
    match: Match = Match()
    """Callers and calls that the rule is for. Unset is all."""
    tools: Patterns = ()
    """Tools it is about, the same as `tool:NAME` in `resources`: names that callers see, or `TARGET/NAME`."""
    resources: tuple[str, ...] = ()
    """What it is about: `tool:NAME`, `prompt:NAME` or `resource:URI`, patterns allowed. Empty, with `tools`, is
    everything."""
    when: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    """CEL over `principal`, `call` (with `call.tool`, `call.arguments`), `request` and `source`. One that errs is false
    in an allow and true in a deny. Empty is true."""
    action: Literal["allow", "deny"]
    """What a matching call gets."""
    mode: Literal["enforce", "audit"] = "enforce"
    """`audit` records what the rule would have decided and decides nothing."""

    def about(self) -> tuple[str, ...]:
        """Its resources, those in `tools` too."""
        return (*(f"tool:{name}" for name in many(self.tools)), *self.resources)


class NamedAuthorizationPolicy(AuthorizationPolicy, frozen=True, kw_only=True):
    """A rule. At a level that has any: a matching deny refuses; otherwise one must allow."""

    name: Name
    """Unique; audit records name the policy by it."""


class Authorization(Part, frozen=True, kw_only=True):
    """Who may do what."""

    policies: tuple[NamedAuthorizationPolicy, ...] = ()
    """The rules. With none, authenticated callers may do everything on loopback, and other addresses are refused."""


class RateLimit(Part, frozen=True, kw_only=True):
    """A limit over a fixed, UTC-aligned window."""

    name: Name = ""
    """Unique; a refused caller is told it. A Policy resource may leave it to its metadata."""
    match: Match = Match()
    """Callers and calls that count. Unset is all."""
    key: KeyPart | tuple[KeyPart, ...] = ()
    """What has a count of its own: any of tenant, user, agent, model, key, server, tool. Empty is one count for all
    that match. With model it is for calls of models only, with server or tool for calls of tools."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    """Most requests or tokens in one window. To forbid altogether, write an authorization policy."""
    window: Period
    """Length of the window: a divisor of a day (`1m`, `15m`, `1h`, `24h`) or whole days (`7d`). Windows begin at
    multiples of it, in UTC."""
    limit_by: Literal["requests", "tokens"] = "requests"
    """What is counted; tokens are input plus output."""
    reserve: Literal["upper_bound", "estimate"] = "upper_bound"
    """What a token limit holds before the call: `upper_bound` never passes the limit; `estimate` (learned) admits
    more calls at once."""


class NamedRateLimit(RateLimit, frozen=True, kw_only=True):
    """A limit over a fixed, UTC-aligned window."""

    name: Name
    """Unique; a refused caller is told it."""


class Party(Part, frozen=True, kw_only=True):
    """One side of a call between agents."""

    namespace: Patterns = ()
    """Namespace of the agent."""
    agent: Patterns = ()
    """Name of the agent."""


class AgentRule(Part, frozen=True, kw_only=True):
    """Who may call which agent. Not active yet."""

    name: Name
    """Unique."""
    source: Party = Party()
    """The calling agent."""
    target: Party = Party()
    """The called agent."""
    action: Literal["allow", "deny"]
    """What a matching call gets."""


class A2a(Part, frozen=True, kw_only=True):
    """Calls between agents. Not active yet."""

    authorization: tuple[AgentRule, ...] = ()
    """Who may call which agent. Not active yet."""
