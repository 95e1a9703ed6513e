"""What is checked before anything is read: that a browser did not send this behind its user's back.

A listener on loopback is reachable by every page the user visits, through DNS rebinding (the page's own name,
resolved to 127.0.0.1) and through simple cross-origin requests. So there the Host must be a loopback name or a
configured one, an Origin must be loopback or configured, and bodies must be declared as JSON, which no simple
request can do. On other addresses the same checks hold as far as they are configured.
*Source:* RFC 9110 section 7.2 (Host), WHATWG Fetch section 3.2 (Origin, CORS-safelisted content types).
"""

from typing import Final
from urllib.parse import urlsplit

from heddle.model.snapshot import ListenerSpec
from heddle.net.address import is_loopback
from heddle.net.message import Headers, Reply, Request
from heddle.pipeline.errors import CallError, Reason

_PREFLIGHT_AGE_S: Final = b"600"


class Admission:
    """The checks of one listener; made once, called per request."""

    __slots__ = ("_hosts", "_local", "_origins", "_seen")

    _MAX_SEEN = 256

    def __init__(self, spec: ListenerSpec) -> None:
        self._local = is_loopback(spec.address)
        self._hosts = frozenset(name.lower() for name in spec.hostnames)
        self._origins = frozenset(spec.origins)
        self._seen: set[bytes] = set()

    def check(self, request: Request) -> bool:
        """Refuse a foreign Host (421) or Origin (403). Raises CallError. True when an allowed page sent the request."""
        fields = request.fields()
        host = fields.get(b"host", b"")
        if host not in self._seen:
            self._check_host(host)
        if b"origin" not in fields:
            return False
        if not self.allows_origin(fields[b"origin"]):
            detail = "This origin may not call the gateway; list it under the listener's `origins`."
            raise CallError(Reason.FORBIDDEN, detail)
        return True

    def _check_host(self, host: bytes) -> None:
        name = _hostname(host.decode("latin-1"))
        if self._hosts:
            accepted = name in self._hosts or (self._local and is_loopback(name))
        else:
            accepted = not self._local or is_loopback(name)
        if not accepted:
            raise CallError(
                Reason.MISDIRECTED, "This host name is not served here; list it under the listener's `hostnames`."
            )
        if len(self._seen) < self._MAX_SEEN:
            self._seen.add(host)

    def allows_origin(self, origin: bytes) -> bool:
        """Whether a browser page of this origin may call."""
        text = origin.decode("latin-1")
        if text in self._origins:
            return True
        try:
            return self._local and is_loopback(urlsplit(text).hostname or "")
        except ValueError:
            return False  # `http://[x`: no browser sends it

    def preflight(self, request: Request) -> Reply | None:
        """The answer to a CORS preflight of an allowed origin, without `cors`; None when the request is not one."""
        if request.method != "OPTIONS" or request.header(b"access-control-request-method") is None:
            return None
        return Reply(
            204,
            [
                (b"access-control-allow-methods", b"GET, POST"),
                (b"access-control-allow-headers", request.header(b"access-control-request-headers") or b"*"),
                (b"access-control-max-age", _PREFLIGHT_AGE_S),
            ],
        )

    def cors(self, request: Request) -> Headers:
        """What lets an allowed page read a reply, whatever it says; empty for callers that are not browsers.

        Browsers refuse a reply that has these fields twice, so only the door adds them.
        """
        origin = request.header(b"origin")
        if origin is None or not self.allows_origin(origin):
            return []
        return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]


def check_json(request: Request) -> None:
    """Refuse a body that is not declared as JSON (415). Raises CallError."""
    declared = request.header(b"content-type")
    if declared == b"application/json":
        return
    media = (declared or b"").split(b";", 1)[0].strip().lower()
    if media != b"application/json":
        raise CallError(
            Reason.UNSUPPORTED_MEDIA,
            "The body must be sent with `content-type: application/json`.",
            param="content-type",
        )


def check_form(request: Request) -> None:
    """Refuse a body that is no form (415), and a form that a foreign page sent (403). Raises CallError.

    Pages may send forms without asking first. Those with an `origin` were judged before; browsers that leave it out
    say so much at least.
    """
    declared = request.header(b"content-type") or b""
    if declared.split(b";", 1)[0].strip().lower() != b"multipart/form-data":
        detail = "The body must be sent with `content-type: multipart/form-data`."
        raise CallError(Reason.UNSUPPORTED_MEDIA, detail, param="content-type")
    site = request.header(b"sec-fetch-site")
    if site not in (None, b"same-origin", b"none") and request.header(b"origin") is None:
        raise CallError(Reason.FORBIDDEN, "A page may not send forms here without its origin.")


def _hostname(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].lower()
