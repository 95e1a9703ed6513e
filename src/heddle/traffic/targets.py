"""Which target of a virtual model takes a call, and in which order the others stand by.

Owns the order: targets whose condition holds, by priority; within one priority by chance, as their weights say; those
that are cooling down last of all, because a target that may fail is better than none. Costs one random number per
target, and nothing for models that lead to one place.

*Source:* Efraimidis and Spirakis (2006), "Weighted random sampling with a reservoir", for the order by weight.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from heddle.model.call import Target
from heddle.model.provider import Spell
from heddle.model.snapshot import ModelSpec, RetrySpec, TargetSpec
from heddle.traffic.health import Health

C = TypeVar("C")
"""What conditions look at."""
Condition = Callable[[C], bool]

MAX_REMEMBERED = 4096
"""Names under patterns whose targets are kept ready, oldest out first: callers choose them."""


NO_SPELLING: Mapping[str, Spell] = MappingProxyType({})
"""All names as they are written."""


class Option(NamedTuple, Generic[C]):
    """A target and what decides whether and when it is taken."""

    target: Target
    weight: int
    priority: int
    condition: Callable[[C], bool] | None
    """None always holds."""


class TargetSet(Generic[C]):
    """The targets of one model."""

    __slots__ = ("_health", "_options", "_random")

    def __init__(self, options: list[Option[C]], health: Health, random: Callable[[], float]) -> None:
        """`random` gives numbers in [0, 1)."""
        self._options = sorted(options, key=lambda option: option.priority)
        self._health = health
        self._random = random

    def order(self, context: C, now_s: float) -> list[Target]:
        """Targets in the order in which they are to be tried; empty when no condition holds. `now_s` is monotonic."""
        ranked: list[tuple[bool, int, float, Target]] = []
        for target, weight, priority, condition in self._options:
            if condition is None or condition(context):
                cooling = self._health.cooling(target.key, now_s)
                ranked.append((cooling, priority, self._rank(weight), target))
        ranked.sort(key=lambda one: one[:3])
        return [one[3] for one in ranked]

    def _rank(self, weight: int) -> float:
        # The largest of u ** (1 / w) comes first with probability w / sum of w; ranks are sorted upwards.
        return -(self._random() ** (1 / weight)) if weight else 1.0


class Chooser(Generic[C]):
    """Chooses among the targets of virtual models; one per snapshot. Raises ValueError (an expression)."""

    __slots__ = ("_clock", "_options", "_random", "_sets", "_spelling", "health", "retries")

    def __init__(
        self,
        models: tuple[ModelSpec, ...],
        compile_condition: Callable[[TargetSpec, ModelSpec], "Condition[C] | None"],
        clock: Callable[[], float],
        random: Callable[[], float],
        spelling: Mapping[str, Spell] = NO_SPELLING,
    ) -> None:
        """`clock` is monotonic; `random` gives numbers in [0, 1); `spelling` is by the names of providers."""
        self._spelling = spelling
        self.health = Health()
        routed = [(model, targets) for model in models if (targets := places(model))]
        self.retries: dict[str, RetrySpec] = {model.name: model.retry for model, _ in routed}
        """Of the models that may be tried more than once, by their entry."""
        self._clock = clock
        self._random = random
        self._sets: OrderedDict[tuple[str, str], TargetSet[C]] = OrderedDict()
        self._options = {
            model.name: [(target, compile_condition(target, model)) for target in targets] for model, targets in routed
        }

    def order(self, entry: str, asked: str, context: C) -> list[Target]:
        """Where a call of `entry` under the name `asked` may go, in order; empty when no condition holds."""
        key = (entry, asked)
        found = self._sets.get(key)
        if found is None:
            found = self._build(entry, asked)
            self._sets[key] = found
            if len(self._sets) > MAX_REMEMBERED:
                self._sets.popitem(last=False)
        return found.order(context, self._clock())

    def _build(self, entry: str, asked: str) -> TargetSet[C]:
        options = [
            Option(
                Target(
                    provider=spec.provider,
                    model=self._spelling.get(spec.provider, str)(spec.model or asked),
                    first_token_s=spec.first_token_s,
                ),
                spec.weight,
                spec.priority,
                condition,
            )
            for spec, condition in self._options[entry]
        ]
        return TargetSet(options, self.health, self._random)


def places(model: ModelSpec) -> tuple[TargetSpec, ...]:
    """The targets of a model for which more than one attempt may be made; empty for all others."""
    if model.targets:
        return model.targets
    if model.retry.same_target and model.retry.attempts > 1:
        return (TargetSpec(provider=model.provider, model=model.model),)
    return ()
