"""What becomes of a feature that a vendor may not have: kept, emulated, dropped or refused, by a declared rule.

Owns the names of features and the one way to apply a vendor's rules. Every encoder has a table `RULES`; a feature
that is not in it is kept. What was dropped or emulated is noted, and the caller is told (`x-heddle-translation`);
what is refused never reaches the vendor. The reference page of translations is made from the same tables.

*Source:* the vendors' documents, named beside each `RULES`.
"""

import enum
from collections.abc import Iterator, Mapping
from itertools import compress
from operator import attrgetter

from heddle.wire.canonical.request import ChatRequest, Media, Message, Text, Thinking, ToolCall, ToolResult
from heddle.wire.errors import ProtocolError


class Outcome(enum.Enum):
    """What becomes of a feature."""

    KEPT = "kept"
    EMULATED = "emulated"
    """Reached by other means, described beside the rule; the effect may be weaker."""
    DROPPED = "dropped"
    """Left out: the answer is still an answer to what was asked."""
    REFUSED = "refused"
    """Without it the answer would be to another question."""


class Rule(enum.Enum):
    """Features, by the name that callers and the reference page see; the value says what it is."""

    IMAGE_DATA = "image as base64"
    IMAGE_URL = "image by URL"
    DOCUMENT_DATA = "document as base64"
    DOCUMENT_TEXT = "document as plain text"
    DOCUMENT_URL = "document by URL"
    AUDIO = "audio as base64"
    VIDEO = "video"
    FILE_ID = "a file kept by the vendor"
    DEVELOPER = "developer messages"
    LATE_INSTRUCTIONS = "system or developer messages after the first user message"
    PARTICIPANT = "names of participants"
    PREFILL = "an assistant message at the end, to be continued"
    TOOLS = "tool definitions"
    TOOL_STRICT = "strict tool schemas"
    HOSTED_TOOLS = "tools that the vendor runs"
    TOOL_CHOICE_NONE = "tool choice `none`"
    TOOL_CHOICE_REQUIRED = "tool choice `required`"
    TOOL_CHOICE_TOOL = "choice of one tool"
    PARALLEL_TOOLS_OFF = "parallel tool calls switched off"
    TOOL_ERROR = "tool results marked as errors"
    TOOL_MEDIA = "images and documents in tool results"
    CACHE = "prompt cache marks"
    THINKING = "thinking replayed with its signature"
    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    TOP_K = "top_k"
    STOP = "stop sequences"
    SEED = "seed"
    PRESENCE_PENALTY = "presence penalty"
    FREQUENCY_PENALTY = "frequency penalty"
    CHOICES = "more than one choice"
    FORMAT_JSON = "JSON without a schema"
    FORMAT_SCHEMA = "structured output by JSON schema"
    REASONING_EFFORT = "reasoning effort"
    REASONING_BUDGET = "a budget of thinking tokens"
    REASONING_OFF = "thinking switched off"
    LOGPROBS = "log probabilities"
    LOGIT_BIAS = "logit bias"
    USER = "the caller's name for its user"
    METADATA = "metadata"
    SERVICE_TIER = "service tier"
    OTHER = "fields without a counterpart"


Rules = Mapping[Rule, Outcome]

_KEPT = Outcome.KEPT
_SPEAKERS = ("user", "assistant")
_TEMPERATURE = (Rule.TEMPERATURE, "temperature")
_TOP_P = (Rule.TOP_P, "top_p")
_STATED = (
    (Rule.TOP_K, "top_k"),
    (Rule.SEED, "seed"),
    (Rule.PRESENCE_PENALTY, "presence_penalty"),
    (Rule.FREQUENCY_PENALTY, "frequency_penalty"),
    (Rule.LOGPROBS, "logprobs"),
)
"""Fields of `ChatRequest` that are a feature as soon as they are stated; few callers do."""
_FILLED = (
    (Rule.STOP, "stop"),
    (Rule.LOGIT_BIAS, "logit_bias"),
    (Rule.USER, "user"),
    (Rule.METADATA, "metadata"),
    (Rule.SERVICE_TIER, "service_tier"),
    (Rule.OTHER, "other"),
)
"""The same, of which the empty value is not stated."""
_NONE_STATED = (None,) * len(_STATED)
_stated = attrgetter(*[name for _, name in _STATED])
_filled = attrgetter(*[name for _, name in _FILLED])


class UntranslatableError(ProtocolError):
    """A request uses what the vendor cannot do. Another target may be able to."""


MAX_TOLD = 40
"""Names in a header: callers choose them, and clients and proxies refuse heads that are too large."""


class Notes:
    """What a translation left out or replaced; one per attempt."""

    __slots__ = ("dropped", "emulated")

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.emulated: list[str] = []

    def header(self) -> bytes:
        """For `x-heddle-translation`: `dropped=seed,top_k; emulated=format_schema`; empty when nothing happened.

        Of more names than MAX_TOLD the rest is counted: `dropped=a,b,+7`.
        """
        if not self.dropped and not self.emulated:
            return b""
        said = [
            f"{what}={','.join(names[:MAX_TOLD])}" + (f",+{len(names) - MAX_TOLD}" if len(names) > MAX_TOLD else "")
            for what, names in (("dropped", self.dropped), ("emulated", self.emulated))
            if names
        ]
        return "; ".join(said).encode()


