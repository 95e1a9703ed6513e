"""CEL rules of schemas (`x-kubernetes-validations`): compiled once for each schema, run over objects.

Owns which rules an object is held to and how their failures are told; what the expressions can call is
`expression_functions.py`. It refuses a rule that does not compile, and so a kind of ours that has one is never served.
A rule that errs while it runs is a cause, never an error of the server; the number of evaluations is bounded, and the
steps of each by the evaluator.
*Source:* Kubernetes "Validation rules" (CustomResourceDefinitions), "Common Expression Language in Kubernetes";
google/cel-spec; cel-expr-python 0.1.3.
"""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from heddle.controlplane.expression_functions import environment
from heddle.controlplane.expression_values import Convert, conversion, has_nul
from heddle.identity.cel_ast import references
from heddle.wire.kube.status import Cause
from heddle.wire.kube.values import same

MAX_RULE = 16 * 1024
"""Characters of a rule."""
MAX_EVALUATIONS = 20_000
"""Of one object."""
MAX_S = 1.0
"""Seconds of the processor for one object: each evaluation is bounded in its steps, and this is all of them."""
_UNTIMED_S = 0.01
"""Until so much time has passed, the processor's is not asked for: that is a system call, and dearer than a rule."""
MAX_CAUSES = 64
MAX_MESSAGE = 2048
"""Characters that a message expression may give."""
MAX_DEPTH = 64

_ENVIRONMENT = environment()
_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
_REASONS = {
    "FieldValueInvalid": 'Invalid value: "{type}": {message}',
    "FieldValueForbidden": "Forbidden: {message}",
    "FieldValueRequired": "Required value: {message}",
    "FieldValueDuplicate": 'Duplicate value: "{type}"',
}
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\['([^']+)'\]")


class RuleError(ValueError):
    """A rule that cannot be used; says where it stands and why."""


class Rule(NamedTuple):
    """A rule, compiled."""

    text: str
    program: Any
    on_change: bool
    """It reads `oldSelf`, and so says something only about what replaces something."""
    optional: bool
    """`oldSelf` is an optional, and the rule is run on what is new, too."""
    message: str
    message_program: Any
    reason: str
    field: str
    """Steps below the place of the rule at which its failure is told, such as `.name`."""


class Place(NamedTuple):
    """The rules at a place of a schema, and below it."""

    rules: tuple[Rule, ...]
    convert: Convert | None
    type: str
    fields: Mapping[str, "Place"]
    entries: "Place | None"
    items: "Place | None"
    keys: tuple[str, ...] | None
    """By which items are found again in the old list; None where they are not."""
    on_change: bool
    """A rule here or below is about changes."""
    together: Any = None
    """The rules here that are about no change, in one program: nearly always all of them hold, and one evaluation says
    so. None where they are too few, or too long."""


class _Run:
    """One object being held to its rules."""

    def __init__(self) -> None:
        self.causes: list[Cause] = []
        self.left = MAX_EVALUATIONS
        self._timed_s = time.monotonic() + _UNTIMED_S
        self._until_s = 0.0
        """Of the processor's time; 0 while it is not looked at."""

    @property
    def done(self) -> bool:
        return self.spent or len(self.causes) >= MAX_CAUSES

    @property
    def spent(self) -> bool:
        """No more may be evaluated."""
        if self.left <= 0:
            return True
        if time.monotonic() < self._timed_s:
            return False
        now_s = time.thread_time()
        if not self._until_s:
            self._until_s = now_s + MAX_S
        return now_s > self._until_s


_compiled: dict[int, tuple[Mapping[str, Any], Place | None]] = {}
MAX_COMPILED = 1024
"""Schemas whose rules are kept compiled."""


def compile_rules(schema: Mapping[str, Any]) -> Place | None:
    """The rules of a schema, compiled once; None when it has none. RuleError for a rule that cannot be used.

    A schema is known by its identity: it is not to be changed.
    """
    known = _compiled.get(id(schema))
    if known is not None:
        return known[1]
    try:
        place = _place(schema, "", 0)
    except (TypeError, AttributeError) as exc:
        raise RuleError(f"the schema is malformed: {exc}") from exc
    if len(_compiled) >= MAX_COMPILED:
        _compiled.clear()
    _compiled[id(schema)] = (schema, place)
    return place


