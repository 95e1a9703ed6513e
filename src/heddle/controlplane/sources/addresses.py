"""Which addresses a text names, and whether one can be inside: this machine, a private network, a metadata server.

Owns the reading of hosts as every resolver might read them: decimal, octal and hexadecimal numbers, short forms, IPv6
forms of IPv4 addresses, escapes, full-width digits. It looks no name up; what a public name resolves to is judged
where it is connected to.
*Source:* WHATWG URL, "host parsing"; POSIX `inet_addr` for the short and numeric forms; RFC 6761; RFC 6762; RFC 8375.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote

from heddle.net.screening import is_public

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[/\\]{2,4}([^/\\?#\s\"'<>`]{1,1024})")
_SCHEMELESS = re.compile(r"(\[[0-9A-Fa-f:.%]{2,64}\]|[^\s/\\?#@:\[\]]{1,253}):[0-9]{1,5}\Z")
_UNIX = re.compile(r"(?:[a-z]{1,16}\+)?unix:", re.IGNORECASE)
_INSIDE = (
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "svc",
    "home.arpa",
    "cluster.local",
)
"""Ends of names that only a local network knows. `metadata.google.internal` is one of them."""


def inside(text: str) -> Iterator[str]:
    """The hosts in a text that are inside: of URLs, of `host:port`; sockets of this machine. Never a password."""
    if ":" not in text:
        return
    if _UNIX.match(text):
        yield text
    for found in _URL.finditer(text):
        if is_inside(host := _host(found[1])):
            yield host
    whole = _SCHEMELESS.match(text)
    if whole is not None and is_inside(host := whole[1].strip("[]")):
        yield host


@lru_cache(1024)
def is_inside(host: str) -> bool:
    """Whether a host, without brackets and port, can be reached only from where the gateway runs."""
    name = unicodedata.normalize("NFKC", unquote(host)).translate(_DOTS).lower().rstrip(".")
    address = _address(name)
    if address:
        return not is_public(address)
    if not name or "." not in name:
        # A name of one label is searched for in domains of the local network.
        return bool(name)
    return any(name.endswith(f".{end}") for end in _INSIDE)


_DOTS = dict.fromkeys(map(ord, "\u3002\uff0e\uff61"), ".")
"""What browsers and resolvers take for a dot (UTS 46)."""


def _host(authority: str) -> str:
    """The host of an authority: after the last `@`, without port and brackets."""
    place = authority.rpartition("@")[2]
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place if place.count(":") > 1 else place.partition(":")[0]


def _address(name: str) -> str:
    """The address that a host stands for; empty when it is a name."""
    try:
        return str(ipaddress.ip_address(name.partition("%")[0]))
    except ValueError:
        pass
    parts = name.split(".")
    if not 1 <= len(parts) <= 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return ""
    numbers = [_number(part) for part in parts]
    last = numbers.pop()
    # The last part fills the bytes that are left: 127.1 is 127.0.0.1, 2130706433 too.
    value = sum(number << 8 * (3 - index) for index, number in enumerate(numbers)) + last
    if any(number > 255 for number in numbers) or value > 0xFFFFFFFF:
        # Not an address for anybody: inside is the safe reading.
        return "0.0.0.0"  # noqa: S104 - nothing listens here
    return str(ipaddress.IPv4Address(value))


_NUMBER = re.compile(r"0x[0-9a-f]{0,16}|[0-9]{1,20}")


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    if text.startswith("0") and set(text) <= set("01234567"):
        return int(text, 8)
    return int(text)
