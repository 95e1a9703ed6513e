"""TLS of the API server: the context it listens with, and its certificate, replaced before it ends.

Owns what is never negotiable: TLS 1.2 or later, no session tickets (a resumed session would outlive a revoked client),
client certificates of the local authority only. One is asked for and not required: who has none shows a token. One of
another authority ends the handshake. The context stays while its certificate changes, so open listeners go on.

*Source:* RFC 8446 sections 4.3.2, 4.4.2; RFC 9325 section 3; OpenSSL SSL_CTX_use_certificate_chain_file(3) (a context's
certificate is that of handshakes that begin after).
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable

from heddle.controlplane.access.authority import Authority, AuthorityError
from heddle.controlplane.access.certificates import CertificateError

LOOK_S = 3_600.0
"""How often the certificate's end is looked at, at least."""
RETRY_S = 60.0

_log = logging.getLogger("heddle.controlplane")


class ServerTls:
    """The server's context, kept fit to be used."""

    def __init__(self, authority: Authority, hosts: Iterable[str], now: Callable[[], float]) -> None:
        """`hosts` are names and addresses besides this machine's own. Raises AuthorityError, CertificateError."""
        self._authority, self._hosts, self._now = authority, tuple(hosts), now
        self.context = _context(authority)
        """What the server listens with. Its ALPN is HTTP/1.1."""
        self._renew_at_s = 0.0
        self.renew()

    def renew(self) -> float:
        """Have a certificate that is good for a while; seconds until this is to be called again. Raises as above."""
        if self._now() >= self._renew_at_s:
            path, renew_at_s = self._authority.server_certificate(self._hosts)
            # Into a context of its own first: a half-loaded pair would end every handshake.
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
                self.context.load_cert_chain(path)
            except (OSError, ssl.SSLError) as exc:
                raise AuthorityError(f"{path} cannot be loaded") from exc
            self._renew_at_s = renew_at_s
        return min(max(self._renew_at_s - self._now(), RETRY_S), LOOK_S)

    async def keep(self) -> None:
        """Renew when it is time, until cancelled."""
        wait_s = RETRY_S
        while True:
            try:
                wait_s = self.renew()
            except (AuthorityError, CertificateError) as exc:
                _log.error("the API server's certificate could not be renewed: %s", exc)
                wait_s = RETRY_S
            await asyncio.sleep(wait_s)


def _context(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.set_alpn_protocols(["http/1.1"])
    context.load_verify_locations(cadata=authority.ca_pem.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
