"""Texts with a form: durations, networks, addresses, URLs, patterns, times. Each is checked here and parsed here.

A check returns what was expected, or nothing when the text is right; it never raises. Parsers expect checked text.
*Source:* RFC 3339; RFC 3986; RFC 4632 and RFC 4291 section 2.3 for networks; RFC 6454 section 6.2 for origins; RFC
1123 section 2.1;
SPIFFE-ID 1.0 section 2.1 for trust domains.
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_DURATION = re.compile(r"(?:0|(?:[0-9]{1,9}(?:\.[0-9]{1,3})?(?:ms|[smhdw]))+)\Z")
_DURATION_PART = re.compile(r"([0-9.]+)(ms|[smhdw])")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?\Z")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\Z")
_SECRET_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\Z")
_PATTERN = re.compile(r"[^\s\x00-\x1f\x7f?\[\]]{1,512}\Z")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,256}\Z")
_SIZE = re.compile(r"([0-9]{1,6})(B|KiB|MiB|GiB)\Z")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_PREFIX = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_-]{0,30}[A-Za-z0-9])?)?\Z")
_SERVER_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,127}){1,8}\Z")
_TRUST_DOMAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,254}\Z")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}\Z")


def duration_s(text: str) -> float:
    """Seconds of a checked duration such as `1m30s`."""
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))


def size_bytes(text: str) -> int:
    """Bytes of a checked size such as `512MiB`; an empty one is 0."""
    found = _SIZE.match(text)
    return int(found[1]) * _BYTES[found[2]] if found is not None else 0


def is_tool_name(text: str) -> bool:
    """Whether clients take `text` for a tool's name."""
    return _TOOL_NAME.match(text) is not None


def timestamp_s(text: str) -> float:
    """Unix time of a checked timestamp; a date alone is its first moment, no zone is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def is_loopback(host: str) -> bool:
    """Whether an address, or the host of a URL, is this machine; of names only `localhost` is."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split_url(text: str) -> SplitResult:
    """The parts of a checked URL."""
    return urlsplit(text)


def complaint(form: str, text: str) -> str:
    """What was expected of a text of this form; empty when it is right. KeyError for an unknown form."""
    return FORMS[form](text)


def _duration(text: str) -> str:
    return "" if _DURATION.match(text) else "expected a duration with a unit, such as 500ms, 30s, 5m, 24h or 7d"


def _period(text: str) -> str:
    if _duration(text) or duration_s(text) > 0:
        return _duration(text)
    return "expected a duration above zero"


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as exc:
        return f"expected a network such as 10.0.0.0/8 or an address ({_plain(exc)})"
    return ""


def _address(text: str) -> str:
    if text == "localhost":
        return ""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return "expected an IP address such as 127.0.0.1, 0.0.0.0 or ::1, or `localhost`"
    return "" if "%" not in text else "expected an address without a zone"


def _http_url(text: str) -> str:
    expected = "expected a URL such as https://host:8443/path"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return expected
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not _printable(text):
        return expected
    if parts.username is not None or parts.password is not None:
        return "expected a URL without user or password; credentials have fields of their own"
    if parts.query or parts.fragment:
        return "expected a URL without query and fragment"
    return "" if _host_ok(parts.hostname) else expected


def _endpoint(text: str) -> str:
    if "://" in text:
        return _http_url(text)
    parsed = _http_url(f"http://{text}")
    if parsed or "/" in text or urlsplit(f"http://{text}").port is None:
        return "expected host:port or a URL"
    return ""


def _redis(text: str) -> str:
    expected = "expected an address such as redis://host:6379/0, or rediss:// with TLS"
    scheme, _, rest = text.partition("://")
    path = urlsplit(f"http://{rest}").path if scheme in ("redis", "rediss") else "?"
    if _http_url(f"http://{rest}") == "" and re.fullmatch("(?:/[0-9]{0,4})?", path):
        return ""
    return f"{expected}; credentials have fields of their own" if "@" in rest else expected


def _origin(text: str) -> str:
    expected = "expected an origin such as https://app.example.com or http://localhost:3000"
    wrong = _http_url(text)
    return expected if wrong or urlsplit(text).path else ""


def _hostname(text: str) -> str:
    return "" if _host_ok(text) else "expected a host name without scheme and port"


def _host_ok(host: str) -> bool:
    if _HOST.match(host):
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _pattern(text: str) -> str:
    return (
        ""
        if _PATTERN.match(text)
        else "expected a name or a pattern in which `*` stands for anything, without spaces, `?` and brackets"
    )


def _name(text: str) -> str:
    return "" if _NAME.match(text) else "expected a name of letters, digits, `.`, `_` and `-`"


def _secret_name(text: str) -> str:
    return "" if _SECRET_NAME.match(text) else "expected a secret's name of lower-case letters, digits, `.` and `-`"


def _trust_domain(text: str) -> str:
    return (
        "" if _TRUST_DOMAIN.match(text) else "expected a trust domain of lower-case letters, digits, `.`, `_` and `-`"
    )


def _size(text: str) -> str:
    return "" if size_bytes(text) else "expected a size above zero, such as 512MiB or 2GiB"


def _tool_name(text: str) -> str:
    # What clients accept as a name: stricter than MCP, which allows dots and 128 characters.
    return "" if is_tool_name(text) else "expected a tool's name of 1 to 64 letters, digits, `_` and `-`"


def _prefix(text: str) -> str:
    return (
        "" if _PREFIX.match(text) else "expected a prefix of at most 32 letters, digits, `_` and `-`, or an empty one"
    )


def _server_path(text: str) -> str:
    return "" if _SERVER_PATH.match(text) else "expected a path such as /mcp/NAME, without a slash at the end"


def _identity(text: str) -> str:
    return "" if 0 < len(text) <= 256 and _printable(text) else "expected 1 to 256 printable characters"


def _segment(text: str) -> str:
    good = _SEGMENT.match(text) and text not in (".", "..")
    return "" if good else "expected letters, digits, `.`, `_` and `-`, because it is part of a SPIFFE id"


def _sha256(text: str) -> str:
    return "" if _SHA256.match(text) else "expected 64 hexadecimal digits (`printf %s KEY | sha256sum`)"


def _timestamp(text: str) -> str:
    try:
        timestamp_s(text)
    except (ValueError, OverflowError):
        return "expected a time such as 2027-01-31T00:00:00Z (RFC 3339) or 2027-01-31"
    return ""


def _file(text: str) -> str:
    return "" if text and _printable(text) else "expected the path of a file"


def _printable(text: str) -> bool:
    return text.isprintable() and text == text.strip()


def _plain(exc: ValueError) -> str:
    return str(exc).replace("'", "`")


FORMS: dict[str, Callable[[str], str]] = {
    "duration": _duration,
    "period": _period,
    "network": _network,
    "address": _address,
    "url": _http_url,
    "endpoint": _endpoint,
    "redis": _redis,
    "origin": _origin,
    "hostname": _hostname,
    "pattern": _pattern,
    "trust_domain": _trust_domain,
    "name": _name,
    "size": _size,
    "tool_name": _tool_name,
    "prefix": _prefix,
    "server_path": _server_path,
    "secret_name": _secret_name,
    "identity": _identity,
    "segment": _segment,
    "sha256": _sha256,
    "timestamp": _timestamp,
    "file": _file,
    "path": _file,
}
"""Every form a field may declare (`Meta(extra={"form": ...})`)."""
