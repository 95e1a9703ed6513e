"""`heddle diff` and `heddle edit`: a change seen before it is made, and one made by hand."""

import difflib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from heddle.cli.resources_apply import OWNER, REASON, bare, found
from heddle.cli.resources_asking import Refused, Server, reached
from heddle.cli.resources_files import FILES, read_manifests
from heddle.cli.resources_get import space_of
from heddle.cli.resources_names import Served, shown
from heddle.cli.resources_shown import print_warnings
from heddle.cli.resources_yaml import as_yaml
from heddle.controlplane.yamldoc import read_documents
from heddle.drivers.kube.client import WHY, path_of, spoken
from heddle.wire.kube.status import ApiError

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_MAX_EDITS = 10
HIDDEN = "(hidden)"


@click.command()
@reached
@FILES
@click.option("--force-conflicts", is_flag=True, help="As if fields that others own were taken over.")
def diff(server: Server, files: tuple[str, ...], force_conflicts: bool) -> None:
    """Show what `heddle apply` would change, as the server would make it.

    Exits with 0 when nothing would change, with 1 when something would, with 2 when it could not be found out.
    Values of Secrets are not shown, only that they differ.

    \b
    heddle diff -f agents.yaml
    heddle diff -f teams/ | less -R
    """
    served = Served(server)
    differs = failed = False
    query = {"fieldManager": OWNER, "fieldValidation": "Strict", "dryRun": "All"}
    query |= {"force": "true"} if force_conflicts else {}
    try:
        manifests = read_manifests(files, served, server.namespace)
    except click.ClickException as exc:
        exc.show()
        raise SystemExit(2) from exc
    for one in manifests:
        path = path_of(one.kind, one.namespace, one.name)
        headers = {"content-type": "application/apply-patch+yaml"}
        try:
            before = found(server, path)
            after = server.ask("PATCH", path, query, one.value, headers).value
        except ApiError as exc:
            failed = True
            click.echo(click.style(f"Error: {one.refused(exc).message}", fg="red"), err=True)
            continue
        text = difference(before, after, shown(one.kind, one.name))
        click.echo(text, nl=False)
        differs = differs or bool(text)
    raise SystemExit(2 if failed else 1 if differs else 0)


def difference(before: dict[str, Any] | None, after: dict[str, Any] | None, name: str) -> str:
    """A unified diff of two versions of an object, coloured where click shows colours; empty when they are alike."""
    texts = _texts(before, after)
    lines = difflib.unified_diff(
        texts[0].splitlines(), texts[1].splitlines(), f"live/{name}", f"applied/{name}", lineterm=""
    )
    return "".join(f"{_coloured(line)}\n" for line in lines)


def _coloured(line: str) -> str:
    bold = line.startswith(("+++", "---"))
    colour = None if bold else _COLOURS.get(line[:1])
    return click.style(line, fg=colour, bold=bold) if colour or bold else line


def _texts(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[str]:
    values = [bare(value) if value is not None else {} for value in (before, after)]
    if any(value.get("kind") == "Secret" for value in values):
        values = _hidden(values)
    return [as_yaml(value) if value else "" for value in values]


def _hidden(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Secrets whose values are shown only as the same or not the same."""
    made = []
    for index, value in enumerate(values):
        other = values[1 - index]
        shown_value = dict(value)
        for field in ("data", "stringData"):
            for key, secret in (value.get(field) or {}).items():
                same = (other.get(field) or {}).get(key) == secret
                shown_value[field] = {**shown_value[field], key: HIDDEN if same else f"{HIDDEN[:-1]}, {_SIDE[index]})"}
        made.append(shown_value)
    return made


_SIDE = ("before", "after")


@click.command()
@reached
@click.argument("words", nargs=-1, required=True, metavar="KIND NAME | KIND/NAME")
@REASON
def edit(server: Server, words: tuple[str, ...], why: str) -> None:
    """Change a resource in your editor ($VISUAL, $EDITOR, or vi).

    What the server refuses comes back to the editor with the reason on top. Saving it unchanged changes nothing.

    \b
    heddle edit agent support
    EDITOR="code --wait" heddle edit policy/limit-shop
    """
    _, named = Served(server).named(words)
    if len(named) != 1:
        raise click.BadParameter("name one object")
    kind, name = named[0]
    path = path_of(kind, space_of(server, kind), name)
    try:
        live = server.get(path)
    except ApiError as exc:
        raise Refused(exc) from exc
    text = as_yaml(_editable(live))
    problem = ""
    for _ in range(_MAX_EDITS):
        edited = _edited(text, problem)
        if edited == text:
            click.echo("nothing was changed")
            return
        text, value, problem = edited, *_parsed(edited)
        if value is not None:
            try:
                _put(server, path, value, why)
            except ApiError as exc:
                problem = exc.message
            else:
                click.echo(f"{shown(kind, name)} edited")
                return
    raise click.ClickException(f"given up after {_MAX_EDITS} attempts: {problem}")


def _put(server: Server, path: str, value: dict[str, Any], why: str) -> None:
    headers = {WHY: spoken(why)} if why else None
    query = {"fieldManager": "heddle-edit", "fieldValidation": "Strict"}
    print_warnings(server.ask("PUT", path, query, value, headers).warnings)


def _editable(value: dict[str, Any]) -> dict[str, Any]:
    meta = {name: part for name, part in value["metadata"].items() if name != "managedFields"}
    return {**{name: part for name, part in value.items() if name != "status"}, "metadata": meta}


def _parsed(text: str) -> tuple[dict[str, Any] | None, str]:
    """What was written, and what is wrong with it."""
    documents, problems = read_documents(text)
    if problems:
        return None, f"line {problems[0].line}: {problems[0].message}"
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        return None, "expected one object"
    return documents[0].value, ""


def _edited(text: str, problem: str) -> str:
    """What the editor leaves. Raises click.ClickException."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    head = "".join(f"# {line}\n" for line in _wrapped(problem))
    with tempfile.TemporaryDirectory(prefix="heddle-edit-") as folder:
        path = Path(folder, "object.yaml")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(head + text)
        try:
            done = subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603 - theirs
        except (OSError, ValueError) as exc:
            raise click.ClickException(f"the editor {editor!r} cannot be run: {exc}; set $EDITOR") from exc
        if done.returncode != 0:
            raise click.ClickException(f"the editor ended with {done.returncode}; nothing was changed")
        try:
            left = path.read_text()
        except (OSError, UnicodeDecodeError) as exc:
            raise click.ClickException("what the editor left cannot be read; nothing was changed") from exc
    if problem and left == head + text:
        raise click.ClickException(f"not changed again, so it was given up: {problem}")
    return "".join(line for line in left.splitlines(keepends=True) if not line.startswith("#"))


def _wrapped(problem: str) -> Iterable[str]:
    return [f"refused: {line}" for line in problem.splitlines()] if problem else []
