"""Features are found wherever they hide, and judged by the vendor's rules."""

import pytest

from heddle.wire.canonical.request import (
    Cache,
    ChatRequest,
    Format,
    HostedTool,
    Media,
    Message,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
)
from heddle.wire.canonical.rules import Notes, Outcome, Rule, UntranslatableError, apply, features

PLAIN = Message(role="user", parts=(Text(text="x"),))
IMAGE = Media(kind="image", data="aGk=", media_type="image/png")


def asked(*messages: Message, **fields: object) -> ChatRequest:
    return ChatRequest(model="m", messages=messages or (PLAIN,), **fields)  # type: ignore[arg-type]


def user(*parts: object) -> ChatRequest:
    return asked(Message(role="user", parts=parts))  # type: ignore[arg-type]


CASES = [
    (user(IMAGE), Rule.IMAGE_DATA),
    (user(Media(kind="image", url="https://x/")), Rule.IMAGE_URL),
    (user(Media(kind="image", file_id="f")), Rule.FILE_ID),
    (user(Media(kind="document", data="aGk=")), Rule.DOCUMENT_DATA),
    (user(Media(kind="document", url="https://x/")), Rule.DOCUMENT_URL),
    (user(Media(kind="document", text="t")), Rule.DOCUMENT_TEXT),
    (user(Media(kind="audio", data="aGk=")), Rule.AUDIO),
    (user(Media(kind="video", url="https://x/")), Rule.VIDEO),
    (asked(Message(role="developer", parts=(Text(text="x"),)), PLAIN), Rule.DEVELOPER),
    (asked(PLAIN, Message(role="system", parts=(Text(text="x"),))), Rule.LATE_INSTRUCTIONS),
    (asked(Message(role="user", parts=(Text(text="x"),), name="bob")), Rule.PARTICIPANT),
    (asked(PLAIN, Message(role="assistant", parts=(Text(text="x"),))), Rule.PREFILL),
    (asked(tools=(Tool(name="t"),)), Rule.TOOLS),
    (asked(tools=(Tool(name="t", strict=True),)), Rule.TOOL_STRICT),
    (asked(tools=(Tool(name="t", cache=Cache()),)), Rule.CACHE),
    (asked(hosted_tools=(HostedTool(type="web_search"),)), Rule.HOSTED_TOOLS),
    (asked(tool_choice=ToolChoice(mode="none")), Rule.TOOL_CHOICE_NONE),
    (asked(tool_choice=ToolChoice(mode="required")), Rule.TOOL_CHOICE_REQUIRED),
    (asked(tool_choice=ToolChoice(mode="tool", name="t")), Rule.TOOL_CHOICE_TOOL),
    (asked(parallel_tools=False), Rule.PARALLEL_TOOLS_OFF),
    (user(ToolResult(call_id="1", is_error=True)), Rule.TOOL_ERROR),
    (user(ToolResult(call_id="1", parts=(IMAGE,))), Rule.TOOL_MEDIA),
    (user(Text(text="x", cache=Cache())), Rule.CACHE),
    (user(Thinking(text="x")), Rule.THINKING),
    (asked(temperature=0.0), Rule.TEMPERATURE),
    (asked(top_p=1.0), Rule.TOP_P),
    (asked(top_k=1), Rule.TOP_K),
    (asked(stop=("x",)), Rule.STOP),
    (asked(seed=0), Rule.SEED),
    (asked(presence_penalty=0.0), Rule.PRESENCE_PENALTY),
    (asked(frequency_penalty=0.0), Rule.FREQUENCY_PENALTY),
    (asked(choices=2), Rule.CHOICES),
    (asked(format=Format(kind="json")), Rule.FORMAT_JSON),
    (asked(format=Format(kind="schema", schema="{}")), Rule.FORMAT_SCHEMA),
    (asked(reasoning=Reasoning(effort="low")), Rule.REASONING_EFFORT),
    (asked(reasoning=Reasoning(effort="none")), Rule.REASONING_OFF),
    (asked(reasoning=Reasoning(enabled=False)), Rule.REASONING_OFF),
    (asked(reasoning=Reasoning(budget_tokens=1024)), Rule.REASONING_BUDGET),
    (asked(logprobs=0), Rule.LOGPROBS),
    (asked(logit_bias="{}"), Rule.LOGIT_BIAS),
    (asked(user="u"), Rule.USER),
    (asked(metadata="{}"), Rule.METADATA),
    (asked(service_tier="flex"), Rule.SERVICE_TIER),
    (asked(other=("modalities",)), Rule.OTHER),
]


@pytest.mark.parametrize(("request_", "rule"), CASES, ids=lambda value: value.name if isinstance(value, Rule) else "")
def test_each_feature_is_found(request_: ChatRequest, rule: Rule):
    assert rule in {found for found, _ in features(request_)}


def test_there_is_a_case_for_every_feature():
    assert {rule for _, rule in CASES} == set(Rule)


def test_a_plain_request_uses_nothing():
    assert list(features(asked())) == []
    assert list(features(asked(tool_choice=ToolChoice(mode="auto"), format=Format(kind="text")))) == []


def test_what_is_not_in_the_rules_is_kept():
    notes = Notes()
    assert apply(asked(seed=1), {}, "V", notes) == set()
    assert notes.header() == b""


def test_dropped_and_emulated_are_noted_once():
    notes = Notes()
    rules = {Rule.SEED: Outcome.DROPPED, Rule.CACHE: Outcome.DROPPED, Rule.FORMAT_JSON: Outcome.EMULATED}
    marked = Text(text="x", cache=Cache())
    request = asked(Message(role="user", parts=(marked, marked)), seed=1, format=Format(kind="json"))
    assert apply(request, rules, "V", notes) == {Rule.SEED, Rule.CACHE}
    assert notes.header() == b"dropped=cache,seed; emulated=format_json"


def test_other_fields_are_noted_by_name_and_cannot_break_a_header():
    notes = Notes()
    apply(asked(other=("modalities", "x\r\ny: z", "ü")), {Rule.OTHER: Outcome.DROPPED}, "V", notes)
    assert notes.header() == b"dropped=modalities,xyz,?"


def test_a_refused_feature_names_its_place():
    with pytest.raises(UntranslatableError) as caught:
        apply(user(Text(text="x"), IMAGE), {Rule.IMAGE_DATA: Outcome.REFUSED}, "V", Notes())
    assert caught.value.param == "messages[0]"
    assert "V" in caught.value.detail


def test_a_header_stays_small_whatever_a_caller_states():
    notes = Notes()
    notes.dropped += [f"field{number:060}" for number in range(3_000)]
    said = notes.header()
    assert said.endswith(b",+2960")
    assert len(said) < 4_096
    notes.dropped = [f"f{number}" for number in range(40)]
    assert notes.header().endswith(b",f39")
