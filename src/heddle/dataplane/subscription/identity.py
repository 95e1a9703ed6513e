"""What a gateway is known by: one PEM file with its key, its certificate and the authority to trust.

Owns the file (0600, whole or not at all) and the lines at its top that say, for people and for the next start, which
gateway it is and which Gateway it serves. Only the certificate counts for the control plane.

Refuses: a file that others can read, or that does not hold what it should; the message never quotes it.

*Source:* RFC 7468 (text around PEM blocks is ignored); RFC 2986 (certificate requests).
"""

import os
import re
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from heddle.wire.delta import Interest

MAX_FILE_BYTES = 256 * 1024
SERVER_NAME = "localhost"
"""What the control plane's certificate is checked for, wherever it is: its authority signs one server, whose names
always include this one, so that a gateway may reach it by any address, a balancer's included."""
_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\n?", re.DOTALL)
_HEAD = re.compile(rb"\A# gateway: (?P<name>[\x21-\x7e]{1,64})\n# serves: (?P<serves>[\x21-\x7e]{1,320})\n")


class IdentityError(Exception):
    """There is no identity to be had from this; the message says why and what to do."""


class Identity(msgspec.Struct, frozen=True):
    """Which gateway this is."""

    name: str
    interest: Interest
    path: Path
    """The file with key, certificate and authority."""
    authority: str
    """PEM."""
    ends_s: float
    """Unix time at which the certificate does."""
    begins_s: float

    def __repr__(self) -> str:
        return f"Identity({self.name!r}, {self.path})"

    def context(self) -> ssl.SSLContext:
        """TLS 1.3, as this gateway, to the control plane of its authority and to nobody else. Raises OSError."""
        context = server_context(self.authority)
        context.load_cert_chain(self.path)
        return context


def server_context(authority: str) -> ssl.SSLContext:
    """TLS 1.3 to the control plane of an authority (PEM). Raises ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=authority)
    return context


def load_identity(path: Path) -> Identity:
    """The identity in a file. Raises IdentityError."""
    try:
        content = _read_private(path)
    except OSError as exc:
        raise IdentityError(f"{path}: {exc.strerror or exc}") from exc
    head = _HEAD.match(content)
    blocks = [(match[1], match[0]) for match in _BLOCK.finditer(content)]
    certificates = [block for label, block in blocks if label == b"CERTIFICATE"]
    if head is None or len(certificates) != 2 or len(blocks) != 3:
        raise IdentityError(f"{path} is no identity of a gateway; join again")
    begins_s, ends_s = _validity(path, certificates[0])
    name, serves = head["name"].decode("ascii"), head["serves"].decode("ascii")
    return Identity(name, Interest(serves), path, certificates[1].decode("ascii"), ends_s, begins_s)


def write_identity(
    path: Path, name: str, interest: Interest, key: bytes, certificate: bytes, authority: bytes
) -> Identity:
    """Write the file, and read it back. Raises OSError, IdentityError."""
    head = f"# gateway: {name}\n# serves: {interest.gateway}\n".encode("ascii")
    write_private(path, b"".join((head, key.rstrip(), b"\n", certificate.rstrip(), b"\n", authority.rstrip(), b"\n")))
    return load_identity(path)


def new_request() -> tuple[bytes, bytes]:
    """A new key and a request to certify it, PEM; whose it is, the token or the former certificate says."""
    # 30 ms that only who joins or renews needs.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, request.public_bytes(serialization.Encoding.PEM)


def _validity(path: Path, pem: bytes) -> tuple[float, float]:
    from cryptography import x509  # noqa: PLC0415

    try:
        certificate: Any = x509.load_pem_x509_certificate(pem)
    except ValueError as exc:
        raise IdentityError(f"{path} is damaged; join again") from exc
    begins: datetime = certificate.not_valid_before_utc
    ends: datetime = certificate.not_valid_after_utc
    return begins.astimezone(UTC).timestamp(), ends.astimezone(UTC).timestamp()


def _read_private(path: Path) -> bytes:
    return read_private(path, MAX_FILE_BYTES)


def read_private(path: Path, max_bytes: int) -> bytes:
    """A file of this user's that nobody else can read. Raises OSError, also for one that others can or that is larger.

    It is opened without following a link, and without waiting for one that is no file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.geteuid():
            raise PermissionError(None, "must be a file that only its owner can read (chmod 600)", str(path))
        if found.st_size > max_bytes:
            raise OSError(None, "is larger than any that was written here", str(path))
        return file.read(max_bytes)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step, on the disk when this returns; nobody else can read it at any moment."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
