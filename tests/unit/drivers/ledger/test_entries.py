"""Entries of tools beside those of models: one chain, and nothing about older entries is another than it was."""

import msgspec

from heddle.drivers.ledger import NANO, Entry
from heddle.drivers.ledger.report import Report
from heddle.model.snapshot_budgets import BudgetSpec, WindowSpec
from heddle.traffic.balances import balances

OLD = b'{"n":7,"t":1700000000.5,"took":0.2,"tenant":"dev","model":"gpt","input":10,"nano_usd":250,"trace":"ab"}'
TOOL = Entry(
    n=8, t=1_700_000_001.0, tenant="dev", operation="tools/call", nano_usd=NANO // 4, server="default",
    target="files", tool="files/read_file",
)  # fmt: skip


def test_an_entry_of_a_model_is_written_as_it_always_was() -> None:
    assert msgspec.json.encode(msgspec.json.decode(OLD, type=Entry)) == OLD


def test_costs_of_tools_are_found_by_tool_server_and_target() -> None:
    entries = [msgspec.json.decode(OLD, type=Entry), TOOL, TOOL]
    rows = dict(Report(("tool", "server", "target")).read(entries).rows())
    assert {key: (found.calls, found.nano_usd) for key, found in rows.items()} == {
        ("files/read_file", "default", "files"): (2, NANO // 2),
        ("", "", ""): (1, 250),
    }
    assert Report(("model",), {"tool": "files/read_file"}).read(entries).total.unpriced == 0


def test_budgets_are_rebuilt_without_what_was_never_taken_from_them() -> None:
    budget = BudgetSpec(name="all", limit=NANO, window=WindowSpec(kind="fixed", length_s=86_400), unit="usd")
    entries = [msgspec.json.decode(OLD, type=Entry), TOOL]
    (balance,) = balances(entries, (budget,), 1_700_000_002.0, {})
    assert balance.used == 250
