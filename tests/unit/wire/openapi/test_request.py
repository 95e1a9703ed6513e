"""Requests: an argument reaches its own place and no other."""

import json

import pytest
from tests.unit.wire.openapi.documents import body, operation, parameter

from heddle.wire.errors import ProtocolError
from heddle.wire.multipart import boundary_of, read_form
from heddle.wire.openapi.request import MAX_FIELD_BYTES, MAX_TARGET_BYTES, build_request

OBJECT = {"type": "object", "additionalProperties": {"type": "string"}}


def built(given, arguments, *, path="/p", method="get", **more):
    return build_request(operation(path, method, parameters=given, **more), arguments)


def refuse(given, arguments, **more):
    with pytest.raises(ProtocolError) as caught:
        built(given, arguments, **more)
    return caught.value.param


def in_body(schema, arguments, media_type="application/json", **more):
    one = operation(method="post", requestBody=body(schema, media_type, **more))
    return build_request(one, arguments)


def refused_body(schema, arguments, media_type="application/json", **more):
    with pytest.raises(ProtocolError) as caught:
        in_body(schema, arguments, media_type, **more)
    return caught.value.param


# Paths


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../b",
        "a/..",
        "./a",
        "a/.",
        "..\\x",
        "a\\..",
        "%2e%2e",
        "%2E%2e/x",
        "..%2fx",
        "%252e%252e%252fx",
        "..;a=b",
        "a/..;/b",
        " .. ",
        "a\r\nb",
        "a\x00b",
        "%00",
        "%0d%0a",
        None,
        [],
        {},
    ],
)
def test_a_path_argument_stays_in_its_segment(value):
    assert refuse([parameter("id", "path")], {"id": value}, path="/a/{id}/b") == "id"


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("a/b", b"a%2Fb"),
        ("a?b#c", b"a%3Fb%23c"),
        ("a%2Fb", b"a%252Fb"),
        ("...", b"..."),
        (".git", b".git"),
        ("a..b", b"a..b"),
        ("é", b"%C3%A9"),
        ("a;b=c", b"a%3Bb%3Dc"),
        (0, b"0"),
        (False, b"false"),
        ("http://x/", b"http%3A%2F%2Fx%2F"),
        ("@:+$", b"%40%3A%2B%24"),
    ],
)
def test_what_a_path_can_hold(value, segment):
    assert built([parameter("id", "path")], {"id": value}, path="/a/{id}/b").target == b"/a/" + segment + b"/b"


def test_segments_of_several_arguments():
    given = [parameter("a", "path"), parameter("b", "path", style="label")]
    assert built(given, {"a": "x", "b": "y"}, path="/{a}{b}").target == b"/x.y"
    for arguments in ({"a": ".", "b": "y"}, {"a": "x", "b": "."}, {"a": ".", "b": "."}, {"a": "x", "b": ""}):
        assert refuse(given, arguments, path="/{a}{b}") in ("a", "b")
    label = [parameter("b", "path", style="label")]
    assert refuse(label, {"b": "."}, path="/{b}/admin") == "b"
    assert refuse([parameter("a", "path")], {"a": "."}, path="/.{a}/admin") == "a"


def test_members_that_are_nothing():
    array = [parameter("a", "path", {"type": "array"})]
    for value in ([""], ["a", ""], [None]):
        assert refuse(array, {"a": value}, path="/{a}") == "a"
    assert refuse([parameter("a", "path", OBJECT)], {"a": {"k": ""}}, path="/{a}") == "a"


def test_literals_of_templates_are_encoded():
    one = operation("/größe/{a}", parameters=[parameter("a", "path")], around={"servers": []})
    assert build_request(one, {"a": 1}).target == b"/gr%C3%B6%C3%9Fe/1"


# Arguments


def test_what_is_required():
    assert refuse([parameter("a", required=True)], {}) == "a"
    assert refuse([parameter("a", required=True)], {"a": None}) == "a"
    assert built([parameter("a")], {"a": None}).target == b"/p"


