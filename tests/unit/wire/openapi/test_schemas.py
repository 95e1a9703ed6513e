"""Schemas that stand alone: references, cycles, both directions, and documents that mean harm."""

import time
from datetime import date

import jsonschema_rs
import pytest
from tests.unit.wire.openapi.documents import answering, body, document, only, operation, parameter, read, refused

from heddle.wire.openapi.schemas import MAX_DEPTH, MAX_INLINE, MAX_SCHEMA

DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def translated(schema, *, version="3.1.0", **components):
    """A schema as it is in a tool's input, with `$defs` beside it."""
    around = {"version": version, "components": {"schemas": components}}
    tool = operation(parameters=[parameter(schema=schema)], around=around).tool
    jsonschema_rs.meta.validate({**DIALECT, **tool["inputSchema"]})
    jsonschema_rs.Draft202012Validator(tool["inputSchema"])
    defs = {"$defs": tool["inputSchema"]["$defs"]} if "$defs" in tool["inputSchema"] else {}
    return {**tool["inputSchema"]["properties"]["p"], **defs}


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def wrong(schema, *, version="3.1.0", **components):
    given = {"get": {"parameters": [parameter(schema=schema)]}}
    return refused(document({"/p": given}, version=version, components={"schemas": components})).param


AT = "paths./p.get.parameters[0].schema"


# The words of 3.0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": False}, {"type": "string"}),
        ({"type": "string", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"enum": ["a"], "nullable": True}, {"enum": ["a"]}),
        (
            {"allOf": [{"type": "string"}], "nullable": True},
            {"anyOf": [{"allOf": [{"type": "string"}]}, {"type": "null"}]},
        ),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, {"type": "number", "exclusiveMinimum": 1}),
        ({"type": "number", "maximum": 1.5, "exclusiveMaximum": False}, {"type": "number", "maximum": 1.5}),
        ({"type": "number", "exclusiveMaximum": True}, {"type": "number"}),
        ({"type": "string", "example": "a"}, {"type": "string", "examples": ["a"]}),
        ({"type": "string", "xml": {"name": "a"}, "externalDocs": {"url": "b"}}, {"type": "string"}),
        ({"type": "string", "x-mcp-header": "Authorization", "x-y": 1}, {"type": "string"}),
        ({"type": "string", "minLength": 2.0}, {"type": "string", "minLength": 2}),
        ({"type": "string", "description": None, "default": None}, {"type": "string", "default": None}),
        ({"type": "object", "discriminator": {"propertyName": "a"}}, {"type": "object"}),
    ],
)
def test_words_of_3_0(given, expected):
    assert translated(given, version="3.0.3") == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": ["string"]}, {"type": "string"}),
        ({"type": "number", "exclusiveMinimum": 1}, {"type": "number", "exclusiveMinimum": 1}),
        (True, {}),
        ({"not": False}, {"not": {"not": {}}}),
        ({"default": 1.5, "examples": [date(2026, 11, 21)]}, {"default": 1.5, "examples": ["2026-11-21"]}),
        (
            {"$id": "https://evil/", "$anchor": "a", "$schema": "b", "$dynamicRef": "#c", "$comment": "d", "const": 1},
            {"const": 1},
        ),
        (
            {"prefixItems": [{"type": "string"}], "items": False},
            {"prefixItems": [{"type": "string"}], "items": {"not": {}}},
        ),
        ({"if": {"const": 1}, "then": {}, "else": {}}, {"if": {"const": 1}, "then": {}, "else": {}}),
        ({"dependentRequired": {"a": ["b"]}}, {"dependentRequired": {"a": ["b"]}}),
        ({"dependentSchemas": {"a": {"required": ["b", "b"]}}}, {"dependentSchemas": {"a": {"required": ["b"]}}}),
        ({"additionalProperties": {"type": "string"}}, {"additionalProperties": {"type": "string"}}),
        ({"properties": {"$ref": {"type": "string"}}}, {"properties": {"$ref": {"type": "string"}}}),
        ({"enum": [{"$ref": "http://evil/"}]}, {"enum": [{"$ref": "http://evil/"}]}),
    ],
)
def test_words_of_3_1(given, expected):
    assert translated(given) == expected


