"""What tokens cost: tables compiled offline by the control plane, read by gateways.

Owns the shape only; `telemetry.cost` multiplies, `controlplane.prices` fills it from `genai-prices`.
"""

import msgspec


class PriceClause(msgspec.Struct, frozen=True, kw_only=True):
    """How a model name is recognised."""

    kind: str
    """`equals`, `starts_with`, `ends_with`, `contains` or `regex`."""
    text: str


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Price of one kind of token, in USD per million tokens, by the size of the input."""

    base_usd_per_mtok: float
    tiers: tuple[tuple[int, float], ...] = ()
    """(input tokens from which it holds, USD per million), ascending; it holds for all tokens of the call."""


class ModelPrice(msgspec.Struct, frozen=True, kw_only=True):
    """Prices of one model; a missing rate means that such tokens are charged as input or output."""

    model: str
    clauses: tuple[PriceClause, ...] = ()
    """Any clause that holds selects this price; empty means `model` exactly."""
    input: Rate | None = None
    output: Rate | None = None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    reasoning: Rate | None = None
    usd_per_call: float = 0.0
    """Charged once for each call, besides its tokens."""
    units: dict[str, float] = {}
    """USD for one `character` of text to be spoken, one `audio_s` (second of sound), or one token of `input_image`,
    `output_image`, `input_audio` or `output_audio` instead of the price of text."""


class PriceTable(msgspec.Struct, frozen=True, kw_only=True):
    """The models of one provider; the first that matches wins."""

    models: tuple[ModelPrice, ...] = ()
