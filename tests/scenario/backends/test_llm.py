"""Calls from bytes to bytes through the LLM backend, with a client whose answers are written down and no sockets."""

import asyncio
import gzip
import json
from types import SimpleNamespace

import pytest

from heddle.backends import llm as llm_module
from heddle.backends import relay as relay_module
from heddle.backends.llm import LlmBackend
from heddle.drivers.kv.memory import MemoryStores
from heddle.model.call import Usage
from heddle.model.snapshot import ListenerSpec, ModelSpec, ProviderSpec, RetrySpec, TargetSpec, TimeoutSpec
from heddle.net.body import Body
from heddle.net.errors import ConnectFailed, UpstreamClosed, UpstreamProtocolError, UpstreamTimeout
from heddle.net.message import Peer, Request
from heddle.pipeline.assembly import Clock
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.providers.openai import OpenAI
from heddle.providers.scripted import Scripted
from heddle.telemetry.trace import SpanContext
from heddle.traffic.health import MAX_COOLDOWN_S
from heddle.traffic.targets import Chooser
from heddle.wire.llm import openai_chat, openai_embeddings

SECRET = "sk-upstream-secret"
SPEC = ProviderSpec(name="up", type="openai", base_url="http://up.test/v1", credential=SECRET)
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
ANSWER = json.dumps({"id": "c", "choices": [{"message": {"content": "hi"}}], "usage": USAGE}).encode()
JSON_FIELDS = [(b"content-type", b"application/json"), (b"set-cookie", b"a=b"), (b"x-request-id", b"req_1")]
SSE_FIELDS = [(b"content-type", b"text/event-stream"), (b"set-cookie", b"a=b"), (b"x-request-id", b"req_1")]


class FakeInbound:
    """What a client hands back: pieces arrive at once, or after they are `feed`ed."""

    def __init__(self, status, headers, pieces=(), error=None, ended=True):
        self.status = status
        self.headers = headers
        self.body = Body()
        self.closed = False
        for piece in pieces:
            self.body.feed(piece)
        if error is not None:
            self.body.fail(error)
        elif ended:
            self.body.finish()

    def close(self):
        self.closed = True

    def let_end(self, within_s):
        self.left_s = within_s