@pytest.mark.parametrize("name", ["b", "A", "a ", "x" * 200, "\r\nhost: b", "", "__proto__"])
def test_arguments_that_nobody_described(name):
    with pytest.raises(ProtocolError) as caught:
        built([parameter("a")], {"a": "1", name: "2"})
    assert len(caught.value.detail) < 200
    assert "\r" not in caught.value.detail


def test_names_on_the_wire():
    given = [parameter("$top"), parameter("ids[]", schema={"type": "array"}), parameter("X Y")]
    call = built(given, {"top": 1, "ids": [1], "X_Y": "z"})
    assert call.target == b"/p?%24top=1&ids%5B%5D=1&X%20Y=z"


def test_the_same_name_in_several_places():
    given = [parameter("id", "path"), parameter("id"), parameter("id", "header"), parameter("id", "cookie")]
    schema = {"type": "object", "properties": {"id": {"type": "string"}}}
    arguments = {"id": "p", "query_id": "q", "header_id": "h", "cookie_id": "c", "body_id": "b"}
    call = built(given, arguments, path="/{id}", method="post", requestBody=body(schema))
    assert (call.target, call.body) == (b"/p?id=q", b'{"id":"b"}')
    assert call.headers == [(b"accept", b"*/*"), (b"id", b"h"), (b"cookie", b"id=c")]


# Queries, fields and cookies


def test_exploded_objects_choose_no_name_of_another():
    schemes = {"components": {"securitySchemes": {"k": {"type": "apiKey", "in": "query", "name": "Key"}}}}
    given = [parameter("q"), parameter("path"), parameter("more", schema=OBJECT)]
    assert built(given, {"more": {"x": "1", "y": "2"}}, around=schemes).target == b"/p?x=1&y=2"
    for name in ("q", "Q", "path", "path[]", "key", "KEY"):
        assert refuse(given, {"q": "ok", "more": {name: "1"}}, around=schemes) == "more"
    deep = [parameter("q"), parameter("more", schema=OBJECT, style="deepObject", explode=True)]
    assert built(deep, {"more": {"q": "1"}}).target == b"/p?more%5Bq%5D=1"
    assert (
        built([parameter("q"), parameter("m", schema=OBJECT, explode=False)], {"m": {"q": "1"}}).target == b"/p?m=q,1"
    )


def test_a_plain_parameter_is_no_object():
    """Exploded, it would be parameters that nobody described, or a second one of a name that policies judged."""
    for schema in ({"type": "string"}, {}, {"enum": ["a"]}, {"anyOf": [{"type": "string"}, {"type": "array"}]}):
        assert refuse([parameter("q", schema=schema)], {"q": {"admin": "1"}}) == "q"
    nullable = {"anyOf": [{"type": "null"}, {"type": "object"}]}
    assert built([parameter("q", schema=nullable)], {"q": {"a": "1"}}).target == b"/p?a=1"


def test_shapes_of_schemas_that_refer_to_themselves():
    around = {"components": {"schemas": {"A": {"anyOf": [{"$ref": "#/components/schemas/A"}, {"type": "object"}]}}}}
    given = [parameter("q", schema={"items": {}, "allOf": [{"$ref": "#/components/schemas/A"}]})]
    assert built(given, {"q": {"a": "1"}}, around=around).target == b"/p?a=1"


def test_cookies():
    given = [parameter("a", "cookie"), parameter("b", "cookie", {"type": "array"}), parameter("c", "cookie", OBJECT)]
    call = built(given, {"a": "x; sid=1\r\n", "b": [1, 2], "c": {"k": "v"}})
    assert dict(call.headers)[b"cookie"] == b"a=x%3B%20sid%3D1%0D%0A; b=1; b=2; k=v"
    assert refuse(given, {"c": {"a": "1"}}) == "c"


def test_fields():
    call = built([parameter("X-A", "header"), parameter("X-B", "header")], {"X-A": "é", "X-B": 1})
    assert call.headers == [(b"accept", b"*/*"), (b"x-a", "é".encode()), (b"x-b", b"1")]
    assert call.content_type == ""


