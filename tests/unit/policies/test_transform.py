"""The policy that changes bodies: only of models that ask for it, and never in silence."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from heddle.model.call import ModelCall
from heddle.model.snapshot import ModelSpec, Snapshot
from heddle.net.message import Reply
from heddle.pipeline.errors import CallError
from heddle.pipeline.exchange import Phase
from heddle.policies.transform import build

CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


def policy(**fields):
    models = (ModelSpec(name="plain", provider="p"), ModelSpec(name="own", provider="p", **fields))
    return build(Snapshot(version="v", models=models), None)


def call(entry="own", dialect="openai_chat", body=CHAT):
    return ModelCall(operation="chat", dialect=dialect, model="m", body=body, entry=entry)


def through(built, made, status=200):
    async def answer(exchange):
        return Reply(status, [(b"x", b"y")], b"{}")

    async def run():
        return await built.wrap(answer)(SimpleNamespace(call=made))

    return asyncio.run(run())


def test_without_changes_there_is_no_policy():
    assert build(Snapshot(version="v", models=(ModelSpec(name="plain", provider="p"),)), None) is None


def test_a_model_without_changes_keeps_its_bytes():
    made = call("plain")
    reply = through(policy(overrides={"seed": 1}), made)
    assert made.body is CHAT
    assert (made.altered, reply.headers) == (False, [(b"x", b"y")])


def test_changes_are_made_in_the_body_and_said_of_the_call():
    built, made = policy(defaults={"seed": 1}, overrides={"temperature": 0.5}, system="S"), call()
    reply = through(built, made)
    body = json.loads(made.body)
    assert (body["seed"], body["temperature"], body["messages"][0]["content"]) == (1, 0.5, "S")
    assert (made.altered, reply.headers) == (True, [(b"x", b"y")])
    assert (built.phase, built.permits(None, made)) == (Phase.TRANSFORM, True)


@pytest.mark.parametrize(("status", "told"), [(200, [(b"x-heddle-translation", b"dropped=seed,top_k")]), (502, [])])
def test_a_parameter_without_a_place_is_told(status, told):
    body = b'{"model":"m","input":"hi"}'
    reply = through(
        policy(defaults={"seed": 1}, overrides={"top_k": 1}), call(dialect="openai_responses", body=body), status
    )
    assert reply.headers == [(b"x", b"y"), *told]


def test_a_body_that_has_no_room_is_the_callers_fault():
    made = call(dialect="openai_completions", body=b'{"model":"m","prompt":[1,2]}')
    with pytest.raises(CallError) as caught:
        through(policy(system="S"), made)
    assert (caught.value.answer.status, caught.value.param) == (400, "prompt")


def test_a_call_that_was_not_decoded_is_the_backends_to_refuse():
    assert through(policy(system="S"), None).status == 200