def apply(request: ChatRequest, rules: Rules, vendor: str, notes: Notes) -> set[Rule]:
    """Judge every feature of `request`: notes what is dropped or emulated, and returns the features to leave out.

    Raises UntranslatableError for the first that is refused.
    """
    left_out: set[Rule] = set()
    for rule, param in features(request):
        outcome = rules.get(rule, _KEPT)
        if outcome is _KEPT or rule in left_out:
            continue
        if outcome is Outcome.REFUSED:
            raise UntranslatableError(f"{param}: {rule.value} cannot be carried to {vendor}.", param=param)
        names = [_clean(name) for name in request.other] if rule is Rule.OTHER else [rule.name.lower()]
        noted = notes.dropped if outcome is Outcome.DROPPED else notes.emulated
        noted += [name for name in names if name not in noted]
        if outcome is Outcome.DROPPED:
            left_out.add(rule)
    return left_out


def features(request: ChatRequest) -> list[tuple[Rule, str]]:
    """Every feature that a request uses, with the parameter to name when it is refused; some more than once.

    Every translated call comes by, and most use next to nothing: what is plain is recognised first, and passed over.
    """
    used = _of_messages(request)
    if request.tools or request.hosted_tools or request.tool_choice or request.parallel_tools is False:
        used += _of_tools(request)
    if request.temperature is not None:
        used.append(_TEMPERATURE)
    if request.top_p is not None:
        used.append(_TOP_P)
    stated = _stated(request)
    if stated != _NONE_STATED:
        used += [feature for feature, value in zip(_STATED, stated, strict=True) if value is not None]
    used += compress(_FILLED, _filled(request))
    if request.choices > 1 or request.format is not None or request.reasoning is not None:
        used += _of_wishes(request)
    return used


def _of_messages(request: ChatRequest) -> list[tuple[Rule, str]]:
    used: list[tuple[Rule, str]] = []
    spoken, late = False, 0
    for index, message in enumerate(request.messages):
        role, parts = message.role, message.parts
        if role in _SPEAKERS:
            spoken = True
        elif spoken:
            late = late or index
        plain = len(parts) == 1 and type(parts[0]) is Text and parts[0].cache is None
        if not plain or message.name or role == "developer":
            used += _of_message(message, f"messages[{index}]")
    if late:
        used.append((Rule.LATE_INSTRUCTIONS, f"messages[{late}]"))
    if request.messages and request.messages[-1].role == "assistant":
        used.append((Rule.PREFILL, f"messages[{len(request.messages) - 1}]"))
    return used


def _of_message(message: Message, at: str) -> Iterator[tuple[Rule, str]]:
    if message.role == "developer":
        yield Rule.DEVELOPER, at
    if message.name:
        yield Rule.PARTICIPANT, f"{at}.name"
    for part in message.parts:
        if isinstance(part, Media):
            yield _of_media(part), at
        elif isinstance(part, Thinking):
            yield Rule.THINKING, at
        elif isinstance(part, ToolResult):
            if part.is_error:
                yield Rule.TOOL_ERROR, at
            if any(isinstance(inner, Media) for inner in part.parts):
                yield Rule.TOOL_MEDIA, at
        if isinstance(part, (Text, Media, ToolCall, ToolResult)) and part.cache is not None:
            yield Rule.CACHE, at


_MEDIA = {
    ("image", "data"): Rule.IMAGE_DATA,
    ("image", "url"): Rule.IMAGE_URL,
    ("document", "data"): Rule.DOCUMENT_DATA,
    ("document", "url"): Rule.DOCUMENT_URL,
    ("document", "text"): Rule.DOCUMENT_TEXT,
}


def _of_media(part: Media) -> Rule:
    if part.file_id:
        return Rule.FILE_ID
    if part.kind == "audio":
        return Rule.AUDIO
    form = "data" if part.data else "url" if part.url else "text"
    return _MEDIA.get((part.kind, form), Rule.VIDEO)


def _of_tools(request: ChatRequest) -> Iterator[tuple[Rule, str]]:
    if request.tools:
        yield Rule.TOOLS, "tools"
    if request.hosted_tools:
        yield Rule.HOSTED_TOOLS, "tools"
    if any(tool.strict for tool in request.tools):
        yield Rule.TOOL_STRICT, "tools"
    if any(tool.cache is not None for tool in request.tools):
        yield Rule.CACHE, "tools"
    choice = request.tool_choice
    if choice is not None and choice.mode != "auto":
        yield Rule[f"TOOL_CHOICE_{choice.mode.upper()}"], "tool_choice"
    if request.parallel_tools is False:
        yield Rule.PARALLEL_TOOLS_OFF, "parallel_tool_calls"


def _of_wishes(request: ChatRequest) -> Iterator[tuple[Rule, str]]:
    if request.choices > 1:
        yield Rule.CHOICES, "n"
    if request.format is not None and request.format.kind != "text":
        yield Rule[f"FORMAT_{request.format.kind.upper()}"], "response_format"
    reasoning = request.reasoning
    if reasoning is not None:
        if reasoning.enabled is False or reasoning.effort == "none":
            yield Rule.REASONING_OFF, "reasoning"
        elif reasoning.budget_tokens is not None:
            yield Rule.REASONING_BUDGET, "reasoning"
        elif reasoning.effort:
            yield Rule.REASONING_EFFORT, "reasoning"


def _clean(name: str) -> str:
    """A field's name as a header can carry it: the caller chose it."""
    return "".join(letter for letter in name[:64] if letter.isascii() and (letter.isalnum() or letter in "_-.")) or "?"