def test_sizes():
    assert refuse([parameter("a")], {"a": "x" * MAX_TARGET_BYTES}) == "arguments"
    assert refuse([parameter("a", "header")], {"a": "x" * (MAX_FIELD_BYTES + 1)}) == "a"
    assert refuse([parameter("a", "cookie")], {"a": "x" * MAX_FIELD_BYTES}) == "arguments"


@pytest.mark.parametrize(
    ("content", "accepted"),
    [
        ({"text/csv": {}, "application/hal+json": {}, "application/json": {}}, "application/json"),
        ({"text/csv": {}, "application/hal+json; v=1": {}}, "*/*"),
        ({"text/csv": {}, "application/hal+json": {}}, "application/hal+json"),
        ({"text/csv": {}, "image/*": {}, "x\r\ny: z": {}}, "text/csv, image/*"),
        ({}, "*/*"),
    ],
)
def test_what_is_accepted(content, accepted):
    failure = {"description": "", "content": {"text/html": {}}}
    one = operation(responses={"200": {"description": "", "content": content}, "400": failure})
    assert build_request(one, {}).headers == [(b"accept", accepted.encode())]


# Bodies


def test_json():
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "b": {}}}
    call = in_body(schema, {"a": "é\u2028", "b": {"c": [1.5, None, 2**70]}})
    assert call.content_type == "application/json"
    assert json.loads(call.body) == {"a": "é\u2028", "b": {"c": [1.5, None, 2**70]}}
    assert in_body({"type": "object", "properties": {"a": {}}}, {}).body == b"{}"
    assert refused_body(schema, {"b": 1}) == "a"
    assert refused_body(schema, {"a": float("inf")}) == "body"
    assert refused_body({"type": "array"}, {"body": [float("nan")]}) == "body"
    assert refused_body({"type": "array"}, {}) == "body"


def test_a_body_that_need_not_be():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    one = operation(method="post", requestBody={**body(schema), "required": False})
    assert build_request(one, {}).content_type == ""
    assert build_request(one, {"a": "x"}).body == b'{"a":"x"}'
    optional = operation(method="post", requestBody={**body({"type": "array"}), "required": False})
    assert (build_request(optional, {}).body, build_request(optional, {}).content_type) == (b"", "")
    assert build_request(optional, {"body": None}).body == b"null"


def test_open_objects_are_one_argument():
    call = in_body({"type": "object", "additionalProperties": True}, {"body": {"anything": 1}})
    assert call.body == b'{"anything":1}'


FORM = "application/x-www-form-urlencoded"


def test_forms():
    properties = {
        "a": {"type": "string"},
        "b": {"type": "array", "items": {"type": "object"}},
        "c": OBJECT,
        "d": OBJECT,
        "e": {"type": "array"},
    }
    encoding = {
        "c": {"style": "deepObject", "explode": True},
        "e": {"explode": False},
        "b": {"contentType": "application/json"},
    }
    schema = {"type": "object", "properties": properties}
    arguments = {"a": "x y&z", "b": [{"k": 1}, {}], "c": {"k": "v"}, "d": {"k": "v"}, "e": [1, 2]}
    call = in_body(schema, arguments, FORM, encoding=encoding)
    assert call.content_type == FORM
    assert call.body == b"a=x+y%26z&b=%7B%22k%22%3A1%7D&b=%7B%7D&c%5Bk%5D=v&d=%7B%22k%22%3A%22v%22%7D&e=1,2"
    assert in_body(schema, {"a": None}, FORM).body == b""
    assert refused_body(schema, {"a": {"k": 1}}, FORM) == "a"


def test_exploded_objects_in_forms():
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "o": OBJECT}}
    encoding = {"o": {"style": "form"}}
    assert in_body(schema, {"o": {"x": "1"}}, FORM, encoding=encoding).body == b"x=1"
    assert refused_body(schema, {"o": {"a": "1"}}, FORM, encoding=encoding) == "o"


