"""Our prices are genai-prices' prices: same model found, same cost, for every provider that we name."""

import random
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from genai_prices import types
from genai_prices.data import providers

from heddle.controlplane import price_data
from heddle.controlplane.prices import _table, price_table
from heddle.model.call import Units, Usage
from heddle.telemetry.cost import Pricer

_TOKENS_ONLY = {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "output_reasoning_mtok"}
_PEAK = datetime(2026, 11, 20, 2, tzinfo=UTC)
"""Inside every interval of the day that has a price of its own."""


def _names(match: Any) -> list[str]:
    """A name that each simple clause recognises."""
    parts = getattr(match, "or_", None)
    if parts is not None:
        return [name for part in parts for name in _names(part)]
    ((kind, text),) = vars(match).items()
    if kind in {"and_", "regex"}:
        return []
    return [text, text.upper()] + ([f"{text}-zz"] if kind == "starts_with" else [])


def _usage(chance: random.Random) -> Usage:
    size = chance.choice([0, 1, 900, 127_999, 128_000, 128_001, 200_000, 200_001, 272_001, 1_000_000])
    cached, written = chance.randrange(size // 2 + 1), chance.randrange(size // 3 + 1)
    said = chance.randrange(50_000)
    return Usage(
        input_tokens=size,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=said,
        reasoning_tokens=chance.randrange(said + 1),
    )


def _theirs(model: types.ModelInfo, provider: types.Provider, usage: Usage) -> float:
    prices = model.get_prices(_PEAK)
    priced = {name for name, value in vars(prices).items() if value is not None}
    tokens: dict[str, Any] = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    if "cache_read_mtok" in priced:
        tokens["cache_read_tokens"] = usage.cached_input_tokens
    if "cache_write_mtok" in priced:
        tokens["cache_write_tokens"] = usage.cache_write_tokens
    if "output_reasoning_mtok" in priced:
        tokens["output_reasoning_tokens"] = usage.reasoning_tokens
    calculated = model.calc_price(types.Usage(**tokens), provider, genai_request_timestamp=_PEAK)
    return float(calculated.total_price)


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "google", "azure", "deepseek", "mistral", "perplexity"])
def test_costs_equal_those_of_genai_prices(vendor: str) -> None:
    provider = next(p for p in providers if p.id == vendor)
    pricer = Pricer({"x": _table((vendor,), _PEAK.date().isoformat())})
    chance = random.Random(vendor)
    compared = 0
    for listed in provider.models:
        for name in _names(listed.match):
            found = provider.find_model(name, all_providers=list(providers))
            assert found is not None
            prices = vars(found.get_prices(_PEAK))
            if not {"input_mtok", "output_mtok"} & {key for key, value in prices.items() if value is not None}:
                continue
            usage = _usage(chance)
            assert pricer.cost("x", name, usage) == pytest.approx(_theirs(found, provider, usage), rel=1e-9), name
            compared += 1
    assert compared >= 8


def test_the_comparison_covers_more_than_a_hundred_models() -> None:
    assert sum(len(p.models) for p in providers if p.id in {"openai", "anthropic", "google"}) > 100


def test_of_prices_by_the_hour_the_dearest_is_charged() -> None:
    midnight = _PEAK.replace(hour=23)
    for provider in providers:
        for model in provider.models:
            peak, off_peak = (vars(model.get_prices(at)).get("input_mtok") for at in (_PEAK, midnight))
            assert peak == off_peak or peak > off_peak, model.id


def test_a_dated_price_holds_from_its_day_on() -> None:
    before, after = (
        msgspec.to_builtins(price_table("openai", "https://openrouter.ai/api/v1", day))
        for day in ("2024-01-01", "2026-11-20")
    )
    assert before != after


def test_the_base_url_selects_the_vendor() -> None:
    assert (
        Pricer({"x": price_table("openai", "https://api.x.ai/v1")}).cost("x", "grok-3", Usage(input_tokens=1))
        is not None
    )
    assert Pricer({"x": price_table("openai")}).cost("x", "grok-3", Usage(input_tokens=1)) is None


def test_an_unknown_address_keeps_the_list_of_its_type() -> None:
    table = price_table("openai", "http://127.0.0.1:9001/v1")
    assert table == price_table("openai")
    assert Pricer({"x": table}).cost("x", "my-own-llama", Usage(input_tokens=1)) is None


def test_unknown_types_have_no_prices() -> None:
    assert price_table("carrier-pigeon", "https://api.openai.com").models == ()


def test_the_offline_model_costs_what_it_imitates() -> None:
    pricer = Pricer({"offline": price_table("scripted")})
    usage = Usage(input_tokens=1_000_000)
    assert pricer.cost("offline", "gpt-4o-mini", usage) == pytest.approx(0.15)
    assert pricer.cost("offline", "claude-3-haiku-20240307", usage) == pytest.approx(0.25)
    assert pricer.cost("offline", "scripted", usage) is None


def test_the_shipped_file_is_what_the_installed_data_derives_to() -> None:
    """When this fails after an upgrade of genai-prices: `python -m heddle.controlplane.price_data`."""
    assert msgspec.json.encode(price_data.shipped()) == msgspec.json.encode(price_data.derive())


def test_another_version_of_the_data_is_derived_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_data, "version", lambda _: "999.0")
    assert price_data.shipped().genai_prices == "999.0"


def test_importing_prices_does_not_import_the_slow_library() -> None:
    code = (
        "import sys; from heddle.controlplane.prices import price_table; "
        "assert price_table('openai').models; assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.parametrize(
    ("model", "usage", "characters", "usd"),
    [
        ("tts-1", Usage(), 1_000_000, 15),
        ("whisper-1", Usage(units=Units(audio_s=3600)), 0, 0.36),
        ("gpt-4o-transcribe", Usage(input_tokens=10**6, units=Units(input_audio_tokens=10**6)), 0, 6),
        ("gpt-image-1.5", Usage(output_tokens=10**6, units=Units(output_image_tokens=10**6)), 0, 32),
    ],
)
def test_sound_and_pictures_have_their_list_prices(model: str, usage: Usage, characters: int, usd: float) -> None:
    pricer = Pricer({"p": price_table("openai")})
    assert pricer.cost("p", model, usage, characters) == pytest.approx(usd)
