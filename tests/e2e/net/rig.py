"""A real server on loopback and raw sockets against it, on uvloop."""

import asyncio
import contextlib
import datetime
import functools
import ipaddress
import socket
import ssl

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.scenario.net.rig import answer_error, echo

from heddle.model.snapshot import ListenerLimits, ListenerSpec
from heddle.net.server import HttpServer


def on_uvloop(test):
    """Run an async test on uvloop, within 20 seconds, and fail when a task or the loop complains."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        complaints = []

        async def main():
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(20):
                await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
        assert not complaints, complaints

    return run


@contextlib.asynccontextmanager
async def serving(handler=echo, *, tls=None, **limits):
    """A server on an ephemeral port of 127.0.0.1; gives (server, port)."""
    spec = ListenerSpec(name="e2e", address="127.0.0.1", port=0, protocol="HTTP", limits=ListenerLimits(**limits))
    server = HttpServer(handler, spec, answer_error=answer_error)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        await server.start(sock, tls)
        try:
            yield server, sock.getsockname()[1]
        finally:
            await server.drain(0.0)
    assert server.connection_count == 0


@contextlib.asynccontextmanager
async def upstream(script):
    """A raw server that runs `script(reader, writer)` for every connection; gives (port, list of connections)."""
    connections = []

    async def run(reader, writer):
        connections.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, RuntimeError, asyncio.CancelledError):
            await script(reader, writer)
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], connections
    finally:
        server.close()
        for writer in connections:
            writer.transport.abort()


async def read_request(reader):
    """One request with content-length, as (head, body)."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line[15:])
    return head, await reader.readexactly(length)


async def talk(port, data, *, eof=False):
    """Send `data`, and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    if eof:
        writer.write_eof()
    answer = await reader.read(-1)
    writer.close()
    return answer


async def eventually(condition, within_s=5.0):
    """Wait until `condition()` holds."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 the conditions are counters, and nobody tells when they change
            await asyncio.sleep(0.01)


def make_certificates(folder):
    """A CA and a certificate for 127.0.0.1 and localhost; gives (ca.pem, cert.pem, key.pem)."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])

    def certificate(name, public_key):
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )

    ca = (
        certificate(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = (
        certificate(x509.Name([]), key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    files = [folder / name for name in ("ca.pem", "cert.pem", "key.pem")]
    files[0].write_bytes(ca.public_bytes(pem))
    files[1].write_bytes(leaf.public_bytes(pem))
    files[2].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return [str(file) for file in files]


def trusting(ca_file):
    """A client context for raw TLS tests."""
    return ssl.create_default_context(cafile=ca_file)
