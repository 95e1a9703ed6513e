"""A budget policy on a fake clock, over counters in memory."""

from types import SimpleNamespace

import pytest

from heddle.drivers.counters.memory import MemoryCounters
from heddle.model.call import ModelCall, Usage
from heddle.model.prices import ModelPrice, PriceTable, Rate
from heddle.model.principal import Principal
from heddle.model.snapshot import ModelSpec, Snapshot
from heddle.model.snapshot_budgets import BudgetSpec, WindowSpec
from heddle.net.message import Reply
from heddle.pipeline.errors import CallError
from heddle.policies.budget import build
from heddle.telemetry.cost import Pricer
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.records import AuditRecord
from heddle.telemetry.trace import fresh

ALICE = Principal(tenant="dev", user="alice", agent="planner", key_id="key-a")
BOB = Principal(tenant="dev", user="bob", agent="planner", key_id="key-b")
EVE = Principal(tenant="ops", user="eve", agent="scout", key_id="key-e")
DAY = WindowSpec(kind="fixed", length_s=86_400)
NANO = 10**9
PRICES = {
    "p": PriceTable(
        models=(
            ModelPrice(
                model="gpt", input=Rate(base_usd_per_mtok=1_000_000.0), output=Rate(base_usd_per_mtok=2_000_000.0)
            ),
        )
    )
}
"""A dollar for each token of input, two for each of output: amounts can be read."""


def usd(limit: float = 100, name: str = "money", **fields: object) -> BudgetSpec:
    return BudgetSpec(**{"name": name, "unit": "usd", "limit": round(limit * NANO), "window": DAY, **fields})


def tokens(limit: int = 1000, name: str = "tokens", **fields: object) -> BudgetSpec:
    return BudgetSpec(**{"name": name, "unit": "tokens", "limit": limit, "window": DAY, **fields})


class World:
    def __init__(self, *budgets: BudgetSpec, models: tuple[ModelSpec, ...] = (), counters: object = None) -> None:
        self.now = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC, a Tuesday
        self.metrics = Metrics.in_memory()
        self.counters = counters or MemoryCounters()
        self.records: list[AuditRecord] = []
        self.closers: list[object] = []
        self.tools = SimpleNamespace(
            clock=SimpleNamespace(now=lambda: self.now),
            metrics=self.metrics,
            counters=self.counters,
            closers=self.closers,
            audit=self.records.append,
            client=None,
        )
        self.policy = build(Snapshot(version="v", budgets=budgets, models=models, prices=PRICES), self.tools)
        self.handler = self.policy.wrap(self._answer)
        self.answered = 0
        self.body: object = b""
        self.status = 200
        self.fail: CallError | None = None

    async def _answer(self, exchange: object) -> Reply:
        self.answered += 1
        if self.fail is not None:
            raise self.fail
        return Reply(self.status, [], self.body)

    def exchange(self, principal: Principal = ALICE, model: str = "gpt", **fields: object) -> SimpleNamespace:
        size = int(fields.pop("size", 10))
        headers = fields.pop("headers", {})
        call = ModelCall(
            **{
                "operation": "chat",
                "dialect": "openai_chat",
                "model": model,
                "body": b"x" * size,
                "entry": model,
                "provider": "p",
                "upstream_model": model,
                **fields,
            }
        )
        return SimpleNamespace(
            call=call,
            principal=principal,
            request=SimpleNamespace(fields=lambda: headers),
            finishers=[],
            usage=None,
            cost_usd=None,
            upstream_s=0.0,
            reason=None,
            cache="",
            policy="",
            source_address="192.0.2.7",
            trace=fresh(0.0),
        )

    async def start(self, principal: Principal = ALICE, model: str = "gpt", **fields: object) -> SimpleNamespace:
        exchange = self.exchange(principal, model, **fields)
        exchange.reply = await self.handler(exchange)
        return exchange

    def finish(self, exchange: SimpleNamespace, used: tuple[int, int] | None = None, **fields: object) -> None:
        """As the recorder does: price, then finishers."""
        exchange.usage = None if used is None else Usage(input_tokens=used[0], output_tokens=used[1])
        exchange.upstream_s = 1.0
        for name, value in fields.items():
            setattr(exchange, name, value)
        if exchange.usage is not None:
            exchange.cost_usd = Pricer(PRICES).cost("p", exchange.call.upstream_model, exchange.usage)
        for finisher in exchange.finishers[::-1]:
            finisher(exchange)

    async def spend(self, used: tuple[int, int], principal: Principal = ALICE, **fields: object) -> None:
        self.finish(await self.start(principal, **{"max_output_tokens": used[1], "size": used[0], **fields}), used)

    async def refused(self, principal: Principal = ALICE, model: str = "gpt", **fields: object) -> CallError:
        before = self.answered
        with pytest.raises(CallError) as caught:
            await self.start(principal, model, **fields)
        assert self.answered == before
        return caught.value
