"""`heddle tools`: what tool servers say of themselves, what changed, and who approved it.

Owns how a person decides: what is approved is the digest of what was shown, in full, and the mesh refuses it when
something else waits by then. Everything shown is fit for a terminal; what cannot be seen in a definition is spelt out.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from heddle.cli.asking import ADMIN, STATE, Mesh
from heddle.cli.mcp_places import versions
from heddle.cli.mcp_shown import columns
from heddle.cli.tools_check import check
from heddle.directory.definitions import KINDS
from heddle.directory.visible import clipped, visible

_JSON = click.option("--json", "as_json", is_flag=True, help="Print what the admin API answers.")
_KIND = click.option("--kind", type=click.Choice(KINDS), default=None,
                     help="Which is meant, where a server has several of one name.")  # fmt: skip
_DIGEST = click.option("--digest", default="", metavar="SHA256", help="The version that is meant, as it was shown.")
_SHOWN_DIGEST = 12

Row = dict[str, Any]


class _Definition:
    """One definition by its name here: `files/read_file`, or `files` for what the server says of itself."""

    def __init__(self, mesh: Mesh, text: str, kind: str | None) -> None:
        self.target, slash, self.name = text.partition("/")
        self._mesh = mesh
        if not self.target or (slash and not self.name):
            raise click.UsageError(f"expected TARGET/NAME, got {text!r}; see `heddle tools list`")
        self.kind = kind or ("instructions" if not slash else self._only_kind())

    def _only_kind(self) -> str:
        rows = self._mesh.ask(f"/tools?{urlencode({'target': self.target})}")["tools"]
        kinds = [row["kind"] for row in rows if row["name"] == self.name]
        if len(kinds) > 1:
            raise click.UsageError(f"{self.shown} is a {' and a '.join(kinds)}; say which with --kind")
        return kinds[0] if kinds else "tool"

    @property
    def shown(self) -> str:
        """Its name, fit to be shown."""
        return _name(self.target, self.name)

    def diff(self, digest: str = "") -> Row:
        """The version that waits, or the one with `digest`, beside the approved one."""
        asked = {"target": self.target, "kind": self.kind, "name": self.name, "digest": digest}
        found = self._mesh.ask(f"/tools/diff?{urlencode(asked)}")
        assert isinstance(found, dict)
        return found

    def decide(self, what: str, digest: str) -> Row:
        """Approve or reject exactly this version."""
        named = {"target": self.target, "kind": self.kind, "name": self.name, "digest": digest}
        decided = self._mesh.ask(f"/tools/{what}", "POST", named)
        assert isinstance(decided, dict)
        return decided

    def history(self) -> list[Row]:
        """Every version, the latest first."""
        return versions(self._mesh, self.kind, self.target, self.name)


@click.group()
def tools() -> None:
    """See and decide what tool servers may say of themselves.

    Every definition (tool, prompt, resource, template, instructions) is pinned when it is first approved. One that
    changes, or looks as if it were there to mislead a model, is withheld from callers until somebody has looked at it.
    Workers act on a decision within a second; nothing is restarted.

    \b
    heddle tools list --pending
    heddle tools diff files/read_file
    heddle tools approve files/read_file
    heddle tools reject files/read_file       this version never
    """


@tools.command("list")
@click.argument("target", default="")
@click.option("--pending", is_flag=True, help="Only what waits for a decision.")
@_JSON
@ADMIN
@STATE
def list_definitions(target: str, pending: bool, as_json: bool, admin: str, state_dir: Path | None) -> None:
    """List what is approved, waits or was rejected; of one TARGET, or of all.

    \b
    heddle tools list --pending
    heddle tools list files --json | jq -r '.tools[].name'
    """
    query = urlencode({"target": target, "state": "pending" if pending else ""})
    found = Mesh(admin, state_dir).ask(f"/tools?{query}")
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found["tools"]:
        click.echo(columns([("definition", "kind", "state", "why"), *map(_row, found["tools"])]))
    else:
        click.echo("nothing waits for a decision" if pending else "nothing was seen yet")


def _row(row: Row) -> tuple[str, ...]:
    grade = f" ({row['change']})" if row.get("change") else ""
    why = f"{row.get('reason', '')}{grade}"
    if row.get("rejected") and row["state"] == "approved":
        why = f"{len(row['rejected'])} rejected"
    return (_name(row["target"], row["name"]), row["kind"], row["state"], why)


@tools.command()
@click.argument("definition", metavar="TARGET/NAME")
@_KIND
@_DIGEST
@_JSON
@ADMIN
@STATE
def diff(definition: str, kind: str | None, digest: str, as_json: bool, admin: str, state_dir: Path | None) -> None:
    """Show how what waits differs from what is approved, and why it waits.

    TARGET alone means the instructions of the server. Characters that nobody sees are spelt out (<U+200B>).
    """
    found = _Definition(Mesh(admin, state_dir), definition, kind).diff(digest)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _show(found)


def _show(found: Row) -> None:
    lines = [("definition", f"{_name(found['target'], found['name'])} ({found['kind']})")]
    lines.append(("state", f"{found['state']}, seen {found['seen']}"))
    lines += [("reason", found["reason"])] if found["reason"] else []
    if found["approved"]:
        lines.append(("change", found["change"]))
    elif found["state"] != "approved":
        lines.append(("change", "added: nothing was approved under this name"))
    lines += [("note", visible(note)) for note in found["notes"]]
    lines.append(("digest", found["digest"]))
    lines += [("approved", found["approved"])] if found["approved"] else []
    for label, text in lines:
        click.echo(f"{label:<10} {text}")
    for line in found["diff"].split("\n"):
        colour = {"+": "green", "-": "red"}.get(line[:1])
        click.echo(click.style(line, fg=colour) if colour else line)


@tools.command()
@click.argument("definition", metavar="TARGET/NAME", default="")
@click.option("--all", "everything", is_flag=True,
              help="All that waits, of TARGET or of every server, but for what looks poisoned.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask; what is approved is shown all the same.")
@_KIND
@_DIGEST
@ADMIN
@STATE
def approve(definition: str, everything: bool, admin: str, state_dir: Path | None, **options: Any) -> None:
    """Approve a definition: it is shown, and callers may see it once you say yes.

    Exactly the version that was shown is approved. When the server changed it meanwhile nothing is, and the new version
    is to be looked at. --digest approves a version that you were shown before, also one that was rejected. What looks
    poisoned is approved one by one.

    \b
    heddle tools approve files/read_file
    heddle tools approve --all files
    heddle tools approve files/read_file --digest 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    """
    mesh = Mesh(admin, state_dir)
    if everything:
        if options["digest"] or options["kind"] or "/" in definition:
            raise click.UsageError("--all takes a TARGET at most")
        _approve_all(mesh, definition, yes=options["yes"])
        return
    if not definition:
        raise click.UsageError("name what to approve, TARGET/NAME, or give --all")
    one = _Definition(mesh, definition, options["kind"])
    found = one.diff(options["digest"])
    if found["state"] == "approved":
        click.echo(f"{one.shown} is approved already, by {clipped(found['decided_by'], 80)}")
        return
    if not options["digest"]:
        _check_waits(found, one)
        _show(found)
        if not options["yes"]:
            click.confirm("Approve this?", abort=True, err=True)
    one.decide("approve", found["digest"])
    click.echo(f"{one.shown} is approved: {found['digest']}")


def _check_waits(found: Row, one: _Definition) -> None:
    if found["state"] != "pending":
        raise click.ClickException(
            f"nothing of {one.shown} waits; its versions are shown by `heddle tools history`, and approved by --digest"
        )


def _approve_all(mesh: Mesh, target: str, *, yes: bool) -> None:
    rows = mesh.ask(f"/tools?{urlencode({'target': target, 'state': 'pending'})}")["tools"]
    left = [row for row in rows if row["reason"] == "poisoned"]
    taken = []
    for row in rows:
        if row not in left:
            one = _Definition(mesh, f"{row['target']}/{row['name']}" if row["name"] else row["target"], row["kind"])
            # By digest: what is shown is what was listed, or nothing.
            found = one.diff(row["pending"])
            _show(found)
            click.echo()
            taken.append((one, found["digest"]))
    for row in left:
        click.echo(f"left out, it looks poisoned: {_name(row['target'], row['name'])}", err=True)
    if not taken:
        click.echo("nothing to approve")
        return
    if not yes:
        click.confirm(f"Approve these {len(taken)}?", abort=True, err=True)
    failed = 0
    for one, digest in taken:
        try:
            one.decide("approve", digest)
        except click.ClickException as exc:
            failed += 1
            click.echo(f"{one.shown}: {exc.format_message()}", err=True)
    click.echo(f"{len(taken) - failed} approved")
    if failed:
        raise click.exceptions.Exit(1)


@tools.command()
@click.argument("definition", metavar="TARGET/NAME")
@_KIND
@_DIGEST
@ADMIN
@STATE
def reject(definition: str, kind: str | None, digest: str, admin: str, state_dir: Path | None) -> None:
    """Reject the version that waits, or the one of --digest, also if it was approved: callers never see it.

    \b
    heddle tools reject files/read_file
    """
    one = _Definition(Mesh(admin, state_dir), definition, kind)
    found = one.diff(digest)
    if not digest:
        _check_waits(found, one)
    one.decide("reject", found["digest"])
    click.echo(f"{one.shown} is rejected: {found['digest']}")


@tools.command()
@click.argument("definition", metavar="TARGET/NAME")
@_KIND
@_JSON
@ADMIN
@STATE
def history(definition: str, kind: str | None, as_json: bool, admin: str, state_dir: Path | None) -> None:
    """Show every version of a definition that was ever offered, and who decided about it."""
    found = _Definition(Mesh(admin, state_dir), definition, kind).history()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    rows = [
        (one["seen"], one["state"], clipped(one.get("decided_by", "-"), 64), one.get("decided", "-"), one["digest"])
        for one in found
    ]
    click.echo(columns([("seen", "state", "decided by", "decided", "digest"), *rows]))


def _name(target: str, name: str) -> str:
    return clipped(f"{target}/{name}" if name else target, 300)


tools.add_command(check)
