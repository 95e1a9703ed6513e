"""What is offered: by id, tag, method, path, and not what is deprecated."""

import pytest
from tests.unit.wire.openapi.documents import document, read

from heddle.wire.openapi.selection import Filter, Selection, select

DOCUMENT = document(
    {
        "/pets": {
            "get": {"operationId": "pets.list", "tags": ["pets", "public"]},
            "post": {"operationId": "pets.create", "tags": ["pets"]},
        },
        "/pets/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {}}],
            "delete": {"operationId": "pets.delete", "tags": ["pets", "admin"]},
        },
        "/old": {"get": {"operationId": "old", "deprecated": True}},
    }
)
EVERYTHING = ["pets_list", "pets_create", "pets_delete", "old"]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), EVERYTHING[:3]),
        (Selection(deprecated=True), EVERYTHING),
        (Selection(include=(Filter(operation_id="old"),)), []),
        (Selection(include=(Filter(operation_id="old"),), deprecated=True), ["old"]),
        (Selection(include=(Filter(operation_id="pets.*"),)), EVERYTHING[:3]),
        (Selection(include=(Filter(tag="public"), Filter(tag="admin"))), ["pets_list", "pets_delete"]),
        (Selection(include=(Filter(tag="pets", method="post"),)), ["pets_create"]),
        (Selection(include=(Filter(method="GET"),), deprecated=True), ["pets_list", "old"]),
        (Selection(include=(Filter(path="/pets/*"),)), ["pets_delete"]),
        (Selection(include=(Filter(path="/pets*"),)), EVERYTHING[:3]),
        (Selection(exclude=(Filter(tag="admin"),)), EVERYTHING[:2]),
        (Selection(include=(Filter(tag="pets"),), exclude=(Filter(method="delete"), Filter(path="/pets"))), []),
        (Selection(exclude=(Filter(),)), []),
        (Selection(include=(Filter(operation_id="pets.lis?"),)), []),
    ],
)
def test_selections(selection, expected):
    assert [one.name for one in read(DOCUMENT, selection=selection).operations] == expected
    whole = read(DOCUMENT, selection=Selection(deprecated=True))
    assert [one.name for one in select(whole, selection).operations] == expected, "before and after reading alike"


def test_the_rest_of_a_service_stays():
    whole = read(DOCUMENT)
    assert select(whole, Selection()) == whole
