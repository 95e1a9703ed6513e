"""From a call that ended to an entry of the ledger.

Owns which calls are entered: those that used something, or are taken to have; of tools, those that have a price. Runs
after all finishers have settled, so that what is in the ledger is in the balances already, and before the answer's last
bytes leave the process.
"""

from collections.abc import Callable
from typing import Final

from heddle.drivers.ledger import NANO, Entry, LedgerError, keys
from heddle.model.call import ModelCall, Usage
from heddle.model.mcp import McpCall
from heddle.model.snapshot_budgets import LedgerSpec
from heddle.pipeline.assembly import Tools
from heddle.pipeline.exchange import Exchange
from heddle.traffic.spending import session_of

_MAX_NAME_CHARS: Final = 256


def open_ledger(spec: LedgerSpec, tools: Tools) -> None:
    """Follow a configuration: write with its key, or no more. Raises ValueError when the ledger cannot be opened."""
    if tools.ledger is None:
        return
    if not spec.enabled:
        return  # calls of the former snapshot are still entered; nobody enters those of this one
    try:
        tools.ledger.open(keys.prepare(tools.state_dir / "ledger", spec.key))
    except (LedgerError, OSError) as exc:
        raise ValueError(f"the ledger cannot be opened: {exc}") from exc


def close_ledger(tools: Tools) -> None:
    """Write what waits, and let go."""
    if tools.ledger is not None:
        tools.ledger.close()


def bookkeeper(spec: LedgerSpec, tools: Tools) -> Callable[[Exchange, int], None]:
    """What enters the calls of a snapshot."""
    if not spec.enabled or tools.ledger is None:
        return _nothing
    append, now, monotonic = tools.ledger.append, tools.clock.now, tools.clock.monotonic

    def enter(exchange: Exchange, status: int) -> None:
        usage, call = exchange.usage, exchange.call
        ended = now(), monotonic() - exchange.started_s
        if exchange.mcp is not None and exchange.cost_usd:
            append(_of_tool(exchange, exchange.mcp, status, ended))
        elif usage is None or call is None or not (usage.input_tokens or usage.output_tokens or exchange.cost_usd):
            return
        else:
            append(_of_model(exchange, call, usage, status, ended))

    return enter


def _of_model(exchange: Exchange, call: ModelCall, usage: Usage, status: int, ended: tuple[float, float]) -> Entry:
    """The entry of a model's call; `ended`: Unix time of its end, and seconds since it began."""
    principal, reason, cost = exchange.principal, exchange.reason, exchange.cost_usd
    return Entry(
        0,
        round(ended[0], 3),
        round(ended[1], 3),
        principal.tenant,
        principal.user,
        principal.agent,
        principal.key_id,
        session_of(exchange.request.fields()),
        call.entry,
        call.upstream_model[:_MAX_NAME_CHARS],
        call.provider,
        call.operation,
        status,
        "" if reason is None else reason.value,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        None if cost is None else round(cost * NANO),
        usage.estimated,
        exchange.trace.trace_id,
    )


def _of_tool(exchange: Exchange, call: McpCall, status: int, ended: tuple[float, float]) -> Entry:
    """The same for a tool's call."""
    principal, reason = exchange.principal, exchange.reason
    return Entry(
        t=round(ended[0], 3),
        took=round(ended[1], 3),
        tenant=principal.tenant,
        user=principal.user,
        agent=principal.agent,
        key=principal.key_id,
        session=call.session or session_of(exchange.request.fields()),
        operation=exchange.operation,
        status=status,
        reason="" if reason is None else reason.value,
        nano_usd=round((exchange.cost_usd or 0.0) * NANO),
        trace=exchange.trace.trace_id,
        server=call.server,
        target=call.target,
        tool=call.stable_name[:_MAX_NAME_CHARS],
    )


def _nothing(exchange: Exchange, status: int) -> None:
    del exchange, status
