"""The local certificate authority: its key, the server's certificate, and the credentials it issues.

Owns the folder `<state>/control-plane` (0700) and what is in it (0600, but for the certificate to trust). Whoever
comes first makes each file, whole or not at all; two starts at once end with one authority. A file that others can
read, or that is damaged, is refused, never replaced: every credential would be void. It signs for clients and for this
one server; workloads' identities have an authority of their own.

*Source:* open(2) (O_EXCL, O_NOFOLLOW), link(2), rename(2); RFC 5280 section 5.3.1 is what `denied` stands in for.
"""

import contextlib
import os
import socket
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from heddle.controlplane.access import certificates
from heddle.controlplane.access.certificates import CertificateError, Client, Pair, Signer

FOLDER = "control-plane"
AUTHORITY_FILE = "authority.pem"
"""Key and certificate of the authority."""
CA_FILE = "ca.crt"
"""What clients trust; anybody may read it."""
SERVER_FILE = "server.pem"
TOKEN_KEY_FILE = "tokens.pem"  # noqa: S105
"""The key that tokens are signed with."""
DENIED_FILE = "denied"
"""Serial numbers of certificates and ids of tokens that are refused, one a line; `#` begins a comment."""
DENIED_LOOK_S = 1.0
"""How soon a change of that file holds."""

SERVER_TTL_S = 90 * 86_400.0
SERVER_RENEW_S = 30 * 86_400.0
"""How long before its end the server's certificate is replaced."""
MAX_CLIENT_TTL_S = 366 * 86_400.0
MIN_CLIENT_TTL_S = 60.0
MAX_FILE_BYTES = 1024 * 1024
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


class AuthorityError(Exception):
    """The folder or a file in it cannot be used; the message says which and what to do, and quotes nothing of it."""


