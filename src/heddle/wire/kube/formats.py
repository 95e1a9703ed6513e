"""Formats and patterns of strings and numbers.

Owns which formats are checked, those that kube-apiserver checks and our kinds use; any other is a note. Patterns are
RE2, which has no backtracking, so that no value can make one slow.
*Source:* apiextensions.k8s.io/v1 JSONSchemaProps `format`, `pattern`; RFC 3339; go-openapi/strfmt; RE2 syntax.
"""

import base64
import binascii
import ipaddress
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import re2

MAX_PATTERN = 4096
"""Characters of a pattern."""


class SchemaError(ValueError):
    """A schema that cannot be used; says why."""


def compiled_pattern(pattern: Any) -> Callable[[str], bool]:
    """Whether a text contains a match. SchemaError for a pattern that RE2 does not know."""
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        raise SchemaError(f"a pattern is a text of at most {MAX_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(pattern, options).search
    except (re2.error, UnicodeError) as exc:
        raise SchemaError(f"pattern {pattern!r} cannot be used: {exc}") from exc

    def found_in(text: str) -> bool:
        try:
            return search(text) is not None
        except UnicodeError:
            return False

    return found_in


_TIME = compiled_pattern(r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$")
_DATE = compiled_pattern(r"^\d{4}-\d{2}-\d{2}$")
_DURATION = compiled_pattern(r"^[-+]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h|d|w)?)+$")
_UUID = compiled_pattern(r"^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$")
_HOSTNAME = compiled_pattern(r"^(?i)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\.?$")
_EMAIL = compiled_pattern(r"^[^@\s]+@[^@\s]+$")
_MAC = compiled_pattern(r"^(?i)[0-9a-f]{2}([:-][0-9a-f]{2}){5}$")


def _date_time(text: str) -> bool:
    # Every write of an object says its times again, and objects of one second say the same.
    return _known_time(text) if len(text) <= _MAX_KNOWN else _is_time(text)


def _is_time(text: str) -> bool:
    return _TIME(text) and _parses(datetime.fromisoformat, f"{text[:19]}+00:00")


_MAX_KNOWN = 40
"""Characters of a time that is remembered: one without a needless fraction has fewer."""
_known_time = lru_cache(1024)(_is_time)


def _date(text: str) -> bool:
    return _DATE(text) and _parses(datetime.fromisoformat, text)


def _base64(text: str) -> bool:
    return _parses(lambda one: base64.b64decode(one, validate=True), text)


def _uri(text: str) -> bool:
    return text.isprintable() and " " not in text and _parses(lambda one: urlsplit(one).port, text)


def _parses(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except (ValueError, binascii.Error):
        return False
    return True


def _of_text(valid: Callable[[str], bool]) -> Callable[[Any], bool]:
    return lambda value: type(value) is not str or valid(value)


def _whole(bits: int) -> Callable[[Any], bool]:
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return lambda value: type(value) is not int or least <= value <= most


FORMATS: dict[str, Callable[[Any], bool]] = {
    "int32": _whole(32),
    "int64": _whole(64),
    "date-time": _of_text(_date_time),
    "datetime": _of_text(_date_time),
    "date": _of_text(_date),
    "duration": _of_text(_DURATION),
    "byte": _of_text(_base64),
    "ipv4": _of_text(lambda text: _parses(ipaddress.IPv4Address, text)),
    "ipv6": _of_text(lambda text: _parses(ipaddress.IPv6Address, text)),
    "cidr": _of_text(lambda text: "/" in text and _parses(lambda one: ipaddress.ip_network(one, strict=False), text)),
    "uri": _of_text(_uri),
    "hostname": _of_text(lambda text: len(text) <= 253 and _HOSTNAME(text)),
    "email": _of_text(_EMAIL),
    "uuid": _of_text(_UUID),
    "mac": _of_text(_MAC),
}
"""Format -> whether a value has it; values of another type always have."""

SECRET_FORMATS = frozenset({"byte", "password"})
"""Formats of which no value is repeated."""
