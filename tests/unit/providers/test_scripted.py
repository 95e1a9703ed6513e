"""The offline model: OpenAI's own types must accept what it sends, and it must say the same twice."""

import base64
import json
import math
import struct

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from heddle.model.provider import STALL, OptionError, PlayedProvider
from heddle.model.snapshot import ProviderSpec
from heddle.providers.scripted import Scripted, prose
from heddle.providers.scripted.directives import parse
from heddle.providers.scripted.embeddings import embed
from heddle.providers.scripted.sample import MAX_NODES, Sampler
from heddle.wire import sse
from heddle.wire.llm import openai_chat, openai_embeddings

CREATED = 1_790_000_000
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time"}}


def scripted(**options):
    return Scripted(ProviderSpec(name="offline", type="scripted", options=options))


def play(prompt="Hello there", options=None, **fields):
    messages = fields.pop("messages", [{"role": "user", "content": prompt}])
    body = json.dumps({"model": "gpt-4o-mini", "messages": messages, **fields}).encode()
    return scripted(**(options or {})).play(openai_chat.decode_request(body), body, CREATED)


def whole(*args, **fields):
    script = play(*args, **fields)
    assert script.status == 200
    data = b"".join(step.data for step in script.steps)
    return ChatCompletion.model_validate_json(data, strict=True)


def chunks(*args, **fields):
    script = play(*args, stream=True, **fields)
    assert script.status == 200
    assert dict(script.headers)[b"content-type"].startswith(b"text/event-stream")
    events = [sse.payload(step.data) for step in script.steps]
    assert events.pop() == b"[DONE]"
    return [ChatCompletionChunk.model_validate_json(event, strict=True) for event in events]


def gathered(parts):
    return "".join(p.choices[0].delta.content or "" for p in parts if p.choices)


def embedding(**fields):
    body = json.dumps({"model": "e", **fields}).encode()
    script = scripted(dimensions=8).play(openai_embeddings.decode_request(body), body, CREATED)
    return script.status, b"".join(step.data for step in script.steps)


def test_it_is_a_provider_without_a_network():
    assert isinstance(scripted(), PlayedProvider)


def test_it_says_the_same_twice_and_the_same_streamed():
    said = whole().choices[0].message.content
    assert said == whole().choices[0].message.content == gathered(chunks())
    assert "Heddle's offline model" in said
    assert "“Hello there”" in said
    assert "2 words and 11 characters" in said


def test_a_whole_answer_has_every_field():
    answer = whole("Hello there")
    assert (answer.object, answer.model, answer.created) == ("chat.completion", "gpt-4o-mini", CREATED)
    assert answer.id.startswith("chatcmpl-")
    assert answer.system_fingerprint == "fp_heddle_offline"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.role == "assistant"
    usage = answer.usage
    assert usage.prompt_tokens == 4 + math.ceil(len("Hello there") / 4)
    assert usage.completion_tokens == len(prose.tokens(answer.choices[0].message.content))
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_begins_with_the_role_and_ends_with_the_reason():
    parts = chunks()
    assert (parts[0].choices[0].delta.role, parts[0].choices[0].delta.content) == ("assistant", "")
    assert [p.choices[0].finish_reason for p in parts if p.choices[0].finish_reason] == ["stop"]
    assert parts[-1].choices[0].finish_reason == "stop"
    assert len({p.id for p in parts}) == 1
    assert all("usage" not in p.model_fields_set for p in parts)


def test_usage_comes_only_when_asked_and_last():
    parts = chunks(stream_options={"include_usage": True})
    assert parts[-1].choices == []
    assert parts[-1].usage == whole().usage
    assert all(p.usage is None and "usage" in p.model_fields_set for p in parts[:-1])


def test_several_choices():
    answer = whole(n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.choices[1].message.content == "(2) " + answer.choices[0].message.content
    parts = chunks(n=3)
    for index in range(3):
        mine = [p.choices[0] for p in parts if p.choices[0].index == index]
        assert "".join(c.delta.content or "" for c in mine) == answer.choices[index].message.content
        assert mine[-1].finish_reason == "stop"
    assert [p.choices[0].index for p in parts[:6]] == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("fields", [{"max_tokens": 5}, {"max_completion_tokens": 5}])
def test_the_token_bound_holds(fields):
    answer = whole(**fields)
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 5)
    assert chunks(**fields)[-1].choices[0].finish_reason == "length"


def test_stop_sequences_are_not_part_of_the_answer():
    assert whole(stop=" answering").choices[0].message.content == "This is Heddle's offline model,"
    assert whole(stop=["zzz", "offline"]).choices[0].message.content == "This is Heddle's "


@pytest.mark.parametrize("length", [1, 7, 300])
def test_the_length_is_exact(length):
    assert whole(options={"length": length}).usage.completion_tokens == length
    assert whole(f"[[length {length}]]").usage.completion_tokens == length


