"""Tokens that a credential is exchanged for: one fetch for all who wait, renewed unnoticed, failures held a moment."""

import asyncio
from types import SimpleNamespace

import pytest

from heddle.backends import credentials
from heddle.backends.credentials import Credentials
from heddle.model.provider import TokenRequest
from heddle.model.snapshot import ProviderSpec
from heddle.net.errors import ConnectFailed
from heddle.pipeline.errors import CallError, Reason
from heddle.wire.errors import ProtocolError


class Exchange:
    """A token endpoint, the client that asks it and the clock, all in one."""

    def __init__(self):
        self.now_s = 1000.0
        self.asked = 0
        self.status = 200
        self.lifetime_s = 3600.0
        self.error = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.discarded = []
        self.closers = []
        self.url = "https://token.example/grant?x=1"
        self.sent = None

    # as a provider
    def token_request(self, now_s):
        return TokenRequest(self.url, [(b"content-type", b"text/plain")], b"assertion at %d" % now_s)

    def read_token(self, body, now_s):
        if body == b"odd":
            raise ProtocolError("The token endpoint's answer is not a token.")
        return body.decode(), now_s + self.lifetime_s

    # as a client
    def origin(self, url, **options):
        self.origin_url = url
        return "origin"

    def discard(self, origin):
        self.discarded.append(origin)

    async def send(self, origin, request, timeouts):
        self.asked += 1
        self.sent = request
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        body = b"token%d" % self.asked if self.status != 299 else b"odd"
        status = 200 if self.status == 299 else self.status

        async def read(max_bytes):
            return body

        return SimpleNamespace(status=status, body=SimpleNamespace(read=read), close=lambda: None)

    def open(self):
        clock = SimpleNamespace(now=lambda: self.now_s)
        tools = SimpleNamespace(client=self, clock=clock, closers=self.closers)
        return Credentials(ProviderSpec(name="v", type="vertex"), self, tools)


def bearer(token):
    return [(b"authorization", f"Bearer {token}".encode())]


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_first_call_waits_and_the_next_do_not():
    known = Exchange()
    made = known.open()
    assert made.ready() is None
    assert await made.fields() == bearer("token1")
    assert made.ready() == bearer("token1")
    assert known.asked == 1
    assert (known.origin_url, known.sent.target, known.sent.body) == (
        "https://token.example", b"/grant?x=1", b"assertion at 1000",
    )  # fmt: skip


async def test_all_who_wait_wait_for_one_fetch():
    known = Exchange()
    known.gate.clear()
    made = known.open()
    waiting = [asyncio.create_task(made.fields()) for _ in range(20)]
    await settle()
    waiting[0].cancel()
    await settle()
    known.gate.set()
    got = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(got[0], asyncio.CancelledError)
    assert got[1:] == [bearer("token1")] * 19
    assert known.asked == 1


async def test_a_token_is_renewed_while_the_old_one_serves():
    known = Exchange()
    made = known.open()
    await made.fields()
    known.now_s += 3600 - credentials.RENEW_S - 1
    assert made.ready() == bearer("token1")
    await settle()
    assert known.asked == 1
    known.now_s += 2
    assert made.ready() == bearer("token1")
    await settle()
    assert known.asked == 2
    assert made.ready() == bearer("token2")


async def test_a_failed_renewal_keeps_the_old_token():
    known = Exchange()
    made = known.open()
    await made.fields()
    known.status = 503
    known.now_s += 3400
    for _ in range(10):
        assert await made.fields() == bearer("token1")
        await settle()
    assert known.asked == 2
    known.now_s += credentials.REST_S
    made.ready()
    await settle()
    assert known.asked == 3
    known.now_s += 200 - credentials.SPENT_S
    with pytest.raises(CallError):
        await made.fields()


async def test_a_short_life_is_renewed_at_its_half():
    known = Exchange()
    known.lifetime_s = 100.0
    made = known.open()
    await made.fields()
    known.now_s += 49
    made.ready()
    await settle()
    assert known.asked == 1
    known.now_s += 2
    made.ready()
    await settle()
    assert known.asked == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": 401}, "its token endpoint refused the credential (status 401)."),
        ({"status": 299}, "the token endpoint's answer is not a token."),
        ({"error": ConnectFailed("secret")}, "its token endpoint could not be asked (ConnectFailed)."),
        ({"lifetime_s": 20.0}, "its token endpoint grants tokens that expire at once."),
    ],
)
async def test_without_a_token_the_provider_is_unconfigured(change, said, caplog):
    known = Exchange()
    for name, value in change.items():
        setattr(known, name, value)
    made = known.open()
    for _ in range(3):
        with pytest.raises(CallError) as caught:
            await made.fields()
        assert caught.value.reason is Reason.PROVIDER_UNCONFIGURED
        assert caught.value.detail == f"The provider `v` is not usable: {said}"
    assert known.asked == 1, "a failure holds for a moment"
    assert "secret" not in caplog.text
    assert "assertion" not in caplog.text
    known.now_s += credentials.REST_S
    known.status, known.error, known.lifetime_s = 200, None, 3600.0
    assert await made.fields() == bearer("token2")


@pytest.mark.parametrize("url", ["http://token.example/", "ftp://x/", "https://me:pw@x/", ""])
async def test_endpoints_that_may_not_be_asked(url):
    known = Exchange()
    known.url = url
    with pytest.raises(ValueError, match="URL"):
        known.open()


async def test_nothing_goes_on_after_the_snapshot():
    known = Exchange()
    known.gate.clear()
    made = known.open()
    waiting = asyncio.create_task(made.fields())
    await settle()
    for close in known.closers:
        close()
    await settle()
    assert waiting.cancelled()
    assert known.discarded == ["origin"]
    assert "token" not in repr(made)