class Authority:
    """The authority of one state directory. Blocks for the time of small files."""

    def __init__(self, state_dir: Path, now: Callable[[], float]) -> None:
        """Opens the authority, or makes it. `now` is Unix time in seconds. Raises AuthorityError."""
        self.folder = state_dir / FOLDER
        self._now = now
        self._denied: frozenset[str] = frozenset()
        self._denied_seen: tuple[int, int, int] | None = None
        self._denied_looked_s: float | None = None
        """When it was looked whether the list changed; None to look now."""
        try:
            open_folder(self.folder)
            made = self._or_made(AUTHORITY_FILE, self._new_authority)
            self.signer: Signer = certificates.read_authority(made)
            self.token_key = self._or_made(TOKEN_KEY_FILE, lambda: certificates.key_pem(certificates.new_key()))
            """The private key, PEM, that tokens are signed with."""
            self._publish_certificate()
        except CertificateError as exc:
            raise AuthorityError(
                f"{self.folder / AUTHORITY_FILE}: {exc}; put back a copy, or remove it: {_VOID}"
            ) from exc
        except OSError as exc:
            raise AuthorityError(f"{exc.filename or self.folder}: {exc.strerror or exc}") from exc

    @property
    def ca_pem(self) -> bytes:
        """The certificate that clients trust."""
        return certificates.certificate_pem(self.signer.certificate)

    def issue(self, name: str, groups: Iterable[str], ttl_s: float) -> Pair:
        """A client's certificate and key. Raises CertificateError.

        The caller of this decides about names: whoever can read the folder may issue any.
        """
        key = certificates.new_key()
        made = self._client(name, tuple(groups), ttl_s)
        certificate = certificates.sign_client(self.signer, key.public_key(), made, self._now())
        return Pair(certificates.certificate_pem(certificate), certificates.key_pem(key))

    def sign(self, request_pem: bytes, name: str, groups: tuple[str, ...], ttl_s: float) -> bytes:
        """A client's certificate for somebody else's key. The request may name nobody else. Raises CertificateError."""
        key, asked, asked_groups = certificates.read_request(request_pem)
        if (asked and asked != name) or not set(asked_groups) <= set(groups):
            raise CertificateError("the certificate request names another user or other groups")
        certificate = certificates.sign_client(self.signer, key, self._client(name, groups, ttl_s), self._now())
        return certificates.certificate_pem(certificate)

    def proves(self, der: bytes) -> Client:
        """Who a certificate that was shown on a connection proves. Raises CertificateError, AuthorityError."""
        client = certificates.read_client(self.signer.certificate, der, self._now())
        if self.is_denied(client.serial):
            raise CertificateError("the client certificate has been revoked")
        return client

    def is_denied(self, serial: str) -> bool:
        """Whether a certificate's serial number, or a token's id, is on the list, as it was within `DENIED_LOOK_S`.
        Raises AuthorityError when there is a list that cannot be read: nobody is let in then."""
        now_s, looked_s = self._now(), self._denied_looked_s
        if looked_s is None or not 0 <= now_s - looked_s < DENIED_LOOK_S:
            self._look_at_denied()
            self._denied_looked_s = now_s
        return serial.lower() in self._denied

    def _look_at_denied(self) -> None:
        path = self.folder / DENIED_FILE
        self._denied_looked_s = None
        try:
            found = path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._denied_seen:
                lines = path.read_text("ascii").splitlines()
                self._denied = frozenset(line.partition("#")[0].strip().lower() for line in lines) - {""}
                self._denied_seen = seen
        except FileNotFoundError:
            self._denied, self._denied_seen = frozenset(), None
        except (OSError, ValueError) as exc:
            raise AuthorityError(f"{path} cannot be read") from exc

    def deny(self, serial: str, why: str = "") -> None:
        """Refuse a certificate or token, from the next request on, in other processes within `DENIED_LOOK_S`.

        On the disk when this returns. Raises OSError.
        """
        comment = f"  # {' '.join(why.split())}" if why else ""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.folder / DENIED_FILE, flags, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(f"{serial.lower()}{comment}\n".encode("ascii", "replace"))
            file.flush()
            os.fsync(file.fileno())
        self._denied_looked_s = None

    def server_certificate(self, hosts: Iterable[str] = ()) -> tuple[Path, float]:
        """The file with the server's key and certificate, and the Unix time from which it is to be asked for again.

        Good for this machine's names and for `hosts`; made anew when it is not, or is near its end. Raises
        AuthorityError, CertificateError for a host that is none.
        """
        path = self.folder / SERVER_FILE
        wanted = {*LOCAL_HOSTS, *_own_names(), *(host.lower() for host in hosts)}
        ends_s = self._fitting_until(path, wanted)
        if ends_s - SERVER_RENEW_S <= self._now():
            key = certificates.new_key()
            made = certificates.sign_server(self.signer, key.public_key(), sorted(wanted), self._now(), SERVER_TTL_S)
            try:
                _write(path, certificates.key_pem(key) + certificates.certificate_pem(made), 0o600)
            except OSError as exc:
                raise AuthorityError(f"{path}: {exc.strerror or exc}") from exc
            ends_s = made.not_valid_after_utc.timestamp()
        return path, ends_s - SERVER_RENEW_S

    def _fitting_until(self, path: Path, wanted: set[str]) -> float:
        """When the present server certificate ends; 0 when there is none that fits."""
        try:
            pem = read_private(path)
            named, ends_s = certificates.server_hosts(pem)
            certificates.check_issued(self.signer.certificate, pem)
        except (FileNotFoundError, CertificateError):
            return 0.0
        except OSError as exc:
            raise AuthorityError(f"{path}: {exc.strerror or exc}") from exc
        return ends_s if wanted <= named else 0.0

    def _client(self, name: str, groups: tuple[str, ...], ttl_s: float) -> Client:
        if not MIN_CLIENT_TTL_S <= ttl_s <= MAX_CLIENT_TTL_S:
            raise CertificateError("a client certificate lives for a minute at least, and a year at most")
        return Client(name, groups, "", self._now() + ttl_s)

    def _new_authority(self) -> bytes:
        made = certificates.make_authority(self._now())
        return certificates.key_pem(made.key) + certificates.certificate_pem(made.certificate)

    def _or_made(self, name: str, make: Callable[[], bytes]) -> bytes:
        path = self.folder / name
        with contextlib.suppress(FileNotFoundError):
            return read_private(path)
        make_private(path, make())
        return read_private(path)

    def _publish_certificate(self) -> None:
        path = self.folder / CA_FILE
        with contextlib.suppress(FileNotFoundError):
            if path.read_bytes() == self.ca_pem:
                return
        _write(path, self.ca_pem, 0o644)


_VOID = "every kubeconfig and gateway certificate is void then"


def _own_names() -> set[str]:
    """The host's name, where it can stand in a certificate."""
    name = socket.gethostname().lower()
    try:
        certificates.check_host(name)
    except CertificateError:
        return set()
    return {name}


def open_folder(folder: Path) -> None:
    """Make the folder, for this user alone. Raises AuthorityError where it is another's, OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise AuthorityError(f"{folder} must be a directory of this user's")
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def read_private(path: Path) -> bytes:
    """A file that only its owner can read. Raises OSError, AuthorityError where others can."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.geteuid():
            raise AuthorityError(f"{path} must be a file that only its owner can read (chmod 600)")
        return file.read(MAX_FILE_BYTES)


def make_private(path: Path, content: bytes) -> None:
    """The file, unless there is one: it has its name only once it is whole. Raises OSError."""
    if path.exists():
        return
    fresh = _fresh(path, content, 0o600)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()
    _sync(path.parent)


def _write(path: Path, content: bytes, mode: int) -> None:
    _fresh(path, content, mode).replace(path)
    _sync(path.parent)


def _fresh(path: Path, content: bytes, mode: int) -> Path:
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return fresh


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
