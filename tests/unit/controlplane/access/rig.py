"""A store in memory, a clock that stands still, and objects in few words."""

import builtins
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from heddle.controlplane.access import Access, Attributes, Caller
from heddle.controlplane.access.authority import Authority
from heddle.controlplane.access.caller import AUTHENTICATED
from heddle.controlplane.access.certificates import Pair
from heddle.controlplane.access.rbac import GROUP
from heddle.drivers.documents import Key

NOW_S = 1_800_000_000.0
EVERYTHING = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


class Stored(NamedTuple):
    key: Key
    version: int
    object: dict[str, Any]


class Event(NamedTuple):
    kind: str
    stored: Stored


class MemoryStore:
    def __init__(self) -> None:
        self.version = 0
        self.objects: dict[Key, Stored] = {}
        self.followers: dict[str, builtins.list[Callable[[Event | None], None]]] = {}

    def get(self, key: Key) -> Stored | None:
        return self.objects.get(key)

    def list(self, resource: str, namespace: str | None) -> Sequence[Stored]:
        found = [one for key, one in self.objects.items() if key.resource == resource]
        return [one for one in found if namespace is None or one.key.namespace == namespace]

    def follow(self, resource: str, follower: Callable[[Event | None], None]) -> None:
        self.followers.setdefault(resource, []).append(follower)

    def tell(self, kind: str, stored: Stored) -> None:
        for follower in self.followers.get(stored.key.resource, ()):
            follower(Event(kind, stored))

    def put(self, resource: str, made: dict[str, Any]) -> None:
        self.version += 1
        meta = made["metadata"]
        key = Key(resource, meta.get("namespace", ""), meta["name"])
        stored = self.objects[key] = Stored(key, self.version, made)
        self.tell("MODIFIED", stored)

    def remove(self, key: Key) -> None:
        self.version += 1
        self.tell("DELETED", self.objects.pop(key))

    def role(self, name: str, rules: builtins.list[dict[str, Any]], namespace: str = "", **more: Any) -> dict[str, Any]:
        made = role(name, rules, namespace, **more)
        self.put(f"{'roles' if namespace else 'clusterroles'}.{GROUP}", made)
        return made

    def bind(self, name: str, to: str, *subjects: str, namespace: str = "") -> dict[str, Any]:
        made = binding(name, to, *subjects, namespace=namespace)
        self.put(f"{'rolebindings' if namespace else 'clusterrolebindings'}.{GROUP}", made)
        return made


def role(name: str, rules: list[dict[str, Any]], namespace: str = "", **more: Any) -> dict[str, Any]:
    labels = more.pop("labels", None)
    meta = {"name": name} | ({"namespace": namespace} if namespace else {}) | ({"labels": labels} if labels else {})
    kind = "Role" if namespace else "ClusterRole"
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": meta, "rules": rules, **more}


def binding(name: str, to: str, *subjects: str, namespace: str = "") -> dict[str, Any]:
    """`to` is `ClusterRole/x` or `Role/x`; a subject `User/x`, `Group/x` or `ServiceAccount/ns/x`."""
    kind, _, role_name = to.partition("/")
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role_name},
        "subjects": [subject(one) for one in subjects],
    }


def subject(text: str) -> dict[str, Any]:
    kind, _, name = text.partition("/")
    if kind == "ServiceAccount":
        namespace, _, name = name.partition("/")
        return {"kind": kind, "namespace": namespace, "name": name}
    return {"kind": kind, "apiGroup": GROUP, "name": name}


def rule(verbs: str, resources: str, groups: str = "", names: str = "") -> dict[str, Any]:
    """Words divided by commas; no `groups` is the core group."""
    made: dict[str, Any] = {"verbs": verbs.split(","), "apiGroups": groups.split(",")}
    made["resources"] = resources.split(",")
    return made | {"resourceNames": names.split(",")} if names else made


def caller(name: str, *groups: str) -> Caller:
    return Caller(name, (*groups, AUTHENTICATED))


def ask(verb: str, what: str, namespace: str = "", name: str = "") -> Attributes:
    """`what` is `resource[.group][/subresource]`, or a path."""
    if what.startswith("/"):
        return Attributes(verb, path=what)
    whole, _, subresource = what.partition("/")
    resource, _, group = whole.partition(".")
    return Attributes(verb, group, resource, subresource, namespace, name)


def der(pair: Pair) -> bytes:
    return x509.load_pem_x509_certificate(pair.certificate).public_bytes(Encoding.DER)


class Rig:
    def __init__(self, state_dir: Path, store: MemoryStore | None = None) -> None:
        self.clock = Clock()
        self.store = store or MemoryStore()
        self.authority = Authority(state_dir, self.clock)
        self.access = Access(self.store, self.authority, self.clock)

    def can(self, who: Caller, verb: str, what: str, namespace: str = "", name: str = "") -> bool:
        return self.access.authorize(who, ask(verb, what, namespace, name)).allowed
