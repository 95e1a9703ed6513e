import time

import pytest

from heddle.wire.kube.selectors import check_label, parse_fields, parse_labels
from heddle.wire.kube.status import ApiError

LABELS = {"app": "web", "tier": "front", "empty": "", "n": "5", "example.com/x": "y"}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier = front", True),
        ("app!=web", False),
        ("missing!=web", True),
        ("app in (api,web)", True),
        ("app in (api)", False),
        ("app notin (api, db)", True),
        ("missing notin (a)", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("! app", False),
        ("empty=", True),
        ("empty in (,x)", True),
        ("empty in ()", True),
        ("app=", False),
        ("n>4", True),
        ("n > 5", False),
        ("n<6", True),
        ("app>1", False),
        ("example.com/x=y", True),
        ("app=web,", None),
        ("in in (in)", False),
        ("notin", False),
    ],
)
def test_label_selectors(selector, selected):
    if selected is None:
        with pytest.raises(ApiError):
            parse_labels(selector)
    else:
        assert parse_labels(selector).matches(LABELS) is selected


def test_an_object_without_labels():
    assert parse_labels("!a").matches(None)
    assert not parse_labels("a").matches(None)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("==", "found '==', expected: !, identifier, or 'end of string'"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a,", "found '', expected: identifier after ','"),
        ("a,=b", "found '=', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        (
            "a>b",
            'unable to parse requirement: values[0]: Invalid value: "b": '
            "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
    ],
)
def test_label_selectors_that_are_none(selector, message):
    with pytest.raises(ApiError) as refused:
        parse_labels(selector)
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")
    assert refused.value.message == message


@pytest.mark.parametrize(
    "selector", ["-a=b", "a=b/c", "A.B/" + "x" * 64, f"a={'x' * 64}", "/a", "UP.com/a", "ä=b", "a/b/c"]
)
def test_keys_and_values_are_those_of_labels(selector):
    with pytest.raises(ApiError, match="Invalid value"):
        parse_labels(selector)


def test_labels_of_objects_are_judged_alike():
    assert check_label("a", "b") == ""
    assert check_label("a b", "c").startswith("a qualified name must consist")
    assert check_label("a", "c/d").startswith("a valid label must be")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", ()),
        ("metadata.name=x", (("metadata.name", "=", "x"),)),
        ("a==b,c!=d", (("a", "=", "b"), ("c", "!=", "d"))),
        ("a=", (("a", "=", ""),)),
        (r"a=b\,c\=d\\", (("a", "=", "b,c=d\\"),)),
        ("a=b,", (("a", "=", "b"),)),
    ],
)
def test_field_selectors(selector, expected):
    assert parse_fields(selector) == expected


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("x", "invalid selector: 'x'; can't understand 'x'"),
        ("a=b,x", "invalid selector: 'a=b,x'; can't understand 'x'"),
        (r"a=\n", r"invalid field selector: invalid escape sequence: \n"),
        ("a=b=c", "invalid field selector: unescaped character in value: ="),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_field_selectors_that_are_none(selector, message):
    with pytest.raises(ApiError) as refused:
        parse_fields(selector)
    assert refused.value.message == message


@pytest.mark.parametrize("parse", [parse_labels, parse_fields])
@pytest.mark.parametrize("selector", ["a=b," * 1_000_000, "(" * 1_000_000, "a in (" + "b," * 500_000])
def test_a_selector_is_bounded(parse, selector):
    began = time.perf_counter()
    with pytest.raises(ApiError):
        parse(selector)
    assert time.perf_counter() - began < 1


def test_requirements_are_bounded():
    with pytest.raises(ApiError, match="512"):
        parse_labels(",".join(["a"] * 600))
