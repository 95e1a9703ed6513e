"""What CEL rules of schemas can call: the language, its strings, math, optional and binding extensions, and the
functions that Kubernetes adds to them.

Owns those functions. Addresses, ranges, URLs and quantities are texts here, checked and put into one form by the
function that makes them, so that they compare as they should; their methods take texts. Named formats, semantic
versions, two-variable macros and `indexOf` of lists are not offered: a rule that uses them does not compile.
*Source:* Kubernetes "Common Expression Language in Kubernetes", the CEL library options of 1.36; google/cel-spec.
"""

import ipaddress
import itertools
import re
from collections.abc import Callable, Sequence
from decimal import ROUND_UP, Decimal
from typing import Any
from urllib.parse import SplitResult, urlsplit

import re2
from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

MAX_TEXT = 4096
"""Characters of a URL, and of a pattern."""
MAX_FOUND = 1000
"""Matches that `findAll` gives."""
MAX_COMPARED = 1_000_000
"""Pairs of items that `sets` functions compare."""

_T = cel.Type
_S, _B, _I, _D, _F = _T.STRING, _T.BOOL, _T.INT, _T.DYN, _T.DOUBLE
_L = _T.List(_T.DYN)


def environment() -> Any:
    """The environment in which rules are compiled: `self`, `oldSelf`, and everything they may call."""
    variables = {"self": _D, "oldSelf": _D, "oldSelfKnown": _B}
    extensions = [
        ext_strings.ExtStrings(),
        ext_math.ExtMath(),
        ext_optional.ExtOptional(),
        ext_bindings.ExtBindings(),
        ext_encoders.ExtEncoders(),
    ]
    return cel.NewEnv(variables=variables, extensions=extensions, functions=_functions())


def _is(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def valid(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return valid


# URLs


def _split(text: str) -> SplitResult:
    if len(text) > MAX_TEXT or not text.isprintable() or " " in text:
        raise ValueError("not a URL")
    parts = urlsplit(text)
    _ = parts.port  # raises for one that is no number
    if not (parts.scheme or text.startswith("/")):
        raise ValueError("not an absolute URL or an absolute path")
    return parts


def _url(text: str) -> str:
    _split(text)
    return text


def _host(text: str) -> str:
    return _split(text).netloc.rpartition("@")[2]


def _port(text: str) -> str:
    port = _split(text).port
    return "" if port is None else str(port)


def _query(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in filter(None, _split(text).query.split("&")):
        name, _, value = pair.partition("=")
        found.setdefault(name, []).append(value)
    return found


# Patterns


def _pattern(pattern: str) -> Any:
    if len(pattern) > MAX_TEXT:
        raise ValueError("the pattern is too long")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as exc:
        raise ValueError(f"the pattern cannot be used: {exc}") from exc


def _find(text: str, pattern: str) -> str:
    found = _pattern(pattern).search(text)
    return "" if found is None else str(found[0])


def _find_all(text: str, pattern: str, most: int = MAX_FOUND) -> list[str]:
    made: list[str] = []
    limit = MAX_FOUND if most < 0 else min(most, MAX_FOUND)
    for found in _pattern(pattern).finditer(text):
        if len(made) >= limit:
            break
        made.append(str(found[0]))
    return made


# Addresses


def _ip(text: str) -> str:
    if "%" in text:
        raise ValueError("an address with a zone is not an IP address here")
    address = ipaddress.ip_address(text)
    if address.version == 6 and address.ipv4_mapped is not None:
        raise ValueError("an IPv4-mapped IPv6 address is not allowed")
    return str(address)


def _cidr(text: str) -> str:
    address, slash, length = text.partition("/")
    if not slash or not length.isascii() or not length.isdigit():
        raise ValueError("not an address range in CIDR notation")
    return str(ipaddress.ip_interface(f"{_ip(address)}/{length}"))


def _network(text: str) -> Any:
    return ipaddress.ip_interface(_cidr(text)).network


def _contains(text: str, other: str) -> bool:
    outer, inner = _network(text), _network(other if "/" in other else f"{other}/{_bits(other)}")
    return bool(outer.version == inner.version and inner.subnet_of(outer))


def _bits(text: str) -> int:
    return ipaddress.ip_address(_ip(text)).max_prefixlen


def _address(text: str) -> Any:
    return ipaddress.ip_address(_ip(text))


# Quantities

_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]{1,32}\.?[0-9]{0,32}|\.[0-9]{1,32}))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?"
)
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_NANO = Decimal(1).scaleb(-9)


def _decimal(text: str) -> Decimal:
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError("not a quantity")
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix in _BINARY:
        number *= 2 ** _BINARY[suffix]
    elif suffix:
        number = number.scaleb(_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:]))
    return number.quantize(_NANO, rounding=ROUND_UP) if -number.as_tuple().exponent > 9 else number  # type: ignore[operator]


def _quantity(text: str) -> str:
    return _plain(_decimal(text))


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"", "-0"} else text


def _as_integer(text: str) -> int:
    number = _decimal(text)
    if number != number.to_integral_value() or abs(number) >= 2**63:
        raise ValueError("the quantity is no 64-bit integer")
    return int(number)


def _added(one: str, other: str) -> str:
    return _plain(_decimal(one) + _decimal(other))


def _subtracted(one: str, other: str) -> str:
    return _plain(_decimal(one) - _decimal(other))


