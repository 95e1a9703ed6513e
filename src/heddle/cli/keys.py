"""`heddle keys`: virtual keys of a running mesh, made, changed, rotated and revoked through its admin listener."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from heddle.cli.asking import ADMIN, STATE, Mesh
from heddle.cli.keywords import budget_of, expiry_of, limit_of, metadata_of, table, written

_JSON = click.option("--json", "as_json", is_flag=True, help="Print what the admin API answers.")
_SECRET_ONLY = click.option("--secret-only", is_flag=True, help="Print the secret and nothing else, for scripts.")
_CLEARABLE = ("name", "user", "tenant", "agent", "models", "expires", "metadata", "limits", "budgets")

Said = dict[str, Any]


def _about_a_key(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say everything about a key; the command gets them as `said`."""

    @click.option("--name", help="What people call it.")
    @click.option("--user", help="Who calls with it.")
    @click.option("--tenant", help="Tenant (namespace) of the caller.")
    @click.option("--agent", help="Agent (workload) that calls.")
    @click.option("--model", "models", multiple=True, metavar="GLOB", help="A model it may name. May be repeated.")
    @click.option("--expires", metavar="WHEN", help="From when it is refused: 30d from now, a date, a time (RFC 3339).")
    @click.option("--limit", "limits", multiple=True, metavar="UNIT=N/WINDOW",
                  help="requests=60/1m, tokens=100000/1h. May be repeated.")  # fmt: skip
    @click.option("--budget", "budgets", multiple=True, metavar="UNIT=N/WINDOW",
                  help="usd=20/month, usd=20/month:Europe/Berlin, tokens=1000000/24h, usd=5/sliding:7d. "
                       "May be repeated.")  # fmt: skip
    @click.option("--metadata", multiple=True, metavar="NAME=VALUE",
                  help="Policies read it as principal.claims. May be repeated.")  # fmt: skip
    @wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        said: Said = {field: options.pop(field) for field in ("name", "user", "tenant", "agent")}
        said = {field: value for field, value in said.items() if value is not None}
        expires = options.pop("expires")
        parsed: Said = {
            "models": list(options.pop("models")),
            "expires": expiry_of(expires) if expires else "",
            "limits": [limit_of(text) for text in options.pop("limits")],
            "budgets": [budget_of(text) for text in options.pop("budgets")],
            "metadata": metadata_of(options.pop("metadata")),
        }
        said |= {field: value for field, value in parsed.items() if value}
        command(*arguments, said=said, **options)

    return wrapped


@click.group()
def keys() -> None:
    """Make and manage virtual keys while the mesh runs.

    A virtual key is what a caller shows instead of a vendor's key: it says who calls, which models it may name, how
    much it may call and spend. Changes reach every worker before these commands return, without a restart. A key's id
    (key-...) is not secret and stays when its secret is rotated; budgets and reports know a key by it. The secret is
    shown once; only its SHA-256 is kept.

    \b
    heddle keys create --name ci --user ci --tenant dev --limit requests=60/1m --budget usd=20/month
    heddle keys list
    heddle keys rotate key-1f0c... --overlap 24h     callers have a day to take up the new secret
    heddle keys update key-1f0c... --disable
    heddle keys revoke key-1f0c...                   refused from the next call on
    """


@keys.command()
@_about_a_key
@_SECRET_ONLY
@_JSON
@ADMIN
@STATE
def create(said: Said, secret_only: bool, as_json: bool, admin: str, state_dir: Path | None) -> None:
    """Make a key and print its secret, this once.

    Callers send it where their SDK sends keys: Authorization: Bearer, x-api-key, api-key or x-goog-api-key. Policies of
    the configuration hold for its user, tenant and agent as for any caller's.

    \b
    heddle keys create --name laptop --user alice --tenant dev --model 'gpt-4o*' --expires 30d
    heddle keys create --name batch --tenant dev --budget usd=50/month --budget tokens=2000000/24h
    export OPENAI_API_KEY=$(heddle keys create --user alice --tenant dev --secret-only)
    """
    _print_made(Mesh(admin, state_dir).ask("/keys", "POST", said), secret_only, as_json)


