"""`heddle history` and `heddle rollback`: what an object was, who changed it and why, and the way back."""

from typing import Any

import click

from heddle.cli.resources_apply import DRY_RUN, OWNER, REASON
from heddle.cli.resources_asking import Refused, Server, reached
from heddle.cli.resources_diff import difference
from heddle.cli.resources_get import space_of
from heddle.cli.resources_names import Named, Served, shown
from heddle.cli.resources_shown import plain
from heddle.cli.resources_yaml import as_json, as_yaml
from heddle.drivers.kube.client import WHY, path_of, spoken
from heddle.wire.kube.status import ApiError

_COLUMNS = ("VERSION", "TIME", "WHO", "WITH", "HOW", "WHY")
WORDS = click.argument("words", nargs=-1, required=True, metavar="KIND NAME | KIND/NAME")


@click.command()
@reached
@WORDS
@click.option("--diff", "with_diff", is_flag=True, help="Show what each version changed.")
@click.option("--all", "everything", is_flag=True, help="Versions too that changed the status alone.")
@click.option("--version", "number", type=click.IntRange(1), default=None, help="Print that version, as it was.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Most versions.")
@click.option("-o", "--output", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def history(
    server: Server,
    words: tuple[str, ...],
    with_diff: bool,
    everything: bool,
    number: int | None,
    limit: int,
    form: str,
) -> None:
    """Show the versions of a resource: when, who, with what, and why. The newest is first; also of one that is gone.

    Of Secrets that were replaced only digests are kept.

    \b
    heddle history agent support
    heddle history agent support --diff
    heddle history policy/limit-shop --version 812 > as-it-was.yaml
    """
    which = _one(server, words)
    versions = _versions(server, which)
    if number is not None:
        click.echo(_as_it_was(which, versions, number), nl=False)
        return
    chosen = [one for one in versions if everything or not one.get("statusOnly")][:limit]
    if form == "json":
        click.echo(as_json(chosen))
    elif with_diff:
        click.echo("\n".join(_changes(which, versions, chosen)), nl=False)
    else:
        click.echo(_table(chosen))


@click.command()
@reached
@WORDS
@click.option("--to", "number", type=click.IntRange(1), default=None, help="Version to go back to. [default: the last]")
@DRY_RUN
@REASON
def rollback(server: Server, words: tuple[str, ...], number: int | None, dry_run: bool, why: str) -> None:
    """Write an earlier version of a resource again; one that was deleted comes back.

    It is a new version like any other: a rollback can be rolled back.

    \b
    heddle rollback agent support                  to what it said before
    heddle rollback agent support --to 812
    heddle rollback policy/limit-shop --dry-run    show what it would change
    """
    which = _one(server, words)
    path = path_of(which.kind, space_of(server, which.kind), which.name)
    query = {"fieldManager": OWNER, **({"dryRun": "All"} if dry_run else {})}
    body = {"toVersion": number} if number is not None else {}
    before = next(iter(_versions(server, which)), {})
    try:
        made = server.ask("POST", f"{path}/rollback", query, body, {WHY: spoken(why)} if why else None).value
    except ApiError as exc:
        raise Refused(exc) from exc
    click.echo(difference(before.get("object"), made, shown(which.kind, which.name)), nl=False)
    click.echo(f"{shown(which.kind, which.name)} rolled back{' (dry run)' if dry_run else ''}")


def _one(server: Server, words: tuple[str, ...]) -> Named:
    _, named = Served(server).named(words)
    if len(named) != 1:
        raise click.BadParameter("name one object, such as `agent support`")
    return named[0]


def _versions(server: Server, which: Named) -> list[dict[str, Any]]:
    try:
        path = path_of(which.kind, space_of(server, which.kind), which.name, "history")
        items: list[dict[str, Any]] = server.get(path).get("items") or []
    except ApiError as exc:
        if exc.code == 404 and not exc.reason:
            raise click.ClickException("this server keeps no history; Heddle's own control plane does") from exc
        raise Refused(exc) from exc
    return items


def _as_it_was(which: Named, versions: list[dict[str, Any]], number: int) -> str:
    for one in versions:
        if one["version"] == number:
            if one.get("object") is None:
                why = "it was deleted" if one["deleted"] else f"only its digest is kept: sha256 {one['sha256']}"
                raise click.ClickException(f"version {number} of {which.name} cannot be shown: {why}")
            return as_yaml(one["object"])
    raise click.ClickException(f"{shown(which.kind, which.name)} has no version {number}")


def _changes(which: Named, versions: list[dict[str, Any]], chosen: list[dict[str, Any]]) -> list[str]:
    """Each version, and what it changed."""
    lines: list[str] = []
    for one in chosen:
        at = versions.index(one)
        before = versions[at + 1] if at + 1 < len(versions) else {}
        lines.append(click.style(" ".join(_cells(one)), bold=True))
        if one["deleted"]:
            lines.append("deleted\n")
        elif one.get("object") is None or (before and before.get("object") is None and not before["deleted"]):
            lines.append(f"only digests are kept: sha256 {one['sha256']}\n")
        else:
            lines.append(difference(before.get("object"), one["object"], shown(which.kind, which.name)))
    return lines


def _cells(one: dict[str, Any]) -> list[str]:
    how = "delete" if one["deleted"] else one["verb"]
    return [plain(cell) for cell in (one["version"], one["time"], one["user"], one["agent"], how, one["why"])]


def _table(versions: list[dict[str, Any]]) -> str:
    lines = [list(_COLUMNS), *map(_cells, versions)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_COLUMNS))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
