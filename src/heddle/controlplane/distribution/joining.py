"""How a process becomes a gateway: a token, which is good once and for a while, buys a certificate.

Owns the tokens and what a gateway's certificate says: its name as `system:gateway:<name>`, and among its groups the
one Gateway it may follow. A token names both, so that what a stranger asks for counts for nothing; its form is that of
a sealed value, and the digest of the authority behind it, by which the one who joins knows whom it talks to. Used
tokens are remembered on the disk until they would have ended.

*Source:* RFC 2986 (certificate requests); the sealed value is `controlplane.store.sealing`.
"""

import base64
import hashlib
import hmac
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from heddle.controlplane.access.authority import FOLDER, Authority
from heddle.controlplane.access.caller import GATEWAY, GATEWAYS
from heddle.controlplane.access.certificates import CertificateError
from heddle.controlplane.store.sealing import KeyedSeal
from heddle.wire.delta import Interest, Join, Joined

CERTIFICATE_TTL_S = 30 * 86_400.0
"""A gateway renews at half of it; so long may the control plane be away before a gateway cannot come back."""
TOKEN_TTL_S = 3_600.0
MAX_TOKEN_TTL_S = 7 * 86_400.0
MAX_NAME_CHARS = 49
"""What `system:gateway:` leaves of a common name's 64."""
USED_FILE = "joined"
_PURPOSE = b"heddle gateway joins"
_NO_TOKEN = "the token is not one of this control plane, or has ended"  # noqa: S105
_GROUP = GATEWAYS + ":"


class JoinError(Exception):
    """This token makes nobody a gateway; the message says no more than its holder may know."""


class Grant(msgspec.Struct, frozen=True):
    """What a token is good for."""

    name: str
    interest: Interest
    ends_s: float
    """Unix time."""


class Gateway(NamedTuple):
    """Who a certificate proves a peer to be."""

    name: str
    groups: tuple[str, ...]
    serial: str


def group_of(gateway: str) -> str:
    """The group of those who may follow a Gateway (`namespace/name`, or `*` for all)."""
    group = _GROUP + gateway
    # Groups are at most 64 characters, names of Kubernetes' more.
    return group if len(group) <= 64 else f"{_GROUP}#{hashlib.sha256(gateway.encode()).hexdigest()[:40]}"


def may_follow(gateway: Gateway, interest: Interest) -> bool:
    """Whether it may be sent what this Gateway needs."""
    return group_of(interest.gateway) in gateway.groups


def user_of(name: str) -> str:
    """What a gateway is called in certificates. Raises ValueError for what cannot be a gateway's name."""
    plain = name.replace("-", "").replace(".", "")
    if not name or len(name) > MAX_NAME_CHARS or not plain.isalnum() or not name.isascii() or name != name.lower():
        raise ValueError(f"a gateway's name is 1 to {MAX_NAME_CHARS} lower-case letters, digits, dots and dashes")
    return GATEWAY + name


class Joining:
    """Makes tokens, and takes them for certificates."""

    def __init__(self, state_dir: Path, authority: Authority, now: Callable[[], float] = time.time) -> None:
        self._authority = authority
        self._now = now
        self._used = state_dir / FOLDER / USED_FILE
        # Of the tokens' key, so that what one replica gives is good at all of them.
        self._seal = KeyedSeal([hmac.digest(authority.token_key, _PURPOSE, "sha256").hex()])

    def proven(self, der: bytes) -> Gateway:
        """Whom a certificate that was shown proves. Raises JoinError when it is no gateway's."""
        try:
            client = self._authority.proves(der)
        except CertificateError as exc:
            raise JoinError(str(exc)) from exc
        if not client.name.startswith(GATEWAY) or GATEWAYS not in client.groups:
            raise JoinError("the certificate is not one of a gateway")
        return Gateway(client.name.removeprefix(GATEWAY), client.groups, client.serial)

    def token(self, name: str, interest: Interest, ttl_s: float = TOKEN_TTL_S) -> str:
        """A token for one process to become the gateway `name`. Raises ValueError, OSError."""
        user_of(name)
        if not 0 < ttl_s <= MAX_TOKEN_TTL_S:
            raise ValueError("a token is good for a week at most")
        grant = Grant(name, interest, self._now() + ttl_s)
        sealed = self._seal.seal(msgspec.msgpack.encode(grant), _PURPOSE)
        return f"{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}.{self.fingerprint}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the authority's certificate, as it stands in tokens."""
        return hashlib.sha256(self._authority.ca_pem).hexdigest()

    @property
    def bundle(self) -> bytes:
        """The authority's certificate, PEM."""
        return self._authority.ca_pem

    def join(self, message: Join) -> Joined:
        """A certificate for a token. Raises JoinError; OSError when the use cannot be written down: then it is none."""
        sealed = message.token.partition(".")[0]
        try:
            token = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            grant = msgspec.msgpack.decode(self._seal.open(token, _PURPOSE), type=Grant)
        except (ValueError, msgspec.DecodeError):
            raise JoinError(_NO_TOKEN) from None
        if grant.ends_s <= self._now():
            raise JoinError(_NO_TOKEN)
        joined = self._certificate(message.request, grant.name, grant.interest)
        # Last: a request that cannot be signed does not use up the token.
        # Of what it decodes to: the same can be spelt in several ways.
        self._use(hashlib.sha256(token).hexdigest(), grant.ends_s)
        return joined

    def renew(self, request: bytes, gateway: Gateway, interest: Interest) -> Joined:
        """Another certificate for who has one. Raises JoinError."""
        return self._certificate(request, gateway.name, interest)

    def _certificate(self, request: bytes, name: str, interest: Interest) -> Joined:
        groups = (GATEWAYS, group_of(interest.gateway))
        try:
            certificate = self._authority.sign(request, user_of(name), groups, CERTIFICATE_TTL_S)
        except CertificateError as exc:
            raise JoinError(str(exc)) from exc
        return Joined(name, certificate, self._authority.ca_pem, interest)

    def _use(self, token_id: str, ends_s: float) -> None:
        """Write down that a token was used, on the disk when this returns. Raises JoinError when it was already."""
        known = [line.split() for line in self._used.read_text().splitlines()] if self._used.exists() else []
        kept = [one for one in known if len(one) == 2 and float(one[1]) > self._now()]
        if any(one[0] == token_id for one in kept):
            raise JoinError("the token has been used")
        fresh = self._used.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.writelines(f"{one[0]} {one[1]}\n" for one in [*kept, (token_id, f"{ends_s:.0f}")])
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self._used)
