"""`heddle kubeconfig`: credentials for the resource API, as kubectl and every other Kubernetes client reads them.

Owns the file that is written: private, and never somebody's other clusters unless asked. Whoever can read the state
directory is an administrator already, so nothing is asked of the running mesh; it need not run.
"""

import base64
import getpass
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import click
import yaml

from heddle.cli.state import StartError, open_directory, write_private
from heddle.cli.up import STATE, default_state_dir
from heddle.controlplane.access.authority import Authority, AuthorityError
from heddle.controlplane.access.caller import ADMINS, SYSTEM
from heddle.controlplane.access.certificates import CertificateError, serial_of
from heddle.controlplane.access.tokens import LocalTokens
from heddle.model.formats import complaint, duration_s

FILE = "kubeconfig"
MAX_FILE_BYTES = 4 * 1024 * 1024
_SECTIONS = ("clusters", "users", "contexts")
Config = dict[str, Any]


class Who(NamedTuple):
    """Whom a credential is for."""

    user: str
    groups: tuple[str, ...]
    ttl_s: float


class Issued(NamedTuple):
    """A credential as a kubeconfig holds it, and the id by which it is revoked."""

    credential: dict[str, str]
    id: str

    def __repr__(self) -> str:
        return f"Issued(id={self.id})"


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default=None, metavar="FILE",
              help="Where to write it; - is standard output. [default: kubeconfig in the state directory]")  # fmt: skip
@click.option("--merge", is_flag=True, help="Add it to a file that is there, keeping what else is in it.")
@click.option("--user", default="", help="Whom it is for. Without it: you, as an administrator (heddle:admins).")
@click.option("--group", "groups", multiple=True, help="A group of theirs. May be repeated.")
@click.option("--ttl", default="30d", show_default=True, metavar="DURATION", help="How long it is good for.")
@click.option("--token", is_flag=True, help="A bearer token instead of a client certificate.")
@click.option(
    "--context", default="heddle", show_default=True, help="Name of the context, the cluster and the user in it."
)
@click.option("--server", default="https://127.0.0.1:9443", show_default=True, metavar="URL", help="Where the API is.")
@click.option("--namespace", default="", help="Namespace that commands use by default.")
@click.option(
    "--revoke", default="", metavar="ID", help="Write nothing; refuse the credential with this id from now on."
)
@STATE
def kubeconfig(
    out: Path | None, merge: bool, context: str, server: str, namespace: str, revoke: str, state_dir: Path | None,
    **about: Any,
) -> None:  # fmt: skip
    """Write a kubeconfig for the resource API.

    Whoever can read the state directory may issue credentials. Nobody is sent anything: the file, or what is printed,
    is all there is. Its id is printed, too: with it the credential can be revoked before it ends.

    \b
    heddle kubeconfig                                     an administrator's, in the state directory
    export KUBECONFIG=$(heddle kubeconfig --ttl 8h)       and kubectl uses it
    heddle kubeconfig --merge --out ~/.kube/config        beside your other clusters
    heddle kubeconfig --user alice --group team-a --out alice.yaml
    heddle kubeconfig --user ci --token --ttl 1h --out -  with a token, to standard output
    heddle kubeconfig --revoke 4f8b371b2d9e...
    """
    state = (state_dir or default_state_dir()).absolute()
    authority = _authority(state)
    if revoke:
        _revoke(authority, revoke)
        return
    path = out or state / FILE
    if out is not None and str(out) != "-" and out.exists() and not merge:
        raise click.ClickException(f"{out} is there; --merge adds to it, another --out leaves it")
    issued = _issue(authority, _who(about), token=about["token"])
    made = _config(authority, issued, _server(server), (context, namespace))
    if str(path) == "-":
        click.echo(_text(made), nl=False)
    else:
        _write(path, _merged(path, made) if merge else made)
        click.echo(path)
    click.echo(f"id {issued.id}", err=True)


def _authority(state: Path) -> Authority:
    try:
        open_directory(state)
        return Authority(state, time.time)
    except (StartError, AuthorityError) as exc:
        raise click.ClickException(str(exc)) from exc


