"""What the door adds to an answer: what is left of the limits that the call passed."""

from types import SimpleNamespace

from heddle.dataplane.gateway import Door
from heddle.dataplane.routes import Route
from heddle.model.snapshot import ListenerSpec
from heddle.net.body import Body
from heddle.net.message import Headers, Peer, Reply, Request
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange

LISTENER = ListenerSpec(name="llm", address="127.0.0.1", port=0, protocol="HTTP")
LEFT = b"x-ratelimit-remaining-requests: 4\r\n"


async def answered(status: int, headers: Headers, *, fails: bool = False) -> Reply:
    """The door's reply when the route passes a limit and then answers so, or fails."""

    async def route(exchange: Exchange) -> Reply:
        exchange.limits_left = LEFT
        if fails:
            raise CallError(Reason.UPSTREAM_UNREACHABLE, "Nobody there.")
        return Reply(status, headers)

    recorder = SimpleNamespace(inflight=0, finish=lambda *_: None)
    runtime = SimpleNamespace(
        router=SimpleNamespace(find=lambda _: Route("chat", {"POST": route})),
        recorder=recorder,
        propagation=(),
        sample_ratio=0.0,
        traced=False,
    )
    door = Door(SimpleNamespace(runtime=runtime, clock=lambda: 1.0), LISTENER)  # type: ignore[arg-type]
    peer = Peer("127.0.0.1", 1, False)
    return await door.handle(Request("POST", "/v1/x", "", [(b"host", b"127.0.0.1")], Body.of(b""), peer))


async def test_an_answer_tells_what_is_left_and_shared_headers_are_not_written_into() -> None:
    shared = [(b"content-type", b"text/plain")]
    reply = await answered(200, shared)
    assert (reply.lines, reply.headers) == (LEFT, [(b"content-type", b"text/plain")])
    assert len(shared) == 1


async def test_a_providers_own_limits_do_not_stand_beside_ours() -> None:
    theirs = [(b"x-ratelimit-limit-requests", b"60"), (b"x-ratelimit-remaining-tokens", b"0"), (b"retry-after", b"7")]
    reply = await answered(429, theirs)
    assert (reply.lines, reply.headers) == (LEFT, [(b"retry-after", b"7")])


async def test_a_failure_of_the_gateway_tells_nothing_of_them() -> None:
    reply = await answered(0, [], fails=True)
    assert (reply.status, reply.lines) == (503, b"")
