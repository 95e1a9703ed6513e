"""The table of styles, as the specification prints it, and what it leaves open."""

import pytest

from heddle.wire.errors import ProtocolError
from heddle.wire.openapi.operation import Argument
from heddle.wire.openapi.styles import form_encoded, in_header, in_path, in_query, plain

ANY = frozenset({"plain", "array", "object"})
ARRAY = ["blue", "black", "brown"]
OBJECT = {"R": 100, "G": 200, "B": 150}


def argument(style, explode=False, location="query", **more):
    return Argument(
        name="color", wire_name="color", location=location, style=style, explode=explode, shapes=ANY, **more
    )


def query(style, explode, value, **more):
    return "&".join(f"{name}={text}" for name, text in in_query(argument(style, explode, **more), value))


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("simple", False, "blue", "blue"),
        ("simple", False, ARRAY, "blue,black,brown"),
        ("simple", True, ARRAY, "blue,black,brown"),
        ("simple", False, OBJECT, "R,100,G,200,B,150"),
        ("simple", True, OBJECT, "R=100,G=200,B=150"),
        ("label", False, "blue", ".blue"),
        ("label", False, ARRAY, ".blue,black,brown"),
        ("label", True, ARRAY, ".blue.black.brown"),
        ("label", False, OBJECT, ".R,100,G,200,B,150"),
        ("label", True, OBJECT, ".R=100.G=200.B=150"),
        ("matrix", False, "blue", ";color=blue"),
        ("matrix", True, "blue", ";color=blue"),
        ("matrix", False, ARRAY, ";color=blue,black,brown"),
        ("matrix", True, ARRAY, ";color=blue;color=black;color=brown"),
        ("matrix", False, OBJECT, ";color=R,100,G,200,B,150"),
        ("matrix", True, OBJECT, ";R=100;G=200;B=150"),
        ("simple", False, ["a,b", "c=d", "e;f.g/h"], "a%2Cb,c%3Dd,e%3Bf.g%2Fh"),
        ("simple", True, {"a,b": "c=d"}, "a%2Cb=c%3Dd"),
    ],
)
def test_paths(style, explode, value, expected):
    assert in_path(argument(style, explode, "path"), value) == expected


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("form", True, "blue", "color=blue"),
        ("form", True, "", "color="),
        ("form", True, ARRAY, "color=blue&color=black&color=brown"),
        ("form", False, ARRAY, "color=blue,black,brown"),
        ("form", True, OBJECT, "R=100&G=200&B=150"),
        ("form", False, OBJECT, "color=R,100,G,200,B,150"),
        ("spaceDelimited", False, ARRAY, "color=blue%20black%20brown"),
        ("spaceDelimited", False, OBJECT, "color=R%20100%20G%20200%20B%20150"),
        ("spaceDelimited", True, ARRAY, "color=blue&color=black&color=brown"),
        ("pipeDelimited", False, ARRAY, "color=blue%7Cblack%7Cbrown"),
        ("pipeDelimited", False, OBJECT, "color=R%7C100%7CG%7C200%7CB%7C150"),
        ("deepObject", True, OBJECT, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
        ("deepObject", True, {"a": {"b": [1, 2]}}, "color%5Ba%5D%5Bb%5D%5B0%5D=1&color%5Ba%5D%5Bb%5D%5B1%5D=2"),
        ("deepObject", True, ["a"], "color%5B0%5D=a"),
        ("deepObject", True, "blue", "color=blue"),
        ("form", False, ["a,b", "c"], "color=a%2Cb,c"),
        ("form", True, "a&b=c#d+e%20", "color=a%26b%3Dc%23d%2Be%2520"),
        ("form", True, [None, "a", None], "color=a"),
        ("form", True, [], ""),
        ("form", False, [], ""),
        ("form", True, {"a": None}, ""),
        ("deepObject", True, {"a": None}, ""),
        (
            "form",
            True,
            [True, False, 1, 1.0, 1.5, -0.0, 1e300],
            "color=true&color=false&color=1&color=1&color=1.5&color=0&color=1e%2B300",
        ),
    ],
)
def test_queries(style, explode, value, expected):
    assert query(style, explode, value) == expected


