"""What calls to a model used lately, for limits that must guess.

Learned by one worker, from whole and undisputed answers only; who asks decides what a guess is good for.
*Source:* RFC 6298 section 2, for the form of the moving averages and deviations.
"""

from heddle.model.call import Usage

FIRST_OUTPUT_TOKENS = 512.0
"""Estimated output of a model that nobody has called yet."""
FIRST_TOKENS_PER_BYTE = 1.0


class Estimates:
    """Moving averages and deviations of the calls to one model."""

    __slots__ = ("_deviation", "_mean", "_ratio", "_ratio_deviation", "_seen")

    def __init__(self) -> None:
        self._mean, self._deviation = FIRST_OUTPUT_TOKENS, 0.0
        self._ratio, self._ratio_deviation = FIRST_TOKENS_PER_BYTE, 0.0
        self._seen = False

    def output_tokens(self) -> int:
        """For one choice: the average and two deviations."""
        return int(self._mean + 2 * self._deviation) + 1

    def input_tokens(self, size: int) -> int:
        """For a body of `size` bytes; never more than one token per byte."""
        return min(size, int(size * (self._ratio + 2 * self._ratio_deviation)) + 1)

    def learn(self, usage: Usage, size: int, choices: int) -> None:
        """Take one call into account."""
        output, ratio = usage.output_tokens / choices, usage.input_tokens / max(1, size)
        if not self._seen:
            self._seen = True
            self._mean, self._deviation = output, output / 2
            self._ratio, self._ratio_deviation = ratio, ratio / 2
            return
        self._deviation += (abs(output - self._mean) - self._deviation) / 4
        self._mean += (output - self._mean) / 8
        self._ratio_deviation += (abs(ratio - self._ratio) - self._ratio_deviation) / 4
        self._ratio += (ratio - self._ratio) / 8
