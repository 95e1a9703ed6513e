"""Parameters and instructions that configuration adds to a caller's body, in the caller's own dialect.

Owns where each canonical parameter stands in each dialect, and how instructions are put before the caller's own. What
does not change keeps its bytes. Instructions always come first and are the same for every call of a model, so that
vendors' prompt caches find them; where a dialect has one place for instructions they share it with the caller's.

*Source:* OpenAI API reference, "Create chat completion", "Create completion", "Create a model response"; Anthropic
API reference, "Messages"; Gemini API reference, "GenerateContentRequest"; Amazon Bedrock API reference, "Converse";
2026-11.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from heddle.model.call import ModelCall
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.bedrock.names import BOUNDS

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.encode
_UPPER = re.compile(r"[A-Z]")

INSTRUCTION_BYTES = 96
"""What a dialect writes around instructions, at most."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What configuration says of the calls of one model; names and values have been checked."""

    defaults: Mapping[str, Any] = {}
    overrides: Mapping[str, Any] = {}
    system: str = ""


class Place(NamedTuple):
    """Where a parameter stands."""

    path: tuple[str, ...]
    also: tuple[tuple[str, ...], ...] = ()
    """Further places that mean the same: what stands there is stated, and an override takes it out."""
    words: Mapping[str, str] | None = None
    """The dialect's words for canonical ones; one that is not here has no place. None says the value as it is."""


def _places(**paths: str) -> dict[str, Place]:
    return {name: Place(tuple(path.split("."))) for name, path in paths.items()}


_OPENAI = _places(
    temperature="temperature",
    top_p="top_p",
    seed="seed",
    stop="stop",
    presence_penalty="presence_penalty",
    frequency_penalty="frequency_penalty",
)
_TIERS = {"default": "default", "standard": "default", "flex": "flex", "priority": "priority"}
_EFFORTS = {name: name for name in ("low", "medium", "high", "xhigh")} | {"minimal": "low"}
_LEVELS = {name: name.upper() for name in ("minimal", "low", "medium", "high", "xhigh")}

PLACES: dict[str, dict[str, Place]] = {
    "openai_chat": {
        **_OPENAI,
        # Not OpenAI's own, but of the servers that speak its format.
        **_places(top_k="top_k", reasoning_effort="reasoning_effort", service_tier="service_tier"),
        "max_output_tokens": Place(("max_completion_tokens",), (("max_tokens",),)),
    },
    "openai_completions": {**_OPENAI, **_places(max_output_tokens="max_tokens")},
    "openai_responses": _places(
        temperature="temperature",
        top_p="top_p",
        max_output_tokens="max_output_tokens",
        reasoning_effort="reasoning.effort",
        service_tier="service_tier",
    ),
    "anthropic_messages": {
        **_places(
            temperature="temperature",
            top_p="top_p",
            top_k="top_k",
            max_output_tokens="max_tokens",
            stop="stop_sequences",
            service_tier="service_tier",
        ),
        "reasoning_effort": Place(("output_config", "effort"), words=_EFFORTS),
    },
    "gemini": {
        **_places(
            temperature="generationConfig.temperature",
            top_p="generationConfig.topP",
            top_k="generationConfig.topK",
            max_output_tokens="generationConfig.maxOutputTokens",
            seed="generationConfig.seed",
            stop="generationConfig.stopSequences",
            presence_penalty="generationConfig.presencePenalty",
            frequency_penalty="generationConfig.frequencyPenalty",
            service_tier="serviceTier",
        ),
        "reasoning_effort": Place(
            ("generationConfig", "thinkingConfig", "thinkingLevel"),
            (("generationConfig", "thinkingConfig", "thinkingBudget"),),
            _LEVELS,
        ),
    },
    "bedrock_converse": {
        **_places(
            temperature="inferenceConfig.temperature",
            top_p="inferenceConfig.topP",
            stop="inferenceConfig.stopSequences",
            top_k="additionalModelRequestFields.top_k",
        ),
        "max_output_tokens": Place(
            ("inferenceConfig", "maxTokens"), tuple(("additionalModelRequestFields", name) for name in sorted(BOUNDS))
        ),
        "reasoning_effort": Place(("outputConfig", "effort"), words=_EFFORTS),
        "service_tier": Place(("serviceTier", "type"), words=_TIERS),
    },
}
"""Dialect -> canonical parameter -> its place. A parameter that is not here has none."""


