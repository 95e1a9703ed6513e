"""Counting of input tokens, for the three vendors that offer it: the offline model's own counts, in their forms.

*Source:* Anthropic API reference, "Count tokens in a Message"; OpenAI API reference, "Get input token counts"; Gemini
API reference, "models.countTokens"; as of 2026-11.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from heddle.model.call import ModelCall
from heddle.model.provider import Script
from heddle.providers.scripted import anthropic, anthropic_request, gemini, gemini_request, openai_responses
from heddle.providers.scripted import openai_responses_request as responses_request
from heddle.providers.scripted.asked import Asked
from heddle.providers.scripted.playing import Format, count

_encode = msgspec.json.encode


class _Counting(NamedTuple):
    form: Format
    """Whose errors and header fields it has."""
    read: Callable[[bytes, str], Asked]
    """Of a body and the model."""
    write: Callable[[int], bytes]


_COUNTINGS = {
    "anthropic_count": _Counting(
        anthropic,
        lambda body, model: anthropic_request.read_count(body),  # noqa: ARG005
        lambda taken: _encode({"input_tokens": taken}),
    ),
    "openai_responses_count": _Counting(
        openai_responses,
        lambda body, model: responses_request.read_count(body),  # noqa: ARG005
        lambda taken: _encode({"object": "response.input_tokens", "input_tokens": taken}),
    ),
    "gemini_count": _Counting(
        gemini,
        gemini_request.read_count,
        lambda taken: _encode(
            {"totalTokens": taken, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": taken}]}
        ),
    ),
}
"""Dialect -> how it is asked and answered."""

DIALECTS = frozenset(_COUNTINGS)


def play(call: ModelCall, body: bytes, obey: bool) -> Script:
    """The answer to a request to count tokens."""
    counting = _COUNTINGS[call.dialect]
    model = call.upstream_model or call.model
    return count(counting.form, body, lambda: counting.read(body, model), counting.write, obey)
