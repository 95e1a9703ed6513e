"""Certificates of the local authority: how they are made, and what one that is shown proves. Pure but for the random
numbers in keys and serials.

Owns their form: ECDSA on P-256, one use each (server or client), names in `CN` and groups in `O`. A certificate is
believed only when the authority signed it directly, for clients, and its time has come and is not over.

*Source:* RFC 5280 sections 4.1.2.2, 4.2.1.3, 4.2.1.9, 4.2.1.12; Kubernetes "Authenticating", X509 client certificates.
"""

import ipaddress
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_TTL_S = 10 * 365 * 86_400
SKEW_S = 300.0
"""How much earlier than now a certificate begins, so that a clock that is a little late accepts it."""
MAX_NAME_CHARS = 64
"""Longest CN and O (RFC 5280 appendix A.1, ub-common-name and ub-organization-name)."""
MAX_GROUPS = 64
MAX_DER_BYTES = 16_384


_HOST = re.compile(r"(?=.{1,253}$)(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}\.?)+")


class CertificateError(ValueError):
    """A certificate, a request for one or a name in it is not accepted; the message says why and quotes no key."""


class Pair(NamedTuple):
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Pair(...)"


class Signer(NamedTuple):
    """What signs."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return "Signer(...)"


class Client(NamedTuple):
    """What a client's certificate proves."""

    name: str
    groups: tuple[str, ...]
    serial: str
    """Hexadecimal, in lower case."""
    not_after_s: float
    """Unix time."""


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key, unencrypted: whoever writes it sees to who can read it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """The certificate."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def make_authority(now_s: float) -> Signer:
    """A new authority, which may sign certificates of others and no further authorities."""
    key = new_key()
    serial = x509.random_serial_number()
    # A name of its own for each: clients tell two authorities apart by their names.
    name = _name([(NameOID.COMMON_NAME, f"heddle-control-plane-{serial % 16**12:012x}")])
    builder = _builder(name, key.public_key(), now_s, AUTHORITY_TTL_S).issuer_name(name).serial_number(serial)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    subject = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return Signer(builder.add_extension(subject, critical=False).sign(key, hashes.SHA256()), key)


def read_authority(pem: bytes) -> Signer:
    """The authority in a file with its key and certificate. Raises CertificateError."""
    try:
        key = serialization.load_pem_private_key(pem, None)
        certificate = x509.load_pem_x509_certificate(pem)
    except (ValueError, TypeError) as exc:
        raise CertificateError("the authority's file is damaged") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertificateError("the authority's key is not that of its certificate")
    return Signer(certificate, key)


def sign_client(signer: Signer, key: ec.EllipticCurvePublicKey, client: Client, now_s: float) -> x509.Certificate:
    """A client's certificate until `client.not_after_s`; its serial is made here. Raises CertificateError."""
    check_names(client.name, client.groups)
    subject = _name([(NameOID.COMMON_NAME, client.name), *((NameOID.ORGANIZATION_NAME, g) for g in client.groups)])
    return _sign(signer, _builder(subject, key, now_s, client.not_after_s - now_s), ExtendedKeyUsageOID.CLIENT_AUTH)


def sign_server(
    signer: Signer, key: ec.EllipticCurvePublicKey, hosts: Iterable[str], now_s: float, ttl_s: float
) -> x509.Certificate:
    """A server's certificate for host names and addresses. Raises CertificateError for what is neither."""
    builder = _builder(_name([(NameOID.COMMON_NAME, "heddle-control-plane")]), key, now_s, ttl_s)
    alternatives = x509.SubjectAlternativeName([_general(host) for host in hosts])
    return _sign(signer, builder.add_extension(alternatives, critical=False), ExtendedKeyUsageOID.SERVER_AUTH)


