"""What Kubernetes' own kinds do beyond their schema: Secrets, ConfigMaps, Services, Namespaces.

Owns defaults and rules that no schema can say. A kind that is not listed here has none.
*Source:* Kubernetes API reference: core/v1 Secret, ConfigMap, Service, Namespace.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from heddle.controlplane.api.parts import Object
from heddle.model.kinds import Kind
from heddle.wire.kube.status import ApiError, Cause, invalid

MAX_DATA_BYTES = 1024 * 1024
"""Of a Secret's or ConfigMap's values together, as in Kubernetes."""
_SECRET_NEEDS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
}
NAMESPACE_FINALIZER = "kubernetes"


def complete(kind: Kind, new: Object, old: Object | None) -> None:
    """Write in what is derived, in place. `new` is ours to change."""
    step = _COMPLETE.get(kind.resource)
    if step is not None:
        step(new, old)


def check(kind: Kind, new: Object, old: Object | None) -> None:
    """Rules of a kind. Raises ApiError 422."""
    step = _CHECK.get(kind.resource)
    causes = step(new, old) if step is not None else []
    if causes:
        raise invalid(kind.group, kind.kind, new["metadata"].get("name", ""), causes)


def _secret(new: Object, old: Object | None) -> None:
    plain = new.pop("stringData", None)
    if isinstance(plain, dict) and plain:
        data = dict(new.get("data") or {})
        for key, text in plain.items():
            data[key] = base64.b64encode(str(text).encode()).decode()
        new["data"] = data
    if not new.get("type"):
        new["type"] = (old or {}).get("type") or "Opaque"
    _drop_null(new, "data", "immutable")


def _config_map(new: Object, _old: Object | None) -> None:
    _drop_null(new, "data", "binaryData", "immutable")


def _drop_null(new: Object, *fields: str) -> None:
    for field in fields:
        if field in new and new[field] is None:
            del new[field]


def _service(new: Object, _old: Object | None) -> None:
    spec: dict[str, Any] = new.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if "targetPort" not in port and "port" in port and spec["type"] != "ExternalName":
            port["targetPort"] = port["port"]
    new.setdefault("status", {"loadBalancer": {}})


def _namespace(new: Object, old: Object | None) -> None:
    meta = new["metadata"]
    meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = meta["name"]
    if old is None:
        new["spec"] = {"finalizers": [NAMESPACE_FINALIZER]}
        new["status"] = {"phase": "Active"}
    else:
        # Only the server finalizes a namespace, once it is empty.
        new["spec"] = old.get("spec", {})
    if meta.get("deletionTimestamp"):
        new["status"] = {**(new.get("status") or {}), "phase": "Terminating"}


def _secret_causes(new: Object, old: Object | None) -> list[Cause]:
    found = _data_causes(new, "data") + _immutable_causes(new, old, ("data",))
    for key in _SECRET_NEEDS.get(new["type"], ()):
        if key not in (new.get("data") or {}):
            found.append(Cause("FieldValueRequired", "Required value", f"data[{key}]"))
    if old is not None and old.get("type") != new.get("type"):
        found.append(Cause("FieldValueInvalid", f'Invalid value: "{new["type"]}": field is immutable', "type"))
    return found


def _config_map_causes(new: Object, old: Object | None) -> list[Cause]:
    found = _data_causes(new, "binaryData") + _immutable_causes(new, old, ("data", "binaryData"))
    if sum(len(value) for value in (new.get("data") or {}).values()) > MAX_DATA_BYTES:
        found.append(Cause("FieldValueTooLong", f"Too long: may not be more than {MAX_DATA_BYTES} bytes", "data"))
    for key in set(new.get("data") or {}) & set(new.get("binaryData") or {}):
        found.append(
            Cause("FieldValueInvalid", "Invalid value: duplicate of key present in data", f"binaryData[{key}]")
        )
    return found


def _data_causes(new: Object, field: str) -> list[Cause]:
    found, size = [], 0
    for key, value in (new.get(field) or {}).items():
        size += len(value)
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            # The value itself is never repeated: it is somebody's secret.
            found.append(Cause("FieldValueInvalid", "Invalid value: must be base64", f"{field}[{key}]"))
    if size * 3 // 4 > MAX_DATA_BYTES:
        found.append(Cause("FieldValueTooLong", f"Too long: may not be more than {MAX_DATA_BYTES} bytes", field))
    return found


def _immutable_causes(new: Object, old: Object | None, fields: tuple[str, ...]) -> list[Cause]:
    if old is None or not old.get("immutable"):
        return []
    said = "Forbidden: field is immutable when `immutable` is set"
    changed = [field for field in fields if (new.get(field) or {}) != (old.get(field) or {})]
    if not new.get("immutable"):
        changed.append("immutable")
    return [Cause("FieldValueForbidden", said, field) for field in changed]


_COMPLETE: dict[str, Callable[[Object, Object | None], None]] = {
    "secrets": _secret,
    "configmaps": _config_map,
    "services": _service,
    "namespaces": _namespace,
}
_CHECK: dict[str, Callable[[Object, Object | None], list[Cause]]] = {
    "secrets": _secret_causes,
    "configmaps": _config_map_causes,
}


def terminating(name: str, kind: Kind, object_name: str) -> ApiError:
    """403 for a create in a namespace that is being deleted."""
    why = f"unable to create new content in namespace {name} because it is being terminated"
    message = f'{kind.resource} "{object_name}" is forbidden: {why}'
    cause = {"reason": "NamespaceTerminating", "message": f"namespace {name} is being terminated"}
    cause["field"] = "metadata.namespace"
    about: dict[str, Any] = {"name": object_name, "group": kind.group, "kind": kind.plural, "causes": [cause]}
    return ApiError(403, "Forbidden", message, {key: value for key, value in about.items() if value})