def foresee(call: ModelCall, changes: Changes) -> None:
    """Say in `call` what the changes will make of its bounds, so that limits and budgets reserve what will be sent."""
    if changes.system and call.dialect in _INSTRUCTIONS:
        # The older completions have a prompt, and so instructions, for at least every choice.
        times = max(1, call.choices) if call.dialect == "openai_completions" else 1
        call.input_bound = len(call.body) + (len(_encode(changes.system)) + INSTRUCTION_BYTES) * times
    if "max_output_tokens" not in PLACES.get(call.dialect, {}):
        return
    forced, usual = changes.overrides.get("max_output_tokens"), changes.defaults.get("max_output_tokens")
    choices = max(1, call.choices)
    if forced is not None:
        call.max_output_tokens = forced * choices
    elif usual is not None and call.max_output_tokens is None:
        call.max_output_tokens = usual * choices


def change(body: bytes, dialect: str, changes: Changes) -> tuple[bytes, list[str]]:
    """`body`, which `dialect` has decoded before, with the changes; and the parameters that it has no place for.

    Raises ProtocolError for a body in which a place is taken by something else.
    """
    places, instruct = PLACES.get(dialect), _INSTRUCTIONS.get(dialect)
    if places is None and instruct is None:
        return body, []
    whole = _Object(_read(body, "The request body"), _spellings if dialect.startswith("gemini") else None)
    missing: list[str] = []
    if places is not None:
        given = {name: (value, False) for name, value in changes.defaults.items()}
        given |= {name: (value, True) for name, value in changes.overrides.items()}
        missing = [name for name, one in given.items() if not _set(whole, places.get(name), *one)]
    if changes.system and instruct is not None:
        instruct(whole, changes.system)
    return bytes(whole.encoded()), missing


class _Object:
    """An object whose fields are found in each spelling that the dialect takes, and written as they were found."""

    __slots__ = ("_fields", "_inner", "_spell")

    def __init__(self, fields: dict[str, msgspec.Raw], spell: Callable[[str], tuple[str, ...]] | None) -> None:
        self._fields = fields
        self._spell = spell
        self._inner: dict[str, _Object] = {}

    def _known(self, name: str) -> str:
        """The name of a stated field; empty when it is not stated. Null states nothing."""
        for one in self._spell(name) if self._spell is not None else (name,):
            if one in self._inner or (one in self._fields and not _is_null(self._fields[one])):
                return one
        return ""

    def has(self, path: tuple[str, ...]) -> bool:
        """Whether something stands there."""
        name = self._known(path[0])
        if not name or len(path) == 1:
            return bool(name)
        return self.inside(path[0]).has(path[1:])

    def take_out(self, path: tuple[str, ...]) -> None:
        """Nothing stands there any more."""
        if self.has(path):
            if len(path) == 1:
                del self._fields[self._known(path[0])]
            else:
                self.inside(path[0]).take_out(path[1:])

    def put(self, path: tuple[str, ...], value: Any) -> None:
        """`value`, or Raw, stands there."""
        if len(path) > 1:
            self.inside(path[0]).put(path[1:], value)
            return
        name = self._known(path[0]) or path[0]
        self._fields[name] = value if isinstance(value, msgspec.Raw) else msgspec.Raw(_encode(value))

    def get(self, name: str) -> msgspec.Raw | None:
        """What stands under a name here; None when nothing does."""
        known = self._known(name)
        return self._fields[known] if known else None

    def inside(self, name: str) -> "_Object":
        """The object under a name, made when there is none. Raises ProtocolError when something else is there."""
        known = self._known(name) or name
        inner = self._inner.get(known)
        if inner is None:
            given = self.get(name)
            inner = self._inner[known] = _Object(_read(given, known) if given is not None else {}, self._spell)
        return inner

    def encoded(self) -> msgspec.Raw:
        """The JSON text."""
        for name, inner in self._inner.items():
            if inner._fields or name in self._fields:
                self._fields[name] = inner.encoded()
        return msgspec.Raw(_encode(self._fields))


def _set(whole: _Object, place: Place | None, value: Any, force: bool) -> bool:
    """Put a parameter at its place unless something is stated there; False when there is no place for it."""
    if place is None or (place.words is not None and value not in place.words):
        return False
    stated = any(whole.has(path) for path in (place.path, *place.also))
    if force or not stated:
        for path in place.also:
            whole.take_out(path)
        whole.put(place.path, value if place.words is None else place.words[value])
    return True