def test_tools_are_called_when_the_prompt_names_them():
    answer = whole("What does get_weather say about Paris for 3 days?", tools=[WEATHER, CLOCK])
    (call,) = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert json.loads(call.function.arguments) == {"city": "Paris", "days": 3}


def test_parallel_calls_are_streamed_in_pieces():
    parts = chunks("Please get time, and then get_weather.", tools=[WEATHER, CLOCK])
    calls = {}
    for part in parts:
        for call in part.choices[0].delta.tool_calls or ():
            if call.id:
                assert call.function.arguments == ""
                calls[call.index] = [call.id, call.function.name, ""]
            else:
                calls[call.index][2] += call.function.arguments
    assert [(name, json.loads(arguments)) for _, name, arguments in calls.values()] == [
        ("get_time", {}),
        ("get_weather", {"city": "city", "days": 1}),
    ]
    assert len({ident for ident, _, _ in calls.values()}) == 2
    assert parts[-1].choices[0].finish_reason == "tool_calls"
    assert len(parts) > 6


def test_one_call_at_a_time_when_asked():
    answer = whole("get_time get_weather", tools=[WEATHER, CLOCK], parallel_tool_calls=False)
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["get_time"]


@pytest.mark.parametrize(
    ("choice", "called", "reason"),
    [
        ("none", None, "stop"),
        ("auto", None, "stop"),
        ("required", "get_weather", "tool_calls"),
        ({"type": "function", "function": {"name": "get_time"}}, "get_time", "stop"),
    ],
)
def test_tool_choice(choice, called, reason):
    answer = whole("hello", tools=[WEATHER, CLOCK], tool_choice=choice).choices[0]
    calls = answer.message.tool_calls or []
    assert [call.function.name for call in calls] == ([called] if called else [])
    assert answer.finish_reason == reason


def test_after_tool_results_it_speaks_of_them():
    call = {"id": "c1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "get_time please"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "noon"},
    ]
    answer = whole(messages=messages, tools=[CLOCK])
    assert "1 tool result came back: “noon”" in answer.choices[0].message.content


def test_structured_output_fits_its_schema():
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 4},
            "size": {"type": "number", "minimum": 10},
            "colour": {"enum": ["red", "blue"]},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
            "maybe": {"type": ["null", "boolean"]},
        },
        "$defs": {"tag": {"type": "string", "format": "date"}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    said = json.loads(whole('A "Weaver" of 3', response_format=form).choices[0].message.content)
    assert said == {"name": "Weav", "size": 10.0, "colour": "red", "tags": ["2026-01-02"], "maybe": True}
    plain = whole(response_format={"type": "json_object"}).choices[0].message.content
    assert json.loads(plain)["heard"] == "Hello there"


def test_a_schema_that_refers_to_itself_is_bounded():
    node = {"type": "object", "properties": {f"p{i}": {"$ref": "#/$defs/node"} for i in range(50)}}
    schema = {"$ref": "#/$defs/node", "$defs": {"node": node}}
    assert len(json.dumps(Sampler(schema, "").value(schema))) < 40 * MAX_NODES


def test_content_parts_are_read():
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            ],
        }
    ]
    assert "“Look”" in whole(messages=messages).choices[0].message.content


@pytest.mark.parametrize(
    "fields", [{"stop": 5}, {"tools": {}}, {"tools": [{}]}, {"messages": [{"role": "user", "content": 5}]}]
)
def test_what_openai_would_refuse_is_refused_in_its_form(fields):
    script = play(**fields)
    error = json.loads(next(script.steps).data)["error"]
    assert (script.status, error["type"]) == (400, "invalid_request_error")
    assert error["param"]


def test_the_pace_is_kept():
    steps = list(play(stream=True, options={"tokens_per_s": 50.0, "first_token_s": 0.5}).steps)
    assert steps[0].delay_s == 0.5
    assert {step.delay_s for step in steps[1:]} == {0.02}
    first = next(play("[[delay 2]] [[pace 10]]").steps)
    assert first.delay_s == pytest.approx(2 + 0.1 * whole("").usage.completion_tokens)


@pytest.mark.parametrize(
    ("directive", "status", "code", "retry"),
    [
        ("[[error 500]]", 500, None, None),
        ("[[error]]", 500, None, None),
        ("[[error 429 retry-after=2]]", 429, "rate_limit_exceeded", b"2"),
        ("[[error 429 code=insufficient_quota]]", 429, "insufficient_quota", None),
        ("[[error 200]]", 400, None, None),
        ("[[error 503 retry-after=2\r\nx:y]]", 503, None, b"2"),
    ],
)
def test_errors_on_demand(directive, status, code, retry):
    script = play(f"please {directive}", stream=True)
    error = json.loads(next(script.steps).data)["error"]
    assert (script.status, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}
    assert dict(script.headers).get(b"retry-after") == retry