def test_what_a_discriminator_says():
    given = {
        "oneOf": [ref("Cat"), ref("Dog"), {"type": "string"}],
        "discriminator": {"propertyName": "kind", "mapping": {"cat": "Cat", "lion": "#/components/schemas/Cat"}},
    }
    cat, dog = {"type": "object", "properties": {"lives": {"type": "integer"}}}, {"type": "object"}
    stated = {"properties": {"kind": {"enum": ["cat", "lion"]}}, "required": ["kind"]}
    assert translated(given, Cat=cat, Dog=dog) == {"oneOf": [{"allOf": [cat, stated]}, dog, {"type": "string"}]}


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        (1, ""),
        ([], ""),
        ({"type": "text"}, ".type"),
        ({"type": []}, ".type"),
        ({"type": [None]}, ".type"),
        ({"minimum": "1"}, ".minimum"),
        ({"minimum": True}, ".minimum"),
        ({"maximum": float("nan")}, ".maximum"),
        ({"maximum": float("inf")}, ".maximum"),
        ({"multipleOf": 0}, ".multipleOf"),
        ({"minLength": -1}, ".minLength"),
        ({"minLength": 1.5}, ".minLength"),
        ({"minLength": float("inf")}, ".minLength"),
        ({"minLength": True}, ".minLength"),
        ({"required": True}, ".required"),
        ({"required": [1]}, ".required[0]"),
        ({"properties": []}, ".properties"),
        ({"properties": {1: {}}}, ".properties"),
        ({"properties": {"a": 1}}, ".properties.a"),
        ({"patternProperties": {"a": 1}}, ".patternProperties.a"),
        ({"items": [{}]}, ".items"),
        ({"allOf": []}, ".allOf"),
        ({"allOf": {}}, ".allOf"),
        ({"anyOf": [{}, 1]}, ".anyOf[1]"),
        ({"enum": "a"}, ".enum"),
        ({"enum": [object()]}, ".enum[0]"),
        ({"enum": [float("inf")]}, ".enum[0]"),
        ({"default": {1: 2}}, ".default"),
        ({"default": "\ud800"}, ".default"),
        ({"uniqueItems": "yes"}, ".uniqueItems"),
        ({"pattern": 1}, ".pattern"),
        ({"dependentRequired": {"a": 1}}, ".dependentRequired.a"),
        ({"discriminator": 1}, ".discriminator"),
        ({"discriminator": {"mapping": {"a": 1}}}, ".discriminator.mapping"),
        ({"$ref": 1}, ".$ref"),
        ({"$ref": "#/components/schemas/None"}, ".$ref"),
        ({"items": {"$ref": "#/components/schemas/None"}}, ".items.$ref"),
        ({"items": {"$ref": "#/paths/~1p/get/parameters/1"}}, ".items.$ref"),
        ({"items": {"$ref": "#/paths/~1p/get/parameters/0/in/x"}}, ".items.$ref"),
    ],
)
def test_what_is_no_schema(schema, place):
    assert wrong({"not": schema}) == f"{AT}.not{place}"


# References


def test_references_are_written_in_place():
    one = translated({"type": "array", "items": ref("A")}, A={"allOf": [ref("B")]}, B={"type": "string"})
    assert one == {"type": "array", "items": {"allOf": [{"type": "string"}]}}


def test_references_to_anywhere():
    schema = {"$ref": "#/components/schemas/A%20b/properties/c~1d~0/allOf/1"}
    assert translated(schema, **{"A b": {"properties": {"c/d~": {"allOf": [{}, {"type": "null"}]}}}}) == {
        "type": "null"
    }


def test_what_stands_beside_a_reference():
    beside = {**ref("A"), "description": "Here."}
    inside = {"items": beside}
    assert translated(inside, version="3.0.3", A={"type": "string"}) == {"items": {"type": "string"}}
    assert translated(inside, A={"type": "string"}) == {"items": {"type": "string", "description": "Here."}}
    constrained = {"items": {**ref("A"), "minLength": 1, "allOf": [{"maxLength": 2}]}}
    assert translated(constrained, A={"type": "string"}) == {
        "items": {"minLength": 1, "allOf": [{"type": "string"}, {"maxLength": 2}]}
    }


def test_cycles_are_named():
    node = {"type": "object", "properties": {"next": ref("Node"), "value": ref("Value")}}
    named = {**node, "properties": {"next": {"$ref": "#/$defs/Node"}, "value": {"type": "string"}}}
    assert translated(ref("Node"), Node=node, Value={"type": "string"}) == {**named, "$defs": {"Node": named}}