@keys.command("list")
@click.option("--user", help="Only keys of this user.")
@click.option("--tenant", help="Only keys of this tenant.")
@click.option("--agent", help="Only keys of this agent.")
@click.option("--name", help="Only keys of this name.")
@_JSON
@ADMIN
@STATE
def list_keys(as_json: bool, admin: str, state_dir: Path | None, **where: str | None) -> None:
    """List keys, without their secrets; of each secret the last four characters are shown.

    \b
    heddle keys list --tenant dev
    heddle keys list --json | jq -r '.keys[] | select(.disabled) | .id'
    """
    query = urlencode({field: value for field, value in where.items() if value is not None})
    found = Mesh(admin, state_dir).ask(f"/keys?{query}" if query else "/keys")
    click.echo(json.dumps(found, indent=2) if as_json else table(found["keys"]))


@keys.command()
@click.argument("key_id", metavar="ID")
@_JSON
@ADMIN
@STATE
def show(key_id: str, as_json: bool, admin: str, state_dir: Path | None) -> None:
    """Show everything about a key but its secret."""
    _print(Mesh(admin, state_dir).ask(_path(key_id)), as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
@_about_a_key
@click.option("--disable/--enable", "disabled", default=None, help="Refuse it for now, or accept it again.")
@click.option("--unset", multiple=True, type=click.Choice(_CLEARABLE), metavar="FIELD",
              help=f"Take a field back: {', '.join(_CLEARABLE)}. May be repeated.")  # fmt: skip
@_JSON
@ADMIN
@STATE
def update(
    key_id: str,
    said: Said,
    disabled: bool | None,
    unset: tuple[str, ...],
    as_json: bool,
    admin: str,
    state_dir: Path | None,
) -> None:
    """Change a key; what is not named stays. Lists (models, limits, budgets) are replaced as a whole.

    What was counted in a window stays counted when only a number changes; another window begins at zero.

    \b
    heddle keys update key-1f0c... --limit requests=600/1m
    heddle keys update key-1f0c... --disable
    heddle keys update key-1f0c... --unset expires --unset models
    """
    patch = {**dict.fromkeys(unset), **said}
    if disabled is not None:
        patch["disabled"] = disabled
    if not patch:
        raise click.UsageError("nothing to change; see `heddle keys update --help`")
    _print(Mesh(admin, state_dir).ask(_path(key_id), "PATCH", patch), as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--overlap", default="1h", show_default=True, metavar="DURATION",
              help="How long the former secret is good for; 0 ends it at once.")  # fmt: skip
@_SECRET_ONLY
@_JSON
@ADMIN
@STATE
def rotate(key_id: str, overlap: str, secret_only: bool, as_json: bool, admin: str, state_dir: Path | None) -> None:
    """Give a key another secret and print it, this once. The key's id, limits, budgets and balances stay.

    \b
    heddle keys rotate key-1f0c... --overlap 24h
    heddle keys rotate key-1f0c... --overlap 0     the former secret has leaked
    """
    made = Mesh(admin, state_dir).ask(f"{_path(key_id)}/rotate", "POST", {"overlap": overlap})
    _print_made(made, secret_only, as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
@_JSON
@ADMIN
@STATE
def revoke(key_id: str, as_json: bool, admin: str, state_dir: Path | None) -> None:
    """Revoke a key for good: it is refused from the next call on, also on connections that are open.

    Calls under way are finished. To refuse a key for a while, use `heddle keys update ID --disable`.
    """
    gone = Mesh(admin, state_dir).ask(_path(key_id), "DELETE")
    click.echo(json.dumps(gone, indent=2) if as_json else f"{gone['id']} is revoked")


def _path(key_id: str) -> str:
    if key_id.startswith("sk-"):
        # Not sent, so that it ends up in no log but the shell's, which knows it already.
        raise click.BadParameter("that is a secret; keys are named by their id, see `heddle keys list`")
    return f"/keys/{quote(key_id, safe='')}"


def _print(key: dict[str, Any], as_json: bool) -> None:
    click.echo(json.dumps(key, indent=2) if as_json else written(key))


def _print_made(key: dict[str, Any], secret_only: bool, as_json: bool) -> None:
    if secret_only:
        click.echo(key["secret"])
        return
    _print(key, as_json)
    if not as_json:
        click.echo("The secret is shown this once; only its digest is kept.", file=sys.stderr)
