"""Parameters and instructions find their places in every dialect, and nothing else moves."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.model.parameters import PARAMETERS
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codecs import CODECS, DIALECTS
from heddle.wire.llm.parameters import INSTRUCTION_BYTES, PLACES, Changes, change, foresee

VALUES = {
    "temperature": 0.25,
    "top_p": 0.5,
    "top_k": 7,
    "max_output_tokens": 77,
    "seed": 11,
    "stop": ["END"],
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "reasoning_effort": "low",
    "service_tier": "flex",
}
NAMES = sorted(
    {
        name
        for places in PLACES.values()
        for place in places.values()
        for path in (place.path, *place.also)
        for name in path
    }
    | {
        "messages",
        "system",
        "prompt",
        "instructions",
        "systemInstruction",
        "system_instruction",
        "parts",
        "role",
        "content",
    }
    | {"generation_config", "max_output_tokens"}
)
"""Fields that are looked at, for bodies that take their places with something else."""
CANONICAL = {**VALUES, "stop": ("END",)}
BODIES = {
    "openai_chat": ({"model": "m", "messages": [{"role": "user", "content": "hi"}]}, ""),
    "openai_completions": ({"model": "m", "prompt": "hi"}, ""),
    "openai_responses": ({"model": "m", "input": "hi"}, ""),
    "anthropic_messages": ({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}, ""),
    "gemini": ({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, "/v1beta/models/m:generateContent"),
    "bedrock_converse": ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, "/model/m/converse"),
}


def changed(dialect, body, **changes):
    data, missing = change(json.dumps(body).encode(), dialect, Changes(**changes))
    return json.loads(data), missing


def asked(dialect, data):
    """What the dialect's own reader makes of a body."""
    call = CODECS[dialect].decode_request(data, BODIES[dialect][1])
    return call, DIALECTS[dialect].decode_chat(data, call)


def canonical(request, name):
    if name == "reasoning_effort":
        return request.reasoning.effort if request.reasoning is not None else None
    return getattr(request, name)


def test_every_dialect_of_generation_has_places_for_known_parameters_only():
    assert set(PLACES) == set(DIALECTS)
    assert all(set(places) <= set(PARAMETERS) for places in PLACES.values())
    assert {name for name, (holds, _) in PARAMETERS.items() if holds(VALUES[name])} == set(PARAMETERS)


@pytest.mark.parametrize("field", ["defaults", "overrides"])
@pytest.mark.parametrize("dialect", sorted(BODIES))
def test_the_dialect_reads_what_was_put_there(dialect, field):
    data, missing = change(json.dumps(BODIES[dialect][0]).encode(), dialect, Changes(**{field: VALUES}))
    _, request = asked(dialect, data)
    assert set(missing) == set(VALUES) - set(PLACES[dialect])
    for name in PLACES[dialect]:
        if (dialect, field, name) != ("anthropic_messages", "defaults", "max_output_tokens"):
            assert canonical(request, name) == CANONICAL[name], name
    assert not request.other


STATED = {
    "openai_chat": [{"max_tokens": 5, "temperature": 1}, {"max_completion_tokens": 5, "temperature": 1}],
    "openai_completions": [{"max_tokens": 5, "temperature": 1}],
    "openai_responses": [{"max_output_tokens": 5, "temperature": 1}],
    "anthropic_messages": [{"max_tokens": 5, "temperature": 1}],
    "gemini": [
        {"generationConfig": {"maxOutputTokens": 5, "temperature": 1}},
        {"generation_config": {"max_output_tokens": 5, "temperature": 1}},
    ],
    "bedrock_converse": [
        {"inferenceConfig": {"maxTokens": 5, "temperature": 1}},
        {"inferenceConfig": {"temperature": 1}, "additionalModelRequestFields": {"max_tokens": 5}},
    ],
}
CASES = [(dialect, stated) for dialect, several in STATED.items() for stated in several]


@pytest.mark.parametrize(("dialect", "stated"), CASES)
def test_defaults_leave_alone_what_is_stated_and_overrides_do_not(dialect, stated):
    body = {**BODIES[dialect][0], **stated}
    wanted = {"max_output_tokens": 77, "temperature": 0.25}
    call, request = asked(dialect, json.dumps(changed(dialect, body, defaults=wanted)[0]).encode())
    assert (call.max_output_tokens, request.temperature) == (5, 1)
    call, request = asked(dialect, json.dumps(changed(dialect, body, overrides=wanted)[0]).encode())
    assert (call.max_output_tokens, request.temperature) == (77, 0.25)


@pytest.mark.parametrize("dialect", sorted(BODIES))
def test_null_states_nothing(dialect):
    path = PLACES[dialect]["temperature"].path
    value: object = None
    for name in reversed(path):
        value = {name: value}
    body = {**BODIES[dialect][0], **value}
    _, request = asked(dialect, json.dumps(changed(dialect, body, defaults={"temperature": 0.25})[0]).encode())
    assert request.temperature == 0.25


def test_what_does_not_change_keeps_its_bytes():
    body = b'{"model":"m","messages":[{"role":"user","content":"\\u00e9 1e2"}],"x":1.0E+2}'
    data, _ = change(body, "openai_chat", Changes(defaults={"seed": 1}))
    assert data == body[:-1] + b',"seed":1}'


