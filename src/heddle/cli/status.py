"""`heddle status`: what a running mesh serves, asked of its admin listener with the credential of this user."""

import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from heddle.cli.up import default_state_dir

MAX_BALANCES = 5
"""Shown of each budget, the fullest first; `heddle usage` shows all."""


@click.command()
@click.option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="HEDDLE_STATE",
    default=None,
    metavar="DIR",
)
@click.option("--admin", default="127.0.0.1:9090", show_default=True, metavar="HOST:PORT", help="The admin listener.")
@click.option("--json", "as_json", is_flag=True, help="Print everything /config says.")
def status(state_dir: Path | None, admin: str, as_json: bool) -> None:
    """Show version, workers, listeners and the last rejected change of a running mesh.

    \b
    heddle status
    heddle status --json | jq .snapshot.models
    """
    token_file = (state_dir or default_state_dir()) / "admin.token"
    shown = _fetch(admin, token_file)
    assert isinstance(shown, dict)
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    snapshot = shown.get("snapshot") or {}
    assert isinstance(snapshot, dict)
    click.echo(f"heddle {shown['heddle']}, up {shown['uptime_s']} s, configuration {shown['version']}")
    click.echo(f"workers    {shown['workers']} ({shown['restarts']} restarts)")
    for listener in snapshot.get("listeners", ()):
        click.echo(
            f"listener   {listener['name']:<12} {listener['protocol']:<5} {listener['address']}:{listener['port']}"
        )
    for kind in ("providers", "models", "authorization", "limits", "budgets"):
        click.echo(f"{kind:<10} {len(snapshot.get(kind, ()))}")
    if snapshot.get("budgets"):
        _show_budgets(admin, token_file)
    if shown["rejected"]:
        click.echo(click.style(f"rejected   {shown['rejected']}", fg="red"))


def _show_budgets(admin: str, token_file: Path) -> None:
    """Each budget with its fullest balances."""
    budgets = _fetch(admin, token_file, "/budgets")
    assert isinstance(budgets, list)
    for budget in budgets:
        click.echo(f"budget     {budget['name']}: {_amount(budget['limit'], budget['unit'])}")
        for one in budget["balances"][:MAX_BALANCES]:
            whose = ", ".join(f"{part}={value or '-'}" for part, value in one["key"].items()) or "all"
            share = one["used"] / budget["limit"]
            used = _amount(one["used"], budget["unit"])
            text = f"           {share:>6.1%}  {used:<14} {whose}, until {one['resets']}"
            click.echo(click.style(text, fg="red") if share >= 1 else text)


def _amount(value: float, unit: str) -> str:
    return f"${value:,.6f}".rstrip("0").rstrip(".") if unit == "usd" else f"{value:,.0f} tokens"


def _fetch(admin: str, token_file: Path, path: str = "/config") -> dict[str, Any] | list[Any]:
    try:
        token = token_file.read_text().strip()
    except OSError as exc:
        raise click.ClickException(f"{token_file}: {exc.strerror}; is the mesh running with this --state?") from exc
    host, _, port = admin.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()):
        raise click.BadParameter(f"expected HOST:PORT, such as 127.0.0.1:9090, got {admin!r}", param_hint="--admin")
    try:
        with closing(http.client.HTTPConnection(host.strip("[]"), int(port), timeout=5)) as connection:
            connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
            response = connection.getresponse()
            body = response.read()
    except (OSError, ValueError, http.client.HTTPException) as exc:
        raise click.ClickException(f"no mesh answers at {admin}: {exc}; start one with `heddle up`") from exc
    if response.status != 200:
        raise click.ClickException(f"{admin} answered {response.status}: {body.decode('utf-8', 'replace')[:200]}")
    shown: dict[str, Any] | list[Any] = json.loads(body)
    return shown