def test_cycles_of_several():
    found = translated({"items": ref("A")}, A={"items": ref("B")}, B={"items": ref("C")}, C={"items": ref("A")})
    assert found == {
        "items": {"$ref": "#/$defs/A"},
        "$defs": {
            "A": {"items": {"$ref": "#/$defs/B"}},
            "B": {"items": {"$ref": "#/$defs/C"}},
            "C": {"items": {"$ref": "#/$defs/A"}},
        },
    }


def test_recursive_all_of():
    found = translated({"items": ref("A")}, A={"allOf": [ref("A"), {"type": "object"}]})
    assert found["$defs"] == {"A": {"allOf": [{"$ref": "#/$defs/A"}, {"type": "object"}]}}
    assert wrong(ref("A"), version="3.0.3", A=ref("B"), B=ref("A")).startswith("components.schemas.")
    assert wrong(ref("A"), version="3.0.3", A=ref("A")) == "components.schemas.A"


def test_names_of_definitions_depend_on_the_place_alone():
    strange = {"$ref": "#/components/schemas/a b"}
    found = translated({"items": strange}, **{"a b": {"items": strange}})
    [name] = found["$defs"]
    assert name.startswith("a_b_")
    assert found["items"] == {"$ref": f"#/$defs/{name}"}


def test_tools_share_nothing_but_what_they_use():
    schemas = {"A": {"type": "object", "properties": {"a": ref("A")}}, "B": {"type": "object", "properties": {}}}
    paths = {f"/{name}": {"get": {"operationId": name, "responses": answering(ref(name))}} for name in ("A", "B")}
    one, other = read(document(paths, components={"schemas": schemas})).operations
    assert list(one.tool["outputSchema"]["$defs"]) == ["A"]
    assert "$defs" not in other.tool["outputSchema"]


# Directions


def test_directions_through_references_and_cycles():
    node = {
        "type": "object",
        "required": ["id", "password", "next"],
        "properties": {"id": ref("Id"), "password": {"type": "string", "writeOnly": True}, "next": ref("Node")},
    }
    around = {"components": {"schemas": {"Node": node, "Id": {"type": "integer", "readOnly": True}}}}
    tool = operation(method="put", requestBody=body(ref("Node")), responses=answering(ref("Node")), around=around).tool
    assert tool["inputSchema"]["required"] == ["password", "next"]
    assert tool["inputSchema"]["$defs"]["Node"]["required"] == ["password", "next"]
    assert tool["outputSchema"]["required"] == ["id", "next"]
    assert list(tool["outputSchema"]["$defs"]["Node"]["properties"]) == ["id", "next"]


# Documents that mean harm


def timed(call):
    start = time.perf_counter()
    found = call()
    assert time.perf_counter() - start < 20
    return found


def doubling(levels):
    """A schema of 2^levels values."""
    schemas = {
        f"S{level}": {"type": "object", "properties": {"a": ref(f"S{level + 1}"), "b": ref(f"S{level + 1}")}}
        for level in range(levels)
    }
    return {**schemas, f"S{levels}": {"type": "string"}}


def test_doubling_references_are_named_instead():
    found = timed(lambda: translated({"items": ref("S0")}, **doubling(40)))
    assert found["items"] == {"$ref": "#/$defs/S0"}
    assert len(found["$defs"]) == 41
    few = translated({"items": ref("S0")}, **doubling(4))
    assert "$defs" not in few


def test_an_output_that_is_too_large_is_left_out():
    around = {"components": {"schemas": doubling(1500)}}
    assert "outputSchema" not in timed(lambda: operation(responses=answering(ref("S0")), around=around)).tool


def test_long_chains_of_references():
    chain = {f"S{level}": {"items": ref(f"S{level + 1}")} for level in range(3_000)}
    found = timed(lambda: translated(ref("S0"), **chain, S3000={"type": "string"}))
    assert len(found["$defs"]) == 3_000
    # What was translated before is not nested deeper than it may be either.
    paths = {
        f"/{level}": {"get": {"parameters": [parameter(schema=ref(f"S{level}"))]}} for level in range(200, -1, -20)
    }
    short = {f"S{level}": {"items": ref(f"S{level + 1}")} for level in range(220)}
    service = read(document(paths, components={"schemas": {**short, "S220": {}}}))
    for one in service.operations:
        assert depth_of(one.tool["inputSchema"]) <= MAX_DEPTH + 5


def depth_of(schema):
    inner = schema.get("items") or schema.get("properties", {}).get("p")
    return 1 + depth_of(inner) if inner else 0


