"""Where words are in messages of MCP, and what of a message is none."""

from typing import Any

import pytest

from heddle.wire.mcp.slots import answer_slots, argument_slots, result_slots, said_slots


def found(slots: Any) -> list[tuple[str, str]]:
    """Form and value of each text."""
    return [(slot.form, slot.holder[slot.key]) for slot in slots]


def test_blocks_of_content() -> None:
    blocks = [
        {"type": "text", "text": "a"},
        {"type": "audio", "data": "bytes", "mimeType": "x"},
        {"type": "resource_link", "uri": "u", "title": "b"},
        {"type": "tool_use", "id": "i", "name": "c", "input": {"k": "v"}},
        {"type": "tool_result", "toolUseId": "i", "content": [{"type": "text", "text": "d"}]},
    ]
    assert found(result_slots({"content": blocks})) == [
        ("text", "a"), ("text", "b"), ("text", "c"), ("json", {"k": "v"}), ("text", "d"),
    ]  # fmt: skip


def test_only_what_is_said_is_shown_to_judges() -> None:
    slots = result_slots({"content": [{"type": "text", "text": "a"}, {"type": "resource_link", "name": "b"}]})
    assert [slot.unshown for slot in slots] == [False, True]


def test_the_answer_that_a_schema_speaks_of() -> None:
    text = {"type": "text", "text": "a"}

    def answers(result: Any) -> list[Any]:
        return [slot.key for slot in result_slots(result) if not slot.aside]

    assert answers({"content": [text]}) == ["text"]
    assert answers({"content": [text], "structuredContent": {}}) == ["structuredContent"]
    assert answers({"content": [text], "structuredContent": {}, "isError": True}) == []


def test_log_messages_and_pictures_both_have_data() -> None:
    assert found(said_slots({"level": "info", "data": {"a": 1}})) == [("json", {"a": 1})]
    assert found(said_slots({"level": "info", "data": "a"})) == [("text", "a")]
    assert found(said_slots({"type": "image", "data": "a"})) == []


def test_a_place_that_holds_something_else_is_searched() -> None:
    """Nothing passes unread because it bears a name that is usually no words."""
    assert found(said_slots({"uri": {"text": "a"}, "type": ["b"], "data": None})) == [("text", "a"), ("text", "b")]


def test_arguments_and_answers() -> None:
    assert found(argument_slots({"arguments": {"a": "b"}, "argument": {"name": "n"}})) == [
        ("json", {"a": "b"}), ("json", {"name": "n"}),
    ]  # fmt: skip
    filled = {"action": "accept", "content": {"email": "a"}}
    assert found(argument_slots({"inputResponses": {"q": filled}})) == [("json", {"email": "a"})]
    assert found(answer_slots(filled)) == [("json", {"email": "a"})]
    assert found(answer_slots({"role": "assistant", "content": {"type": "text", "text": "a"}})) == [("text", "a")]
    assert found(argument_slots({"new": "a", "_meta": {"own": ["b"], "progressToken": "c"}})) == [
        ("text", "a"), ("text", "b"),
    ]  # fmt: skip


@pytest.mark.parametrize("odd", [None, 7, "text", [], [{"text": "a"}]])
def test_what_is_no_object_has_no_texts(odd: Any) -> None:
    assert found(result_slots(odd)) == found(said_slots(odd)) == found(answer_slots(odd)) == []
