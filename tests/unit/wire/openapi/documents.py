"""Small documents for tests, and what is read of them."""

from typing import Any

import pytest

from heddle.wire.errors import ProtocolError
from heddle.wire.openapi.document import read_document
from heddle.wire.openapi.operation import Operation, Service

BASE = "http://127.0.0.1:9303"


def document(paths: Any = None, *, version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    return {"openapi": version, "info": {"title": "T", "version": "1"}, "paths": paths or {}, **more}


def parameter(name: str = "p", location: str = "query", schema: Any = None, **more: Any) -> dict[str, Any]:
    required = {"required": True} if location == "path" else {}
    return {"name": name, "in": location, "schema": schema or {"type": "string"}, **required, **more}


def body(schema: Any, media_type: str = "application/json", *, required: bool = True, **more: Any) -> dict[str, Any]:
    return {"required": required, "content": {media_type: {"schema": schema, **more}}}


def answering(schema: Any) -> dict[str, Any]:
    return {"200": {"description": "", "content": {"application/json": {"schema": schema}}}}


def read(value: Any, **options: Any) -> Service:
    return read_document(value, **{"base_url": BASE, **options})


def only(value: Any, **options: Any) -> Operation:
    [one] = read(value, **options).operations
    return one


def operation(
    path: str = "/p", method: str = "get", *, around: dict[str, Any] | None = None, **given: Any
) -> Operation:
    """The one operation of a document; `around` are other fields of the document."""
    return only(document({path: {method: {"operationId": "op", "responses": {}, **given}}}, **(around or {})))


def refused(value: Any, **options: Any) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        read(value, **options)
    error = caught.value
    assert error.param is not None
    assert error.detail.startswith(f"{error.param}: ")
    return error
