"""What becomes of every feature at every vendor, found out by encoding a request with it and the same one without.

`docs/reference/translation.md` is made from what is found here, and the test beside it proves that the vendors'
declared rules say the same.
"""

from typing import NamedTuple

from heddle.wire.canonical.request import (
    Cache,
    ChatRequest,
    Format,
    HostedTool,
    Media,
    Message,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from heddle.wire.canonical.rules import Notes, Outcome, Rule, UntranslatableError
from heddle.wire.llm.codecs import VENDORS

MODELS: dict[str, tuple[str, ...]] = {
    "openai_chat": ("gpt-5",),
    "openai_responses": ("gpt-5",),
    "anthropic_messages": ("claude-opus-4-7", "claude-sonnet-4-5"),
    "gemini": ("gemini-3-pro", "gemini-2.5-flash"),
    "bedrock_converse": ("anthropic.claude-opus-4-7-v1:0", "amazon.nova-2-lite-v1:0", "meta.llama3-1-70b-v1:0"),
}
"""Vendor -> models, of a family each that takes some features in its own way."""

_OWN = {"openai_chat": "openai", "openai_responses": "openai", "anthropic_messages": "anthropic", "gemini": "gemini",
        "bedrock_converse": "bedrock"}  # fmt: skip
PIXEL = "iVBORw0KGgo="
SCHEMA = '{"type":"object","properties":{"mark":{"type":"string"}},"required":["mark"],"additionalProperties":false}'
TOOL = Tool(name="mark_tool", description="d", schema=SCHEMA)
CALL = ToolCall(id="call_1", name="mark_tool", arguments='{"mark":"x"}')


class Case(NamedTuple):
    """A feature: a request that has it, the same one without it, and what must be found of it where it is kept."""

    rule: Rule
    having: ChatRequest
    without: ChatRequest
    mark: str = ""
    """Text that a body which keeps it has; empty where any difference of the bodies will do."""


def _asked(*messages: Message, **fields: object) -> ChatRequest:
    return ChatRequest(model="m", messages=messages or (_user(Text(text="hello")),), **fields)  # type: ignore[arg-type]


def _user(*parts: Part, name: str = "") -> Message:
    return Message(role="user", parts=parts, name=name)


def _part(rule: Rule, part: Part, mark: str) -> Case:
    hello = Text(text="hello")
    return Case(rule, _asked(_user(hello, part)), _asked(_user(hello)), mark)


def _stated(rule: Rule, mark: str = "", **fields: object) -> Case:
    return Case(rule, _asked(**fields), _asked(), mark)


def _with_tools(rule: Rule, mark: str = "", **fields: object) -> Case:
    return Case(rule, _asked(tools=(TOOL,), **fields), _asked(tools=(TOOL,)), mark)


def _results(rule: Rule, having: ToolResult, without: ToolResult, mark: str = "") -> Case:
    def conversation(result: ToolResult) -> ChatRequest:
        turn = Message(role="assistant", parts=(CALL,))
        return _asked(_user(Text(text="hello")), turn, _user(result), tools=(TOOL,))

    return Case(rule, conversation(having), conversation(without), mark)


def cases(vendor: str) -> list[Case]:
    """One for each feature, as this vendor would have it: its own proof of thinking, say."""
    hello, said = Text(text="hello"), Text(text="result")
    thought = Thinking(text="thought", signature=f"{_OWN[vendor]}.c2lnbmVk")
    image = Media(kind="image", data=PIXEL, media_type="image/png")
    pdf = Media(kind="document", data="JVBERi0=", media_type="application/pdf", name="mark_file")
    return [
        _part(Rule.IMAGE_DATA, image, PIXEL),
        _part(Rule.IMAGE_URL, Media(kind="image", url="https://example.com/mark.png"), "example.com/mark.png"),
        _part(Rule.DOCUMENT_DATA, pdf, "JVBERi0="),
        _part(Rule.DOCUMENT_TEXT, Media(kind="document", text="mark_text", media_type="text/plain", name="n"), ""),
        _part(Rule.DOCUMENT_URL, Media(kind="document", url="https://example.com/m.pdf", media_type="application/pdf"),
              "example.com/m.pdf"),
        _part(Rule.AUDIO, Media(kind="audio", data="UklGRg==", media_type="audio/wav"), "UklGRg=="),
        _part(Rule.VIDEO, Media(kind="video", data="AAAAIGZ0", media_type="video/mp4"), "AAAAIGZ0"),
        _part(Rule.FILE_ID, Media(kind="document", file_id="mark_id"), "mark_id"),
        Case(Rule.DEVELOPER, _asked(Message(role="developer", parts=(Text(text="mark_dev"),)), _user(hello)),
             _asked(_user(hello)), "mark_dev"),
        Case(Rule.LATE_INSTRUCTIONS, _asked(_user(hello), Message(role="system", parts=(Text(text="mark_late"),))),
             _asked(_user(hello)), "mark_late"),
        Case(Rule.PARTICIPANT, _asked(_user(hello, name="mark_name")), _asked(_user(hello)), "mark_name"),
        Case(Rule.PREFILL, _asked(_user(hello), Message(role="assistant", parts=(Text(text="mark_fill"),))),
             _asked(_user(hello)), "mark_fill"),
        _stated(Rule.TOOLS, "mark_tool", tools=(TOOL,)),
        Case(Rule.TOOL_STRICT, _asked(tools=(Tool(name="mark_tool", schema=SCHEMA, strict=True),)),
             _asked(tools=(Tool(name="mark_tool", schema=SCHEMA),))),
        _stated(Rule.HOSTED_TOOLS, "web_search", hosted_tools=(HostedTool(type="web_search"),)),
        _with_tools(Rule.TOOL_CHOICE_NONE, tool_choice=ToolChoice(mode="none")),
        _with_tools(Rule.TOOL_CHOICE_REQUIRED, tool_choice=ToolChoice(mode="required")),
        _with_tools(Rule.TOOL_CHOICE_TOOL, tool_choice=ToolChoice(mode="tool", name="mark_tool")),
        _with_tools(Rule.PARALLEL_TOOLS_OFF, parallel_tools=False),
        _results(Rule.TOOL_ERROR, ToolResult(call_id="call_1", parts=(said,), is_error=True),
                 ToolResult(call_id="call_1", parts=(said,))),
        _results(Rule.TOOL_MEDIA, ToolResult(call_id="call_1", parts=(said, image)),
                 ToolResult(call_id="call_1", parts=(said,)), PIXEL),
        Case(Rule.CACHE, _asked(_user(Text(text="hello", cache=Cache()))), _asked(_user(hello))),
        Case(Rule.THINKING,
             _asked(_user(hello), Message(role="assistant", parts=(thought, Text(text="a"))), _user(hello)),
             _asked(_user(hello), Message(role="assistant", parts=(Text(text="a"),)), _user(hello))),
        _stated(Rule.TEMPERATURE, "0.125", temperature=0.125),
        _stated(Rule.TOP_P, "0.375", top_p=0.375),
        _stated(Rule.TOP_K, "37", top_k=37),
        _stated(Rule.STOP, "mark_stop", stop=("mark_stop",)),
        _stated(Rule.SEED, "4242", seed=4242),
        _stated(Rule.PRESENCE_PENALTY, "0.625", presence_penalty=0.625),
        _stated(Rule.FREQUENCY_PENALTY, "0.875", frequency_penalty=0.875),
        _stated(Rule.CHOICES, choices=2),
        _stated(Rule.FORMAT_JSON, format=Format(kind="json")),
        _stated(Rule.FORMAT_SCHEMA, "mark", format=Format(kind="schema", name="n", schema=SCHEMA, strict=True)),
        _stated(Rule.REASONING_EFFORT, reasoning=Reasoning(effort="high")),
        _stated(Rule.REASONING_BUDGET, reasoning=Reasoning(enabled=True, budget_tokens=2048)),
        _stated(Rule.REASONING_OFF, reasoning=Reasoning(enabled=False)),
        _stated(Rule.LOGPROBS, logprobs=3),
        _stated(Rule.LOGIT_BIAS, "4711", logit_bias='{"4711":1}'),
        _stated(Rule.USER, "mark_user", user="mark_user"),
        _stated(Rule.METADATA, "mark_meta", metadata='{"mark_meta":"v"}'),
        _stated(Rule.SERVICE_TIER, "priority", service_tier="priority"),
        _stated(Rule.OTHER, "modalities", other=("modalities",)),
    ]  # fmt: skip


class Found(NamedTuple):
    """What became of a feature."""

    outcome: Outcome
    body: bytes = b""
    """What was written with it; empty when it was refused."""
    plain: bytes = b""
    """What was written without it."""


def observe(vendor: str, model: str, case: Case) -> Found:
    """Encode, and read from the notes what became of the feature."""
    encode = VENDORS[vendor].encode_chat
    before, notes = Notes(), Notes()
    plain = encode(case.without, model, before)
    try:
        body = encode(case.having, model, notes)
    except UntranslatableError:
        return Found(Outcome.REFUSED)
    name = "modalities" if case.rule is Rule.OTHER else case.rule.name.lower()
    for outcome, noted in ((Outcome.DROPPED, notes.dropped), (Outcome.EMULATED, notes.emulated)):
        if name in noted:
            return Found(outcome, body, plain)
    return Found(Outcome.KEPT, body, plain)
