"""Options that say where resources come from besides folders: Git branches, a cluster.

Owns their names and what of them the control-plane process is told. Credentials are named by their files.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from heddle.cli.plane_options import together
from heddle.controlplane.sources.git_command import parse_place

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True)
SOURCES = together(
    click.option(
        "--git",
        "branches",
        multiple=True,
        metavar="URL#BRANCH:PATH",
        help="Follow a folder of a Git branch; its newest commit is what runs. May be repeated.",
    ),
    click.option("--git-interval", type=click.FloatRange(5), default=60.0, show_default=True, metavar="SECONDS",
                 help="Between two looks at a branch."),
    click.option("--git-verify", type=_FILE, default=None, metavar="FILE",
                 help="Allowed signers of ssh; commits that none of them signed change nothing."),
    click.option("--git-user", default="", metavar="NAME", help="User of https."),
    click.option("--git-token-file", type=_FILE, default=None, metavar="FILE", help="Password or token of https."),
    click.option("--git-ssh-key", type=_FILE, default=None, metavar="FILE", help="Private key of ssh."),
    click.option("--git-known-hosts", type=_FILE, default=None, metavar="FILE", help="Keys of ssh servers."),
    click.option("--git-ca-file", type=_FILE, default=None, metavar="FILE",
                 help="Certificates to trust for https instead of the system's."),
    click.option("--git-webhook-secret", type=_FILE, default=None, metavar="FILE",
                 help="What webhooks to POST /hooks/git of the API are signed with."),
    click.option("--kubeconfig", type=_FILE, default=None, metavar="FILE",
                 help="Take resources from the Kubernetes API server that this file names, and write status there."),
    click.option("--context", default="", metavar="NAME", help="Context of the kubeconfig."),
    click.option("--in-cluster", is_flag=True, help="The same, for the cluster that this is a pod of."),
)  # fmt: skip


def source_arguments(given: dict[str, Any]) -> tuple[str, ...]:
    """What the control-plane process is told, of the options above, which are taken out of `given`.

    Raises click.UsageError.
    """
    branches, interval = given.pop("branches"), given.pop("git_interval")
    kubeconfig, context, inside = given.pop("kubeconfig"), given.pop("context"), given.pop("in_cluster")
    files = {name: given.pop(name) for name in _GIT}
    if branches and (kubeconfig or inside):
        raise click.UsageError("resources come from Git or from a cluster, not from both")
    if kubeconfig and inside:
        raise click.UsageError("--in-cluster needs no --kubeconfig")
    if context and not kubeconfig:
        raise click.UsageError("--context is one of a --kubeconfig FILE")
    if any(files.values()) and not branches:
        raise click.UsageError("the --git-* options are for a branch: give it as --git URL#BRANCH:PATH")
    if inside:
        return ("--in-cluster",)
    if kubeconfig:
        return "--kubeconfig", str(kubeconfig), *(("--context", context) if context else ())
    return tuple(_of_branches(branches, interval, files))


_GIT = (
    "git_verify",
    "git_user",
    "git_token_file",
    "git_ssh_key",
    "git_known_hosts",
    "git_ca_file",
    "git_webhook_secret",
)


def _of_branches(branches: tuple[str, ...], interval: float, files: dict[str, Any]) -> Iterator[str]:
    for text in branches:
        try:
            place = parse_place(text)
        except ValueError as exc:
            raise click.BadParameter(str(exc), param_hint="--git") from exc
        yield f"--git={place}"
    if branches:
        yield f"--git-interval={interval:g}"
    for name, value in files.items():
        if value:
            yield f"--{name.replace('_', '-')}={value}"