def _who(about: dict[str, Any]) -> Who:
    user, groups = about["user"], tuple(about["groups"])
    if complaint("duration", about["ttl"]):
        raise click.BadParameter("expected a duration, such as 8h or 30d", param_hint="--ttl")
    for name in (user, *groups):
        if name.startswith(SYSTEM):
            raise click.ClickException(f"`{name}`: names that begin with `{SYSTEM}` are given by the control plane")
    if not user and not groups:
        groups = (ADMINS,)
    return Who(user or _login(), groups, duration_s(about["ttl"]))


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no entry for this uid
        return f"uid-{os.geteuid()}"


def _server(url: str) -> str:
    if not url.startswith("https://") or any(char.isspace() for char in url):
        raise click.BadParameter(
            "expected https://HOST:PORT; clients send no credential without TLS", param_hint="--server"
        )
    return url.rstrip("/")


def _issue(authority: Authority, who: Who, *, token: bool) -> Issued:
    try:
        if token:
            made, token_id = LocalTokens(authority, time.time).for_user(who.user, who.groups, who.ttl_s)
            return Issued({"token": made}, token_id)
        pair = authority.issue(who.user, who.groups, who.ttl_s)
    except (CertificateError, ValueError) as exc:
        raise click.ClickException(str(exc)) from exc
    encoded = {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}
    return Issued(encoded, serial_of(pair.certificate))


def _revoke(authority: Authority, credential_id: str) -> None:
    if not credential_id.isalnum() or not credential_id.isascii():
        raise click.BadParameter("expected the id that was printed with the credential", param_hint="--revoke")
    try:
        authority.deny(credential_id, f"heddle kubeconfig --revoke by {_login()}")
    except OSError as exc:
        raise click.ClickException(f"{exc.filename}: {exc.strerror}") from exc
    click.echo(f"{credential_id} is refused from the next request on", err=True)


def _config(authority: Authority, issued: Issued, server: str, named: tuple[str, str]) -> Config:
    name, namespace = named
    within = {"cluster": name, "user": name} | ({"namespace": namespace} if namespace else {})
    cluster = {"server": server, "certificate-authority-data": _base64(authority.ca_pem)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": issued.credential}],
        "contexts": [{"name": name, "context": within}],
        "current-context": name,
    }


def _merged(path: Path, made: Config) -> Config:
    """What is there, with the new entries in place of those of their names."""
    found = _read(path)
    merged = {**found, "apiVersion": "v1", "kind": "Config", "current-context": made["current-context"]}
    for section in _SECTIONS:
        there = found.get(section) or []
        if not isinstance(there, list):
            raise click.ClickException(f"{path}: `{section}` is not a list; nothing was changed")
        new = made[section]
        names = {one["name"] for one in new}
        merged[section] = [one for one in there if not (isinstance(one, dict) and one.get("name") in names)] + new
    return merged


def _read(path: Path) -> Config:
    try:
        with path.open("rb") as file:
            found = yaml.safe_load(file.read(MAX_FILE_BYTES))
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise click.ClickException(f"{path}: {exc.strerror}") from exc
    except (yaml.YAMLError, ValueError, RecursionError):
        # Not chained: the original quotes lines of the file, which holds credentials.
        raise click.ClickException(f"{path} is not YAML; nothing was changed") from None
    if found is None:
        return {}
    if not isinstance(found, dict) or found.get("kind", "Config") != "Config":
        raise click.ClickException(f"{path} is not a kubeconfig; nothing was changed")
    return found


def _write(path: Path, made: Config) -> None:
    try:
        # Where it is a link, what it leads to is replaced, and not the link.
        target = path.resolve()
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(target, _text(made).encode())
    except OSError as exc:
        raise click.ClickException(f"{path}: {exc.strerror}") from exc


def _text(made: Config) -> str:
    text: str = yaml.safe_dump(made, sort_keys=False, default_flow_style=False)
    return text


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
