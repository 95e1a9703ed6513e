"""Expressions: what compiles, what is said when it does not, and what an evaluation may not be fooled by."""

import datetime
from typing import Any

import pytest

from heddle.identity.cel import MAX_CHARS, MAX_DEPTH, MAX_VALUE, VARIABLES, ExpressionError, compile_expression
from heddle.identity.context import CALLER, REQUEST
from heddle.identity.errors import EvaluationError


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ('principal.user == "bob" && call.model.startsWith("gpt-5")', {"principal.user", "call.model"}),
        ('request.headers["x-team"] == "a"', {"request.headers.x-team"}),
        ('"x-team" in request.headers', {"request.headers.x-team"}),
        ("has(request.headers.team)", {"request.headers.team"}),
        ('request.headers.exists(h, h == "x")', {"request.headers"}),
        (
            'principal.claims.org.level > 3 && "a" in principal.claims.groups',
            {"principal.claims.org.level", "principal.claims.groups"},
        ),
        ('["a"].exists(principal, principal == "a")', set()),
        ('{"a": call.model}["a"] == "x"', {"call.model"}),
        ("[request.path].exists(p, under(p, '/v1'))", {"request.path"}),
        ("call.stream ? true : source.address == '::1'", {"call.stream", "source.address"}),
        ("true", set()),
    ],
)
def test_paths_are_what_an_expression_reads(text: str, paths: set[str]) -> None:
    compiled = compile_expression(text)
    assert compiled.paths == paths
    assert compiled.variables <= VARIABLES.keys()


