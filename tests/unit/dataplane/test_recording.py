"""What is written when a call ends: bodies where they are wanted, spans that tell of the answer, bounded memory."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from heddle.dataplane import recording
from heddle.dataplane.gateway import Door, Gateway, Runtime
from heddle.dataplane.listening import Listening
from heddle.model.call import ModelCall
from heddle.model.snapshot import (
    ApiKeyAuthn,
    KeySpec,
    ListenerSpec,
    LoggingSpec,
    ModelSpec,
    ObservabilitySpec,
    ProviderSpec,
    SinkSpec,
    Snapshot,
    TracingSpec,
)
from heddle.net.body import Body
from heddle.net.client import Client
from heddle.net.message import Peer, Reply, Request
from heddle.pipeline.assembly import Clock, Tools
from heddle.pipeline.exchange import Exchange
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.records import MAX_BODY_CHARS
from heddle.telemetry.spool import Spool
from heddle.telemetry.trace import fresh

KEY = b"sk-test-123"
LISTENER = ListenerSpec(name="llm", address="127.0.0.1", port=0, protocol="HTTP")
CHUNK = b'data: {"id":"c1","model":"m-2026","choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n'


class World:
    """One gateway over the offline model, without sockets; what it wrote is read from its spool."""

    def __init__(self, folder: Path, *, bodies: bool = False, ratio: float | None = None, keys: bool = True) -> None:
        self.folder = folder
        tracing = TracingSpec() if ratio is None else TracingSpec(enabled=True, endpoint="c:4317", sample_ratio=ratio)
        logging = LoggingSpec(sinks=(SinkSpec(type="stdout"),), bodies=bodies)
        key = KeySpec(sha256=hashlib.sha256(KEY).hexdigest(), user="alice", tenant="dev", agent="planner")
        snapshot = Snapshot(
            version="v",
            listeners=(LISTENER,),
            providers=(ProviderSpec(name="offline", type="scripted"),),
            models=(ModelSpec(name="gpt", provider="offline"), ModelSpec(name="claude-*", provider="offline")),
            authentication=(ApiKeyAuthn(keys=(key,)),) if keys else (),
            observability=ObservabilitySpec(tracing=tracing, logging=logging),
        )
        self.spool = Spool(folder / "spool", 0)
        self.spool.configure(snapshot.observability)
        self.metrics = Metrics.in_memory()
        clock = Clock(time.time, time.monotonic)
        self.client = Client()
        tools = Tools(clock, self.client, self.metrics, None, self.spool.audit, folder)  # type: ignore[arg-type]
        self.gateway = Gateway(Runtime(snapshot, tools, self.spool), tools)
        self.door = Door(self.gateway, LISTENER)

    async def call(
        self,
        prompt: str = "Say hello",
        *,
        key: bytes = KEY,
        headers: Any = (),
        path: str = "/v1/chat/completions",
        **more: Any,
    ) -> tuple[Reply, bytes]:
        """One call to its end, as a caller that reads everything."""
        asked = {"model": "gpt", "messages": [{"role": "user", "content": prompt}], **more}
        fields = [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"authorization", b"Bearer " + key),
            *headers,
        ]
        request = Request("POST", path, "", fields, Body.of(json.dumps(asked).encode()), Peer("127.0.0.1", 1, False))
        reply = await self.door.handle(request)
        if isinstance(reply.body, bytes):
            await self.turn()
            return reply, reply.body
        sent = b"".join([piece async for piece in reply.body])
        await reply.body.aclose()  # type: ignore[attr-defined]
        assert reply.ended is not None
        reply.ended(None, len(sent))
        await self.turn()
        return reply, sent

    @staticmethod
    async def turn() -> None:
        """Calls are written down at the end of the loop's turn."""
        await asyncio.sleep(0)

    def written(self, kind: str) -> list[dict[str, Any]]:
        self.spool.flush()
        paths = sorted((self.folder / "spool").glob(f"{kind}-*.jsonl"))
        return [msgspec.json.decode(line) for path in paths for line in path.read_bytes().splitlines()]


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    made: list[World] = []

    def make(**settings: Any) -> World:
        made.append(World(tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        one.spool.close()
        await one.client.close()


Make = Callable[..., World]


def streamed_text(sent: bytes) -> str:
    events = [json.loads(line[6:]) for line in sent.splitlines() if line.startswith(b"data: {")]
    return "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e["choices"])


async def test_completions_are_recorded_where_bodies_are_wanted(world: Make):
    on = world(bodies=True)
    _, whole = await on.call("Tell me of looms")
    _, streamed = await on.call("Tell me of looms", stream=True)
    first, second = on.written("access")
    assert first["response_body"] == whole.decode()
    assert json.loads(first["request_body"])["messages"][0]["content"] == "Tell me of looms"
    assert second["response_body"] == streamed_text(streamed)
    assert second["response_body"]


async def test_nothing_of_them_is_recorded_otherwise(world: Make):
    off = world(ratio=1.0)
    await off.call("planted-words")
    _, streamed = await off.call("planted-words", stream=True)
    assert streamed_text(streamed)
    said = json.dumps(off.written("access")) + json.dumps(off.written("spans"))
    assert "planted-words" not in said
    assert "response_body" not in said
    assert '"text"' not in said


async def test_streams_that_nobody_records_are_not_listened_to(world: Make):
    off = world(ratio=0.0)
    request = Request(
        "POST",
        "/v1/chat/completions",
        "",
        [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"authorization", b"Bearer " + KEY)],
        Body.of(b'{"model":"gpt","stream":true,"messages":[{"role":"user","content":"x"}]}'),
        Peer("127.0.0.1", 1, False),
    )
    reply = await off.door.handle(request)
    assert not isinstance(reply.body, Listening)
    assert reply.ended is not None
    await reply.body.aclose()  # type: ignore[union-attr]
    reply.ended(None, 0)


async def test_a_refusal_is_no_completion(world: Make):
    on = world(bodies=True)
    await on.call("[[error 500]]")
    (record,) = on.written("access")
    assert record["status"] >= 500
    assert "response_body" not in record


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_what_is_kept_of_a_stream_is_bounded():
    long = CHUNK % (b"x" * 10_000)
    listening = Listening(_pieces(*[long] * 50), "openai_chat", keep_text=True)
    assert sum([len(piece) async for piece in listening]) == 50 * len(long)
    assert MAX_BODY_CHARS < len(listening.heard.text) <= MAX_BODY_CHARS + 10_001


async def test_listening_passes_everything_on_as_it_is():
    odd = [CHUNK % b"a" + CHUNK % b"b", b": comment\n\n", b"data: [DONE]\n\n", b'data: {"choices": 7}\n\n', b"garbage"]
    listening = Listening(_pieces(*odd), "openai_chat", keep_text=True)
    assert [piece async for piece in listening] == odd
    await listening.aclose()
    assert (listening.heard.text, listening.heard.model, listening.heard.id) == ("ab", "m-2026", "c1")


@pytest.mark.parametrize("stream", [False, True])
async def test_spans_tell_which_model_answered_and_why_it_ended(world: Make, stream: bool):
    traced = world(ratio=1.0)
    await traced.call(stream=stream, max_tokens=50, n=2)
    (span,) = traced.written("spans")
    assert span["heard"]["model"] == "gpt"
    assert span["heard"]["id"].startswith("chatcmpl")
    assert span["heard"]["finish_reasons"] == ["stop", "stop"]
    assert span["max_tokens"] == 100


async def test_a_stranger_cannot_have_spans_recorded(world: Make):
    """Nor by choosing a trace id that any ratio takes, nor in either B3 form."""
    traced = world(ratio=0.0)
    low = "1" + "0" * 31
    asking = [
        [(b"traceparent", f"00-{low}-00f067aa0ba902b7-01".encode())],
        [(b"b3", b"1")],
        [(b"b3", f"{low}-00f067aa0ba902b7".encode())],
        [(b"x-b3-traceid", low.encode()), (b"x-b3-spanid", b"00f067aa0ba902b7"), (b"x-b3-flags", b"1")],
    ]
    for headers in asking:
        assert (await traced.call(key=b"sk-wrong", headers=headers))[0].status == 401
        assert (await traced.call(path="/nowhere", headers=headers))[0].status == 404
    assert traced.written("spans") == []
    assert {record["trace_id"] for record in traced.written("access")} >= {low}, "the trace goes on all the same"


async def test_nor_keep_them_from_being_recorded(world: Make):
    traced = world(ratio=1.0)
    await traced.call(key=b"sk-wrong", headers=[(b"traceparent", b"00-" + b"1" * 32 + b"-00f067aa0ba902b7-00")])
    (span,) = traced.written("spans")
    assert span["call"]["trace_id"] == "1" * 32
    assert span["parent_id"] == "00f067aa0ba902b7"


async def test_a_stranger_s_share_is_ours(world: Make):
    traced = world(ratio=0.5)
    flags = [(b"traceparent", b"00-" + b"1" * 32 + b"-00f067aa0ba902b7-01")]
    for _ in range(200):
        await traced.call(path="/nowhere", headers=flags)
    assert 50 < len(traced.written("spans")) < 150


@pytest.mark.parametrize(("ratio", "flag", "recorded"), [(0.0, b"01", 1), (1.0, b"00", 0)])
async def test_whoever_proved_who_it_is_decides(world: Make, ratio: float, flag: bytes, recorded: int):
    traced = world(ratio=ratio)
    await traced.call(headers=[(b"traceparent", b"00-" + b"1" * 32 + b"-00f067aa0ba902b7-" + flag)])
    assert len(traced.written("spans")) == recorded


async def test_an_anonymous_caller_does_not(world: Make):
    traced = world(ratio=0.0, keys=False)
    headers = [(b"traceparent", b"00-" + b"1" * 32 + b"-00f067aa0ba902b7-01")]
    assert (await traced.call(headers=headers))[0].status == 200
    assert traced.written("spans") == []


async def test_events_of_streams_are_counted(world: Make):
    made = world()
    _, sent = await made.call(stream=True, stream_options={"include_usage": True})
    events = sent.count(b"data: {")
    counter = made.metrics.counter(names.STREAM_EVENTS, model="gpt", provider="offline")
    assert counter.value == events > 3
    await made.call()
    assert counter.value == events


async def test_names_that_callers_choose_cost_bounded_memory(world: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recording, "MAX_KINDS", 50)
    made = world()
    for number in range(120):
        assert (await made.call(model=f"claude-{number}"))[0].status == 200
    kept = made.gateway.runtime.recorder._kinds
    assert 0 < len(kept) <= 50
    before = len(kept)
    assert (await made.call(model="claude-" + "x" * 200))[0].status == 200
    assert len(kept) == before
    assert made.written("access")[-1]["model"] == "claude-" + "x" * 200


def nowhere() -> Request:
    return Request("GET", "/nothing", "", [(b"host", b"127.0.0.1")], Body.of(b""), Peer("127.0.0.1", 1, False))


async def test_what_ended_is_written_down_when_its_snapshot_is_dropped_in_the_same_turn(world: Make):
    made = world()
    recorder = made.gateway.runtime.recorder
    reply = await made.door.handle(nowhere())
    assert (reply.status, recorder.inflight, made.written("access")) == (404, 1, [])
    made.gateway.runtime.close()
    assert recorder.inflight == 0
    assert [record["status"] for record in made.written("access")] == [404]


async def test_a_failure_to_record_one_call_keeps_none_of_the_others(world: Make, caplog: pytest.LogCaptureFixture):
    made = world()
    recorder = made.gateway.runtime.recorder
    broken = Exchange(nowhere(), LISTENER, "chat", fresh(0.0), 0.0)
    broken.finishers.append(lambda _: 1 / 0)
    unreadable = Exchange(nowhere(), LISTENER, "chat", fresh(0.0), 0.0)
    unreadable.trace = None  # type: ignore[assignment]
    recorder.inflight += 2
    recorder.finish(broken, 201, 0)
    recorder.finish(unreadable, 202, 0)
    await made.call()
    assert [record["status"] for record in made.written("access")] == [201, 200]
    assert recorder.inflight == 0
    assert "a call could not be settled" in caplog.text
    assert "a call could not be recorded" in caplog.text


async def test_calls_of_one_model_that_go_to_different_providers_are_told_apart(world: Make):
    made = world()
    recorder = made.gateway.runtime.recorder
    for provider, upstream in (("east", "m-1"), ("west", "m-1"), ("west", "m-2")):
        exchange = Exchange(nowhere(), LISTENER, "chat", fresh(0.0), 0.0)
        exchange.call = ModelCall(
            operation="chat", dialect="openai_chat", model="any", body=b"{}", provider=provider, upstream_model=upstream
        )
        recorder.inflight += 1
        recorder.finish(exchange, 200, 0)
    await made.turn()
    told = [(record["provider"], record["upstream_model"]) for record in made.written("access")]
    assert told == [("east", "m-1"), ("west", "m-1"), ("west", "m-2")]
