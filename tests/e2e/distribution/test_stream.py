"""The stream between a control plane and its gateways, over real sockets, and what can go wrong on it."""

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.e2e.distribution.rig import (
    EDGE,
    INNER,
    FakeSource,
    Gateway,
    Plane,
    joined,
    listener,
    model,
    provider,
    secret,
    until,
)

from heddle.controlplane.distribution import listening
from heddle.dataplane.subscription import behind, client, reaching
from heddle.dataplane.subscription.identity import Identity, IdentityError, load_identity
from heddle.dataplane.subscription.reaching import Connection, ReachError, join, reach
from heddle.wire.delta import (
    Ack,
    Busy,
    Delta,
    Full,
    Hello,
    Interest,
    Ping,
    Point,
    Refused,
    Reject,
    Welcome,
    digest_of,
    encode,
    hexed,
)

PARTS = [
    listener("web", "default/edge"),
    listener("in", "default/inner"),
    model("a"),
    model("e", "default/edge"),
    model("i", "default/inner"),
    provider("p", "secret/s", "default/edge"),
    secret("s", "hush-edge", "default/edge"),
    provider("q", "secret/t", "default/inner"),
    secret("t", "hush-inner", "default/inner"),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(client, "LONGEST_RETRY_S", 0.1)
    monkeypatch.setattr(client, "REFUSED_RETRY_S", 0.1)
    monkeypatch.setattr(client, "QUIET_S", 0.0)
    monkeypatch.setattr(client, "KEEP_S", 0.05)
    monkeypatch.setattr("heddle.controlplane.distribution.hub.BUSY_S", 0.1)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    plane = await Plane(tmp_path / "plane", FakeSource(PARTS)).start()
    yield plane
    await plane.stop()


@pytest.fixture
async def edge(plane: Plane, tmp_path: Path) -> AsyncIterator[Gateway]:
    gateway = Gateway(plane, await joined(plane, "edge-1", EDGE, tmp_path / "edge"), tmp_path / "edge")
    yield gateway
    await gateway.subscription.stop()


async def following(gateway: Gateway) -> Gateway:
    gateway.subscription.start()
    await until(lambda: gateway.runs and gateway.subscription.connected)
    return gateway


async def test_a_gateway_joins_follows_and_is_sent_what_it_needs_and_no_more(plane: Plane, edge: Gateway):
    await following(edge)
    assert edge.models == ["a", "e"]
    assert [one.credential for one in edge.runs[-1].providers] == ["hush-edge"]
    await until(lambda: plane.record("edge-1").current)
    held = b"".join(edge.subscription.held.parts.values())
    assert b"hush-inner" not in held
    plane.change(model("b"))
    await until(lambda: "b" in edge.models)
    assert edge.runs[-1].version == edge.subscription.held.at.short


async def test_what_concerns_others_is_not_even_told(plane: Plane, edge: Gateway):
    await following(edge)
    await until(lambda: plane.record("edge-1").current)
    before = edge.subscription.held
    plane.change(secret("t", "hush-inner-2", "default/inner"), model("i2", "default/inner"))
    plane.change(model("b"))
    await until(lambda: "b" in edge.models)
    assert len(edge.runs) == 2
    assert edge.subscription.held.parts.keys() - before.parts.keys() == {"model/b"}


async def test_a_gateway_that_was_away_is_sent_the_difference(plane: Plane, edge: Gateway):
    await following(edge)
    await edge.subscription.stop()
    plane.change(model("b"))
    plane.change(("model/a", None))
    seen: list[type] = []
    gateway = Gateway(plane, edge.subscription.identity, edge.kept.path.parent)
    assert await gateway.subscription.resume()
    checked = gateway.subscription._checked
    gateway.subscription._checked = lambda update: (seen.append(type(update)), checked(update))[1]  # type: ignore[method-assign]
    await following(gateway)
    await until(lambda: gateway.models == ["b", "e"])
    assert seen == [Delta]
    await gateway.subscription.stop()


async def test_after_a_restart_who_holds_the_state_is_sent_nothing(plane: Plane, edge: Gateway):
    await following(edge)
    await until(lambda: plane.record("edge-1").current)
    await plane.restart()
    await until(lambda: edge.subscription.connected and plane.record("edge-1") is not None)
    await asyncio.sleep(0.1)
    assert len(edge.runs) == 1
    plane.change(model("b"))
    await until(lambda: "b" in edge.models)


async def test_without_a_control_plane_it_starts_from_what_ran_last(plane: Plane, edge: Gateway):
    await following(edge)
    await edge.subscription.stop()
    await plane.stop()
    gateway = Gateway(plane, edge.subscription.identity, edge.kept.path.parent)
    assert await gateway.subscription.resume()
    gateway.subscription.start()
    assert gateway.models == ["a", "e"]
    await until(lambda: any("is away, what runs runs on" in line for line in gateway.said))
    await gateway.subscription.stop()


async def test_a_kept_state_that_the_workers_refuse_is_left_out(plane: Plane, edge: Gateway):
    await following(edge)
    await edge.subscription.stop()
    gateway = Gateway(plane, edge.subscription.identity, edge.kept.path.parent)
    gateway.refuse = lambda _: "the port is taken"
    assert not await gateway.subscription.resume()
    assert "the port is taken" in gateway.said[-1]
    gateway.refuse = lambda _: ""
    await following(gateway)
    await gateway.subscription.stop()


async def test_what_the_workers_refuse_is_told_with_its_place_and_the_next_good_one_runs(plane: Plane, edge: Gateway):
    edge.refuse = lambda snapshot: "the port is taken" if any(one.name == "bad" for one in snapshot.models) else ""
    await following(edge)
    await until(lambda: plane.record("edge-1").current)
    plane.change(model("bad"))
    await until(lambda: plane.record("edge-1").error)
    record = plane.record("edge-1")
    assert (record.error, record.error_path, record.current) == ("the port is taken", "listeners/web", False)
    assert edge.models == ["a", "e"]
    plane.change(("model/bad", None), model("good"))
    await until(lambda: plane.record("edge-1").current)
    assert edge.models == ["a", "e", "good"]
    assert plane.record("edge-1").error == ""


async def test_a_part_that_is_none_is_rejected_by_name(plane: Plane, edge: Gateway):
    await following(edge)
    name, good = model("broken")
    plane.change((name, good._replace(data=b"\x93\xa0\x01\x90")))
    await until(lambda: plane.record("edge-1").error)
    assert plane.record("edge-1").error_path == "model/broken"
    plane.change(model("broken"))
    await until(lambda: "broken" in edge.models)


async def test_a_compiler_that_fails_does_not_end_distribution(plane: Plane, edge: Gateway, monkeypatch, caplog):
    monkeypatch.setattr(listening, "RETRY_S", 0.02)
    await following(edge)
    plane.source.failures = 2
    plane.change(model("b"))
    await until(lambda: "b" in edge.models)


async def test_changes_are_gathered_ten_a_second(plane: Plane, edge: Gateway):
    await following(edge)
    begun = time.monotonic()
    number = 0
    while time.monotonic() - begun < 1.0:
        number += 1
        plane.change(model(f"n{number}"))
        await asyncio.sleep(0.002)
    await until(lambda: f"n{number}" in edge.models)
    assert number > 100
    assert len(edge.runs) <= 13


# What goes wrong on the way


class Cutting:
    """A proxy that cuts connections after a random number of bytes."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._server: asyncio.Server | None = None
        self.cuts = 0
        self.cutting = True

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection("127.0.0.1", self._port)
        left = [self._random.randrange(1, 12_000) if self.cutting else 1 << 40]

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while left[0] > 0 and (data := await source.read(4096)):
                sink.write(data[: left[0]])
                left[0] -= len(data)
            self.cuts += left[0] <= 0
            for one in (writer, out):
                one.transport.abort()

        await asyncio.gather(pump(reader, out), pump(there, writer), return_exceptions=True)

    def stop(self) -> None:
        assert self._server is not None
        self._server.close()


async def test_a_connection_may_be_cut_at_any_byte(plane: Plane, edge: Gateway):
    plane.change(*(model(f"padding-{number:04}-{'x' * 40}") for number in range(60)))
    proxy = Cutting(plane.port, 7)
    gateway = Gateway(plane, edge.subscription.identity, edge.kept.path.parent, ("127.0.0.1", await proxy.start()))
    gateway.subscription.start()
    for number in range(150):
        plane.change(model(f"m{number % 7}-{'y' * (number % 50)}"), (f"model/m{(number + 3) % 7}", None))
        await asyncio.sleep(0.01)
    assert proxy.cuts > 5
    proxy.cutting = False
    plane.change(model("last"))
    await until(lambda: "last" in gateway.models)
    view = plane.running.hub.states.view(EDGE)
    assert gateway.subscription.held.parts == view.parts
    await gateway.subscription.stop()
    proxy.stop()


async def test_a_change_that_does_not_fit_leads_to_everything(plane: Plane, edge: Gateway):
    await following(edge)
    await until(lambda: plane.record("edge-1").current)
    held = edge.subscription.held
    edge.subscription.held = msgspec.structs.replace(held, parts={**held.parts, "model/ghost": b""})
    edge.subscription.held = msgspec.structs.replace(held, at=Point("one", 1, "f" * 64))
    plane.change(model("b"))
    await until(lambda: "b" in edge.models)
    assert edge.subscription.held.parts == plane.running.hub.states.view(EDGE).parts


# Peers that are not what they should be


async def connected(plane: Plane, identity: Identity) -> Connection:
    return await reach(("127.0.0.1", plane.port), identity.context())


def hello(name: str = "edge-1", interest: Interest = EDGE, node: str = "node") -> Hello:
    return Hello(name, node, "1", interest)


async def rest(connection: Connection) -> int:
    """How many refusals are said until it is closed; nothing else is."""
    count = 0
    with contextlib.suppress(ReachError):
        while True:
            assert isinstance(await connection.receive(), Refused)
            count += 1
    await connection.close()
    return count


async def greet(plane: Plane, context: ssl.SSLContext) -> object:
    connection = await reach(("127.0.0.1", plane.port), context)
    await connection.send(hello())
    return await said(connection)


async def said(connection: Connection) -> object:
    try:
        return await connection.receive()
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("greeting", "why"),
    [
        (hello("edge-2"), "the certificate is that of edge-1"),
        (hello(interest=INNER), "may not follow Gateway default/inner"),
        (hello(interest=Interest("*")), r"may not follow Gateway \*"),
        (hello(interest=Interest("default/edge\x00")), "may not follow"),
        (Ack(Point()), "greets first"),
        (Reject(Point(), "x"), "greets first"),
    ],
    ids=["another name", "another's Gateway", "everything", "nearly", "no greeting", "no greeting either"],
)
async def test_a_gateway_is_what_its_certificate_says(plane: Plane, edge: Gateway, greeting, why: str):
    connection = await connected(plane, edge.subscription.identity)
    await connection.send(greeting)
    answer = await said(connection)
    assert isinstance(answer, Refused)
    assert why.replace("\\", "") in answer.message


async def test_a_name_is_held_by_one_certificate_at_a_time(plane: Plane, edge: Gateway, tmp_path: Path):
    await following(edge)
    thief = await joined(plane, "edge-1", EDGE, tmp_path / "thief")
    connection = await connected(plane, thief)
    await connection.send(hello())
    answer = await said(connection)
    assert isinstance(answer, Busy)
    assert "is connected already" in answer.message
    plane.change(model("b"))
    await until(lambda: "b" in edge.models)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x04\x93\x93\x93\x93",
        b"\x00\x01\x00\x01",
        encode(Welcome(1)),
    ],
    ids=["HTTP", "enormous", "deep", "too long by one", "the other side's"],
)
async def test_garbage_ends_its_own_connection_only(plane: Plane, edge: Gateway, data: bytes):
    await following(edge)
    for greeted in (False, True):
        connection = await connected(plane, edge.subscription.identity)
        if greeted:
            await connection.send(hello(node="elsewhere"))
            assert isinstance(await connection.receive(), Busy)
        connection._writer.write(data)
        assert await rest(connection) <= 1
    plane.change(model("b"))
    await until(lambda: "b" in edge.models)


async def test_without_a_certificate_nothing_is_had(plane: Plane, edge: Gateway):
    context = reaching.server_context(edge.subscription.identity.authority)
    connection = await reach(("127.0.0.1", plane.port), context)
    await connection.send(hello())
    answer = await said(connection)
    assert isinstance(answer, Refused)
    assert "needs a certificate" in answer.message


async def test_a_certificate_of_another_authority_is_none(plane: Plane, edge: Gateway, tmp_path: Path):
    other = await Plane(tmp_path / "other", FakeSource(PARTS)).start()
    identity = await joined(other, "edge-1", EDGE, tmp_path / "foreign")
    await other.stop()
    mixed = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    mixed.load_verify_locations(cadata=edge.subscription.identity.authority)
    mixed.load_cert_chain(identity.path)
    with pytest.raises(ReachError):
        await greet(plane, mixed)
    with pytest.raises(ReachError, match="not the control plane of this gateway's authority"):
        await connected(plane, identity)


async def test_a_gateway_cannot_pass_for_the_control_plane(plane: Plane, edge: Gateway):
    """Its certificate is of the right authority, but for clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(edge.subscription.identity.path)
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ReachError, match="not the control plane"):
        await reach(("127.0.0.1", port), edge.subscription.identity.context())
    server.close()


