"""Which operations there are on a kind, as OpenAPI says it.

Owns the paths, their parameters and answers. `x-kubernetes-action` and the kind on each operation are what clients find
their way by.
*Source:* Kubernetes API concepts, "Standard API terminology", "API resource verbs".
"""

from typing import Any, NamedTuple

from heddle.controlplane.openapi_schemas import META, V3, identity, list_name, name_of, reference
from heddle.model.kinds import Kind

_JSON = "application/json"
_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
_STRATEGIC = "application/strategic-merge-patch+json"
_PARAMETERS = {
    "dryRun": ("string", "`All` does everything but commit."),
    "fieldManager": ("string", "Who makes the change, in one word."),
    "fieldValidation": ("string", "What becomes of unknown and repeated fields: `Ignore`, `Warn` or `Strict`."),
    "force": ("boolean", "Take fields away from whoever else owns them, in an apply."),
    "limit": ("integer", "Most items of a page."),
    "continue": ("string", "Where the page begins."),
    "labelSelector": ("string", "Only objects with these labels."),
    "fieldSelector": ("string", "Only objects with these values."),
    "resourceVersion": ("string", "Nothing older than this."),
    "resourceVersionMatch": ("string", "How `resourceVersion` is meant: `Exact` or `NotOlderThan`."),
    "sendInitialEvents": ("boolean", "Begin a watch with what there is."),
    "timeoutSeconds": ("integer", "How long a watch goes on."),
    "watch": ("boolean", "Go on with every change."),
    "allowWatchBookmarks": ("boolean", "Say now and then how far a watch has come."),
    "gracePeriodSeconds": ("integer", "Not used: there is nothing to wait for."),
    "propagationPolicy": ("string", "What becomes of what belongs to it: `Background`, `Foreground` or `Orphan`."),
    "pretty": ("string", "Not used: answers are for programs."),
}
_LIST = ("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
         "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch")  # fmt: skip
_WRITE = ("dryRun", "fieldManager", "fieldValidation")


class _Operation(NamedTuple):
    """One thing that can be done at a path."""

    method: str
    verb: str
    """As access rules name it."""
    action: str
    parameters: tuple[str, ...]
    body: str = ""
    """Name of the body's schema; empty takes none."""
    answer: str = ""
    """Name of the answer's schema."""


def paths_of(kind: Kind, form: str) -> dict[str, Any]:
    """All paths of a kind."""
    base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    inside = f"{base}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{base}/{kind.plural}"
    found = {inside: _many(kind), f"{inside}/{{name}}": _one(kind)}
    if kind.namespaced:
        found = {f"{base}/{kind.plural}": [_list(kind)], **found}
    if kind.has_status and not kind.generated:
        found[f"{inside}/{{name}}/status"] = [one for one in _one(kind) if one.method != "delete"]
    return {path: _item(kind, path, operations, form) for path, operations in found.items()}


def _list(kind: Kind) -> _Operation:
    return _Operation("get", "list", "list", _LIST, answer=list_name(kind))


def _many(kind: Kind) -> list[_Operation]:
    name, status = name_of(kind), f"{META}.Status"
    every = (
        _list(kind),
        _Operation("post", "create", "post", _WRITE, name, name),
        _Operation("delete", "deletecollection", "deletecollection",
                   (*_LIST[1:4], "dryRun", "propagationPolicy"), f"{META}.DeleteOptions", status),
    )  # fmt: skip
    return [one for one in every if one.verb in kind.verbs]


def _one(kind: Kind) -> list[_Operation]:
    name, status = name_of(kind), f"{META}.Status"
    every = (
        _Operation("get", "get", "get", ("resourceVersion",), answer=name),
        _Operation("put", "update", "put", _WRITE, name, name),
        _Operation("patch", "patch", "patch", (*_WRITE, "force"), f"{META}.Patch", name),
        _Operation("delete", "delete", "delete",
                   ("dryRun", "gracePeriodSeconds", "propagationPolicy"), f"{META}.DeleteOptions", status),
    )  # fmt: skip
    return [one for one in every if one.verb in kind.verbs]


def _item(kind: Kind, path: str, operations: list[_Operation], form: str) -> dict[str, Any]:
    write = _operation_v3 if form == V3 else _operation_v2
    made: dict[str, Any] = {one.method: write(kind, path, one) for one in operations}
    inside = [name for name in ("name", "namespace") if f"{{{name}}}" in path]
    made["parameters"] = [_parameter(name, "path", "string", f"The {name}.", form) for name in inside]
    made["parameters"].append(_parameter("pretty", "query", *_PARAMETERS["pretty"], form))
    return made


def _parameter(name: str, where: str, of: str, text: str, form: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "in": where, "description": text}
    made |= {"schema": {"type": of, "uniqueItems": True}} if form == V3 else {"type": of, "uniqueItems": True}
    return made | ({"required": True} if where == "path" else {})


def _shared(kind: Kind, path: str, one: _Operation) -> dict[str, Any]:
    words = "".join(part.strip("{}").title().replace(".", "").replace("-", "") for part in path.split("/"))
    text = f"{one.action} {kind.kind}"
    return {
        "tags": [f"{kind.group or 'core'}_{kind.version}"],
        "description": text,
        "operationId": f"{one.action}{words}",
        "x-kubernetes-action": one.action,
        "x-kubernetes-group-version-kind": identity(kind),
    }


def _media(kind: Kind, one: _Operation) -> list[str]:
    if one.method == "patch":
        return [*_PATCHES, _STRATEGIC] if kind.builtin else [*_PATCHES]
    return [_JSON]


def _answers(one: _Operation) -> dict[str, str]:
    return {"200": "OK", **({"201": "Created"} if one.method in ("post", "put", "patch") else {})}


def _operation_v3(kind: Kind, path: str, one: _Operation) -> dict[str, Any]:
    made = _shared(kind, path, one)
    made["parameters"] = [_parameter(name, "query", *_PARAMETERS[name], "3") for name in sorted(one.parameters)]
    if one.body:
        schema = {"schema": reference(one.body, V3)}
        made["requestBody"] = {"content": dict.fromkeys(_media(kind, one), schema)}
    content = {_JSON: {"schema": reference(one.answer, V3)}}
    made["responses"] = {code: {"description": text, "content": content} for code, text in _answers(one).items()}
    made["responses"]["401"] = {"description": "Unauthorized"}
    return made


def _operation_v2(kind: Kind, path: str, one: _Operation) -> dict[str, Any]:
    made = _shared(kind, path, one)
    made["consumes"] = _media(kind, one)
    made["produces"] = [_JSON]
    made["schemes"] = ["https"]
    made["parameters"] = [_parameter(name, "query", *_PARAMETERS[name], "2") for name in sorted(one.parameters)]
    if one.body:
        required = {"required": True} if one.method != "delete" else {}
        body = {"name": "body", "in": "body", "schema": reference(one.body, "2")}
        made["parameters"].insert(0, body | required)
    schema = {"schema": reference(one.answer, "2")}
    made["responses"] = {code: {"description": text, **schema} for code, text in _answers(one).items()}
    made["responses"]["401"] = {"description": "Unauthorized"}
    return made
