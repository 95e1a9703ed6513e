"""The bench must measure what it says: its mock streams, its forwarder forwards, its claims can be missed."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator

import pytest
from bench import mock_stream, sweep
from bench.bare import Downstream
from bench.figures import Result, Target, show
from bench.load import chat_body
from bench.mock_stream import EVENTS, Mock
from bench.stream import _dechunk


@pytest.fixture
async def forwarder(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The port of a bare forwarder before a mock, both in this loop."""
    monkeypatch.setattr(mock_stream, "PACE_S", 0.0001)
    loop = asyncio.get_running_loop()
    mock = await loop.create_server(Mock, "127.0.0.1", 0)
    upstream = mock.sockets[0].getsockname()[1]
    pool = deque()
    server = await loop.create_server(lambda: Downstream(upstream, pool), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    for connection in pool:
        connection.transport.close()
    server.close()
    mock.close()


async def call(port: int, body: bytes, ending: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    answer = await asyncio.wait_for(reader.readuntil(ending), 5)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_plain_call_passes_through(forwarder: int):
    answer = await call(forwarder, chat_body(), b'0123456789"}')
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert json.loads(body) == mock_stream.ANSWER


@pytest.mark.parametrize("model", ["paced", "gpt-4o-mini"])
async def test_every_event_of_a_stream_passes_through_once(forwarder: int, model: str):
    answer = await call(forwarder, chat_body(model, stream=True), b"\r\n0\r\n\r\n")
    chunks, payload = _dechunk(answer.partition(b"\r\n\r\n")[2])
    assert payload.count(b"data: {") == EVENTS
    assert payload.endswith(b"data: [DONE]\n\n")
    assert chunks == EVENTS + 1


async def test_usage_is_streamed_when_it_is_asked_for(forwarder: int):
    body = json.loads(chat_body(stream=True)) | {"stream_options": {"include_usage": True}}
    answer = await call(forwarder, json.dumps(body).encode(), b"\r\n0\r\n\r\n")
    assert answer.count(b'"usage"') == 1


def test_the_chat_body_is_one_kibibyte():
    assert 1000 <= len(chat_body()) <= 1100


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target("x", 10.0, at_most=10), True),
        (Target("x", 10.1, at_most=10), False),
        (Target("x", 1.1, at_least=1.1), True),
        (Target("x", 1.0, at_least=1.1), False),
        (Target("x", 1.0, at_least=2, at_most=3), False),
    ],
)
def test_a_claim_can_be_missed(target: Target, met: bool):
    assert target.met is met
    assert target.line().startswith("met" if met else "MISSED")


def test_a_table_is_aligned():
    result = Result("t", ["name", "us"], [["heddle", 33.333], ["litellm", 8500.0]])
    lines = result.table().splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[3] == "| litellm | 8,500 |"


def test_cells_keep_three_digits():
    assert [show(cell) for cell in (None, 1.234, 12.34, 1234.5, 1000000, "x")] == [
        "", "1.23", "12.3", "1,234", "1,000,000", "x"
    ]  # fmt: skip


def test_the_sweep_declares_as_many_of_each(tmp_path):
    config = json.loads(sweep.configuration(10, 1, tmp_path, 2, 3))
    sizes = {
        len(config["llm"]["models"]),
        len(config["security"]["authentication"]["keys"]),
        len(config["authorization"]["policies"]),
    }
    assert sizes == {10}