async def test_a_revoked_gateway_is_cut_off_and_kept_out(plane: Plane, edge: Gateway, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listening, "SWEEP_S", 0.05)
    await plane.restart()
    await following(edge)
    (follower,) = plane.running.hub.followers()
    plane.authority.deny(follower.certificate, "stolen")
    await until(lambda: "revoked" in edge.subscription.error)
    plane.change(model("b"))
    await asyncio.sleep(0.2)
    assert "b" not in edge.models


async def test_a_stranger_has_little_time(plane: Plane, edge: Gateway, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listening, "GREETING_S", 0.2)
    connection = await connected(plane, edge.subscription.identity)
    with pytest.raises(ReachError):
        await connection.receive()
    await connection.close()
    assert plane.running.strangers == 0


async def test_there_is_room_for_so_many_strangers(plane: Plane, edge: Gateway, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listening, "MAX_STRANGERS", 1)
    first = await connected(plane, edge.subscription.identity)
    with pytest.raises(ReachError):
        await greet(plane, edge.subscription.identity.context())
    await first.close()


async def test_a_token_of_one_control_plane_is_not_shown_to_another(plane: Plane, tmp_path: Path):
    other = await Plane(tmp_path / "other", FakeSource(PARTS)).start()
    with pytest.raises(IdentityError, match="not the one that made this token"):
        await join(("127.0.0.1", other.port), plane.joining.token("edge-9", EDGE), tmp_path / "x.pem")
    await other.stop()
    assert not (tmp_path / "x.pem").exists()


