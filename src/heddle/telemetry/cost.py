"""What a call cost, from its usage and the price tables of the snapshot.

Owns matching a model name to a price and the multiplication. It refuses to guess: a model that no table knows has no
cost, which is not the same as a cost of zero.
*Source:* `model.prices`; the matching rules are those of genai-prices 0.2 (names compared in lower case, first match).
"""

import re
from collections.abc import Callable
from typing import Final

from heddle.model.call import Units, Usage
from heddle.model.prices import ModelPrice, PriceClause, PriceTable, Rate

_Matcher = Callable[[str], bool]
_Band = tuple[int, float, float, float, float, float]
"""From how many input tokens it holds, then USD per token: input, output, cache read, cache write, reasoning."""
_Price = tuple[float, tuple[_Band, ...], dict[str, float]]
"""USD per call, then bands, highest threshold first, the last one of which holds from 0; then USD per other unit."""

_MAX_CACHED: Final = 16_384
"""Above ten thousand configured models in use: looking a name up again and again costs fifteen times the call."""
_MAX_NAME_CHARS: Final = 256
_NO_UNITS: Final = Units()
_COMPACT_DATE: Final = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


class Pricer:
    """Prices of one snapshot. A known (provider, model) costs a lookup and four multiplications."""

    __slots__ = ("_found", "_tables")

    def __init__(self, tables: dict[str, PriceTable]) -> None:
        self._tables = {name: [(_matcher(model), model) for model in table.models] for name, table in tables.items()}
        self._found: dict[tuple[str, str], _Price | None] = {}

    def cost(self, provider: str, model: str, usage: Usage, characters: int = 0) -> float | None:
        """USD for `usage` of the upstream `model` at the configured `provider`, and for so many `characters` to be
        spoken; None when the price is not known."""
        key = (provider, model)
        try:
            price = self._found[key]
        except KeyError:
            price = self._find(key)
        if price is None:
            return None
        usd_per_call, bands, units = price
        size = usage.input_tokens
        for band in bands:
            if size >= band[0]:
                break
        _, input_usd, output_usd, read_usd, write_usd, reasoning_usd = band
        read, written, thought = usage.cached_input_tokens, usage.cache_write_tokens, usage.reasoning_tokens
        # Parts that exceed their whole (some providers report them so) must not turn the rest negative.
        fresh, said = max(size - read - written, 0), max(usage.output_tokens - thought, 0)
        cost = usd_per_call + fresh * input_usd + read * read_usd + written * write_usd
        cost += said * output_usd + thought * reasoning_usd
        return _with_units(cost, band, units, usage.units or _NO_UNITS, characters) if units else cost

    def most(self, provider: str, model: str, input_tokens: int, output_tokens: int) -> float | None:
        """USD that so many tokens can cost at most, however they turn out; None when the price is not known."""
        key = (provider, model)
        price = self._found[key] if key in self._found else self._find(key)
        if price is None:
            return None
        usd_per_call, bands, units = price
        if units.keys() == {"audio_s"}:
            return None
        # A character is at least a byte, and so no more of them are spoken than there are tokens at most.
        taken = max(units.get("character", 0.0), units.get("input_image", 0.0), units.get("input_audio", 0.0))
        made = max(units.get("output_image", 0.0), units.get("output_audio", 0.0))
        costs = [
            input_tokens * max(input_usd, read_usd, write_usd, taken)
            + output_tokens * max(output_usd, reasoning_usd, made)
            for start, input_usd, output_usd, read_usd, write_usd, reasoning_usd in bands
            if start <= input_tokens
        ]
        return usd_per_call + max(costs)

    def _find(self, key: tuple[str, str]) -> _Price | None:
        provider, model = key
        if len(model) > _MAX_NAME_CHARS:
            return None
        rows = self._tables.get(provider, [])
        name = model.lower()
        found = _first(rows, name) or _first(rows, _COMPACT_DATE.sub(r"-\1-\2-\3", name))
        price = _price(found) if found is not None else None
        if len(self._found) >= _MAX_CACHED:  # names may be a caller's: forget the oldest rather than grow
            del self._found[next(iter(self._found))]
        self._found[key] = price
        return price


def _first(rows: list[tuple[_Matcher, ModelPrice]], name: str) -> ModelPrice | None:
    return next((model for matches, model in rows if matches(name)), None)


def _matcher(model: ModelPrice) -> _Matcher:
    if not model.clauses:
        exact = model.model.lower()
        return lambda name: name == exact
    tests = [_test(clause) for clause in model.clauses]
    return lambda name: any(test(name) for test in tests)


def _test(clause: PriceClause) -> _Matcher:
    text = clause.text.lower()
    match clause.kind:
        case "equals":
            return lambda name: name == text
        case "starts_with":
            return lambda name: name.startswith(text)
        case "ends_with":
            return lambda name: name.endswith(text)
        case "contains":
            return lambda name: text in name
        case "regex":
            pattern = re.compile(clause.text)
            return lambda name: pattern.search(name) is not None
        case _:
            raise ValueError(f"a price clause of unknown kind {clause.kind!r}")


def _price(model: ModelPrice) -> _Price | None:
    if model.input is None and model.output is None and not model.usd_per_call and not model.units:
        return None
    rates = (
        model.input,
        model.output,
        model.cache_read or model.input,
        model.cache_write or model.input,
        model.reasoning or model.output,
    )
    starts = {0}.union(*(dict(rate.tiers) for rate in rates if rate is not None))
    bands = [_band(rates, start) for start in sorted(starts, reverse=True)]
    return model.usd_per_call, tuple(bands), model.units


def _with_units(cost: float, band: _Band, prices: dict[str, float], units: Units, characters: int) -> float | None:
    """The cost with what is no text; None when the model is priced by what nobody said."""
    _, input_usd, output_usd, *_ = band
    measured = characters * prices.get("character", 0.0) + units.audio_s * prices.get("audio_s", 0.0)
    if not (measured or input_usd or output_usd or cost):
        return None
    return (
        cost
        + measured
        + units.input_image_tokens * (prices.get("input_image", input_usd) - input_usd)
        + units.input_audio_tokens * (prices.get("input_audio", input_usd) - input_usd)
        + units.output_image_tokens * (prices.get("output_image", output_usd) - output_usd)
        + units.output_audio_tokens * (prices.get("output_audio", output_usd) - output_usd)
    )


def _band(rates: tuple[Rate | None, ...], start: int) -> _Band:
    price, output, read, write, reasoning = (_usd_per_token(rate, start) for rate in rates)
    return start, price, output, read, write, reasoning


def _usd_per_token(rate: Rate | None, start: int) -> float:
    if rate is None:
        return 0.0
    price = rate.base_usd_per_mtok
    for threshold, usd in rate.tiers:
        if start >= threshold:
            price = usd
    return price / 1_000_000
