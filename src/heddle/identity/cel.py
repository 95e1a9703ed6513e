"""Expressions of policies: compiled and type-checked when the configuration is read, evaluated per call.

Owns which variables there are and their types. Each variable is declared under its whole dotted name, so a misspelt
field is a compile error and an evaluation converts only what the expression reads. It refuses results other than bool,
expressions over `MAX_CHARS`, variables that no one call has together, large values, and NUL anywhere: the evaluator
cuts strings there, which made `"a\\0b" == "a"` true.

*Source:* CEL language definition (google/cel-spec); cel-expr-python 0.1.3; facts on its NUL handling in `_refuse_nul`.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from cel_expr_python import cel

from heddle.identity.cel_ast import Path, presence_tests, references
from heddle.identity.errors import EvaluationError
from heddle.identity.kinds import conflict
from heddle.identity.paths import under

MAX_CHARS = 4096
"""Longest expression; far beyond what a person can review."""
MAX_VALUE = 1024 * 1024
"""Most of a map or list that is handed to the evaluator, in characters of text plus one for each item: converting
one takes time, and callers write them. A single text is not bounded by it."""
MAX_DEPTH = 32

_T = cel.Type
VARIABLES: dict[str, Any] = {
    "principal.user": _T.STRING,
    "principal.tenant": _T.STRING,
    "principal.agent": _T.STRING,
    "principal.workload": _T.STRING,
    "principal.method": _T.STRING,
    "principal.key_id": _T.STRING,
    "principal.claims": _T.Map(_T.STRING, _T.DYN),
    "call.kind": _T.STRING,
    "call.operation": _T.STRING,
    "call.model": _T.STRING,
    "call.resolved_model": _T.STRING,
    "call.provider": _T.STRING,
    "call.stream": _T.BOOL,
    "call.max_output_tokens": _T.INT,
    "call.input_tokens": _T.INT,
    "call.dialect": _T.STRING,
    "call.server": _T.STRING,
    "call.target": _T.STRING,
    "call.tool": _T.STRING,
    "call.target_tool": _T.STRING,
    "call.prompt": _T.STRING,
    "call.resource": _T.STRING,
    "call.method": _T.STRING,
    "call.version": _T.STRING,
    "call.arguments": _T.Map(_T.STRING, _T.DYN),
    "request.method": _T.STRING,
    "request.path": _T.STRING,
    "request.headers": _T.Map(_T.STRING, _T.STRING),
    "request.query": _T.Map(_T.STRING, _T.STRING),
    "request.time": _T.TIMESTAMP,
    "source.address": _T.STRING,
}
"""Name -> type. An expression that reads a variable which a call does not have errs."""

MAPS = frozenset({"principal.claims", "call.arguments", "request.headers", "request.query"})
_ROOTS = frozenset(name.partition(".")[0] for name in VARIABLES)
_FUNCTIONS = ("under", "startsWith", "endsWith", "contains", "matches", "size", "exists", "all", "has", "timestamp")

_REPORT = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_WORD = re.compile(r"[A-Za-z_][\w.]*")


class ExpressionError(ValueError):
    """An expression that cannot be used; `line` and `column` count from 1, in characters."""

    def __init__(self, detail: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(detail)
        self.detail = detail
        self.line = line
        self.column = column


class Expression:
    """A compiled expression; immutable, usable from any number of calls."""

    __slots__ = ("_keys", "_program", "paths", "text", "variables")

    def __init__(self, text: str, program: Any, read: set[Path]) -> None:
        self.text = text
        self.paths = frozenset(".".join(path) for path in read)
        """Everything it reads, dotted: `principal.user`, `request.headers.x-team`."""
        self.variables = frozenset(path[0] for path in read)
        """The keys of `VARIABLES` it reads."""
        self._program = program
        self._keys = tuple((name, _keys_of(name, read)) for name in sorted(self.variables))

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def evaluate(self, values: Mapping[str, Any]) -> bool:
        """The result for `values` (by name in `VARIABLES`, absent where a call has none); EvaluationError when it errs.

        Maps hold JSON-like data: text keys; text, numbers, bools, None, lists and maps below.
        """
        try:
            result = self._program.eval(data=self._pruned(values)).value()
        except (ValueError, TypeError, RuntimeError, OverflowError, RecursionError) as exc:
            raise EvaluationError(str(exc)) from exc
        if result is True or result is False:
            return bool(result)
        raise EvaluationError(str(result))

    def _pruned(self, values: Mapping[str, Any]) -> dict[str, Any]:
        data = {}
        for name, keys in self._keys:
            value = values.get(name)
            if value is None:
                continue
            if keys is None:
                _inspect(value)
            else:
                value = {key: value[key] for key in keys if key in value}
                for item in value.values():
                    _inspect(item)
            data[name] = value
        return data


def compile_expression(text: str) -> Expression:
    """Compile and type-check `text`; ExpressionError with a place when it is not a bool over `VARIABLES`."""
    if len(text) > MAX_CHARS:
        raise ExpressionError(f"the expression has {len(text)} characters; at most {MAX_CHARS} are allowed")
    if "\0" in text:
        raise ExpressionError("the expression contains a NUL character")
    _refuse_needless_presence_tests(text)
    program = _compiled(text)
    read = references(program.serialize(), VARIABLES)
    if read.nul:
        raise ExpressionError("a constant of the expression contains a NUL character")
    kind = program.return_type().name()
    if kind != "BOOL":
        raise ExpressionError(f"the expression must be true or false, but is of type {kind.lower()}")
    why = conflict({path[0] for path in read.paths})
    if why:
        raise ExpressionError(why)
    return Expression(text, program, read.paths)


def _compiled(text: str, *, parse_only: bool = False) -> Any:
    try:
        return _ENVIRONMENT.compile(text, disable_check=parse_only)
    except RuntimeError as exc:
        raise _explained(text, str(exc)) from exc


def _refuse_needless_presence_tests(text: str) -> None:
    """`has(principal.user)` compiles to the value itself; say what to write instead."""
    for name, offset in presence_tests(_compiled(text, parse_only=True).serialize()):
        if name in VARIABLES:
            before = text[:offset]
            line, column = before.count("\n") + 1, offset - before.rfind("\n")
            hint = "compare its size" if name in MAPS else "compare it with a value"
            raise ExpressionError(f"has({name}) is always true; {hint} instead", line=line, column=column)


def _explained(text: str, report: str) -> ExpressionError:
    found = _REPORT.search(report)
    if found is None:
        return ExpressionError(report.partition(" [")[0])
    line, column, detail = int(found[1]), int(found[2]), found[3].removesuffix(" [INVALID_ARGUMENT]")
    undeclared = _UNDECLARED.match(detail)
    if undeclared is None:
        return ExpressionError(detail.replace(" (in container '')", ""), line=line, column=column)
    source = text.split("\n")[line - 1]
    for word in _WORD.finditer(source):
        if word.start() < column <= word.end() + 1 and word[0].startswith(undeclared[1]):
            return ExpressionError(_unknown(word[0], source[word.end() :]), line=line, column=word.start() + 1)
    return ExpressionError(_unknown(undeclared[1], ""), line=line, column=column)


def _unknown(name: str, rest: str) -> str:
    if rest.lstrip().startswith("(") and "." not in name:
        near = difflib.get_close_matches(name, _FUNCTIONS, 1)
        what = "function"
    else:
        if name in _ROOTS:
            known = ", ".join(f"`{v}`" for v in VARIABLES if v.startswith(f"{name}."))
            return f"`{name}` cannot be used as a whole; it has {known}"
        name = ".".join(name.split(".")[:2])
        near = [v for v in VARIABLES if v.endswith(f".{name}")] or difflib.get_close_matches(name, VARIABLES, 1, 0.75)
        what = "field" if name.partition(".")[0] in _ROOTS else "name"
    if near:
        return f"unknown {what} `{name}`; did you mean `{near[0]}`?"
    return f"unknown {what} `{name}`"


def _keys_of(name: str, read: set[Path]) -> tuple[str, ...] | None:
    """The keys of map `name` that are read; None when it is no map, or is read as a whole."""
    paths = [path for path in read if path[0] == name]
    if name not in MAPS or any(len(path) == 1 for path in paths):
        return None
    return tuple(sorted({path[1] for path in paths}))


def _inspect(value: Any) -> None:
    """ValueError for what must not reach the evaluator: of a text with NUL it would compare only what stands before
    that (measured on 0.1.3)."""
    if isinstance(value, str):
        _refuse_nul(value)
        return
    size, pending = 0, [(value, 0)]
    while pending:
        each, depth = pending.pop()
        size += 1
        if isinstance(each, str):
            _refuse_nul(each)
            size += len(each)
        elif isinstance(each, (dict, list, tuple)):
            if depth > MAX_DEPTH:
                raise ValueError("a value is nested too deeply")
            if len(each) > MAX_VALUE:
                raise ValueError("a value is too large")
            pending += [(item, depth + 1) for item in each]
            if isinstance(each, dict):
                pending += [(item, depth + 1) for item in each.values()]
        if size > MAX_VALUE:
            raise ValueError("a value is too large")


def _refuse_nul(text: str) -> None:
    if "\0" in text:
        raise ValueError("a value contains a NUL character")


def _environment() -> Any:
    overload = cel.Overload("under_string_string", _T.BOOL, [_T.STRING, _T.STRING], False, under)
    return cel.NewEnv(variables=VARIABLES, functions=[cel.FunctionDecl("under", [overload])])


_ENVIRONMENT = _environment()