async def test_a_token_is_good_once(plane: Plane, tmp_path: Path):
    token = plane.joining.token("edge-9", EDGE)
    await join(("127.0.0.1", plane.port), token, tmp_path / "x.pem")
    with pytest.raises(IdentityError, match="has been used"):
        await join(("127.0.0.1", plane.port), token, tmp_path / "y.pem")
    for wrong in ("", "nonsense", "a.b", "x" * 5000):
        with pytest.raises(IdentityError, match="no token"):
            await join(("127.0.0.1", plane.port), wrong, tmp_path / "y.pem")


async def test_a_certificate_is_renewed_at_half_of_its_life(plane: Plane, edge: Gateway, monkeypatch):
    monkeypatch.setattr(client, "HEARTBEAT_S", 0.05)
    subscription = edge.subscription
    before = subscription.identity
    subscription.identity = msgspec.structs.replace(before, begins_s=0.0, ends_s=time.time() * 2 - 1000)
    await following(edge)
    await until(lambda: subscription.identity.ends_s > time.time() and subscription.identity.begins_s > 0)
    assert subscription.identity.path.read_bytes() != b""
    await plane.restart()
    await until(lambda: subscription.connected)
    (follower,) = plane.running.hub.followers()
    plane.change(model("b"))
    await until(lambda: "b" in edge.models)
    assert follower.name == "edge-1"


