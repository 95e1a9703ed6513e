"""The price data shipped with the package: `prices.json`, derived from genai-prices, and how it is derived.

Owns the file's form and its derivation; `prices` reads it. It exists because importing genai-prices takes a third of a
second and start-up has a second and a half in all. It carries every dated price, so that it does not age between
releases of genai-prices. Where the price depends on the time of day, that of the dearest hours is charged, so that a
budget is not overrun.
`python -m heddle.controlplane.price_data` writes it anew; a test says when that is due.
*Source:* genai-prices 0.2 (MIT), its bundled data.
"""

import re
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import msgspec

from heddle.model.prices import PriceClause, Rate

FILE = "prices.json"

_RATES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "output_reasoning_mtok": "reasoning",
}
_UNITS = {
    "input_mchars": ("character", 1e6),
    "audio_hours": ("audio_s", 3_600),
    "input_image_mtok": ("input_image", 1e6),
    "output_image_mtok": ("output_image", 1e6),
    "input_audio_mtok": ("input_audio", 1e6),
    "output_audio_mtok": ("output_audio", 1e6),
}
"""Their unit -> ours, and how many of ours it is."""


class DatedPrice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Prices from a date on."""

    since: str = ""
    """First day (UTC, `YYYY-MM-DD`); empty is always."""
    rates: dict[str, Rate] = {}
    """By field name of `ModelPrice`."""
    usd_per_call: float = 0.0
    units: dict[str, float] = {}
    """As in `ModelPrice`."""


class PricedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a provider; the last of `prices` whose date has come holds."""

    model: str
    clauses: tuple[PriceClause, ...]
    prices: tuple[DatedPrice, ...]


class PricedProvider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider; `models` is decoded only when it is asked for."""

    url_pattern: str
    """Regular expression that its API's base URL begins with."""
    fallbacks: tuple[str, ...]
    """Providers whose models it resells, searched after its own."""
    models: msgspec.Raw


class PriceData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything, by the provider ids of genai-prices."""

    genai_prices: str
    """The version it was derived from."""
    providers: dict[str, PricedProvider]


def shipped() -> PriceData:
    """The file of this package when it is of the installed genai-prices; otherwise derived afresh (0.5 s)."""
    data = msgspec.json.decode(files(__package__).joinpath(FILE).read_bytes(), type=PriceData)
    return data if data.genai_prices == version("genai-prices") else derive()


def derive() -> PriceData:
    """Flatten what the installed genai-prices bundles."""
    from genai_prices.data import providers  # noqa: PLC0415  # only here: 316 ms and 32 MB

    return PriceData(
        genai_prices=version("genai-prices"),
        providers={
            provider.id: PricedProvider(
                url_pattern=provider.api_pattern,
                fallbacks=tuple(provider.fallback_model_providers or ()),
                models=msgspec.Raw(msgspec.json.encode([_model(model) for model in provider.models])),
            )
            for provider in providers
        },
    )


def _model(model: Any) -> PricedModel:
    prices = model.prices
    dated = (
        [_conditional(price, at) for at, price in enumerate(prices)] if isinstance(prices, list) else [_dated(prices)]
    )
    return PricedModel(model=model.id, clauses=tuple(_clauses(model.match)), prices=tuple(dated))


def _conditional(price: Any, position: int) -> DatedPrice:
    # The first price is the one that holds when no condition does, whatever its own condition. A condition without a
    # date is an interval of each day.
    day = getattr(price.constraint, "start_date", None) if position else None
    return _dated(price.prices, day.isoformat() if day is not None else "")


def _dated(prices: Any, since: str = "") -> DatedPrice:
    values = {name: value for name, value in vars(prices).items() if value is not None}
    rates = {ours: _rate(values[theirs]) for theirs, ours in _RATES.items() if theirs in values}
    units = {
        ours: float(values[theirs]) / size
        for theirs, (ours, size) in _UNITS.items()
        if theirs in values and not hasattr(values[theirs], "tiers")
    }
    per_call = float(values.get("requests_kcount", 0)) / 1000
    return DatedPrice(since=since, rates=rates, usd_per_call=per_call, units=units)


def _rate(value: Any) -> Rate:
    if not hasattr(value, "tiers"):
        return Rate(base_usd_per_mtok=float(value))
    # Theirs hold above `start`, ours from `start` on.
    tiers = tuple((tier.start + 1, float(tier.price)) for tier in value.tiers)
    return Rate(base_usd_per_mtok=float(value.base), tiers=tiers)


def _clauses(match: Any) -> list[PriceClause]:
    if hasattr(match, "or_"):
        return [clause for part in match.or_ for clause in _clauses(part)]
    if hasattr(match, "and_"):
        return [PriceClause(kind="regex", text=_pattern(match))]
    ((kind, text),) = vars(match).items()
    return [PriceClause(kind=kind, text=text if kind == "regex" else text.lower())]


def _pattern(match: Any) -> str:
    """A clause as a regular expression over the whole name, for use inside a lookahead."""
    if hasattr(match, "or_"):
        return "(?:" + "|".join(_pattern(part) for part in match.or_) + ")"
    if hasattr(match, "and_"):
        return "^" + "".join(f"(?={_pattern(part).removeprefix('^')})" for part in match.and_)
    ((kind, text),) = vars(match).items()
    if kind == "regex":
        return f"(?=(?s:.*)(?:{text}))" if not text.startswith("^") else f"(?={text[1:]})"
    quoted = re.escape(str(text).lower())
    ends = "$" if kind in {"equals", "ends_with"} else ""
    begins = ".*" if kind in {"contains", "ends_with"} else ""
    return f"{begins}{quoted}{ends}"


if __name__ == "__main__":
    from pathlib import Path

    Path(__file__).with_name(FILE).write_bytes(msgspec.json.encode(derive()) + b"\n")
