"""From a model's name, as a caller wrote it, to the configured model and provider.

Owns the order of precedence: an exact name or alias first, then patterns as declared. `*` stands for any run of
characters. Cost does not grow with the number of patterns of the usual form `prefix*`: they are looked up
by the prefixes of the name. Other patterns are compared one by one and remembered, within a bound.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping

import msgspec

from heddle.model.match import Globs, glob_match, is_glob
from heddle.model.principal import Principal
from heddle.model.provider import Spell
from heddle.model.snapshot import ModelSpec, ProviderSpec, TargetSpec
from heddle.model.snapshot_match import MatchSpec
from heddle.pipeline.errors import CallError, Reason
from heddle.traffic.targets import NO_SPELLING, places
from heddle.wire.llm.parameters import Changes

MAX_REMEMBERED = 4096
"""Names resolved by pattern that are kept, oldest out first: callers choose them, so they must not pile up."""
MAX_REMEMBERED_CHARS = 128
"""Longer names are searched for each time."""


class Access:
    """Who may use a model."""

    __slots__ = ("_fields",)

    def __init__(self, spec: MatchSpec) -> None:
        wanted = (("tenant", spec.tenants), ("user", spec.users), ("agent", spec.agents))
        self._fields = tuple((name, Globs(patterns)) for name, patterns in wanted if patterns)

    def allows(self, principal: Principal) -> bool:
        """Whether every field that is asked for fits."""
        return all(globs.match(getattr(principal, name)) for name, globs in self._fields)


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """Where a name leads."""

    entry: str
    """Name of the configured model, perhaps a pattern; a label and a limit key."""
    provider: str
    """Of a virtual model, that of its first target."""
    upstream_model: str = ""
    """Name to send instead of the caller's; empty keeps it."""
    max_output_tokens: int = 0
    """Most tokens the model can generate in one choice; 0 means unknown."""
    targets: tuple[TargetSpec, ...] = ()
    """All places it can lead to, where there may be more than one attempt; otherwise empty."""
    access: Access | None = None
    names: tuple[str, ...] = ()
    """The entry's and its aliases."""
    changes: Changes | None = None
    """What is changed in its calls; None is nothing."""
    spell: Spell | None = None
    """How its provider spells names of models; None leaves them as they are."""


class ModelTable:
    """The models of one snapshot, indexed. Raises ValueError when a model names a provider that is not there."""

    __slots__ = ("_exact", "_lengths", "_listed", "_others", "_prefixes", "_remembered")

    def __init__(
        self,
        models: tuple[ModelSpec, ...],
        providers: tuple[ProviderSpec, ...],
        spelling: Mapping[str, Spell] = NO_SPELLING,
    ) -> None:
        """`spelling` by the names of providers."""
        self._exact: dict[str, Resolved] = {}
        self._prefixes: dict[str, tuple[int, Resolved]] = {}
        self._others: list[tuple[int, str, Resolved]] = []
        self._remembered: OrderedDict[str, Resolved | None] = OrderedDict()
        names = {provider.name for provider in providers}
        if not models and len(providers) == 1:
            models = (ModelSpec(name="*", provider=providers[0].name),)
        listed = []
        for order, model in enumerate(models):
            for provider in _providers(model):
                if provider not in names:
                    raise ValueError(f"model {model.name!r}: there is no provider {provider!r}")
            resolved = _resolved(model, spelling)
            listed.append(resolved)
            self._add(order, model.name, resolved)
            for alias in model.aliases:
                self._add(order, alias, resolved)
        self._lengths = sorted({len(prefix) for prefix in self._prefixes})
        self._listed = tuple(listed)

    def _add(self, order: int, name: str, resolved: Resolved) -> None:
        if not is_glob(name):
            self._exact.setdefault(name, resolved)
        elif name.index("*") == len(name) - 1:
            self._prefixes.setdefault(name[:-1], (order, resolved))
        else:
            self._others.append((order, name, resolved))

    def resolve(self, name: str) -> Resolved:
        """Where `name` leads. Raises CallError MODEL_NOT_FOUND."""
        found = self._exact.get(name) or self._by_pattern(name)
        if found is None:
            raise unknown_model(name)
        return found

    def listed(self) -> tuple[Resolved, ...]:
        """All configured models in order, patterns included."""
        return self._listed

    def _by_pattern(self, name: str) -> Resolved | None:
        if not self._others:
            return self._by_prefix(name)[1]
        remembered = self._remembered
        if name in remembered:
            return remembered[name]
        found = self._search(name)
        if len(name) <= MAX_REMEMBERED_CHARS:
            remembered[name] = found
            if len(remembered) > MAX_REMEMBERED:
                remembered.popitem(last=False)
        return found

    def _by_prefix(self, name: str) -> tuple[int, Resolved | None]:
        """The first declared pattern `prefix*` for `name`, with its place in the declaration."""
        first, best = len(self._listed), None
        for length in self._lengths:
            if length > len(name):
                break
            found = self._prefixes.get(name[:length])
            if found is not None and found[0] < first:
                first, best = found
        return first, best

    def _search(self, name: str) -> Resolved | None:
        first, best = self._by_prefix(name)
        for order, pattern, resolved in self._others:
            if order > first:
                break
            if glob_match(pattern, name):
                return resolved
        return best


def _providers(model: ModelSpec) -> Iterator[str]:
    if model.targets:
        yield from (target.provider for target in model.targets)
    else:
        yield model.provider


def _resolved(model: ModelSpec, spelling: Mapping[str, Spell]) -> Resolved:
    first = model.targets[0] if model.targets else model
    return Resolved(
        entry=model.name,
        provider=first.provider,
        upstream_model=first.model,
        max_output_tokens=model.max_output_tokens,
        targets=places(model),
        access=Access(model.access) if model.access is not None else None,
        names=(model.name, *model.aliases),
        changes=changes_of(model),
        spell=spelling.get(first.provider),
    )


def changes_of(model: ModelSpec) -> Changes | None:
    """What configuration changes in the calls of a model; None is nothing."""
    if not (model.defaults or model.overrides or model.system):
        return None
    return Changes(defaults=model.defaults, overrides=model.overrides, system=model.system)


def unknown_model(name: str) -> CallError:
    """The refusal of a name that leads nowhere, or nowhere for this caller."""
    shown = name if len(name) <= 256 else f"{name[:256]}..."
    return CallError(
        Reason.MODEL_NOT_FOUND, f"The model `{shown}` does not exist or you do not have access to it.", param="model"
    )
