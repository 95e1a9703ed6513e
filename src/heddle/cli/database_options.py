"""Options that say where a control plane keeps resources, and how much of their past.

Owns that no password stands on a command line: neither on ours nor on that of the process that is started, which
is told by its environment. What is secret is taken out of the environment that resources may name variables of.
"""

from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click

from heddle.cli.plane import Beside
from heddle.cli.plane_options import together
from heddle.controlplane.replicas.database import DATABASE, KEY, SCHEMES
from heddle.model.formats import complaint, duration_s

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True)
_COUNT = click.IntRange(1)
DATABASES = together(
    click.option("--database", default="", metavar="URL",
                 help="Keep resources in this PostgreSQL database, postgresql://USER@HOST:PORT/NAME, which replicas "
                      f"may share. With a password, in --database-file or ${DATABASE}. [default: a file in the state "
                      "directory]"),
    click.option("--database-file", type=_FILE, envvar="HEDDLE_DATABASE_FILE", default=None, metavar="FILE",
                 help="File with that URL."),
    click.option("--key-file", type=_FILE, envvar="HEDDLE_CONTROL_PLANE_KEY_FILE", default=None, metavar="FILE",
                 help="Key that all replicas share, made by `heddle control-plane --make-key FILE`: with it they have "
                      f"the same authority. Or in ${KEY}."),
    click.option("--keep-revisions", type=_COUNT, default=100, show_default=True, metavar="N",
                 help="Versions of each object in `heddle history`."),
    click.option("--keep-deletions", type=_COUNT, default=10_000, show_default=True, metavar="N",
                 help="Deleted objects that have a history."),
    click.option("--keep-changes", type=_COUNT, default=100_000, show_default=True, metavar="N",
                 help="Changes after which watches can resume, at most."),
    click.option("--keep-changes-for", default="1h", show_default=True, metavar="DURATION",
                 help="And for how long."),
)  # fmt: skip


DEFAULTS = (
    "--keep-revisions=100",
    "--keep-deletions=10000",
    "--keep-changes=100000",
    "--keep-changes-for=3600",
)
"""What the process is told where nothing was said."""


class DatabaseArguments(NamedTuple):
    """What the control-plane process is told."""

    arguments: tuple[str, ...]
    environ: dict[str, str]
    is_shared: bool
    """It is a database that others may use, too."""

    def __repr__(self) -> str:
        return f"DatabaseArguments(is_shared={self.is_shared})"


def database_arguments(given: dict[str, Any], environ: MutableMapping[str, str]) -> DatabaseArguments:
    """What is meant by the options above, which are taken out of `given`, and by the variables, which are taken out of
    `environ`. Raises click.UsageError."""
    url, file, key_file = given.pop("database"), given.pop("database_file"), given.pop("key_file")
    if url and file:
        raise click.UsageError("the database is named by --database or by --database-file, not by both")
    if url:
        _check(url)
    secret = {name: environ.pop(name) for name in (DATABASE, KEY) if environ.get(name)}
    if url:
        secret[DATABASE] = url
    shared = bool(file or secret.get(DATABASE))
    if shared and (given.get("kubeconfig") or given.get("in_cluster")):
        raise click.UsageError("resources are in a cluster or in a database, not in both")
    if (key_file or KEY in secret) and not shared:
        raise click.UsageError("--key-file is for replicas that share a --database")
    arguments = [f"--database-file={file}"] if file else []
    arguments += [f"--key-file={key_file}"] if key_file else []
    arguments += _kept(given)
    return DatabaseArguments(tuple(arguments), secret, shared)


def kept_in(database: DatabaseArguments, beside: Beside | None) -> Beside | None:
    """A control plane that keeps its resources so. Raises click.UsageError where there is none."""
    if beside is None:
        if database.environ or database.arguments != DEFAULTS:
            raise click.UsageError(
                "--database and --keep-* are for a control plane: give folders as -f DIR, or a source"
            )
        return None
    told = (*(one for one in beside.sources if one not in database.arguments), *database.arguments)
    environ = {**beside.environ, **database.environ}
    return replace(beside, sources=told, environ=environ, shared=database.is_shared)


def _kept(given: dict[str, Any]) -> Iterator[str]:
    for name in ("keep_revisions", "keep_deletions", "keep_changes"):
        yield f"--{name.replace('_', '-')}={given.pop(name)}"
    kept = given.pop("keep_changes_for")
    if complaint("duration", kept) or duration_s(kept) < 1:
        raise click.BadParameter("expected a duration, such as 30m or 4h", param_hint="--keep-changes-for")
    yield f"--keep-changes-for={duration_s(kept):g}"


def _check(url: str) -> None:
    try:
        password = urlsplit(url).password
    except ValueError:
        password = None
    if not url.startswith(SCHEMES):
        raise click.BadParameter("expected postgresql://USER@HOST:PORT/NAME", param_hint="--database")
    if password or "password=" in url:
        raise click.BadParameter(
            f"everybody on this machine could read the password; put the URL into --database-file FILE or ${DATABASE}",
            param_hint="--database",
        )
