"""Family `network`: IP addresses.

*Source:* RFC 4291 section 2.2 (text of IPv6 addresses); RFC 6943 section 3.1.1 (only the strict form of IPv4).
"""

from ipaddress import AddressValueError, IPv6Address

from heddle.guards.charset import WORD, CharSet
from heddle.guards.recogniser import recogniser

_OCTET = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_V4 = rf"{_OCTET}(\.{_OCTET}){{3}}"


def is_ipv6(text: str) -> bool:
    """Whether it is an address, and has a digit: `a::b` is a name in several languages."""
    if not any(char.isdigit() for char in text):
        return False
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


RECOGNISERS = (
    recogniser("ipv4", _V4, before=WORD | CharSet.of("."), after=WORD),
    recogniser(
        "ipv6",
        rf"(?i)([0-9a-f]{{0,4}}:){{2,7}}([0-9a-f]{{0,4}}|{_V4})",
        before=WORD | CharSet.of(":."),
        after=WORD | CharSet.of(":"),
        valid=is_ipv6,
    ),
)
