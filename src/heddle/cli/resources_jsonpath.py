"""Templates of `-o jsonpath=`, as kubectl reads them: text, `{.a.b[0]}`, `{range .items[*]}...{end}`, filters.

Owns the grammar and its errors. Small on purpose: no functions, no arithmetic, no regular expressions.
*Source:* Kubernetes, "JSONPath Support".
"""

import operator as operators
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from heddle.cli.resources_yaml import as_json

_ACTION = re.compile(r"\{((?:[^{}'\"]|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")*)\}")
_STEP = re.compile(
    r"""\.\.(?P<deep>[A-Za-z_][\w-]*|\*)
    | \.(?P<name>(?:[A-Za-z_]|\\.)(?:[\w-]|\\.)*|\*)
    | \[\s*(?P<index>-?\d{1,9})\s*\]
    | \[\s*(?P<from>-?\d{0,9})\s*:\s*(?P<to>-?\d{0,9})\s*\]
    | \[\s*\*\s*\]
    | \[\s*(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*\]
    | \[\s*\?\(\s*@(?P<at>[^=!<>)\s]*)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<value>[^)]*?))?\s*\)\s*\]""",
    re.VERBOSE,
)
MAX_RESULTS = 100_000
_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": operators.lt,
    ">": operators.gt,
    "<=": operators.le,
    ">=": operators.ge,
}


class TemplateError(ValueError):
    """A template that cannot be read; the message shows where."""


class _Part(NamedTuple):
    kind: str
    """`text`, `path`, `range`, `end`."""
    text: str


def render(template: str, value: Any) -> str:
    """A template filled in. A path that leads nowhere is empty. Raises TemplateError."""
    parts = _parts(template)
    made, at = _rendered(parts, 0, value)
    if at < len(parts):
        raise TemplateError("{end} without {range}")
    return made


def look_up(path: str, value: Any) -> list[Any]:
    """Everything that a path leads to. Raises TemplateError."""
    text = path.strip()
    text = text[1:] if text[:1] in ("$", "@") else text
    if text and text[0] not in ".[":
        text = f".{text}"
    found = [value]
    at = 0
    while at < len(text):
        if text[at:] == ".":
            break
        step = _STEP.match(text, at)
        if step is None:
            raise TemplateError(f"cannot read the path at {text[at : at + 30]!r}")
        found = list(islice((below for one in found for below in _step(step, one)), MAX_RESULTS))
        at = step.end()
    return found


def _parts(template: str) -> list[_Part]:
    parts: list[_Part] = []
    at = 0
    for found in _ACTION.finditer(template):
        parts += [_Part("text", template[at : found.start()])]
        at = found.end()
        word = found[1].strip()
        if word == "end":
            parts.append(_Part("end", ""))
        elif word.startswith("range ") or word == "range":
            parts.append(_Part("range", word[5:].strip()))
        elif word[:1] in "'\"" and word[-1:] == word[:1] and len(word) > 1:
            parts.append(_Part("text", _unquoted(word)))
        else:
            parts.append(_Part("path", word))
    rest = template[at:]
    if "{" in rest or "}" in rest:
        raise TemplateError(f"a brace is not closed at {rest[:30]!r}")
    return [*parts, _Part("text", rest)]


def _rendered(parts: list[_Part], at: int, value: Any) -> tuple[str, int]:
    """What parts make until `{end}` or the last, and the part after."""
    made: list[str] = []
    while at < len(parts):
        part = parts[at]
        at += 1
        if part.kind == "end":
            return "".join(made), at
        if part.kind == "text":
            made.append(part.text)
        elif part.kind == "path":
            made.append(" ".join(_shown(one) for one in look_up(part.text, value)))
        else:
            after = _after(parts, at)
            made += [_rendered(parts, at, item)[0] for item in look_up(part.text, value)]
            at = after
    return "".join(made), at


def _after(parts: list[_Part], at: int) -> int:
    """The part after the `{end}` of a range."""
    depth = 1
    for index in range(at, len(parts)):
        depth += {"range": 1, "end": -1}.get(parts[index].kind, 0)
        if depth == 0:
            return index + 1
    raise TemplateError("{range} without {end}")


def _step(step: re.Match[str], value: Any) -> Iterator[Any]:
    found = step.groupdict()
    if found["deep"]:
        yield from _deep(value, found["deep"])
    elif found["name"] is not None or found["quoted"] is not None:
        name = re.sub(r"\\(.)", r"\1", found["name"]) if found["name"] is not None else _unquoted(found["quoted"])
        yield from _all(value) if found["name"] == "*" else _field(value, name)
    elif found["at"] is not None:
        yield from (item for item in _all(value) if _fits(item, found))
    elif not isinstance(value, list):
        yield from _all(value) if found["index"] is None and found["from"] is None else ()
    elif found["index"] is not None:
        index = int(found["index"])
        yield from value[index : index + 1 or None]
    elif found["from"] is not None:
        yield from value[_number(found["from"]) : _number(found["to"])]
    else:
        yield from value


def _all(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()


def _field(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, dict) and name in value:
        yield value[name]


def _deep(value: Any, name: str) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        yield from _all(one) if name == "*" else _field(one, name)
        waiting += reversed([below for below in _all(one) if isinstance(below, dict | list)])


def _fits(item: Any, step: dict[str, str | None]) -> bool:
    found = look_up(str(step["at"]), item)
    if step["operator"] is None:
        return bool(found)
    wanted = _literal(str(step["value"]).strip())
    return any(_compared(one, str(step["operator"]), wanted) for one in found)


def _compared(value: Any, operator: str, wanted: Any) -> bool:
    if operator in ("==", "!="):
        return bool(value == wanted) == (operator == "==")
    try:
        return bool(_ORDER[operator](value, wanted))
    except TypeError:
        return False


def _literal(text: str) -> Any:
    if text[:1] in ("'", '"'):
        return _unquoted(text)
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise TemplateError(f"expected a quoted text, a number, true or false, got {text[:30]!r}") from None


def _number(text: str | None) -> int | None:
    return int(text) if text and text != "-" else None


def _unquoted(text: str) -> str:
    known = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda found: known.get(found[1], found[1]), text[1:-1])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else as_json(value, indent=0)
