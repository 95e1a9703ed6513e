"""A caller's Gemini request as a canonical one: every field in its place, and what has none is refused or named."""

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from heddle.wire.canonical.request import (
    Format,
    HostedTool,
    Media,
    Message,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from heddle.wire.canonical.rules import Notes, UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.gemini import codec, count, signatures, vendor
from heddle.wire.llm.gemini.dialect import decode_chat

TARGET = "/v1beta/models/g:generateContent"
HI = {"role": "user", "parts": [{"text": "hi"}]}


def decode(**fields):
    body = json.dumps({"contents": [HI], **fields}).encode()
    return decode_chat(body, codec.decode_request(body, TARGET))


def parts(*given, role="user", before=()):
    return decode(contents=[*before, {"role": role, "parts": list(given)}]).messages[-1].parts


def test_the_smallest():
    request = decode()
    assert request.messages == (Message(role="user", parts=(Text(text="hi"),)),)
    assert (request.model, request.stream, request.other, request.choices) == ("g", False, (), 1)


def test_settings():
    request = decode(
        generationConfig={
            "temperature": 0.5,
            "topP": 1,
            "top_k": 40.0,
            "maxOutputTokens": 5,
            "candidateCount": 2,
            "stopSequences": ["a", "b"],
            "seed": -3,
            "presencePenalty": 0.1,
            "frequencyPenalty": -0.1,
            "responseLogprobs": True,
            "logprobs": 3,
            "mediaResolution": "LOW",
        },
        safetySettings=[],
        labels={"a": "b"},
        serviceTier="priority",
    )
    assert (request.temperature, request.top_p, request.top_k, request.max_output_tokens) == (0.5, 1.0, 40, 5)
    assert (request.choices, request.stop, request.seed, request.logprobs) == (2, ("a", "b"), -3, 3)
    assert (request.presence_penalty, request.frequency_penalty) == (0.1, -0.1)
    assert (json.loads(request.metadata), request.service_tier) == ({"a": "b"}, "priority")
    assert request.other == ("generationConfig.mediaResolution", "safetySettings")


def test_log_probabilities_are_asked_for_by_their_switch():
    assert decode(generationConfig={"responseLogprobs": True}).logprobs == 0
    assert decode(generationConfig={"logprobs": 3}).logprobs is None


def test_instructions_come_first():
    request = decode(system_instruction={"parts": {"text": "be brief"}})
    assert request.messages[0] == Message(role="system", parts=(Text(text="be brief"),))


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"text": ""}, Text(text="")),
        ({}, Text(text="")),
        ({"text": "so", "thought": True}, Thinking(text="so")),
        (
            {"inlineData": {"mime_type": "image/png", "data": "__77"}},
            Media(kind="image", media_type="image/png", data="//77"),
        ),
        (
            {"inline_data": {"mimeType": "audio/wav", "data": "aGk"}},
            Media(kind="audio", media_type="audio/wav", data="aGk="),
        ),
        (
            {"fileData": {"fileUri": "https://x/y.pdf", "mimeType": "application/pdf"}},
            Media(kind="document", media_type="application/pdf", url="https://x/y.pdf"),
        ),
        (
            {"fileData": {"fileUri": "gs://b/o", "mimeType": "video/mp4"}},
            Media(kind="video", media_type="video/mp4", file_id="gs://b/o"),
        ),
        (
            {"functionCall": {"name": "f", "args": {"a": 1.0}, "id": "7"}},
            ToolCall(id="7", name="f", arguments='{"a": 1.0}'),
        ),
        ({"functionCall": {"name": "f"}}, ToolCall(id="call_1", name="f")),
    ],
)
def test_parts(given, read):
    assert parts(given) == (read,)


def test_arguments_keep_their_bytes():
    body = b'{"contents":[{"parts":[{"functionCall":{"name":"f","args":{ "x":1e999,"y":"\\u00e9"}}}]}]}'
    request = decode_chat(body, codec.decode_request(body, TARGET))
    (call,) = request.messages[0].parts
    assert call.arguments == '{ "x":1e999,"y":"\\u00e9"}'


