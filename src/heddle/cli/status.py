"""`heddle status`: what a running mesh serves, asked of its admin listener with the credential of this user."""

import json
from pathlib import Path
from typing import Any

import click

from heddle.cli.asking import ADMIN, STATE, Mesh
from heddle.cli.stdio import host_status
from heddle.cli.up import default_state_dir

MAX_BALANCES = 5
"""Shown of each budget, the fullest first; `heddle usage` shows all."""


@click.command()
@STATE
@ADMIN
@click.option("--json", "as_json", is_flag=True, help="Print everything /config says.")
def status(state_dir: Path | None, admin: str, as_json: bool) -> None:
    """Show version, workers, listeners, tool servers and the last rejected change of a running mesh.

    \b
    heddle status
    heddle status --json | jq .snapshot.models
    """
    mesh = Mesh(admin, state_dir)
    shown = mesh.ask("/config")
    assert isinstance(shown, dict)
    shown["tool_servers"] = host_status(state_dir or default_state_dir()) if shown.get("stdio_host") else {}
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
    for kind in ("providers", "models", "authorization", "limits", "budgets", "guards"):
        click.echo(f"{kind:<10} {len(snapshot.get(kind, ()))}")
    click.echo(f"{'keys':<10} {shown['virtual_keys']} virtual")
    for server in (snapshot.get("mcp") or {}).get("servers", ()):
        targets = ", ".join(part["target"] for part in server["targets"])
        click.echo(f"{'server':<10} {server['name']:<12} {server['path']:<16} {targets}")
    for name, target in shown["mcp_targets"].items():
        _show_target(name, target, shown["tool_servers"].get(name))
    if snapshot.get("budgets"):
        _show_budgets(mesh)
    if shown["rejected"]:
        click.echo(click.style(f"rejected   {shown['rejected']}", fg="red"))


def _show_target(name: str, target: dict[str, Any], running: dict[str, Any] | None) -> None:
    """One tool server: how workers find it, and what the stdio host runs of it."""
    workers, healthy = target["workers"], target["healthy"]
    well = (
        "healthy" if healthy == workers else f"healthy for {healthy} of {workers} workers" if healthy else "unhealthy"
    )
    parts = [well, f"{target['tools']} tools"] if target["version"] else ["not asked yet" if healthy else well]
    parts += [f"{target['withheld']} withheld, see `heddle tools list --pending`"] if target["withheld"] else []
    text = f"{'target':<10} {name:<12} {target['kind']:<8}{target['version'] or '-':<12}{', '.join(parts)}"
    click.echo(click.style(text, fg="red") if not healthy else text)
    if running is None:
        return
    children = running["children"]
    sessions = sum(child["sessions"] for child in children)
    counts = f"{len(children)} running, {sessions} sessions, {running['restarts']} restarts"
    click.echo(f"{'':<23} {counts}: {running['command']}")
    if running["error"]:
        click.echo(click.style(f"{'':<23} {running['error']}", fg="red"))


def _show_budgets(mesh: Mesh) -> None:
    """Each budget with its fullest balances."""
    budgets = mesh.ask("/budgets")
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
