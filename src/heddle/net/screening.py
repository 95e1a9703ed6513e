"""Which addresses may be connected to when somebody else chose the name.

Owns the judgement on an address. Whoever asks for a URL that is not the operator's own resolves its host once, has
every address judged, and connects to one of those (`Client.origin(address=...)`): a second look-up could say otherwise.

*Source:* RFC 6890 and the IANA special-purpose address registries; OWASP, "Server-Side Request Forgery Prevention".
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

from heddle.net.address import Network, networks

Resolve = Callable[[str, int], Awaitable[list[str]]]

_TRANSITION = networks(("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"))
"""IPv6 networks whose addresses stand for IPv4 ones, private ones too."""


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, and stands for nothing else."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        elif any(parsed in network for network in _TRANSITION):
            return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def is_listed(address: str, listed: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return any(parsed in network for network in listed)