def test_words_that_a_dialect_does_not_have_are_missing():
    body = BODIES["anthropic_messages"][0]
    assert changed("anthropic_messages", body, defaults={"reasoning_effort": "none"}) == (body, ["reasoning_effort"])


@pytest.mark.parametrize(
    ("dialect", "body", "expected"),
    [
        ("openai_chat", {"messages": [{"role": "user", "content": "x"}]},
         {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "x"}]}),
        ("openai_chat", {"messages": [{"role": "developer", "content": "mine"}]},
         {"messages": [{"role": "developer", "content": "S\n\nmine"}]}),
        ("openai_chat", {"messages": [{"role": "system", "content": [{"type": "text", "text": "mine"}]}]},
         {"messages": [{"role": "system",
                        "content": [{"type": "text", "text": "S"}, {"type": "text", "text": "mine"}]}]}),
        ("openai_responses", {"input": "x"}, {"input": "x", "instructions": "S"}),
        ("openai_responses_count", {"instructions": "mine"}, {"instructions": "S\n\nmine"}),
        ("openai_completions", {"prompt": "x"}, {"prompt": "S\n\nx"}),
        ("openai_completions", {"prompt": ["x", "y"]}, {"prompt": ["S\n\nx", "S\n\ny"]}),
        ("anthropic_messages", {}, {"system": "S"}),
        ("anthropic_count", {"system": "mine"}, {"system": "S\n\nmine"}),
        ("anthropic_messages", {"system": [{"type": "text", "text": "m", "cache_control": {"type": "ephemeral"}}]},
         {"system": [{"type": "text", "text": "S"},
                     {"type": "text", "text": "m", "cache_control": {"type": "ephemeral"}}]}),
        ("gemini", {}, {"systemInstruction": {"parts": [{"text": "S"}]}}),
        ("gemini", {"system_instruction": {"parts": {"text": "m"}}},
         {"system_instruction": {"parts": [{"text": "S"}, {"text": "m"}]}}),
        ("gemini_count", {"generateContentRequest": {}},
         {"generateContentRequest": {"systemInstruction": {"parts": [{"text": "S"}]}}}),
        ("gemini_count", {"contents": []}, {"contents": []}),
        ("bedrock_converse", {"system": [{"text": "m"}]}, {"system": [{"text": "S"}, {"text": "m"}]}),
        ("openai_embeddings", {"input": "x"}, {"input": "x"}),
    ],
)  # fmt: skip
def test_instructions_come_first(dialect, body, expected):
    assert changed(dialect, body, system="S") == (expected, [])


@pytest.mark.parametrize(
    ("dialect", "body", "param"),
    [
        ("openai_completions", {"prompt": [1, 2]}, "prompt"),
        ("openai_completions", {"prompt": []}, "prompt"),
        ("openai_responses", {"instructions": 7}, "instructions"),
        ("anthropic_messages", {"system": {}}, "system"),
        ("bedrock_converse", {"system": "text"}, "system"),
        ("gemini", {"systemInstruction": "text"}, "systemInstruction"),
        ("openai_chat", {"messages": [7]}, None),
    ],
)
def test_a_place_that_is_taken_by_something_else_is_named(dialect, body, param):
    with pytest.raises(ProtocolError) as caught:
        changed(dialect, body, system="S")
    assert caught.value.param == param


def test_a_settings_object_that_is_none_is_refused():
    with pytest.raises(ProtocolError, match="generationConfig: expected an object"):
        changed("gemini", {"generationConfig": 7}, defaults={"seed": 1})


@pytest.mark.parametrize("dialect", sorted(BODIES))
@pytest.mark.parametrize("system", ["S", 'quoted "\u20ac" \n' * 50])
def test_what_is_foreseen_bounds_what_is_sent(dialect, system):
    data = json.dumps(BODIES[dialect][0]).encode()
    call = CODECS[dialect].decode_request(data, BODIES[dialect][1])
    wanted = Changes(system=system, overrides={"max_output_tokens": 77})
    foresee(call, wanted)
    sent, _ = change(data, dialect, Changes(system=system))
    assert len(sent) <= call.input_size <= len(data) + len(json.dumps(system)) + INSTRUCTION_BYTES
    assert call.max_output_tokens == 77


def test_a_bound_is_foreseen_for_every_choice_and_only_where_it_has_a_place():
    chat = json.dumps({**BODIES["openai_chat"][0], "n": 3}).encode()
    call = CODECS["openai_chat"].decode_request(chat)
    foresee(call, Changes(defaults={"max_output_tokens": 10}))
    assert call.max_output_tokens == 30
    call = CODECS["openai_embeddings"].decode_request(b'{"model":"m","input":"x"}')
    foresee(call, Changes(overrides={"max_output_tokens": 10}, system="S"))
    assert (call.max_output_tokens, call.input_size) == (0, 25)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6), st.sampled_from(sorted(BODIES)))
def test_any_body_is_changed_or_refused(body, dialect):
    try:
        data, _ = change(json.dumps(body).encode(), dialect, Changes(overrides=VALUES, system="S"))
    except ProtocolError:
        return
    again, _ = change(data, dialect, Changes(defaults=VALUES))
    assert json.loads(again) == json.loads(data)
