"""From a model's name, as a caller wrote it, to the configured model and provider.

Owns the order of precedence: an exact name first, then patterns as declared. `*` stands for any run of
characters. Cost does not grow with the number of patterns of the usual form `prefix*`: they are looked up
by the prefixes of the name. Other patterns are compared one by one and remembered, within a bound.
"""

from collections import OrderedDict

import msgspec

from heddle.model.match import glob_match, is_glob
from heddle.model.snapshot import ModelSpec, ProviderSpec
from heddle.pipeline.errors import CallError, Reason

MAX_REMEMBERED = 4096
"""Names resolved by pattern that are kept, oldest out first: callers choose them, so they must not pile up."""
MAX_REMEMBERED_CHARS = 128
"""Longer names are searched for each time."""


class Resolved(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a name leads."""

    entry: str
    """Name of the configured model, perhaps a pattern; a label and a limit key."""
    provider: str
    upstream_model: str = ""
    """Name to send instead of the caller's; empty keeps it."""
    max_output_tokens: int = 0
    """Most tokens the model can generate in one choice; 0 means unknown."""


class ModelTable:
    """The models of one snapshot, indexed. Raises ValueError when a model names a provider that is not there."""

    __slots__ = ("_exact", "_lengths", "_listed", "_others", "_prefixes", "_remembered")

    def __init__(self, models: tuple[ModelSpec, ...], providers: tuple[ProviderSpec, ...]) -> None:
        self._exact: dict[str, Resolved] = {}
        self._prefixes: dict[str, tuple[int, Resolved]] = {}
        self._others: list[tuple[int, str, Resolved]] = []
        self._remembered: OrderedDict[str, Resolved | None] = OrderedDict()
        names = {provider.name for provider in providers}
        if not models and len(providers) == 1:
            models = (ModelSpec(name="*", provider=providers[0].name),)
        for order, model in enumerate(models):
            if model.provider not in names:
                raise ValueError(f"model {model.name!r}: there is no provider {model.provider!r}")
            self._add(order, model)
        self._lengths = sorted({len(prefix) for prefix in self._prefixes})
        self._listed = tuple(_resolved(model) for model in models)

    def _add(self, order: int, model: ModelSpec) -> None:
        name, resolved = model.name, _resolved(model)
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
            raise CallError(
                Reason.MODEL_NOT_FOUND,
                f"The model `{name}` does not exist or you do not have access to it.",
                param="model",
            )
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


def _resolved(model: ModelSpec) -> Resolved:
    return Resolved(
        entry=model.name,
        provider=model.provider,
        upstream_model=model.model,
        max_output_tokens=model.max_output_tokens,
    )
