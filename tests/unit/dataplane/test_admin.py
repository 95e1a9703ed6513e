"""The admin surface: whatever goes wrong in a page becomes an answer, and its cause goes to the log."""

import logging
from collections.abc import Callable

import pytest

from heddle.dataplane.admin import AdminServer, Sources
from heddle.model.snapshot import AdminSpec
from heddle.net.body import Body
from heddle.net.message import Peer, Request
from heddle.telemetry.records import AuditRecord


def broken() -> dict[str, object]:
    raise RuntimeError("planted")


async def get(
    path: str,
    token: str = "token",
    config: Callable[[], dict[str, object]] = broken,
    written: list[AuditRecord] | None = None,
    source: str = "127.0.0.1",
) -> tuple[int, bytes]:
    records = written if written is not None else []
    sources = Sources(lambda: (True, "ready"), lambda: b"", config, records.append)
    server = AdminServer(AdminSpec(port=0), "token", sources)
    headers = [(b"host", b"127.0.0.1"), (b"authorization", b"Bearer " + token.encode())]
    reply = await server.handle(Request("GET", path, "", headers, Body.of(b""), Peer(source, 1, False)))
    assert isinstance(reply.body, bytes)
    return reply.status, reply.body


async def test_a_page_that_fails_is_an_answer_without_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    assert (await get("/readyz"))[0] == 200
    with caplog.at_level(logging.ERROR, "heddle.admin"):
        status, body = await get("/config")
    assert status == 500
    assert b"planted" not in body
    assert "planted" in caplog.text


async def test_whoever_reads_the_configuration_or_tries_to_is_on_record() -> None:
    written: list[AuditRecord] = []
    assert (await get("/config", config=dict, written=written))[0] == 200
    assert (await get("/config", token="guess", written=written))[0] == 401
    assert (await get("/metrics", token="", written=written, source="192.0.2.7"))[0] == 401
    assert [(r.kind, r.outcome, r.source, r.resource) for r in written] == [
        ("admin", "allow", "127.0.0.1", "/config"),
        ("admin", "deny", "127.0.0.1", "/config"),
        ("admin", "deny", "192.0.2.7", "/metrics"),
    ]
    assert "guess" not in repr(written)


async def test_probes_and_scrapes_are_not_on_record() -> None:
    written: list[AuditRecord] = []
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await get(path, written=written))[0] == 200
    assert written == []
