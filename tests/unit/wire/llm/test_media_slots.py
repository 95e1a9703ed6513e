"""Texts of calls for images, moderation and ranking."""

from typing import Any

from heddle.wire.llm import media_slots
from heddle.wire.llm.slots import Slot


def texts(slots: Any) -> list[tuple[str, str]]:
    return [(slot.scope, slot.holder[slot.key]) for slot in slots if isinstance(slot, Slot)]


def test_prompts_queries_and_documents_are_found():
    assert texts(media_slots.request_slots({"model": "m", "prompt": "a cat", "user": "bob"})) == [
        ("user", "a cat"),
        ("user", "bob"),
    ]
    asked = {"model": "m", "query": "who", "documents": ["one", {"text": "two"}]}
    assert sorted(texts(media_slots.request_slots(asked))) == [
        ("tool_result", "one"),
        ("tool_result", "two"),
        ("user", "who"),
    ]
    assert texts(media_slots.request_slots({"input": ["a", {"type": "text", "text": "b"}]})) == [
        ("user", "a"),
        ("user", "b"),
    ]


def test_what_answers_tell_again_is_found():
    assert texts(media_slots.answer_slots({"data": [{"b64_json": "aGk=", "revised_prompt": "a red cat"}]})) == [
        ("assistant", "a red cat")
    ]
    ranked = {"results": [{"index": 0, "relevance_score": 0.5, "document": {"text": "one"}}]}
    assert texts(media_slots.answer_slots(ranked)) == [("assistant", "one")]


def test_replacing_in_place_changes_the_body():
    asked = {"documents": ["one"], "query": "who"}
    for slot in media_slots.request_slots(asked):
        slot.holder[slot.key] = "*"
    assert asked == {"documents": ["*"], "query": "*"}


def test_steps_of_a_picture_have_no_text():
    slots = media_slots.open_slots()
    assert slots.read({"type": "image_generation.partial_image", "b64_json": "aGk="}) == ()