def _compared(one: str, other: str) -> int:
    first, second = _decimal(one), _decimal(other)
    return (first > second) - (first < second)


# Lists


def _is_sorted(items: Sequence[Any]) -> bool:
    values = list(items)
    return all(one <= other for one, other in itertools.pairwise(values))


def _sum(items: Sequence[Any]) -> Any:
    return sum(list(items))


def _least(items: Sequence[Any]) -> Any:
    return min(list(items))


def _most(items: Sequence[Any]) -> Any:
    return max(list(items))


def _holds_all(one: Sequence[Any], other: Sequence[Any]) -> bool:
    held, wanted = _comparable(one, other)
    return all(item in held for item in wanted)


def _holds_any(one: Sequence[Any], other: Sequence[Any]) -> bool:
    held, wanted = _comparable(one, other)
    return any(item in held for item in wanted)


def _comparable(one: Sequence[Any], other: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    if len(one) * len(other) > MAX_COMPARED:
        raise ValueError("the lists are too long to be compared as sets")
    return list(one), list(other)


def _function(name: str, *overloads: tuple[Any, list[Any], bool, Callable[..., Any]]) -> Any:
    """A function by its overloads: result, parameters, whether it is a method, and what it does."""
    made = []
    for index, (result, parameters, member, does) in enumerate(overloads):
        made.append(cel.Overload(f"{name.replace('.', '_')}_{index}_heddle", result, parameters, member, does))
    return cel.FunctionDecl(name, made)


def _functions() -> list[Any]:
    return [*_url_functions(), *_address_functions(), *_quantity_functions(), *_list_functions()]


def _url_functions() -> list[Any]:
    return [
        _function("isURL", (_B, [_S], False, _is(_url))),
        _function("url", (_S, [_S], False, _url)),
        _function("getScheme", (_S, [_S], True, lambda text: _split(text).scheme)),
        _function("getHost", (_S, [_S], True, _host)),
        _function("getHostname", (_S, [_S], True, lambda text: _split(text).hostname or "")),
        _function("getPort", (_S, [_S], True, _port)),
        _function("getEscapedPath", (_S, [_S], True, lambda text: _split(text).path)),
        _function("getQuery", (_T.Map(_S, _T.List(_S)), [_S], True, _query)),
        _function("find", (_S, [_S, _S], True, _find)),
        _function("findAll", (_T.List(_S), [_S, _S], True, _find_all), (_T.List(_S), [_S, _S, _I], True, _find_all)),
    ]


def _address_functions() -> list[Any]:
    return [
        _function("isIP", (_B, [_S], False, _is(_ip))),
        _function("ip", (_S, [_S], False, _ip), (_S, [_S], True, lambda text: _cidr(text).partition("/")[0])),
        _function("ip.isCanonical", (_B, [_S], False, lambda text: _ip(text) == text)),
        _function("family", (_I, [_S], True, lambda text: _address(text).version)),
        _function("isUnspecified", (_B, [_S], True, lambda text: _address(text).is_unspecified)),
        _function("isLoopback", (_B, [_S], True, lambda text: _address(text).is_loopback)),
        _function("isLinkLocalUnicast", (_B, [_S], True, lambda text: _address(text).is_link_local)),
        _function("isGlobalUnicast", (_B, [_S], True, lambda text: _is_global(_address(text)))),
        _function("isCIDR", (_B, [_S], False, _is(_cidr))),
        _function("cidr", (_S, [_S], False, _cidr)),
        _function("containsIP", (_B, [_S, _S], True, lambda text, other: _contains(text, _ip(other)))),
        _function("containsCIDR", (_B, [_S, _S], True, lambda text, other: _contains(text, _cidr(other)))),
        _function("masked", (_S, [_S], True, lambda text: str(_network(text)))),
        _function("prefixLength", (_I, [_S], True, lambda text: _network(text).prefixlen)),
    ]


def _is_global(address: Any) -> bool:
    apart = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not apart


def _quantity_functions() -> list[Any]:
    return [
        _function("isQuantity", (_B, [_S], False, _is(_decimal))),
        _function("quantity", (_S, [_S], False, _quantity)),
        _function("sign", (_I, [_S], True, lambda text: _compared(text, "0"))),
        _function("isInteger", (_B, [_S], True, _is(_as_integer))),
        _function("asInteger", (_I, [_S], True, _as_integer)),
        _function("asApproximateFloat", (_F, [_S], True, lambda text: float(_decimal(text)))),
        _function("add", (_S, [_S, _S], True, _added)),
        _function("sub", (_S, [_S, _S], True, _subtracted)),
        _function("compareTo", (_I, [_S, _S], True, _compared)),
        _function("isLessThan", (_B, [_S, _S], True, lambda one, other: _compared(one, other) < 0)),
        _function("isGreaterThan", (_B, [_S, _S], True, lambda one, other: _compared(one, other) > 0)),
    ]


def _list_functions() -> list[Any]:
    return [
        _function("isSorted", (_B, [_L], True, _is_sorted)),
        _function("sum", (_D, [_L], True, _sum)),
        _function("min", (_D, [_L], True, _least)),
        _function("max", (_D, [_L], True, _most)),
        _function("sets.contains", (_B, [_L, _L], False, _holds_all)),
        _function("sets.equivalent", (_B, [_L, _L], False, lambda a, b: _holds_all(a, b) and _holds_all(b, a))),
        _function("sets.intersects", (_B, [_L, _L], False, _holds_any)),
    ]
