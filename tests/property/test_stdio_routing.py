"""Whatever a tool server says in whatever order, everybody hears their own, and nobody else's."""

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.stdio import messages
from heddle.stdio.child import Child, Session
from heddle.stdio.stderr import Allowance, Complaints

CALLERS = 3


class FakeProcess:
    """A server that a test speaks for."""

    def __init__(self):
        self.stdin = self
        self.sent = []
        self.unsent = 0
        self.pid, self.status = 1, 0
        self.ended = asyncio.get_running_loop().create_future()
        self.said = asyncio.Queue()

    def push(self, line):
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        self.sent.append(json.loads(line))

    async def drain(self):
        pass

    async def lines(self, max_bytes):
        while (line := await self.said.get()) is not None:
            yield line

    def kill(self):
        if not self.ended.done():
            self.ended.set_result(None)
            self.said.put_nowait(None)

    async def stop(self):
        self.kill()

    async def close(self):
        pass


class Rig:
    """A child with a few sessions, and what each has asked."""

    def __init__(self):
        self.process = FakeProcess()
        self.child = Child(self.process, Complaints("tools", {}, Allowance()))
        self.sessions = [Session(f"s{n}", f"owner{n}", self.child) for n in range(CALLERS)]
        self.child.sessions = {session.id: session for session in self.sessions}
        self.calls = []

    async def ask(self, caller):
        """All use the same ids and the same tokens."""
        number = sum(1 for other, _ in self.calls if other == caller)
        params = {"_meta": {"progressToken": number}, "secret of": caller, "number": number}
        data = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
        call = await self.child.ask(messages.read(json.dumps(data).encode()), self.sessions[caller])
        self.calls.append((caller, call))

    def say(self, **message):
        self.process.said.put_nowait(json.dumps({"jsonrpc": "2.0", **message}).encode())


async def play(asked, order, rounds, garbage):
    rig = Rig()
    for caller in asked:
        await rig.ask(caller)
    for line in garbage:
        rig.process.said.put_nowait(line)
    for _ in range(rounds):
        for at in order:
            sent = rig.process.sent[at]
            token = sent["params"]["_meta"]["progressToken"]
            rig.say(method="notifications/progress", params={"progressToken": token, "of": sent["params"]})
    for at in order:
        sent = rig.process.sent[at]
        rig.say(id=sent["id"], result={"of": sent["params"]})
        rig.say(id=sent["id"], result={"of": "a second answer"})
    for caller, call in rig.calls:
        heard = [json.loads((await asyncio.wait_for(call.stream.get(), 5)).data) for _ in range(rounds + 1)]
        for message in heard[:-1]:
            assert message["params"]["progressToken"] == call.id
            assert message["params"]["of"]["secret of"] == caller
        assert heard[-1]["id"] == call.id == heard[-1]["result"]["of"]["number"]
        assert heard[-1]["result"]["of"]["secret of"] == caller
    assert rig.child.calls == 0
    rig.process.kill()
    await asyncio.wait_for(rig.child.reading, 5)
    assert not any(session.outbox._waiting for session in rig.sessions)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(st.integers(0, CALLERS - 1), min_size=1, max_size=8), st.integers(0, 3))
def test_everybody_hears_their_own(data, asked, rounds):
    order = data.draw(st.permutations(range(len(asked))))
    noise = [b"", b"{", b"[]", b'{"id":1.5,"result":1}', b'{"id":"1","result":1}', b'{"id":-1,"error":{}}', b"\xff"]
    noise += [b'{"method":"notifications/progress","params":{"progressToken":"1"}}']
    garbage = data.draw(st.lists(st.sampled_from(noise), max_size=4))
    asyncio.run(play(asked, order, rounds, garbage))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_nothing_that_a_server_writes_is_too_much(line):
    async def hear():
        rig = Rig()
        await rig.ask(0)
        rig.process.said.put_nowait(line)
        rig.say(id=1, result="answered")
        told = await asyncio.wait_for(rig.calls[0][1].stream.get(), 5)
        assert json.loads(told.data) == {"jsonrpc": "2.0", "id": 0, "result": "answered"}
        rig.process.kill()
        await asyncio.wait_for(rig.child.reading, 5)

    asyncio.run(hear())
