"""How much a call will use when nothing bounds it: learned from the calls to the same model.

Owns moving averages and deviations (the form of RFC 6298, section 2), for each model and worker. They can be pushed by
callers of the same model, so they are used only where no bound is known or where the configuration asks for them.
*Source:* RFC 6298, "Computing TCP's Retransmission Timer".
"""

from typing import Final

from heddle.model.call import Usage

FIRST_OUTPUT_TOKENS: Final = 512.0
"""Of one choice, for a model that nobody has called yet."""


class _Average:
    """A moving average with its deviation."""

    __slots__ = ("_deviation", "_mean", "_seen")

    def __init__(self, first: float) -> None:
        self._mean, self._deviation, self._seen = first, 0.0, False

    def learn(self, value: float) -> None:
        if not self._seen:
            self._mean, self._deviation, self._seen = value, value / 2, True
            return
        self._deviation += (abs(value - self._mean) - self._deviation) / 4
        self._mean += (value - self._mean) / 8

    @property
    def likely_most(self) -> float:
        return self._mean + 2 * self._deviation


class Estimate:
    """What calls to one model used lately."""

    __slots__ = ("_output", "_per_byte")

    def __init__(self) -> None:
        self._output = _Average(FIRST_OUTPUT_TOKENS)
        self._per_byte = _Average(1.0)

    def output_tokens(self, choices: int) -> int:
        """For so many choices."""
        return (int(self._output.likely_most) + 1) * max(1, choices)

    def input_tokens(self, size: int) -> int:
        """For a body of `size` bytes; never more than one token per byte."""
        return min(size, int(size * self._per_byte.likely_most) + 1)

    def learn(self, usage: Usage, size: int, choices: int) -> None:
        """Take one call into account."""
        self._output.learn(usage.output_tokens / max(1, choices))
        self._per_byte.learn(usage.input_tokens / max(1, size))
