"""Proofs of thinking are put back for the caller who got them, at the calls that they prove, and for nobody else."""

import msgspec
import pytest

from heddle.backends.replay import MAX_CALLS, Keeper, Proofs
from heddle.drivers.kv.memory import MemoryStores
from heddle.model.principal import Principal
from heddle.wire.canonical.answer import ChatAnswer, Choice
from heddle.wire.canonical.replay import events
from heddle.wire.canonical.request import ChatRequest, Message, Part, Text, Thinking, ToolCall, ToolResult

ALICE = Principal(method="api_key", tenant="dev", user="alice", agent="planner", key_id="key-a")
THOUGHT = Thinking(text="hm", signature="anthropic.sig")
HIDDEN = Thinking(redacted="anthropic.dark")
CALL = ToolCall(id="call_1", name="weather", arguments='{"city": "Paris"}')
SIGNED = ToolCall(id="call_1", name="weather", signature="gemini.abc")


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.stores = MemoryStores(lambda: self.now)
        self.proofs = Proofs(self.stores("thinking"))

    def keep(self, *parts: Part, who: Principal = ALICE, streamed: bool = False) -> None:
        answer = ChatAnswer(id="a", model="m", choices=(Choice(parts=parts, stop="tool_use"),))
        keeper: Keeper = self.proofs.keeper(who)
        if not streamed:
            keeper.take_whole(answer)
            return
        for event in events(answer):
            keeper.take(event)

    async def replayed(self, *parts: Part, who: Principal = ALICE) -> tuple[Part, ...]:
        """What becomes of an assistant message with these parts."""
        first = Message(role="user", parts=(Text(text="hi"),))
        last = Message(role="user", parts=(ToolResult(call_id="call_1", parts=(Text(text="ok"),)),))
        request = ChatRequest(model="m", messages=(first, Message(role="assistant", parts=parts), last))
        restored = await self.proofs.restored(request, who)
        assert (restored.messages[0], restored.messages[2]) == (first, last)
        return restored.messages[1].parts


@pytest.mark.parametrize("streamed", [False, True])
async def test_thinking_comes_first_again_and_unchanged(streamed: bool):
    world = World()
    world.keep(THOUGHT, Text(text="Let me look."), HIDDEN, CALL, streamed=streamed)
    said = Text(text="Let me look.")
    assert await world.replayed(said, CALL) == (THOUGHT, HIDDEN, said, CALL)


@pytest.mark.parametrize("streamed", [False, True])
async def test_signatures_are_put_at_their_calls(streamed: bool):
    world = World()
    second = ToolCall(id="call_2", name="clock")
    world.keep(SIGNED, second, streamed=streamed)
    assert await world.replayed(CALL, second) == (msgspec.structs.replace(CALL, signature="gemini.abc"), second)
    assert await world.replayed(second) == (second,)


async def test_either_of_parallel_calls_finds_the_thinking():
    world = World()
    second = ToolCall(id="call_2", name="clock")
    world.keep(THOUGHT, CALL, second)
    assert await world.replayed(second) == (THOUGHT, second)


async def test_what_was_shown_of_the_thinking_is_not_sent_twice():
    world = World()
    world.keep(THOUGHT, CALL)
    assert await world.replayed(Thinking(text="hm"), CALL) == (THOUGHT, CALL)
    world.keep(SIGNED)
    assert (await world.replayed(Thinking(text="hm"), CALL))[0] == Thinking(text="hm")


@pytest.mark.parametrize(
    "parts", [(THOUGHT, CALL), (HIDDEN, CALL), (SIGNED,), (Text(text="x"),), (ToolCall(id="other", name="f"),)]
)
async def test_what_the_caller_says_itself_stands(parts: tuple[Part, ...]):
    world = World()
    world.keep(Thinking(text="another", signature="anthropic.other"), CALL)
    assert await world.replayed(*parts) == parts


@pytest.mark.parametrize(
    "who",
    [
        msgspec.structs.replace(ALICE, tenant="other"),
        msgspec.structs.replace(ALICE, user="bob"),
        msgspec.structs.replace(ALICE, agent="coder"),
        msgspec.structs.replace(ALICE, key_id="key-b"),
        msgspec.structs.replace(ALICE, method="jwt"),
        msgspec.structs.replace(ALICE, tenant="devalice", user=""),
        Principal(),
    ],
)
async def test_other_callers_get_nothing(who: Principal):
    world = World()
    world.keep(THOUGHT, CALL)
    assert await world.replayed(CALL, who=who) == (CALL,)


async def test_only_what_proves_something_about_calls_is_kept():
    world = World()
    world.keep(THOUGHT, Text(text="done"))
    world.keep(Thinking(text="unsigned"), CALL)
    assert not world.stores("thinking")._values


async def test_it_is_kept_for_a_day_and_bounded():
    world = World()
    world.keep(THOUGHT, CALL, *(ToolCall(id=f"c{i}", name="f") for i in range(2 * MAX_CALLS)))
    assert len(world.stores("thinking")._values) == MAX_CALLS
    world.now += 86_399
    assert await world.replayed(CALL) == (THOUGHT, CALL)
    world.now += 2
    assert await world.replayed(CALL) == (CALL,)


async def test_what_cannot_be_read_is_nothing():
    world = World()
    world.keep(THOUGHT, CALL)
    space = world.stores("thinking")
    for key in list(space._values):
        space.put(key, b"\x92junk", 60)
    assert await world.replayed(CALL) == (CALL,)
