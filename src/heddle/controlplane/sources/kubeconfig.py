"""Kubeconfig files: which API server a context means, and as whom.

Owns the reading of them as kubectl does: `--kubeconfig`, `$KUBECONFIG` (several files, the first that names something
wins), `~/.kube/config`; relative paths are relative to the file. Refuses what would weaken the connection
(`insecure-skip-tls-verify`) and what it does not implement, by name, instead of leaving it out.
*Source:* client-go `clientcmd` v1 Config; Kubernetes "Accessing the API from a Pod" for in-cluster configuration.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heddle.controlplane.read import read_text
from heddle.controlplane.yamldoc import read_documents
from heddle.drivers.kube import Exec, Reach
from heddle.model.problem import Report, did_you_mean

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MAX_PEM_BYTES = 1024 * 1024
_REFUSED_CLUSTER = ("insecure-skip-tls-verify", "tls-server-name", "proxy-url")
_REFUSED_USER = ("auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra")
_EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


class KubeconfigError(ValueError):
    """A kubeconfig that cannot be used; the message names file and place, and shows no credential."""


class _Entry:
    """A section of a file: knows where it is, for messages and relative paths."""

    def __init__(self, value: Any, path: Path, what: str) -> None:
        self.value: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        self._path = path
        self._what = what

    def text(self, name: str) -> str:
        value = self.value.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(f"`{name}` must be text")
        return value

    def pem(self, name: str) -> str:
        """What stands in `NAME-data` in base64, or in the file that `NAME` names."""
        data = self.text(f"{name}-data")
        try:
            if data:
                return base64.b64decode(data, validate=True).decode("ascii")
            named = self.text(name)
            if not named:
                return ""
            with Path(self._path.parent, named).open("rb") as file:
                return file.read(_MAX_PEM_BYTES).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            raise self.wrong(f"`{name}` is not PEM") from None
        except OSError as exc:
            raise self.wrong(f"`{name}` cannot be read: {exc.strerror}") from exc

    def file(self, name: str) -> str:
        named = self.text(name)
        return str(Path(self._path.parent, named)) if named else ""

    def refuse(self, names: tuple[str, ...]) -> None:
        for name in names:
            if self.value.get(name):
                raise self.wrong(f"`{name}` is not supported")

    def wrong(self, message: str) -> KubeconfigError:
        return KubeconfigError(f"{self._path}: {self._what}: {message}")


def find_kubeconfig(environ: Mapping[str, str]) -> list[Path]:
    """The files kubectl would read."""
    named = environ.get("KUBECONFIG", "")
    if named:
        return [Path(one) for one in named.split(os.pathsep) if one]
    return [Path(environ.get("HOME", "/"), ".kube", "config")]


def read_kubeconfig(paths: list[Path], context: str = "") -> Reach:
    """The server and user of a context, the current one when none is named. Raises KubeconfigError."""
    files = [(path, _document(path)) for path in paths if len(paths) == 1 or path.exists()]
    name = context or next((str(value["current-context"]) for _, value in files if value.get("current-context")), "")
    if not name:
        raise KubeconfigError(f"{_listed(paths)}: there is no current-context; name one with --context")
    chosen = _named(files, "contexts", "context", name)
    cluster = _named(files, "clusters", "cluster", chosen.text("cluster"))
    user = _named(files, "users", "user", chosen.text("user")) if chosen.text("user") else _Entry({}, Path(), "")
    cluster.refuse(_REFUSED_CLUSTER)
    user.refuse(_REFUSED_USER)
    server = cluster.text("server").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise cluster.wrong("`server` must be a URL such as https://127.0.0.1:9443")
    return Reach(
        server=server,
        ca=cluster.pem("certificate-authority"),
        certificate=user.pem("client-certificate"),
        key=user.pem("client-key"),
        token=user.text("token") if not user.text("tokenFile") else "",
        token_file=user.file("tokenFile"),
        program=_program(user),
        namespace=chosen.text("namespace") or "default",
    )


def in_cluster(environ: Mapping[str, str], account: Path = _ACCOUNT) -> Reach:
    """The API server of the cluster that this process runs in. Raises KubeconfigError."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise KubeconfigError("this is no pod: KUBERNETES_SERVICE_HOST is not set; name a file with --kubeconfig")
    try:
        ca = (account / "ca.crt").read_text()
        space = account / "namespace"
        namespace = space.read_text().strip() if space.exists() else "default"
    except (OSError, UnicodeDecodeError) as exc:
        raise KubeconfigError(f"{account}: the service account cannot be read: {exc}") from exc
    shown = f"[{host}]" if ":" in host else host
    return Reach(server=f"https://{shown}:{port}", ca=ca, token_file=str(account / "token"), namespace=namespace)


def _document(path: Path) -> Mapping[str, Any]:
    report = Report()
    text = read_text(path, report)
    if text is None:
        raise KubeconfigError(report.problems[0].line_text())
    documents, problems = read_documents(text)
    if problems:
        raise KubeconfigError(f"{path}:{problems[0].line}: {problems[0].message}")
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise KubeconfigError(f"{path}: is not a kubeconfig")
    return documents[0].value


def _named(files: list[tuple[Path, Mapping[str, Any]]], section: str, field: str, name: str) -> _Entry:
    """The first entry of that name in any of the files."""
    known: list[str] = []
    for path, value in files:
        entries = value.get(section)
        for one in entries if isinstance(entries, list) else []:
            if isinstance(one, Mapping):
                known.append(str(one.get("name")))
                if one.get("name") == name:
                    return _Entry(one.get(field), path, f"{field} `{name}`")
    hint = did_you_mean(name, known) or (f"known: {', '.join(known[:8])}" if known else "there is none at all")
    raise KubeconfigError(f"{_listed([path for path, _ in files])}: there is no {field} `{name}` ({hint})")


def _program(user: _Entry) -> Exec | None:
    value = user.value.get("exec")
    if not value:
        return None
    section = _Entry(value, user._path, f"{user._what}: exec")
    version, arguments = section.text("apiVersion"), section.value.get("args") or []
    if version not in _EXEC_VERSIONS:
        raise section.wrong(f"`apiVersion` must be one of {', '.join(_EXEC_VERSIONS)}")
    variables = section.value.get("env") or []
    if not (isinstance(arguments, list) and isinstance(variables, list) and section.text("command")):
        raise section.wrong("expected `command` as text, `args` and `env` as lists")
    if not all(isinstance(one, Mapping) for one in variables):
        raise section.wrong("`env` must be a list of name and value")
    return Exec(
        command=(section.text("command"), *map(str, arguments)),
        api_version=version,
        environment=tuple((str(one.get("name")), str(one.get("value", ""))) for one in variables),
        folder=str(user._path.parent),
        hint=section.text("installHint").strip()[:300],
    )


def _listed(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))
