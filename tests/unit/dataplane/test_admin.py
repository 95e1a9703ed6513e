"""The admin surface: whatever goes wrong in a page becomes an answer, and its cause goes to the log."""

import logging

import pytest

from heddle.dataplane.admin import AdminServer, Sources
from heddle.model.snapshot import AdminSpec
from heddle.net.body import Body
from heddle.net.message import Peer, Request


def broken() -> dict[str, object]:
    raise RuntimeError("planted")


async def get(path: str) -> tuple[int, bytes]:
    server = AdminServer(AdminSpec(port=0), "token", Sources(lambda: (True, "ready"), lambda: b"", broken))
    headers = [(b"host", b"127.0.0.1"), (b"authorization", b"Bearer token")]
    reply = await server.handle(Request("GET", path, "", headers, Body.of(b""), Peer("127.0.0.1", 1, False)))
    assert isinstance(reply.body, bytes)
    return reply.status, reply.body


async def test_a_page_that_fails_is_an_answer_without_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    assert (await get("/readyz"))[0] == 200
    with caplog.at_level(logging.ERROR, "heddle.admin"):
        status, body = await get("/config")
    assert status == 500
    assert b"planted" not in body
    assert "planted" in caplog.text