def test_signatures_say_whose_they_are():
    own = ToolCall(id="1", name="f", signature="gemini.//77")
    foreign = Thinking(text="t", signature="anthropic.abc")
    hidden = Thinking(redacted="anthropic.xyz")
    sent = [
        {"functionCall": {"id": "1", "name": "f"}, "thoughtSignature": signatures.wrap(own)},
        {"text": "t", "thought": True, "thoughtSignature": signatures.wrap(foreign)},
        {"text": "", "thought": True, "thoughtSignature": signatures.wrap(hidden)},
    ]
    assert parts(*sent, role="model") == (own, foreign, hidden)
    # As an SDK sends it back: read as bytes, written in the other alphabet.
    assert parts({"text": "x", "thoughtSignature": "__77"}, role="model") == (
        Text(text="x"),
        Thinking(signature="gemini.//77"),
    )


def thought(text, signature=""):
    return {"text": text, "thought": True, **({"thoughtSignature": signature} if signature else {})}


def model(*given):
    return {"role": "model", "parts": list(given)}


def test_a_thought_that_came_in_pieces_is_one():
    """The parts of a stream, replayed as they came; its proof, with the last piece, is of all of it."""
    one, two = signatures.wrap(Thinking(signature="anthropic.1")), signatures.wrap(Thinking(signature="anthropic.2"))
    whole = (
        Thinking(text="so it is", signature="anthropic.1"),
        Thinking(text="and", signature="anthropic.2"),
        Text(text="yes"),
    )
    said = [thought("so "), thought("it "), thought("is"), thought("", one), thought("and", two), {"text": "yes"}]
    assert parts(*said, role="model", before=[HI]) == whole
    contents = decode(contents=[HI, *(model(part) for part in said)]).messages[1:]
    assert tuple(part for message in contents for part in message.parts) == whole
    assert all(message.role == "assistant" and message.parts for message in contents)


def test_a_thought_in_thousands_of_pieces_is_read_in_little_time():
    pieces = [{"text": "y" * 1_000, "thought": True}] * 15_000
    began_s = time.process_time()
    (read,) = parts(*pieces[:7_500], role="model", before=({"role": "model", "parts": pieces[7_500:]},))
    assert time.process_time() - began_s < 2.5
    assert len(read.text) == 15_000_000


def test_thoughts_of_two_turns_stay_apart():
    contents = [model(thought("a")), HI, model(thought("b"))]
    assert [message.parts for message in decode(contents=contents).messages][::2] == [
        (Thinking(text="a"),), (Thinking(text="b"),),
    ]  # fmt: skip


def test_results_are_paired_by_id_or_by_name_and_order():
    calls = [
        {"functionCall": {"name": "f"}},
        {"functionCall": {"name": "f"}},
        {"functionCall": {"name": "g", "id": "x"}},
    ]
    answers = [
        {"functionResponse": {"name": "g", "id": "x", "response": {"error": "no"}}},
        {"functionResponse": {"name": "f", "response": {"output": "one"}}},
        {"functionResponse": {"name": "f", "response": {"result": {"a": 2}}}},
    ]
    assert parts(*answers, before=({"role": "model", "parts": calls},)) == (
        ToolResult(call_id="x", name="g", parts=(Text(text="no"),), is_error=True),
        ToolResult(call_id="call_1", name="f", parts=(Text(text="one"),)),
        ToolResult(call_id="call_2", name="f", parts=(Text(text='{"a": 2}'),)),
    )


def test_thousands_of_results_are_paired_in_little_time():
    calls = [{"functionCall": {"name": "f", "id": f"c{number}"}} for number in range(9_000)]
    answers = [{"functionResponse": {"name": "f", "id": f"c{number}", "response": {}}} for number in range(9_000)]
    began_s = time.process_time()
    # The last call is answered first: the worst order for who looks for it from the front.
    read = parts(*answers[::-1], before=({"role": "model", "parts": calls},))
    assert time.process_time() - began_s < 2.5
    assert [part.call_id for part in read] == [f"c{number}" for number in range(9_000)][::-1]


def test_a_call_that_an_id_has_answered_is_not_answered_by_name():
    calls = {"role": "model", "parts": [{"functionCall": {"name": "f", "id": given}} for given in "ab"]}
    by_id = {"functionResponse": {"name": "f", "id": "a", "response": {}}}
    by_name = {"functionResponse": {"name": "f", "response": {}}}
    assert [part.call_id for part in parts(by_id, by_name, before=(calls,))] == ["a", "b"]
    with pytest.raises(ProtocolError):
        parts(by_id, by_name, by_name, before=(calls,))