def test_nesting_without_references():
    schema = {}
    for _ in range(MAX_DEPTH + 2):
        schema = {"items": schema}
    assert wrong(schema).endswith(".items")
    data = []
    for _ in range(100):
        data = [data]
    assert wrong({"default": data}).startswith(f"{AT}.default[0]")


def test_huge_enumerations():
    assert wrong({"enum": list(range(MAX_SCHEMA + 1))}).startswith(f"{AT}.enum")
    assert len(translated({"enum": list(range(MAX_INLINE - 10))})["enum"]) == MAX_INLINE - 10
    assert wrong({"required": [f"r{index}" for index in range(MAX_SCHEMA + 1)]}) == f"{AT}.required"
    assert wrong({"description": "a" * 256 * (MAX_SCHEMA + 1)}) == f"{AT}.description"


def test_a_tool_has_one_room_for_all_its_arguments():
    many = [parameter(f"p{index}", schema={"enum": list(range(1_500))}) for index in range(10)]
    error = refused(document({"/p": {"get": {"parameters": many}}}))
    assert error.param.startswith("paths./p.get.parameters[6].schema")


def test_a_document_has_one_account():
    paths = {f"/{index}": {"get": {"parameters": [parameter(schema=ref("A"))]}} for index in range(1_900)}
    error = timed(lambda: refused(document(paths, components={"schemas": {"A": {"enum": list(range(1_900))}}})))
    assert "select fewer" in error.detail


def test_what_many_operations_answer_with_is_measured_once():
    values = {name: {"enum": list(range(MAX_INLINE - 100))} for name in "ab"}
    around = {
        "Big": {"type": "object", "properties": values},
        "List": {"type": "object", "properties": {"b": ref("Big")}},
    }
    paths = {
        f"/{name}{index}": {"get": {"responses": answering(ref(name))}}
        for name in ("Big", "List")
        for index in range(500)
    }
    service = timed(lambda: read(document(paths, components={"schemas": around})))
    assert len(service.operations) == 1_000
    assert not any("outputSchema" in one.tool for one in service.operations)


@pytest.mark.parametrize("first", [0, 20, 50, 90])
def test_a_tool_does_not_depend_on_what_was_read_before(first):
    """Its hash is pinned: it may not change because another operation was left out."""
    chain = {f"S{level}": {"items": ref(f"S{level + 1}")} for level in range(100)}
    schemas = {**chain, "S100": {"items": ref("S99"), "enum": list(range(300))}, **doubling(9)}
    schemas["W"] = {"properties": {"a": {"enum": list(range(300))}, "b": ref("S50")}}
    wanted = [f"S{first}", "W", "S95", "S50", "S0", "S36", "S37", "S40", "S9"]
    paths = {
        f"/{index}": {"get": {"parameters": [parameter(schema=ref(name))], "responses": answering(ref(name))}}
        for index, name in enumerate(wanted)
    }
    around = {"components": {"schemas": schemas}}
    together = {one.path: one.tool for one in read(document(paths, **around)).operations}
    alone = {path: only(document({path: item}, **around)).tool for path, item in paths.items()}
    assert together == alone
    assert any("$defs" in tool["inputSchema"] for tool in together.values())


def test_text_that_many_operations_share():
    text = "a" * 1_000_000
    error = timed(lambda: refused(document({f"/{index}": {"get": {"description": text}} for index in range(1_000)})))
    assert "select fewer" in error.detail


def test_yaml_that_contains_itself():
    loop = {"type": "object", "properties": {}}
    loop["properties"]["loop"] = loop
    assert timed(lambda: wrong(loop)).startswith(AT)
    chain = {}
    chain["$ref"] = chain
    assert wrong(chain) == f"{AT}.$ref"
    data = []
    data.append(data)
    assert timed(lambda: wrong({"default": data})).startswith(f"{AT}.default")
    knot = {"items": ref("Knot")}
    knot["allOf"] = [knot]
    assert timed(lambda: wrong({"items": ref("Knot")}, Knot=knot))


def test_yaml_that_doubles_itself():
    value = {"type": "string"}
    for _ in range(40):
        value = {"type": "object", "properties": {"a": value, "b": value}}
    assert timed(lambda: wrong(value)).startswith(AT)
    data = ["lol"]
    for _ in range(30):
        data = [data, data]
    assert timed(lambda: wrong({"default": data})).startswith(f"{AT}.default")
