"""How objects are printed: tables as the server makes them, YAML, JSON, names, templates.

Owns the forms of `-o`. Cells are the server's; a cell never moves the cursor, whatever stands in an object.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import click

from heddle.cli.resources_jsonpath import TemplateError, render
from heddle.cli.resources_names import shown
from heddle.cli.resources_yaml import as_json, as_yaml
from heddle.model.kinds import Kind

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io, application/json"
FORMS = "table|wide|yaml|json|name|jsonpath=TEMPLATE"


class Form:
    """A form of output."""

    def __init__(self, text: str) -> None:
        """`text` is what stands after `-o`. Raises click.BadParameter."""
        self.name, _, self.template = text.partition("=")
        if self.name == "jsonpath" and self.template:
            try:
                render(self.template, {})
            except TemplateError as exc:
                raise click.BadParameter(str(exc), param_hint="-o jsonpath") from exc
        elif self.name not in ("table", "wide", "yaml", "json", "name") or self.template:
            raise click.BadParameter(f"expected {FORMS}, got {text!r}", param_hint="-o")

    @property
    def is_table(self) -> bool:
        """The server makes it."""
        return self.name in ("table", "wide")

    def objects(self, found: Sequence[dict[str, Any]], kinds: Sequence[Kind], *, one: bool) -> str:
        """Objects, each of its kind, as text; `one` was asked for by its name."""
        if self.name == "name":
            return "".join(
                f"{shown(kind, item['metadata']['name'])}\n" for item, kind in zip(found, kinds, strict=True)
            )
        found = [_without_fields(item) for item in found]
        value: Any = found[0] if one else {"apiVersion": "v1", "kind": "List", "items": found}
        if self.name == "jsonpath":
            return render(self.template, value)
        return as_yaml(value) if self.name == "yaml" else f"{as_json(value)}\n"


FORM = click.option(
    "-o", "--output", "form", default="table", show_default=True, metavar=FORMS, help="How to print it."
)


def _without_fields(value: dict[str, Any]) -> dict[str, Any]:
    """An object without who owns which field: half its length, for nobody to read."""
    meta = value.get("metadata") or {}
    return {**value, "metadata": {name: part for name, part in meta.items() if name != "managedFields"}}


class Table:
    """A table whose columns keep their widths while rows are added."""

    def __init__(self, *, wide: bool, spaces: bool, kind: Kind | None = None, headers: bool = True) -> None:
        """`spaces` adds the namespace; with a `kind`, names are written with it."""
        self._wide = wide
        self._spaces = spaces
        self._kind = kind
        self._headers = headers
        self._columns: list[int] = []
        self._widths: list[int] = []

    def text(self, table: dict[str, Any]) -> str:
        """The rows of a Table, with headers when it is the first that names its columns."""
        lines: list[list[str]] = []
        definitions = table.get("columnDefinitions") or []
        if definitions:
            self._columns = [i for i, one in enumerate(definitions) if self._wide or not one.get("priority")]
            names = [str(definitions[i]["name"]).upper() for i in self._columns]
            lines += [["NAMESPACE", *names] if self._spaces else names] if self._headers and not self._widths else []
        lines += [self._row(row) for row in table.get("rows") or []]
        for line in lines:
            for index, cell in enumerate(line):
                if index == len(self._widths):
                    self._widths.append(len(cell))
                self._widths[index] = max(self._widths[index], len(cell))
        return "".join(f"{self._line(line)}\n" for line in lines)

    def _row(self, row: dict[str, Any]) -> list[str]:
        cells = row.get("cells") or []
        made = [plain(cells[i]) if i < len(cells) else "" for i in self._columns]
        if self._kind is not None and made:
            made[0] = shown(self._kind, made[0])
        meta = (row.get("object") or {}).get("metadata") or {}
        return [plain(meta.get("namespace")), *made] if self._spaces else made

    def _line(self, cells: Iterable[str]) -> str:
        return "   ".join(cell.ljust(width) for cell, width in zip(cells, self._widths, strict=False)).rstrip()


def plain(value: Any) -> str:
    """A cell: on one line, nothing in it for a terminal to obey."""
    if value is None:
        return "<none>"
    text = value if isinstance(value, str) else as_json(value, indent=0)
    return "".join(char if char.isprintable() else " " for char in text)


def print_warnings(warnings: Iterable[str]) -> None:
    """What the server wants to be known, to stderr."""
    for text in warnings:
        click.echo(click.style(f"warning: {text}", fg="yellow"), err=True)
