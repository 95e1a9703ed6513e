"""The rules of HTTP/1.1 messages: what a head may say, how its body is framed.

Owns every decision that request smuggling turns on. It takes the fields of a head
as a tokeniser found them and refuses whatever two implementations could read differently; where the RFC
lets a recipient repair a message, this refuses it instead. It does no I/O and keeps no state between
messages; chunked bodies are `wire.chunked`, writing heads is `wire.http1_heads`.

*Source:* RFC 9112 sections 2.2, 3, 5, 6 and 9; RFC 9110 sections 5, 7 and 10.1.1.
"""

import re
from functools import lru_cache
from typing import Any, Final

Fields = list[tuple[bytes, bytes]]

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 100
MAX_TARGET_BYTES: Final = 8 * 1024

CHUNKED: Final = -1
"""Length of a body whose end is its last chunk."""
UNTIL_CLOSE: Final = -2
"""Length of an answer's body whose end is the end of the connection."""


class ProtocolError(Exception):
    """The peer broke a rule of HTTP/1.1. `status` is what a server answers; `detail` is safe to show to the peer."""

    __slots__ = ("detail", "status")

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class RequestHead:
    """A checked request head: `fields` are lower-case and end-to-end only, `length` is its framing."""

    __slots__ = (
        "by_name", "expects_continue", "fields", "keep_alive", "length", "memory", "method", "minor", "path", "query",
    )  # fmt: skip

    def __init__(self, method: str, path: str, query: str, minor: int) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.minor = minor
        self.fields: Fields = []
        self.by_name: dict[bytes, bytes] = {}
        """`fields` by name, the last one where a name is repeated."""
        self.length = 0
        """Bytes of the body, or CHUNKED."""
        self.keep_alive = minor == 1
        self.expects_continue = False
        self.memory: dict[str, Any] = {}
        """Where those who decide by the head alone keep what they decided: an equal head need not be judged again."""


class ResponseHead:
    """A checked answer head; `length` is its framing."""

    __slots__ = ("fields", "keep_alive", "keep_alive_s", "length", "status")

    def __init__(self, status: int, keep_alive: bool) -> None:
        self.status = status
        self.keep_alive = keep_alive
        self.keep_alive_s = 0
        """What the server's `keep-alive: timeout=` promised; 0 when it said nothing."""
        self.fields: Fields = []
        self.length = UNTIL_CLOSE


_METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")
}
_REFUSED_METHODS: Final = frozenset((b"CONNECT", b"TRACE"))

_HOP_BY_HOP: Final = frozenset(
    b"connection keep-alive te trailer upgrade http2-settings proxy-connection proxy-authorization"
    b" proxy-authenticate".split()
)
FRAMING_FIELDS: Final = frozenset((b"content-length", b"transfer-encoding"))
# A second one of these is how two readers come to disagree about whose request it is.
_SINGLE: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization"))
_SPECIAL: Final = _HOP_BY_HOP | FRAMING_FIELDS | _SINGLE | {b"expect"}
_DROPPED: Final = _HOP_BY_HOP | FRAMING_FIELDS | {b"expect"}
# RFC 9110 7.6.1: a sender must not list a field that is meant for all recipients. Doing so anyway
# makes an intermediary delete it, credentials and the trail of proxies included.
_END_TO_END: Final = FRAMING_FIELDS | {
    b"host",
    b"authorization",
    b"content-type",
    b"content-encoding",
    b"cookie",
    b"expect",
    b"cache-control",
    b"forwarded",
    b"x-api-key",
    b"api-key",
    b"x-goog-api-key",
    b"traceparent",
    b"tracestate",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
}

TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET: Final = re.compile(rb"[!-\"$-\[\]-~]+")
_HOST: Final = re.compile(rb"(?:[0-9A-Za-z\-._~%!$&'()*+,;=]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_VERSION: Final = re.compile(rb"HTTP/[0-9]\.[0-9]")
_KEEP_ALIVE_TIMEOUT: Final = re.compile(rb"(?:^|[,; ])timeout=([0-9]{1,5})(?:$|[,; ])", re.IGNORECASE)
_TEXT: Final = bytes((9, *range(32, 127), *range(128, 256)))
_LINE_ENDS: Final = [b"\r\n" * lines for lines in range(MAX_FIELDS + 3)]

COMMON_NAMES: Final = (
    b"accept accept-charset accept-encoding accept-language access-control-request-headers"
    b" access-control-request-method anthropic-beta anthropic-version api-key authorization b3 cache-control"
    b" connection content-encoding content-length content-type cookie date etag expect expires host http2-settings"
    b" if-none-match keep-alive last-modified location openai-organization openai-processing-ms openai-project"
    b" openai-version origin pragma proxy-authenticate proxy-authorization proxy-connection referer retry-after"
    b" sec-fetch-dest sec-fetch-mode sec-fetch-site server set-cookie strict-transport-security te tracestate"
    b" traceparent trailer transfer-encoding upgrade user-agent vary via www-authenticate x-api-key"
    b" x-b3-parentspanid x-b3-sampled x-b3-spanid x-b3-traceid x-content-type-options x-forwarded-for"
    b" x-forwarded-host x-forwarded-proto x-goog-api-client x-goog-api-key"
    b" x-ratelimit-limit-requests x-ratelimit-limit-tokens"
    b" x-ratelimit-remaining-requests x-ratelimit-remaining-tokens x-ratelimit-reset-requests"
    b" x-ratelimit-reset-tokens x-real-ip x-request-id x-stainless-arch x-stainless-async x-stainless-lang"
    b" x-stainless-os x-stainless-package-version x-stainless-read-timeout x-stainless-retry-count"
    b" x-stainless-runtime x-stainless-runtime-version x-stainless-timeout"
).split()
# Usual spellings, so that one dict lookup checks a name and lowers it.
_NAMES: Final = {spelling: name for name in COMMON_NAMES for spelling in (name, name.title())}


def check_head_bytes(head: bytes) -> None:
    """Refuse a raw head (its final empty line included) for its size or for control bytes, before it is parsed.

    Raises ProtocolError, 431 or 400. Folded lines, and CR and LF that are paired but apart, are left to the
    tokeniser, which refuses both.
    """
    if len(head) > MAX_HEAD_BYTES:
        raise ProtocolError(431, "The head of the message is larger than 64 KiB.")
    # Only CR, LF and what does not belong into a head is left; so one comparison checks them all, and counts lines.
    ends = head.translate(None, _TEXT)
    lines = len(ends) >> 1
    if lines > MAX_FIELDS + 2:
        raise ProtocolError(431, "The message has more than 100 header fields.")
    # RFC 9112 2.2: a bare CR must be an error or be replaced; a lone LF may be taken for a line end. Refuse both.
    if ends != _LINE_ENDS[lines]:
        raise ProtocolError(400, "The head contains control characters or line ends that are not CR LF.")


def check_partial_head(partial: bytes | bytearray, seen: int) -> None:
    """Refuse the beginning of a request head, of which `seen` bytes passed before, once nothing could make it right."""
    if len(partial) > MAX_HEAD_BYTES:
        raise ProtocolError(431, "The head of the message is larger than 64 KiB.")
    if partial and not (65 <= partial[0] <= 90 or partial[0] == 13):
        raise ProtocolError(400, "This is not an HTTP/1.1 request.")
    if len(partial) > MAX_TARGET_BYTES + 32 and partial.find(b"\r\n", 0, MAX_TARGET_BYTES + 32) < 0:
        raise ProtocolError(414, "The request target is longer than 8 KiB.")
    if partial.count(b"\n", seen) != partial.count(b"\r\n", max(0, seen - 1)):
        raise ProtocolError(400, "The head contains line ends that are not CR LF.")


def split_request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Method, target and version of a request line without its line end. Raises ProtocolError."""
    parts = line.split(b" ")
    if len(parts) != 3:
        # RFC 9112 3: exactly one space between the three; a lenient split is a smuggling vector (3.2, last paragraph).
        raise ProtocolError(400, "The request line is not `method target version`, separated by single spaces.")
    if len(parts[1]) > MAX_TARGET_BYTES:
        raise ProtocolError(414, "The request target is longer than 8 KiB.")
    return parts[0], parts[1], parts[2]


def check_request_head(method: bytes, target: bytes, version: bytes, fields: Fields) -> RequestHead:
    """Decide what a request is and where it ends.

    `fields` are (name, value) as sent, values without surrounding white space. Returns the head with
    lower-case names, hop-by-hop and framing fields removed. Raises ProtocolError with the status to answer.
    """
    minor = 1 if version == b"HTTP/1.1" else _check_version(version)
    name = _METHODS.get(method)
    if name is None or method in _REFUSED_METHODS:
        raise _refused_method(method)
    if len(fields) > MAX_FIELDS:
        raise ProtocolError(431, "The message has more than 100 header fields.")
    clean: Fields = []
    special: dict[bytes, bytes] = {}
    for spelling, value in fields:
        key = _NAMES.get(spelling)
        if key is None:
            key = _lower_name(spelling)
        if key in _SPECIAL:
            if key in special:
                value = _repeated(key, special[key], value)  # noqa: PLW2901
            special[key] = value
            if key in _DROPPED:
                continue
        clean.append((key, value))
    host = special.get(b"host")
    if host is None:
        raise ProtocolError(400, "The request has no Host header.")
    path, query = split_target(target, host)
    head = RequestHead(name, path, query, minor)
    head.fields = clean
    # `host` is nearly always there; only what is more than that needs a second look.
    if len(special) > 1:
        _apply_special(head, special)
    head.by_name = dict(head.fields)
    return head


def _apply_special(head: RequestHead, special: dict[bytes, bytes]) -> None:
    coding = special.get(b"transfer-encoding")
    length = special.get(b"content-length")
    if coding is not None:
        head.length = _check_request_coding(coding, length, head.minor)
    elif length is not None:
        head.length = content_length(length)
    connection = special.get(b"connection")
    if connection is not None:
        _apply_connection(head, connection)
    expectation = special.get(b"expect")
    if expectation is not None:
        if expectation.lower() != b"100-continue":
            raise ProtocolError(417, "The only expectation understood is 100-continue.")
        # RFC 9110 10.1.1: an HTTP/1.0 client's expectation must be ignored.
        head.expects_continue = head.minor == 1 and head.length != 0


def _check_request_coding(coding: bytes, length: bytes | None, minor: int) -> int:
    if length is not None:
        # RFC 9112 6.3: possibly an attempt at smuggling; ought to be handled as an error.
        raise ProtocolError(400, "The request has both Transfer-Encoding and Content-Length.")
    if minor == 0:
        # RFC 9112 6.1: framing is faulty when an HTTP/1.0 message has Transfer-Encoding.
        raise ProtocolError(400, "Transfer-Encoding is not part of HTTP/1.0.")
    if coding.lower() != b"chunked":
        status = 501 if TOKEN.fullmatch(coding) and b"chunked" not in coding.lower() else 400
        raise ProtocolError(status, "The only transfer coding understood is `chunked`, once.")
    return CHUNKED


def _apply_connection(head: RequestHead, value: bytes) -> None:
    keep_alive, named = connection_options(value)
    if keep_alive is not None:
        head.keep_alive = keep_alive
    if named:
        if not named.isdisjoint(_END_TO_END):
            raise ProtocolError(400, "The Connection header names a field that is meant for every recipient.")
        head.fields = [field for field in head.fields if field[0] not in named]


def connection_options(value: bytes) -> tuple[bool | None, frozenset[bytes]]:
    """Read a Connection field: whether it says keep-alive (None: neither), and the fields it names."""
    if value in {b"keep-alive", b"Keep-Alive"}:
        return True, frozenset()
    if value == b"close":
        return False, frozenset()
    options = {option.strip(b" \t").lower() for option in value.split(b",")} - {b""}
    if not all(TOKEN.fullmatch(option) for option in options):
        raise ProtocolError(400, "The Connection header is malformed.")
    keep_alive = False if b"close" in options else True if b"keep-alive" in options else None
    return keep_alive, frozenset(options - {b"close", b"keep-alive"})


def content_length(value: bytes) -> int:
    """The value of a canonical Content-Length; ProtocolError for signs, lists, leading zeros and absurd sizes."""
    if not value.isdigit() or len(value) > 15 or (len(value) > 1 and value[:1] == b"0"):
        raise ProtocolError(400, "Content-Length is not one plain decimal number.")
    return int(value)


def split_target(target: bytes, host: bytes) -> tuple[str, str]:
    """Path and query of a request target whose Host field was `host`. Raises ProtocolError."""
    if target[:1] == b"/":
        if not _valid_host(host):
            raise ProtocolError(400, "The Host header is not a valid host.")
        return _split_path(target) if len(target) < 256 else _split_path.__wrapped__(target)
    return _split_absolute(target, host)


def _split_absolute(target: bytes, host: bytes) -> tuple[str, str]:
    if target == b"*":
        raise ProtocolError(405, "The target `*` is not served.")
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in {b"http", b"https"}:
        raise ProtocolError(400, "The request target is neither a path nor an http URL.")
    at = min((i for i in (rest.find(b"/"), rest.find(b"?")) if i >= 0), default=len(rest))
    authority, path = rest[:at], rest[at:]
    # RFC 9112 3.2.2 lets the authority replace Host; two names for one request is what attacks are made of.
    if not _valid_host(host) or authority.lower() != host.lower():
        raise ProtocolError(400, "The authority of the request target is not the Host.")
    if path[:1] != b"/":
        path = b"/" + path
    return _split_path.__wrapped__(path)


@lru_cache(maxsize=512)
def _split_path(target: bytes) -> tuple[str, str]:
    if not _TARGET.fullmatch(target):
        raise ProtocolError(400, "The request target contains a character that is not allowed there.")
    path, _, query = target.decode("ascii").partition("?")
    return path, query


@lru_cache(maxsize=512)
def _valid_host(host: bytes) -> bool:
    return len(host) <= 255 and _HOST.fullmatch(host) is not None


def _check_version(version: bytes) -> int:
    if version == b"HTTP/1.0":
        return 0
    if _VERSION.fullmatch(version):
        raise ProtocolError(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    raise ProtocolError(400, "The request line does not end in an HTTP version.")


def _refused_method(method: bytes) -> ProtocolError:
    if method in _REFUSED_METHODS:
        return ProtocolError(405, "The method is not allowed.")
    if TOKEN.fullmatch(method):
        return ProtocolError(501, "The method is not known.")
    return ProtocolError(400, "The method is not a token.")


def _lower_name(spelling: bytes) -> bytes:
    # RFC 9112 5.1: no white space between name and colon. `_` and `-` become one in CGI-style environments.
    if not TOKEN.fullmatch(spelling) or b"_" in spelling:
        raise ProtocolError(400, "The name of a header field is not allowed.")
    return spelling.lower()


def _repeated(key: bytes, first: bytes, second: bytes) -> bytes:
    if key in _SINGLE or key == b"expect":
        raise ProtocolError(400, f"The header field {key.decode()} appears more than once.")
    return first + b", " + second


def check_response_head(method: str, status: int, version: bytes, fields: Fields) -> ResponseHead:
    """Decide what an answer to `method` is and where it ends (RFC 9112 6.3).

    Returns the head with lower-case names, hop-by-hop and framing fields removed. Raises ProtocolError
    (502) when framing is conflicting or unknown: such an answer cannot be told from the next one.
    """
    if version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        raise ProtocolError(502, "The answer is not HTTP/1.")
    head = ResponseHead(status, version == b"HTTP/1.1")
    clean = head.fields
    special: dict[bytes, bytes] = {}
    for spelling, value in fields:
        key = _NAMES.get(spelling) or spelling.lower()
        if key in _HOP_BY_HOP or key in FRAMING_FIELDS:
            special[key] = special[key] + b", " + value if key in special else value
        else:
            clean.append((key, value))
    bodiless = method == "HEAD" or status < 200 or status in {204, 304}
    _apply_response_framing(head, special, bodiless)
    if b"connection" in special:
        _apply_response_connection(head, special)
    return head


def _apply_response_framing(head: ResponseHead, special: dict[bytes, bytes], bodiless: bool) -> None:
    coding = special.get(b"transfer-encoding")
    length = special.get(b"content-length")
    if coding is not None and length is not None:
        raise ProtocolError(502, "The answer has both Transfer-Encoding and Content-Length.")
    if coding is not None and coding.lower() != b"chunked":
        raise ProtocolError(502, "The answer has a transfer coding other than chunked.")
    size = content_length(length) if length is not None else UNTIL_CLOSE
    if bodiless:
        head.length = 0
    elif coding is not None:
        if not head.keep_alive:
            raise ProtocolError(502, "The answer has Transfer-Encoding in HTTP/1.0.")
        head.length = CHUNKED
    else:
        head.length = size


def _apply_response_connection(head: ResponseHead, special: dict[bytes, bytes]) -> None:
    keep_alive, named = connection_options(special[b"connection"])
    if keep_alive is not None:
        head.keep_alive = keep_alive
    if named:
        head.fields = [field for field in head.fields if field[0] not in named or field[0] in _END_TO_END]
    promised = _KEEP_ALIVE_TIMEOUT.search(special.get(b"keep-alive", b""))
    if promised:
        head.keep_alive_s = int(promised[1])
