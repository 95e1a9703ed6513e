"""What the vendors refuse, the stand-ins refuse, in the vendors' words."""

import json

import pytest
from tests.unit.providers.scripted_asking import ASKING, FORMATS, SCHEMA, call, play, whole

from heddle.providers.scripted.playing import Pace
from heddle.providers.scripted.playing import play as play_call
from heddle.providers.scripted.provider import FORMATS as MODULES

CALL = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
TOOLS = [{"name": "f", "input_schema": SCHEMA}]
THINKING = {"type": "enabled", "budget_tokens": 1024}


def anthropic(*said, **more):
    turns = [{"role": ("user", "assistant")[turn % 2], "content": content} for turn, content in enumerate(said)]
    return {"model": "m", "max_tokens": 2000, "messages": turns, **more}


def chat(*messages, **more):
    return {"model": "m", "messages": list(messages), **more}


def responses(*items, **more):
    return {"model": "m", "input": list(items), **more}


def gemini(*said, **more):
    return {
        "contents": [{"role": ("user", "model")[turn % 2], "parts": parts} for turn, parts in enumerate(said)]
    } | more


def bedrock(*said, **more):
    turns = [{"role": ("user", "assistant")[turn % 2], "content": content} for turn, content in enumerate(said)]
    return {"messages": turns, **more}


ASSISTANT = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function",
                                                  "function": {"name": "f", "arguments": "{}"}}]}  # fmt: skip
USED = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}
TOLD = {"toolResult": {"toolUseId": "t1", "content": [{"text": "ok"}]}}
CONFIG = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}]}
HI = {"role": "user", "content": "hi"}
CALLED = {"functionCall": {"name": "f", "args": {}}}
ANSWERED = {"functionResponse": {"name": "f", "response": {"output": "ok"}}}
FUNCTION_CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "ok"}

