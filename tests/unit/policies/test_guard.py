"""Which guards apply, what callers and providers get to see, and what is written down of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from heddle.guards.treatment import build as build_texts
from heddle.model.call import ModelCall
from heddle.model.principal import Principal
from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_guards import GuardSpec, WebhookSpec
from heddle.model.snapshot_match import MatchSpec
from heddle.net.message import Reply
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.guarding import GuardUnavailableError, Judged
from heddle.policies.guard import build
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.records import AuditRecord
from heddle.telemetry.trace import fresh

ALICE = Principal(tenant="dev", user="alice", agent="planner", key_id="key-a")
HOOK = WebhookSpec(url="http://127.0.0.1:1/")
MAIL = "joe@example.com"


class Judge:
    """Says what it is told to."""

    def __init__(self, spec: GuardSpec, verdict: str | Exception) -> None:
        self.spec, self.verdict = spec, verdict
        self.asked: list[list[str]] = []

    async def judge(self, texts: Sequence[Judged], model: str, request: bytes) -> str:
        self.asked.append([one.text for one in texts])
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


class Body:
    """A stream that remembers whether it was closed."""

    def __init__(self, pieces: list[bytes], fail: CallError | None = None) -> None:
        self._pieces, self._fail = pieces, fail
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._fail is not None:
            raise self._fail
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


class Poured(Body):
    """One that is written without a task between."""

    async def pour(self, write: Any) -> None:
        async for piece in self:
            full = write(piece)
            assert full is None


class World:
    """A policy around an answer."""

    def __init__(self, *specs: GuardSpec, verdict: str | Exception = "") -> None:
        self.audited: list[AuditRecord] = []
        self.metrics = Metrics.in_memory()
        self.judges: list[Judge] = []
        tools = SimpleNamespace(metrics=self.metrics, audit=self.audited.append, guards=self._guards)
        self.verdict = verdict
        policy = build(Snapshot(version="v", guards=specs), tools)
        assert policy is not None
        self.handler = policy.wrap(self._answer)
        self.body: bytes | Body = b"{}"
        self.sent = b""

    def _guards(self, specs: Sequence[GuardSpec], tools: object) -> Any:
        def judge(spec: GuardSpec) -> Judge:
            self.judges.append(Judge(spec, self.verdict))
            return self.judges[-1]

        return build_texts(specs, judge)

    async def _answer(self, exchange: Any) -> Reply:
        self.sent = exchange.call.body
        return Reply(200, [], self.body)

    async def ask(self, content: str = "hi", dialect: str = "openai_chat", **fields: Any) -> Reply:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], **fields}).encode()
        call = ModelCall(operation="chat", dialect=dialect, model="m", body=body, entry="m", upstream_model="m")
        self.exchange = SimpleNamespace(
            call=call, principal=ALICE, policy="", source_address="::1", trace=fresh(0.0), guarded={}
        )
        self.asked = body
        return await self.handler(self.exchange)


def whole(content: Any, **message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "choices": [choice], "usage": {"cost": 1.50}}).encode()


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n"


def streamed(*texts: str) -> list[bytes]:
    return [*(chunk(content=text) for text in texts), chunk("stop"), b"data: [DONE]\n\n"]


async def gathered(reply: Reply) -> bytes:
    assert not isinstance(reply.body, bytes)
    return b"".join([piece async for piece in reply.body])


async def passed_on(reply: Reply, kind: type[Body], taken: list[bytes]) -> None:
    """Read a stream the way `kind` is read."""
    if kind is Poured:
        await reply.body.pour(taken.append)  # type: ignore[union-attr]
        return
    async for piece in reply.body:  # type: ignore[union-attr]
        taken.append(piece)  # noqa: PERF401 - what came before a failure counts


def content(data: bytes) -> str:
    events = [json.loads(line[6:]) for line in data.splitlines() if line.startswith(b"data: {")]
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events)


def mask(**fields: Any) -> GuardSpec:
    return GuardSpec(**{"name": "g", "recognisers": ("email",), "action": "mask", **fields})


def test_without_guards_there_is_no_policy():
    assert build(Snapshot(version="v"), SimpleNamespace()) is None


async def test_what_no_guard_changes_keeps_its_bytes():
    world = World(mask())
    world.body = whole("nothing here")
    reply = await world.ask("nothing there")
    assert world.sent is world.asked
    assert reply.body is world.body
    pieces = streamed("nothing. ", "here. ")
    world.body = Body(list(pieces))
    assert await gathered(await world.ask()) == b"".join(pieces)


async def test_a_large_body_lets_others_have_their_turns(monkeypatch: pytest.MonkeyPatch):
    # A turn ends at the first pause after some time: without that time, pauses are counted, whatever the machine.
    monkeypatch.setattr("heddle.pipeline.guard_texts.TURN_S", 0.0)
    world = World(mask())
    world.body = whole(f"to {MAIL}, " * 20_000)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.ensure_future(other())
    reply = await world.ask(
        f"from {MAIL}, " * 20_000,
        messages=[
            {"role": "user", "content": f"from {MAIL}, " * 20_000},
            *({"role": "user", "content": MAIL * 9} for _ in range(500)),
            {"role": "assistant", "tool_calls": [{"function": {"arguments": json.dumps({"k": f" {MAIL}" * 900})}}]},
        ],
    )
    beside.cancel()
    assert turns > 1000
    sent = json.loads(world.sent)["messages"]
    assert sent[0]["content"] == "from [EMAIL], " * 20_000
    assert json.loads(sent[-1]["tool_calls"][0]["function"]["arguments"]) == {"k": " [EMAIL]" * 900}
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "to [EMAIL], " * 20_000


async def test_only_the_named_scopes_and_directions_are_touched():
    world = World(mask(scopes=("user",), directions=("request",)))
    world.body = whole(f"write to {MAIL}")
    reply = await world.ask(f"mine is {MAIL}", metadata={"mail": MAIL}, tools=[{"function": {"description": MAIL}}])
    assert json.loads(world.sent)["messages"][0]["content"] == "mine is [EMAIL]"
    assert json.loads(world.sent)["metadata"] == {"mail": "[EMAIL]"}
    assert json.loads(world.sent)["tools"] == [{"function": {"description": MAIL}}]
    assert reply.body is world.body


async def test_guards_for_others_are_not_asked():
    world = World(mask(match=MatchSpec(users=("bob",))), mask(name="h", match=MatchSpec(models=("other-*",))))
    reply = await world.ask(MAIL)
    assert world.sent is world.asked
    assert reply.body is world.body


@pytest.mark.parametrize("kind", [Body, Poured])
async def test_what_was_masked_reversibly_comes_back(kind: type[Body]):
    world = World(mask(action="mask_reversible", directions=("request",)))
    world.body = kind(streamed("I wrote [EM", "AIL_2", "] and [EMAIL_7", "] to you."))
    reply = await world.ask(f"{MAIL} [EMAIL_1] {MAIL} ann@example.com")
    assert json.loads(world.sent)["messages"][0]["content"] == "[EMAIL_2] [EMAIL_1] [EMAIL_2] [EMAIL_3]"
    taken: list[bytes] = []
    await passed_on(reply, kind, taken)
    data = b"".join(taken)
    assert content(data) == f"I wrote {MAIL} and [EMAIL_7] to you."
    assert data.endswith(b"data: [DONE]\n\n")


async def test_arguments_of_tools_stay_json():
    world = World(mask(action="mask_reversible", recognisers=(), phrases=('say "no"',), directions=("request",)))
    arguments = json.dumps({"text": "I [PHRASE_1]."})
    world.body = whole(None, tool_calls=[{"id": "t", "function": {"name": "f", "arguments": arguments}}])
    reply = await world.ask('please say "no"')
    called = json.loads(reply.body)["choices"][0]["message"]["tool_calls"][0]["function"]
    assert json.loads(called["arguments"]) == {"text": 'I say "no".'}
    assert b'"cost":1.5' in reply.body


async def test_probabilities_do_not_tell_what_was_masked():
    world = World(mask())
    body = json.loads(whole(f"to {MAIL}"))
    body["choices"][0]["logprobs"] = {"content": [{"token": MAIL, "logprob": -0.1}]}
    world.body = json.dumps(body).encode()
    assert b"joe" not in (await world.ask()).body


async def test_a_refused_request_is_never_sent():
    world = World(mask(action="refuse"))
    with pytest.raises(CallError) as refused:
        await world.ask(f"mine is {MAIL}")
    assert refused.value.reason is Reason.GUARDED
    assert refused.value.answer.status == 400
    assert world.sent == b""
    assert world.exchange.policy == "g"
    assert world.exchange.guarded == {"g:refuse:user": 1}
    (record,) = world.audited
    assert (record.kind, record.outcome, record.policy) == ("guard", "deny", "g")
    assert MAIL not in repr(refused.value) + repr(record)


@pytest.mark.parametrize("kind", [Body, Poured])
async def test_a_refusal_inside_of_a_stream_is_told_and_cuts_it(kind: type[Body]):
    world = World(mask(action="refuse"))
    world.body = kind(streamed("fine so far. joe@", "example.com is", " it"))
    reply = await world.ask()
    taken: list[bytes] = []
    with pytest.raises(CallError):
        await passed_on(reply, kind, taken)
    data = b"".join(taken)
    assert content(data.partition(b'data: {"error"')[0]) == "fine so far. "
    assert json.loads(taken[-1][6:])["error"]["code"] == "content_policy_violation"
    assert b"joe" not in data
    assert world.body.closed


async def test_of_a_broken_stream_nothing_held_back_goes_out():
    world = World(mask())
    world.body = Body([chunk(content="to joe@exam")], fail=CallError(Reason.UPSTREAM_BROKEN, "Broken."))
    reply = await world.ask()
    with pytest.raises(CallError, match="Broken"):
        await gathered(reply)


@pytest.mark.parametrize("event", [b"data: {nonsense\n\n", b"data: " + b"[" * 5000 + b"\n\n", b"data:  words\n\n"])
async def test_an_event_that_guards_cannot_read_does_not_pass(event: bytes):
    world = World(mask())
    world.body = Body([chunk(content="fine. "), event])
    reply = await world.ask()
    taken: list[bytes] = []
    with pytest.raises(CallError) as cut:
        await passed_on(reply, Body, taken)
    assert cut.value.reason is Reason.UPSTREAM_BROKEN
    assert event not in taken


@pytest.mark.parametrize("event", [b": ping\n\n", b"event: ping\n\n"])
async def test_events_without_a_value_pass(event: bytes):
    world = World(mask())
    world.body = Body([event, *streamed("fine. ")])
    assert (await gathered(await world.ask())).startswith(event)


async def test_a_guard_that_refuses_sees_what_another_masks():
    world = World(mask(recognisers=(), phrases=("mail joe@example.com",)), mask(name="r", action="refuse"))
    with pytest.raises(CallError, match="'r'"):
        await world.ask(f"mail {MAIL}")


async def test_logging_changes_nothing_and_counts():
    world = World(mask(action="log"))
    world.body = whole("x")
    await world.ask(f"{MAIL} and {MAIL}")
    assert world.sent is world.asked
    assert world.exchange.guarded == {"g:log:user": 2}


WEBHOOK = GuardSpec(name="w", action="webhook", webhook=HOOK)


async def test_a_webhook_sees_what_masks_left_and_decides():
    world = World(mask(), WEBHOOK, verdict="it is rude")
    with pytest.raises(CallError) as refused:
        await world.ask(f"hey {MAIL}")
    assert refused.value.detail == "Refused by guard 'w' for what the user says: it is rude."
    assert world.judges[0].asked == [["hey [EMAIL]"]]


async def test_a_webhook_holds_a_stream_until_it_has_judged():
    world = World(WEBHOOK)
    pieces = streamed("one ", "two")
    world.body = Body(list(pieces))
    reply = await world.ask()
    assert world.judges[0].asked == [["hi"], ["one two"]]
    assert await gathered(reply) == b"".join(pieces)


@pytest.mark.parametrize("on_error", ["refuse", "allow"])
async def test_a_webhook_that_cannot_be_asked(on_error: Any):
    world = World(GuardSpec(name="w", action="webhook", webhook=HOOK, on_error=on_error),
                  verdict=GuardUnavailableError("gone"))  # fmt: skip
    world.body = whole("x")
    if on_error == "allow":
        assert (await world.ask()).status == 200
    else:
        with pytest.raises(CallError) as refused:
            await world.ask()
        assert refused.value.reason is Reason.GUARD_UNAVAILABLE
    assert world.exchange.guarded["w:error:user"] == 1


async def test_calls_that_cannot_be_read_are_refused_unless_allowed():
    with pytest.raises(CallError, match="cannot read"):
        await World(mask()).ask(dialect="morse")
    assert (await World(mask(on_error="allow")).ask(dialect="morse")).status == 200
