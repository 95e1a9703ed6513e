"""How a client proves who it is: bearer tokens, certificates, programs that print either.

Owns when a credential is fetched anew, and that none is sent to a server without TLS. No message shows one.
*Source:* Kubernetes "Authenticating", client-go credential plugins (`client.authentication.k8s.io/v1`).
"""

import os
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from heddle.drivers.kube import Exec, Reach

EXEC_TIMEOUT_S = 60.0
EARLY_S = 10.0
"""How long before its end a printed credential is fetched anew."""
_MAX_PRINTED_BYTES = 1024 * 1024


class CredentialError(ConnectionError):
    """There is no credential to be had; the message says why, and shows none."""


class _Status(msgspec.Struct, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: str = ""


class _Printed(msgspec.Struct, rename="camel"):
    kind: str
    api_version: str
    status: _Status | None = None


class Credentials:
    """The credential of one client."""

    def __init__(self, reach: Reach, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix seconds. Raises CredentialError for a server that must not be sent one."""
        self.reach = reach
        self._clock = clock
        self._printed: _Status | None = None
        self._until_s = 0.0
        parts = urlsplit(reach.server)
        self.secure = parts.scheme == "https"
        if not self.secure and (reach.token or reach.token_file or reach.program or reach.certificate):
            raise CredentialError(f"{reach.server}: credentials are sent by https only")

    def token(self) -> str:
        """The bearer token; empty when a certificate is shown instead. May run a program. Raises CredentialError."""
        reach = self.reach
        if reach.token_file:
            try:
                return _field(Path(reach.token_file).read_text().strip(), reach.token_file)
            except (OSError, UnicodeDecodeError) as exc:
                why = exc.strerror if isinstance(exc, OSError) else "is not text"
                raise CredentialError(f"token file {reach.token_file}: {why}") from exc
        if reach.token or reach.program is None:
            return _field(reach.token, "the kubeconfig")
        return _field(self._fetched(reach.program).token, reach.program.command[0])

    def context(self) -> ssl.SSLContext | None:
        """TLS towards the server, None without; verified always. Raises CredentialError."""
        if not self.secure:
            return None
        reach, certificate, key = self.reach, self.reach.certificate, self.reach.key
        if reach.program is not None and not certificate:
            printed = self._fetched(reach.program)
            certificate, key = printed.client_certificate_data, printed.client_key_data
        try:
            context = ssl.create_default_context(cadata=reach.ca or None)
            if certificate:
                _load(context, certificate, key)
        except (ssl.SSLError, OSError, ValueError) as exc:
            raise CredentialError(f"{reach.server}: its CA, or the client's certificate or key, is unusable") from exc
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        return context

    def forget(self) -> None:
        """The server refused what a program printed: ask it again next time."""
        self._printed = None

    def _fetched(self, program: Exec) -> _Status:
        if self._printed is None or self._clock() > self._until_s - EARLY_S:
            self._printed = _run(program)
            stamp = self._printed.expiration_timestamp
            self._until_s = datetime.fromisoformat(stamp).timestamp() if stamp else float("inf")
        return self._printed


def _field(token: str, where: str) -> str:
    if not (token.isascii() and token.isprintable()):
        raise CredentialError(f"the token of {where} cannot be one: it is not printable ASCII")
    return token


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """`load_cert_chain` reads files only: one that is ours alone, for as long as that takes."""
    with tempfile.TemporaryDirectory(prefix="heddle-") as folder:
        path = Path(folder, "client.pem")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{certificate}\n{key}\n")
        context.load_cert_chain(path)


def _run(program: Exec) -> _Status:
    """What a credential plug-in prints. Raises CredentialError."""
    name = program.command[0]
    asked = {"kind": "ExecCredential", "apiVersion": program.api_version, "spec": {"interactive": False}}
    environment = {**os.environ, **dict(program.environment)}
    environment["KUBERNETES_EXEC_INFO"] = msgspec.json.encode(asked).decode()
    first = str(Path(program.folder, name)) if "/" in name else name
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own kubeconfig names it; no shell reads it
            [first, *program.command[1:]],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=EXEC_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as exc:
        raise CredentialError(f"credential program {name} was not found{_hinted(program)}") from exc
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise CredentialError(f"credential program {name} did not end well: {type(exc).__name__}") from exc
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise CredentialError(f"credential program {name} ended with {done.returncode}: {said}")
    return _read(done.stdout, program)


def _hinted(program: Exec) -> str:
    return f"; {program.hint}" if program.hint else ""


def _read(printed: bytes, program: Exec) -> _Status:
    name = program.command[0]
    try:
        # Not chained: the original may quote what was printed.
        found = msgspec.json.decode(printed[:_MAX_PRINTED_BYTES], type=_Printed)
        if found.status is not None and found.status.expiration_timestamp:
            datetime.fromisoformat(found.status.expiration_timestamp)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        raise CredentialError(f"credential program {name} printed no ExecCredential") from None
    if found.kind != "ExecCredential" or found.api_version != program.api_version:
        raise CredentialError(f"credential program {name} printed {found.kind} of {found.api_version}") from None
    if found.status is None or not (found.status.token or found.status.client_certificate_data):
        raise CredentialError(f"credential program {name} printed neither a token nor a certificate")
    return found.status
