"""Asking a running mesh: its admin listener, with the credential of this user.

Owns where the token is found and how failures are told. The token is read from the state directory for each request
and is never an argument, which every user of the machine could read.
"""

import getpass
import http.client
import json
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import click

from heddle.cli.up import default_state_dir

ADMIN = click.option(
    "--admin", default="127.0.0.1:9090", show_default=True, metavar="HOST:PORT", help="The admin listener."
)
STATE = click.option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="HEDDLE_STATE",
    default=None,
    metavar="DIR",
    help="State directory of the mesh, where the admin token is. [default: ~/.local/state/heddle]",
)
_TIMEOUT_S = 60.0
"""A change of keys waits for every worker, of which one may have to be replaced first."""


class Mesh:
    """A running mesh, as the command line sees it."""

    def __init__(self, admin: str, state_dir: Path | None) -> None:
        """`admin` is HOST:PORT."""
        self._admin = admin
        self._token_file = (state_dir or default_state_dir()) / "admin.token"

    def ask(self, path: str, method: str = "GET", body: object = None) -> Any:
        """What it answers, decoded. Raises click.ClickException with what went wrong, in a sentence."""
        status, data = self._send(method, path, body)
        if status in (200, 201):
            return json.loads(data)
        detail = data.decode("utf-8", "replace")[:2000]
        with suppress(ValueError, KeyError, TypeError):
            detail = json.loads(data)["error"]["message"]
        raise click.ClickException(f"{self._admin} answered {status}: {detail}")

    def _send(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        try:
            token = self._token_file.read_text().strip()
        except OSError as exc:
            raise click.ClickException(
                f"{self._token_file}: {exc.strerror}; is the mesh running with this --state?"
            ) from exc
        host, _, port = self._admin.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()):
            message = f"expected HOST:PORT, such as 127.0.0.1:9090, got {self._admin!r}"
            raise click.BadParameter(message, param_hint="--admin")
        headers = {"authorization": f"Bearer {token}", "x-heddle-actor": _actor()}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["content-type"] = "application/json"
        try:
            with closing(http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_TIMEOUT_S)) as connection:
                connection.request(method, path, content, headers)
                response = connection.getresponse()
                return response.status, response.read()
        except (OSError, ValueError, http.client.HTTPException) as exc:
            message = f"no mesh answers at {self._admin}: {exc}; start one with `heddle up`"
            raise click.ClickException(message) from exc


def _actor() -> str:
    """Who is at the keyboard, for the audit log."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
    return name if name.isascii() and name.isprintable() else "unknown"