REFUSED = [
    ("openai_chat", chat(HI, top_k=3), "Unknown parameter: 'top_k'"),
    ("openai_chat", {"messages": [HI]}, "Missing required parameter: 'model'"),
    ("openai_chat", chat({"role": "user", "content": 3}), "Invalid type for 'messages[0].content'"),
    ("openai_chat", chat({"role": "user", "content": None}), "expected a string, got null"),
    ("openai_chat", chat({"role": "wizard", "content": "hi"}), "Invalid value for 'messages[0].role'"),
    ("openai_chat", chat(HI, ASSISTANT, HI), "must be followed by tool messages"),
    ("openai_chat", chat(HI, {"role": "tool", "tool_call_id": "c1", "content": "x"}), "preceeding message"),
    ("openai_chat", chat(HI, tool_choice="auto"), "only allowed when 'tools' are specified"),
    ("openai_chat", chat(HI, tools=[]), "empty array"),
    ("openai_chat", chat(HI, response_format={"type": "json_schema"}), "response_format.json_schema"),
    ("openai_responses", responses(HI, messages=[]), "Unknown parameter: 'messages'"),
    ("openai_responses", {"model": "m"}, "Missing required parameter: 'input'"),
    ("openai_responses", responses(HI, FUNCTION_CALL), "No tool output found for function call c1"),
    ("openai_responses", responses(HI, OUTPUT), "No tool call found for function call output with call_id c1"),
    ("openai_responses", responses(HI, {"type": "reasoning", "id": "rs_1", "summary": []}), "not found"),
    ("openai_responses", responses(HI, {"type": "reasoning", "id": "rs_1", "summary": [],
                                        "encrypted_content": "xx"}, FUNCTION_CALL, OUTPUT), "could not be verified"),
    ("openai_responses", responses(HI, {**FUNCTION_CALL, "id": "fc_1r"}, OUTPUT), "without its required 'reasoning'"),
    ("openai_responses", responses({"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}),
     "Invalid value: 'input_text'"),
    ("openai_responses", responses(HI, previous_response_id="resp_1"), "'resp_1' not found"),
    ("openai_responses", responses(HI, max_output_tokens=5), "Expected a value >= 16"),
    ("anthropic_messages", {"model": "m", "messages": [HI]}, "max_tokens: Field required"),
    ("anthropic_messages", anthropic("hi", n=2), "n: Extra inputs are not permitted"),
    ("anthropic_messages", anthropic([{"type": "text", "text": "hi", "x": 1}]),
     "messages.0.content.0.x: Extra inputs are not permitted"),
    ("anthropic_messages", anthropic(""), "text content blocks must be non-empty"),
    ("anthropic_messages", anthropic("hi", system=[{"type": "text", "text": ""}]), "system.0: text content blocks"),
    ("anthropic_messages", anthropic("hi", [CALL], "more", tools=TOOLS), "without `tool_result` blocks immediately"),
    ("anthropic_messages", anthropic("hi", [CALL], [{"type": "text", "text": "x"}, RESULT], tools=TOOLS),
     "without `tool_result` blocks immediately"),
    ("anthropic_messages", anthropic([RESULT], tools=TOOLS), "unexpected `tool_use_id`"),
    ("anthropic_messages", anthropic("hi", [CALL], [RESULT]), "must define tools"),
    ("anthropic_messages", anthropic("hi", [CALL], [RESULT], tools=TOOLS, thinking=THINKING),
     "Expected `thinking` or `redacted_thinking`, but found `tool_use`"),
    ("anthropic_messages", anthropic("hi", [{"type": "thinking", "thinking": "x", "signature": "y"}], "go"),
     "Invalid `signature` in `thinking` block"),
    ("anthropic_messages", anthropic("hi", thinking=THINKING | {"budget_tokens": 2000}), "must be greater than"),
    ("anthropic_messages", anthropic("hi", thinking=THINKING, temperature=0.5), "may only be set to 1"),
    ("anthropic_messages", anthropic("hi", thinking=THINKING, tools=TOOLS, tool_choice={"type": "any"}),
     "forces tool use"),
    ("anthropic_messages", anthropic("hi", temperature=1.5), "temperature"),
    ("anthropic_messages", anthropic("hi", output_config={"format": {"type": "json_schema",
                                                                      "schema": {"type": "object"}}}),
     "'additionalProperties' must be explicitly set to false"),
    ("gemini", {"contents": [], "messages": []}, 'Unknown name "messages"'),
    ("gemini", gemini([{"text": "hi"}], generationConfig={"topX": 1}), "Unknown name \"topX\" at 'generationConfig'"),
    ("gemini", gemini([]), "parts must not be empty"),
    ("gemini", gemini([{"text": "a", "functionCall": {"name": "f"}}]), "oneof field 'data' is already set"),
    ("gemini", gemini([{"text": "hi"}], [CALLED | {"thoughtSignature": "xx"}], [ANSWERED]), "signature is not valid"),
    ("gemini", gemini([{"text": "hi"}], [CALLED], [ANSWERED]), "missing a thought_signature"),
    ("gemini", gemini([{"text": "hi"}], [CALLED | {"thoughtSignature": "skip_thought_signature_validator"}],
                      [{"text": "go"}]), "number of function response parts"),
    ("gemini", gemini([{"text": "hi"}], generationConfig={"responseJsonSchema": SCHEMA}), "mime type"),
    ("bedrock_converse", bedrock([{"text": "hi"}], maxTokens=3), "maxTokens: extraneous key"),
    ("bedrock_converse", bedrock([]), "is empty"),
    ("bedrock_converse", bedrock([{"text": " "}]), "is blank"),
    ("bedrock_converse", bedrock([{"text": "a", "image": {"format": "png", "source": {"bytes": "AA=="}}}]), "union"),
    ("bedrock_converse", bedrock([{"text": "hi"}], [{"text": "a"}], inferenceConfig={"temperature": 2}), "constraint"),
    ("bedrock_converse", {"messages": [{"role": "assistant", "content": [{"text": "x"}]}]}, "must start with a user"),
    ("bedrock_converse", {"messages": [{"role": "user", "content": [{"text": "x"}]}] * 2}, "must alternate"),
    ("bedrock_converse", bedrock([{"text": "hi"}], [USED], [{"text": "x"}], toolConfig=CONFIG), "Expected toolResult"),
    ("bedrock_converse", bedrock([TOLD], toolConfig=CONFIG), "exceeds the number of toolUse"),
    ("bedrock_converse", bedrock([{"text": "hi"}], [USED], [TOLD]), "toolConfig field must be defined"),
    ("bedrock_converse", bedrock([{"text": "hi"}], [USED], [TOLD], toolConfig=CONFIG,
                                 additionalModelRequestFields={"thinking": THINKING}), "Expected `thinking`"),
    ("bedrock_converse", bedrock([{"text": "hi"}],
                                 [{"reasoningContent": {"reasoningText": {"text": "x", "signature": "y"}}}],
                                 [{"text": "go"}]), "Invalid `signature`"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "asked", "words"), REFUSED)
def test_it_is_refused_in_the_vendors_form(form, asked, words):
    script = play(form, asked=asked, model="gemini-3-pro")
    body = json.loads(b"".join(step.data for step in script.steps))
    assert 400 <= script.status < 405
    assert words in ASKING[form].error(dict(script.headers), body)[1]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"null", b'{"messages":{}}', b'{"contents":3}', b"[" * 3000, b"\xff"]
)
def test_garbage_is_refused(form, body):
    script = play_call(MODULES[form], call(form, body), body, Pace(), True, 0)
    assert script.status == 400
    assert json.loads(b"".join(step.data for step in script.steps))