class FakeClient:
    def __init__(self, answer):
        self.answer = answer
        self.sent = []

    def origin(self, base_url, *, ca_file="", proxy="", max_connections=1000, owner=""):
        return base_url

    async def send(self, origin, request, timeouts, deadline_s=0.0):
        self.sent.append(request)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Ticks:
    """A clock that advances by one second whenever it is read."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        self.now_s += 1.0
        return self.now_s


def backend(answer, spec=SPEC, provider=None):
    client = FakeClient(answer)
    tools = SimpleNamespace(
        client=client, closers=[], kv=MemoryStores(), clock=Clock(now=lambda: 1e9, monotonic=Ticks())
    )
    return LlmBackend((spec,), {spec.name: provider or OpenAI(spec)}, tools), client


def exchange(codec=openai_chat, upstream_model="", headers=(), **fields):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello you"}], **fields}).encode()
    request = Request("POST", "/v1/chat/completions", "", list(headers), Body.of(body), Peer("127.0.0.1", 1, False))
    listener = ListenerSpec(name="llm", address="127.0.0.1", port=0, protocol="HTTP")
    made = Exchange(request, listener, "chat", SpanContext("1" * 32, "2" * 16), 0.0)
    made.call = codec.decode_request(body)
    made.call.provider = "up"
    made.call.upstream_model = upstream_model
    return made


def chunk(content=None, finish=None, **more):
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


USAGE_CHUNK = b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\n"
DONE = b"data: [DONE]\n\n"
STREAM = [chunk("Hel"), chunk("lo"), chunk(finish="stop"), USAGE_CHUNK, DONE]


async def collect(reply):
    """Everything a stream sends, and the error it ends with."""
    sent = []
    try:
        async for data in reply.body:
            sent += [data]
    except CallError as exc:
        return sent, exc
    finally:
        await reply.body.aclose()
    return sent, None


async def refused(answer, **fields):
    made = exchange(**fields)
    with pytest.raises(CallError) as caught:
        await backend(answer)[0].handle(made)
    assert SECRET not in f"{caught.value} {caught.value.detail}"
    return caught.value, made


# Whole answers


async def test_a_call_is_forwarded_as_it_came():
    handler, client = backend(FakeInbound(200, JSON_FIELDS, [ANSWER]))
    made = exchange(headers=[(b"authorization", b"Bearer sk-caller"), (b"cookie", b"a"), (b"openai-beta", b"x")])
    reply = await handler.handle(made)
    assert (reply.status, reply.body) == (200, ANSWER)
    assert reply.headers == [(b"content-type", b"application/json"), (b"x-request-id", b"req_1")]
    assert made.usage == Usage(input_tokens=7, output_tokens=3)
    assert 0 < made.upstream_s < made.first_byte_s
    (sent,) = client.sent
    assert (sent.method, sent.target, sent.body) == ("POST", b"/v1/chat/completions", made.call.body)
    assert sent.body is made.call.body
    written = [line.split(b": ", 1) for line in sent.lines.split(b"\r\n") if line]
    fields = {**dict(sent.headers), **dict(written)}
    assert fields[b"authorization"] == b"Bearer " + SECRET.encode()
    assert fields[b"openai-beta"] == b"x"
    assert fields[b"traceparent"] == b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-00"
    assert b"cookie" not in fields


async def test_a_renamed_model_changes_only_the_model():
    handler, client = backend(FakeInbound(200, JSON_FIELDS, [ANSWER]))
    made = exchange(upstream_model="other")
    await handler.handle(made)
    assert json.loads(client.sent[0].body) == {**json.loads(made.call.body), "model": "other"}
    handler, client = backend(FakeInbound(200, JSON_FIELDS, [ANSWER]))
    made = exchange(upstream_model="m")
    await handler.handle(made)
    assert client.sent[0].body is made.call.body


async def test_an_answer_in_pieces_and_compressed_against_our_wish():
    packed = gzip.compress(ANSWER)
    inbound = FakeInbound(200, [*JSON_FIELDS, (b"content-encoding", b"gzip")], [packed[:9], packed[9:]])
    reply = await backend(inbound)[0].handle(exchange())
    assert reply.body == ANSWER
    assert b"content-encoding" not in dict(reply.headers)


async def test_a_compression_bomb_is_refused():
    bomb = gzip.compress(b"0" * 30_000_000)
    error, _ = await refused(FakeInbound(200, [*JSON_FIELDS, (b"content-encoding", b"gzip")], [bomb]))
    assert error.reason is Reason.UPSTREAM_ERROR


async def test_an_answer_without_usage_is_estimated():
    made = exchange()
    await backend(FakeInbound(200, JSON_FIELDS, [b'{"choices":[{"message":{"content":"12345678"}}]}']))[0].handle(made)
    assert made.usage == Usage(input_tokens=-(-len(made.call.body) // 4), output_tokens=2, estimated=True)


@pytest.mark.parametrize("body", [b"<html>", b"", b"{}", b'{"choices":', b"data: [DONE]\n\n"])
async def test_an_answer_that_cannot_be_read_is_the_providers_fault(body):
    error, made = await refused(FakeInbound(200, JSON_FIELDS, [body]))
    assert error.reason is Reason.UPSTREAM_ERROR
    assert made.upstream_s > 0


async def test_an_endless_answer_is_bounded(monkeypatch):
    monkeypatch.setattr("heddle.backends.attempts.MAX_ANSWER_BYTES", 1000)
    inbound = FakeInbound(200, JSON_FIELDS, [b"x" * 1001])
    error, _ = await refused(inbound)
    assert error.reason is Reason.UPSTREAM_ERROR
    assert inbound.closed


async def test_embeddings_go_through():
    answer = b'{"data":[],"usage":{"prompt_tokens":4,"total_tokens":4}}'
    handler, client = backend(FakeInbound(200, JSON_FIELDS, [answer]))
    made = exchange(openai_embeddings, input="x")
    assert (await handler.handle(made)).body == answer
    assert made.usage == Usage(input_tokens=4)
    assert client.sent[0].target == b"/v1/embeddings"


# Failures before an answer


@pytest.mark.parametrize(
    ("error", "reason", "sent"),
    [
        (ConnectFailed("refused"), Reason.UPSTREAM_UNREACHABLE, False),
        (UpstreamTimeout("connect"), Reason.UPSTREAM_UNREACHABLE, False),
        (UpstreamClosed(sent=False), Reason.UPSTREAM_UNREACHABLE, False),
        (UpstreamClosed(sent=True), Reason.UPSTREAM_BROKEN, True),
        (UpstreamTimeout("first_byte"), Reason.UPSTREAM_TIMEOUT, True),
        (UpstreamTimeout("total"), Reason.UPSTREAM_TIMEOUT, True),
        (UpstreamProtocolError("bad status line"), Reason.UPSTREAM_BROKEN, True),
    ],
)
async def test_network_failures_have_reasons(error, reason, sent):
    caught, made = await refused(error)
    assert caught.reason is reason
    assert (made.upstream_s > 0) is sent
    assert made.usage is None


async def test_a_provider_without_its_credential_is_not_called():
    spec = ProviderSpec(name="up", type="openai", credential_error="secret `k` is not set")
    handler, client = backend(FakeInbound(200, JSON_FIELDS, [ANSWER]), spec)
    with pytest.raises(CallError) as caught:
        await handler.handle(exchange())
    assert caught.value.reason is Reason.PROVIDER_UNCONFIGURED
    assert "secret `k` is not set" in caught.value.detail
    assert client.sent == []


async def test_a_caller_who_leaves_while_waiting_closes_the_upstream():
    inbound = FakeInbound(200, JSON_FIELDS, ended=False)
    task = asyncio.ensure_future(backend(inbound)[0].handle(exchange()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert inbound.closed


# Error answers

MINE = json.dumps({"error": {"message": "max_tokens is too large", "type": "invalid_request_error"}}).encode()


@pytest.mark.parametrize("status", [400, 404, 413, 422, 429])
async def test_the_callers_mistakes_come_back_as_the_provider_said_them(status):
    fields = [*JSON_FIELDS, (b"retry-after", b"2"), (b"x-ratelimit-reset-requests", b"6m0s")]
    made = exchange()
    reply = await backend(FakeInbound(status, fields, [MINE]))[0].handle(made)
    assert (reply.status, reply.body) == (status, MINE)
    assert (b"retry-after", b"2") in reply.headers
    assert ((b"x-ratelimit-reset-requests", b"6m0s") in reply.headers) is (status == 429)
    assert b"set-cookie" not in dict(reply.headers)
    assert (made.usage, made.reason) == (Usage(), Reason.UPSTREAM_ERROR)


@pytest.mark.parametrize(
    ("status", "shown"), [(401, 502), (403, 502), (500, 500), (503, 503), (529, 529), (302, 502), (201, 502)]
)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_not_the_callers_fault_is_said_in_our_words(status, shown, stream):
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {SECRET}"}}).encode()
    made = exchange(stream=stream)
    reply = await backend(FakeInbound(status, JSON_FIELDS, [body]))[0].handle(made)
    assert reply.status == shown
    assert SECRET.encode() not in reply.body
    error = json.loads(reply.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("server_error", "upstream_error")
    assert SECRET not in made.detail
    assert made.detail


async def test_an_error_body_that_is_huge_or_cut_is_replaced():
    for inbound in (
        FakeInbound(400, JSON_FIELDS, [b"x" * 70_000]),
        FakeInbound(400, JSON_FIELDS, [b'{"err'], error=UpstreamClosed(sent=True)),
    ):
        reply = await backend(inbound)[0].handle(exchange())
        assert reply.status == 400
        assert json.loads(reply.body)["error"]["code"] == "upstream_error"
        assert inbound.closed


# Streams


async def test_a_stream_is_asked_for_its_usage_and_the_caller_does_not_see_it():
    inbound = FakeInbound(200, SSE_FIELDS, [b"".join(STREAM)])
    handler, client = backend(inbound)
    made = exchange(stream=True)
    reply = await handler.handle(made)
    sent, error = await collect(reply)
    assert (b"".join(sent), error) == (b"".join(STREAM).replace(USAGE_CHUNK, b""), None)
    assert dict(reply.headers)[b"content-type"].startswith(b"text/event-stream")
    assert b"set-cookie" not in dict(reply.headers)
    assert json.loads(client.sent[0].body)["stream_options"] == {"include_usage": True}
    assert made.usage == Usage(input_tokens=7, output_tokens=3)
    assert made.first_byte_s > made.upstream_s > 0


async def test_a_caller_who_asks_for_usage_gets_it_and_its_bytes_are_not_touched():
    handler, client = backend(FakeInbound(200, SSE_FIELDS, [b"".join(STREAM)]))
    made = exchange(stream=True, stream_options={"include_usage": True})
    sent, error = await collect(await handler.handle(made))
    assert (b"".join(sent), error) == (b"".join(STREAM), None)
    assert client.sent[0].body is made.call.body


async def test_a_provider_that_cannot_be_asked_for_usage_is_estimated():
    spec = ProviderSpec(name="up", type="openai", base_url="http://up.test/v1", options={"stream_usage": False})
    handler, client = backend(FakeInbound(200, SSE_FIELDS, [chunk("12345678"), chunk(finish="stop"), DONE]), spec)
    made = exchange(stream=True)
    await collect(await handler.handle(made))
    assert client.sent[0].body is made.call.body
    assert (made.usage.output_tokens, made.usage.estimated) == (2, True)


async def test_one_chunk_goes_out_for_each_that_comes_in():
    inbound = FakeInbound(200, SSE_FIELDS, [STREAM[0]], ended=False)
    reply = await backend(inbound)[0].handle(exchange(stream=True))
    assert await anext(reply.body) == STREAM[0]
    inbound.body.feed(STREAM[1] + STREAM[2])
    assert await anext(reply.body) == STREAM[1] + STREAM[2]
    inbound.body.feed(USAGE_CHUNK + DONE[:5])
    inbound.body.feed(DONE[5:])
    inbound.body.finish()
    assert await anext(reply.body) == DONE
    with pytest.raises(StopAsyncIteration):
        await anext(reply.body)


@pytest.mark.parametrize(
    ("pieces", "error", "reason"),
    [
        ([chunk("12345678")], UpstreamClosed(sent=True), Reason.UPSTREAM_BROKEN),
        ([chunk("12345678")], UpstreamTimeout("idle"), Reason.UPSTREAM_TIMEOUT),
        ([chunk("12345678")], UpstreamProtocolError("bad chunk"), Reason.UPSTREAM_BROKEN),
        ([chunk("12345678")], None, Reason.UPSTREAM_BROKEN),
        ([chunk("12345678"), b'data: {"choi'], None, Reason.UPSTREAM_BROKEN),
        ([chunk("12345678"), DONE], None, Reason.UPSTREAM_BROKEN),
        ([chunk("12345678"), b'data: {"error":{"message":"sk-upstream-secret"}}\n\n'], None, Reason.UPSTREAM_BROKEN),
        ([chunk("12345678"), b"data: <html>\n\n"], None, Reason.UPSTREAM_BROKEN),
    ],
)
async def test_a_stream_that_breaks_ends_with_an_error_and_is_cut(pieces, error, reason):
    inbound = FakeInbound(200, SSE_FIELDS, pieces, error)
    made = exchange(stream=True)
    sent, raised = await collect(await backend(inbound)[0].handle(made))
    assert b"".join(sent[:-1]) == chunk("12345678")
    last = json.loads(sent[-1].removeprefix(b"data: "))["error"]
    assert set(last) == {"message", "type", "param", "code"}
    assert last["code"] == reason.value
    assert raised.reason is reason
    assert b"[DONE]" not in b"".join(sent)
    assert SECRET.encode() not in b"".join(sent)
    assert made.usage == Usage(input_tokens=-(-len(made.call.body) // 4), output_tokens=2, estimated=True)
    assert inbound.closed


@pytest.mark.parametrize(
    ("pieces", "error", "reason"),
    [
        ([], UpstreamClosed(sent=True), Reason.UPSTREAM_BROKEN),
        ([], UpstreamTimeout("idle"), Reason.UPSTREAM_TIMEOUT),
        ([], None, Reason.UPSTREAM_BROKEN),
        ([b'data: {"error":{"type":"server_error"}}\n\n'], None, Reason.UPSTREAM_BROKEN),
        ([DONE], None, Reason.UPSTREAM_BROKEN),
    ],
)
async def test_a_stream_that_fails_before_its_first_event_gets_a_status(pieces, error, reason):
    inbound = FakeInbound(200, SSE_FIELDS, pieces, error)
    caught, _ = await refused(inbound, stream=True)
    assert caught.reason is reason
    assert inbound.closed


@pytest.mark.parametrize(
    "fields", [JSON_FIELDS, [(b"content-type", b"text/html")], [], [*SSE_FIELDS, (b"content-encoding", b"gzip")]]
)
async def test_what_is_not_a_stream_is_refused(fields):
    inbound = FakeInbound(200, fields, [ANSWER])
    caught, _ = await refused(inbound, stream=True)
    assert caught.reason is Reason.UPSTREAM_ERROR
    assert inbound.closed


async def test_a_caller_who_leaves_a_stream_closes_the_upstream_at_once():
    inbound = FakeInbound(200, SSE_FIELDS, [chunk("12345678")], ended=False)
    made = exchange(stream=True)
    reply = await backend(inbound)[0].handle(made)
    await anext(reply.body)
    waiting = asyncio.ensure_future(anext(reply.body))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert inbound.closed
    assert (made.usage.output_tokens, made.usage.estimated) == (2, True)


async def test_a_reply_that_was_never_read_is_settled_by_aclose():
    inbound = FakeInbound(200, SSE_FIELDS, [chunk("12345678")], ended=False)
    made = exchange(stream=True)
    reply = await backend(inbound)[0].handle(made)
    assert made.usage is None
    await reply.body.aclose()
    assert inbound.closed
    assert made.usage.estimated
    with pytest.raises(StopAsyncIteration):
        await anext(reply.body)


async def test_usage_seen_before_leaving_is_not_an_estimate():
    inbound = FakeInbound(200, SSE_FIELDS, [b"".join(STREAM[:4])], ended=False)
    made = exchange(stream=True)
    reply = await backend(inbound)[0].handle(made)
    await reply.body.aclose()
    assert made.usage == Usage(input_tokens=7, output_tokens=3)


async def test_an_upstream_that_keeps_talking_after_the_end_does_not_hold_the_caller(monkeypatch):
    monkeypatch.setattr(relay_module, "DRAIN_S", 0.01)
    inbound = FakeInbound(200, SSE_FIELDS, [b"".join(STREAM)], ended=False)
    sent, error = await collect(await backend(inbound)[0].handle(exchange(stream=True)))
    assert error is None
    assert sent[-1].endswith(DONE)
    assert inbound.closed


# The offline model, played


def offline(**timeouts):
    spec = ProviderSpec(name="up", type="scripted", timeouts=TimeoutSpec(**timeouts))
    return backend(None, spec, Scripted(spec))[0]


def asking(prompt, **fields):
    return exchange(messages=[{"role": "user", "content": prompt}], **fields)


async def test_the_offline_model_is_a_provider_like_any_other():
    made = asking("[[say one two]]", stream=True)
    sent, error = await collect(await offline().handle(made))
    assert error is None
    assert sent[-1] == DONE
    assert made.usage == Usage(input_tokens=4 + 4, output_tokens=2)
    assert b'"choices":[],' not in b"".join(sent)
    reply = await offline().handle(made := asking("[[say one two]]"))
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "one two"
    assert made.usage.output_tokens == 2


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("[[disconnect]]", Reason.UPSTREAM_BROKEN),
        ("[[stall]]", Reason.UPSTREAM_TIMEOUT),
        ("[[truncate]]", Reason.UPSTREAM_BROKEN),
        ("[[delay 60]]", Reason.UPSTREAM_TIMEOUT),
    ],
)
async def test_faults_before_the_answer_have_a_status(prompt, reason):
    with pytest.raises(CallError) as caught:
        await offline(first_byte_s=0.01).handle(asking(prompt, stream=True))
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("[[disconnect after=3]]", Reason.UPSTREAM_BROKEN),
        ("[[stall after=3]]", Reason.UPSTREAM_TIMEOUT),
        ("[[truncate after=3]]", Reason.UPSTREAM_BROKEN),
        ("[[malformed after=3]]", Reason.UPSTREAM_BROKEN),
        ("[[error 500 after=3]]", Reason.UPSTREAM_BROKEN),
    ],
)
async def test_faults_inside_the_answer_break_it(prompt, reason):
    made = asking(prompt, stream=True)
    sent, error = await collect(await offline(idle_s=0.01).handle(made))
    assert error.reason is reason
    assert b'{"error":' in sent[-1]
    assert made.usage.estimated


async def test_scripted_errors_keep_their_status_and_form():
    reply = await offline().handle(made := asking("[[error 429 retry-after=2]]"))
    assert reply.status == 429
    assert (b"retry-after", b"2") in reply.headers
    assert json.loads(reply.body)["error"]["code"] == "rate_limit_exceeded"
    assert made.usage == Usage()


async def test_a_whole_answer_cut_in_the_middle_is_not_an_answer():
    with pytest.raises(CallError) as caught:
        await offline().handle(asking("[[disconnect after=1]]"))
    assert caught.value.reason is Reason.UPSTREAM_BROKEN


async def test_a_call_of_a_kind_the_provider_does_not_serve():
    spec = ProviderSpec(name="up", type="scripted")
    provider = SimpleNamespace(dialects=frozenset({"openai_chat"}), speaks="", play=None)
    handler, _ = backend(None, spec, provider)
    with pytest.raises(CallError) as caught:
        await handler.handle(exchange(openai_embeddings, input="x"))
    assert caught.value.reason is Reason.BAD_REQUEST


def test_a_provider_that_cannot_be_built_is_a_value_error():
    with pytest.raises(ValueError, match="base_url"):
        OpenAI(ProviderSpec(name="up", type="openai", base_url="nonsense"))


# Targets


@pytest.mark.parametrize(
    ("status", "retry_after", "rest_s"),
    [(429, b"7", 7), (429, b"80000", MAX_COOLDOWN_S), (503, b"80000", MAX_COOLDOWN_S), (429, b"0", 0), (503, b"0", 30)],
)
async def test_a_target_is_left_alone_as_long_as_it_asks_within_a_bound(status, retry_after, rest_s):
    client = FakeClient(FakeInbound(status, [(b"retry-after", retry_after)], [b"{}"]))
    clock = Clock(now=lambda: 1e9, monotonic=lambda: 50.0)
    tools = SimpleNamespace(client=client, closers=[], kv=MemoryStores(), clock=clock)
    model = ModelSpec(name="m", targets=(TargetSpec(provider="up"),), retry=RetrySpec(cooldown_after=1))
    chooser = Chooser((model,), lambda target, of: None, clock.monotonic, lambda: 0.5)
    made = exchange()
    made.call.entry, made.call.targets = "m", tuple(chooser.order("m", "m", None))
    reply = await LlmBackend((SPEC,), {"up": OpenAI(SPEC)}, tools, chooser=chooser).handle(made)
    assert reply.status == status
    key = made.call.targets[0].key
    assert not chooser.health.resting(key, 50.0 + rest_s)
    assert rest_s == 0 or chooser.health.resting(key, 49.9 + rest_s)


@pytest.mark.parametrize(
    ("field", "value", "waits"),
    [
        (b"x-heddle-timeout-s", b"3", False),
        (b"x-stainless-timeout", b"3", False),
        (b"x-stainless-read-timeout", b"3.5", False),
        (b"x-server-timeout", b"3", False),
        (b"x-server-timeout", b"30", True),
        (b"x-stainless-timeout", b"nan", True),
        (b"x-stainless-timeout", b"-1", True),
        (b"x-stainless-timeout", b"1e999", True),
        (b"x-stainless-timeout", b"\xff", True),
    ],
)
async def test_nothing_is_tried_again_that_the_caller_would_not_wait_for(field, value, waits, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(llm_module.asyncio, "sleep", sleep)
    client = FakeClient(FakeInbound(503, [(b"retry-after", b"5")], [b"{}"]))
    clock = Clock(now=lambda: 1e9, monotonic=lambda: 0.0)
    tools = SimpleNamespace(client=client, closers=[], kv=MemoryStores(), clock=clock)
    model = ModelSpec(name="m", provider="up", retry=RetrySpec(same_target=True, attempts=2, budget=1.0))
    chooser = Chooser((model,), lambda target, of: None, clock.monotonic, lambda: 0.5)
    made = exchange(headers=[(field, value)])
    made.call.entry, made.call.targets = "m", tuple(chooser.order("m", "m", None))
    reply = await LlmBackend((SPEC,), {"up": OpenAI(SPEC)}, tools, chooser=chooser).handle(made)
    assert reply.status == 503
    assert slept == ([5.0] if waits else [])
    assert len(client.sent) == 1 + waits
