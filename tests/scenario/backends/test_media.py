"""Files named by URL: fetched only from where it was allowed, at the address that was screened."""

import asyncio
from types import SimpleNamespace

import pytest

from heddle.backends.media import MAX_FILES, MediaFetcher
from heddle.model.snapshot import MediaSpec
from heddle.net.body import Body
from heddle.net.errors import ConnectFailed
from heddle.net.screening import is_public
from heddle.pipeline.errors import CallError
from heddle.wire.canonical.request import ChatRequest, Media, Message, Text, ToolResult
from heddle.wire.canonical.rules import Outcome, Rule

PNG = b"\x89PNG\r\n\x1a\nrest"
RULES = {Rule.IMAGE_URL: Outcome.REFUSED, Rule.DOCUMENT_URL: Outcome.REFUSED}
ALLOWED = MediaSpec(hosts=("*.example.com", "evil.example.net"), max_bytes=1000, timeout_s=1.0)


class FakeClient:
    def __init__(self, data=PNG, kind=b"image/png", status=200, error=None):
        self.data, self.kind, self.status, self.error = data, kind, status, error
        self.asked = []
        self.open = 0

    def origin(self, base_url, *, owner="", address="", max_connections=1):
        self.open += 1
        return base_url, address

    def discard(self, origin):
        self.open -= 1

    async def send(self, origin, request, timeouts):
        self.asked.append((*origin, request.target))
        if self.error:
            raise self.error
        return SimpleNamespace(
            status=self.status, headers=[(b"content-type", self.kind)], body=Body.of(self.data), close=lambda: None
        )


def resolving(*addresses):
    async def resolve(host, port):
        return list(addresses)

    return resolve


def asked(*urls, kind="image"):
    return ChatRequest(
        model="m",
        messages=(Message(role="user", parts=(Text(text="x"), *[Media(kind=kind, url=url) for url in urls])),),
    )


async def fetch(request, client=None, spec=ALLOWED, addresses=("93.184.216.34",), rules=RULES):
    return await MediaFetcher(spec, client or FakeClient(), resolving(*addresses)).inline(request, rules)


async def test_a_file_takes_the_place_of_its_url():
    client = FakeClient()
    found = (await fetch(asked("https://img.example.com/a.png?x=1"), client)).messages[0].parts[1]
    assert (found.kind, found.media_type, found.data, found.url) == ("image", "image/png", "iVBORw0KGgpyZXN0", "")
    assert client.asked == [("https://img.example.com", "93.184.216.34", b"/a.png?x=1")]
    assert client.open == 0


async def test_inside_results_of_tools_too():
    image = Media(kind="image", url="https://img.example.com/")
    request = ChatRequest(model="m", messages=(Message(role="user", parts=(ToolResult(call_id="1", parts=(image,)),)),))
    assert (await fetch(request)).messages[0].parts[0].parts[0].data


async def test_the_same_url_is_fetched_once():
    client = FakeClient()
    await fetch(asked("https://img.example.com/", "https://img.example.com/"), client)
    assert len(client.asked) == 1


async def test_what_the_provider_takes_is_left_to_it():
    client = FakeClient()
    request = asked("https://img.example.com/")
    assert await fetch(request, client, rules={}) is request
    assert await fetch(request, client, spec=MediaSpec()) is request
    assert client.asked == []


PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "::7f00:1",
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_addresses_that_are_not_public_are_refused(address):
    assert not is_public(address)
    client = FakeClient()
    with pytest.raises(CallError, match="may not be fetched"):
        await fetch(asked("https://img.example.com/"), client, addresses=("93.184.216.34", address))
    assert client.asked == []


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"])
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://img.example.com/",
        "ftp://img.example.com/",
        "file:///etc/passwd",
        "https://other.test/",
        "https://img.example.com.other.test/",
        "https://user:pw@img.example.com/",
        "https://img.example.com@other.test/",
        "https://127.0.0.1/",
        "https://img.example.com/a b",
        "https://img.example.com/\r\nx: y",
        "https://img.example.com:99999/",
        "https:///",
        "https://[img.example.com/",
        "https://img.example.com]/",
        "https://[::1%25lo]/",
        "nonsense",
    ],
)
async def test_urls_that_are_refused(url):
    client = FakeClient()
    with pytest.raises(CallError) as caught:
        await fetch(asked(url), client)
    assert caught.value.answer.status == 400
    assert client.asked == []


async def test_a_listed_network_may_be_private_and_plain():
    spec = MediaSpec(hosts=("files.example.com",), networks=("10.0.0.0/8",))
    client = FakeClient()
    await fetch(asked("http://files.example.com/"), client, spec, ("10.1.2.3",))
    assert client.asked == [("http://files.example.com", "10.1.2.3", b"/")]
    with pytest.raises(CallError):
        await fetch(asked("https://files.example.com/"), client, spec, ("192.168.0.1",))


@pytest.mark.parametrize(
    "client",
    [
        FakeClient(status=302),
        FakeClient(status=404),
        FakeClient(kind=b"text/html"),
        FakeClient(data=b"<html>", kind=b"image/png"),
        FakeClient(data=b""),
        FakeClient(data=PNG + b"x" * 2000),
        FakeClient(error=ConnectFailed("no")),
    ],
    ids=["redirect", "missing", "type", "disguised", "empty", "large", "dead"],
)
async def test_what_is_no_good_file_is_refused(client):
    with pytest.raises(CallError) as caught:
        await fetch(asked("https://img.example.com/"), client)
    assert caught.value.answer.status == 400
    assert client.open == 0


async def test_many_files_are_refused_before_any_is_fetched():
    client = FakeClient()
    with pytest.raises(CallError, match="at most"):
        await fetch(asked(*[f"https://img.example.com/{n}" for n in range(MAX_FILES + 1)]), client)
    assert client.asked == []


async def test_files_are_bounded_together():
    client = FakeClient(data=PNG + b"x" * 600)
    with pytest.raises(CallError, match="larger"):
        await fetch(asked("https://a.example.com/", "https://b.example.com/"), client)


async def test_slow_files_are_given_up():
    async def never(host, port):
        await asyncio.sleep(60)

    spec = MediaSpec(hosts=("*.example.com",), timeout_s=0.05)
    with pytest.raises(CallError, match="in time"):
        await MediaFetcher(spec, FakeClient(), never).inline(asked("https://img.example.com/"), RULES)
