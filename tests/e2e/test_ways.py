"""The ways in and out: TLS on either side, client certificates, a forward proxy, proxies in front."""

import http.client
import json
import socket
import ssl
import threading

import pytest
from tests.e2e.net.rig import make_certificates
from tests.e2e.running import RunningMesh, running_mesh
from tests.e2e.servers import Asked, reply, serving

CALL = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = b'{"id":"1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP@LISTENER@}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm: {{providers: [{{name: vendor, type: openai, base_url: "@URL@", api_key: sk-vendor@PROVIDER@}}]}}
security: {{authentication: {{type: api_key, keys: [{{key: sk-test-123, user: ann, tenant: t}}]}}}}
observability: {{logging: {{output: [{{type: file, path: access.log}}]}}}}
"""


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """CA, certificate and key, as files."""
    return make_certificates(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Those of somebody else."""
    return make_certificates(tmp_path_factory.mktemp("theirs"))


def text(url: str, *, listener: str = "", provider: str = "") -> str:
    return CONFIG.replace("@URL@", url).replace("@LISTENER@", listener).replace("@PROVIDER@", provider)


def answer(_: Asked) -> bytes:
    return reply(200, ANSWER)


def https(certificates: list[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates[1:])
    return context


def test_a_provider_behind_tls(tmp_path, ours, theirs):
    with serving(answer, https(ours)) as server:
        trusted = text(f"{server.url}/v1", provider=f", ca_file: {ours[0]}")
        with running_mesh(tmp_path / "trusted", trusted) as mesh:
            assert mesh.post(CALL)[0] == 200
            assert mesh.post(CALL)[0] == 200
        assert server.connections == 1
        before = len(server.asked)
        for name, ca in (("system", ""), ("other", f", ca_file: {theirs[0]}")):
            with running_mesh(tmp_path / name, text(f"{server.url}/v1", provider=ca)) as mesh:
                status, _, data = mesh.post(CALL)
                assert (status, json.loads(data)["error"]["code"]) == (503, "upstream_unreachable")
        assert len(server.asked) == before, "nothing was sent to a provider that could not prove itself"


def tunnel(sock: socket.socket, port: int) -> None:
    """Copy both ways until either side ends."""
    with socket.create_connection(("127.0.0.1", port)) as far:
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")

        def copy(source: socket.socket, target: socket.socket) -> None:
            try:
                while piece := source.recv(65536):
                    target.sendall(piece)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        thread = threading.Thread(target=copy, args=(far, sock), daemon=True)
        thread.start()
        copy(sock, far)
        thread.join(5)
    raise OSError("finished")


def test_a_forward_proxy(tmp_path, ours):
    with serving(answer, https(ours)) as secure, serving(answer) as plain:

        def proxying(asked: Asked):
            if asked.method == "CONNECT":
                return lambda sock: tunnel(sock, secure.port)
            return reply(200, ANSWER)

        with serving(proxying) as proxy:
            through = f', proxy: "{proxy.url}"'
            with running_mesh(tmp_path / "plain", text(f"{plain.url}/v1", provider=through)) as mesh:
                assert mesh.post(CALL)[0] == 200
            assert [asked.target for asked in proxy.asked] == [f"{plain.url}/v1/chat/completions"]
            assert plain.asked == [], "it went to the proxy, not past it"
            proxy.asked.clear()
            through += f", ca_file: {ours[0]}"
            with running_mesh(tmp_path / "tls", text(f"{secure.url}/v1", provider=through)) as mesh:
                assert mesh.post(CALL)[0] == 200
            assert [(asked.method, asked.target) for asked in proxy.asked] == [("CONNECT", f"127.0.0.1:{secure.port}")]
            assert proxy.asked[0].header("authorization") is None, "the credential is for the provider alone"
            assert secure.asked[0].header("authorization") == "Bearer sk-vendor"


def test_a_proxy_that_refuses(tmp_path, ours):
    with serving(lambda _: reply(403)) as proxy:
        through = f', proxy: "{proxy.url}", ca_file: {ours[0]}'
        with running_mesh(tmp_path, text("https://127.0.0.1:9/v1", provider=through)) as mesh:
            status, _, data = mesh.post(CALL)
    assert (status, json.loads(data)["error"]["code"]) == (503, "upstream_unreachable")


def post_tls(mesh: RunningMesh, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection("127.0.0.1", mesh.port, timeout=5, context=context)
    fields = {"content-type": "application/json", "authorization": "Bearer sk-test-123"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(CALL), fields)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.filterwarnings("ignore:.*TLSv1:DeprecationWarning")
def test_a_listener_with_tls(tmp_path, ours):
    files = f", tls: {{{{cert_file: {ours[1]}, key_file: {ours[2]}}}}}"
    with serving(answer) as server, running_mesh(tmp_path, text(f"{server.url}/v1", listener=files)) as mesh:
        context = ssl.create_default_context(cafile=ours[0])
        assert post_tls(mesh, context) == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            post_tls(mesh, ssl.create_default_context())
        with pytest.raises((http.client.HTTPException, OSError)):
            mesh.post(CALL)
        old = ssl.create_default_context(cafile=ours[0])
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(OSError, match=r"(?i)ssl|protocol|reset"):
            post_tls(mesh, old)
        assert post_tls(mesh, context) == 200


def test_a_listener_that_asks_for_a_certificate(tmp_path, ours, theirs):
    files = f", tls: {{{{cert_file: {ours[1]}, key_file: {ours[2]}, client_ca_file: {theirs[0]}}}}}"
    with serving(answer) as server, running_mesh(tmp_path, text(f"{server.url}/v1", listener=files)) as mesh:
        known = ssl.create_default_context(cafile=ours[0])
        known.load_cert_chain(*theirs[1:])
        assert post_tls(mesh, known) == 200
        stranger = ssl.create_default_context(cafile=ours[0])
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            post_tls(mesh, stranger)
        stranger.load_cert_chain(*ours[1:])
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            post_tls(mesh, stranger)
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("trusted", "forwarded", "source"),
    [
        ("", "203.0.113.7", "127.0.0.1"),
        ("127.0.0.0/8", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1, 10.0.0.0/8", "198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1, unknown", "127.0.0.1"),
        ("10.0.0.0/8", "203.0.113.7", "127.0.0.1"),
    ],
)
def test_proxies_in_front(tmp_path, trusted, forwarded, source):
    with serving(answer) as server:
        listed = f", trusted_proxies: [{trusted}]" if trusted else ""
        with running_mesh(tmp_path, text(f"{server.url}/v1", listener=listed)) as mesh:
            status, record = mesh.recorded(CALL, x_forwarded_for=forwarded)
    assert (status, record["source"]) == (200, source)
