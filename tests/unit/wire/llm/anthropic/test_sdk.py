"""The real SDK reads what we write, and what it writes can be read."""

import json

import anthropic
import httpx2
import pydantic
import pytest

from heddle.model.call import Usage
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
from heddle.wire.canonical.request import Text, Thinking, ToolCall
from heddle.wire.llm.anthropic import codec, count, dialect, models

USAGE = Usage(input_tokens=1110, output_tokens=5, cached_input_tokens=1000, cache_write_tokens=100, reasoning_tokens=3)
ASKED = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


class Weather(pydantic.BaseModel):
    city: str


def client(answer, status=200, stream=False):
    """A client whose server answers with `answer(request body)`."""

    def handle(request):
        kind = "text/event-stream" if stream else "application/json"
        return httpx2.Response(
            status, headers={"content-type": kind, "request-id": "req_1"}, content=answer(request.content)
        )

    return anthropic.Anthropic(
        api_key="sk",
        base_url="http://gateway",
        max_retries=0,
        _strict_response_validation=True,
        http_client=httpx2.Client(transport=httpx2.MockTransport(handle)),
    )


def whole(*parts, stop="stop"):
    answer = ChatAnswer(id="msg_1", model="m", choices=(Choice(parts=parts, stop=stop),), usage=USAGE)
    return client(lambda body: dialect.encode_answer(answer, codec.decode_request(body), 0))


def streamed(*events):
    def answer(body):
        call = codec.decode_request(body)
        assert call.stream
        encoder = dialect.open_encoder(call, 0)
        return b"".join([encoder.encode(event) for event in events])

    return client(answer, stream=True)


def final(*events):
    with streamed(Began(id="msg_1", model="m"), *events, Used(usage=USAGE), Ended()).messages.stream(**ASKED) as stream:
        return stream.get_final_message()


def check_usage(usage):
    assert (usage.input_tokens, usage.output_tokens) == (10, 5)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (1000, 100)
    assert usage.output_tokens_details.thinking_tokens == 3


def test_plain():
    message = whole(Text(text="Hello")).messages.create(**ASKED)
    assert (message.id, message.stop_reason, message.content[0].text) == ("msg_1", "end_turn", "Hello")
    check_usage(message.usage)


def test_stream():
    message = final(
        PartBegan(index=0, kind="text"),
        PartDelta(index=0, text="Hel"),
        PartDelta(index=0, text="lo"),
        PartEnded(index=0),
        ChoiceEnded(stop="stop_sequence", stop_sequence="END"),
    )
    assert (message.content[0].text, message.stop_reason, message.stop_sequence) == ("Hello", "stop_sequence", "END")
    check_usage(message.usage)


def test_raw_events():
    events = streamed(
        Began(),
        PartBegan(index=0, kind="text"),
        PartDelta(index=0, text="a"),
        PartEnded(index=0),
        ChoiceEnded(stop="stop"),
        Ended(),
    ).messages.create(**ASKED, stream=True)
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_tools_and_thinking():
    message = whole(
        Thinking(text="hm", signature="anthropic.S"),
        Thinking(redacted="anthropic.x"),
        ToolCall(id="a", name="f", arguments='{"x": 1}'),
        stop="tool_use",
    ).messages.create(**ASKED)
    thinking, redacted, call = message.content
    assert (thinking.thinking, thinking.signature, redacted.data) == ("hm", "S", "x")
    assert (call.id, call.name, call.input, message.stop_reason) == ("a", "f", {"x": 1}, "tool_use")


def test_parallel_streamed_tools():
    message = final(
        PartBegan(index=0, kind="tool_call", id="a", name="f"),
        PartBegan(index=1, kind="tool_call", id="b", name="g"),
        PartDelta(index=0, text='{"x":'),
        PartDelta(index=1, text='{"y":[1,'),
        PartDelta(index=0, text="1}"),
        PartDelta(index=1, text="2]}"),
        PartEnded(index=1),
        PartEnded(index=0),
        ChoiceEnded(stop="tool_use"),
    )
    assert [(call.id, call.name, call.input) for call in message.content] == [
        ("a", "f", {"x": 1}),
        ("b", "g", {"y": [1, 2]}),
    ]


def test_streamed_thinking_is_replayed_as_it_was():
    message = final(
        PartBegan(index=0, kind="thinking"),
        PartDelta(index=0, text="hm"),
        PartDelta(index=0, signature="gemini.S"),
        PartEnded(index=0),
        PartBegan(index=1, kind="tool_call", id="a", name="f"),
        PartDelta(index=1, text="{}", signature="gemini.C"),
        PartEnded(index=1),
        ChoiceEnded(stop="tool_use"),
    )
    assert (message.content[0].thinking, message.content[0].signature) == ("hm", "gemini.S")
    heard = []

    def answer(body):
        heard.append(dialect.decode_chat(body, codec.decode_request(body)))
        return dialect.encode_answer(ChatAnswer(id="", model="m", choices=(Choice(),)), codec.decode_request(body), 0)

    results = [{"type": "tool_result", "tool_use_id": "a", "content": "1"}]
    replayed = [*ASKED["messages"], message.to_param(), {"role": "user", "content": results}]
    client(answer).messages.create(**{**ASKED, "messages": replayed})
    assert heard[0].messages[1].parts == (
        Thinking(text="hm", signature="gemini.S"),
        ToolCall(id="a", name="f", arguments="{}", signature="gemini.C"),
    )


def test_structured_output_is_asked_for_and_parsed():
    heard = []

    def answer(body):
        call = codec.decode_request(body)
        heard.append(dialect.decode_chat(body, call))
        choice = Choice(parts=(Text(text='{"city":"Bern"}'),))
        return dialect.encode_answer(ChatAnswer(id="a", model="m", choices=(choice,), usage=USAGE), call, 0)

    message = client(answer).messages.parse(**ASKED, output_format=Weather)
    assert message.parsed_output == Weather(city="Bern")
    assert heard[0].format.kind == "schema"
    assert json.loads(heard[0].format.schema)["properties"].keys() == {"city"}


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (413, anthropic.APIStatusError),
        (429, anthropic.RateLimitError),
        (502, anthropic.InternalServerError),
        (503, anthropic.APIStatusError),
        (529, anthropic.APIStatusError),
    ],
)
def test_errors(status, raised):
    with pytest.raises(raised, match="Not so") as caught:
        client(lambda _: codec.encode_error(status, "k", "c", "Not so.", None), status).messages.create(**ASKED)
    assert caught.value.status_code == status
    assert caught.value.request_id == "req_1"


def test_an_error_inside_a_stream_is_raised():
    def answer(body):
        begun = dialect.open_encoder(codec.decode_request(body), 0).encode(Began())
        return begun + codec.encode_error_event(529, "k", "overloaded", "Too much.", None)

    with (
        pytest.raises(anthropic.APIStatusError, match="Too much"),
        client(answer, stream=True).messages.stream(**ASKED) as s,
    ):
        s.get_final_message()


def test_counting():
    asked = {name: ASKED[name] for name in ("model", "messages")}
    counted = client(lambda body: count.estimate_count(count.decode_request(body).body)).messages.count_tokens(**asked)
    assert counted.input_tokens > 1


def test_models():
    listed = client(lambda _: models.encode_list([("a", "x"), ("b", "y")])).models.list()
    assert [(model.id, model.display_name) for model in listed] == [("a", "a"), ("b", "b")]
    assert client(lambda _: models.encode_model("a", "x")).models.retrieve("a").type == "model"
