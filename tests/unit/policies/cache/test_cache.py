"""What is answered from the cache, what is kept for whom, and what is never."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from heddle.drivers.kv.memory import MemoryStores
from heddle.model.call import ModelCall, Usage
from heddle.model.principal import ANONYMOUS, Principal
from heddle.model.snapshot import ModelSpec, Snapshot
from heddle.model.snapshot_caching import CacheSpec
from heddle.model.snapshot_match import MatchSpec
from heddle.net.message import Reply
from heddle.pipeline.assembly import Clock
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Phase
from heddle.policies import cache
from heddle.policies.cache import build
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics

ALICE = Principal(method="api_key", tenant="dev", user="alice", agent="planner", key_id="key-a")
BOB = Principal(method="api_key", tenant="dev", user="bob", agent="coder", key_id="key-b")
EVE = Principal(method="api_key", tenant="other", user="eve", agent="spy", key_id="key-e")
RULE = CacheSpec(name="all", ttl_s=60)
USAGE = Usage(input_tokens=7, output_tokens=5)


class Body:
    """A stream."""

    def __init__(self, pieces: list[bytes], poured: bool) -> None:
        self._pieces = list(pieces)
        self.closed = False
        if poured:
            self.pour = self._pour

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        await asyncio.sleep(0)
        return self._pieces.pop(0)

    async def _pour(self, write: Callable[[bytes], Any]) -> None:
        async for piece in self:
            write(piece)

    async def aclose(self) -> None:
        self.closed = True


class World:
    """A policy around a provider that counts."""

    def __init__(self, *rules: CacheSpec, models: tuple[ModelSpec, ...] = ()) -> None:
        self.now = 1_700_000_000.0
        self.metrics = Metrics.in_memory()
        self.stores = MemoryStores(lambda: self.now)
        self.tools: Any = SimpleNamespace(
            clock=Clock(lambda: self.now, lambda: self.now), kv=self.stores, metrics=self.metrics
        )
        self.calls = 0
        self.gate: Callable[[], Awaitable[None]] | None = None
        self.status, self.poured, self.cut = 200, False, False
        self.extra: dict[str, Any] = {}
        self.notes: list[tuple[bytes, bytes]] = []
        self.build(*(rules or (RULE,)), models=models)

    def build(self, *rules: CacheSpec, models: tuple[ModelSpec, ...] = ()) -> None:
        policy = build(Snapshot(version="v", caching=rules, models=models), self.tools)
        assert policy is not None
        self.policy = policy
        self.handler = policy.wrap(self._answer)

    async def _answer(self, exchange: Any) -> Reply:
        self.calls += 1
        number = self.calls
        if self.gate is not None:
            await self.gate()
        exchange.call.body = b"{}"
        exchange.usage = USAGE
        fields = [(b"content-type", b"application/json"), *self.notes]
        if not exchange.call.stream:
            return Reply(self.status, fields, whole(f"answer {number}", **self.extra))
        pieces = streamed(f"answer {number}")
        return Reply(self.status, fields, Body(pieces[:-1] if self.cut else pieces, self.poured))

    async def ask(
        self, content: str = "hi", who: Principal = ALICE, headers: dict[bytes, bytes] | None = None, **fields: Any
    ) -> "Asked":
        body = {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": content}], **fields}
        call = ModelCall(
            operation=fields.pop("operation", "chat"),
            dialect=fields.pop("dialect", "openai_chat"),
            model="m",
            body=json.dumps({k: v for k, v in body.items() if k not in ("operation", "dialect")}).encode(),
            stream=bool(fields.get("stream")),
            choices=fields.get("n", 1),
            include_usage=True,
            entry="m",
            provider="p",
            upstream_model="u",
        )
        found = headers or {}
        request = SimpleNamespace(header=found.get, fields=lambda: found)
        exchange: Any = SimpleNamespace(
            call=call, principal=who, request=request, usage=None, reason=None, cache="", finishers=[]
        )
        reply = await self.handler(exchange)
        return Asked(exchange, reply)

    async def say(self, content: str = "hi", who: Principal = ALICE, **fields: Any) -> tuple[str, str]:
        """The text that the caller gets, and what the header says."""
        asked = await self.ask(content, who, **fields)
        return await asked.text(), asked.header(b"x-heddle-cache")


class Asked:
    def __init__(self, exchange: Any, reply: Reply) -> None:
        self.exchange, self.reply = exchange, reply

    def header(self, name: bytes) -> str:
        return dict(self.reply.headers).get(name, b"").decode()

    async def data(self) -> bytes:
        body: Any = self.reply.body
        if isinstance(body, bytes):
            return body
        pieces: list[bytes] = []
        pour = getattr(body, "pour", None)
        if pour is not None:
            await pour(pieces.append)
        else:
            pieces = [piece async for piece in body]
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()
        return b"".join(pieces)

    async def text(self) -> str:
        data = await self.data()
        if isinstance(self.reply.body, bytes):
            return str(json.loads(data)["choices"][0]["message"]["content"])
        chunks = [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: {")]
        return "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk.get("choices", ()))


def whole(content: str, **message: Any) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": "stop",
        "logprobs": None,
    }
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    return json.dumps(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    ).encode()


def streamed(content: str) -> list[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        said = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        return b"data: %b\n\n" % json.dumps(said).encode()

    parts = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": one}) for one in content)]
    return [*parts, chunk({}, "stop"), b"data: [DONE]\n\n"]


def test_without_rules_there_is_no_policy():
    assert build(Snapshot(version="v"), SimpleNamespace()) is None  # type: ignore[arg-type]


def test_it_stands_inside_of_guards_and_limits():
    assert Phase.AUTHORIZE < Phase.LIMIT < Phase.GUARD < World().policy.phase < Phase.TRANSFORM


async def test_the_same_question_is_asked_once():
    world = World()
    first = await world.ask()
    assert (await first.text(), first.header(b"x-heddle-cache"), first.header(b"age")) == ("answer 1", "miss", "")
    world.now += 7
    second = await world.ask()
    assert (await second.text(), second.header(b"x-heddle-cache"), second.header(b"age")) == ("answer 1", "hit", "7")
    assert await second.data() == await first.data()
    assert world.calls == 1
    assert second.exchange.usage == Usage()
    assert (first.exchange.cache, second.exchange.cache) == ("miss", "hit")
    assert world.metrics.counter(names.CACHE_CALLS, cache="all", model="m", result="hit").value == 1
    assert world.metrics.counter(names.CACHE_SAVED_TOKENS, cache="all", model="m", type="output").value == 5
    assert (await world.say("something else"))[0] == "answer 2"


async def test_an_answer_ends():
    world = World()
    await world.say()
    world.now += 59
    assert (await world.say())[1] == "hit"
    world.now += 2
    assert await world.say() == ("answer 2", "miss")


async def test_a_rule_that_became_stricter_holds_for_what_was_kept_before():
    world = World()
    await world.say()
    world.now += 10
    world.build(CacheSpec(name="all", ttl_s=5))
    assert (await world.say())[1] == "miss"


@pytest.mark.parametrize("poured", [False, True])
async def test_streams_and_whole_answers_share(poured: bool):
    world = World()
    world.poured = poured
    assert await world.say(stream=True) == ("answer 1", "miss")
    asked = await world.ask(stream=True)
    data = await asked.data()
    assert asked.header(b"content-type").startswith("text/event-stream")
    assert data.endswith(b"data: [DONE]\n\n")
    assert b'"completion_tokens":5' in data
    assert await world.say(stream=True, stream_options={"include_usage": True}) == ("answer 1", "hit")
    assert await world.say() == ("answer 1", "hit")
    await world.say("other")
    assert await world.say("other", stream=True) == ("answer 2", "hit")
    assert world.calls == 2


@pytest.mark.parametrize("poured", [False, True])
async def test_half_a_stream_is_not_kept(poured: bool):
    world = World()
    world.poured, world.cut = poured, True
    await world.say(stream=True)
    world.cut = False
    assert await world.say() == ("answer 2", "miss")


async def test_a_stream_that_its_caller_left_is_not_kept():
    world = World()
    asked = await world.ask(stream=True)
    body: Any = asked.reply.body
    await body.__anext__()
    await body.aclose()
    assert (await world.say())[1] == "miss"
    assert not world.policy.flights


async def test_tenants_never_share_and_users_only_as_the_rule_says():
    world = World()
    await world.say(who=ALICE)
    assert (await world.say(who=BOB))[1] == "hit"
    assert await world.say(who=EVE) == ("answer 2", "miss")
    assert await world.say(who=ANONYMOUS) == ("answer 3", "miss")
    world = World(CacheSpec(name="own", key=("user",)))
    await world.say(who=ALICE)
    assert (await world.say(who=BOB))[1] == "miss"
    assert (await world.say(who=ALICE))[1] == "hit"


async def test_only_the_first_rule_that_matches_holds():
    tight = CacheSpec(name="tight", match=MatchSpec(users=("alice",)), key=("user",))
    world = World(tight, CacheSpec(name="wide", match=MatchSpec(tenants=("dev",))))
    await world.say(who=BOB)
    assert (await world.say(who=ALICE))[1] == "miss"
    assert (await world.say(who=EVE))[1] == ""
    assert (await world.say(who=EVE))[1] == ""


TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.1},
        {"temperature": None},
        {"tools": [TOOL]},
        {"functions": [{"name": "f"}]},
        {"n": 2},
        {"content": "x" * (1 << 20)},
        {"store": True},
        {"messages": "what is this"},
        {"headers": {b"cache-control": b"No-Cache"}},
        {"headers": {b"cache-control": b"max-age=0, no-store"}},
        {"dialect": "openai_completions", "prompt": "hi", "stream": True},
        {"seed": 1e300 * 10},
    ],
)
async def test_what_is_not_answered_so(fields: dict[str, Any]):
    world = World()
    for number in (1, 2):
        asked = await world.ask(**dict(fields))
        assert asked.header(b"x-heddle-cache") == "bypass"
        assert asked.exchange.cache == "bypass"
        assert world.calls == number


async def test_rules_may_ask_for_more():
    world = World(CacheSpec(name="more", tools=True, temperature_above_zero=True))
    for fields in ({"temperature": 1}, {"temperature": None}, {"tools": [TOOL]}):
        assert (await world.say(**fields))[1] == "miss"
        assert (await world.say(**fields))[1] == "hit"


async def test_what_configuration_says_of_temperature_counts():
    world = World(models=(ModelSpec(name="m", overrides={"temperature": 0}),))
    assert (await world.say(temperature=1))[1] == "miss"
    world = World(models=(ModelSpec(name="m", defaults={"temperature": 0}),))
    assert (await world.say(temperature=None))[1] == "miss"
    assert (await world.say(temperature=1))[1] == "bypass"
    world = World(models=(ModelSpec(name="m", overrides={"temperature": 1}),))
    assert (await world.say())[1] == "bypass"


async def test_other_operations_are_not_its_business():
    world = World()
    assert (await world.say(operation="count_tokens"))[1] == ""
    assert world.policy.permits(None, None)  # type: ignore[arg-type]


async def test_embeddings_are_kept():
    world = World()
    asked = {"operation": "embeddings", "dialect": "openai_embeddings", "input": "hi"}
    await world.say(**asked)
    assert (await world.say(**asked))[1] == "hit"


async def test_failures_and_what_is_too_large_are_not_kept():
    world = World()
    world.status = 429
    await world.say()
    world.status = 200
    assert (await world.say())[1] == "miss"
    world = World(CacheSpec(name="small", max_bytes=200))
    await world.say()
    assert (await world.say())[1] == "miss"
    await world.say(stream=True)
    assert (await world.say(stream=True))[1] == "miss"


async def test_what_a_stream_could_not_say_is_not_kept():
    world = World()
    world.extra = {"annotations": [{"type": "url_citation"}]}
    await world.say()
    assert (await world.say())[1] == "miss"
    world.extra = {"annotations": [], "audio": None}
    await world.say()
    assert (await world.say())[1] == "hit"


async def test_an_error_leaves_nothing_behind():
    world = World()

    async def fail() -> None:
        raise CallError(Reason.UPSTREAM_ERROR, "no")

    world.gate = fail
    with pytest.raises(CallError):
        await world.ask()
    assert not world.policy.flights
    world.gate = None
    assert (await world.say())[1] == "miss"


async def test_identical_calls_at_once_ask_once():
    world = World()
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    world.gate = wait
    asking = [asyncio.ensure_future(world.say(stream=number % 2 == 1)) for number in range(20)]
    await asyncio.sleep(0.01)
    assert world.calls == 1
    gate.set()
    answers = await asyncio.gather(*asking)
    assert {text for text, _ in answers} == {"answer 1"}
    assert sorted(header for _, header in answers) == ["hit"] * 19 + ["miss"]
    assert not world.policy.flights


async def test_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cache, "WAIT_S", 0.02)
    world = World()
    gate = asyncio.Event()

    async def wait() -> None:
        if world.calls == 1:
            await gate.wait()

    world.gate = wait
    slow = asyncio.ensure_future(world.say())
    await asyncio.sleep(0)
    assert await world.say() == ("answer 2", "miss")
    assert await world.say() == ("answer 2", "hit"), "who asked by itself keeps the answer for all"
    gate.set()
    assert await slow == ("answer 1", "miss")
    assert not world.policy.flights


async def test_a_stream_that_nobody_ends_holds_up_one_call_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cache, "WAIT_S", 0.02)
    world = World()
    lost = await world.ask(stream=True)
    assert await world.say() == ("answer 2", "miss")
    assert await world.say() == ("answer 2", "hit")
    body: Any = lost.reply.body
    await body.aclose()
    assert not world.policy.flights


async def test_who_waited_for_a_failure_asks_by_itself():
    world = World()
    world.status = 500
    answers = await asyncio.gather(*(world.say() for _ in range(5)))
    assert {header for _, header in answers} == {"miss"}
    assert world.calls == 5
    assert not world.policy.flights


async def test_tenants_do_not_wait_for_each_other():
    world = World()
    gate = asyncio.Event()

    async def wait() -> None:
        if world.calls == 1:
            await gate.wait()

    world.gate = wait
    first = asyncio.ensure_future(world.say(who=ALICE))
    await asyncio.sleep(0)
    assert await world.say(who=EVE) == ("answer 2", "miss")
    gate.set()
    await first


@pytest.mark.parametrize("poison", [b"", b"junk", b"\x90", b"\x96\x02\x01\x01\x01\xc4\x00\xc4\x00"])
async def test_entries_that_cannot_be_read_are_none(poison: bytes):
    world = World()
    await world.say()
    space = world.stores("answers")
    for key in list(space._values):
        space.put(key, poison, 60)
    assert await world.say() == ("answer 2", "miss")
    assert await world.say() == ("answer 2", "hit")


async def test_an_entry_that_is_no_answer_is_not_streamed():
    world = World()
    await world.say()
    space = world.stores("answers")
    (key,) = space._values
    entry = cache.read(space._values[key][0])
    assert entry is not None
    broken = cache.write(type(entry)(**{**{f: getattr(entry, f) for f in entry.__struct_fields__}, "body": b"{}"}))
    space.put(key, broken, 60)
    assert await world.say(stream=True) == ("answer 2", "miss")


async def test_what_a_translation_lost_is_told_again():
    world = World()
    world.notes = [(b"x-heddle-translation", b"dropped=seed")]
    await world.say()
    asked = await world.ask()
    assert asked.header(b"x-heddle-translation") == "dropped=seed"


async def test_an_answer_from_another_target_is_kept_under_it():
    world = World()

    async def fall_over(exchange: Any) -> Reply:
        world.calls += 1
        exchange.call.provider = "second"
        return Reply(200, [], whole("from the second"))

    world.handler = world.policy.wrap(fall_over)
    assert (await world.say())[1] == "miss"
    assert (await world.say())[1] == "miss"
