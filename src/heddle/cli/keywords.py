"""The words in which `heddle keys` is told of limits, budgets and times, and tells of keys."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from heddle.model.formats import complaint, duration_s

_PERIODS = ("day", "week", "month", "year")
_WHOLE = r"[0-9]+(?:_[0-9]+)*"
_LIMIT = re.compile(rf"(?P<unit>requests|tokens)=(?P<number>{_WHOLE})/(?P<window>.+)")
_BUDGET = re.compile(rf"(?:usd=(?P<usd>{_WHOLE}(?:\.[0-9]+)?)|tokens=(?P<tokens>{_WHOLE}))/(?P<window>.+)")
_COLUMNS = ("id", "name", "user", "tenant", "agent", "state", "secret", "expires")


def limit_of(text: str) -> dict[str, Any]:
    """`requests=60/1m` as a limit of the admin API. Raises click.BadParameter."""
    found = _LIMIT.fullmatch(text)
    if found is None:
        expected = "requests=60/1m or tokens=100000/1h"
        raise click.BadParameter(f"expected such as {expected}, got {text!r}", param_hint="--limit")
    return {"limit_by": found["unit"], "limit": int(found["number"]), "window": found["window"]}


def budget_of(text: str) -> dict[str, Any]:
    """`usd=20/month` as a budget of the admin API. Raises click.BadParameter."""
    found = _BUDGET.fullmatch(text)
    if found is None:
        expected = "usd=20/month, tokens=1000000/24h or usd=5/sliding:7d"
        raise click.BadParameter(f"expected such as {expected}, got {text!r}", param_hint="--budget")
    amount = {"limit_usd": float(found["usd"])} if found["usd"] else {"limit_tokens": int(found["tokens"])}
    kind, _, rest = found["window"].partition(":")
    if kind in _PERIODS:
        return {**amount, "calendar": {"period": kind, **({"zone": rest} if rest else {})}}
    return {**amount, "sliding": rest} if kind == "sliding" else {**amount, "window": found["window"]}


def expiry_of(text: str) -> str:
    """A time, or a span from now, as a time."""
    if complaint("duration", text):
        return text
    moment = datetime.now(UTC) + timedelta(seconds=duration_s(text))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """`NAME=VALUE`, several. Raises click.BadParameter."""
    for pair in pairs:
        if "=" not in pair:
            raise click.BadParameter(f"expected NAME=VALUE, got {pair!r}", param_hint="--metadata")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def table(keys: list[dict[str, Any]]) -> str:
    """Keys, one to a line."""
    if not keys:
        return "no virtual keys; make one with `heddle keys create`"
    lines = [_COLUMNS, *[tuple(_cell(key, column) for column in _COLUMNS) for key in keys]]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def written(key: dict[str, Any]) -> str:
    """Everything about a key, one thing to a line."""
    lines = [("id", key["id"])]
    lines += [("secret", key["secret"])] if "secret" in key else []
    lines += [(field, str(key[field])) for field in ("name", "user", "tenant", "agent") if key.get(field)]
    lines.append(("state", _cell(key, "state")))
    lines += [("models", ", ".join(key["models"]) or "none")] if key.get("models") is not None else []
    lines += [("expires", key["expires"])] if key.get("expires") else []
    lines += [("limit", f"{one['limit']:,} {one.get('limit_by', 'requests')} per {one['window']}")
              for one in key.get("limits", ())]  # fmt: skip
    lines += [("budget", _budget(one)) for one in key.get("budgets", ())]
    lines += [("metadata", f"{name}={value}") for name, value in key.get("metadata", {}).items()]
    for one in key["secrets"]:
        until = f", good until {one['until']}" if "until" in one else ""
        lines.append(("known as", f"{one['hint']}, made {one['created']}{until}"))
    return "\n".join(f"{name:<9} {value}" for name, value in [*lines, ("changed", key["changed"])])


def _cell(key: dict[str, Any], column: str) -> str:
    if column == "state":
        if key.get("disabled"):
            return "disabled"
        return "expired" if _is_past(key.get("expires", "")) else "active"
    if column == "secret":
        return str(key["secrets"][-1]["hint"])
    return str(key.get(column) or "-")


def _is_past(text: str) -> bool:
    if not text:
        return False
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) <= datetime.now(UTC)


def _budget(budget: dict[str, Any]) -> str:
    limit = f"${budget['limit_usd']:,}" if "limit_usd" in budget else f"{budget['limit_tokens']:,} tokens"
    calendar = budget.get("calendar")
    if calendar:
        return f"{limit} per {calendar['period']} ({calendar.get('zone', 'UTC')})"
    return f"{limit} in any {budget['sliding']}" if budget.get("sliding") else f"{limit} per {budget['window']}"