def _in_messages(whole: _Object, system: str) -> None:
    """One system message in front, for templates of models that know no second one: the caller's first, if it leads."""
    messages = _list(whole.get("messages"), "messages")
    first = _read(messages[0], "messages[0]") if messages else {}
    if _value(first.get("role")) in ("system", "developer"):
        first["content"] = _before(
            first.get("content"), system, {"type": "text", "text": system}, "messages[0].content"
        )
        messages[0] = msgspec.Raw(_encode(first))
    else:
        messages.insert(0, msgspec.Raw(_encode({"role": "system", "content": system})))
    whole.put(("messages",), messages)


def _in_system(whole: _Object, system: str) -> None:
    whole.put(("system",), _before(whole.get("system"), system, {"type": "text", "text": system}, "system"))


def _in_instructions(whole: _Object, system: str) -> None:
    whole.put(("instructions",), _before(whole.get("instructions"), system, None, "instructions"))


def _in_blocks(whole: _Object, system: str) -> None:
    blocks = _list(whole.get("system"), "system")
    whole.put(("system",), [{"text": system}, *blocks])


def _in_contents(whole: _Object, system: str) -> None:
    content = whole.inside("systemInstruction")
    given = content.get("parts")
    # One part may stand where a list is expected.
    parts = _list(given, "parts") if given is None or _first(given) == b"[" else [given]
    content.put(("parts",), [{"text": system}, *parts])


def _in_counted(whole: _Object, system: str) -> None:
    """Only a whole request has a place for instructions; contents alone have none."""
    if whole.has(("generateContentRequest",)):
        _in_contents(whole.inside("generateContentRequest"), system)


def _in_prompt(whole: _Object, system: str) -> None:
    """A prompt is text or a list of texts; lists of token numbers cannot be begun with text."""
    prompt = _value(whole.get("prompt"))
    if isinstance(prompt, str):
        whole.put(("prompt",), f"{system}\n\n{prompt}")
    elif isinstance(prompt, list) and prompt and all(isinstance(one, str) for one in prompt):
        whole.put(("prompt",), [f"{system}\n\n{one}" for one in prompt])
    else:
        raise ProtocolError("prompt: this model takes text, because instructions stand before it.", param="prompt")


_INSTRUCTIONS: dict[str, Callable[[_Object, str], None]] = {
    "openai_chat": _in_messages,
    "openai_completions": _in_prompt,
    "openai_responses": _in_instructions,
    "openai_responses_count": _in_instructions,
    "anthropic_messages": _in_system,
    "anthropic_count": _in_system,
    "gemini": _in_contents,
    "gemini_count": _in_counted,
    "bedrock_converse": _in_blocks,
}
"""Dialect -> how instructions are put before those of the caller."""


def _before(given: msgspec.Raw | None, system: str, part: dict[str, str] | None, at: str) -> msgspec.Raw:
    """Instructions before text, or, as a part, before a list of parts where there may be one."""
    if given is None or _is_null(given):
        return msgspec.Raw(_encode(system))
    if _first(given) == b"[" and part is not None:
        return msgspec.Raw(_encode([part, *_list(given, at)]))
    text = _value(given)
    if not isinstance(text, str):
        raise ProtocolError(f"{at}: expected text.", param=at)
    return msgspec.Raw(_encode(f"{system}\n\n{text}" if text else system))


def _read(raw: bytes | msgspec.Raw, at: str) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError(f"{at}: expected an object.", param=at if at.isidentifier() else None) from exc


def _list(raw: msgspec.Raw | None, at: str) -> list[msgspec.Raw]:
    if raw is None:
        return []
    try:
        return msgspec.json.decode(raw, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError(f"{at}: expected a list.", param=at) from exc


def _value(raw: msgspec.Raw | None) -> Any:
    """A value that may be anything; None for one that cannot be held."""
    try:
        return None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_null(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:5]) == b"null"


def _first(raw: msgspec.Raw) -> bytes:
    return bytes(memoryview(raw)[:1])


def _spellings(name: str) -> tuple[str, ...]:
    """Both spellings of protobuf's JSON."""
    return name, _UPPER.sub(lambda found: f"_{found[0].lower()}", name)