# A control plane that is not what it should be


class Fake:
    """A control plane that says what the test says, with the right certificate."""

    def __init__(self, plane: Plane, *messages: object) -> None:
        self._plane = plane
        self._messages = messages
        self.heard: list[bytes] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Fake":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._plane.authority.server_certificate()[0])
        self._server = await asyncio.start_server(self._speak, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(await reader.read(65536))
        for message in self._messages:
            writer.write(message if isinstance(message, bytes) else encode(message))  # type: ignore[arg-type]
        try:
            while data := await reader.read(65536):
                self.heard.append(data)
        except OSError:
            pass
        writer.close()


def full(version: int, *parts: tuple[str, object], lineage: str = "one") -> Full:
    bodies = {name: part.data for name, part in parts}  # type: ignore[attr-defined]
    return Full(Point(lineage, version, hexed(digest_of(bodies))), bodies)


async def followed(edge: Gateway, plane: Plane, *messages: object) -> tuple[Gateway, bytes]:
    """What a gateway that holds version 5 makes of what a control plane says."""
    await edge.subscription.stop()
    async with Fake(plane, *messages) as fake:
        gateway = Gateway(plane, edge.subscription.identity, edge.kept.path.parent, ("127.0.0.1", fake.port))
        gateway.subscription.held = edge.subscription.held
        gateway.subscription.start()
        await until(lambda: fake.heard)
        await asyncio.sleep(0.3)
        await gateway.subscription.stop()
        return gateway, b"".join(fake.heard)


async def test_an_older_state_of_the_same_history_is_not_run(plane: Plane, edge: Gateway):
    edge.subscription.held = client.Held(Point("one", 5, "a" * 64), {})
    gateway, heard = await followed(edge, plane, Welcome(1), full(4, *PARTS[:3]))
    assert gateway.runs == []
    assert b"older" in heard
    gateway, heard = await followed(edge, plane, Welcome(1), full(4, *PARTS[:3], lineage="two"))
    assert len(gateway.runs) == 1


async def test_a_control_plane_that_is_behind_for_a_minute_is_believed(plane: Plane, edge: Gateway, monkeypatch):
    monkeypatch.setattr(behind, "BEHIND_S", 0.2)
    await following(edge)
    edge.subscription.held = msgspec.structs.replace(edge.subscription.held, at=Point("one", 99, "f" * 64))
    await plane.restart()
    plane.change(model("b"))
    await until(lambda: "b" in edge.models)
    assert edge.subscription.held.at.version < 99


@pytest.mark.parametrize(
    "messages",
    [
        (b"\xff\xff\xff\xff",),
        (b"HTTP/1.1 200 OK\r\n\r\n",),
        (Welcome(1), Welcome(1)),
        (Welcome(1), full(6, *PARTS[:3]), full(7, *PARTS[:4])),
        (Full(Point("one", 6, "f" * 64), {}),),
        (Ping(),),
        (encode(Welcome(1))[:-1],),
        (Busy(-1e9),),
        (Busy(float("inf")),),
    ],
    ids=["enormous", "HTTP", "twice", "two at once", "no welcome", "a ping", "cut", "past", "never"],
)
async def test_what_must_not_be_said_ends_the_connection_and_nothing_else(plane, edge: Gateway, messages, monkeypatch):
    monkeypatch.setattr(reaching, "SILENT_S", 0.1)
    gateway, _ = await followed(edge, plane, *messages)
    assert len(gateway.runs) <= 1
    assert gateway.said


async def test_a_whole_state_that_is_not_what_its_digest_says_is_rejected(plane: Plane, edge: Gateway):
    gateway, heard = await followed(edge, plane, Welcome(1), Full(Point("one", 6, "f" * 64), {"model/a": b""}))
    assert gateway.runs == []
    assert b"is not what its digest says" in heard


async def test_an_identity_file_that_is_none_says_so(plane: Plane, edge: Gateway, tmp_path: Path):
    path = edge.subscription.identity.path
    good = path.read_bytes()
    for bad in (b"", good[:200], good.replace(b"# gateway", b"# gatewax"), good.replace(b"BEGIN CERT", b"BEGIN CART")):
        path.write_bytes(bad)
        with pytest.raises(IdentityError):
            load_identity(path)
    path.write_bytes(good)
    path.chmod(0o644)
    with pytest.raises(IdentityError, match="only its owner"):
        load_identity(path)
