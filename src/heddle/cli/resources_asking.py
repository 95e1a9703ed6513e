"""Asking the resource API from the terminal: where it is, as whom, and how a refusal is told.

Owns the way to a server: that of the state directory, for which this user's own authority vouches, or any that a
kubeconfig names. Nothing of a credential is ever an argument, which every user of the machine could read.
"""

import getpass
import http.client
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import update_wrapper
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import click
import msgspec

from heddle.cli.up import default_state_dir
from heddle.controlplane.access import authority as authorities
from heddle.controlplane.access.caller import ADMINS
from heddle.controlplane.sources.kubeconfig import KubeconfigError, find_kubeconfig, read_kubeconfig
from heddle.drivers.kube import Reach
from heddle.drivers.kube.client import refusal
from heddle.drivers.kube.credentials import CredentialError, Credentials
from heddle.wire.kube.status import ApiError

DEFAULT_SERVER = "127.0.0.1:9443"
_TIMEOUT_S = 60.0
_CREDENTIAL_S = 3600.0
_MAX_ANSWER_BYTES = 256 * 1024 * 1024


class Refused(click.ClickException):
    """The server said no."""

    def __init__(self, error: ApiError, about: str = "") -> None:
        """`about` says which object or file, where the message does not."""
        super().__init__(f"{about}: {error.message}" if about else error.message)
        self.error = error


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    value: Any
    warnings: tuple[str, ...]


class Server:
    """A resource API, as the command line sees it."""

    def __init__(self, reach: Reach, namespace: str = "") -> None:
        """`namespace` is the one that was asked for. Raises click.ClickException."""
        self.namespace = namespace or reach.namespace
        self._reach = reach
        parts = urlsplit(reach.server)
        self._prefix = parts.path.rstrip("/")
        try:
            self._credentials = Credentials(reach)
            self._context = self._credentials.context()
            self._address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        except (CredentialError, ValueError) as exc:
            raise click.ClickException(str(exc)) from exc
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """What it answers. Raises ApiError for a refusal, click.ClickException when there is no answer."""
        response = self._send(method, path, query, body, headers)
        try:
            content = response.read(_MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as exc:
            raise self._unanswered(exc) from exc
        value = _decoded(content)
        if response.status >= 400:
            raise refusal(response.status, value)
        warnings = response.headers.get_all("warning") or []
        return Answer(response.status, value, tuple(_warned(one) for one in warnings))

    def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json") -> Any:
        """The decoded answer of a GET. Raises as `ask`."""
        return self.ask("GET", path, query, headers={"accept": accept}).value

    def follow(self, path: str, query: Mapping[str, str], accept: str = "application/json") -> Iterator[dict[str, Any]]:
        """Events of a watch until the server ends it. Raises as `ask`, also for an ERROR event."""
        response = self._send("GET", path, {**query, "watch": "true"}, None, {"accept": accept}, timeout_s=None)
        if response.status >= 400:
            raise refusal(response.status, _decoded(response.read(_MAX_ANSWER_BYTES)))
        try:
            for line in response:
                event = _decoded(line)
                if not isinstance(event, dict):
                    break
                if event.get("type") == "ERROR":
                    raise refusal(int(event["object"].get("code", 500)), event["object"])
                yield event
        except (OSError, http.client.HTTPException) as exc:
            raise self._unanswered(exc) from exc
        finally:
            self.close()

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        headers: Mapping[str, str] | None,
        timeout_s: float | None = _TIMEOUT_S,
    ) -> http.client.HTTPResponse:
        fields = {"user-agent": "heddle", "accept": "application/json", **(headers or {})}
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            fields.setdefault("content-type", "application/json")
        try:
            if token := self._credentials.token():
                fields["authorization"] = f"Bearer {token}"
            target = self._prefix + path + (f"?{urlencode(query)}" if query else "")
            connection = self._opened(timeout_s)
            connection.request(method, target, content, fields)
            return connection.getresponse()
        except (OSError, ValueError, http.client.HTTPException) as exc:
            self.close()
            raise self._unanswered(exc) from exc

    def _opened(self, timeout_s: float | None) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port = self._address
            if self._context is not None:
                self._connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=self._context)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
            self._connection.connect()
        self._connection.sock.settimeout(timeout_s)
        return self._connection

    def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _unanswered(self, error: Exception) -> click.ClickException:
        if isinstance(error, CredentialError):
            return click.ClickException(str(error))
        if isinstance(error, ssl.SSLCertVerificationError):
            why = f"its certificate is not trusted: {error.verify_message}"
            return click.ClickException(f"{self._reach.server}: {why}; is this the state directory it runs with?")
        why = str(getattr(error, "strerror", None) or error or type(error).__name__)
        return click.ClickException(
            f"no control plane answers at {self._reach.server}: {why}; `heddle up` starts one,"
            " --kubeconfig names another"
        )


