"""How a refusal by a budget reads, and whether to come back.

Owns the words and the two fields that clients act on.
*Source:* RFC 9110 section 10.2.3 (Retry-After); `x-should-retry`, without which the clients of the OpenAI and Anthropic
SDKs repeat every 429.
"""

from heddle.drivers.counters import Refusal
from heddle.drivers.ledger import NANO
from heddle.net.message import Headers
from heddle.traffic.spending import Scope


def retry_fields(refusal: Refusal, reset_s: int) -> Headers:
    """When to come back, if ever."""
    charge = refusal.charge
    if charge.amount <= charge.tally.limit - refusal.settled:
        # It fits once the calls under way have ended and used less than they hold.
        return [(b"retry-after", b"1")]
    never = charge.amount > charge.tally.limit
    waiting = [] if never else [(b"retry-after", b"%d" % reset_s)]
    return [*waiting, (b"x-should-retry", b"false")]


def refusal_text(scope: Scope, refusal: Refusal, reset_s: int) -> str:
    """What the caller is told: which budget, what is left, what was needed, when it begins anew."""
    spec, charge = scope.spec, refusal.charge
    budget = f"budget '{spec.name}' of {shown(spec.limit, spec.unit)}"
    needed = shown(charge.amount, spec.unit)
    if charge.amount > charge.tally.limit:
        return f"This call may need {needed}, more than {budget} ever has; shorten it or lower its maximum of output."
    left = shown(max(0, charge.tally.limit - refusal.settled - refusal.held), spec.unit)
    held = f" ({shown(refusal.held, spec.unit)} held by calls under way)" if refusal.held else ""
    return f"Refused by {budget}: {left} left{held}, {needed} may be needed; it resets in {_span(reset_s)}."


def shown(amount: int, unit: str) -> str:
    """An amount for people: `$1.25`, `1200 tokens`."""
    if unit == "tokens":
        return f"{amount} tokens"
    usd = amount / NANO
    return f"${usd:.2f}" if usd >= 1 else f"${usd:.6f}".rstrip("0").rstrip(".")


def _span(seconds: int) -> str:
    for size, letter in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"