def test_a_result_may_be_any_object_and_have_pictures():
    answer = {
        "name": "f",
        "response": {"a": 1, "error": "x"},
        "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
    }
    (result,) = parts(
        {"functionResponse": answer}, before=({"role": "model", "parts": [{"functionCall": {"name": "f"}}]},)
    )
    image = Media(kind="image", media_type="image/png", data="aGk=")
    assert result == ToolResult(call_id="call_1", name="f", parts=(Text(text='{"a": 1, "error": "x"}'), image))


def declared(**fields):
    return {"functionDeclarations": [{"name": "f", "description": "d", **fields}, {"name": "g"}]}


def test_tools():
    request = decode(tools=[declared(parametersJsonSchema={"type": "object"}), {"googleSearch": {}}])
    assert request.tools == (Tool(name="f", description="d", schema='{"type": "object"}'), Tool(name="g"))
    assert request.hosted_tools == (HostedTool(type="googleSearch"),)


def test_a_schema_in_googles_words():
    schema = {
        "type": "OBJECT",
        "properties": {
            "any_of": {"type": "STRING", "nullable": True, "enum": ["a"]},
            "n": {"any_of": [{"type": "INTEGER"}, {"type": "NUMBER"}], "nullable": True},
            "l": {"type": "ARRAY", "items": {"type": "BOOLEAN"}, "min_items": "1", "propertyOrdering": ["x"]},
        },
        "required": ["n"],
    }
    (tool, _) = decode(tools=[declared(parameters=schema)]).tools
    assert json.loads(tool.schema) == {
        "type": "object",
        "required": ["n"],
        "properties": {
            "any_of": {"type": ["string", "null"], "enum": ["a", None]},
            "n": {"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]},
            "l": {"type": "array", "items": {"type": "boolean"}, "minItems": 1},
        },
    }


@pytest.mark.parametrize(
    ("calling", "choice", "names"),
    [
        ({}, None, ["f", "g"]),
        ({"mode": "AUTO"}, ToolChoice(mode="auto"), ["f", "g"]),
        ({"mode": "NONE"}, ToolChoice(mode="none"), ["f", "g"]),
        ({"mode": "ANY"}, ToolChoice(mode="required"), ["f", "g"]),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, ToolChoice(mode="required"), ["f", "g"]),
        ({"mode": "ANY", "allowed_function_names": ["g"]}, ToolChoice(mode="tool", name="g"), ["g"]),
    ],
)
def test_which_tools_may_be_called(calling, choice, names):
    request = decode(tools=[declared()], toolConfig={"functionCallingConfig": calling})
    assert (request.tool_choice, [tool.name for tool in request.tools]) == (choice, names)


