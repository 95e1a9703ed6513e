"""TLS contexts for both sides.

Owns what is never negotiable: TLS 1.2 or later, verification of upstreams always on, no session tickets on
servers (a resumed session would survive the removal of the CA that its client was verified with).

*Source:* RFC 8446; RFC 9325 section 3; facts of Python's `ssl`: TLS 1.3 tickets outlive a changed trust store.
"""

import ssl

from heddle.model.snapshot import TlsSpec

HANDSHAKE_TIMEOUT_S = 5.0
SHUTDOWN_TIMEOUT_S = 1.0


def server_context(spec: TlsSpec) -> ssl.SSLContext:
    """A listener's context. Reads the files now; OSError or ssl.SSLError when they are missing or do not match."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(spec.cert_file, spec.key_file)
    if spec.client_ca_file:
        context.load_verify_locations(spec.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(ca_file: str = "") -> ssl.SSLContext:
    """A context for one upstream: the system's CAs, or only those in the PEM bundle `ca_file`."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
