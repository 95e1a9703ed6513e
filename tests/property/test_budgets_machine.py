"""Any order of calls, endings, kills, restarts and losses of the counters: no budget is ever passed.

Two workers reserve over a hierarchy of balances (a calendar's, a sliding one, one of tokens); what a call uses is at
most its bound. Whatever is killed drops its holds; when the table is lost it is rebuilt from the ledger's entries.
"""

import asyncio
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.policies.budget.world import ALICE, BOB, EVE, NANO, World, tokens, usd

from heddle.drivers.counters.shared import SharedCounters, prepare
from heddle.drivers.ledger import Entry
from heddle.model.snapshot_budgets import WindowSpec
from heddle.pipeline.errors import CallError
from heddle.traffic.balances import balances, top_up

WORKERS = 2
HOUR = 3600
DAY = WindowSpec(kind="calendar", period="day", zone="Europe/Berlin")
SLIDING = WindowSpec(kind="sliding", length_s=12 * HOUR)
BUDGETS = (
    usd(60, "team", key=("tenant",), window=DAY),
    usd(25, "user", key=("tenant", "user"), window=SLIDING),
    tokens(40, "all", window=WindowSpec(kind="fixed", length_s=6 * HOUR)),
)
CALLERS = st.sampled_from([ALICE, BOB, EVE])
SLOTS = st.integers(0, WORKERS - 1)


class Spending(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "limits.bin"
        self.now = 1_700_000_000.0
        self.ledger: list[Entry] = []
        self.open: list[tuple[int, object, object, tuple[int, int]]] = []
        self.start()

    def start(self) -> None:
        self.file = prepare(self.path, WORKERS + 1, 512, self.now)
        self.counters = [SharedCounters(self.path, slot) for slot in range(WORKERS + 1)]
        self.worlds = [World(*BUDGETS, counters=counters) for counters in self.counters[:WORKERS]]

    def stop(self) -> None:
        for counters in self.counters:
            counters.close()
        self.file.close()
        self.open.clear()

    def teardown(self) -> None:
        self.stop()
        self.directory.cleanup()
        self.loop.close()

    @rule(slot=SLOTS, who=CALLERS, size=st.integers(1, 8), output=st.integers(0, 6))
    def call(self, slot: int, who: object, size: int, output: int) -> None:
        world = self.worlds[slot]
        world.now = self.now
        try:
            exchange = self.loop.run_until_complete(world.start(who, size=size, max_output_tokens=output))
        except CallError:
            return
        self.open.append((slot, exchange, self.now, (size, output)))

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if not self.open:
            return
        slot, exchange, began, (size, output) = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        used = (data.draw(st.integers(1, size)), data.draw(st.integers(0, output)))
        world = self.worlds[slot]
        world.now = self.now
        world.finish(exchange, used)
        who = exchange.principal
        self.ledger.append(
            Entry(
                t=self.now,
                took=self.now - began,
                tenant=who.tenant,
                user=who.user,
                agent=who.agent,
                key=who.key_id,
                model="gpt",
                upstream="gpt",
                provider="p",
                input=used[0],
                output=used[1],
                nano_usd=round(exchange.cost_usd * NANO),
            )
        )

    @rule(slot=SLOTS)
    def kill_worker(self, slot: int) -> None:
        self.open = [one for one in self.open if one[0] != slot]
        # Another one takes the slot. (It is not closed first in life; here one process may hold a file's lock once.)
        self.counters[slot]._table.drop_held(slot)
        self.worlds[slot] = World(*BUDGETS, counters=self.counters[slot])

    @rule(lost=st.booleans())
    def restart(self, lost: bool) -> None:
        self.stop()
        if lost:
            self.path.unlink()
        self.start()
        known = balances(self.ledger, BUDGETS, self.now, {})
        lacking = self.loop.run_until_complete(top_up(self.counters[WORKERS], known, self.now))
        assert lost or not lacking, "what was not lost needs no rebuilding"
        assert not self.loop.run_until_complete(top_up(self.counters[WORKERS], known, self.now))

    @rule(hours=st.sampled_from([0.25, 1, 3, 7]))
    def wait(self, hours: float) -> None:
        self.now += hours * HOUR

    @invariant()
    def nothing_is_passed(self) -> None:
        began = [(entry.t - entry.took, entry) for entry in self.ledger]
        for tenant in ("dev", "ops"):
            for day in {int((at + HOUR) // (24 * HOUR)) for at, _ in began}:  # Berlin's winter is UTC+1
                spent = [e.nano_usd for at, e in began if e.tenant == tenant and int((at + HOUR) // (24 * HOUR)) == day]
                assert sum(spent) <= 60 * NANO
        for user in ("alice", "bob", "eve"):
            mine = [(at, e.nano_usd) for at, e in began if e.user == user]
            for start, _ in mine:
                assert sum(nano for at, nano in mine if start <= at < start + 12 * HOUR) <= 25 * NANO
        for window in {at // (6 * HOUR) for at, _ in began}:
            assert sum(e.input + e.output for at, e in began if at // (6 * HOUR) == window) <= 40


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