def check_rules(value: dict[str, Any], old: dict[str, Any] | None, schema: dict[str, Any]) -> list[Cause]:
    """What the rules of a schema say against an object; `old` is what it replaces, None when it is new. RuleError."""
    place = compile_rules(schema)
    if place is None:
        return []
    if has_nul(value) or (old is not None and has_nul(old)):
        return [Cause("FieldValueInvalid", 'Invalid value: "object": a text contains a NUL character', "")]
    run = _Run()
    _check(place, value, _NOTHING if old is None else old, "", run)
    if run.spent:
        run.causes.append(Cause("FieldValueInvalid", f'Invalid value: "object": {_BUDGET}', ""))
    return sorted(run.causes, key=lambda cause: cause.field)


# Compiling


def _place(schema: Mapping[str, Any], path: str, depth: int) -> Place | None:
    if depth > MAX_DEPTH:
        raise RuleError(f"{path}: the schema is nested more than {MAX_DEPTH} levels deep")
    rules = tuple(
        _rule(one, f"{path} rule {at}") for at, one in enumerate(schema.get("x-kubernetes-validations") or ())
    )
    fields = {}
    for name, one in (schema.get("properties") or {}).items():
        below = _place(one, f"{path}.{name}", depth + 1)
        if below is not None:
            fields[name] = below
    additional, listed = schema.get("additionalProperties"), schema.get("items")
    entries = _place(additional, f"{path}.*", depth + 1) if isinstance(additional, Mapping) else None
    items = _place(listed, f"{path}[]", depth + 1) if isinstance(listed, Mapping) else None
    if not (rules or fields or entries or items):
        return None
    keys = tuple(schema.get("x-kubernetes-list-map-keys", ())) or None
    convert = conversion(schema) if rules else None
    places = [one for one in (*fields.values(), entries, items) if one is not None]
    on_change = any(one.on_change or one.optional for one in rules) or any(one.on_change for one in places)
    kind = schema.get("type", "object")
    return Place(rules, convert, kind, fields, entries, items, keys, on_change, _together(rules))


def _together(rules: tuple[Rule, ...]) -> Any:
    texts = [f"(\n{rule.text}\n)" for rule in rules if _of_value(rule)]
    whole = " && ".join(texts)
    if len(texts) < 2 or len(whole) > MAX_RULE:
        return None
    try:
        return _ENVIRONMENT.compile(whole)
    except (RuntimeError, ValueError):
        # Each compiled; together they are more than the parser takes.
        return None


def _of_value(rule: Rule) -> bool:
    return not (rule.on_change or rule.optional)


def _rule(given: Mapping[str, Any], where: str) -> Rule:
    text = given.get("rule", "")
    optional = bool(given.get("optionalOldSelf"))
    whole = text
    if optional:
        whole = f"cel.bind(oldSelf, oldSelfKnown ? optional.of(oldSelf) : optional.none(), (\n{text}\n))"
    program = _program(whole, "BOOL", where)
    said = given.get("messageExpression")
    reason = given.get("reason", "FieldValueInvalid")
    if reason not in _REASONS:
        raise RuleError(f"{where}: reason is one of {', '.join(_REASONS)}")
    field = given.get("fieldPath", "")
    if "".join(found[0] for found in _STEP.finditer(field)) != field:
        raise RuleError(f"{where}: fieldPath is one such as .name or ['a.b'], not {field!r}")
    return Rule(
        text=text,
        program=program,
        on_change=not optional and _reads_old(program),
        optional=optional,
        message=given.get("message", ""),
        message_program=_program(said, "STRING", f"{where} messageExpression") if said else None,
        reason=reason,
        field="".join(f".{found[1] or found[2]}" for found in _STEP.finditer(field)),
    )


def _program(text: Any, kind: str, where: str) -> Any:
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_RULE or "\0" in text:
        raise RuleError(f"{where}: a rule is a text of at most {MAX_RULE} characters, without NUL")
    try:
        program = _ENVIRONMENT.compile(text)
    except (RuntimeError, ValueError) as exc:
        raise RuleError(f"{where}: {text!r}: {exc}") from exc
    if program.return_type().name() not in {kind, "DYN"}:
        raise RuleError(f"{where}: {text!r} is of type {program.return_type().name()}, not {kind}")
    if references(program.serialize(), ("self", "oldSelf")).nul:
        raise RuleError(f"{where}: {text!r} has a constant with a NUL character")
    return program


