"""The stand-ins for vendors: the vendors' own types accept what they send, whole and streamed, and they agree."""

import gzip
import json
from functools import cache
from pathlib import Path

import botocore
import pytest
from anthropic.types import Message, MessageTokensCount, RawMessageStreamEvent
from google.genai import types as google
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.unit.providers.scripted_asking import ASKING, FORMATS, events, play, whole

from heddle.providers.scripted.prose import thought, tokens
from heddle.providers.scripted.seals import fits, seal

ANTHROPIC_EVENT = TypeAdapter(RawMessageStreamEvent)
RESPONSES_EVENT = TypeAdapter(ResponseStreamEvent)
PROMPTS = {
    "plain": ("Hello there", {}),
    "tools": ("[[tools 2]] for Paris", {"tools": True}),
    "thinking": ("[[think]] Hello", {}),
    "thought tools": ("[[think it over]][[tools 3]][[say Let me see.]]", {"tools": True}),
    "hidden thinking": ("[[redact]] Hello", {}),
    "refusal": ("[[refuse]]", {}),
    "schema": ("Paris", {"schema": True}),
    "cut": ("Hello there", {"most": 16}),
    "cut tools": ("[[tools 2]] for “a long word \\ that never ends and ends”", {"tools": True, "most": 20}),
    "cached": ("Hello [[cached 100 written=50]]", {}),
}
EVERY = pytest.mark.parametrize("name", PROMPTS)
EACH = pytest.mark.parametrize("form", FORMATS)


@cache
def service() -> dict[str, dict[str, object]]:
    path = Path(botocore.__file__).parent / "data/bedrock-runtime/2023-09-30/service-2.json.gz"
    shapes: dict[str, dict[str, object]] = json.loads(gzip.decompress(path.read_bytes()))["shapes"]
    return shapes


def conforms(value, name):
    """Whether a value is of a shape of botocore's model: members known, required ones there, enumerations kept."""
    shape = service()[name]
    kind = shape["type"]
    if shape.get("document"):
        return
    if kind == "structure":
        assert isinstance(value, dict), name
        unknown = set(value) - set(shape["members"])
        assert not unknown, (name, unknown)
        assert set(shape.get("required", ())) <= set(value), (name, value)
        assert not shape.get("union") or len(value) == 1, (name, value)
        for member, inner in value.items():
            conforms(inner, shape["members"][member]["shape"])
    elif kind == "list":
        for inner in value:
            conforms(inner, shape["member"]["shape"])
    elif kind in ("integer", "long"):
        assert isinstance(value, int), name
    elif kind == "string":
        assert isinstance(value, str), name
        assert value in shape.get("enum", [value]), (name, value)


def accepts(form, answer):
    """The vendor's own type for a whole answer."""
    match form:
        case "openai_chat":
            ChatCompletion.model_validate(answer, strict=True)
        case "openai_responses":
            Response.model_validate(answer, strict=True)
        case "anthropic_messages":
            Message.model_validate(answer, strict=True)
        case "gemini":
            google.GenerateContentResponse.model_validate(answer)
        case _:
            conforms(answer, "ConverseResponse")


def accepts_event(form, event):
    match form:
        case "openai_chat":
            ChatCompletionChunk.model_validate(event, strict=True)
        case "openai_responses":
            RESPONSES_EVENT.validate_python(event, strict=True)
        case "anthropic_messages":
            if event != {"type": "ping"}:
                ANTHROPIC_EVENT.validate_python(event, strict=True)
        case "gemini":
            google.GenerateContentResponse.model_validate(event)
        case _:
            kind, value = event
            value.pop("p")
            conforms({kind: value}, "ConverseStreamOutput") if kind != "contentBlockStart" else None


@EACH
@EVERY
def test_the_vendors_own_types_accept_it(form, name):
    prompt, more = PROMPTS[name]
    accepts(form, whole(form, prompt, **more))
    for event in events(form, prompt, **more):
        accepts_event(form, event)


@EACH
@EVERY
def test_a_stream_says_what_the_whole_answer_says(form, name):
    prompt, more = PROMPTS[name]
    streamed = ASKING[form].gathered(events(form, prompt, **more))
    told = ASKING[form].told(whole(form, prompt, **more))
    # Ids are those of the request, which says whether it streams; OpenAI's seals are made for an id.
    assert [call[1:] for call in streamed.calls] == [call[1:] for call in told.calls]
    assert len({call[0] for call in streamed.calls}) in (len(streamed.calls), form == "gemini")
    assert bool(streamed.signature) == bool(told.signature)
    assert streamed._replace(calls=[], signature="") == told._replace(calls=[], signature="")


@EVERY
def test_all_formats_say_the_same(name):
    prompt, more = PROMPTS[name]
    told = [ASKING[form].told(whole(form, prompt, **more)) for form in FORMATS]
    calls = {tuple((call[1], json.dumps(call[2])) for call in one.calls) for one in told}
    assert len(calls) == 1
    if name not in ("cut", "plain", "thinking", "hidden thinking", "cached", "refusal"):
        assert len({one.text for one in told}) == 1


@EACH
def test_usage_has_the_cache_in_the_vendors_way(form):
    usage = ASKING[form].told(whole(form, "Hello [[cached 100 written=50]] [[think]]")).usage
    plain = ASKING[form].told(whole(form, "Hello")).usage
    assert usage.taken - plain.taken >= 150
    assert usage.cached == 100
    assert usage.written == (0 if form == "gemini" else 50)
    assert usage.reasoning == (0 if form == "bedrock_converse" else len(tokens(thought("Hello"))))


STATUSES = (400, 401, 403, 404, 408, 429, 500, 503, 529)


@EACH
@pytest.mark.parametrize("status", STATUSES)
def test_errors_are_the_vendors(form, status):
    script = play(form, f"[[error {status} retry-after=7]]")
    fields, body = dict(script.headers), json.loads(b"".join(step.data for step in script.steps))
    assert script.status == status
    kind, message = ASKING[form].error(fields, body)
    assert kind
    assert str(status) in message
    if form == "gemini":
        assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"} in body["error"]["details"]
    else:
        assert fields[b"retry-after"] == b"7"


@EACH
@pytest.mark.parametrize("kind", ["stall", "disconnect", "truncate", "malformed", "error 503"])
def test_faults_come_where_they_are_asked_for(form, kind):
    good = list(play(form, "Hello", stream=True).steps)
    name, _, rest = kind.partition(" ")
    steps = list(play(form, f"Hello[[{name} {rest} after=3]]", stream=True).steps)
    if name == "malformed":
        assert len(steps) == len(good) + 1
    else:
        assert len(steps) == (3 if name == "truncate" else 4)
    match name:
        case "stall":
            assert steps[-1].delay_s == float("inf")
        case "disconnect":
            assert steps[-1].data is None
        case "error":
            assert b"503" in steps[-1].data


def test_a_seal_fits_only_what_it_was_made_for():
    value = seal("anthropic thinking", "words")
    assert fits(value, "anthropic thinking", "words")
    assert not fits(value, "anthropic thinking", "word")
    assert not fits(value, "bedrock thinking", "words")
    assert not fits(value[:-4] + "AAAA", "anthropic thinking", "words")


def test_counts_are_those_of_the_answer():
    for form in ("anthropic_messages", "openai_responses", "gemini"):
        taken = ASKING[form].told(whole(form, "Hello there")).usage.taken
        assert ASKING[form].count("Hello there") == taken
    MessageTokensCount.model_validate({"input_tokens": 1}, strict=True)
