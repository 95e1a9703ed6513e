"""`heddle search`: what the mesh has for a purpose, found by words."""

from typing import Any

import click

from heddle.cli.resources_asking import Refused, Server, reached
from heddle.cli.resources_shown import plain
from heddle.cli.resources_yaml import as_json, as_yaml
from heddle.wire.kube.status import ApiError

PATH = "/apis/directory.heddle.dev/v1alpha1/search"
_WIDTH = 72
"""Characters of a description that a line shows."""


@click.command()
@reached
@click.argument("words", nargs=-1, required=True, metavar="WORDS...")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Of all namespaces; usual without -n.")
@click.option(
    "--kind",
    "--kinds",
    "kinds",
    default="",
    metavar="KIND[,KIND]",
    help="Only of these: tools, agents, models, servers, or the plural of one kind.",
)
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="Most that are shown.")
@click.option(
    "-o", "--output", "form", type=click.Choice(["table", "json", "yaml", "name"]), default="table", show_default=True,
    help="How to print it.",
)  # fmt: skip
def search(server: Server, words: tuple[str, ...], everywhere: bool, kinds: str, limit: int, form: str) -> None:
    """Find tools, agents and models by what they are for.

    Names count most, then titles, descriptions, parameters and labels. Shown is what you may list, the best first.

    \b
    heddle search "refund an order"
    heddle search send mail --kind tools
    heddle search invoices -n shop -o json
    """
    query = {"q": " ".join(words), "kind": kinds, "limit": str(limit)}
    asked = click.get_current_context().params.get("namespace")
    if asked and not everywhere:
        query["namespace"] = asked
    try:
        found = server.get(PATH, {name: value for name, value in query.items() if value})
    except ApiError as exc:
        raise Refused(exc) from exc
    items = found.get("items") or [] if isinstance(found, dict) else []
    if form == "json":
        click.echo(as_json(found))
    elif form == "yaml":
        click.echo(as_yaml(found), nl=False)
    elif form == "name":
        click.echo("".join(f"{_named(one)}\n" for one in items), nl=False)
    else:
        click.echo(_table(items), nl=False)
    if not items:
        click.echo("nothing found", err=True)


def _named(item: dict[str, Any]) -> str:
    return f"{plain(item.get('resource'))}/{plain(item.get('name'))}"


def _table(items: list[dict[str, Any]]) -> str:
    if not items:
        return ""
    lines = [("SCORE", "NAMESPACE", "KIND", "NAME", "AVAILABLE", "DESCRIPTION"), *map(_line, items)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    return "".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )


def _line(item: dict[str, Any]) -> tuple[str, ...]:
    available = item.get("available")
    said = plain(item.get("description") or item.get("title") or "")
    shown = said if len(said) <= _WIDTH else f"{said[: _WIDTH - 1].rstrip()}…"
    score = item.get("score")
    return (
        f"{score:.2f}" if isinstance(score, int | float) else "",
        plain(item.get("namespace")),
        plain(item.get("kind")),
        plain(item.get("name")),
        "-" if available is None else plain(available),
        shown,
    )
