"""What providers behind a URL have in common: their base URL, their credential's form, error bodies that may be shown.

Owns these checks, so that no provider forgets one. Pure, as providers are.
"""

from urllib.parse import urlsplit

import msgspec

MAX_FAILURE_BYTES = 64 * 1024
"""Error bodies beyond this are replaced."""


def path_prefix(base_url: str) -> str:
    """The path of a base URL, which every operation's path is appended to. Raises ValueError."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("base_url: expected http:// or https:// and a host")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("base_url: expected neither credentials nor query and fragment in it")
    if not base_url.isascii() or not base_url.isprintable() or " " in base_url:
        raise ValueError("base_url: expected printable ASCII without spaces")
    return parts.path.rstrip("/")


def check_credential(credential: bytes) -> None:
    """Raise ValueError, which does not quote it, for a credential that no header can carry."""
    if not credential.isascii() or not credential.decode().isprintable() or b" " in credential:
        raise ValueError("the credential has characters that no header can carry")


def may_show(body: bytes | None, *secrets: bytes) -> bool:
    """Whether an error body is a JSON object of a sane size that quotes none of our secrets, in any spelling."""
    if not body or len(body) > MAX_FAILURE_BYTES:
        return False
    try:
        told = msgspec.json.decode(body)
        # Written anew, what escapes hide (`sk\\u002d1`) is as plain as it is to who reads it.
        plain = msgspec.json.encode(told)
        hidden = [msgspec.json.encode(secret.decode())[1:-1] for secret in secrets if secret]
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and not any(secret in plain for secret in hidden)
