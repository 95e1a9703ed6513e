"""How a kind's schema is published: under which name, with references where clients expect them, without what a form of
OpenAPI cannot say.

*Source:* apiextensions-apiserver `pkg/controller/openapi/builder` (names, what version 2 leaves out); OpenAPI 3.0.0 and
2.0, Schema Object.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

from heddle.model.api_types import COMMON
from heddle.model.fielddocs import AnyStruct
from heddle.model.kinds import Kind
from heddle.model.structural import bare_schema

V2, V3 = "2", "3"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_BUILTIN = {
    "": "io.k8s.api.core",
    "events.k8s.io": "io.k8s.api.events",
    "rbac.authorization.k8s.io": "io.k8s.api.rbac",
    "coordination.k8s.io": "io.k8s.api.coordination",
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
}
"""Names of Kubernetes' own groups; those of others are their domain, backwards."""
_NOT_IN_V2 = ("anyOf", "oneOf", "not", "x-kubernetes-validations", "nullable")
_GVK = "x-kubernetes-group-version-kind"


def name_of(kind: Kind) -> str:
    """The name a kind's schema has."""
    if kind.builtin:
        return f"{_BUILTIN[kind.group]}.{kind.version}.{kind.kind}"
    return f"{'.'.join(reversed(kind.group.split('.')))}.{kind.version}.{kind.kind}"


def list_name(kind: Kind) -> str:
    """The name the schema of lists of a kind has."""
    return f"{name_of(kind).removesuffix(kind.kind)}{kind.list_kind or f'{kind.kind}List'}"


def reference(name: str, form: str) -> dict[str, Any]:
    """A reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}" if form == V3 else f"#/definitions/{name}"}


def component(kind: Kind, form: str) -> dict[str, Any]:
    """The schema of a kind."""
    made: dict[str, Any] = published(kind.schema, form, builtin=kind.builtin)
    properties = dict(made.get("properties", {}))
    for name, text in (("apiVersion", "Group and version of the kind."), ("kind", "The kind.")):
        properties[name] = {"type": "string", "description": text}
    properties["metadata"] = _described(f"{META}.ObjectMeta", "Who the object is.", form)
    return made | {"properties": properties, _GVK: [identity(kind)]}


def component_list(kind: Kind, form: str) -> dict[str, Any]:
    """The schema of lists of a kind."""
    item = reference(name_of(kind), form)
    text = {"type": "string"}
    return {
        "type": "object",
        "description": f"A list of {kind.kind}.",
        "required": ["items"],
        "properties": {
            "apiVersion": text | {"description": "Group and version of the kind."},
            "kind": text | {"description": "The kind."},
            "metadata": _described(f"{META}.ListMeta", "What the list is a picture of.", form),
            "items": {"type": "array", "description": "The objects.", "items": item},
        },
        _GVK: [identity(kind) | {"kind": kind.list_kind or f"{kind.kind}List"}],
    }


def identity(kind: Kind) -> dict[str, str]:
    """Group, version and kind."""
    return {"group": kind.group, "kind": kind.kind, "version": kind.version}


def common(form: str, versions: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The schemas that all kinds refer to. Options of a delete are there for each of `versions`."""
    made = {f"{META}.{name}": published(_common(struct), form, builtin=True) for name, struct in COMMON.items()}
    for name in ("ObjectMeta", "ListMeta", "OwnerReference", "ManagedFieldsEntry"):
        made[f"{META}.{name}"].pop(_GVK, None)
    served = sorted({("", "v1"), *versions})
    made[f"{META}.DeleteOptions"][_GVK] = [
        {"group": group, "kind": "DeleteOptions", "version": version} for group, version in served
    ]
    made[f"{META}.Status"][_GVK] = [{"group": "", "kind": "Status", "version": "v1"}]
    made[f"{META}.Patch"] = {"type": "object", "description": "A patch, in the form its media type names."}
    return made


@cache
def _common(struct: AnyStruct) -> dict[str, Any]:
    return bare_schema(struct)


def _described(name: str, text: str, form: str) -> dict[str, Any]:
    """A reference with a description, which in version 3 must not stand beside it."""
    if form == V3:
        return {"description": text, "default": {}, "allOf": [reference(name, form)]}
    return reference(name, form) | {"description": text}


def published(schema: dict[str, Any], form: str, *, builtin: bool) -> dict[str, Any]:
    """A schema as a form of OpenAPI has it. Kubernetes' own kinds take null for anything and do not say so."""
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if (key == "nullable" and builtin) or (form == V2 and key in _NOT_IN_V2):
            continue
        if key == "properties":
            made[key] = {name: published(one, form, builtin=builtin) for name, one in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            made[key] = published(value, form, builtin=builtin)
        else:
            made[key] = value
    return _opened(made, schema) if form == V2 else made


def _opened(made: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Version 2 has no word for fields that are kept unlisted, nor for null: what allows either says less."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        made = {key: value for key, value in made.items() if key not in ("properties", "items", "required")}
    if schema.get("nullable") and not schema.get("x-kubernetes-int-or-string"):
        made.pop("default", None)
    return made
