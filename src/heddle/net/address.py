"""Whose address a request came from, and whether an address stays on this machine.

Owns the reading of `X-Forwarded-For`. It believes nothing that an untrusted hop wrote: the chain is walked
from the right, and the first address that is not one of our proxies is the caller.

*Source:* RFC 7239 section 8.1 (on trusting such fields); RFC 6761 section 6.3 (`localhost`).
"""

import ipaddress
from collections.abc import Iterable, Sequence

from heddle.net.message import Headers

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_HOPS = 32


def networks(cidrs: Iterable[str]) -> tuple[Network, ...]:
    """Parse CIDRs (a single address is a network of one). ValueError names the one that is wrong."""
    return tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)


def client_address(peer: str, headers: Headers, trusted: Sequence[Network]) -> str:
    """The address of the caller: `peer`, or, when that is a trusted proxy, the rightmost hop that is not one.

    A hop that is not an address ends the walk at the last proxy known to be ours.
    """
    if not trusted or not _is_trusted(_parse(peer), trusted):
        return peer
    caller = peer
    values = [value for name, value in headers if name == b"x-forwarded-for"]
    hops = b",".join(values).split(b",")
    for hop in hops[: -_MAX_HOPS - 1 : -1]:
        address = _parse_hop(hop)
        if address is None:
            break
        caller = str(address)
        if not _is_trusted(address, trusted):
            break
    return caller


def is_loopback(host: str) -> bool:
    """Whether `host` (a name or an address, brackets allowed, no port) can only be this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _parse(name)
    return address is not None and address.is_loopback


def _is_trusted(address: Address | None, trusted: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in trusted)


def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # ::ffff:10.0.0.1 is 10.0.0.1: a dual-stack socket must not change who is trusted.
    return getattr(address, "ipv4_mapped", None) or address


def _parse_hop(hop: bytes) -> Address | None:
    text = hop.strip(b" \t").decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return _parse(text)
