"""Answers in this dialect beyond what the SDK checks: the echo of the request, ids, proofs, names of tools, ends."""

import json

import pytest
from tests.unit.wire.llm.openai_responses.said import (
    CALL,
    CREATED,
    OTHER_CALL,
    THOUGHT,
    USAGE,
    answer,
    call,
    events,
    request,
)

from heddle.model.call import ModelCall
from heddle.wire.canonical.answer import (
    Began,
    ChatAnswer,
    Choice,
    ChoiceEnded,
    Ended,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.canonical.request import Refusal, Text, Thinking, ToolCall
from heddle.wire.llm.openai_responses import codec, dialect


def whole(given: ChatAnswer, asked: ModelCall | None = None) -> dict:
    return json.loads(dialect.encode_answer(given, asked or call(), CREATED))


def streamed(given: list, asked: ModelCall | None = None) -> list[dict]:
    encoder = dialect.open_encoder(asked or call(), CREATED)
    data = b"".join(encoder.encode(event) for event in given)
    said = []
    for frame in data.decode().split("\n\n")[:-1]:
        head, body = frame.split("\n")
        event = json.loads(body.removeprefix("data: "))
        assert head == f"event: {event['type']}"
        said.append(event)
    assert [event["sequence_number"] for event in said] == list(range(len(said)))
    return said


def test_the_request_is_repeated_byte_for_byte_and_nothing_is_stored():
    body = (
        b'{"model":"m","input":"x","store":true,"temperature":1.0,"tools":[ {"type":"web_search", "x":1e999} ],'
        b'"tool_choice":null,"metadata":{"a":"\\u00e9"},"instructions":"i"}'
    )
    data = dialect.encode_answer(answer(Text(text="x")), codec.decode_request(body), CREATED)
    assert b'"temperature":1.0' in data
    assert b'"tools":[ {"type":"web_search", "x":1e999} ]' in data
    assert b'"metadata":{"a":"\\u00e9"}' in data
    said = json.loads(data)
    assert (said["store"], said["tool_choice"], said["instructions"]) == (False, "auto", "i")
    assert (said["created_at"], said["object"], said["background"], said["error"]) == (CREATED, "response", False, None)


def test_an_absent_model_is_the_one_asked_for():
    assert whole(ChatAnswer(id="a", model="", choices=(Choice(),)))["model"] == "m"


@pytest.mark.parametrize("ident", ["", "msg_01AB", "resp_" + "f" * 48, "x" * 500, "chatcmpl-é/..", "resp_", "--"])
def test_ids_are_unique_and_such_that_the_api_takes_them_back(ident):
    parts = (THOUGHT, Text(text="a"), Text(text="b"), CALL)
    said = whole(ChatAnswer(id=ident, model="", choices=(Choice(parts=parts),)))
    ids = [item["id"] for item in said["output"]]
    assert len(set(ids)) == 4
    assert [one.split("_")[0] for one in ids] == ["rs", "msg", "msg", "fc"]
    assert all(len(one) <= 64 and one.isascii() for one in ids)
    assert said["id"].startswith("resp_")
    assert len(said["id"]) > len("resp_")
    assert said["id"] == ident or not ident.startswith("resp_f")


def test_answers_without_an_id_get_different_ones():
    nameless = ChatAnswer(id="", model="", choices=(Choice(),))
    said = {json.loads(dialect.encode_answer(nameless, asked, CREATED))["id"] for asked in (call(), call(user="u"))}
    assert len(said) == 2


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        ("stop", "completed", None),
        ("stop_sequence", "completed", None),
        ("tool_use", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("refusal", "incomplete", "content_filter"),
        ("pause", "incomplete", None),
    ],
)
def test_ends(stop, status, reason):
    given = answer(Text(text="x"), stop=stop)
    details = None if status == "completed" else {"reason": reason}
    said = whole(given)
    assert (said["status"], said["incomplete_details"]) == (status, details)
    last = streamed(events(given))[-1]
    assert (last["type"], last["response"]["incomplete_details"]) == (f"response.{status}", details)


def test_a_refusal_in_words_is_a_complete_answer():
    given = answer(Refusal(text="No."), stop="refusal")
    assert whole(given)["status"] == "completed"
    assert streamed(events(given))[-1]["type"] == "response.completed"


