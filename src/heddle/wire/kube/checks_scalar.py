"""Checks of texts and numbers: enum, bounds, lengths, patterns, formats.

Owns their words. Patterns run in RE2, in time linear in the value; values of formats that hold secrets are not told.
*Source:* apiextensions.k8s.io/v1 JSONSchemaProps; messages of kube-openapi and go-openapi.
"""

from collections.abc import Mapping
from typing import Any

from heddle.wire.kube.formats import FORMATS, SECRET_FORMATS, SchemaError, compiled_pattern
from heddle.wire.kube.report import Check, Path, Report, dotted, shown
from heddle.wire.kube.values import same


def enum_check(schema: Mapping[str, Any], _: int) -> Check:
    """One of some values."""
    if type(schema["enum"]) is not list:
        raise SchemaError("enum is a list")
    allowed = tuple(schema["enum"])
    quick = frozenset(one for one in allowed if isinstance(one, str))
    listed = ", ".join(f'"{one}"' if isinstance(one, str) else f'"{shown(one)}"' for one in allowed)

    def check(value: Any, path: Path | None, report: Report) -> None:
        if (type(value) is str and value in quick) or any(same(value, one) for one in allowed):
            return
        report.add("FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {listed}", path)

    return check


def bound_check(keyword: str, exclusive: str, above: bool) -> Any:
    """Not beyond a number."""

    def make(schema: Mapping[str, Any], _: int) -> Check:
        bound = _number(schema, keyword)
        strict = schema.get(exclusive) is True
        words = ("less than" if above else "greater than") + ("" if strict else " or equal to")

        def check(value: Any, path: Path | None, report: Report) -> None:
            if type(value) not in {int, float}:
                return
            over = value - bound if above else bound - value
            if over > 0 or (strict and over == 0):
                report.invalid(value, path, f"should be {words} {_plain(bound)}")

        return check

    return make


def multiple_check(schema: Mapping[str, Any], _: int) -> Check:
    """A multiple of a number."""
    of = _number(schema, "multipleOf")
    if not of > 0:
        raise SchemaError("multipleOf is greater than 0")

    def check(value: Any, path: Path | None, report: Report) -> None:
        if type(value) in {int, float} and value % of:
            report.invalid(value, path, f"should be a multiple of {_plain(of)}")

    return check


def min_length_check(schema: Mapping[str, Any], _: int) -> Check:
    """At least so many characters."""
    bound = whole_in(schema, "minLength")

    def check(value: Any, path: Path | None, report: Report) -> None:
        if type(value) is str and len(value) < bound:
            report.invalid(value, path, f"should be at least {bound} chars long")

    return check


def too_long(_: int, bound: int) -> tuple[str, str]:
    """Reason and words for a text that is too long."""
    return "FieldValueTooLong", f"Too long: may not be more than {bound} {'byte' if bound == 1 else 'bytes'}"


def pattern_check(schema: Mapping[str, Any], _: int) -> Check:
    """Contains a match."""
    pattern = schema["pattern"]
    found_in = compiled_pattern(pattern)

    def check(value: Any, path: Path | None, report: Report) -> None:
        if type(value) is str and not found_in(value):
            report.invalid(value, path, f"should match '{pattern}'")

    return check


def format_check(schema: Mapping[str, Any], _: int) -> Check | None:
    """Has a format; None for one that is not checked."""
    name = schema["format"]
    valid = FORMATS.get(name)
    if valid is None:
        return None

    def check(value: Any, path: Path | None, report: Report) -> None:
        if not valid(value):
            said = '"..."' if name in SECRET_FORMATS else shown(value)
            message = f"Invalid value: {said}: {dotted(path)} in body must be of type {name}: {said}"
            report.add("FieldValueTypeInvalid", message, path)

    return check


def _number(schema: Mapping[str, Any], keyword: str) -> float:
    number = schema[keyword]
    if type(number) not in {int, float}:
        raise SchemaError(f"{keyword} is a number")
    return number  # type: ignore[no-any-return]


def whole_in(schema: Mapping[str, Any], keyword: str) -> int:
    """The whole number of a keyword. SchemaError."""
    number = schema[keyword]
    if type(number) is not int and not (type(number) is float and number.is_integer()):
        raise SchemaError(f"{keyword} is a whole number")
    return int(number)


def _plain(number: float) -> str:
    """A bound as people write it, without the point of a whole number."""
    return str(int(number)) if number == int(number) else str(number)
