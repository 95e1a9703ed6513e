"""The backend over the real client and server: SDK -> gateway -> provider, both in this loop, on loopback.

The provider is the offline model behind the same HTTP server, so that its faults are faults of a real connection.
"""

import asyncio
import json
import socket
import struct
import time
from types import SimpleNamespace

import openai
import pytest

from heddle.backends.llm import LlmBackend
from heddle.drivers.kv.memory import MemoryStores
from heddle.model.snapshot import ListenerSpec, ProviderSpec, TimeoutSpec
from heddle.net.client import Client
from heddle.net.message import Reply
from heddle.net.server import HttpServer
from heddle.pipeline.assembly import Clock
from heddle.pipeline.errors import CallError
from heddle.pipeline.exchange import Exchange
from heddle.providers.openai import OpenAI
from heddle.providers.scripted import Scripted
from heddle.telemetry.trace import fresh
from heddle.wire.llm import openai_chat, openai_embeddings


class Node:
    """One server with one provider behind it; remembers the exchanges it answered."""

    def __init__(self, provider, spec, tools):
        self.backend = LlmBackend((spec,), {spec.name: provider}, tools)
        self.name = spec.name
        self.exchanges = []
        self.listener = ListenerSpec(name="n", address="127.0.0.1", port=0, protocol="HTTP")
        self.server = HttpServer(
            self.handle, self.listener, answer_error=lambda status, detail: self.answer(status, detail)
        )
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/v1"

    @staticmethod
    def answer(status, detail):
        body = openai_chat.encode_error(status, "server_error", "e", detail, None)
        return Reply(status, [(b"content-type", b"application/json")], body)

    async def handle(self, request):
        exchange = Exchange(request, self.listener, "chat", fresh(0.0), time.monotonic())
        self.exchanges.append(exchange)
        codec = openai_embeddings if request.path.endswith("embeddings") else openai_chat
        exchange.call = codec.decode_request(await request.body.read(1_000_000))
        exchange.call.provider = self.name
        try:
            return await self.backend.handle(exchange)
        except CallError as exc:
            exchange.reason = exc.reason
            return self.answer(exc.answer.status, exc.detail)


@pytest.fixture
async def chain():
    client = Client()
    tools = SimpleNamespace(client=client, closers=[], kv=MemoryStores(), clock=Clock(time.time, time.monotonic))
    model = ProviderSpec(name="offline", type="scripted")
    upstream = Node(Scripted(model), model, tools)
    spec = ProviderSpec(
        name="up", type="openai", base_url=upstream.url, credential="sk-upstream", timeouts=TimeoutSpec(idle_s=0.3)
    )
    gateway = Node(OpenAI(spec), spec, tools)
    for node in (upstream, gateway):
        await node.server.start(node.socket)
    async with openai.AsyncOpenAI(base_url=gateway.url, api_key="sk-caller", max_retries=0) as sdk:
        yield SimpleNamespace(upstream=upstream, gateway=gateway, sdk=sdk)
    for node in (gateway, upstream):
        node.server.stop_accepting()
        await node.server.drain(1.0)
        node.socket.close()
    await client.close()


def said(prompt):
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]}


async def collect(stream, seen):
    async for part in stream:
        seen += [part]


async def settled(node):
    """The first exchange's usage, when it is there."""
    async with asyncio.timeout(5):
        while not node.exchanges or node.exchanges[0].usage is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return node.exchanges[0].usage


async def test_whole_and_streamed_answers_agree(chain):
    whole = await chain.sdk.chat.completions.create(**said("Hello"))
    parts = [part async for part in await chain.sdk.chat.completions.create(**said("Hello"), stream=True)]
    assert "".join(part.choices[0].delta.content or "" for part in parts) == whole.choices[0].message.content
    assert all(part.choices for part in parts)
    for at_gateway, at_upstream in zip(chain.gateway.exchanges, chain.upstream.exchanges, strict=True):
        assert at_gateway.usage == at_upstream.usage
        assert at_gateway.usage.output_tokens == whole.usage.completion_tokens
        assert not at_gateway.usage.estimated
    assert chain.upstream.exchanges[0].request.header(b"authorization") == b"Bearer sk-upstream"


async def test_connections_to_the_provider_are_used_again(chain):
    for _ in range(3):
        async for _ in await chain.sdk.chat.completions.create(**said("x"), stream=True):
            pass
    assert chain.upstream.server.connection_count == 1


