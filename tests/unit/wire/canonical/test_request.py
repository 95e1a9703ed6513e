"""The canonical request: merging of turns, and names for results of tools."""

import time

from heddle.wire.canonical.request import Message, Text, ToolCall, ToolResult, instructions, turns, with_names

SAID = (
    Message(role="system", parts=(Text(text="be brief"),)),
    Message(role="user", parts=(Text(text="a"),)),
    Message(role="user", parts=(Text(text="b"),)),
    Message(role="developer", parts=(Text(text="and kind"),)),
    Message(role="assistant", parts=(ToolCall(id="1", name="look"),)),
    Message(role="user", parts=(ToolResult(call_id="1"), ToolResult(call_id="2", name="given"))),
)


def test_turns_merge_neighbours_across_instructions():
    merged = turns(SAID)
    assert [message.role for message in merged] == ["user", "assistant", "user"]
    assert merged[0].parts == (Text(text="a"), Text(text="b"))


def test_instructions_keep_their_order():
    assert instructions(SAID) == [Text(text="be brief"), Text(text="and kind")]


def test_results_get_the_name_of_their_call():
    results = with_names(SAID)[-1].parts
    assert [part.name for part in results if isinstance(part, ToolResult)] == ["look", "given"]


def test_a_result_without_a_call_has_no_name():
    (message,) = with_names((Message(role="user", parts=(ToolResult(call_id="x"),)),))
    assert message.parts == (ToolResult(call_id="x"),)


def test_any_number_of_neighbours_is_merged_in_little_time():
    many = tuple(Message(role="user", parts=(Text(text=str(number)),)) for number in range(100_000))
    began_s = time.process_time()
    (merged,) = turns(many)
    # Adding them up one after the other would take half a minute.
    assert time.process_time() - began_s < 2.0
    assert len(merged.parts) == 100_000
    assert merged.parts[-1] == Text(text="99999")


def test_neighbours_that_say_nothing_change_nothing():
    nothing, something = Message(role="user", parts=()), Message(role="user", parts=(Text(text="a"),))
    for given in ((nothing, something), (something, nothing), (nothing, nothing, something, nothing)):
        assert turns(given) == [something]
    assert turns((nothing, nothing)) == [nothing]
