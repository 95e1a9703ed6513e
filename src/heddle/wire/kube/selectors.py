"""Label and field selectors: which objects a list or a watch is about.

Owns the two grammars, and their errors in the words of kube-apiserver. A selector is bounded in length and in the
number of its requirements.
*Source:* Kubernetes "Labels and Selectors", "Field Selectors"; apimachinery pkg/labels, pkg/fields.
"""

from collections.abc import Mapping
from typing import NamedTuple

import re2

from heddle.wire.kube.status import bad_request

MAX_CHARS = 16 * 1024
"""Of a selector."""
MAX_REQUIREMENTS = 512

_NAME = re2.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_DOMAIN = re2.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_SPECIAL = frozenset("=!(),><")
_OPERATORS = ("=", "==", "in", "!=", "notin", ">", "<")


class Requirement(NamedTuple):
    """One condition on labels."""

    key: str
    operator: str
    """`=`, `!=`, `in`, `notin`, `exists`, `!`, `gt`, `lt`."""
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the condition holds."""
        found = labels.get(self.key)
        match self.operator:
            case "exists":
                return found is not None
            case "!":
                return found is None
            case "!=" | "notin":
                return found is None or found not in self.values
            case "gt" | "lt":
                return _compares(found, self.operator, self.values[0])
            case _:
                return found is not None and found in self.values


class LabelSelector(NamedTuple):
    """Conditions that must all hold; none is everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        held = labels or {}
        return all(one.matches(held) for one in self.requirements)


def parse_labels(text: str) -> LabelSelector:
    """A label selector such as `a=b,c in (d,e),!f`. ApiError 400."""
    _bounded(text)
    return LabelSelector(tuple(sorted(_Parser(text).parse())))


def parse_fields(text: str) -> tuple[tuple[str, str, str], ...]:
    """A field selector as (path, `=` or `!=`, value). ApiError 400. Which paths there are is not known here."""
    _bounded(text)
    return tuple(_term(term, text) for term in _terms(text) if term)


def _bounded(text: str) -> None:
    if len(text) > MAX_CHARS:
        raise bad_request(f"the selector has {len(text)} characters; at most {MAX_CHARS} are allowed")


def _compares(found: str | None, operator: str, bound: str) -> bool:
    value = _whole(found or "")
    limit = _whole(bound)
    if value is None or limit is None:
        return False
    return value > limit if operator == "gt" else value < limit


def _whole(text: str) -> int | None:
    digits = text[1:] if text[:1] in {"-", "+"} else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        return None
    value = int(text)
    return value if -(2**63) <= value < 2**63 else None


# Labels


