"""What is being asked, in the form every policy reads, and what it used.

Owns the canonical call values. Codecs make them, policies read them, backends answer them.
"""

import msgspec


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


class ModelCall(msgspec.Struct, kw_only=True, gc=False):
    """One call to a model, decoded only as far as policies need; `body` stays the caller's bytes."""

    operation: str
    """`chat`, `completions`, `embeddings`, `count_tokens`, `speech`, `transcription`, `images`, `moderation` or
    `rerank`: the metric and span name of the call."""
    dialect: str
    """Codec that decoded it, e.g. `openai_chat`; errors are answered in it."""
    model: str
    """Model name as the caller wrote it."""
    body: bytes
    """The request body, already checked to be strict JSON without duplicate keys."""
    stream: bool = False
    include_usage: bool = False
    """The caller asked for the usage chunk of a stream (`stream_options.include_usage`)."""
    max_output_tokens: int | None = None
    """Upper bound of tokens the caller allows to be generated over all choices; None when unstated."""
    choices: int = 1
    """How many completions were asked for (`n`)."""
    entry: str = ""
    """Name of the configured model (perhaps a pattern) it resolved to; safe as a label and as a limit key."""
    provider: str = ""
    """Name of the provider it goes to."""
    upstream_model: str = ""
    """Model name sent to the provider."""
    targets: tuple[Target, ...] = ()
    """Where it may go, in order, the first being `provider` and `upstream_model`; empty when there is one place and
    one attempt."""
    attempts: int = 1
    """Attempts made so far, the current one included."""
    input_bound: int | None = None
    """Most tokens of input it can be; None is one for each byte of the body."""
    altered: bool = False
    """Configuration wrote parameters into the body, under the dialect's own names."""
    content_type: bytes = b""
    """Of the body; empty is JSON."""
    accepts: bytes = b""
    """Kinds of answers it can have; empty is JSON, or events when it is a stream."""
    characters: int = 0
    """Of the text that is to be spoken: some models are priced by them."""

    @property
    def input_size(self) -> int:
        """Most tokens of input."""
        return len(self.body) if self.input_bound is None else self.input_bound


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