def read_client(signer: x509.Certificate, der: bytes, now_s: float) -> Client:
    """What a certificate that a client showed proves. Raises CertificateError."""
    try:
        if len(der) > MAX_DER_BYTES:
            raise CertificateError("the client certificate is too large")
        certificate = x509.load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(signer)
        _check_use(certificate)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    except InvalidSignature as exc:
        raise CertificateError("the client certificate is not signed by this authority") from exc
    except CertificateError:
        raise
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension) as exc:
        raise CertificateError("the client certificate is not one of this authority's") from exc
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    if not begins <= now_s < ends:
        raise CertificateError("the client certificate has expired or is not valid yet")
    if len(names) != 1:
        raise CertificateError("the client certificate must name one user")
    client = Client(_text(names[0]), tuple(map(_text, groups)), f"{certificate.serial_number:x}", ends)
    check_names(client.name, client.groups)
    return client


def read_request(pem: bytes) -> tuple[ec.EllipticCurvePublicKey, str, tuple[str, ...]]:
    """The key of a certificate request that proves its possession, and the name and groups that it asks for (empty
    where it does not). Raises CertificateError."""
    if len(pem) > MAX_DER_BYTES:
        raise CertificateError("the certificate request is too large")
    try:
        request = x509.load_pem_x509_csr(pem)
        key = request.public_key()
        valid = request.is_signature_valid
        names = [_text(one) for one in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        groups = [_text(one) for one in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    except (ValueError, TypeError) as exc:
        raise CertificateError("the certificate request cannot be read") from exc
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1) or not valid:
        raise CertificateError("the certificate request must be signed with its own key, on P-256")
    if len(names) > 1:
        raise CertificateError("the certificate request must name one user at most")
    return key, names[0] if names else "", tuple(groups)


def serial_of(pem: bytes) -> str:
    """The serial number of a certificate, in hexadecimal."""
    return f"{x509.load_pem_x509_certificate(pem).serial_number:x}"


def check_names(name: str, groups: tuple[str, ...]) -> None:
    """CertificateError unless a user can be called so."""
    if len(groups) > MAX_GROUPS:
        raise CertificateError(f"more than {MAX_GROUPS} groups")
    for one in (name, *groups):
        if not one or len(one) > MAX_NAME_CHARS or not one.isprintable() or one != one.strip():
            raise CertificateError("names of users and groups are printable text of 1 to 64 characters")


def server_hosts(pem: bytes) -> tuple[set[str], float]:
    """Whom a server's certificate is for, and until which Unix time. Raises CertificateError."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as exc:
        raise CertificateError("the server's certificate is damaged") from exc
    return {str(one.value) for one in names}, certificate.not_valid_after_utc.timestamp()


def check_issued(signer: x509.Certificate, pem: bytes) -> None:
    """CertificateError unless the authority signed the certificate."""
    try:
        x509.load_pem_x509_certificate(pem).verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature) as exc:
        raise CertificateError("the certificate is not signed by this authority") from exc


def check_host(host: str) -> None:
    """CertificateError unless it is a host name or an address."""
    _general(host)


def _check_use(certificate: x509.Certificate) -> None:
    extensions = certificate.extensions
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if list(purposes) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        raise CertificateError("the certificate is not one for clients")
    if extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
        raise CertificateError("the certificate is that of an authority")


def _sign(signer: Signer, builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier) -> x509.Certificate:
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    builder = builder.issuer_name(signer.certificate.subject).serial_number(x509.random_serial_number())
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return builder.add_extension(issuer, critical=False).sign(signer.key, hashes.SHA256())


def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey, now_s: float, ttl_s: float) -> x509.CertificateBuilder:
    if not 0 < ttl_s <= AUTHORITY_TTL_S:
        raise CertificateError("a certificate must end after it begins, and before ten years")
    now = datetime.fromtimestamp(int(now_s), UTC)
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key)
    begins, ends = now - timedelta(seconds=SKEW_S), now + timedelta(seconds=int(ttl_s))
    return builder.not_valid_before(begins).not_valid_after(ends)


def _name(attributes: list[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in attributes])
    except (ValueError, TypeError) as exc:
        raise CertificateError("a name cannot stand in a certificate") from exc


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host):
        raise CertificateError(f"`{host}` is neither a host name nor an address") from None
    return x509.DNSName(host.lower())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _text(attribute: x509.NameAttribute[str | bytes]) -> str:
    value = attribute.value
    if not isinstance(value, str):
        raise CertificateError("a name in the certificate is not text")
    return value
