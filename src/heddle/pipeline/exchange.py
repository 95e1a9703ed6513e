"""The one value that every call is while it passes through the gateway, and the shape of what it passes through."""

import enum
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from heddle.model.call import ModelCall, Usage
from heddle.model.mcp import McpCall
from heddle.model.principal import ANONYMOUS, Principal
from heddle.model.snapshot import ListenerSpec
from heddle.net.message import Reply, Request
from heddle.pipeline.errors import Reason
from heddle.telemetry.trace import SpanContext

Finisher = Callable[["Exchange"], None]


class Exchange:
    """A call under way: what came in, what was learned, what it used. One task owns it; never shared."""

    __slots__ = (
        "cache",
        "call",
        "cost_usd",
        "deadline_s",
        "detail",
        "events",
        "finishers",
        "first_byte_s",
        "guarded",
        "limits_left",
        "listener",
        "mcp",
        "operation",
        "policy",
        "principal",
        "reason",
        "request",
        "source_address",
        "started_s",
        "trace",
        "upstream_s",
        "usage",
    )

    def __init__(
        self, request: Request, listener: ListenerSpec, operation: str, trace: SpanContext, started_s: float
    ) -> None:
        self.request = request
        self.listener = listener
        self.operation = operation
        """`chat`, `embeddings`, `models`, or `unknown` until a route is found; a closed set, safe as a label."""
        self.trace = trace
        self.started_s = started_s
        """Monotonic clock, seconds."""
        self.deadline_s = 0.0
        """Monotonic clock, seconds, by which the answer must be complete; 0 is none."""
        self.source_address = request.peer.address
        """The caller's address, after trusted proxies."""
        self.principal: Principal = ANONYMOUS
        self.call: ModelCall | None = None
        self.mcp: McpCall | None = None
        """The call, where it is one to a tool server; then `call` is None."""
        self.usage: Usage | None = None
        self.cost_usd: float | None = None
        self.events = 0
        """Events of a streamed answer."""
        self.first_byte_s = 0.0
        """Monotonic clock at the first byte of the upstream's answer body; 0 when there was none."""
        self.upstream_s = 0.0
        """Monotonic clock when the upstream request was sent; 0 when none was."""
        self.cache = ""
        """`hit`, `miss` or `bypass`, where a cache was asked."""
        self.limits_left = b""
        """What the answer tells of the limits that the call passed: header lines, empty when there are none."""
        self.reason: Reason | None = None
        self.detail = ""
        self.policy = ""
        """Name of the rule or limit that refused the call, for its record."""
        self.guarded: dict[str, int] = {}
        """What guards found: `guard:action:scope` and how often."""
        self.finishers: list[Finisher] = []
        """Called once, last added first, when the answer is complete or given up; must not raise or await."""


Checker = Callable[[Exchange], Awaitable[None] | None]
Handler = Callable[[Exchange], Awaitable[Reply]]
"""Answers a call or raises CallError. A backend is one, a policy wraps one, a compiled route is one."""


class Phase(enum.IntEnum):
    """Fixed order in which policies wrap a route, outermost first. Configuration cannot change it."""

    AUTHENTICATE = 10
    DECODE = 20
    AUTHORIZE = 30
    LIMIT = 40
    GUARD = 50
    CACHE = 60
    TRANSFORM = 70


class Policy(Protocol):
    """One concern around a call. One with an attribute `dialects` stands only around the routes of those."""

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        ...

    def wrap(self, handler: Handler) -> Handler:
        """Return a handler that applies this policy around `handler`. Called once per route, at build time."""
        ...

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:
        """Whether some call of this principal to `model` could pass: what lists are filtered by."""
        ...


class Check(Protocol):
    """A policy that only lets a call pass or refuses it: it sees no answer, and mostly need not wait."""

    @property
    def phase(self) -> Phase:
        """Where it stands."""
        ...

    def check(self, exchange: Exchange) -> Awaitable[None] | None:
        """Let the call pass, or raise CallError; returns what to wait for first when it has to."""
        ...

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:
        """As of a `Policy`."""
        ...


def compile_route(policies: list[Any], end: Handler) -> Handler:
    """Fold policies and checks around `end`: lower phases outside; within a phase, the first declared is outermost."""
    handler = end
    for policy in sorted(policies, key=lambda p: p.phase)[::-1]:
        handler = _behind(policy.check, handler) if hasattr(policy, "check") else policy.wrap(handler)
    return handler


def _behind(check: Checker, handler: Handler) -> Handler:
    """`handler`, for calls that pass `check`. It costs a coroutine only where a call has to wait."""

    def checked(exchange: Exchange) -> Awaitable[Reply]:
        wait = check(exchange)
        return handler(exchange) if wait is None else _waited(wait, handler, exchange)

    return checked


async def _waited(wait: Awaitable[None], handler: Handler, exchange: Exchange) -> Reply:
    await wait
    return await handler(exchange)