def test_proofs_leave_whole_and_with_their_vendor():
    given = answer(THOUGHT, Thinking(redacted="bedrock.eA=="), OTHER_CALL)
    sealed = [item.get("encrypted_content") for item in whole(given)["output"]]
    assert sealed == ["anthropic.c2ln", "redacted.bedrock.eA==", None, "call.call_2|gemini.cHJvb2Y="]
    assert [item.get("encrypted_content") for item in streamed(events(given))[-1]["response"]["output"]] == sealed


def test_what_says_nothing_is_no_item():
    given = answer(Text(text=""), Thinking(), Refusal(text=""), CALL)
    assert [item["type"] for item in whole(given)["output"]] == ["function_call"]
    assert [item["type"] for item in streamed(events(given))[-1]["response"]["output"]] == ["function_call"]


def test_a_call_without_arguments_has_none():
    given = answer(ToolCall(id="1", name="look", arguments=""))
    for said in (whole(given), streamed(events(given))[-1]["response"]):
        assert said["output"][0]["arguments"] == "{}"
    deltas = [event["delta"] for event in streamed(events(given)) if event["type"].endswith("arguments.delta")]
    assert deltas == ["{}"]


TOOLS = [
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "find"}]},
    {"type": "function", "name": "look"},
    {"type": "web_search"},
]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input": "a\\nb"}', "a\nb"),
        ("{}", ""),
        ("not json", "not json"),
        ('{"input":"a","b":1}', '{"input":"a","b":1}'),
    ],
)
def test_a_call_of_a_custom_tool_is_one_again(arguments, text):
    asked = codec.decode_request(request(tools=TOOLS))
    given = answer(ToolCall(id="1", name="patch", arguments=arguments))
    (item,) = whole(given, asked)["output"]
    assert (item["type"], item["name"], item["input"], item["call_id"]) == ("custom_tool_call", "patch", text, "1")
    assert item["id"].startswith("ctc_")
    said = streamed(events(given), asked)
    assert said[-1]["response"]["output"] == [item]
    assert [event["type"] for event in said[2:-1]] == [
        "response.output_item.added",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
    ]
    assert (said[3]["delta"], said[4]["input"]) == (text, text)


def test_a_call_of_a_tool_declared_in_the_input():
    more = {"type": "additional_tools", "role": "developer", "tools": TOOLS[:1]}
    asked = codec.decode_request(request(input=[{"role": "user", "content": "x"}, more]))
    (item,) = whole(answer(ToolCall(id="1", name="patch", arguments='{"input":"x"}')), asked)["output"]
    assert (item["type"], item["input"]) == ("custom_tool_call", "x")


def test_a_call_in_a_namespace_is_one_again():
    asked = codec.decode_request(request(tools=TOOLS))
    given = answer(ToolCall(id="1", name="crm__find"), ToolCall(id="2", name="look"))
    for said in (whole(given, asked), streamed(events(given), asked)[-1]["response"]):
        named = [(item["name"], item.get("namespace")) for item in said["output"]]
        assert named == [("find", "crm"), ("look", None)]


def test_the_grammar_of_a_text():
    said = streamed(events(answer(Text(text="Warp"))))
    assert [event["type"].removeprefix("response.") for event in said] == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.delta", "output_text.done"),
        *("content_part.done", "output_item.done", "completed"),
    ]
    assert said[0]["response"]["usage"] is None
    assert said[-1]["response"]["usage"]["total_tokens"] == 18


def test_the_grammar_of_thinking():
    said = streamed(events(answer(THOUGHT), size=100))
    assert [event["type"].removeprefix("response.") for event in said[2:-1]] == [
        *("output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta"),
        *("reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"),
    ]


def test_the_last_usage_holds_and_other_choices_are_not_said():
    said = streamed(
        [
            Began(id="a", usage=USAGE),
            PartBegan(choice=1, index=0, kind="text"),
            PartDelta(choice=1, index=0, text="second"),
            PartEnded(choice=1, index=0),
            ChoiceEnded(choice=1, stop="length"),
            ChoiceEnded(stop="stop"),
            Used(usage=USAGE),
            Ended(),
        ]
    )
    assert [event["type"] for event in said] == ["response.created", "response.in_progress", "response.completed"]
    assert said[-1]["response"]["usage"]["input_tokens"] == 11