def test_allow_reserved_keeps_no_delimiter():
    value = "a/b?c:d@e!$'()*,f=g&h#i;j+k[l]%2F"
    assert query("form", True, value, allow_reserved=True) == "color=a/b?c:d@e!$'()*,f=g%26h%23i%3Bj%2Bk%5Bl%5D%252F"
    assert query("form", False, ["a,b", "c/d"], allow_reserved=True) == "color=a%2Cb,c%2Fd"


def test_media_types_inside_of_parameters():
    assert query("form", True, {"a": [1]}, content_type="application/json") == "color=%7B%22a%22%3A%5B1%5D%7D"
    assert query("form", True, "a b", content_type="text/plain") == "color=a%20b"
    json = argument("simple", location="header", content_type="application/json")
    assert in_header(json, {"a": "é\n"}) == '{"a":"é\\n"}'
    assert (
        in_path(argument("simple", location="path", content_type="application/json"), [1, "/"]) == "%5B1%2C%22%2F%22%5D"
    )


def test_forms_write_spaces_as_they_do():
    assert in_query(argument("form", True), "a b+c", form_encoded) == [("color", "a+b%2Bc")]


@pytest.mark.parametrize(
    ("explode", "value", "expected"),
    [
        (False, "blue", "blue"),
        (False, ARRAY, "blue,black,brown"),
        (False, OBJECT, "R,100,G,200,B,150"),
        (True, OBJECT, "R=100,G=200,B=150"),
        (False, " a, b ", "a, b"),
        (False, "größe", "größe"),
    ],
)
def test_headers(explode, value, expected):
    assert in_header(argument("simple", explode, "header"), value) == expected


@pytest.mark.parametrize(
    "value", ["a\r\nhost: b", "a\nb", "a\rb", "a\x00", "\x7f", ["a", "b,c"], {"a,b": 1}, ["a\n"], [[1]]]
)
def test_headers_that_would_be_two(value):
    with pytest.raises(ProtocolError) as caught:
        in_header(argument("simple", False, "header"), value)
    assert caught.value.param == "color"


@pytest.mark.parametrize(
    ("style", "value"),
    [
        ("form", [[1]]),
        ("form", {"a": {}}),
        ("form", [{"a": 1}]),
        ("form", float("inf")),
        ("form", float("nan")),
        pytest.param("form", 10**5000, id="digits"),
        ("form", "\ud800"),
        ("form", {"\ud800": 1}),
        ("spaceDelimited", ["a b"]),
        ("pipeDelimited", ["a|b"]),
        ("pipeDelimited", {"a|b": 1}),
        ("deepObject", {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}}}),
        ("deepObject", {"a": float("inf")}),
    ],
)
def test_values_that_cannot_be_written(style, value):
    with pytest.raises(ProtocolError) as caught:
        in_query(argument(style, explode=False), value)
    assert caught.value.param == "color"


@pytest.mark.parametrize("value", [{"a": 1}, ["a"]])
def test_shapes_that_no_schema_allows(value):
    only_plain = Argument(name="q", wire_name="q", location="query", style="form", explode=True)
    for write in (in_query, in_path, in_header):
        with pytest.raises(ProtocolError, match="q: expected a plain value"):
            write(only_plain, value)


def test_json_that_cannot_be_written():
    json = argument("form", content_type="application/json")
    for value in (float("nan"), "\ud800", {"a": [float("inf")]}, 10**5000):
        with pytest.raises(ProtocolError, match="color: expected a value that JSON can hold"):
            in_query(json, value)


def test_plain_values():
    assert plain(2.0**60, "a") == repr(2.0**60)
    assert plain(10**30, "a") == "1" + "0" * 30