def test_validated_calls_are_strict():
    request = decode(tools=[declared()], toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}})
    assert [tool.strict for tool in request.tools] == [True, True]


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"responseMimeType": "text/plain"}, Format(kind="text")),
        ({"responseMimeType": "application/json"}, Format(kind="json")),
        ({"responseJsonSchema": {"type": "object"}}, Format(kind="schema", schema='{"type": "object"}')),
        ({"responseSchema": {"type": "STRING"}}, Format(kind="schema", schema='{"type":"string"}')),
    ],
)
def test_the_form_of_the_answer(config, wanted):
    assert decode(generationConfig=config).format == wanted


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"thinkingBudget": 0}, Reasoning(enabled=False)),
        ({"thinkingBudget": -1, "includeThoughts": True}, Reasoning(budget_tokens=-1, show=True)),
        ({"thinking_level": "LOW"}, Reasoning(effort="low")),
    ],
)
def test_thinking(config, wanted):
    assert decode(generationConfig={"thinkingConfig": config}).reasoning == wanted


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"cachedContent": "cachedContents/x"}, "cachedContent"),
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, "generationConfig.responseModalities"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
        ({"contents": [{"parts": [{"executableCode": {}}]}]}, "contents[0].parts[0].executableCode"),
    ],
)
def test_what_only_google_has_is_refused(fields, param):
    with pytest.raises(UntranslatableError) as caught:
        decode(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"contents": [{"parts": [{"text": 3}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"text": "a", "functionCall": {}}]}]}, "contents[0].parts[0].functionCall"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
        (
            {"contents": [{"parts": [{"functionCall": {"name": "f", "args": []}}]}]},
            "contents[0].parts[0].functionCall.args",
        ),
        ({"contents": [{"parts": [{"functionResponse": {"name": "f"}}]}]}, "contents[0].parts[0].functionResponse"),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "a/b"}}]}]}, "contents[0].parts[0].inlineData"),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "a/b", "data": "?"}}]}]},
            "contents[0].parts[0].inlineData.data",
        ),
        ({"contents": [{"parts": [{"fileData": {}}]}]}, "contents[0].parts[0].fileData"),
        ({"contents": [{"parts": [{"text": "a", "thoughtSignature": "a"}]}]}, "contents[0].parts[0].thoughtSignature"),
        ({"systemInstruction": "be brief"}, "systemInstruction"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"generationConfig": {"topK": 1.5}}, "generationConfig.topK"),
        ({"generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences[0]"),
        (
            {"generationConfig": {"thinkingConfig": {"includeThoughts": 1}}},
            "generationConfig.thinkingConfig.includeThoughts",
        ),
        ({"generationConfig": {"responseSchema": {"type": "FOO"}}}, "generationConfig.responseSchema.type"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "X"}}}, "toolConfig.functionCallingConfig.mode"),
        ({"serviceTier": "gold"}, "serviceTier"),
    ],
)
def test_refused_with_its_place(fields, param):
    with pytest.raises(ProtocolError) as caught:
        decode(**fields)
    assert caught.value.param == param


def test_more_than_a_conversation_has():
    body = b'{"contents":[{"parts":[%b]}]}' % b",".join([b"{}"] * 20_001)
    call = codec.decode_request(body, TARGET)
    with pytest.raises(ProtocolError) as caught:
        decode_chat(body, call)
    assert caught.value.param == "contents[0].parts"
    content = b'{"parts":[%b]}' % b",".join([b"{}"] * 150)
    body = b'{"contents":[%b]}' % b",".join([content] * 150)
    with pytest.raises(ProtocolError):
        decode_chat(body, codec.decode_request(body, TARGET))


@pytest.mark.parametrize(
    "body",
    [
        b'{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"temperature":1e999}}',
        b'{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"seed":%b}}' % (b"9" * 4000),
        b'{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"stopSequences":[1e999]}}',
        b'{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"responseSchema":{"minimum":1e999}}}',
        b'{"contents":[{"parts":[{"text":"a"}]}],"tools":[{"functionDeclarations":[{"name":1e999}]}]}',
    ],
)
def test_numbers_that_nobody_can_hold(body):
    with pytest.raises(ProtocolError):
        decode_chat(body, codec.decode_request(body, TARGET))
    assert json.loads(count.estimate_count(body))["totalTokens"] > 0


NAMES = (
    "contents", "parts", "role", "text", "thought", "thoughtSignature", "inlineData", "inline_data", "mimeType", "data",
    "functionCall", "functionResponse", "name", "id", "args", "response", "output", "error", "fileData", "fileUri",
    "tools", "functionDeclarations", "parameters", "type", "items", "generationConfig", "responseSchema",
    "thinkingConfig", "thinkingBudget", "topK", "stopSequences", "toolConfig", "functionCallingConfig", "mode",
)  # fmt: skip
WORDS = st.sampled_from(["user", "model", "f", "ANY", "STRING", "ARRAY", "aGk=", "image/png", "https://x/y", "1"])
LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
    | st.text(max_size=4)
)
ANYTHING = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=30,
)
PARTS = st.lists(st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=2), max_size=3)
CONTENTS = st.lists(
    st.fixed_dictionaries({"parts": PARTS | ANYTHING}, optional={"role": WORDS}), min_size=1, max_size=3
)


@hypothesis_given(CONTENTS | ANYTHING, st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=4))
def test_garbage_is_refused_and_never_crashes(contents, fields):
    body = json.dumps({**fields, "contents": contents}).encode()
    with suppress(ProtocolError):
        call = codec.decode_request(body, TARGET)
        vendor.encode_chat(decode_chat(body, call), "gemini-3-pro", Notes())
