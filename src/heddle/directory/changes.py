"""What a change of a definition means, and how people are shown it.

Owns the grades: a wider schema, or more trust claimed, is graver than words that give orders, these than a narrower
schema, and this than other words. Whatever is not known to be harmless counts as the gravest. Sees that something
changed, never whether that is right.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from heddle.directory.definitions import Definition
from heddle.directory.poisoning import instructs
from heddle.directory.schemas import Grade, Step, compare_schemas
from heddle.directory.visible import clipped, visible

Severity = Grade | Literal["none"]
GRADES: tuple[Severity, ...] = ("schema_widened", "instructions", "added", "schema_narrowed", "wording", "none")
"""The worst first."""
MAX_REASONS = 40
MAX_DIFF_LINES = 800
MAX_LINE_CHARS = 400
_TEXTS = {"description", "title", "instructions"}
_TRUST = {
    "readOnlyHint": (True, False),
    "idempotentHint": (True, False),
    "destructiveHint": (False, True),
    "openWorldHint": (False, True),
}
"""Hint -> the value that claims more trust, and the one that stands when nothing is said."""


class Change(msgspec.Struct, frozen=True):
    """How one definition differs from another."""

    severity: Severity
    reasons: tuple[str, ...] = ()
    """`inputSchema.properties.cc: a new optional parameter`, the gravest first."""


def classify(old: Definition, new: Definition) -> Change:
    """What `new` is, to who approved `old`."""
    if old.digest == new.digest and old.key == new.key:
        return Change("none")
    steps = [step for found in _steps(old, new) for step in (found, *_orders(found))]
    steps.sort(key=lambda step: GRADES.index(step.grade))
    if not steps:
        # Digests differ, and no rule saw why: never take that for harmless.
        return Change("schema_widened", ("the definition: changed",))
    reasons = dict.fromkeys(f"{visible(step.path)}: {step.what}" for step in steps)
    return Change(steps[0].grade, tuple(clipped(reason, 300) for reason in list(reasons)[:MAX_REASONS]))


def _steps(old: Definition, new: Definition) -> Iterator[Step]:
    before, after = old.value(), new.value()
    if old.key != new.key:
        yield Step("schema_widened", "name", f"{clipped(old.name)!r} became {clipped(new.name)!r}")
    if not isinstance(before, dict) or not isinstance(after, dict):
        if before != after:
            yield Step("wording", "instructions", "other words", before, after)
        return
    for field in sorted({*before, *after}):
        was, now = before.get(field), after.get(field)
        if (field in before) != (field in after) or repr(was) != repr(now):
            yield from _field(field, was, now)


def _field(field: str, was: Any, now: Any) -> Iterator[Step]:
    if field in _TEXTS:
        yield Step("wording", field, "other words", was, now)
    elif field in ("inputSchema", "outputSchema") and isinstance(was, dict) and isinstance(now, dict):
        yield from compare_schemas(was, now, field)
    elif field == "annotations" and isinstance(was, dict | None) and isinstance(now, dict | None):
        yield from _annotations(was or {}, now or {})
    elif field == "arguments" and isinstance(was, list) and isinstance(now, list):
        yield from _arguments(was, now)
    elif field == "icons":
        yield from _icons(was, now)
    elif field in ("name", "uri", "uriTemplate"):
        return
    elif field == "outputSchema" and now is None:
        yield Step("schema_narrowed", field, "says no longer what it answers")
    else:
        yield Step("schema_widened", field, "links an interface" if "ui://" in repr(now) else "changed", was, now)


def _annotations(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Step]:
    for key in sorted({*was, *now}):
        old, new = was.get(key), now.get(key)
        if repr(old) == repr(new):
            continue
        if key == "title":
            yield Step("wording", "annotations.title", "other words", old, new)
        elif key in _TRUST:
            trusted, silent = _TRUST[key]
            claims = new is trusted and (silent if old is None else old) is not trusted
            claims = claims or not isinstance(new, bool | None)
            grade: Grade = "schema_widened" if claims else "schema_narrowed"
            yield Step(grade, f"annotations.{key}", "claims more trust" if claims else "claims less trust")
        else:
            yield Step("schema_widened", f"annotations.{key}", "changed", old, new)


def _arguments(was: list[Any], now: list[Any]) -> Iterator[Step]:
    """Of a prompt."""
    before, after = _named(was), _named(now)
    if before is None or after is None:
        yield Step("schema_widened", "arguments", "changed", was, now)
        return
    for name in sorted({*before, *after}):
        path = f"arguments.{name}"
        if name not in before:
            yield Step("schema_widened", path, "a new argument", None, after[name])
        elif name not in after:
            yield Step("schema_narrowed", path, "no longer an argument")
        else:
            yield from _argument(before[name], after[name], path)
    if list(before) != list(after) and before == after:
        yield Step("wording", "arguments", "in another order")


def _argument(was: dict[str, Any], now: dict[str, Any], path: str) -> Iterator[Step]:
    for key in sorted({*was, *now}):
        if key in was and key in now and repr(was[key]) == repr(now[key]):
            continue
        if key in _TEXTS:
            yield Step("wording", f"{path}.{key}", "other words", was.get(key), now.get(key))
        elif key == "required" and now.get(key) is True:
            yield Step("schema_narrowed", f"{path}.{key}", "required now")
        else:
            yield Step("schema_widened", f"{path}.{key}", "changed", was.get(key), now.get(key))


def _named(arguments: list[Any]) -> dict[str, dict[str, Any]] | None:
    named = {one["name"]: one for one in arguments if isinstance(one, dict) and isinstance(one.get("name"), str)}
    return named if len(named) == len(arguments) else None


def _icons(was: Any, now: Any) -> Iterator[Step]:
    more = _hosts(now) - _hosts(was)
    if more:
        yield Step("schema_widened", "icons", "loaded from another place: " + ", ".join(sorted(map(clipped, more))))
    else:
        yield Step("wording", "icons", "other icons")


def _hosts(icons: Any) -> set[str]:
    """Where icons come from; what is no list of icons is a place of its own."""
    if icons is None:
        return set()
    if not isinstance(icons, list) or not all(
        isinstance(one, dict) and isinstance(one.get("src"), str) for one in icons
    ):
        return {repr(icons)[:200]}
    return {_origin(one["src"]) for one in icons}


def _origin(src: str) -> str:
    try:
        parts = urlsplit(src)
    except ValueError:
        return src[:200]
    return f"{parts.scheme}:{parts.netloc}"


def _orders(step: Step) -> Iterator[Step]:
    """Words that give orders, where none did before."""
    fresh = _said(step.new) - _said(step.old) if step.new is not None else set()
    if fresh:
        yield Step("instructions", step.path, "gives orders now: " + ", ".join(sorted({rule for rule, _ in fresh})))


def _said(value: Any) -> set[tuple[str, str]]:
    if isinstance(value, str):
        return instructs(value)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(_said, items))


def render_diff(old: Definition | None, new: Definition) -> str:
    """The difference, line by line, for a terminal or a page: nothing in it moves a cursor or is unseen."""
    before, after = _lines(old) if old is not None else [], _lines(new)
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    if max(len(before), len(after)) - same > MAX_DIFF_LINES:
        changes = [f"-{line}" for line in before[same:]] + [f"+{line}" for line in after[same:]]
    else:
        changes = list(difflib.unified_diff(before, after, "approved", "offered", lineterm="", n=2))
    cut = [] if len(changes) <= 2 * MAX_DIFF_LINES else [f"… {len(changes) - 2 * MAX_DIFF_LINES} more lines"]
    return "\n".join([*changes[: 2 * MAX_DIFF_LINES], *cut])


def _lines(one: Definition) -> list[str]:
    pretty = msgspec.json.format(one.content, indent=2).decode()
    # A text of many lines is shown as lines: a change deep inside of it is then seen.
    broken = re.sub(r"(?<!\\)((?:\\\\)*\\n)", r"\1" + "\n    ", pretty)
    return [piece for line in broken.split("\n") for piece in _pieces(_shown(line))]


def _shown(line: str) -> str:
    return visible(re.sub(r"(?<!\\)((?:\\\\)*)\\u([0-9a-f]{4})", _spelt, line))


def _spelt(found: "re.Match[str]") -> str:
    return f"{found[1]}<U+{found[2].upper()}>"


def _pieces(line: str) -> list[str]:
    return [line[at : at + MAX_LINE_CHARS] for at in range(0, len(line) or 1, MAX_LINE_CHARS)]
