"""Callers go on from what is theirs, and hear of nothing else."""

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from heddle.drivers.kv.memory import MemoryStores
from heddle.model.call import ModelCall, Target
from heddle.model.principal import Principal
from heddle.model.snapshot import Snapshot
from heddle.net.message import Reply
from heddle.pipeline.errors import CallError, Reason
from heddle.policies.ownership import build

ALICE = Principal(method="api_key", tenant="dev", user="alice", agent="planner", key_id="key-a")
BOB = msgspec.structs.replace(ALICE, user="bob", key_id="key-b")


class Stream:
    def __init__(self, pieces: list[bytes], poured: bool) -> None:
        self._pieces = pieces
        self.closed = False
        if poured:
            self.pour = self._pour

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop(0)

    async def _pour(self, write: Any) -> None:
        for piece in self._pieces:
            write(piece)

    async def aclose(self) -> None:
        self.closed = True


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        stores = MemoryStores(lambda: self.now)
        policy = build(Snapshot(version="v"), SimpleNamespace(kv=stores))  # type: ignore[arg-type]
        self.handler = policy.wrap(self._answer)
        self.calls: list[ModelCall] = []
        self.answer: Any = b"{}"
        self.status, self.fallen_to = 200, ""

    async def _answer(self, exchange: Any) -> Reply:
        self.calls.append(exchange.call.copy())
        exchange.call.provider = self.fallen_to or exchange.call.provider
        return Reply(self.status, [], self.answer)

    async def ask(self, who: Principal = ALICE, **fields: Any) -> Any:
        names = ("provider", "targets", "dialect")
        call = ModelCall(
            **{
                "operation": "chat",
                "dialect": "openai_responses",
                "model": "m",
                "body": json.dumps(
                    {"model": "m", "input": "hi", **{k: v for k, v in fields.items() if k not in names}}
                ).encode(),
                "provider": "p",
                **{k: v for k, v in fields.items() if k in names},
            }
        )
        exchange: Any = SimpleNamespace(call=call, principal=who)
        return (await self.handler(exchange)).body

    async def refused(self, who: Principal = ALICE, **fields: Any) -> CallError:
        before = len(self.calls)
        with pytest.raises(CallError) as caught:
            await self.ask(who, **fields)
        assert len(self.calls) == before
        return caught.value


def response(name: str = "resp_1", **fields: Any) -> bytes:
    return json.dumps({"id": name, "store": True, "output": [{"id": "msg_1"}], **fields}).encode()


def streamed(*kinds: str) -> list[bytes]:
    return [b'event: response.%b\ndata: {"response":%b}\n\n' % (kind.encode(), response()) for kind in kinds]


async def test_a_caller_goes_on_from_its_own():
    world = World()
    world.answer = response()
    await world.ask()
    await world.ask(previous_response_id="resp_1")
    await world.ask(input=[{"type": "item_reference", "id": "msg_1"}])
    assert len(world.calls) == 3


@pytest.mark.parametrize("poured", [False, True])
@pytest.mark.parametrize("kinds", [("created",), ("created", "completed")])
async def test_also_from_a_stream_and_from_half_of_one(poured: bool, kinds: tuple[str, ...]):
    world = World()
    world.answer = Stream(streamed(*kinds), poured)
    body = await world.ask()
    if poured:
        await body.pour(lambda data: None)
    else:
        assert b"".join([piece async for piece in body]) == b"".join(streamed(*kinds))
    await body.aclose()
    assert world.answer.closed
    await world.ask(previous_response_id="resp_1")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"previous_response_id": "resp_1"}, "Previous response with id 'resp_1' not found."),
        ({"input": [{"id": "msg_1"}]}, "Item with id 'msg_1' not found."),
        ({"conversation": "conv_1"}, "Conversation with id 'conv_1' not found."),
        ({"dialect": "openai_responses_count", "conversation": "conv_1"}, "Conversation with id 'conv_1' not found."),
        ({"tools": [{"type": "x", "container": "cntr_1"}]}, "Container with id 'cntr_1' not found."),
    ],
)
async def test_what_is_anothers_is_not_found(fields: dict[str, Any], words: str):
    world = World()
    world.answer = response(conversation={"id": "conv_1"}, output=[{"id": "msg_1", "container_id": "cntr_1"}])
    nobodys = (await world.refused(**fields)).detail
    await world.ask()
    await world.ask(**fields)
    for who in (
        BOB,
        msgspec.structs.replace(ALICE, tenant="other"),
        msgspec.structs.replace(ALICE, agent="other"),
        msgspec.structs.replace(ALICE, key_id="other"),
        Principal(),
    ):
        error = await world.refused(who, **fields)
        assert (error.reason, error.answer.status) == (Reason.STATE_NOT_FOUND, 404)
        assert error.detail == nobodys == words, "it says nothing of whether there is one"


async def test_it_goes_to_the_provider_that_has_it():
    world = World()
    world.answer, world.fallen_to = response(), "second"
    targets = (Target(provider="first", model="a"), Target(provider="second", model="b"))
    await world.ask(provider="first", targets=targets)
    await world.ask(provider="first", targets=targets, previous_response_id="resp_1")
    gone = world.calls[-1]
    assert (gone.provider, gone.upstream_model, gone.targets) == ("second", "b", targets[1:])
    await world.ask(provider="second", previous_response_id="resp_1")
    await world.refused(provider="third", previous_response_id="resp_1")
    await world.refused(provider="first", targets=targets[:1], previous_response_id="resp_1")


async def test_what_was_not_kept_or_failed_is_nobodys():
    world = World()
    world.answer = response(store=False)
    await world.ask()
    await world.refused(previous_response_id="resp_1")
    world.answer, world.status = response(), 500
    await world.ask()
    await world.refused(previous_response_id="resp_1")


async def test_it_is_remembered_for_thirty_days():
    world = World()
    world.answer = response()
    await world.ask()
    world.now += 30 * 86_400 - 1
    await world.ask(input="x", previous_response_id="resp_1")
    world.answer = b"{}"
    world.now += 31 * 86_400
    await world.refused(previous_response_id="resp_1")


async def test_background_is_refused_and_so_is_what_cannot_be_read():
    world = World()
    error = await world.refused(background=True)
    assert (error.reason, error.param) == (Reason.BAD_REQUEST, "background")
    assert (await world.refused(previous_response_id=5)).param == "previous_response_id"
    long = await world.refused(previous_response_id="r\n\x1b" + "x" * 200)
    assert "\n" not in long.detail
    assert len(long.detail) < 120


async def test_other_dialects_are_not_its_business():
    world = World()
    await world.ask(dialect="openai_chat", previous_response_id="resp_1")
    assert len(world.calls) == 1
