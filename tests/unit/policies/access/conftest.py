"""A worker's tools with fake clocks, and calls to try policies on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from heddle.model.call import ModelCall
from heddle.model.principal import Principal
from heddle.model.snapshot import ListenerSpec
from heddle.net.body import Body
from heddle.net.client import Client
from heddle.net.message import Peer, Reply, Request
from heddle.pipeline.assembly import Clock, Tools
from heddle.pipeline.errors import CallError
from heddle.pipeline.exchange import Exchange, compile_route
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.records import AuditRecord
from heddle.telemetry.trace import SpanContext


@dataclass
class Worker:
    """Tools whose time the test owns, and what was written."""

    time_s: float = 1_800_000_000.0
    records: list[AuditRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics = Metrics.in_memory()
        self.client = Client()
        clock = Clock(lambda: self.time_s, lambda: self.time_s)
        self.tools = Tools(clock, self.client, self.metrics, None, self.records.append, Path())  # type: ignore[arg-type]

    def close(self) -> None:
        for close in self.tools.closers:
            close()


@pytest.fixture
async def worker() -> Any:
    made = Worker()
    yield made
    made.close()
    await made.client.close()


Call = Callable[..., Exchange]


@pytest.fixture
def make_exchange() -> Call:
    def make(
        *headers: tuple[bytes, bytes],
        principal: Principal | None = None,
        call: ModelCall | None = None,
        listener: str = "llm",
        address: str = "192.0.2.7",
        query: str = "",
        path: str = "/v1/chat/completions",
    ) -> Exchange:
        request = Request("POST", path, query, list(headers), Body.of(b""), Peer(address, 1, False))
        exchange = Exchange(
            request,
            ListenerSpec(name=listener, address="127.0.0.1", port=0, protocol="HTTP"),
            "chat",
            SpanContext("0" * 32, "1" * 16),
            0.0,
        )
        if principal is not None:
            exchange.principal = principal
        exchange.call = call
        return exchange

    return make


async def _end(exchange: Exchange) -> Reply:
    return Reply(200, [], b"ok")


@pytest.fixture
def run() -> Callable[[Any, Exchange], Awaitable[CallError | None]]:
    """Run one call through a policy: None when it passes, its error when it is refused."""

    async def through(policy: Any, exchange: Exchange) -> CallError | None:
        try:
            reply = await compile_route([policy], _end)(exchange)
        except CallError as error:
            return error
        assert reply.body == b"ok"
        return None

    return through