def turn(form):
    """The first turn of each format, as a caller would send it back, and the rest of the second."""
    told = ASKING[form].told(whole(form, "[[tools 2]][[think hard]]", tools=True, model="gemini-3-pro"))
    asked = ASKING[form].body("[[tools 2]][[think hard]]", tools=True)
    calls = told.calls
    match form:
        case "openai_responses":
            answer = whole(form, "[[tools 2]][[think hard]]", tools=True)
            items = [{"type": "function_call_output", "call_id": ident, "output": "ok"} for ident, _, _ in calls]
            asked["input"] = [{"role": "user", "content": "[[tools 2]]"}, *answer["output"], *items]
        case "anthropic_messages":
            answer = whole(form, "[[tools 2]][[think hard]]", tools=True)
            results = [{"type": "tool_result", "tool_use_id": ident, "content": "ok"} for ident, _, _ in calls]
            asked |= {"thinking": THINKING, "max_tokens": 2000}
            asked["messages"] += [
                {"role": "assistant", "content": answer["content"]},
                {"role": "user", "content": results},
            ]
        case "gemini":
            answer = whole(form, "[[tools 2]][[think hard]]", tools=True, model="gemini-3-pro")
            results = [{"functionResponse": {"name": name, "response": {"output": "ok"}}} for _, name, _ in calls]
            asked["contents"] += [answer["candidates"][0]["content"], {"role": "user", "parts": results}]
        case _:
            answer = whole(form, "[[tools 2]][[think hard]]", tools=True)
            results = [{"toolResult": {"toolUseId": ident, "content": [{"text": "ok"}]}} for ident, _, _ in calls]
            asked["messages"] += [answer["output"]["message"], {"role": "user", "content": results}]
            asked["additionalModelRequestFields"] = {"thinking": THINKING}
    return asked


@pytest.mark.parametrize("form", FORMATS[1:])
def test_thinking_that_comes_back_sealed_is_accepted_and_said(form):
    script = play(form, asked=turn(form), model="gemini-3-pro")
    answer = json.loads(b"".join(step.data for step in script.steps))
    assert script.status == 200, answer
    assert "2 tool results with 1 sealed thought came back: “ok”; “ok”." in ASKING[form].told(answer).text


@pytest.mark.parametrize("form", FORMATS[1:])
def test_a_seal_that_was_touched_is_refused(form):
    text = json.dumps(turn(form))
    signature = ASKING[form].told(whole(form, "[[tools 2]][[think hard]]", tools=True, model="gemini-3-pro")).signature
    assert text.count(signature) == 1
    altered = json.loads(text.replace(signature, "A" + signature[1:] if signature[0] != "A" else "B" + signature[1:]))
    assert play(form, asked=altered, model="gemini-3-pro").status == 400