def test_forms_that_are_one_argument():
    schema = {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}, "t": {"type": "array"}},
        "additionalProperties": {"type": "string"},
    }
    call = in_body(schema, {"body": {"file": "aGk=", "x": "1", "o": {"k": 1}, "t": [1, 2]}}, "multipart/form-data")
    parts = read_form(call.body, boundary_of(call.content_type.encode()))
    assert [(part.name, part.filename, call.body[part.start : part.end]) for part in parts] == [
        ("file", "file", b"hi"),
        ("x", None, b"1"),
        ("o", None, b'{"k":1}'),
        ("t", None, b"1"),
        ("t", None, b"2"),
    ]
    assert in_body(schema, {"body": {"x": "1", "y": [1, 2]}}, FORM).body == b"x=1&y=1&y=2"
    assert refused_body(schema, {"body": ["a"]}, FORM) == "body"
    assert refused_body(schema, {"body": {"\ud800": "1"}}, FORM) == "body"


def test_multipart():
    properties = {
        'a"\r\nx: y': {"type": "string"},
        "file": {"type": "string", "contentMediaType": "image/png"},
        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "text": {"type": "string", "contentEncoding": "base64"},
        "o": {"type": "object"},
        "xml": {"type": "string"},
        "maybe": {"type": ["string", "null"], "format": "binary"},
        "note": {"type": "string", "contentMediaType": "text/markdown"},
    }
    schema = {"type": "object", "properties": properties}
    one = operation(
        method="post", requestBody=body(schema, "multipart/form-data", encoding={"xml": {"contentType": "text/xml"}})
    )
    names = [argument.name for argument in one.arguments]
    assert names == ["a_x_y", "file", "files", "text", "o", "xml", "maybe", "note"]
    given = {
        "a_x_y": "v\r\n--heddle",
        "file": "AAE=",
        "files": ["YQ==", "Yg=="],
        "text": "YQ==",
        "o": {"k": 1},
        "xml": "<a/>",
        "maybe": "Yw==",
        "note": "# A",
    }
    call = build_request(one, given)
    parts = read_form(call.body, boundary_of(call.content_type.encode()))
    assert [(part.name, call.body[part.start : part.end]) for part in parts] == [
        ("a%22%0D%0Ax: y", b"v\r\n--heddle"),
        ("file", b"\x00\x01"),
        ("files", b"a"),
        ("files", b"b"),
        ("text", b"YQ=="),
        ("o", b'{"k":1}'),
        ("xml", b"<a/>"),
        ("maybe", b"c"),
        ("note", b"# A"),
    ]
    assert b"Content-Type: image/png\r\n" in call.body
    assert b"Content-Type: text/xml\r\n" in call.body
    assert build_request(one, given) == call, "the same arguments are the same bytes"
    for bad in ("a", "YQ=", "Y Q==", "YQ==\n", "é", "YQ-_", 1, None, ["YQ=="]):
        if bad is not None:
            with pytest.raises(ProtocolError, match="file"):
                build_request(one, {"file": bad})


def test_an_empty_form():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    call = in_body(schema, {}, "multipart/form-data")
    assert call.body == f"--{boundary_of(call.content_type.encode()).decode()}--\r\n".encode()


def test_text_and_bytes():
    assert in_body({"type": "string"}, {"body": "é"}, "text/plain").body == "é".encode()
    assert in_body({"type": "string"}, {"body": "<a/>"}, "application/xml").content_type == "application/xml"
    assert in_body({"type": "integer"}, {"body": 3}, "text/plain").body == b"3"
    call = in_body({"type": "string", "format": "binary"}, {"body": "AAE="}, "image/png")
    assert (call.body, call.content_type) == (b"\x00\x01", "image/png")
    assert refused_body({}, {"body": "?"}, "image/png") == "body"
    assert refused_body({"type": "string"}, {"body": None}, "text/plain") == "body"


def test_nothing_of_a_call_is_kept():
    """One operation serves many callers at once."""
    one = operation(method="post", parameters=[parameter("a")], requestBody=body({"type": "array"}))
    before = repr(one)
    arguments = {"a": "1", "body": [1]}
    build_request(one, arguments)
    assert (repr(one), arguments) == (before, {"a": "1", "body": [1]})
