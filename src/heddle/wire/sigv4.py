"""Signature Version 4: how requests to Amazon's services prove who sends them.

Owns the canonical form of a request, the derived key and the `authorization` field. A path is given as it is sent,
percent-encoded, and is encoded once more for the signature, as every service but S3 expects. Nothing is read from a
clock: the time is given. No representation shows a secret.

*Source:* AWS Identity and Access Management User Guide, "Create a signed AWS API request" (steps 1 to 6) and
"Elements of an AWS API request signature", as of 2026-11; AWS's published test suite `aws-sig-v4-test-suite`.
"""

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

Fields = list[tuple[bytes, bytes]]
"""Header fields: lower-case names, in order."""

_ALGORITHM = "AWS4-HMAC-SHA256"


class Signer:
    """Credentials for one service in one region; keeps the key of the day."""

    __slots__ = ("_access_key_id", "_day", "_key", "_region", "_secret", "_service", "_session_token")

    def __init__(
        self, access_key_id: str, secret_access_key: str, region: str, service: str, session_token: str = ""
    ) -> None:
        self._access_key_id = access_key_id
        self._secret = secret_access_key
        self._session_token = session_token
        self._region = region
        self._service = service
        self._day = ""
        self._key = b""

    def __repr__(self) -> str:
        return f"Signer({self._service}, {self._region})"

    def sign(self, method: str, target: bytes, fields: Fields, body: bytes, now_s: float) -> Fields:
        """`fields` with `x-amz-date`, the session token and `authorization` added; all given ones are signed.

        `target` is the request target as it is sent, `fields` must hold `host`, `now_s` is Unix time.
        """
        time = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
        added: Fields = [(b"x-amz-date", time.encode())]
        if self._session_token:
            added.append((b"x-amz-security-token", self._session_token.encode()))
        complete = [*fields, *added]
        request, signed_names = canonical_request(method, target, complete, sha256(body).hexdigest())
        scope = f"{time[:8]}/{self._region}/{self._service}/aws4_request"
        to_sign = f"{_ALGORITHM}\n{time}\n{scope}\n{sha256(request).hexdigest()}"
        signature = hmac.digest(self._key_of(time[:8]), to_sign.encode(), "sha256").hex()
        credential = f"Credential={self._access_key_id}/{scope}"
        value = f"{_ALGORITHM} {credential}, SignedHeaders={signed_names}, Signature={signature}"
        return [*complete, (b"authorization", value.encode())]

    def _key_of(self, day: str) -> bytes:
        if self._day != day:
            key = b"AWS4" + self._secret.encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._key = day, key
        return self._key


def canonical_request(method: str, target: bytes, fields: Fields, body_sha256: str) -> tuple[bytes, str]:
    """What is hashed to be signed, and the names of the signed fields as `authorization` lists them."""
    path, _, query = target.decode("utf-8").partition("?")
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name.decode("ascii"), []).append(" ".join(value.decode("utf-8").split()))
    names = sorted(values)
    lines = "".join([f"{name}:{','.join(values[name])}\n" for name in names])
    signed_names = ";".join(names)
    text = f"{method}\n{_canonical_path(path)}\n{_canonical_query(query)}\n{lines}\n{signed_names}\n{body_sha256}"
    return text.encode("utf-8"), signed_names


def _canonical_path(path: str) -> str:
    """RFC 3986 section 5.2.4 without dot segments and empty ones, then each segment encoded once more."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(quote(segment, safe="-_.~"))
    last = path.rpartition("/")[2]
    return f"/{'/'.join(kept)}{'/' if kept and last in ('', '.', '..') else ''}"


def _canonical_query(query: str) -> str:
    """Sorted by name, then by value; it is encoded already. What cannot be in a query as it is sent is encoded."""
    pairs = sorted(quote(pair, safe="-_.~%=+").partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join([f"{name}={value}" for name, value in pairs])
