"""What is being asked, in the form every policy reads, and what it used.

Owns the canonical call values. Codecs make them, policies read them, backends answer them.
"""

import msgspec

from heddle.model.model_call import ModelCall

__all__ = ["Heard", "ModelCall", "Target", "Units", "Usage"]


class Target(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One place a call can go to."""

    provider: str
    model: str
    """Name sent to the provider."""
    first_token_s: float = 0.0
    """Longest wait for the first token of a stream; 0 is no bound of its own."""

    @property
    def key(self) -> tuple[str, str]:
        """What its health is remembered under."""
        return self.provider, self.model


class Heard(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What an answer says, as far as it could be read. The provider's words: clip before they are kept."""

    model: str = ""
    """The model that answered, by its provider's name."""
    id: str = ""
    finish_reasons: tuple[str, ...] = ()
    """Of the choices that ended, in the order they did."""
    text: str = ""
    """What was generated, all choices together."""


class Units(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was used besides plain text, as far as the provider says it. Tokens here are among those of the `Usage`."""

    audio_s: float = 0.0
    """Seconds of sound that were heard."""
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Tokens of one call. Input includes cached tokens; output includes reasoning tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """True when the provider never said (a stream that broke): counted from what was seen."""
    units: Units | None = None
    """None where all of it is text."""

    @property
    def total_tokens(self) -> int:
        """Input plus output, the number that token limits count."""
        return self.input_tokens + self.output_tokens