@pytest.mark.parametrize(
    ("text", "detail", "line", "column"),
    [
        ('principal.usr == "x"', "unknown field `principal.usr`; did you mean `principal.user`?", 1, 1),
        ('true &&\n  call.modle == "x"', "unknown field `call.modle`; did you mean `call.model`?", 2, 3),
        ('"é" == call.modle', "unknown field `call.modle`; did you mean `call.model`?", 1, 8),
        ('call.modle.startsWith("x")', "unknown field `call.modle`; did you mean `call.model`?", 1, 1),
        ('startWith(call.model, "x")', "unknown function `startWith`; did you mean `startsWith`?", 1, 1),
        ("principal == 3", "`principal` cannot be used as a whole", 1, 1),
        ('model == "x"', "unknown name `model`; did you mean `call.model`?", 1, 1),
        ("foo == 1", "unknown name `foo`", 1, 1),
        ("call.model == 3", "found no matching overload", 1, 12),
        ("principal.user ==", "Syntax error", 1, 18),
        ("call.model", "must be true or false, but is of type string", 1, 1),
        ("has(principal.user)", "has(principal.user) is always true", 1, 4),
        ("", "Syntax error", 1, 1),
        ("x" * (MAX_CHARS + 1), "at most 4096", 1, 1),
        ("(" * 3000 + "true" + ")" * 1000, "", 1, 1),
        ("call.model == 'a\0b'", "NUL", 1, 1),
        (r'call.model == "a\0b"', "", 1, 1),
        (r'call.model == "a\u0000b"', "NUL", 1, 1),
        (r'call.model == "a\000b"', "NUL", 1, 1),
        (r"bytes(call.model) == b'a\x00'", "NUL", 1, 1),
        ("call.tool == call.model", "`call.model` is of models, `call.tool` is of tools", 1, 1),
        ('call.prompt == "a" || call.resource == "b"', "write one rule for each kind of call", 1, 1),
        ("call.arguments", "must be true or false", 1, 1),
        ('call.argument.path == "x"', "did you mean `call.arguments`?", 1, 1),
        ("under(call.arguments, '/data')", "found no matching overload", 1, 6),
    ],
)
def test_what_does_not_compile_says_where_and_why(text: str, detail: str, line: int, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text)
    error = caught.value
    assert detail in error.detail
    if detail not in {"", "NUL"}:
        assert (error.line, error.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ('principal.user == "bob"', {"principal.user": "bob"}, True),
        ('principal.user == "bob"', {"principal.user": "bobby"}, False),
        ('principal.claims["a.b"].c == 3', {"principal.claims": {"a.b": {"c": 3}}}, True),
        ('"admin" in principal.claims.groups', {"principal.claims": {"groups": ["x", "admin"]}}, True),
        ('"a" in request.query && request.query.a == "1"', {"request.query": {}}, False),
        ('principal.user == "x" || request.headers["no"] == "1"', {"principal.user": "x", "request.headers": {}}, True),
        ("call.max_output_tokens <= 10", {"call.max_output_tokens": 10}, True),
        ('under(call.arguments.path, "/data")', {"call.arguments": {"path": "/data/./a//b"}}, True),
        ('under(call.arguments.path, "/data")', {"call.arguments": {"path": "/data/../etc"}}, False),
        ('under(call.arguments.path, "/data")', {"call.arguments": {"path": "/database"}}, False),
        ("size(call.arguments.a) > 0", {"call.arguments": {"a": "x" * (MAX_VALUE + 1)}}, True),
        ("size(call.arguments) == 1", {"call.arguments": {"a": nested(8)}}, True),
        ("!has(call.arguments.force)", {"call.arguments": {}}, True),
        ('principal.user.matches("^a+$")', {"principal.user": "aaa"}, True),
        (
            "request.time.getHours() == 8",
            {"request.time": datetime.datetime(2026, 1, 1, 8, tzinfo=datetime.UTC)},
            True,
        ),
    ],
)
def test_values(text: str, values: dict[str, Any], expected: bool) -> None:
    assert compile_expression(text).evaluate(values) is expected


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('principal.user == "a"', {"principal.user": "a\0b"}),
        ('principal.claims.g == "a"', {"principal.claims": {"g": "a\0b"}}),
        ('principal.claims.g.x == "a"', {"principal.claims": {"g": {"x": "a", "y\0": 1}}}),
        ('principal.claims.g[0] == "a"', {"principal.claims": {"g": ["a\0b"]}}),
        ('principal.user == "a"', {}),
        ('principal.user == "a"', {"principal.user": None}),
        ('principal.user == "a"', {"principal.user": "\ud800"}),
        ("principal.claims.n == 1", {"principal.claims": {"n": 2**70}}),
        ("principal.claims.n == 1", {"principal.claims": {"n": object()}}),
        ('request.headers["x"] == "1"', {"request.headers": {}}),
        ("principal.claims.n + 1 == 2", {"principal.claims": {"n": "1"}}),
        ("principal.claims.n", {"principal.claims": {"n": "true"}}),
        ('under(request.path, "/v1")', {"request.path": "relative"}),
        ('under(call.arguments.path, "/data")', {"call.arguments": {"path": "data/../../etc"}}),
        ('under(call.arguments.path, "/data")', {"call.arguments": {"path": "/data/%2e%2e%2fetc"}}),
        ('under(call.arguments.path, "/data")', {"call.arguments": {"path": ["/data"]}}),
        ('under(call.arguments.path, "/data")', {"call.arguments": {"path": None}}),
        ('under(call.arguments.path, "/data")', {"call.arguments": {"path": 7}}),
        ('under(call.arguments.path, "/data")', {"call.arguments": {}}),
        ('under(call.arguments.path, "/data")', {"call.arguments": {"path": "/data/a\0"}}),
        ("size(call.arguments) >= 0", {"call.arguments": {"a": "x" * MAX_VALUE}}),
        ("size(call.arguments.a) >= 0", {"call.arguments": {"a": [0] * MAX_VALUE}}),
        ("size(call.arguments.a) >= 0", {"call.arguments": {"a": nested(MAX_DEPTH + 2)}}),
        ("size(call.arguments) >= 0", {"call.arguments": {"a": {"b\0": 1}}}),
    ],
)
def test_what_errs_is_neither_true_nor_false(text: str, values: dict[str, Any]) -> None:
    if text == "principal.claims.n":
        with pytest.raises(ExpressionError):
            compile_expression(text)
        return
    with pytest.raises(EvaluationError):
        compile_expression(text).evaluate(values)


def test_self_reference_errs_and_does_not_crash() -> None:
    claims: dict[str, Any] = {}
    claims["a"] = claims
    with pytest.raises(EvaluationError):
        compile_expression("principal.claims.a.a.a == 1").evaluate({"principal.claims": claims})


def test_only_what_is_read_is_converted() -> None:
    values = {"principal.claims": {"a": 1, "unread": object()}, "request.headers": object()}
    assert compile_expression("principal.claims.a == 1").evaluate(values) is True


def test_an_expensive_expression_is_stopped() -> None:
    text = "principal.claims.l.all(a, principal.claims.l.all(b, principal.claims.l.all(c, a + b + c >= 0)))"
    with pytest.raises(EvaluationError):
        compile_expression(text).evaluate({"principal.claims": {"l": list(range(200))}})


def test_every_variable_has_a_value() -> None:
    judged = {
        "call.model",
        "call.resolved_model",
        "call.kind",
        "call.operation",
        "call.stream",
        "call.dialect",
        "call.provider",
        "call.server",
        "call.target",
        "call.tool",
        "call.target_tool",
        "call.prompt",
        "call.resource",
        "call.method",
        "call.version",
    }
    assert CALLER.keys() | REQUEST.keys() | judged == VARIABLES.keys()
