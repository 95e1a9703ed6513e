"""`heddle usage`: what was used and what it cost, out of the ledger in the state directory."""

import csv
import io
import json
import time
from pathlib import Path

import click

from heddle.cli.up import default_state_dir
from heddle.drivers.ledger.reading import Reading
from heddle.drivers.ledger.report import DIMENSIONS, Report, Sum
from heddle.model.formats import complaint, duration_s, timestamp_s

_COLUMNS = ("calls", "input", "cached", "output", "reasoning", "usd")


@click.command()
@click.option("--by", default="model", show_default=True, metavar="DIM[,DIM...]", help=f"{', '.join(DIMENSIONS)}.")
@click.option(
    "--since", default="", metavar="WHEN", help="A span back from now (24h, 7d), a date, or a time (RFC 3339)."
)
@click.option("--until", default="", metavar="WHEN", help="The same; the moment itself is not included.")
@click.option("--where", multiple=True, metavar="DIM=VALUE", help="Only these calls. May be repeated.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="HEDDLE_STATE",
    default=None,
    metavar="DIR",
)
def usage(by: str, since: str, until: str, where: tuple[str, ...], form: str, state_dir: Path | None) -> None:
    """Show what was used and what it cost, by any dimension.

    Reads the ledger, while the mesh runs or without it. Prices are those of the moment of each call. Days and months
    are UTC's. `unpriced` calls had no known price and count as zero; of `estimated` ones the provider never said what
    they used.

    \b
    heddle usage                                    by model, everything there is
    heddle usage --by tenant,user --since 30d       who spent it, over the last 30 days
    heddle usage --by day --where tenant=research   one tenant, day by day
    heddle usage --by session --since 24h           which sessions of agents were dear
    heddle usage --by tool,tenant                   what tools cost whom, where they have a price
    heddle usage --by month,provider --format csv   for the bookkeeper
    heddle usage --format json | jq .total.usd      for a script
    """
    directory = (state_dir or default_state_dir()) / "ledger"
    if not directory.is_dir():
        hint = "it is kept when there are `budgets`, or with `ledger: {enabled: true}`"
        raise click.ClickException(f"there is no ledger in {directory.parent}; {hint}")
    now_s = time.time()
    reading = Reading(
        directory, since_s=_moment(since, "--since", now_s, 0.0), until_s=_moment(until, "--until", now_s, float("inf"))
    )
    report = Report(_dimensions(by), dict(_condition(one) for one in where)).read(reading)
    click.echo({"table": _table, "csv": _csv, "json": _json}[form](report), nl=form != "csv")
    if reading.unreadable:
        click.echo(f"{reading.unreadable} lines could not be read; see `heddle ledger verify`", err=True)


def _dimensions(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        _check_dimension(name, "--by")
    return names


def _check_dimension(name: str, option: str) -> None:
    if name not in DIMENSIONS:
        raise click.BadParameter(f"there is no {name!r}; known are {', '.join(DIMENSIONS)}", param_hint=option)


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"expected DIM=VALUE, such as tenant=dev, got {text!r}", param_hint="--where")
    _check_dimension(name, "--where")
    return name, value


def _moment(text: str, option: str, now_s: float, unset: float) -> float:
    if not text:
        return unset
    if not complaint("duration", text):
        return now_s - duration_s(text)
    if complaint("timestamp", text):
        expected = "a span (24h, 7d), a date (2026-11-01) or a time (2026-11-01T12:00:00Z)"
        raise click.BadParameter(f"expected {expected}, got {text!r}", param_hint=option)
    return timestamp_s(text)


def _json(report: Report) -> str:
    return json.dumps(report.shown(), indent=2)


def _csv(report: Report) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = (*_COLUMNS, "unpriced", "estimated")
    writer.writerow([*report.by, *columns])
    for values, found in report.rows():
        shown = found.shown()
        # A cell that begins like a formula would be one in a spreadsheet, and names are callers' own.
        cells = [f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value for value in values]
        writer.writerow([*cells, *(f"{shown[name]:.9f}" if name == "usd" else shown[name] for name in columns)])
    return out.getvalue()


def _table(report: Report) -> str:
    if not report.total.calls:
        return "no calls"
    marks = [name for name in ("unpriced", "estimated") if getattr(report.total, name)]
    columns = [*_COLUMNS, *marks]
    lines = [[*report.by, *columns]]
    lines += [[*(value or "-" for value in values), *_cells(found, columns)] for values, found in report.rows()]
    lines.append([*("total" if index == 0 else "" for index in range(len(report.by))), *_cells(report.total, columns)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    names = len(report.by)
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < names else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(found: Sum, columns: list[str]) -> list[str]:
    shown = found.shown()
    return [f"{shown[name]:,.6f}" if name == "usd" else f"{shown[name]:,}" for name in columns]
