"""The API server's TLS: whose certificates open it, and its own replaced while it listens."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.controlplane.access.rig import Clock

from heddle.controlplane.access.authority import SERVER_FILE, SERVER_RENEW_S, SERVER_TTL_S, Authority, AuthorityError
from heddle.controlplane.access.certificates import Pair
from heddle.controlplane.access.tls import LOOK_S, ServerTls


class Served(NamedTuple):
    clock: Clock
    authority: Authority
    tls: ServerTls
    port: int


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    clock = Clock()
    clock.now_s = time.time()  # what OpenSSL goes by
    authority = Authority(tmp_path, clock)
    tls = ServerTls(authority, ["mesh.example"], clock)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(der or b"nobody")
        writer.close()
        del reader

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls.context)
    yield Served(clock, authority, tls, server.sockets[0].getsockname()[1])
    server.close()


async def connected(
    served: Served, tmp_path: Path, pair: Pair | None = None, host: str = "127.0.0.1"
) -> tuple[bytes, bytes]:
    """What the server says of the client, and the server's certificate."""
    context = ssl.create_default_context(cadata=served.authority.ca_pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if pair is not None:
        (tmp_path / "client.pem").write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(tmp_path / "client.pem")
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context, server_hostname=host)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    said = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return said, shown


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "mesh.example"])
async def test_it_is_who_it_is_called(served: Served, tmp_path: Path, host: str):
    assert (await connected(served, tmp_path, host=host))[0] == b"nobody"


async def test_it_is_nobody_else(served: Served, tmp_path: Path):
    with pytest.raises(ssl.SSLCertVerificationError):
        await connected(served, tmp_path, host="other.example")


async def test_a_client_of_the_authority_is_let_in(served: Served, tmp_path: Path):
    said, _ = await connected(served, tmp_path, served.authority.issue("alice", ["dev"], 3600))
    assert served.authority.proves(said).name == "alice"


async def test_a_client_of_another_is_not(served: Served, tmp_path: Path):
    other = Authority(tmp_path / "other", served.clock)
    said = b""
    # In TLS 1.3 the client is through before it learns that it was refused.
    with contextlib.suppress(OSError):
        said, _ = await connected(served, tmp_path, other.issue("alice", [], 3600))
    assert said == b""


async def test_its_certificate_is_replaced_while_it_listens(served: Served, tmp_path: Path):
    _, first = await connected(served, tmp_path)
    assert served.tls.renew() == LOOK_S
    assert (await connected(served, tmp_path))[1] == first
    served.clock.now_s += SERVER_TTL_S - SERVER_RENEW_S
    assert served.tls.renew() == LOOK_S
    assert served.tls.context is not None
    made = (served.authority.folder / SERVER_FILE).read_text()
    assert ssl.PEM_cert_to_DER_cert(made[made.index("-----BEGIN CERT") :]) != first
    # The new one begins in what is the future of OpenSSL's clock; that it is shown is what matters here.
    with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
        await connected(served, tmp_path)


async def test_a_damaged_certificate_is_made_anew(served: Served, tmp_path: Path):
    (served.authority.folder / SERVER_FILE).write_bytes(b"x")
    again = ServerTls(served.authority, [], served.clock)
    assert again.renew() == LOOK_S
    assert b"BEGIN CERTIFICATE" in (served.authority.folder / SERVER_FILE).read_bytes()


async def test_one_that_others_can_read_is_refused(served: Served):
    (served.authority.folder / SERVER_FILE).chmod(0o644)
    with pytest.raises(AuthorityError, match="only its owner"):
        ServerTls(served.authority, [], served.clock)


async def test_it_is_kept_until_told_otherwise(served: Served, monkeypatch: pytest.MonkeyPatch):
    slept: list[float] = []
    renewed: list[int] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    def renew() -> float:
        renewed.append(1)
        if len(renewed) == 2:
            raise AuthorityError("the disk is full")
        return 7.0

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(served.tls, "renew", renew)
    with pytest.raises(asyncio.CancelledError):
        await served.tls.keep()
    assert slept == [7.0, 60.0, 7.0]
