"""`heddle apply` and `heddle delete`: manifests into the mesh, and out of it.

Every apply is a server-side one: the server merges, so fields of others stay theirs, and conflicts say whose.
"""

from typing import Any

import click

from heddle.cli.resources_asking import Refused, Server, reached
from heddle.cli.resources_files import FILES, Manifest, read_manifests
from heddle.cli.resources_get import ALL_SPACES, SELECTOR, listed, space_of
from heddle.cli.resources_names import Named, Served, shown
from heddle.cli.resources_shown import print_warnings
from heddle.drivers.kube.client import WHY, path_of, spoken
from heddle.model.kinds import Kind
from heddle.wire.kube.status import ApiError

OWNER = "heddle"
"""Field manager of what the command line applies."""
WRITE_FIRST = ("Namespace", "CustomResourceDefinition", "Secret", "ConfigMap", "ServiceAccount", "ClusterRole", "Role")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Have the server check it all, and change nothing.")
REASON = click.option("--why", default="", metavar="TEXT", help="What to write into the history as the reason.")


@click.command()
@reached
@FILES
@DRY_RUN
@click.option("--force-conflicts", is_flag=True, help="Take over fields that others own.")
@click.option("--prune", is_flag=True, help="Delete what was applied before, fits --selector, and is not in the files.")
@SELECTOR
@REASON
def apply(
    server: Server,
    files: tuple[str, ...],
    dry_run: bool,
    force_conflicts: bool,
    prune: bool,
    selector: str,
    why: str,
) -> None:
    """Make resources be as files say.

    Every object is tried, also when one is refused; then the exit status is 1. Refusals name file and line.

    \b
    heddle apply -f agents.yaml
    heddle apply -f teams/ --dry-run
    heddle apply -f - < generated.yaml
    heddle apply -f shop/ --prune -l team=shop       and delete what is no longer in shop/
    heddle apply -f policy.yaml --why "ticket 4711"
    """
    if prune and not selector:
        raise click.BadParameter("--prune needs --selector, which says among what it may delete")
    served = Served(server)
    manifests = read_manifests(files, served, server.namespace)
    query = {"fieldManager": OWNER, "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
    query |= {"force": "true"} if force_conflicts else {}
    headers = {"content-type": "application/apply-patch+yaml", **({WHY: spoken(why)} if why else {})}
    failed = 0
    for one in sorted(manifests, key=_order):
        try:
            click.echo(f"{shown(one.kind, one.name)} {_applied(server, one, query, headers)}{_dry(dry_run)}")
        except ApiError as exc:
            failed += 1
            click.echo(click.style(f"Error: {one.refused(_hinted(exc)).message}", fg="red"), err=True)
    if prune and not failed:
        _prune(server, served, manifests, selector, dry_run=dry_run)
    if failed:
        raise SystemExit(1)


def _applied(server: Server, one: Manifest, query: dict[str, str], headers: dict[str, str]) -> str:
    """What became of it, in a word. Raises ApiError."""
    path = path_of(one.kind, one.namespace, one.name)
    before = found(server, path)
    answer = server.ask("PATCH", path, query, one.value, headers)
    print_warnings(answer.warnings)
    if before is None:
        return "created"
    return "unchanged" if _same(before, answer.value) else "configured"


def found(server: Server, path: str) -> dict[str, Any] | None:
    """The object at a path, or None. Raises ApiError."""
    try:
        value = server.get(path)
    except ApiError as exc:
        if exc.code == 404:
            return None
        raise
    assert isinstance(value, dict)
    return value


def _same(before: dict[str, Any], after: Any) -> bool:
    """Whether nothing but who said it has changed."""
    return bare(before) == bare(after)


def bare(value: dict[str, Any]) -> dict[str, Any]:
    """An object without what a server writes into it."""
    drop = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
    meta = {name: part for name, part in value.get("metadata", {}).items() if name not in drop}
    return {**{name: part for name, part in value.items() if name != "status"}, "metadata": meta}


def _order(one: Manifest) -> int:
    return WRITE_FIRST.index(one.kind.kind) if one.kind.kind in WRITE_FIRST else len(WRITE_FIRST)


def _dry(dry_run: bool) -> str:
    return " (dry run)" if dry_run else ""


def _hinted(error: ApiError) -> ApiError:
    causes = (error.details or {}).get("causes") or []
    if error.code == 409 and any(one.get("reason") == "FieldManagerConflict" for one in causes):
        return ApiError(409, error.reason, f"{error.message}; --force-conflicts takes the fields over", error.details)
    return error


def _prune(server: Server, served: Served, kept: list[Manifest], selector: str, *, dry_run: bool) -> None:
    """Delete what this command applied earlier and the files no longer hold. Raises click.ClickException."""
    names = {(one.kind.resource, one.namespace, one.name) for one in kept}
    for kind in served.kinds:
        if "delete" not in kind.verbs or kind.kind == "Namespace":
            continue
        try:
            for value in listed(server, kind, {"labelSelector": selector}, everywhere=True):
                meta = value["metadata"]
                key = (kind.resource, meta.get("namespace", ""), meta["name"])
                if key not in names and _ours(meta):
                    path = path_of(kind, meta.get("namespace", ""), meta["name"])
                    server.ask("DELETE", path, {"dryRun": "All"} if dry_run else None)
                    click.echo(f"{shown(kind, meta['name'])} pruned{_dry(dry_run)}")
        except ApiError as exc:
            raise Refused(exc) from exc


def _ours(meta: dict[str, Any]) -> bool:
    """Whether this command applied an object at some time."""
    owners = meta.get("managedFields") or ()
    return any(one.get("manager") == OWNER and one.get("operation") == "Apply" for one in owners)


@click.command()
@reached
@click.argument("words", nargs=-1, metavar="[KIND NAME... | KIND/NAME... | KIND -l LABELS]")
@click.option("-f", "--file", "files", multiple=True, metavar="FILE|DIR|-", help="Delete what these files declare.")
@SELECTOR
@ALL_SPACES
@DRY_RUN
@click.option(
    "--cascade",
    type=click.Choice(["background", "foreground", "orphan"]),
    default="background",
    show_default=True,
    help="What becomes of what belongs to it: deleted after it, before it, or kept.",
)
@click.option("--ignore-not-found", is_flag=True, help="What is not there is no error.")
def delete(
    server: Server,
    words: tuple[str, ...],
    files: tuple[str, ...],
    selector: str,
    everywhere: bool,
    dry_run: bool,
    cascade: str,
    ignore_not_found: bool,
) -> None:
    """Delete resources, by name, by labels, or those of files.

    \b
    heddle delete agent support
    heddle delete policy/limit-shop policy/limit-blog
    heddle delete models -l team=shop -A
    heddle delete -f agents.yaml
    """
    served = Served(server)
    try:
        which = _meant(server, served, (words, files, selector), everywhere=everywhere)
        failed = False
        for kind, space, name in which:
            body = {"propagationPolicy": cascade.capitalize(), **({"dryRun": ["All"]} if dry_run else {})}
            try:
                server.ask("DELETE", path_of(kind, space, name), None, body)
                click.echo(f"{shown(kind, name)} deleted{_dry(dry_run)}")
            except ApiError as exc:
                if exc.code == 404 and ignore_not_found:
                    continue
                failed = True
                click.echo(click.style(f"Error: {exc.message}", fg="red"), err=True)
    except ApiError as exc:
        raise Refused(exc) from exc
    if failed:
        raise SystemExit(1)


def _meant(
    server: Server,
    served: Served,
    given: tuple[tuple[str, ...], tuple[str, ...], str],
    *,
    everywhere: bool,
) -> list[tuple[Kind, str, str]]:
    """What a delete names. A kind without labels is not taken for all of it."""
    words, files, selector = given
    if bool(words) == bool(files):
        raise click.BadParameter("name objects, or files with -f")
    if files:
        # Backwards: what others stand in goes last.
        manifests = sorted(read_manifests(files, served, server.namespace), key=_order, reverse=True)
        return [(one.kind, one.namespace, one.name) for one in manifests]
    kinds, named = served.named(words)
    if kinds and not selector:
        raise click.BadParameter("name what to delete: `KIND NAME`, or `KIND -l LABELS` for all with these labels")
    objects = [
        (kind, str(value["metadata"].get("namespace", "")), str(value["metadata"]["name"]))
        for kind in kinds
        for value in listed(server, kind, {"labelSelector": selector}, everywhere=everywhere)
    ]
    return objects + [(kind, space_of(server, kind), name) for kind, name in named]


__all__ = ["DRY_RUN", "OWNER", "REASON", "Named", "apply", "bare", "delete", "found"]
