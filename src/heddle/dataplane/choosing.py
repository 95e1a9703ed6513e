"""Where a call to a virtual model may go: its access rule, the conditions of its targets, and what policies allow.

Owns the joining of three things that do not know each other: targets (`traffic`), expressions (`identity`) and
policies. A target that policies forbid to this caller is skipped, at first and at failover; when all are forbidden the
first one stays, so that the refusal is the policies' own.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple, Protocol, runtime_checkable

from heddle.identity.context import CALLER, REQUEST
from heddle.identity.errors import EvaluationError
from heddle.model.call import ModelCall, Target
from heddle.model.provider import Spell
from heddle.model.snapshot import ModelSpec, TargetSpec
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Policy
from heddle.traffic.models import Resolved, unknown_model
from heddle.traffic.targets import Chooser, Condition


@runtime_checkable
class Judging(Protocol):
    """A policy that can tell of one call whether it is allowed, without counting it."""

    def allows(self, exchange: Exchange, call: ModelCall) -> bool:
        """Whether exactly this call is allowed."""
        ...


class Asked(NamedTuple):
    """What a condition looks at."""

    exchange: Exchange
    call: ModelCall


_CALL: dict[str, Callable[[ModelCall], Any]] = {
    "call.kind": lambda call: "model",  # noqa: ARG005
    "call.model": lambda call: call.model,
    "call.operation": lambda call: call.operation,
    "call.stream": lambda call: call.stream,
    "call.dialect": lambda call: call.dialect,
}
"""What is known of a call before its target is; `call.provider` and `call.resolved_model` are what is being chosen."""


def build_chooser(models: tuple[ModelSpec, ...], tools: Tools, spelling: Mapping[str, Spell]) -> Chooser[Asked]:
    """The chooser of a snapshot; `spelling` is by the names of providers.

    Raises ValueError naming the model whose expression cannot be used.
    """

    def compile_condition(target: TargetSpec, model: ModelSpec) -> Condition[Asked] | None:
        return _condition(target.when, model, tools.clock.now) if target.when else None

    # Not for secrets: it shares out calls, and a generator of its own can be seeded by tests.
    return Chooser(models, compile_condition, tools.clock.monotonic, Random().random, spelling)  # noqa: S311


def _condition(text: str, model: ModelSpec, now: Callable[[], float]) -> Condition[Asked]:
    # Imported here: most gateways have no expressions, and the evaluator takes some 10 MB.
    cel = importlib.import_module("heddle.identity.cel")
    try:
        expression = cel.compile_expression(text)
    except ValueError as exc:
        raise ValueError(f"model {model.name!r} ({model.source}): when: {exc}") from exc

    def holds(asked: Asked) -> bool:
        values = {name: _value(name, asked, now()) for name in expression.variables}
        try:
            return bool(expression.evaluate(values))
        except EvaluationError:
            return False

    return holds


def _value(name: str, asked: Asked, now_s: float) -> Any:
    exchange, call = asked
    if name in _CALL:
        return _CALL[name](call)
    if name in CALLER:
        return CALLER[name](exchange.principal)
    if name not in REQUEST:
        return None
    try:
        return REQUEST[name](exchange, now_s)
    except ValueError:
        return None  # a repeated query parameter: the expression errs


class Choice:
    """Sets the targets of a call whose model has an access rule or several places to go."""

    __slots__ = ("_chooser", "_judges")

    def __init__(self, chooser: Chooser[Asked], policies: Sequence[Policy]) -> None:
        self._chooser = chooser
        self._judges = tuple(policy for policy in policies if isinstance(policy, Judging))

    def apply(self, exchange: Exchange, call: ModelCall, model: Resolved) -> None:
        """Set `targets`, and the first of them as where it goes. Raises CallError (404)."""
        if model.access is not None and not model.access.allows(exchange.principal):
            raise unknown_model(call.model)
        if not model.targets:
            return
        targets = self._chooser.order(model.entry, call.model, Asked(exchange, call))
        if not targets:
            detail = f"No target of the model `{call.model}` takes this call."
            raise CallError(Reason.MODEL_NOT_FOUND, detail, param="model")
        allowed = [target for target in targets if self._permits(exchange, call, target)]
        call.targets = tuple(allowed or targets[:1])
        first = call.targets[0]
        call.provider, call.upstream_model = first.provider, first.model

    def _permits(self, exchange: Exchange, call: ModelCall, target: Target) -> bool:
        candidate = call.copy(provider=target.provider, upstream_model=target.model)
        return all(judge.allows(exchange, candidate) for judge in self._judges)
