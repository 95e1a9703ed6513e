"""Who a request is from: proven by a client certificate of the local authority, or by a bearer token.

Owns the choice between the two and what is said when neither proves anything. A request with two proofs of two users
is refused, so that nobody acts as somebody other than they think. Headers that ask to be taken for somebody else are
refused: ignored, they would make `kubectl --as=dev` run as an administrator.

*Source:* RFC 6750 section 2.1 (Bearer); RFC 9110 section 11.4; Kubernetes "Authenticating", user impersonation.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Protocol

from heddle.controlplane.access.authority import Authority, AuthorityError
from heddle.controlplane.access.caller import ANONYMOUS, AUTHENTICATED, Caller, public_path
from heddle.controlplane.access.certificates import CertificateError
from heddle.controlplane.access.failures import Failures
from heddle.wire.kube.status import ApiError, forbidden, too_many_requests, unauthorized

CACHED_CERTIFICATES = 4_096
_IMPERSONATION = "impersonate-"


class TokenRefusedError(Exception):
    """A bearer token proves nothing here; the message may be shown and quotes no part of it."""


class Tokens(Protocol):
    """Proves bearer tokens."""

    def known(self, token: bytes) -> Caller | None:
        """Who the token proved before, while that still holds."""
        ...

    async def verify(self, token: bytes) -> Caller:
        """Who it proves. Raises TokenRefusedError; ApiError 503 when that cannot be found out."""
        ...


class Authentication:
    """Proves who calls."""

    def __init__(self, authority: Authority, tokens: Tokens, now: Callable[[], float]) -> None:
        self._authority, self._tokens, self._now = authority, tokens, now
        self._proven: OrderedDict[bytes, tuple[Caller, str, float]] = OrderedDict()
        """SHA-256 of a certificate -> its caller, serial and end."""
        self._failures = Failures(now)

    async def caller(self, headers: Mapping[str, str], certificate: bytes | None, source: str, path: str) -> Caller:
        """Who a request is from. `headers` have names in lower case. Raises ApiError 401, 403, 429, 503.

        Anonymous callers are had for public paths only.
        """
        shown = self._by_certificate(certificate, source) if certificate else None
        header = headers.get("authorization")
        told = await self._by_token(header, source) if header is not None else None
        if shown is not None and told is not None and shown.name != told.name:
            raise unauthorized("Unauthorized: the client certificate and the token are of different users")
        proven = told or shown
        if proven is None:
            if public_path(path):
                return ANONYMOUS
            raise unauthorized()
        if any(name.startswith(_IMPERSONATION) for name in headers):
            who = f'User "{proven.name}" cannot impersonate: it is not supported'
            raise forbidden("", "users", headers.get("impersonate-user", ""), who)
        return proven

    def _by_certificate(self, der: bytes, source: str) -> Caller:
        digest = sha256(der).digest()
        known = self._proven.get(digest)
        try:
            if known is None or known[2] <= self._now():
                client = self._authority.proves(der)
                groups = tuple(dict.fromkeys((*client.groups, AUTHENTICATED)))
                extra = {"heddle.dev/credential": (f"certificate:{client.serial}",)}
                known = self._proven[digest] = (
                    Caller(client.name, groups, "", extra),
                    client.serial,
                    client.not_after_s,
                )
                if len(self._proven) > CACHED_CERTIFICATES:
                    self._proven.popitem(last=False)
            elif self._authority.is_denied(known[1]):
                raise CertificateError("the client certificate has been revoked")
        except CertificateError as exc:
            self._failures.add(source)
            raise unauthorized(f"Unauthorized: {exc}") from exc
        except AuthorityError as exc:
            raise ApiError(500, "InternalError", "the list of revoked credentials cannot be read") from exc
        return known[0]

    async def _by_token(self, header: str, source: str) -> Caller:
        scheme, _, credential = header.strip().partition(" ")
        token = credential.strip().encode("latin-1", "replace")
        if scheme.lower() != "bearer" or not token:
            self._failures.add(source)
            raise unauthorized("Unauthorized: only bearer tokens are accepted")
        try:
            known = self._tokens.known(token)
            if known is not None:
                return known
            # Verifying costs; whoever failed often waits. Certificates and tokens that were proven go on.
            wait_s = self._failures.wait_s(source)
            if wait_s:
                raise too_many_requests("too many failed attempts to authenticate", wait_s)
            return await self._tokens.verify(token)
        except TokenRefusedError as exc:
            self._failures.add(source)
            raise unauthorized(f"Unauthorized: {exc}") from exc
        except AuthorityError as exc:
            raise ApiError(500, "InternalError", "the list of revoked credentials cannot be read") from exc