def reached(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `server`, its first argument, from options that all have."""

    def wrapped(**options: Any) -> Any:
        places = {name: options.pop(name) for name in ("state_dir", "address", "kubeconfig", "context", "namespace")}
        with closing(Server(_reach(**places), places["namespace"] or "")) as server:
            return command(server, **options)

    update_wrapper(wrapped, command)

    def options() -> None:
        """Collects the options that all have, so that a command's own stand before them in its help."""

    for option in reversed(_OPTIONS):
        option(options)
    of_all: list[click.Parameter] = options.__click_params__  # type: ignore[attr-defined]
    wrapped.__click_params__ = [*of_all, *getattr(command, "__click_params__", ())]  # type: ignore[attr-defined]
    return wrapped


_OPTIONS = (
    click.option("-n", "--namespace", default=None, metavar="NAMESPACE", help="Namespace. [default: default]"),
    click.option(
        "--state",
        "state_dir",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="HEDDLE_STATE",
        default=None,
        metavar="DIR",
        help="State directory of the mesh. [default: ~/.local/state/heddle]",
    ),
    click.option(
        "--server",
        "address",
        envvar="HEDDLE_SERVER",
        default=DEFAULT_SERVER,
        show_default=True,
        metavar="HOST:PORT",
        help="The control plane of that mesh.",
    ),
    click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path, dir_okay=False),
        default=None,
        metavar="FILE",
        help="Ask the server that this file names instead, as kubectl would.",
    ),
    click.option("--context", default="", metavar="NAME", help="Context of the kubeconfig. [default: its current one]"),
)


def _reach(state_dir: Path | None, address: str, kubeconfig: Path | None, context: str, namespace: str | None) -> Reach:
    del namespace
    if kubeconfig is None and not context:
        return _local((state_dir or default_state_dir()).absolute(), address)
    try:
        return read_kubeconfig([kubeconfig] if kubeconfig is not None else find_kubeconfig(os.environ), context)
    except KubeconfigError as exc:
        raise click.ClickException(str(exc)) from exc


def _local(state_dir: Path, address: str) -> Reach:
    """The control plane of a state directory, as its administrator: whoever can read the directory is."""
    # As `heddle kubeconfig --server` and kubeconfigs write it.
    address = address.removeprefix("https://").removesuffix("/")
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdigit()):
        raise click.BadParameter(
            f"expected HOST:PORT, such as {DEFAULT_SERVER}, got {address!r}", param_hint="--server"
        )
    if not (state_dir / authorities.FOLDER).is_dir():
        raise click.ClickException(
            f"{state_dir} holds no control plane; start one with `heddle up`, or name another with --state or"
            " --kubeconfig"
        )
    try:
        authority = authorities.Authority(state_dir, time.time)
        pair = authority.issue(_user(), [ADMINS], _CREDENTIAL_S)
    except (authorities.AuthorityError, ValueError) as exc:
        raise click.ClickException(str(exc)) from exc
    return Reach(
        server=f"https://{address}",
        ca=authority.ca_pem.decode(),
        certificate=pair.certificate.decode(),
        key=pair.key.decode(),
    )


def _user() -> str:
    """Who is at the keyboard, for the audit log and the history."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        return "administrator"
    clean = name.isascii() and name.isprintable() and not name.startswith("system:") and len(name) <= 64
    return name if clean and name else "administrator"


def _decoded(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return content.decode("utf-8", "replace")


def _warned(header: str) -> str:
    """The text of a Warning header: `299 - "text"`."""
    text = header.partition('"')[2].rpartition('"')[0] or header
    return "".join(char for char in text.replace('\\"', '"') if char.isprintable())
