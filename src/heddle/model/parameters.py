"""The parameters that configuration may set for a model's calls, by one name for all dialects, and what each takes.

Owns names, types and bounds. Where each stands in a dialect's body is in `wire.llm.parameters`.

*Source:* the API references of OpenAI, Anthropic, Gemini and Bedrock for the widest bounds that one of them has,
2026-11. A narrower bound of the model itself is its vendor's to say.
"""

from collections.abc import Callable

MAX_OUTPUT_TOKENS = 2**31 - 1
MAX_STOPS = 16
MAX_STOP_CHARS = 1_024
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")


def _number(least: float, most: float) -> tuple[Callable[[object], bool], str]:
    def holds(value: object) -> bool:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return False
        return least <= value <= most

    return holds, f"a number from {least:g} to {most:g}"


def _whole(least: int, most: int) -> tuple[Callable[[object], bool], str]:
    def holds(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return holds, f"an integer from {least} to {most}"


def _stops(value: object) -> bool:
    """Always a list: dialects that take a single string take a list too."""
    if not isinstance(value, (list, tuple)):
        return False
    return 1 <= len(value) <= MAX_STOPS and all(
        isinstance(one, str) and 1 <= len(one) <= MAX_STOP_CHARS for one in value
    )


def _tier(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 64 and value.isascii() and value.isprintable()


PARAMETERS: dict[str, tuple[Callable[[object], bool], str]] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "top_k": _whole(1, 1_000_000),
    "max_output_tokens": _whole(1, MAX_OUTPUT_TOKENS),
    "seed": _whole(-(2**63), 2**63 - 1),
    "stop": (_stops, f"a list of 1 to {MAX_STOPS} texts of 1 to {MAX_STOP_CHARS} characters"),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "reasoning_effort": (
        lambda value: isinstance(value, str) and value in EFFORTS,
        f"one of {', '.join(EFFORTS)}",
    ),
    "service_tier": (_tier, "a word of 1 to 64 printable ASCII characters"),
}
"""Name -> whether a value can be used, and what is expected of it."""
