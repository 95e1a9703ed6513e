"""What may be asked when somebody else chose the URL: names, addresses, redirects, sizes, times."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from heddle.identity.oauth.asking import MAX_ANSWER_BYTES, Answer, Asker
from heddle.identity.oauth.discovery import MAX_KEPT, Discovery
from heddle.identity.oauth.errors import OAuthError
from heddle.model.snapshot import TimeoutSpec
from heddle.model.snapshot_mcp_auth import ReachSpec
from heddle.net.body import Body
from heddle.net.errors import ConnectFailed

PUBLIC = "93.184.216.34"


class Net:
    """A client that connects nowhere, and a resolver that says what the test wants."""

    def __init__(self, *addresses: str, reply: Any = (200, b"{}")) -> None:
        self.addresses = list(addresses)
        self.reply = reply
        self.connected: list[tuple[str, str]] = []
        self.sent: list[Any] = []
        self.open = 0
        self.resolved: list[str] = []
        self.slow_s = 0.0

    async def resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append(f"{host}:{port}")
        await asyncio.sleep(self.slow_s)
        if not self.addresses:
            raise OSError("no such host")
        return self.addresses

    def origin(self, base_url: str, *, address: str = "", **_: Any) -> Any:
        self.connected.append((base_url, address))
        self.open += 1
        return SimpleNamespace()

    def discard(self, origin: Any) -> None:
        self.open -= 1

    async def send(self, origin: Any, request: Any, timeouts: Any) -> Any:
        self.sent.append(request)
        if isinstance(self.reply, Exception):
            raise self.reply
        status, body = self.reply
        return SimpleNamespace(status=status, headers=[], body=Body.of(body), close=lambda: None)

    def asker(self, *networks: str, configured: tuple[str, ...] = (), **fields: Any) -> Asker:
        reach = ReachSpec(private_networks=networks, **fields)
        return Asker(self, reach, configured, self.resolve)  # type: ignore[arg-type]


async def refused(net: Net, url: str, *networks: str, **fields: Any) -> str:
    with pytest.raises(OAuthError) as caught:
        await net.asker(*networks, **fields).get(url)
    assert net.open == 0
    return caught.value.detail


async def test_the_screened_address_is_the_one_connected_to() -> None:
    """A second look-up could say otherwise (DNS rebinding), so there is none."""
    net = Net(PUBLIC, "8.8.8.8")
    answer = await net.asker().get("https://as.example/x?y=1")
    assert answer.status == 200
    assert net.connected == [("https://as.example", PUBLIC)]
    assert net.resolved == ["as.example:443"]
    assert net.sent[0].target == b"/x?y=1"
    assert net.open == 0


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "::1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "::7f00:1",
        "255.255.255.255", "192.0.2.1",
    ],
)  # fmt: skip
async def test_addresses_inside_are_not_asked(address: str) -> None:
    net = Net(address)
    assert "may not be asked" in await refused(net, "https://as.example/")
    net.addresses = [PUBLIC, address]
    assert "may not be asked" in await refused(net, "https://as.example/")
    assert net.sent == []


async def test_listed_networks_are_asked_by_tls_only() -> None:
    net = Net("10.1.2.3")
    assert (await net.asker("10.0.0.0/8").get("https://as.internal/")).status == 200
    assert "not https" in await refused(net, "http://as.internal/", "10.0.0.0/8")
    net.addresses = ["127.0.0.1"]
    assert (await net.asker("127.0.0.0/8").get("http://localhost:9/")).status == 200
    assert "not https" in await refused(net, "http://localhost:9/")
    # A name that claims to be this machine, and is not.
    net.addresses = ["10.1.2.3"]
    assert "may not be asked" in await refused(net, "http://x.localhost/", "127.0.0.0/8", "10.0.0.0/8")


@pytest.mark.parametrize(
    "url",
    [
        "", "as.example", "ftp://as.example/", "file:///etc/passwd", "http://as.example/", "https://", "https:///x",
        "https://user@as.example/", "https://user:pw@as.example/", "https://as.example/#x", "https://as.example:99999/",
        "https://as.example/a b", "https://as.example/\r\nx: y", "https://as.example/\u00e9", "https://[::1",
        "https://as.example/" + "x" * 3000, 'https://as.example/"', "gopher://as.example", "https://as.example/\\..",
        "//as.example/x", "javascript:alert(1)",
    ],
)  # fmt: skip
async def test_urls_that_are_none_are_not_resolved(url: str) -> None:
    net = Net(PUBLIC)
    await refused(net, url)
    assert net.resolved == []


async def test_a_configured_origin_may_be_anywhere_but_secrets_go_over_tls() -> None:
    net = Net()
    asker = net.asker(configured=("http://mcp.internal:8080/mcp", "https://as.internal"))
    assert (await asker.get("http://mcp.internal:8080/.well-known/x")).status == 200
    assert (await asker.post_form("https://as.internal/token", {"a": "b"}, [])).status == 200
    assert net.resolved == []
    with pytest.raises(OAuthError, match="not https"):
        await asker.post_form("http://mcp.internal:8080/token", {}, [])
    with pytest.raises(OAuthError, match="not found"):
        await asker.get("https://as.internal:8443/other-port")
    asker.close()
    assert net.open == 0


async def test_redirects_are_answers() -> None:
    net = Net(PUBLIC, reply=(302, b""))
    assert (await net.asker().get("https://as.example/")).status == 302
    assert len(net.sent) == 1


async def test_answers_are_bounded_in_size_and_time() -> None:
    net = Net(PUBLIC, reply=(200, b"x" * (MAX_ANSWER_BYTES + 1)))
    assert "BodyTooLarge" in await refused(net, "https://as.example/")
    net.slow_s = 5.0
    detail = await refused(net, "https://as.example/", timeouts=TimeoutSpec(total_s=0.05))
    assert "in time" in detail
    net = Net(PUBLIC, reply=ConnectFailed("to 10.0.0.1: refused"))
    assert "10.0.0.1" not in await refused(net, "https://as.example/")


async def test_forms_are_encoded() -> None:
    net = Net(PUBLIC)
    await net.asker().post_form("https://as.example/token", {"scope": "a b", "x": "&=\u00e9"}, [(b"a", b"b")])
    assert net.sent[0].body == b"scope=a+b&x=%26%3D%C3%A9"
    assert (b"a", b"b") in net.sent[0].headers


def test_answers_show_nothing() -> None:
    answer = Answer(200, b'{"access_token": "SECRET"')
    assert "SECRET" not in repr(answer)
    with pytest.raises(OAuthError) as caught:
        answer.json()
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_discovery_asks_only_so_much() -> None:
    net = Net(PUBLIC, reply=(404, b""))
    discovery = Discovery(net.asker(), "https://mcp.example/mcp", lambda: 0.0)
    # As of 2025-03-26: it is its own authorization server, if it is one.
    assert await discovery.issuer("", "https://mcp.example/meta") == "https://mcp.example"
    assert [request.target for request in net.sent] == [
        b"/meta",
        b"/.well-known/oauth-protected-resource/mcp",
        b"/.well-known/oauth-protected-resource",
    ]
    with pytest.raises(OAuthError, match="publishes no"):
        await discovery.server("https://mcp.example")


@pytest.mark.parametrize("status", [200 + 1, 429, 500, 503])
async def test_a_failure_says_nothing_about_what_is_there(status: int) -> None:
    net = Net(PUBLIC, reply=(status, b""))
    discovery = Discovery(net.asker(), "https://mcp.example/mcp", lambda: 0.0)
    with pytest.raises(OAuthError, match=f"status {status}"):
        await discovery.resource()
    with pytest.raises(OAuthError, match=f"status {status}"):
        await discovery.server("https://as.example")
    assert len(net.sent) == 2


async def test_issuers_that_keep_changing_do_not_fill_the_memory() -> None:
    net = Net(PUBLIC)
    discovery = Discovery(net.asker(), "https://mcp.example/mcp", lambda: 0.0)
    for number in range(2 * MAX_KEPT):
        issuer = f"https://as{number}.example"
        net.reply = (200, f'{{"issuer": "{issuer}"}}'.encode())
        await discovery.server(issuer)
        assert (await discovery.server(issuer)).issuer == issuer
    assert len(net.sent) == 2 * MAX_KEPT
    assert len(discovery._servers) <= MAX_KEPT


async def test_a_challenge_cannot_send_the_gateway_inside() -> None:
    """The hint of a hostile target: the metadata service of a cloud, a port of this machine."""
    for url in ("http://169.254.169.254/latest", "https://169.254.169.254/", "http://localhost:9090/config"):
        net = Net("169.254.169.254")
        discovery = Discovery(net.asker(), "https://mcp.example/mcp", lambda: 0.0)
        with pytest.raises(OAuthError):
            await discovery.resource(url)
        assert net.sent == []
