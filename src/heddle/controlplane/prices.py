"""Which prices hold for a configured provider today: a `PriceTable` for the snapshot.

Owns the choice of the price list (by provider type and base URL) and of the date. The tables hold list prices: no
discounts, no batch or priority tiers, no off-peak hours, no charges for tools such as web search.
*Source:* `price_data`; genai-prices 0.2 "find_provider" for the meaning of the URL pattern.
"""

import re
from datetime import UTC, datetime
from functools import cache

import msgspec

from heddle.controlplane.price_data import PriceData, PricedModel, shipped
from heddle.model.prices import ModelPrice, PriceTable
from heddle.providers.openai.presets import PRESETS

_BY_TYPE: dict[str, tuple[str, ...]] = {
    **{name: preset.prices for name, preset in PRESETS.items()},
    "anthropic": ("anthropic",),
    "gemini": ("google",),
    "vertex": ("google",),
    "bedrock": ("aws",),
    # The offline model imitates whatever it is asked for: the demonstration shows what the real one would cost.
    "scripted": ("openai", "anthropic", "google"),
}


def price_table(provider_type: str, base_url: str = "", today: str = "") -> PriceTable:
    """List prices of a provider, as of `today` (`YYYY-MM-DD`, UTC; empty is the current day).

    A base URL that belongs to a known vendor selects that vendor. An unknown one (a proxy, a mock, a private host)
    keeps the list of the provider's type: a model that goes by a vendor's name is priced as the vendor's. An unknown
    type has an empty table.
    """
    known = _BY_TYPE.get(provider_type, ())
    by_url = _vendor(base_url) if known and provider_type != "scripted" and base_url else ""
    return _table((by_url,) if by_url else known, today or datetime.now(UTC).date().isoformat())


@cache
def _data() -> PriceData:
    return shipped()


def _vendor(base_url: str) -> str:
    matches = (name for name, provider in _data().providers.items() if re.match(provider.url_pattern, base_url))
    return next(matches, "")


@cache
def _table(vendors: tuple[str, ...], today: str) -> PriceTable:
    providers = _data().providers
    names = [name for vendor in vendors for name in (vendor, *providers[vendor].fallbacks)]
    models = [
        _current(model, today)
        for name in dict.fromkeys(names)
        for model in msgspec.json.decode(providers[name].models, type=list[PricedModel])
    ]
    return PriceTable(models=tuple(models))


def _current(model: PricedModel, today: str) -> ModelPrice:
    holding = next((price for price in model.prices[::-1] if price.since <= today), None)
    if holding is None:
        return ModelPrice(model=model.model, clauses=model.clauses)
    return ModelPrice(
        model=model.model,
        clauses=model.clauses,
        usd_per_call=holding.usd_per_call,
        units=holding.units,
        **holding.rates,
    )
