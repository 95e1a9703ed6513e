"""A Google service account's key, and the access tokens it is exchanged for.

Owns the request for a token, which carries an assertion signed with the key, and the reading of the answer. Neither the
key nor a token is ever part of an error or a repr.

*Source:* Google, "Using OAuth 2.0 for server to server applications", HTTP/REST; RFC 7523 section 2.1; RFC 7515
section 3; RFC 6749 sections 5.1 and 5.2.
"""

import base64
from urllib.parse import urlencode

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from heddle.model.provider import TokenRequest
from heddle.wire.errors import ProtocolError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105
LIFETIME_S = 3600
"""Longest that Google takes."""

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LEAST_KEY_BITS = 2048


class _Document(msgspec.Struct, gc=False):
    type: str
    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = TOKEN_URI
    project_id: str = ""


class _Granted(msgspec.Struct, gc=False):
    access_token: str
    expires_in: int | float = LIFETIME_S
    token_type: str = "Bearer"  # noqa: S105


class ServiceAccount:
    """The account of a key file. Raises ValueError, which does not quote it, for anything else."""

    __slots__ = ("_key", "_key_id", "email", "project", "token_uri")

    def __init__(self, document: bytes) -> None:
        try:
            known = msgspec.json.decode(document, type=_Document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ValueError("the credential is not the JSON of a service account's key") from None
        if known.type != "service_account":
            raise ValueError("the credential is JSON, but its type is not service_account")
        try:
            key = load_pem_private_key(known.private_key.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("the credential's private_key is not an unencrypted PEM key") from None
        if not isinstance(key, RSAPrivateKey) or key.key_size < _LEAST_KEY_BITS:
            raise ValueError(f"the credential's private_key is not an RSA key of at least {_LEAST_KEY_BITS} bits")
        self._key = key
        self._key_id = known.private_key_id
        self.email = known.client_email
        self.project = known.project_id
        self.token_uri = known.token_uri

    def __repr__(self) -> str:
        return f"ServiceAccount({self.email})"

    def token_request(self, now_s: float) -> TokenRequest:
        """What to send for a new token. `now_s` is Unix time."""
        issued = int(now_s)
        header = {"alg": "RS256", "typ": "JWT", "kid": self._key_id}
        claims = {
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": issued,
            "exp": issued + LIFETIME_S,
        }
        signed = b".".join((_part(msgspec.json.encode(header)), _part(msgspec.json.encode(claims))))
        assertion = b".".join((signed, _part(self._key.sign(signed, PKCS1v15(), SHA256()))))
        body = urlencode({"grant_type": _GRANT, "assertion": assertion.decode()}).encode()
        fields = [(b"content-type", b"application/x-www-form-urlencoded"), (b"accept", b"application/json")]
        return TokenRequest(self.token_uri, fields, body)


def read_token(body: bytes, now_s: float) -> tuple[str, float]:
    """A token and when it expires (Unix time), from the body of a 200. Raises ProtocolError, which quotes nothing."""
    try:
        granted = msgspec.json.decode(body, type=_Granted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("The token endpoint's answer is not a token.", malformed=True) from None
    token = granted.access_token
    usable = token and token.isascii() and token.isprintable() and " " not in token
    if not usable or granted.token_type.lower() != "bearer" or not 0 < granted.expires_in < 1e9:
        raise ProtocolError("The token endpoint's answer is not a bearer token that can be used.")
    return token, now_s + granted.expires_in


def _part(data: bytes) -> bytes:
    """base64url "with all trailing '=' characters omitted" (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")
