"""The offline model as a provider: its options, and which format answers what."""

from typing import Literal

import msgspec

from heddle.model.call import ModelCall
from heddle.model.provider import OptionError, Script, decode_options
from heddle.model.snapshot import ProviderSpec
from heddle.providers.scripted import (
    anthropic,
    bedrock,
    counts,
    embeddings,
    gemini,
    gemini_embeddings,
    openai_chat,
    openai_responses,
)
from heddle.providers.scripted.directives import MAX_DELAY_S, MAX_LENGTH_TOKENS
from heddle.providers.scripted.playing import Format, Pace, play

FORMATS: dict[str, Format] = {
    form.DIALECT: form for form in (openai_chat, openai_responses, anthropic, gemini, bedrock)
}
COMPANIONS = {
    openai_chat.DIALECT: frozenset((embeddings.DIALECT,)),
    openai_responses.DIALECT: frozenset((embeddings.DIALECT, "openai_responses_count")),
    anthropic.DIALECT: frozenset(("anthropic_count",)),
    gemini.DIALECT: frozenset(("gemini_count", *gemini_embeddings.DIALECTS)),
    bedrock.DIALECT: frozenset(()),
}
"""Format -> what its vendor serves besides chat."""


class Options(msgspec.Struct, kw_only=True, frozen=True):
    """Options of `type: scripted`."""

    format: Literal["openai_chat", "openai_responses", "anthropic_messages", "gemini", "bedrock_converse"] = (
        "openai_chat"
    )
    """The vendor whose wire format it speaks, errors and limits included; its embeddings and counts come with it."""
    tokens_per_s: float = 0.0
    """Pace of answers; 0 sends everything at once, 40 looks like a model at work."""
    first_token_s: float = 0.0
    """Seconds before the first token, at most 60."""
    length: int = 0
    """Tokens of every text answer, at most 4096; 0 says what there is to say."""
    dimensions: int = 1536
    """Length of embedding vectors when a call does not ask for one, 1 to 4096."""
    directives: bool = True
    """Obey `[[error 500]]` and its like in prompts. Turn it off where callers are not to be trusted with them."""


class Scripted:
    """One configured offline model. Raises OptionError."""

    __slots__ = ("_format", "_options", "_pace", "dialects", "speaks")

    def __init__(self, spec: ProviderSpec) -> None:
        options = self._options = decode_options(spec.options, Options)
        self._format = FORMATS[options.format]
        self._pace = Pace(options.first_token_s, options.tokens_per_s, options.length)
        self.dialects = COMPANIONS[options.format] | {options.format}
        self.speaks = options.format
        _within("tokens_per_s", options.tokens_per_s, 0, 1e6)
        _within("first_token_s", options.first_token_s, 0, MAX_DELAY_S)
        _within("length", options.length, 0, MAX_LENGTH_TOKENS)
        _within("dimensions", options.dimensions, 1, embeddings.MAX_DIMENSIONS)

    def __repr__(self) -> str:
        return f"Scripted({self._options})"

    def play(self, call: ModelCall, body: bytes, created_s: int) -> Script:
        """The answer to `body`, an error in the vendor's form where the vendor would give one. Never raises."""
        options = self._options
        model = call.upstream_model or call.model
        if call.dialect == self.speaks:
            return play(self._format, call, body, self._pace, options.directives, created_s)
        if call.dialect == embeddings.DIALECT:
            return embeddings.play(body, model, options.dimensions, options.directives)
        if call.operation == "embeddings":
            return gemini_embeddings.play(call, body, options.dimensions, options.directives)
        return counts.play(call, body, options.directives)


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise OptionError(f"options.{name}: expected {least:g} to {most:g}")
