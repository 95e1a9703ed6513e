"""`heddle get`: what there is, once or as it changes."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote

import click

from heddle.cli.resources_asking import Refused, Server, reached
from heddle.cli.resources_names import Named, Served
from heddle.cli.resources_shown import FORM, TABLE, Form, Table
from heddle.drivers.kube.client import path_of
from heddle.model.kinds import Kind
from heddle.wire.kube.status import ApiError

_LIMIT = 500
ALL_SPACES = click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Of all namespaces.")
SELECTOR = click.option(
    "-l", "--selector", default="", metavar="LABELS", help="Only those with these labels, e.g. app=shop,tier!=test."
)


@click.command()
@reached
@click.argument("words", nargs=-1, required=True, metavar="KIND[,KIND] [NAME...] | KIND/NAME...")
@ALL_SPACES
@SELECTOR
@FORM
@click.option("-w", "--watch", is_flag=True, help="Go on, and print what changes.")
@click.option("--no-headers", is_flag=True, help="Leave the line of column names out.")
def get(
    server: Server, words: tuple[str, ...], everywhere: bool, selector: str, form: str, watch: bool, no_headers: bool
) -> None:
    """Show resources: what is declared, and what the mesh found.

    A kind is written as its plural, singular or short name, in any case, with its group where two have the same name.

    \b
    heddle get agents                        those of the namespace
    heddle get tools,agents,models -A        several kinds, everywhere: what is declared, and what was found
    heddle get gateways                      which version each runs, and whether it is up to date
    heddle get agent support -o yaml         one, as it is
    heddle get pol -l team=shop -o wide      more columns, only some
    heddle get backends -w                   and what changes
    heddle get agents -A -o jsonpath='{range .items[*]}{.metadata.name}{"\\n"}{end}'
    """
    made = Form(form)
    served = Served(server)
    kinds, named = served.named(_shown_for(words, served, watch=watch) if made.is_table else words)
    if watch and len(kinds) + len(named) != 1:
        raise click.BadParameter("--watch follows one kind, or one object")
    asked = _Asked(made, everywhere, {"labelSelector": selector} if selector else {}, not no_headers)
    try:
        if watch:
            _watch(server, named[0] if named else Named(kinds[0], ""), asked)
        elif made.is_table:
            _tables(server, kinds, named, asked)
        else:
            _objects(server, kinds, named, asked)
    except ApiError as exc:
        raise Refused(exc) from exc


_FOUND = {"agents": "discoveredagents", "models": "discoveredmodels"}
"""What is declared -> what was found of the same."""


def _shown_for(words: tuple[str, ...], served: Served, *, watch: bool) -> tuple[str, ...]:
    """A table of `gateways` is of those that run, where the server keeps records of them; one of `agents` or `models`
    is followed by one of those that were found. Only tables: what is deleted by these names is never what was found."""
    plurals = {one.plural for one in served.kinds}
    if words == ("gateways",) and "gatewaystatuses" in plurals:
        return ("gatewaystatuses",)
    if watch or len(words) != 1 or "/" in words[0]:
        return words
    asked = words[0].split(",")
    found = {one: f"{one},{_FOUND[one]}" for one in asked if _FOUND.get(one) in plurals}
    return (",".join(found.get(one, one) for one in asked),)


def space_of(server: Server, kind: Kind, *, everywhere: bool = False) -> str:
    """The namespace to ask in; empty is all, and none."""
    return server.namespace if kind.namespaced and not everywhere else ""


def pages(server: Server, path: str, query: dict[str, str], accept: str = "application/json") -> Iterator[Any]:
    """The pages of a list. Raises ApiError."""
    more = {"limit": str(_LIMIT), **query}
    while True:
        page = server.get(path, more, accept)
        yield page
        token = (page.get("metadata") or {}).get("continue") if isinstance(page, dict) else None
        if not token:
            return
        more = {**more, "continue": token}


class _Asked(NamedTuple):
    """How a list was asked for."""

    form: Form
    everywhere: bool
    query: dict[str, str]
    headers: bool = True


def _tables(server: Server, kinds: list[Kind], named: list[Named], asked: _Asked) -> None:
    parts = {kind.resource: (kind, [""]) for kind in kinds}
    for kind, name in named:
        parts.setdefault(kind.resource, (kind, []))[1].append(name)
    printed = False
    for kind, names in parts.values():
        several = len(parts) > 1
        table = Table(
            wide=asked.form.name == "wide",
            spaces=asked.everywhere and kind.namespaced,
            kind=kind if several and not asked.headers else None,
            headers=asked.headers,
        )
        heading = f"{kind.resource}\n" if several and asked.headers else ""
        path = path_of(kind, space_of(server, kind, everywhere=asked.everywhere))
        for name in names:
            found = (
                [server.get(f"{path}/{quote(name, safe='')}", None, TABLE)]
                if name
                else pages(server, path, asked.query, TABLE)
            )
            text = "".join(table.text(page) for page in found if page.get("rows"))
            if text:
                between = "\n" if printed and name == names[0] else ""
                click.echo(f"{between}{heading}{text}", nl=False)
                printed, heading = True, ""
    if not printed:
        inside = not asked.everywhere and any(kind.namespaced for kind, _ in parts.values())
        click.echo(f"nothing found{f' in the namespace {server.namespace}' if inside else ''}", err=True)


def _objects(server: Server, kinds: list[Kind], named: list[Named], asked: _Asked) -> None:
    found: list[dict[str, Any]] = []
    of: list[Kind] = []
    for kind in kinds:
        objects = listed(server, kind, asked.query, everywhere=asked.everywhere)
        found += objects
        of += [kind] * len(objects)
    for kind, name in named:
        found.append(server.get(path_of(kind, space_of(server, kind), name)))
        of.append(kind)
    click.echo(asked.form.objects(found, of, one=len(named) == 1 and not kinds), nl=False)


def listed(server: Server, kind: Kind, query: dict[str, str], *, everywhere: bool = False) -> list[dict[str, Any]]:
    """All objects of a kind, each saying what it is. Raises ApiError."""
    path = path_of(kind, space_of(server, kind, everywhere=everywhere))
    return [
        {"apiVersion": kind.api_version, "kind": kind.kind, **one}
        for page in pages(server, path, query)
        for one in page.get("items") or []
    ]


def _watch(server: Server, which: Named, asked: _Asked) -> None:
    """Print what there is, then what changes, until interrupted."""
    form, kind = asked.form, which.kind
    query = {**asked.query, **({"fieldSelector": f"metadata.name={which.name}"} if which.name else {})}
    path = path_of(kind, space_of(server, kind, everywhere=asked.everywhere))
    table = Table(wide=form.name == "wide", spaces=asked.everywhere and kind.namespaced, headers=asked.headers)
    version = "0"
    with suppress(KeyboardInterrupt):
        while True:
            since = {**query, "resourceVersion": version, "allowWatchBookmarks": "true"}
            for event in server.follow(path, since, TABLE if form.is_table else "application/json"):
                value = event["object"]
                version = _version(value) or version
                if event["type"] != "BOOKMARK":
                    text = table.text(value) if form.is_table else form.objects([value], [kind], one=True)
                    click.echo(text, nl=False)


def _version(value: dict[str, Any]) -> str:
    rows = value.get("rows")
    meta = value.get("metadata") or {}
    if isinstance(rows, list) and rows:
        meta = (rows[-1].get("object") or {}).get("metadata") or {}
    return str(meta.get("resourceVersion") or "")
