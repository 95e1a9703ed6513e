"""OpenAPI: no argument leaves its place, no document and no answer is a crash, and what is written reads the same."""

import json
from copy import deepcopy
from pathlib import Path
from urllib.parse import parse_qsl, unquote

import jsonschema_rs
import msgspec
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.wire.openapi.documents import BASE, answering, body, operation, parameter

from heddle.wire.errors import ProtocolError
from heddle.wire.multipart import boundary_of, read_form
from heddle.wire.openapi.answer import read_answer
from heddle.wire.openapi.document import read_document
from heddle.wire.openapi.request import build_request
from heddle.wire.openapi.selection import Selection

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
DATA = Path(__file__).parents[2] / "data" / "openapi"
DOCUMENTS = [yaml.safe_load(path.read_text()) for path in sorted(DATA.glob("*.yaml"))]
TEXT = st.text(max_size=12) | st.text("./\\%2eE;&=?#\r\n\x00a,| ", max_size=12)
CLEAN = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
ANY = {"anyOf": [{"type": kind} for kind in ("object", "array", "string")]}

PLACES = operation(
    "/a/{id}/b",
    method="post",
    parameters=[
        parameter("id", "path"),
        *(
            parameter(f"q{index}", schema=ANY, style=style, explode=explode)
            for index, (style, explode) in enumerate(
                [("form", True), ("form", False), ("deepObject", True), ("pipeDelimited", False)]
            )
        ),
        parameter("x-h", "header", ANY),
        parameter("c", "cookie", ANY, explode=False),
    ],
    requestBody=body({}),
)


def outcome(call, *given, **options):
    """What a call returns, or the error that names the place."""
    try:
        return call(*given, **options)
    except ProtocolError as error:
        if not error.param or not error.detail:
            raise
        return error


@calm
@given(st.text(min_size=1) | TEXT)
def test_a_path_argument_is_one_segment(value):
    call = outcome(build_request, PLACES, {"id": value, "body": 1})
    if isinstance(call, ProtocolError):
        assert call.param == "id"
        return
    empty, a, segment, b = call.target.decode("ascii").split("/")
    assert (empty, a, b, unquote(segment)) == ("", "a", "b", value)
    decoded = value
    for _ in range(3):
        assert not {".", ".."} & set(decoded.replace("\\", "/").split("/"))
        decoded = unquote(decoded)


@calm
@given(st.dictionaries(st.sampled_from([one.name for one in PLACES.arguments]), JSON, max_size=4), st.none() | TEXT)
def test_arguments_are_written_or_refused(arguments, unknown):
    arguments = {"id": "1", "body": 1, **arguments, **({} if unknown is None else {unknown: 1})}
    call = outcome(build_request, PLACES, arguments)
    if isinstance(call, ProtocolError):
        return
    path, _, query = call.target.partition(b"?")
    assert path.count(b"/") == 3
    assert not set(query) & set(b'#/?[] "<>\\^`{}|\r\n\x00'), "written as queries must be"
    for name, value in call.headers:
        assert name in (b"accept", b"x-h", b"cookie")
        assert not set(value) & {*range(32), 127}
        assert name != b"cookie" or (value.startswith(b"c=") and b";" not in value)
    assert set(arguments) <= {one.name for one in PLACES.arguments}


LISTS = operation(
    parameters=[parameter("a", schema={"type": "array"}), parameter("b"), parameter("o", schema={"type": "object"})]
)


@calm
@given(st.lists(CLEAN, max_size=4), CLEAN, st.dictionaries(CLEAN.map("k".__add__), CLEAN, max_size=3))
def test_queries_read_the_same(array, text, members):
    query = build_request(LISTS, {"a": array, "b": text, "o": members}).target.partition(b"?")[2].decode()
    expected = [*(("a", one) for one in array), ("b", text), *members.items()]
    assert parse_qsl(query, keep_blank_values=True) == expected


PROPERTIES = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "array"}, "o": {"type": "object"}},
}
FORM = operation(method="post", requestBody=body(PROPERTIES, "application/x-www-form-urlencoded"))
PARTS = operation(method="post", requestBody=body(PROPERTIES, "multipart/form-data"))


@calm
@given(CLEAN, st.lists(CLEAN, max_size=3), st.dictionaries(CLEAN, st.integers() | CLEAN, max_size=3))
def test_forms_read_the_same(text, array, members):
    arguments = {"a": text, "b": array, "o": members}
    form = parse_qsl(build_request(FORM, arguments).body.decode(), keep_blank_values=True)
    call = build_request(PARTS, arguments)
    parts = read_form(call.body, boundary_of(call.content_type.encode()))
    multipart = [(part.name, call.body[part.start : part.end].decode()) for part in parts]
    for read in (form, multipart):
        assert read[:-1] == [("a", text), *(("b", one) for one in array)]
        assert (read[-1][0], json.loads(read[-1][1])) == ("o", members)


ANSWERS = [operation(), operation(responses=answering({"type": "object", "properties": {"a": {}}}))]
BODIES = (
    st.binary(max_size=40)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.integers(0, 10**60).map(lambda n: b'{"a":%d}' % n)
)
TYPES = st.sampled_from(
    ["application/json", "text/plain; charset=utf-16", "image/png", "", "a/b", "text/html; charset=x"]
) | st.text(max_size=20)


@calm
@given(st.sampled_from(ANSWERS), st.integers(0, 999), TYPES, BODIES, st.binary(max_size=20))
def test_every_answer_is_a_result(one, status, content_type, content, link):
    result = read_answer(one, status, content_type, content, [(b"link", link)])
    assert msgspec.json.decode(msgspec.json.encode(result)) == result
    assert result["content"]
    assert result["isError"] or 200 <= status < 300
    structured = result.get("structuredContent")
    assert structured is None or isinstance(structured, dict)
    assert result["isError"] or structured is not None or one is ANSWERS[0]


def places(value, path=()):
    """Every place in a document."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from places(inner, (*path, key))


PLACES_OF = [sorted((way for way in places(one) if way), key=str) for one in DOCUMENTS]
REFERENCES = st.sampled_from(
    ["#/components/schemas/Item", "#/components/schemas/Node", "#/paths", "#/", "#/openapi/x", "http://a/"]
)


@calm
@given(st.data())
def test_changed_documents_are_read_or_refused(data):
    index = data.draw(st.integers(0, len(DOCUMENTS) - 1))
    document = deepcopy(DOCUMENTS[index])
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(PLACES_OF[index]))
        at = document
        try:
            for key in way:
                at = at[key]
            at[last] = data.draw(JSON | REFERENCES.map(lambda reference: {"$ref": reference}))
        except (KeyError, IndexError, TypeError):
            continue
    service = outcome(read_document, document, base_url=BASE, selection=Selection(deprecated=True))
    if isinstance(service, ProtocolError):
        return
    for one in service.operations:
        tool = msgspec.json.decode(msgspec.json.encode(one.tool))
        jsonschema_rs.meta.validate({**tool["inputSchema"], "$schema": "https://json-schema.org/draft/2020-12/schema"})


@calm
@given(JSON)
def test_anything_is_read_or_refused(value):
    for document in (value, {"openapi": "3.1.0", "paths": value}, {"openapi": "3.0.0", "paths": {"/": value}}):
        outcome(read_document, document, base_url=BASE)
