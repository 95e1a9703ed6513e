"""What the control-plane process is told about sources: folders, branches, how those are reached and verified.

Owns the arguments and the names that sources get. Credentials are named by their files.
"""

import argparse
import os
import re
from pathlib import Path

from heddle.controlplane.sources.beside import read_hook_secret
from heddle.controlplane.sources.git import POLL_S, GitSpec
from heddle.controlplane.sources.git_command import Access, Place, parse_place
from heddle.controlplane.sources.kubeconfig import in_cluster, read_kubeconfig
from heddle.controlplane.sources.run import Specs
from heddle.drivers.kube import Reach
from heddle.model.meta import resource_name

MIN_POLL_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add = parser.add_argument_group("sources").add_argument
    add("--folder", action="append", type=Path, default=[], help="watched folder of YAML; repeatable")
    add("--git", action="append", default=[], metavar="URL#BRANCH:PATH", help="folder of a Git branch; repeatable")
    add("--git-interval", type=float, default=POLL_S, help="seconds between two fetches")
    add("--git-verify", type=Path, metavar="FILE", help="allowed_signers of ssh: commits must be signed by one of them")
    add("--git-user", default="", help="user of https")
    add("--git-token-file", type=Path, metavar="FILE", help="password or token of https")
    add("--git-ssh-key", type=Path, metavar="FILE", help="private key of ssh")
    add("--git-known-hosts", type=Path, metavar="FILE", help="keys of ssh servers")
    add("--git-ca-file", type=Path, metavar="FILE", help="certificates to trust for https instead of the system's")
    add("--git-webhook-secret", type=Path, metavar="FILE", help="secret of webhooks, POST /hooks/git")
    cluster = parser.add_argument_group("cluster").add_argument
    cluster("--kubeconfig", type=Path, metavar="FILE", help="take resources from the API server that this names")
    cluster("--context", default="", help="context of the kubeconfig")
    cluster("--in-cluster", action="store_true", help="take them from the cluster that this is a pod of")


def reach_of(given: argparse.Namespace) -> Reach | None:
    """The cluster that takes the place of our own store, if one does. Raises KubeconfigError."""
    if given.in_cluster:
        return in_cluster(os.environ)
    return read_kubeconfig([given.kubeconfig], given.context) if given.kubeconfig is not None else None


def specs_of(given: argparse.Namespace) -> Specs:
    """What was asked for. Raises ValueError, OSError for a file that cannot be read."""
    if given.git_interval < MIN_POLL_S:
        raise ValueError(f"--git-interval: at least {MIN_POLL_S:g} seconds; a webhook is faster")
    access = Access(
        given.git_user,
        _file(given.git_token_file),
        _file(given.git_ssh_key),
        _file(given.git_known_hosts),
        _file(given.git_ca_file),
    )
    signers = _file(given.git_verify)
    branches = []
    for text in given.git:
        place = parse_place(text)
        branches.append(GitSpec(name_of(place), place, access, given.git_interval, signers))
    secret = read_hook_secret(given.git_webhook_secret) if given.git_webhook_secret is not None else ""
    return Specs([path.absolute() for path in given.folder], branches, secret)


def name_of(place: Place) -> str:
    """The name of a branch's source: that of the repository, and of the folder in it."""
    repository = re.sub(r"\.git\Z", "", place.url.rstrip("/").rpartition("/")[2])
    return resource_name("-".join(part for part in (repository, *place.path.split("/")) if part) or "git")


def _file(path: Path | None) -> Path | None:
    """An absolute path of a file that can be read. Raises OSError."""
    if path is None:
        return None
    with path.open("rb"):
        return path.absolute()
