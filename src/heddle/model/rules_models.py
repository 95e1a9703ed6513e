"""Does every model lead somewhere? Names, aliases, providers, targets.

Owns the checks of `llm.models` that need nothing but the configuration itself, their parameters included. Refusing is
for what cannot work; what works but is probably not meant is a warning.
"""

from heddle.model.config_llm import ModelEntry, Target
from heddle.model.match import is_glob
from heddle.model.parameters import PARAMETERS
from heddle.model.plan import Placed, Plan
from heddle.model.problem import Place, Report, child, did_you_mean, quote
from heddle.model.rules import served, unique


def check_models(plan: Plan, report: Report) -> None:
    """Everything in this module."""
    unique(((one.value.name, one.place) for one in plan.models), "model", report)
    names = tuple(placed.value.name for placed in plan.providers)
    if not plan.models and len(names) > 1:
        report.missing(
            plan.providers[1].place,
            "several providers and no models: no call could find its way",
            "list names under `llm.models`",
        )
    listeners = served(plan, "HTTP")
    if report.complete and not names and listeners:
        report.warning(
            listeners[0].place, "no provider is declared: every call will be refused", "add one to `llm.providers`"
        )
    for placed in plan.models:
        _check_model(placed, names, report)
    _check_aliases(plan, report)
    _check_shadows(plan, report)


def _check_model(placed: Placed[ModelEntry], providers: tuple[str, ...], report: Report) -> None:
    model, place = placed
    _check_parameters(model, place, report)
    if not model.targets:
        _check_provider(model.provider, place, providers, report)
        return
    for field in ("provider", "model"):
        if getattr(model, field):
            report.error(place.at(field), "give this or `targets`, not both", "move it into a target")
    for index, target in enumerate(model.targets):
        _check_provider(target.provider, place.at("targets", index), providers, report)
    _check_targets(model.targets, place, report)


def _check_parameters(model: ModelEntry, place: Place, report: Report) -> None:
    for field in ("defaults", "overrides"):
        for name, value in getattr(model, field).items():
            # A name of the operator's own choice keeps its spelling in either form of configuration.
            here = Place(place.source, child(place.at(field).path, name))
            if name not in PARAMETERS:
                report.error(here, "is no parameter", did_you_mean(name, tuple(PARAMETERS)) or _known())
                continue
            holds, expected = PARAMETERS[name]
            if not holds(value):
                report.error(here, f"expected {expected}, got {quote(value)}")
            elif field == "defaults" and name in model.overrides:
                report.warning(here, "is never used: `overrides` has it too", "leave one of them out")


def _known() -> str:
    return f"known are {', '.join(PARAMETERS)}"


def _check_provider(name: str, place: Place, providers: tuple[str, ...], report: Report) -> None:
    if name and name not in providers:
        hint = did_you_mean(name, providers) or f"declared: {', '.join(providers[:10]) or 'none'}"
        report.error(place.at("provider"), f"there is no provider `{name}`", hint)
    elif not name and len(providers) != 1:
        report.error(place.at("provider"), "is required, unless there is exactly one provider")


def _check_targets(targets: tuple[Target, ...], place: Place, report: Report) -> None:
    if all(target.when for target in targets):
        hint = "leave out `when` of the last one, to catch the rest"
        report.warning(place.at("targets"), "every target has a condition: calls that meet none are refused", hint)
    seen: set[tuple[str, str, int, str]] = set()
    for index, target in enumerate(targets):
        key = (target.provider, target.model, target.priority, target.when)
        if key in seen:
            report.warning(place.at("targets", index), "says the same as a target before it", "add up their weights")
        seen.add(key)


def _check_aliases(plan: Plan, report: Report) -> None:
    """An alias that is a name, or another's alias, would make it a matter of order who is meant."""
    names = {placed.value.name for placed in plan.models}
    seen: dict[str, Place] = {}
    for model, place in plan.models:
        for index, alias in enumerate(model.aliases):
            here = place.at("aliases", index)
            if alias in names:
                report.error(here, f"there is a model `{alias}`", "choose another alias")
            first = seen.setdefault(alias, here)
            if first is not here:
                where = f"{first.source.file}:{first.source.line(first.path)}"
                report.error(here, f"`{alias}` is already an alias, at {where}")


def _check_shadows(plan: Plan, report: Report) -> None:
    """Of patterns the first that fits is taken, so one behind a wider one is never reached."""
    wider: dict[str, str] = {}
    for model, place in plan.models:
        if not is_glob(model.name):
            continue
        literal = model.name.partition("*")[0]
        found = next((wider[literal[:end]] for end in range(len(literal) + 1) if literal[:end] in wider), "")
        if found:
            report.warning(
                place, f"`{model.name}` is never reached: `{found}` stands before it and fits first", "swap them"
            )
        if model.name == f"{literal}*":
            wider.setdefault(literal, model.name)
