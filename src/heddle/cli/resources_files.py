"""Manifests as `-f` names them: files, folders, standard input; each document with the lines it was written on.

Owns what a refusal of the server points at: `file:line` of the field it is about.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import click

from heddle.cli.resources_asking import Refused
from heddle.cli.resources_names import Served
from heddle.controlplane.read import find_files, read_text
from heddle.controlplane.sources.declared import field_of
from heddle.controlplane.yamldoc import MAX_BYTES, read_documents
from heddle.model.kinds import Kind
from heddle.model.problem import Place, Report, Source
from heddle.wire.kube.status import ApiError

STDIN = "-"


class Manifest(NamedTuple):
    """An object of a file."""

    kind: Kind
    value: dict[str, Any]
    source: Source

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.value["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace; empty for what stands in none."""
        return str(self.value["metadata"].get("namespace", ""))

    def refused(self, error: ApiError) -> Refused:
        """The refusal, with the line that it is about."""
        line = self.source.line(field_of(error))
        return Refused(error, f"{self.source.file}:{line}" if line else self.source.file)


FILES = click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    required=True,
    metavar="FILE|DIR|-",
    help="A file, a folder of .yaml files, or `-` for standard input. May be repeated.",
)


def read_manifests(files: tuple[str, ...], served: Served, namespace: str) -> list[Manifest]:
    """The objects of files. Raises click.ClickException with every problem, one to a line."""
    report = Report()
    found: list[tuple[dict[str, Any], Source]] = []
    for file in files:
        if file == STDIN:
            found += _documents("stdin", sys.stdin.buffer.read(MAX_BYTES + 1), report)
            continue
        for path in find_files([Path(file)], report):
            text = read_text(path, report)
            found += _documents(str(path), text.encode(), report) if text is not None else []
    made = [one for value, source in found for one in _manifests(value, source, (served, namespace), report)]
    if report.failed:
        raise click.ClickException("\n".join(["the files have problems", *(p.line_text() for p in report.problems)]))
    if not made:
        raise click.ClickException("there is no object in the files")
    return made


def _documents(file: str, content: bytes, report: Report) -> list[tuple[dict[str, Any], Source]]:
    whole = Place(Source(file, {"": 1}), "")
    if len(content) > MAX_BYTES:
        report.error(whole, f"is larger than {MAX_BYTES // 1024 // 1024} MiB")
        return []
    try:
        documents, problems = read_documents(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        report.error(whole, "is not UTF-8 text")
        return []
    for line, where, message in problems:
        report.error(Place(Source(file, {where: line}), where), message)
    found = []
    for document in documents:
        source = Source(file, document.lines, camel=True)
        if isinstance(document.value, dict):
            found.append((document.value, source))
        else:
            report.error(Place(source, ""), "expected a mapping at the top of the document")
    return found


def _manifests(value: dict[str, Any], source: Source, around: tuple[Served, str], report: Report) -> list[Manifest]:
    """The object of a document; the items of a List."""
    served, namespace = around
    version, name = value.get("apiVersion"), value.get("kind")
    if not (isinstance(version, str) and isinstance(name, str)):
        missing = "apiVersion" if not isinstance(version, str) else "kind"
        hint = "a config.yaml in the short form is run by `heddle up -f`" if "llm" in value or "mcp" in value else ""
        report.error(Place(source, missing), f"expected `{missing}` as text", hint)
        return []
    if version == "v1" and name.endswith("List") and isinstance(value.get("items"), list):
        return [
            one
            for index, item in enumerate(value["items"])
            if isinstance(item, dict)
            for one in _manifests(item, _below(source, f"items[{index}]"), around, report)
        ]
    kind = served.of(version, name)
    meta = value.get("metadata")
    if kind is None:
        report.error(Place(source, "kind"), f"the server serves no {name} of {version}", served.hint(name, version))
        return []
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str) or not meta["name"]:
        report.error(Place(source, "metadata.name"), "expected a name")
        return []
    if kind.namespaced:
        value = {**value, "metadata": {**meta, "namespace": meta.get("namespace") or namespace}}
    return [Manifest(kind, value, source)]


def _below(source: Source, path: str) -> Source:
    lines = {
        where.removeprefix(path).removeprefix("."): line
        for where, line in source.lines.items()
        if where == path or where.startswith((f"{path}.", f"{path}["))
    }
    return Source(source.file, lines, camel=True)
