"""Where a service is: one origin per document, and the path before an operation's own.

Owns the refusal of documents whose operations live on several origins: credentials meant for one would go to another
that the document alone chose. The address that the configuration gives stands for all of them.

*Source:* OpenAPI Specification 3.1.1 sections 4.8.5 and 4.8.6 (Server, Server Variable); RFC 3986 sections 3.1 to 3.3.
"""

import re
from typing import Any, NamedTuple

from heddle.wire.openapi.reading import field_list, field_object, field_text, object_at, place, wrong

MAX_URL_CHARS = 2_048

_URL = re.compile(
    r"(?P<origin>https?://(?:[A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?)"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*)"
)
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_VARIABLE = re.compile(r"\{([^{}]{1,64})\}")


class Place(NamedTuple):
    """Where operations are."""

    origin: str
    path: str
    """Without a slash at its end."""
    fixed: bool
    """Given by the configuration: what the document says does not count."""


def read_place(base_url: str, document: dict[str, Any]) -> Place:
    """The address that is given, or else the document's first server. Raises ProtocolError."""
    if base_url:
        origin, path = _split(base_url, "base_url")
        return Place(origin, path, fixed=True)
    url = _first(document, "")
    if url is None or url.startswith("/"):
        raise wrong("servers", "an absolute http or https address, or one given with the document")
    origin, path = _split(url, "servers[0].url")
    return Place(origin, path, fixed=False)


def path_at(known: Place, given: dict[str, Any], at: str) -> str:
    """The path before an operation's own, as `servers` of a path or an operation may change it."""
    url = None if known.fixed else _first(given, at)
    if url is None:
        return known.path
    where = f"{at}.servers[0].url"
    if _PATH.fullmatch(url) and not url.startswith("//"):
        origin, path = known.origin, _without_dots(url, where)
    else:
        origin, path = _split(url, where)
    if origin.lower() != known.origin.lower():
        raise wrong(where, f"the origin of the whole document ({known.origin}); leave this operation out")
    return path


def _first(given: dict[str, Any], at: str) -> str | None:
    servers = field_list(given, "servers", at)
    if not servers:
        return None
    where = f"{place(at, 'servers')}[0]"
    server = object_at(servers[0], where)
    url = field_text(server, "url", where)
    variables = field_object(server, "variables", where)

    def value_of(found: re.Match[str]) -> str:
        inside = f"{where}.variables.{found[1]}"
        return field_text(object_at(variables.get(found[1]), inside), "default", inside)

    if len(url) <= MAX_URL_CHARS:
        url = _VARIABLE.sub(value_of, url)
    if len(url) > MAX_URL_CHARS:
        raise wrong(f"{where}.url", f"a URL of at most {MAX_URL_CHARS} characters")
    return url


def _split(url: str, at: str) -> tuple[str, str]:
    """Origin and path. User names, queries and fragments have no place in the address of a service."""
    found = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARS else None
    if found is None or not 0 < int(found["port"] or 1) < 65_536:
        raise wrong(at, "an http or https address of host, port and path")
    return found["origin"], _without_dots(found["path"], at)


def _without_dots(path: str, at: str) -> str:
    if any(segment in (".", "..") for segment in path.lower().replace("%2e", ".").split("/")):
        raise wrong(at, "a path without `.` and `..`")
    return path.rstrip("/")
