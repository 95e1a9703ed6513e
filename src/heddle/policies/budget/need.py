"""How much of a budget a call may need: in tokens and in nano-dollars, at most and at least.

Owns the bounds. A token is at least one byte of text, so the body bounds the input; the output is bounded by what the
caller states and by the model's `max_output_tokens`. Where neither is known it is a guess, which a stream may outgrow.
Of a call that may go to several places, the dearest counts.
"""

from collections.abc import Callable
from math import ceil
from typing import NamedTuple

from heddle.drivers.ledger import NANO
from heddle.model.call import ModelCall, Usage
from heddle.traffic.estimate import Estimate

Most = Callable[[str, str, int, int], float | None]
"""(provider, upstream model, input tokens, output tokens) -> most US dollars, None without a price."""


class Amount(NamedTuple):
    """What to reserve of one budget."""

    most: int
    least: int
    """Accept as little as this; 0: no less than `most`."""


class Need:
    """What one call may use."""

    __slots__ = ("_call", "_floor", "_most", "guessed", "input_tokens", "output_tokens")

    def __init__(self, call: ModelCall, most: Most, estimate: Estimate, known: int, guess: bool) -> None:
        """`known` is the model's bound of one choice, 0 without; `guess` prefers what was learned over bounds."""
        self._call, self._most = call, most
        size, choices = call.input_size or 1, max(1, call.choices)
        stated = call.max_output_tokens if call.max_output_tokens is None else max(0, call.max_output_tokens)
        bounds = [bound for bound in (stated, known * choices or None) if bound is not None]
        self.input_tokens = estimate.input_tokens(size) if guess else size
        self.guessed = (guess or not bounds) and call.operation != "embeddings"
        if call.operation == "embeddings":
            self.output_tokens = 0
        elif self.guessed:
            self.output_tokens = min([*bounds, estimate.output_tokens(choices)])
        else:
            self.output_tokens = min(bounds)
        self._floor = min(1, self.output_tokens)

    @property
    def usage(self) -> Usage:
        """What is taken to have been used when nobody says it: all of it."""
        return Usage(input_tokens=self.input_tokens, output_tokens=self.output_tokens, estimated=True)

    def tokens(self) -> Amount:
        """Of a budget of tokens."""
        total = self.input_tokens + self.output_tokens
        return Amount(max(1, total), max(1, self.input_tokens + self._floor) if self.guessed else 0)

    def money(self) -> Amount | None:
        """Of a budget of money, in nano-dollars; None when some place it may go to has no known price."""
        most, least = 0, 0
        for provider, model in self._places():
            dearest = self._price(provider, model, self.output_tokens)
            if dearest is None:
                return None
            most = max(most, dearest)
            least = max(least, self._price(provider, model, self._floor) or 0)
        return Amount(most, least if self.guessed else 0)

    def _price(self, provider: str, model: str, output_tokens: int) -> int | None:
        usd = self._most(provider, model, self.input_tokens, output_tokens)
        # What floats add behind the sixth place of a nano-dollar is no money.
        return None if usd is None else ceil(round(usd * NANO, 6))

    def _places(self) -> list[tuple[str, str]]:
        call = self._call
        return [(one.provider, one.model) for one in call.targets] or [(call.provider, call.upstream_model)]

    def room(self, unit: str, granted: int) -> int:
        """Tokens of output, of those that were asked for, that so much of a budget has room for."""
        if unit == "tokens":
            return max(0, min(self.output_tokens, granted - self.input_tokens))
        price = self.output_price()
        prices = [self._price(provider, model, 0) or 0 for provider, model in self._places()]
        return max(0, min(self.output_tokens, int((granted - max(prices)) / price))) if price else self.output_tokens

    def output_price(self) -> float:
        """Nano-dollars of one more token of output, at the dearest place; 0 when it is not known."""
        prices = [
            (self._most(provider, model, 0, 1_000_000) or 0.0) - (self._most(provider, model, 0, 0) or 0.0)
            for provider, model in self._places()
        ]
        return max(prices) * NANO / 1_000_000
