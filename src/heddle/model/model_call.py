"""One call to a model, as every policy reads it.

A class of its own making and not a struct: policies read its fields some fifty times in each call, which is cheap
where it is compiled (ADR 17).
"""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from heddle.model.call import Target


class ModelCall:
    """One call to a model, decoded only as far as policies need; `body` stays the caller's bytes."""

    __slots__ = (
        "accepts",
        "altered",
        "attempts",
        "body",
        "characters",
        "choices",
        "content_type",
        "dialect",
        "entry",
        "include_usage",
        "input_bound",
        "max_output_tokens",
        "model",
        "operation",
        "provider",
        "stream",
        "targets",
        "upstream_model",
    )

    operation: str
    """`chat`, `completions`, `embeddings`, `count_tokens`, `speech`, `transcription`, `images`, `moderation` or
    `rerank`: the metric and span name of the call."""
    dialect: str
    """Codec that decoded it, e.g. `openai_chat`; errors are answered in it."""
    model: str
    """Model name as the caller wrote it."""
    body: bytes
    """The request body, already checked to be strict JSON without duplicate keys."""
    stream: bool
    include_usage: bool
    """The caller asked for the usage chunk of a stream (`stream_options.include_usage`)."""
    max_output_tokens: int | None
    """Upper bound of tokens the caller allows to be generated over all choices; None when unstated."""
    choices: int
    """How many completions were asked for (`n`)."""
    entry: str
    """Name of the configured model (perhaps a pattern) it resolved to; safe as a label and as a limit key."""
    provider: str
    """Name of the provider it goes to."""
    upstream_model: str
    """Model name sent to the provider."""
    targets: "tuple[Target, ...]"
    """Where it may go, in order, the first being `provider` and `upstream_model`; empty when there is one place and
    one attempt."""
    attempts: int
    """Attempts made so far, the current one included."""
    input_bound: int | None
    """Most tokens of input it can be; None is one for each byte of the body."""
    altered: bool
    """Configuration wrote parameters into the body, under the dialect's own names."""
    content_type: bytes
    """Of the body; empty is JSON."""
    accepts: bytes
    """Kinds of answers it can have; empty is JSON, or events when it is a stream."""
    characters: int
    """Of the text that is to be spoken: some models are priced by them."""

    def __init__(  # noqa: PLR0913 -- fields, given by name
        self,
        *,
        operation: str,
        dialect: str,
        model: str,
        body: bytes,
        stream: bool = False,
        include_usage: bool = False,
        max_output_tokens: int | None = None,
        choices: int = 1,
        entry: str = "",
        provider: str = "",
        upstream_model: str = "",
        targets: "tuple[Target, ...]" = (),
        attempts: int = 1,
        input_bound: int | None = None,
        altered: bool = False,
        content_type: bytes = b"",
        accepts: bytes = b"",
        characters: int = 0,
    ) -> None:
        self.operation = operation
        self.dialect = dialect
        self.model = model
        self.body = body
        self.stream = stream
        self.include_usage = include_usage
        self.max_output_tokens = max_output_tokens
        self.choices = choices
        self.entry = entry
        self.provider = provider
        self.upstream_model = upstream_model
        self.targets = targets
        self.attempts = attempts
        self.input_bound = input_bound
        self.altered = altered
        self.content_type = content_type
        self.accepts = accepts
        self.characters = characters

    def __repr__(self) -> str:
        return f"ModelCall({self.operation}, {self.model!r}, {len(self.body)} bytes)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelCall) and all(getattr(self, name) == getattr(other, name) for name in FIELDS)

    __hash__ = None  # type: ignore[assignment]

    def copy(self, **changes: Any) -> "ModelCall":
        """Another one with the same fields, but for those that are given."""
        other = ModelCall(operation=self.operation, dialect=self.dialect, model=self.model, body=self.body)
        for name in FIELDS:
            setattr(other, name, changes[name] if name in changes else getattr(self, name))
        return other

    @property
    def input_size(self) -> int:
        """Most tokens of input."""
        return len(self.body) if self.input_bound is None else self.input_bound


FIELDS: Final = (
    "operation",
    "dialect",
    "model",
    "body",
    "stream",
    "include_usage",
    "max_output_tokens",
    "choices",
    "entry",
    "provider",
    "upstream_model",
    "targets",
    "attempts",
    "input_bound",
    "altered",
    "content_type",
    "accepts",
    "characters",
)
"""What a call is made of."""
