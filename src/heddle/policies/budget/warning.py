"""Warnings that a share of a budget is spent: once per window and balance, off the way of every call.

Owns the promise of once. A warning has a count of one in the same table as the budget; whoever holds it delivers, and
settles it when the webhook has answered with 2xx. A worker that is killed while it delivers drops what it holds, so
another tries: a warning may come twice (with the same `webhook-id`), but is not forgotten.
*Source:* Standard Webhooks 1.0: webhook-id, webhook-timestamp, webhook-signature (`v1,` + base64 of HMAC-SHA256 over
`id.timestamp.body`), retries with growing pauses.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
from urllib.parse import urlsplit

import msgspec

from heddle.drivers.counters import Charge, CountersFullError, Refusal, Reservation, Tally
from heddle.drivers.ledger import NANO
from heddle.model.snapshot import TimeoutSpec
from heddle.model.snapshot_budgets import WebhookSpec
from heddle.net.client import OutboundRequest
from heddle.net.errors import NetError
from heddle.pipeline.assembly import Tools
from heddle.telemetry import names
from heddle.telemetry.lines import timestamp
from heddle.telemetry.records import AuditRecord
from heddle.traffic.spending import Scope

_log = logging.getLogger("heddle.budget")

LOOK_S = 1.0
"""How long after a call its balances are looked at: many calls, one look."""
PAUSES_S = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Before each further attempt at a webhook; then the warning is given back, and the next call finds it again."""
TIMEOUTS = TimeoutSpec(connect_s=5.0, first_byte_s=10.0, idle_s=10.0, total_s=15.0)
MAX_TOUCHED = 10_000


class Warnings:
    """The warnings of one snapshot, in one worker."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._touched: dict[int, Scope] = {}
        self._told: dict[tuple[int, float], int] = {}
        """(balance, share) -> when its window ends; only saves looking."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking = False
        tools.closers.append(self.close)

    def close(self) -> None:
        """Stop; what was not delivered is given back, and found again by the next snapshot."""
        for task in self._tasks:
            task.cancel()

    def touch(self, scope: Scope) -> None:
        """Something was spent of it. Costs a dictionary entry; the look comes later."""
        if not scope.spec.warn_at or len(self._touched) >= MAX_TOUCHED:
            return
        self._touched[id(scope)] = scope
        if not self._looking:
            self._looking = True
            self._start(self._look_later())

    def _start(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_later(self) -> None:
        while self._touched:
            await asyncio.sleep(LOOK_S)
            scopes, self._touched = self._touched, {}
            for scope in scopes.values():
                try:
                    await self._look(scope)
                except (CountersFullError, OSError) as exc:
                    _log.warning("budget %s cannot be looked at: %s", scope.spec.name, exc)
        self._looking = False

    async def _look(self, scope: Scope) -> None:
        now_s = self._tools.clock.now()
        settled = [await spent(self._tools, tally, now_s) for tally in scope.tallies]
        used, ends_s = max(settled)
        for share in scope.spec.warn_at:
            if used < share * scope.spec.limit or self._told.get((id(scope), share)) == ends_s:
                continue
            charge = Charge(scope.marker(share), 1, 0, True)
            outcome = await self._tools.counters.reserve([charge], now_s)
            if len(self._told) >= MAX_TOUCHED:
                self._told.clear()
            self._told[id(scope), share] = ends_s
            if isinstance(outcome, Reservation):
                self._warn(scope, share, used, (charge.tally, outcome))

    def _warn(self, scope: Scope, share: float, used: int, held: tuple[Tally, Reservation]) -> None:
        spec, (tally, reservation) = scope.spec, held
        detail = f"{share:.0%} of budget '{spec.name}' is spent"
        values = ", ".join(f"{part}={value}" for part, value in scope.values.items())
        self._tools.audit(AuditRecord(kind="budget", outcome="warn", policy=spec.name, resource=values, detail=detail))
        if spec.webhook is None:
            self._count(spec.name, "unsent")
            self._tools.counters.settle(reservation, [1])
            return
        event = _event(scope, share, used, tally)
        self._start(self._deliver(spec.webhook, spec.name, event, reservation, scope))

    async def _deliver(
        self, webhook: WebhookSpec, name: str, event: dict[str, object], held: Reservation, scope: Scope
    ) -> None:
        """Until the webhook takes it, or patience ends."""
        counters = self._tools.counters
        try:
            for pause_s in (*PAUSES_S, None):
                if await self._post(webhook, event):
                    self._count(name, "delivered")
                    counters.settle(held, [1])
                    return
                if pause_s is not None:
                    await asyncio.sleep(pause_s)
            self._count(name, "failed")
            _log.error("the webhook of budget %s does not take its warning", name)
            self._told = {key: end for key, end in self._told.items() if key[0] != id(scope)}
        finally:
            counters.release(held)

    async def _post(self, webhook: WebhookSpec, event: dict[str, object]) -> bool:
        tools, parts = self._tools, urlsplit(webhook.url)
        body = msgspec.json.encode({**event, "timestamp": timestamp(tools.clock.now())})
        moment = b"%d" % tools.clock.now()
        fields = [
            (b"content-type", b"application/json"),
            *signed(webhook.secret, str(event["id"]).encode(), moment, body),
        ]
        try:
            origin = tools.client.origin(f"{parts.scheme}://{parts.netloc}")
            try:
                request = OutboundRequest("POST", (parts.path or "/").encode("ascii"), fields, body)
                answer = await tools.client.send(origin, request, TIMEOUTS)
                answer.close()
            finally:
                tools.client.discard(origin)
        except (NetError, OSError, ValueError) as exc:
            _log.warning("a warning could not be delivered, trying again later: %s", type(exc).__name__)
            return False
        return 200 <= answer.status < 300

    def _count(self, name: str, result: str) -> None:
        self._tools.metrics.counter(names.BUDGET_WARNINGS, budget=name, result=result).add()


async def spent(tools: Tools, tally: Tally, now_s: float) -> tuple[int, int]:
    """What was settled in a count, and when its window ends: more than the limit is refused, and the refusal tells."""
    outcome = await tools.counters.reserve([Charge(tally, tally.limit + 1, 0, True)], now_s)
    if isinstance(outcome, Refusal):
        return outcome.settled, outcome.resets_s
    tools.counters.release(outcome)
    return 0, 0


def signed(secret: str, name: bytes, moment: bytes, body: bytes) -> list[tuple[bytes, bytes]]:
    """The three fields that prove where a webhook comes from, and when."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = secret.encode()
    digest = hmac.digest(key, b".".join((name, moment, body)), hashlib.sha256)
    return [
        (b"webhook-id", name),
        (b"webhook-timestamp", moment),
        (b"webhook-signature", b"v1," + base64.b64encode(digest)),
    ]


def _event(scope: Scope, share: float, used: int, tally: Tally) -> dict[str, object]:
    spec = scope.spec
    unit = NANO if spec.unit == "usd" else 1
    # The same balance, share and window have the same id, whoever delivers: receivers tell repetitions by it.
    identity = repr((spec.name, share, tally.values, tally.starts_s)).encode()
    return {
        "id": f"msg_{hashlib.sha256(identity).hexdigest()[:24]}",
        "type": "budget.warning",
        "data": {
            "budget": spec.name,
            "share": share,
            "unit": spec.unit,
            "limit": spec.limit / unit,
            "used": used / unit,
            "key": scope.values,
            "window": {"starts": timestamp(tally.starts_s), "ends": timestamp(tally.ends_s)},
        },
    }