@pytest.mark.parametrize(
    ("directive", "last"),
    [("stall", (STALL, b"")), ("disconnect", (0.0, None)), ("error 500", None), ("truncate", None)],
)
def test_faults_come_after_as_many_events_as_asked(directive, last):
    steps = list(play(f"[[{directive} after=3]]", stream=True).steps)
    good = [step for step in steps if step.data and b'"choices"' in step.data]
    assert len(good) == 3
    assert not any(step.data and b"[DONE]" in step.data for step in steps)
    if last is not None:
        assert steps[-1] == last
    elif directive.startswith("error"):
        assert b'"error"' in steps[-1].data


def test_a_stall_from_the_start_sends_nothing():
    assert next(play("[[stall]]").steps) == (STALL, b"")


def test_directives_by_metadata_and_off():
    assert play(metadata={"heddle": "[[error 418]]"}).status == 418
    script = play("[[error 500]]", options={"directives": False})
    assert script.status == 200
    assert b"[[error 500]]" in b"".join(step.data for step in script.steps)


def test_only_known_words_are_directives():
    assert parse("see [[wiki page]] and [[Error 500]]")[0] == "see [[wiki page]] and [[Error 500]]"
    assert parse("a [[say x y]] b")[0] == "a  b"
    assert whole("[[say just this]]").choices[0].message.content == "just this"
    assert parse("[[delay nan]] [[pace -1]] [[length 1e99]]")[1].length == 4096


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token_per_s": 1}, "did you mean tokens_per_s"),
        ({"tokens_per_s": "fast"}, r"options\.tokens_per_s: expected"),
        ({"tokens_per_s": -1}, "expected 0 to"),
        ({"tokens_per_s": math.nan}, "expected 0 to"),
        ({"length": 5000}, "expected 0 to 4096"),
        ({"dimensions": 0}, "expected 1 to 4096"),
    ],
)
def test_options_are_checked_when_built(options, message):
    with pytest.raises(OptionError, match=message):
        scripted(**options)


@pytest.mark.parametrize("value", ["one", ["one", "two"], [1, 2, 3], [[1, 2], [3]]])
def test_embeddings_in_openais_form(value):
    status, data = embedding(input=value)
    answer = CreateEmbeddingResponse.model_validate_json(data, strict=True)
    assert (status, answer.object, answer.model) == (200, "list", "e")
    count = len(value) if isinstance(value, list) and not isinstance(value[0], int) else 1
    assert [item.index for item in answer.data] == list(range(count))
    for item in answer.data:
        assert len(item.embedding) == 8
        assert math.sqrt(sum(x * x for x in item.embedding)) == pytest.approx(1)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens > 0


def test_base64_carries_the_same_numbers():
    plain = json.loads(embedding(input="warp and weft", dimensions=16)[1])["data"][0]["embedding"]
    packed = json.loads(embedding(input="warp and weft", dimensions=16, encoding_format="base64")[1])
    assert struct.unpack("<16f", base64.b64decode(packed["data"][0]["embedding"])) == pytest.approx(plain)


def test_texts_that_share_words_lie_nearer():
    def near(a, b):
        return sum(x * y for x, y in zip(embed(a, 512), embed(b, 512), strict=True))

    assert near("the cat sat", "The cat, sat!") == pytest.approx(1)
    assert near("the cat sat", "the cat ran") > near("the cat sat", "quantum field theory") + 0.2
    assert sum(x * x for x in embed("", 4)) == pytest.approx(1)


@pytest.mark.parametrize("fields", [{"input": "x", "dimensions": 5000}, {"input": ["x"] * 2049}])
def test_embeddings_beyond_the_bounds(fields):
    status, data = embedding(**fields)
    assert (status, json.loads(data)["error"]["type"]) == (400, "invalid_request_error")


def test_embeddings_fail_on_demand():
    assert embedding(input="[[error 503]]")[0] == 503


@pytest.mark.parametrize("text", ["", " ", "a b  c\n", "héé wörld!!", "“quoted” — dash", "x" * 20, " " * 50])
def test_tokens_join_to_their_text(text):
    assert "".join(prose.tokens(text)) == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[[tools 2]]", {"tools": 2}),
        ("[[tools 99]]", {"tools": 8}),
        ("[[tools]]", {"tools": 1}),
        ("[[think]]", {"think": ""}),
        ("[[think so it is]]", {"think": "so it is"}),
        ("[[redact]]", {"redact": True}),
        ("[[refuse No.]]", {"refuse": "No."}),
        ("[[cached 100]]", {"cached": 100, "written": 0}),
        ("[[cached 100 written=50]]", {"cached": 100, "written": 50}),
        ("[[cached -1]]", {"cached": 0}),
    ],
)
def test_directives_of_answers(text, found):
    rest, told = parse(f"a {text} b")
    assert rest == "a  b"
    assert {name: getattr(told, name) for name in found} == found


def test_words_may_come_before_calls():
    answer = whole("[[tools 2]][[say Let me see.]]", tools=[WEATHER])
    message = answer.choices[0].message
    assert message.content == "Let me see."
    assert [call.function.name for call in message.tool_calls] == ["get_weather"] * 2
    assert len({call.id for call in message.tool_calls}) == 2