async def test_embeddings(chain):
    answer = await chain.sdk.embeddings.create(model="e", input=["a", "b"])  # the SDK asks for base64
    assert len(answer.data) == 2
    assert len(answer.data[0].embedding) == 1536


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        ("[[error 400]]", openai.BadRequestError),
        ("[[error 404]]", openai.NotFoundError),
        ("[[error 422]]", openai.UnprocessableEntityError),
        ("[[error 429 retry-after=2]]", openai.RateLimitError),
        ("[[error 401]]", openai.InternalServerError),
        ("[[error 500]]", openai.InternalServerError),
        ("[[error 503]]", openai.InternalServerError),
        ("[[disconnect]]", openai.InternalServerError),
    ],
)
async def test_the_sdk_raises_its_own_classes(chain, prompt, error):
    with pytest.raises(error) as caught:
        await chain.sdk.chat.completions.create(**said(prompt))
    assert caught.value.body["message"]


@pytest.mark.parametrize(
    "prompt", ["[[disconnect after=3]]", "[[truncate after=3]]", "[[stall after=3]]", "[[error 500 after=3]]"]
)
async def test_a_broken_stream_never_ends_well(chain, prompt):
    stream = await chain.sdk.chat.completions.create(**said(prompt), stream=True)
    seen = []
    with pytest.raises(openai.APIError):
        await collect(stream, seen)
    assert 0 < len(seen) <= 3
    assert (await settled(chain.gateway)).estimated


async def test_a_caller_who_leaves_stops_the_provider(chain):
    stream = await chain.sdk.chat.completions.create(**said("[[pace 20]] [[length 500]]"), stream=True)
    await anext(stream)
    await stream.close()
    assert (await settled(chain.gateway)).estimated
    assert (await settled(chain.upstream)).estimated
    assert (await settled(chain.upstream)).output_tokens < 100


async def test_a_dead_provider_is_unreachable(chain):
    chain.upstream.server.stop_accepting()
    chain.upstream.socket.close()
    with pytest.raises(openai.InternalServerError) as caught:
        await chain.sdk.chat.completions.create(**said("x"))
    assert caught.value.status_code == 503
    assert chain.gateway.exchanges[0].upstream_s == 0.0
    assert json.dumps(caught.value.body).count("sk-") == 0


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_WORDS = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Dawdling:
    """A provider that says its last word, and ends the message `after_s` later, or never."""

    def __init__(self, after_s):
        self.after_s = after_s
        self.connections = 0
        self.tasks = []

    async def serve(self, reader, writer):
        self.connections += 1
        self.tasks.append(asyncio.current_task())
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await reader.readuntil(b"}")
                writer.write(HEAD + b"%x\r\n%b\r\n" % (len(LAST_WORDS), LAST_WORDS))
                await asyncio.sleep(self.after_s)
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def leave_at_the_last_word(port):
    """Call as SDKs do that close the connection as soon as they have read `[DONE]`."""
    body = json.dumps({**said("x"), "stream": True}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await reader.readuntil(b"[DONE]")
    # What was not read yet makes the close a reset; here it always is one.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.fixture
async def dawdling(chain):
    made = []

    async def start(after_s):
        provider = Dawdling(after_s)
        server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
        made.append((server, provider.tasks))
        port = server.sockets[0].getsockname()[1]
        sender = chain.gateway.backend._senders["up"]
        sender._origin = sender._client.origin(f"http://127.0.0.1:{port}")
        return provider, int(chain.gateway.url.split(":")[2].split("/")[0])

    yield start
    for server, serving in made:
        server.close()
        for task in serving:
            task.cancel()


async def test_a_caller_that_leaves_at_the_last_word_costs_no_connection_to_the_provider(dawdling):
    provider, port = await dawdling(0.05)
    for _ in range(3):
        await leave_at_the_last_word(port)
        await asyncio.sleep(0.15)
    assert provider.connections == 1


async def test_a_provider_that_does_not_end_after_its_last_word_is_cut_off(chain, dawdling):
    _, port = await dawdling(3600)
    await leave_at_the_last_word(port)
    pool = chain.gateway.backend._senders["up"]._origin.pool
    assert pool.connection_count == 1
    async with asyncio.timeout(2):  # 0.25 s and the sweep
        while pool.connection_count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
