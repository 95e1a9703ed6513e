"""OpenAPI of what is served: version 3 by group and version, version 2 as one document, both as bytes made once.

Clients trust the server to check fields only where they find `fieldValidation` here, `kubectl explain` reads nothing
else, and tools that work out differences need each `$ref` to lead somewhere. Owns the documents; which operations there
are is in `openapi_paths`, how a schema is published in `openapi_schemas`, and version 2 in protobuf in
`openapi_protobuf`.
*Source:* OpenAPI 3.0.0, 2.0; Kubernetes API concepts, "OpenAPI V3".
"""

import hashlib
from functools import lru_cache
from typing import Any

import msgspec

from heddle.controlplane.openapi_paths import paths_of
from heddle.controlplane.openapi_protobuf import encode_document
from heddle.controlplane.openapi_schemas import V2, V3, common, component, component_list, list_name, name_of
from heddle.model.kinds import Kind, Kinds

_INFO = {"title": "Heddle", "version": "v1"}


class Described:
    """The documents of some kinds, each made when it is first asked for."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._paths = {document_path(one.group, one.version): (one.group, one.version) for one in kinds}

    def v2(self) -> bytes:
        """Everything, in version 2, as JSON."""
        return openapi_v2(self._kinds)

    def v2_protobuf(self) -> bytes:
        """Everything, in version 2, as protobuf."""
        return openapi_v2_protobuf(self._kinds)

    def v3_index(self) -> bytes:
        """Where the documents of version 3 are."""
        return openapi_v3_index(self._kinds)

    def v3(self, path: str) -> bytes | None:
        """The document at `path`, such as `apis/kagent.dev/v1alpha2`; None where there is none."""
        found = self._paths.get(path)
        return openapi_v3(self._kinds, *found) if found is not None else None


@lru_cache(maxsize=8)
def openapi_v3_index(kinds: Kinds) -> bytes:
    """What `/openapi/v3` answers: where each document is, with the hash of what is in it."""
    paths = {}
    for group, versions in kinds.versions().items():
        for version in versions:
            path = document_path(group, version)
            digest = hashlib.sha512(openapi_v3(kinds, group, version)).hexdigest().upper()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return msgspec.json.encode({"paths": paths})


def document_path(group: str, version: str) -> str:
    """Where a document is, below `/openapi/v3/`."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


@lru_cache(maxsize=256)
def openapi_v3(kinds: Kinds, group: str, version: str) -> bytes:
    """The document of one version of a group. Raises KeyError when it is not served."""
    found = [one for one in kinds if (one.group, one.version) == (group, version)]
    if not found:
        raise KeyError(document_path(group, version))
    document = {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": {path: item for one in found for path, item in paths_of(one, V3).items()},
        "components": {"schemas": _schemas(found, V3)},
    }
    return msgspec.json.encode(document)


@lru_cache(maxsize=8)
def openapi_v2(kinds: Kinds) -> bytes:
    """The document of everything, as JSON."""
    return msgspec.json.encode(_document_v2(kinds))


@lru_cache(maxsize=8)
def openapi_v2_protobuf(kinds: Kinds) -> bytes:
    """The document of everything, as protobuf."""
    return encode_document(_document_v2(kinds))


def _document_v2(kinds: Kinds) -> dict[str, Any]:
    return {
        "swagger": "2.0",
        "info": _INFO,
        "paths": {path: item for one in kinds for path, item in paths_of(one, V2).items()},
        "definitions": _schemas(list(kinds), V2),
    }


def _schemas(kinds: list[Kind], form: str) -> dict[str, Any]:
    found = common(form, [(one.group, one.version) for one in kinds])
    for one in kinds:
        found[name_of(one)] = component(one, form)
        found[list_name(one)] = component_list(one, form)
    return dict(sorted(found.items()))
