"""OpenAPI of the kinds: what clients look for is there, references lead somewhere, and both encodings say the same."""

import hashlib
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from heddle.controlplane.kinds import served_kinds
from heddle.controlplane.openapi import (
    Described,
    document_path,
    openapi_v2,
    openapi_v2_protobuf,
    openapi_v3,
    openapi_v3_index,
)
from heddle.controlplane.openapi_schemas import name_of
from heddle.model.crd import kinds_of_crd
from heddle.model.kinds import Kind, Kinds

GOLDEN = Path(__file__).parents[2] / "golden" / "kubernetes-api" / "crds.yaml"
KINDS = served_kinds()
VERSIONS = [(group, version) for group, versions in KINDS.versions().items() for version in versions]
V2: dict[str, Any] = json.loads(openapi_v2(KINDS))


def v3(group: str, version: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(openapi_v3(KINDS, group, version))
    return made


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, operation


def test_the_index_names_every_document_and_its_hash():
    index = json.loads(openapi_v3_index(KINDS))["paths"]
    assert set(index) == {document_path(*one) for one in VERSIONS}
    for group, version in VERSIONS:
        path = document_path(group, version)
        digest = hashlib.sha512(openapi_v3(KINDS, group, version)).hexdigest().upper()
        assert index[path] == {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}


@pytest.mark.parametrize(("group", "version"), VERSIONS)
def test_every_reference_leads_somewhere(group: str, version: str):
    document = openapi_v3(KINDS, group, version).decode()
    schemas = json.loads(document)["components"]["schemas"]
    referred = re.findall(r'"\$ref":"([^"]+)"', document)
    assert referred
    assert {one.removeprefix("#/components/schemas/") for one in referred} <= set(schemas)


def test_every_reference_of_version_two_leads_somewhere():
    referred = re.findall(r'"\$ref":"([^"]+)"', openapi_v2(KINDS).decode())
    assert {one.removeprefix("#/definitions/") for one in referred} <= set(V2["definitions"])
    assert "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" in V2["definitions"]


@pytest.mark.parametrize("kind", list(KINDS), ids=lambda one: f"{one.resource}/{one.version}")
def test_clients_find_a_kind_by_its_identity(kind: Kind):
    document = v3(kind.group, kind.version)
    wanted = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    schema = document["components"]["schemas"][name_of(kind)]
    assert schema["x-kubernetes-group-version-kind"] == [wanted]
    assert schema["properties"]["metadata"]["allOf"]
    found = [one for one in operations(document) if one[2]["x-kubernetes-group-version-kind"] == wanted]
    actions = {(method, operation["x-kubernetes-action"]) for _, method, operation in found}
    assert ("get", "get") in actions
    assert ("get", "list") in actions
    assert (("patch", "patch") in actions) == ("patch" in kind.verbs)


@pytest.mark.parametrize("kind", [one for one in KINDS if "patch" in one.verbs], ids=lambda one: one.resource)
@pytest.mark.parametrize("form", ["v2", "v3"])
def test_clients_trust_the_server_with_validation(kind: Kind, form: str):
    """kubectl looks for `fieldValidation` and `dryRun` among the parameters of the PATCH of a kind."""
    document = V2 if form == "v2" else v3(kind.group, kind.version)
    wanted = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    patches = [one for _, method, one in operations(document) if method == "patch"]
    own = [one for one in patches if one["x-kubernetes-group-version-kind"] == wanted]
    assert own
    for operation in own:
        names = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
        assert names >= {"dryRun", "fieldManager", "fieldValidation", "force"}


def test_operations_have_names_of_their_own():
    for document in (V2, *(v3(*one) for one in VERSIONS)):
        names = [operation["operationId"] for _, _, operation in operations(document)]
        assert len(set(names)) == len(names)


def test_strategic_patches_are_for_kubernetes_own_kinds():
    strategic = "application/strategic-merge-patch+json"
    own = {path for path, method, one in operations(V2) if method == "patch" and strategic in one["consumes"]}
    assert "/api/v1/namespaces/{namespace}/secrets/{name}" in own
    assert not [path for path in own if "kagent.dev" in path]


def test_version_two_says_less_where_it_has_no_words():
    status = V2["definitions"]["dev.heddle.v1alpha1.Model"]["properties"]["status"]
    assert "properties" not in status, "fields that are kept unlisted must not be refused by a client"
    assert "nullable" not in openapi_v2(KINDS).decode()
    assert "x-kubernetes-validations" not in openapi_v2(KINDS).decode()


def test_rules_and_merge_keys_are_published():
    agent = v3("kagent.dev", "v1alpha2")["components"]["schemas"]["dev.kagent.v1alpha2.Agent"]
    assert agent["properties"]["spec"]["x-kubernetes-validations"]
    service = v3("", "v1")["components"]["schemas"]["io.k8s.api.core.v1.Service"]
    ports = service["properties"]["spec"]["properties"]["ports"]
    assert ports["x-kubernetes-patch-merge-key"] == "port"
    assert "nullable" not in json.dumps(service)


def test_kinds_of_a_definition_are_described_too():
    kinds = Kinds(one for crd in yaml.safe_load_all(GOLDEN.read_text()) for one in kinds_of_crd(crd))
    described = Described(kinds)
    document = described.v3("apis/kagent.dev/v1alpha2")
    assert document is not None
    assert b"dev.kagent.v1alpha2.ModelConfig" in document
    assert described.v3("apis/kagent.dev/v9") is None
    assert described.v3("../../etc/passwd") is None
    assert b"dev.kagent" in described.v2()
    assert b"dev.kagent" in described.v2_protobuf()


def test_documents_are_made_once():
    assert openapi_v2(KINDS) is openapi_v2(KINDS)
    assert openapi_v2_protobuf(KINDS) is openapi_v2_protobuf(KINDS)
    with pytest.raises(KeyError):
        openapi_v3(KINDS, "nobody.example", "v1")


# The protobuf form, read with nothing but the numbers of the .proto file.


def fields(data: bytes) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            found.append((number, varint()))
        elif kind == 1:
            found.append((number, struct.unpack("<d", data[at : at + 8])[0]))
            at += 8
        else:
            assert kind == 2, kind
            size = varint()
            assert at + size <= len(data)
            found.append((number, data[at : at + size]))
            at += size
    return found


def only(data: bytes, number: int) -> Any:
    (value,) = [one for key, one in fields(data) if key == number]
    return value


def named(data: bytes, number: int) -> dict[str, bytes]:
    entries = [fields(one) for key, one in fields(data) if key == number]
    return {dict(one)[1].decode(): dict(one).get(2, b"") for one in entries}


PATHS, DEFINITIONS = named(only(openapi_v2_protobuf(KINDS), 8), 2), named(only(openapi_v2_protobuf(KINDS), 9), 1)


def schema(data: bytes) -> dict[str, Any]:
    """A Schema message as JSON."""
    texts = {1: "$ref", 2: "format", 4: "description", 13: "pattern"}
    numbers = {11: "maxLength", 12: "minLength", 14: "maxItems", 15: "minItems", 17: "maxProperties"}
    made: dict[str, Any] = {}
    for number, value in fields(data):
        if number in texts:
            made[texts[number]] = value.decode()
        elif number in numbers:
            made[numbers[number]] = value
        elif number in (7, 9):
            made["maximum" if number == 7 else "minimum"] = value
        elif number in (8, 10):
            made["exclusiveMaximum" if number == 8 else "exclusiveMinimum"] = bool(value)
        elif number == 5:
            made["default"] = json.loads(only(value, 2))
        elif number == 19:
            made.setdefault("required", []).append(value.decode())
        elif number == 20:
            made.setdefault("enum", []).append(json.loads(only(value, 2)))
        elif number == 21:
            made["additionalProperties"] = schema(only(value, 1))
        elif number == 22:
            made["type"] = only(value, 1).decode()
        elif number == 23:
            made["items"] = schema(only(value, 1))
        elif number == 25:
            made["properties"] = {name: schema(one) for name, one in named(value, 1).items()}
        elif number == 31:
            extension = dict(fields(value))
            made[extension[1].decode()] = json.loads(only(extension[2], 2))
        else:
            raise AssertionError(number)
    return made


@pytest.mark.parametrize("name", sorted(V2["definitions"]))
def test_protobuf_says_what_json_says(name: str):
    assert schema(DEFINITIONS[name]) == V2["definitions"][name]


def test_protobuf_has_every_path_and_what_kubectl_looks_for_in_it():
    assert set(PATHS) == set(V2["paths"])
    patch = only(PATHS["/apis/kagent.dev/v1alpha2/namespaces/{namespace}/agents/{name}"], 8)
    extensions = {
        name: json.loads(only(value, 2))
        for name, value in (
            (dict(fields(one))[1].decode(), dict(fields(one))[2]) for key, one in fields(patch) if key == 13
        )
    }
    assert extensions["x-kubernetes-group-version-kind"] == {
        "group": "kagent.dev", "kind": "Agent", "version": "v1alpha2"
    }  # fmt: skip
    names = set()
    for key, item in fields(patch):
        if key == 8:
            parameter = only(item, 1)
            kind, content = fields(parameter)[0]
            if kind == 2:
                names.add(only(only(content, 3), 4).decode())
    assert names >= {"dryRun", "fieldManager", "fieldValidation", "force"}