def _reads_old(program: Any) -> bool:
    return any(path[0] == "oldSelf" for path in references(program.serialize(), ("self", "oldSelf")).paths)


# Running

_NOTHING: Any = object()
"""What was not there before, or cannot be found again."""


def _check(place: Place, value: Any, old: Any, path: str, run: _Run) -> None:
    if value is None or run.done:
        return
    if not place.on_change and old is not _NOTHING and same(value, old):
        # As kube-apiserver has it since 1.33: what a write leaves as it was is not held to the rules again.
        return
    if place.rules:
        _check_rules(place, value, old, path, run)
    if type(value) is dict:
        for name, below in _below(place, value):
            before = old.get(name, _NOTHING) if type(old) is dict else _NOTHING
            _check(below, value[name], before, f"{path}.{name}" if path else name, run)
    elif type(value) is list and place.items is not None:
        befores = _by_key(place.keys, old)
        for index, item in enumerate(value):
            before = befores.get(_key(place.keys, item), _NOTHING) if befores else _NOTHING
            _check(place.items, item, before, f"{path}[{index}]", run)


def _below(place: Place, value: dict[str, Any]) -> Iterator[tuple[str, Place]]:
    if place.entries is not None:
        yield from ((name, place.entries) for name in value if name not in place.fields)
    yield from ((name, below) for name, below in place.fields.items() if name in value)


def _key(keys: tuple[str, ...] | None, item: Any) -> bytes:
    return msgspec.json.encode([item.get(key) for key in keys] if keys and type(item) is dict else None)


def _by_key(keys: tuple[str, ...] | None, old: Any) -> dict[bytes, Any]:
    if keys is None or type(old) is not list:
        return {}
    return {_key(keys, item): item for item in old if type(item) is dict}


def _check_rules(place: Place, value: Any, old: Any, path: str, run: _Run) -> None:
    known = old is not _NOTHING and old is not None
    applicable = [rule for rule in place.rules if known or not rule.on_change]
    if not applicable:
        return
    convert = place.convert
    data = {"self": value if convert is None else convert(value), "oldSelfKnown": known}
    if known and any(rule.on_change or rule.optional for rule in applicable):
        data["oldSelf"] = old if convert is None else convert(old)
    activation = _ENVIRONMENT.Activation(data)
    if place.together is not None and _evaluated(place.together, activation) == (True, ""):
        left = [rule for rule in applicable if not _of_value(rule)]
        run.left -= len(applicable) - len(left)
        applicable = left
    for rule in applicable:
        if run.done:
            return
        run.left -= 1
        held, error = _evaluated(rule.program, activation)
        if error:
            detail = f"{error} evaluating rule: {rule.text}"
            run.causes.append(Cause("FieldValueInvalid", f'Invalid value: "{place.type}": {detail}', path))
        elif held is not True:
            message = _REASONS[rule.reason].format(type=place.type, message=_message(rule, activation))
            run.causes.append(Cause(rule.reason, message, (path + rule.field).removeprefix(".")))


def _message(rule: Rule, activation: Any) -> str:
    if rule.message_program is not None:
        said, error = _evaluated(rule.message_program, activation)
        if not error and isinstance(said, str) and said.strip() and "\n" not in said:
            return said[:MAX_MESSAGE]
    return rule.message or f"failed rule: {rule.text}"


def _evaluated(program: Any, activation: Any) -> tuple[Any, str]:
    """The result of an expression, and why it has none."""
    try:
        result = program.eval(activation=activation)
        value = result.value()
        # An error has its words as its value: only texts need a second look.
        if isinstance(value, str) and result.type().name() == "ERROR":
            return None, _words(value)
        return value, ""
    except (RuntimeError, ValueError, TypeError, OverflowError, RecursionError) as exc:
        return None, _words(str(exc))


def _words(error: str) -> str:
    if "budget exceeded" in error:
        return "the rule takes too many steps"
    missing = re.search(r'Key not found in map : "?([^"]*)"?', error)
    if missing is not None:
        return f"no such key: {missing[1][:256]}"
    code, _, detail = error.partition(": ")
    return (detail if code.isupper() else error)[:256]
