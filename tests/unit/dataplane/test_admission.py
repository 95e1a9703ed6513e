"""What browsers may do: which origins are believed, and what they are told, once."""

import pytest

from heddle.dataplane.admission import Admission
from heddle.model.snapshot import ListenerSpec
from heddle.net.body import Body
from heddle.net.message import Peer, Request
from heddle.pipeline.errors import CallError, Reason

APP = b"https://app.example"


def admission(address: str = "127.0.0.1", *origins: str) -> Admission:
    return Admission(ListenerSpec(name="llm", address=address, port=0, protocol="HTTP", origins=origins))


def request(method: str = "POST", *headers: tuple[bytes, bytes]) -> Request:
    fields = [(b"host", b"127.0.0.1"), *headers]
    return Request(method, "/v1/models", "", fields, Body.of(b""), Peer("127.0.0.1", 1, False))


@pytest.mark.parametrize(
    "origin", [b"http://[x", b"http://[", b"https://]", b"http://[::1", b"null", b"", b"\xff", b"http://[v1.x]"]
)
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_what_is_no_origin_is_a_foreign_one(address: str, origin: bytes) -> None:
    checks = admission(address, APP.decode())
    assert not checks.allows_origin(origin)
    with pytest.raises(CallError) as refused:
        checks.check(request("POST", (b"origin", origin)))
    assert refused.value.reason is Reason.FORBIDDEN
    assert checks.cors(request("POST", (b"origin", origin))) == []


@pytest.mark.parametrize("origin", [APP, b"http://localhost:3000", b"http://127.0.0.1:8080", b"http://[::1]:1"])
def test_allowed_pages_and_those_of_this_machine_are_told_so(origin: bytes) -> None:
    checks = admission("127.0.0.1", APP.decode())
    asked = request("POST", (b"origin", origin))
    assert checks.check(asked) is True
    assert checks.cors(asked) == [(b"access-control-allow-origin", origin), (b"vary", b"origin")]


def test_a_preflight_leaves_the_origin_to_the_door() -> None:
    asked = request("OPTIONS", (b"origin", APP), (b"access-control-request-method", b"POST"))
    reply = admission("127.0.0.1", APP.decode()).preflight(asked)
    assert reply is not None
    assert reply.status == 204
    assert b"access-control-allow-origin" not in dict(reply.headers)
    assert dict(reply.headers)[b"access-control-allow-methods"] == b"GET, POST"
