"""OpenAI's own SDK as the reader: what is encoded here must be what it takes for a response."""

import json

import httpx2
import openai
import pytest
from pydantic import BaseModel
from tests.unit.wire.llm.openai_responses.said import (
    CALL,
    CREATED,
    LOGPROBS,
    OTHER_CALL,
    THOUGHT,
    answer,
    events,
)

from heddle.model.call import ModelCall
from heddle.wire.canonical.answer import ChatAnswer
from heddle.wire.canonical.request import Refusal, Text, Thinking
from heddle.wire.llm.openai_responses import codec, dialect

TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}]
ANSWERS = {
    "text": answer(Text(text="Warp and weft.")),
    "two texts": answer(Text(text="Warp "), Text(text="and weft.")),
    "thinking": answer(THOUGHT, Text(text="Warp.")),
    "redacted": answer(Thinking(redacted="anthropic.eHg="), Text(text="Warp.")),
    "calls": answer(THOUGHT, Text(text="I look."), CALL, OTHER_CALL, stop="tool_use"),
    "refusal": answer(Refusal(text="I will not."), stop="refusal"),
    "length": answer(Text(text="Warp an"), stop="length"),
    "filtered": answer(Text(text="Wa"), stop="content_filter"),
    "logprobs": answer(Text(text="Hi"), logprobs=LOGPROBS),
    "nothing": answer(),
    "no usage": answer(Text(text="x"), usage=None),
}


def client(respond) -> openai.OpenAI:
    def handle(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/v1/responses"
        return respond(codec.decode_request(request.content))

    transport = httpx2.MockTransport(handle)
    return openai.OpenAI(
        api_key="k", base_url="http://mesh/v1", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def whole(given: ChatAnswer):
    def respond(call: ModelCall) -> httpx2.Response:
        body = dialect.encode_answer(given, call, CREATED)
        return httpx2.Response(200, content=body, headers={"content-type": "application/json"})

    return client(respond)


def streamed(given: ChatAnswer, parallel: bool = False, tail: bytes = b""):
    def respond(call: ModelCall) -> httpx2.Response:
        encoder = dialect.open_encoder(call, CREATED)
        said = events(given, parallel=parallel)
        data = b"".join([encoder.encode(event) for event in (said[:-1] if tail else said)]) + tail
        reader = codec.open_stream(False)
        # What is written must pass our own judgement of a whole stream, too.
        passed = reader.feed(data)
        reader.finish()
        assert (reader.failure is not None) == bool(tail)
        assert tail or passed == data
        return httpx2.Response(200, content=data, headers={"content-type": "text/event-stream"})

    return client(respond)


def stripped(response) -> dict:
    """As a dict, without what only parsing adds."""

    def clean(value):
        if isinstance(value, dict):
            return {name: clean(inner) for name, inner in value.items() if not name.startswith("parsed")}
        return [clean(inner) for inner in value] if isinstance(value, list) else value

    return clean(response.to_dict())


@pytest.mark.parametrize("name", ANSWERS)
def test_a_whole_answer(name):
    given = ANSWERS[name]
    response = whole(given).responses.create(model="m", input="hi", tools=TOOLS)
    type(response).model_validate(response.model_dump())
    texts = [part.text for part in given.choices[0].parts if isinstance(part, Text)]
    assert response.output_text == "".join(texts)
    assert response.status == ("incomplete" if name in ("length", "filtered") else "completed")


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("name", ANSWERS)
def test_the_sdk_accumulates_a_stream_to_the_whole_answer(name, parallel):
    given = ANSWERS[name]
    expected = stripped(whole(given).responses.create(model="m", input="hi", tools=TOOLS))
    # The order of items is that in which they began to speak; without parallel parts, the order of parts.
    with streamed(given, parallel).responses.stream(model="m", input="hi", tools=TOOLS) as stream:
        seen = list(stream)
    last = seen[-1]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert [event.type for event in seen[:2]] == ["response.created", "response.in_progress"]
    final = stripped(last.response)
    if not parallel:
        assert final == expected
    assert sorted(map(json.dumps, map(without_ids, final["output"]))) == sorted(
        map(json.dumps, map(without_ids, expected["output"]))
    )
    for event in seen:
        type(event).model_validate(event.model_dump(warnings=False))


def without_ids(item: dict) -> dict:
    return {name: value for name, value in item.items() if name != "id"}


def test_parallel_calls_come_in_pieces_and_do_not_mix():
    given = ANSWERS["calls"]
    with streamed(given, parallel=True).responses.stream(model="m", input="hi", tools=TOOLS) as stream:
        snapshots = {}
        for event in stream:
            if event.type == "response.function_call_arguments.delta":
                snapshots[event.item_id] = event.snapshot
        final = stream.get_final_response()
    calls = [item for item in final.output if item.type == "function_call"]
    assert [(item.call_id, item.arguments) for item in calls] == [
        (CALL.id, CALL.arguments),
        (OTHER_CALL.id, OTHER_CALL.arguments),
    ]
    assert snapshots == {item.id: item.arguments for item in calls}


class Place(BaseModel):
    at: str


def test_structured_output_is_parsed():
    given = answer(Text(text='{"at": "loom"}'))
    assert whole(given).responses.parse(model="m", input="hi", text_format=Place).output_parsed == Place(at="loom")
    with streamed(given).responses.stream(model="m", input="hi", text_format=Place) as stream:
        assert stream.get_final_response().output_parsed == Place(at="loom")


def test_usage_in_every_detail():
    usage = whole(ANSWERS["text"]).responses.create(model="m", input="hi").usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (11, 7, 18)
    assert (usage.input_tokens_details.cached_tokens, usage.input_tokens_details.cache_write_tokens) == (4, 2)
    assert usage.output_tokens_details.reasoning_tokens == 3


def test_an_error_inside_a_stream_is_raised():
    tail = codec.encode_error_event(502, "server_error", "upstream_broken", "It broke.", None)
    sdk = streamed(ANSWERS["text"], tail=tail)
    with pytest.raises(openai.APIError, match=r"It broke\."):
        list(sdk.responses.create(model="m", input="hi", stream=True))
    with pytest.raises(openai.APIError, match=r"It broke\."), sdk.responses.stream(model="m", input="hi") as stream:
        stream.get_final_response()


def test_an_error_body_is_raised_with_its_code():
    def respond(call: ModelCall) -> httpx2.Response:
        body = codec.encode_error(400, "invalid_request_error", "bad_request", "No.", "input")
        return httpx2.Response(400, content=body, headers={"content-type": "application/json"})

    with pytest.raises(openai.BadRequestError) as caught:
        client(respond).responses.create(model="m", input="hi")
    assert (caught.value.code, caught.value.param) == ("bad_request", "input")


def test_what_the_sdk_got_goes_back_as_it_was():
    given = ANSWERS["calls"]
    sdk = whole(given)
    first = sdk.responses.create(model="m", input="hi", tools=TOOLS)
    history = [item.to_dict() for item in first.output]
    body = json.dumps({"model": "m", "input": [{"role": "user", "content": "hi"}, *history]}).encode()
    request = dialect.decode_chat(body, codec.decode_request(body))
    assert request.messages[1].parts == given.choices[0].parts
