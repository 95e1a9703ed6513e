"""CustomResourceDefinitions of what is served: there to be read, and to be written by programs that bring their own.

Owns their objects in the store. A write of one that is served changes nothing and says so in a warning, so that a chart
which brings the CRDs of its kinds installs; one that is not served is refused, as kinds cannot be added at run time.
*Source:* apiextensions.k8s.io/v1 CustomResourceDefinition, status conditions.
"""

import contextlib
from typing import Any

from heddle.controlplane.access.caller import CONTROL_PLANE
from heddle.controlplane.api import answer, bodies, forms, metadata
from heddle.controlplane.api.core import Call, Core
from heddle.controlplane.api.parts import Object
from heddle.drivers.documents import Author, ConflictError, Key, Write
from heddle.model.crd import crds_of
from heddle.wire.kube import status
from heddle.wire.kube.status import ApiError

RESOURCE = "customresourcedefinitions.apiextensions.k8s.io"


async def install(core: Core) -> None:
    """Have the objects of all that is served, and of nothing else. Raises UnavailableError."""
    if core.kinds.resource(RESOURCE) is None:
        return
    wanted = {one["metadata"]["name"]: one for one in crds_of(kind for kind in core.kinds if not kind.builtin)}
    now_s = core.hooks.clock()
    author = Author(CONTROL_PLANE.name, "", "update")
    writes = []
    for name, value in wanted.items():
        key = Key(RESOURCE, "", name)
        found = core.store.get(key)
        if found is None or found.object.get("spec") != value["spec"]:
            made = _object(value, found.object if found is not None else None, now_s)
            expected = found.version if found is not None else 0
            writes.append(Write(key, answer.encode(made), expected, author, now_s))
    gone = [one for one in core.store.list(RESOURCE, None) if one.key.name not in wanted]
    writes += [Write(one.key, None, one.version, author, now_s) for one in gone]
    # Another control plane on the same database may be as quick, with the same.
    with contextlib.suppress(ConflictError):
        await core.store.write(writes)


def _object(value: Object, old: Object | None, now_s: float) -> Object:
    meta: dict[str, Any] = {"uid": metadata.new_uid(), "creationTimestamp": metadata.timestamp(now_s), "generation": 0}
    if old is not None:
        meta = {field: old["metadata"][field] for field in ("uid", "creationTimestamp", "generation")}
    meta["generation"] += 1
    spec = value["spec"]
    conditions = [
        _condition("NamesAccepted", "NoConflicts", "no conflicts found", now_s),
        _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now_s),
    ]
    state: Object = {"acceptedNames": spec["names"], "conditions": conditions}
    state["storedVersions"] = [one["name"] for one in spec["versions"] if one.get("storage")]
    return value | {"metadata": value["metadata"] | meta, "status": state}


def _condition(kind: str, reason: str, message: str, now_s: float) -> dict[str, str]:
    made = {"type": kind, "status": "True", "reason": reason, "message": message}
    return made | {"lastTransitionTime": metadata.timestamp(now_s)}


async def pretend(call: Call) -> answer.Answer:
    """A write of a definition. Raises ApiError."""
    verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[call.request.method]
    call.authorize(verb)
    await call.request.read()
    kind, name = call.target.kind, call.target.name
    found = call.core.store.get(call.key)
    if verb in {"update", "patch"} and found is not None:
        warning = f"{name} is part of Heddle and was left as it is: its kinds are those that this version serves"
        body = forms.one(call, forms.of_request(call.request), found.object)
        return answer.Answer(200, body, warnings=[warning])
    why = "the definitions of kinds are part of Heddle; none can be added, changed or removed while it runs"
    if verb == "create":
        given = _name_in(call.request.body)
        if given and call.core.store.get(call.key_of(given)) is not None:
            raise status.already_exists(kind.group, kind.plural, given)
    raise ApiError(405, "MethodNotAllowed", why, {"group": kind.group, "kind": kind.plural})


def _name_in(raw: bytes) -> str:
    with contextlib.suppress(ApiError, KeyError, TypeError):
        name = bodies.from_json(raw, "CustomResourceDefinition").value["metadata"]["name"]
        return name if isinstance(name, str) else ""
    return ""