class _Parser:
    """A selector as requirements, by the grammar of apimachinery: words, and the signs between them."""

    def __init__(self, text: str) -> None:
        self._words = _scanned(text)
        self._at = 0

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            word = self._peek()
            if word == "":
                return found
            if word != "!" and _is_sign(word):
                raise bad_request(f"found '{word}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except ValueError as exc:
                raise bad_request(f"unable to parse requirement: {exc}") from exc
            if len(found) > MAX_REQUIREMENTS:
                raise bad_request(f"the selector has more than {MAX_REQUIREMENTS} requirements")
            word = self._next()
            if word == "":
                return found
            if word != ",":
                raise bad_request(f"found '{word}', expected: ',' or 'end of string'")
            if self._peek() != "!" and (self._peek() == "" or _is_sign(self._peek())):
                raise bad_request(f"found '{self._peek()}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        operator = "exists"
        if self._peek() == "!":
            self._next()
            operator = "!"
        key = self._next()
        if key == "" or _is_sign(key):
            raise ValueError(f"found '{key}', expected: identifier")
        _check_key(key)
        if self._peek() in {"", ","}:
            return Requirement(key, operator)
        if operator == "!":
            # `!a=b` reads as "a does not exist", and then finds what cannot follow.
            return Requirement(key, operator)
        return self._compared(key)

    def _compared(self, key: str) -> Requirement:
        sign = self._next()
        if sign not in _OPERATORS:
            raise ValueError(f"found '{sign}', expected: {', '.join(_LISTED)}")
        values = self._values() if sign in {"in", "notin"} else (self._exact(),)
        operator = {"==": "=", ">": "gt", "<": "lt"}.get(sign, sign)
        for index, value in enumerate(values):
            if operator in {"gt", "lt"} and _whole(value) is None:
                wanted = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise ValueError(f'values[{index}]: Invalid value: "{value}": {wanted}')
            _check_value(key, value, index)
        return Requirement(key, operator, values)

    def _exact(self) -> str:
        if self._peek() in {"", ","}:
            return ""
        value = self._next()
        if _is_sign(value):
            raise ValueError(f"found '{value}', expected: identifier")
        return value

    def _values(self) -> tuple[str, ...]:
        opening = self._next()
        if opening != "(":
            raise ValueError(f"found '{opening}' expected: '('")
        values: list[str] = []
        expected = True
        while True:
            word = self._next()
            if word == ")":
                return tuple(sorted({*values, *([""] if expected else [])}))
            if word == ",":
                values += [""] if expected else []
                expected = True
            elif word == "" or _is_sign(word) or not expected:
                raise ValueError(f"found '{word}', expected: ',', ')' or identifier")
            else:
                values.append(word)
                expected = False

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word


_LISTED = ("in", "notin", "=", "==", "!=", "gt", "lt")


def _is_sign(word: str) -> bool:
    return word[:1] in _SPECIAL


def _scanned(text: str) -> list[str]:
    words: list[str] = []
    word = ""
    for char in text:
        if char in " \t\r\n" or char in _SPECIAL:
            if word:
                words.append(word)
                word = ""
            if char == "=" and words and words[-1] in {"=", "!"}:
                words[-1] += char
            elif char in _SPECIAL:
                words.append(char)
        else:
            word += char
    return [*words, word] if word else words


_QUALIFIED = (
    "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' "
    "(e.g. 'example.com/MyName')"
)
_LABEL = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def check_label(key: str, value: str) -> str:
    """What is wrong with a label of an object; empty when nothing is."""
    try:
        _check_key(key)
        _check_value(key, value, 0)
    except ValueError as exc:
        return str(exc).partition('": ')[2] or str(exc)
    return ""


def _check_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    valid = len(name) <= 63 and _matches(_NAME, name)
    if slash:
        valid = valid and len(prefix) <= 253 and _matches(_DOMAIN, prefix)
    if not valid:
        raise ValueError(f'key: Invalid value: "{key}": {_QUALIFIED}')


def _check_value(key: str, value: str, index: int) -> None:
    where = f"values[{index}][{key}]"
    if len(value) > 63:
        raise ValueError(f'{where}: Invalid value: "{value}": must be no more than 63 bytes')
    if value and not _matches(_NAME, value):
        raise ValueError(f'{where}: Invalid value: "{value}": {_LABEL}')


def _matches(pattern: "re2._Regexp[str]", text: str) -> bool:
    return text.isascii() and pattern.match(text) is not None


# Fields


def _terms(text: str) -> list[str]:
    """Split at the commas that no backslash stands before."""
    terms, term, escaped = [], "", False
    for char in text:
        if char == "," and not escaped:
            terms.append(term)
            term = ""
        else:
            term += char
        escaped = char == "\\" and not escaped
    return [*terms, term]


def _term(term: str, text: str) -> tuple[str, str, str]:
    for index, char in enumerate(term):
        if char == "\\":
            break
        for sign in ("!=", "==", "="):
            if term.startswith(sign, index):
                path, value = term[:index], term[index + len(sign) :]
                return path, "!=" if sign == "!=" else "=", _unescaped(value)
    raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")


def _unescaped(value: str) -> str:
    made, escaped = "", False
    for char in value:
        if escaped:
            if char not in {"\\", ",", "="}:
                raise bad_request(f"invalid field selector: invalid escape sequence: \\{char}")
            made += char
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in {",", "="}:
            raise bad_request(f"invalid field selector: unescaped character in value: {char}")
        else:
            made += char
    if escaped:
        raise bad_request("invalid field selector: invalid escape sequence: \\")
    return made
